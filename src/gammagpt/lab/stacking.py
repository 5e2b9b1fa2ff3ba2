"""How many runs to train as one stack on this device, and whether to compile: by measurement."""

import math
import time
import warnings
from dataclasses import dataclass

import torch

from ..gpt.config import RunConfig
from ..gpt.device import policy, reference_numerics, wait
from ..gpt.engine import make_engine

MEMBERS = (4, 16, 64)  # sizes of a stack that are tried, beside one run at a time
BETTER = 1.1  # a larger stack, or a compiled program, must gain this much
WORTH_MEASURING = 30  # seconds of work in a process; below, one run at a time
WORTH_COMPILING = 120  # likewise: compiling takes half a minute and more


@dataclass(frozen=True)
class Plan:
    """How a group of runs of one shape is trained, and how fast that was when measured."""

    members: int = 1
    compiled: bool = False
    tokens_per_second: float = 0.0  # of one process; 0 if it was not measured


def make_plan(configs: list[RunConfig], device: torch.device, workers: int = 1) -> Plan:
    """The fastest way found to train these runs, of one shape, in so many processes."""
    share = math.ceil(len(configs) / workers)  # runs of one process
    if share == 1 and not policy(device).compile:
        return Plan()
    best = measure(configs[:1], device)
    if share * configs[0].tokens / best.tokens_per_second < WORTH_MEASURING:
        return best
    best = _faster(best, configs, device, [m for m in MEMBERS if m < 2 * share], False)
    left = share * configs[0].tokens / best.tokens_per_second
    if policy(device).compile and left > WORTH_COMPILING:
        best = _faster(best, configs, device, [best.members], True)
    return best


@reference_numerics()
def measure(configs: list[RunConfig], device, compiled: bool = False, seconds=0.5) -> Plan:
    """The speed of training these runs as one stack, on random tokens, without the probes."""
    engine = make_engine(configs, device, compiled)
    model, batch = configs[0].model, configs[0].batch_size
    size = (len(configs), batch, model.block_size)
    tokens = torch.randint(model.vocab_size, size).to(device)
    targets = tokens[..., -1] if configs[0].data.kind == "anchors" else tokens
    last = configs[0].steps - 1  # the rate of the last step is small: nothing diverges

    def step():
        engine.step(tokens, targets, last)

    taken = seconds_a_step(step, device, seconds, uncounted=3 if compiled else 2)
    return Plan(len(configs), compiled, tokens.numel() / taken)


def seconds_a_step(step, device, seconds: float, uncounted: int = 2) -> float:
    """Mean time of a `step()`; the first ones fill caches and compile, and are not counted."""
    for _ in range(uncounted):
        step()
    wait(device)
    start, count = time.perf_counter(), 0
    while count < 3 or time.perf_counter() - start < seconds:
        step()
        count += 1
    wait(device)  # once: like the training loop, which never waits for a step
    return (time.perf_counter() - start) / count


def _faster(best: Plan, configs, device, sizes, compiled) -> Plan:
    """The best of `best` and the stacks of these sizes; stops where a larger one gains nothing."""
    for size in sizes:
        try:
            measured = measure(_filled(configs, size), device, compiled)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            warnings.warn(f"{size} runs at once do not fit into memory", stacklevel=2)
            break
        if measured.tokens_per_second < BETTER * best.tokens_per_second:
            break
        best = measured
    return best


def _filled(configs, size: int) -> list[RunConfig]:
    """`size` runs: the given ones, over and over."""
    return [configs[i % len(configs)] for i in range(size)]


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device's memory is full; a CPU's is a plain RuntimeError."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)
