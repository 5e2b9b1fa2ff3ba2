"""The rule: what to do tomorrow."""

import math
from functools import cache

from ...data.anchors import AnchorConfig
from ...ledger.exercise_kinds import Function, Number, draw
from .numbers import uncertainty


@cache
def told_by_the_key() -> float:
    """Nats that the key tells of a ring of ten keys, if two anchors are among eight and not ten."""
    data = AnchorConfig(keys="21..30", tasks="ring 51..58 modulo", held_out="", vocab_size=61,
                        length=3, samples=0)
    row = uncertainty(data).loc["ring"]
    return float(row["nothing"] - row["the key"])


def carried(gamma, width, rate, other_width, other_rate, k) -> float:
    """std = const x rate^k, whatever the width."""
    return (gamma * math.log(width) - k * math.log(other_rate / rate)) / math.log(other_width)


EXERCISES = {
    "15.1": Function(
        lambda slow, best, fast: (slow + fast) / 2 - best,
        "Write down the parabola at one octave to the left and to the right of a point that is "
        "not its bottom.",
        (
            (lambda slow, best, fast: max(slow, fast) - best, "The worse side alone depends on "
                                                              "where the grid has its points."),
            (lambda slow, best, fast: slow + fast - 2 * best, "That counts the price twice."),
        ),
        inputs=lambda rng: {
            "slow": draw(rng, 4.05, 4.4, digits=2), "best": draw(rng, 3.8, 4, digits=2),
            "fast": draw(rng, 4.05, 4.4, digits=2),
        },
    ),
    "15.2": Function(
        carried,
        "Write down the logarithm of the standard deviation before and after.",
        (
            (lambda gamma, width, rate, other_width, other_rate, k:
                gamma * math.log(width) / math.log(other_width), "The rate has changed as well."),
            (lambda gamma, width, rate, other_width, other_rate, k:
                carried(gamma, width, other_rate, other_width, rate, k),
             "A faster rate wants larger weights, and these are a smaller gamma."),
        ),
        inputs=lambda rng: {
            "gamma": draw(rng, 0.5, 1.2, digits=2), "width": int(rng.integers(64, 256)),
            "rate": draw(rng, 0.001, 0.01, digits=4), "other_width": int(rng.integers(512, 4096)),
            "other_rate": draw(rng, 0.001, 0.01, digits=4), "k": draw(rng, 0.4, 1.2, digits=2),
        },
    ),
    "15.3": Number(
        told_by_the_key,
        "With the key known the label is as uncertain as the sum of two anchors around the ring.",
        (
            (lambda: 0.0, "That needs anchors that go round the ring evenly."),
            (lambda: math.log(10 / 8), "That is what the key and one anchor tell together."),
        ),
        tolerance=0.05,  # three decimals are asked for, and the first two are zero
    ),
}
