"""How small is too small?"""

import math

from ...analysis.plateau import CRITICAL
from ...ledger.exercise_kinds import Function, draw


def critical(rate, width) -> float:
    """gamma of the std lr sqrt(d) / 1.115."""
    return -math.log(rate * math.sqrt(width) / CRITICAL) / math.log(width)


EXERCISES = {
    "12.1": Function(
        lambda factor, width: -math.log(factor) / math.log(width),
        "The critical standard deviation is as many times larger as the rate: what is that in "
        "gamma?",
        (
            (lambda factor, width: math.log(factor) / math.log(width),
             "A faster rate wants a larger initialization: is that a larger gamma?"),
            (lambda factor, width: -math.log2(factor), "That is in octaves; gamma is a power of "
                                                       "the width."),
        ),
        inputs=lambda rng: {
            "factor": draw(rng, 1.5, 16, digits=1), "width": int(rng.integers(64, 4096)),
        },
    ),
    "12.2": Function(
        lambda gamma, width, other: gamma * math.log(width) / math.log(other),
        "What stays is the standard deviation. Write it as a power of either width.",
        (
            (lambda gamma, width, other: gamma, "Then the standard deviation would change."),
            (lambda gamma, width, other: gamma * math.log(other) / math.log(width),
             "The same standard deviation is a smaller gamma for a wider model."),
        ),
        inputs=lambda rng: {
            "gamma": draw(rng, 0.5, 1, digits=2), "width": int(rng.integers(64, 256)),
            "other": int(rng.integers(512, 4096)),
        },
    ),
    "12.3": Function(
        critical,
        "First the standard deviation that the law calls best at this rate, then its gamma.",
        (
            (lambda rate, width: -math.log(rate / CRITICAL) / math.log(width),
             "The law has the square root of the width in it."),
            (lambda rate, width: math.log(rate * math.sqrt(width) / CRITICAL) / math.log(width),
             "A standard deviation below one has a gamma above zero."),
        ),
        inputs=lambda rng: {
            "rate": draw(rng, 0.002, 0.03, digits=4), "width": int(rng.integers(32, 256)),
        },
    ),
}  # fmt: skip
