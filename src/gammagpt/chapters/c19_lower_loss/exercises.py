"""Does it train better?"""

import math

from ...ledger.exercise_kinds import Function, draw


def steps_for(weights, tokens_per_weight, tokens_per_step) -> float:
    """The steps after which a model has seen so many tokens for each of its weights."""
    return weights * tokens_per_weight / tokens_per_step


def index_of(index, ratio, power) -> float:
    """x of a model that is `ratio` times as wide, whose rate falls with a power of the width and
    whose steps, and so the steps of warm-up, grow with its weights, the square of the width."""
    return index * ratio**-power * ratio**2 / ratio**2


def standard_error(sd, runs, other_sd, other_runs) -> float:
    """Of a difference of two means of independent runs."""
    return math.sqrt(sd**2 / runs + other_sd**2 / other_runs)


EXERCISES = {
    "19.1": Function(
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
    "19.2": Function(
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
    "19.3": Function(
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
}
