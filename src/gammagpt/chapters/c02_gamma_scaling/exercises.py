"""Does a smaller initialization train better?"""

import math

from ...ledger.exercise_kinds import Choice, Function, Several, draw
from ...ledger.welch import Welch, decide

SIDES = ["gamma 0.5, warm-up 0.3", "gamma 1, warm-up 0.3"]


def rates_where_the_usual_wins(curves) -> set[float] | None:
    """Common rates at which gamma 1 ends higher than gamma 0.5, by the means of the runs."""
    means = curves[curves.setting.isin(SIDES)].pivot_table("loss", "learning_rate", "setting")
    if list(means.columns) != SIDES:
        return None
    return set(means.index[means[SIDES[1]] > means[SIDES[0]]])


def same_relative_step(rate, width, gamma, other) -> float:
    """The rate that is as large beside width^-other as `rate` is beside width^-gamma."""
    return rate * width ** (gamma - other)


def standard_error(sd, runs, other_sd, other_runs) -> float:
    """Of a difference of two means of independent runs."""
    return math.sqrt(sd**2 / runs + other_sd**2 / other_runs)


def steps_for(weights, tokens_per_weight, tokens_per_step) -> float:
    """The steps after which a model has seen so many tokens for each of its weights."""
    return weights * tokens_per_weight / tokens_per_step


def index_of(index, ratio, power) -> float:
    """x of a model that is `ratio` times as wide, whose rate falls with a power of the width and
    whose steps, and so the steps of warm-up, grow with its weights, the square of the width."""
    return index * ratio**-power * ratio**2 / ratio**2


EXERCISES = {
    "02.1": Several(
        rates_where_the_usual_wins,
        "At which rates of the upper right panel does the curve of gamma 1 lie above that of 0.5?",
        needs=("curves",),
    ),
    "02.2": Function(
        same_relative_step,
        "The relative step is the learning rate over the standard deviation.",
        (
            (lambda rate, width, gamma, other: rate * width ** (other - gamma),
             "Smaller weights take a smaller rate for the same relative step."),
            (lambda rate, width, gamma, other: rate * gamma / other,
             "Gamma is an exponent: what is the standard deviation?"),
        ),
        inputs=lambda rng: {
            "rate": draw(rng, 0.001, 0.03, 4), "width": int(rng.integers(32, 1025)),
            "gamma": draw(rng, 0.3, 0.6, 2), "other": draw(rng, 0.7, 1.2, 2),
        },
    ),
    "02.3": Choice(
        lambda: decide(Welch(0.015, 0.005, 10), 0.03, 0.95)[0],
        "Go through the table of verdicts from the top: the first row that holds decides.",
        options=("better", "equivalent", "worse", "undecided"),
    ),
    "02.4": Function(
        standard_error,
        "Variances of means add: sd squared over the number of runs, of each side.",
        (
            (lambda sd, runs, other_sd, other_runs: sd / math.sqrt(runs)
             + other_sd / math.sqrt(other_runs), "Variances add, not standard errors."),
            (lambda sd, runs, other_sd, other_runs: math.sqrt(sd**2 + other_sd**2),
             "That is the sd of a difference of two runs; of means it is smaller."),
        ),
        inputs=lambda rng: {
            "sd": draw(rng, 0.01, 0.1, 3), "runs": int(rng.integers(4, 20)),
            "other_sd": draw(rng, 0.01, 0.1, 3), "other_runs": int(rng.integers(4, 20)),
        },
    ),
    "02.5": Function(
        steps_for,
        "Tokens wanted over tokens that one step reads.",
        (
            (lambda weights, tokens_per_weight, tokens_per_step:
             weights * tokens_per_weight * tokens_per_step, "A step reads many tokens: divide."),
            (lambda weights, tokens_per_weight, tokens_per_step:
             weights / (tokens_per_weight * tokens_per_step),
             "More tokens for each weight take more steps, not fewer."),
        ),
        inputs=lambda rng: {
            "weights": int(rng.integers(1e5, 1e7)), "tokens_per_weight": draw(rng, 1, 20, 2),
            "tokens_per_step": int(rng.integers(1000, 50000)),
        },
    ),
    "02.6": Function(
        index_of,
        "Put the three changes into x = lr d^2 / n_w, one by one.",
        (
            (lambda index, ratio, power: index * ratio ** (2 - power),
             "That is with the same steps at every width; here they grow with the weights."),
            (lambda index, ratio, power: index * ratio**power,
             "The best rate falls with the width."),
        ),
        inputs=lambda rng: {"index": draw(rng, 0.05, 1, 3), "ratio": int(rng.integers(2, 17)),
                            "power": draw(rng, 0.5, 1.5, 2)},
    ),
}
