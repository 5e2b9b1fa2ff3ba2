"""Is gamma a learning rate in disguise?"""

import math

import numpy as np

from ...analysis.learning_rates import best_lr, slope_of
from ...ledger.exercise_kinds import Function, Number, Several, draw, places_at

PAGE = {"notebook": "08_disguise"}  # whose claims are in its table


def halved(valleys) -> float | None:
    """By which factor the best rate changes when the standard deviation is halved."""
    b = slope_of(np.log2(valleys.stds), valleys.of_mean(best_lr)) if len(valleys) else math.nan
    return 2**-b if math.isfinite(b) else None


def random_steps(rng) -> dict:
    return {
        "length": draw(rng, 1, 5, digits=2),
        "steps": [float(step) for step in rng.uniform(0.1, 2, rng.integers(2, 6)).round(2)],
    }


EXERCISES = {
    "08.1": Several(
        lambda: places_at("tuned", **PAGE),
        "Which verdicts rest on runs at the common rate, and which do not?",
        ((lambda: places_at("common", **PAGE),
          "A new common rate makes new runs: for which verdicts?"),),
    ),
    "08.4": Number(
        halved,
        "The best rate goes as std^b: put in a std half as large.",
        (
            (lambda valleys: 1 / halved(valleys), "That is for a std twice as large."),
            (lambda valleys: 1 / 2, "That would be an exact exchange, b = 1."),
        ),
        needs=("valleys",),
        tolerance=0.05,
    ),
    "08.5": Function(
        lambda length, steps: math.hypot(length, *steps),
        "A step at right angles and the vector are two sides of a right triangle.",
        (
            (lambda length, steps: length + sum(steps), "That is for steps straight away from "
                                                        "zero."),
            (lambda length, steps: length, "Draw it: can the vector end where it began?"),
            (lambda length, steps: math.hypot(length, sum(steps)),
             "That is one long step. After the first step the right angle is another one."),
        ),
        inputs=random_steps,
    ),
    "08.6": Function(
        lambda width, usual, small: width ** (small - usual),
        "The step of AdamW is the same; divide it by each standard deviation.",
        (
            (lambda width, usual, small: width ** (usual - small),
             "That is the quotient of the standard deviations: the steps are relative to them."),
            (lambda width, usual, small: small / usual, "Gamma is an exponent."),
        ),
        inputs=lambda rng: {
            "width": int(rng.integers(64, 4096)),
            "usual": draw(rng, 0.3, 0.6, digits=2),
            "small": draw(rng, 0.7, 1.2, digits=2),
        },
    ),
}
