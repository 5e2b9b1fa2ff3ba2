"""Whether runs still end in time."""

import os
import time
from contextlib import suppress
from pathlib import Path

import torch

from ...gpt.config import RunConfig
from .grid import flops

HOPED = 400e12  # FLOP/s of a card, to plan with until it is measured
COMPILING = {"cuda": 20, "cpu": 0}  # seconds that a shape's first run takes longer
AT_THE_END = {"cuda": 4, "cpu": 0.3}  # seconds to save what was compiled


class Clock:
    """What a slice has spent, and what runs would, by their shape's speed: measured, or hoped."""

    def __init__(self, budget: float, device: torch.device, spent: float = 0.0):
        """`spent`: seconds of the budget that are gone already, to start Python and torch."""
        self.start, self.device = time.monotonic() - spent, device
        self.end = self.start + budget - AT_THE_END[device.type]
        self.speeds: dict[tuple, float] = {}  # FLOP/s of a shape

    @property
    def spent(self) -> float:
        return time.monotonic() - self.start

    def seconds(self, runs: list[RunConfig]) -> float:
        """That runs will take, together or one after another."""
        hoped = min(self.speeds.values(), default=HOPED / 2)
        speed = self.speeds.get(_shape(runs), hoped)
        new = _shape(runs) not in self.speeds
        return sum(map(flops, runs)) / speed + new * COMPILING[self.device.type]

    def allows(self, runs: list[RunConfig]) -> bool:
        return time.monotonic() + self.seconds(runs) <= self.end

    def learn(self, runs: list[RunConfig], seconds: float) -> None:
        self.speeds[_shape(runs)] = sum(map(flops, runs)) / seconds


def _shape(runs: list[RunConfig]) -> tuple:
    """What sets the speed; a bias, a gate or an epsilon hardly does."""
    return runs[0].model.width, runs[0].batch_size, len(runs) > 1


def age_of_process() -> float:
    """Seconds since this process began, where the system tells (Linux); else 0."""
    with suppress(OSError, ValueError, IndexError, AttributeError):
        began = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
        up = float(Path("/proc/uptime").read_text().split()[0])
        return up - int(began) / os.sysconf("SC_CLK_TCK")
    return 0.0
