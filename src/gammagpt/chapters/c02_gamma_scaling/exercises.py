"""Does a smaller initialization train better?"""

import math

import numpy as np

from ...ledger.exercise_kinds import Function, Several, places, places_at
from ...ledger.statistics import paired_interval

SIDES = ["gamma 0.5", "gamma 0.8"]
PAGE = {"experiment": "gamma_scaling"}  # whose claims are in its table


def half_width(differences) -> float:
    """Of the 95 % interval of a mean of paired differences."""
    mean, _, high = paired_interval(list(differences), 0.95)
    return high - mean


def z_half_width(differences) -> float:
    return 1.96 * np.std(differences, ddof=1) / math.sqrt(len(differences))


def biased_half_width(differences) -> float:
    n = len(differences)
    return half_width(differences) * math.sqrt((n - 1) / n)


def rootless_half_width(differences) -> float:
    return half_width(differences) * math.sqrt(len(differences))


def rates_where_the_usual_wins(runs) -> set[float] | None:
    """Common rates at which gamma 0.8 ends higher than gamma 0.5, on the tuning seeds."""
    tuning = runs[(runs.role == "tuning") & runs.setting.isin(SIDES)]
    means = tuning.pivot_table("loss", "learning_rate", "setting")
    if list(means.columns) != SIDES:
        return None
    return set(means.index[means["gamma 0.8"] > means["gamma 0.5"]])


EXERCISES = {
    "02.1": Several(
        lambda: places_at("tuned", **PAGE),
        "Which verdicts rest on runs at the common rate, and which do not?",
        (
            (lambda: places_at("common", **PAGE),
             "A new common rate makes new runs: for which verdicts?"),
        ),
    ),
    "02.2": Several(
        lambda: places(lambda c: not set(c.settings) <= set(SIDES), **PAGE),
        "A rule needs every setting that it names.",
    ),
    "02.5": Function(
        half_width,
        "Half of it is the t quantile for 97.5 %, times the standard error of the mean.",
        (
            (z_half_width, "That takes the normal distribution. With so few pairs the spread "
                           "itself is uncertain, and Student's t is wider."),
            (biased_half_width, "The spread is too small: divide by n - 1 (ddof=1)."),
            (rootless_half_width, "That is about single differences; the mean of n is surer."),
        ),
        inputs=lambda rng: {
            "differences": [float(x) for x in rng.normal(0.1, 0.2, rng.integers(3, 7)).round(3)],
        },
    ),
    "02.6": Several(
        rates_where_the_usual_wins,
        "What does the dotted line of that picture stand for? On which side of it is the usual "
        "start ahead?",
        needs=("runs",),
    ),
}
