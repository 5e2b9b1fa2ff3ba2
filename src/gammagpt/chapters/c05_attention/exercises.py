"""What attention does first."""

import math

from ...ledger.exercise_kinds import Function, draw


def mean_cosine(d) -> float:
    """E|u_1| of a random unit vector, exactly."""
    ratio = math.exp(math.lgamma(d / 2) - math.lgamma((d + 1) / 2))
    return ratio / math.sqrt(math.pi)


EXERCISES = {
    "05.1": Function(
        lambda gamma: 1 - 2 * gamma,
        "A score is a sum over the width of two projections; each is a sum of d terms, divided by "
        "the root of d in the end.",
        (
            (lambda gamma: 1 - 4 * gamma, "That is without a norm: here the embedding's scale "
                                          "cancels."),
            (lambda gamma: 0.5 - gamma, "That is the size of one projection; a score has two."),
        ),
        inputs=lambda rng: {"gamma": draw(rng, 0.2, 1.2, digits=2)},
    ),
    "05.3": Function(
        lambda i, eps: eps * math.sqrt(1 - 1 / i) / i,
        "To first order a weight is 1/i times one plus its score less the mean score of the row.",
        (
            (lambda i, eps: eps / i, "The row's mean moves too, and takes a part of it away."),
            (lambda i, eps: eps * math.sqrt(1 - 1 / i), "The weights themselves are about 1/i."),
        ),
        inputs=lambda rng: {
            "i": int(rng.integers(2, 9)), "eps": draw(rng, 0.01, 0.2, digits=3),
        },
    ),
    "05.4": Function(
        mean_cosine,
        "Take one direction as an axis: the cosine is one entry of a random unit vector.",
        (
            (lambda d: 1 / math.sqrt(d), "That is the root mean square; the mean of the absolute "
                                         "value is smaller."),
        ),
        inputs=lambda rng: {"d": int(rng.integers(48, 2048))},
        tolerance=0.02,
    ),
}
