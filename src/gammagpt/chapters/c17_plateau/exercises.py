"""The unigram plateau."""

import math

from ...analysis.plateau import SAFE
from ...analysis.plateau import collapse_index as x_of
from ...ledger.exercise_kinds import Function, draw


def collapse_index(rate, width, warmup_steps) -> float:
    return x_of(rate, width, warmup_steps)


def least_warmup(rate, width) -> float:
    """The steps of warm-up at which x is SAFE."""
    return x_of(rate, width, 1) / SAFE


def steps_to(path, rate, width, warmup_steps) -> float:
    """The path grows with the square of the steps while the rate rises."""
    return math.sqrt(2 * path * warmup_steps / (width * rate))


def _size(rng) -> dict:
    return {"rate": draw(rng, 1e-4, 1e-2, 5), "width": int(rng.integers(32, 1024))}


EXERCISES = {
    "17.1": Function(
        collapse_index,
        "Rate times width squared over the steps of warm-up.",
        (
            (lambda rate, width, warmup_steps: rate * width / warmup_steps,
             "The width counts squared."),
            (lambda rate, width, warmup_steps: rate * width**2 * warmup_steps,
             "A longer warm-up makes a collapse less likely: it divides."),
        ),
        inputs=lambda rng: _size(rng) | {"warmup_steps": int(rng.integers(10, 3000))},
    ),
    "17.2": Function(
        least_warmup,
        "Solve rate times width squared over steps = 0.3 for the steps.",
        (
            (lambda rate, width: SAFE * rate * width**2,
             "The safe value divides: a lower one asks for more warm-up."),
            (lambda rate, width: rate * width / SAFE, "The width counts squared."),
        ),
        inputs=_size,
    ),
    "17.3": Function(
        steps_to,
        "After t steps the path is width times rate times t squared over twice the warm-up.",
        (
            (lambda path, rate, width, warmup_steps: path / (width * rate),
             "That is at the peak rate; during the warm-up the rate is lower."),
            (lambda path, rate, width, warmup_steps:
             math.sqrt(path * warmup_steps / (width * rate)),
             "The rates add up to half of steps times the last one."),
        ),
        inputs=lambda rng: {"path": draw(rng, 0.5, 5, 3)} | _size(rng) | {
            "warmup_steps": int(rng.integers(100, 3000)),
        },
    ),
}  # fmt: skip
