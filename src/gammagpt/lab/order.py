"""Which of two tasks is learned first, without a clock.

The learning rate sets how fast time runs, so steps alone compare clocks. Here the order of two
tasks is told from how much of each is left when they have come equally far together.

share left  a task's loss over that of guessing by the frequencies of its labels, at most 1
"""

import math
from functools import cache
from math import nan

import numpy as np

from ..data.anchors import tasks

HALF = 0.5  # of a task is left: it is half learned
BEGUN = 0.9  # of a task is left: a tenth of it is learned
LEAST = 0.1  # of two tasks together must be learned before their order can be told


def shares_left(curves: dict, name: str, chance: float) -> np.ndarray:
    """(probes,) what is left of a task: its loss over that of guessing, at most 1."""
    return np.array([min(1, value / chance) for _, value in curves[name]])


def ahead(one, other) -> float:
    """How far one task is learned before another, from -1 (all of the other first) over 0 (both
    alike) to 1; nan if the two together never get to a tenth.

    one, other: (probes,) what is left of each. No clock is in it: it is the area between what is
    left of the other and of the one, over their common progress (the mean share learned, as far
    as it got), divided by the area of a run that learns the one entirely before the other.
    """
    progress = np.maximum.accumulate(1 - (one + other) / 2)
    reached = progress[-1]
    if not reached >= LEAST:
        return nan
    most = 2 * reached**2 if reached < 0.5 else 1 - 2 * (1 - reached) ** 2
    between = other - one
    return float((np.diff(progress) * (between[1:] + between[:-1])).sum() / most)


def crossing(points, level: float) -> float:
    """The step, on a line between two points (n, 2), at which a curve first falls to a level.

    nan if it never does; the first step if it begins below.
    """
    below = np.flatnonzero(points[:, 1] <= level)
    if not len(below):
        return math.nan
    (s0, v0), (s1, v1) = points[max(0, below[0] - 1)], points[below[0]]
    return float(s1 if v0 <= level else s0 + (s1 - s0) * (v0 - level) / (v0 - v1))


@cache
def chance_losses(data, seed: int) -> dict[str, float]:
    """The loss in nats of each task for who knows only how frequent its labels are."""
    losses = {}
    for task in tasks(data, seed):
        _, counts = np.unique(task.labels, return_counts=True)
        shares = counts / counts.sum()
        losses[task.name] = float(-(shares * np.log(shares)).sum())
    return losses


def progress(curves: dict, chance: dict[str, float]) -> dict:
    """Steps until each task is half learned, and what is left of each other one just then."""
    numbers = {}
    names = [name for name in chance if name in curves and chance[name] > 0]  # else: one label
    left = {n: np.column_stack([[step for step, _ in curves[n]], shares_left(curves, n, chance[n])])
            for n in names}
    for name in names:
        step = crossing(left[name], HALF)
        numbers[f"steps_to_{name}"] = step
        for other in names:
            if other != name:
                at = np.interp(step, *left[other].T) if math.isfinite(step) else math.nan
                numbers[f"{other}_left_at_{name}"] = float(at)
    return numbers
