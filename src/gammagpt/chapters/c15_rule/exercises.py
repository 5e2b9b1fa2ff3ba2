"""The rule: what to do tomorrow."""

import math

from ...ledger.exercise_kinds import Function, draw


def carried(gamma, width, rate, other_width, other_rate) -> float:
    """The critical std is in proportion to lr sqrt(d)."""
    grown = math.log(other_rate / rate) + math.log(other_width / width) / 2
    return (gamma * math.log(width) - grown) / math.log(other_width)


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
            (lambda gamma, width, rate, other_width, other_rate:
                gamma * math.log(width) / math.log(other_width), "The rate has changed as well."),
            (lambda gamma, width, rate, other_width, other_rate:
                (gamma * math.log(width) - math.log(other_rate / rate)) / math.log(other_width),
             "The law has the square root of the width in it."),
        ),
        inputs=lambda rng: {
            "gamma": draw(rng, 0.5, 1.2, digits=2), "width": int(rng.integers(64, 256)),
            "rate": draw(rng, 0.001, 0.01, digits=4), "other_width": int(rng.integers(512, 4096)),
            "other_rate": draw(rng, 0.001, 0.01, digits=4),
        },
    ),
    "15.3": Function(
        lambda std, width: -math.log(std) / math.log(width),
        "Which power of the width is this standard deviation?",
        (
            (lambda std, width: -math.log(std), "In units of the logarithm of the width."),
            (lambda std, width: math.log(std) / math.log(width),
             "A standard deviation below one has a gamma above zero."),
        ),
        inputs=lambda rng: {
            "std": draw(rng, 0.002, 0.05, digits=3), "width": int(rng.integers(64, 8192)),
        },
    ),
}  # fmt: skip
