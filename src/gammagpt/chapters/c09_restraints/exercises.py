"""What holds small initialization back?"""

import math

import numpy as np

from ...analysis.norms import halving_width
from ...gpt.options import GPTConfig
from ...ledger.exercise_kinds import Function, draw

USUAL = GPTConfig().norm_eps


def spread_of_twice(width, gamma) -> float:
    """The standard deviation of 2 sigmoid(z), z normal with std width^(1/2 - gamma)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    values = 2 / (1 + np.exp(-nodes * width ** (0.5 - gamma)))
    return float(np.sqrt((weights * (values - 1) ** 2).sum() / weights.sum()))


EXERCISES = {
    "09.1": Function(
        lambda eps, gamma: halving_width(gamma, eps),
        "Half is left where one plus eps over the mean square is four.",
        (
            (lambda eps, gamma: (1 / eps) ** (1 / (2 * gamma)), "There eps is as large as the mean "
                                                                "square; mind the root."),
            (lambda eps, gamma: (3 / eps) ** (1 / gamma), "The mean square is d^-2gamma."),
        ),
        inputs=lambda rng: {
            "eps": float(10 ** rng.uniform(-8, -4)), "gamma": draw(rng, 0.5, 1.2, digits=2),
        },
    ),
    "09.2": Function(
        lambda width, eps: width * math.sqrt(eps / USUAL),
        "With gamma = 1 all that counts is eps times the square of the width.",
        (
            (lambda width, eps: width * eps / USUAL, "The width enters squared."),
            (lambda width, eps: width * math.sqrt(USUAL / eps), "A larger epsilon bites sooner: "
                                                                "it stands for more width."),
        ),
        inputs=lambda rng: {
            "width": int(rng.integers(32, 512)), "eps": float(10 ** rng.uniform(-4, -2)),
        },
    ),
    "09.3": Function(
        spread_of_twice,
        "What goes into the sigmoid is a sum over the width of normed numbers times weights.",
        (
            (lambda width, gamma: width ** (0.5 - gamma), "That goes into the sigmoid. How steep "
                                                          "is twice the sigmoid at zero?"),
            (lambda width, gamma: width ** (0.5 - gamma) / 4, "That is the gate, not twice the "
                                                              "gate."),
        ),
        inputs=lambda rng: {
            "width": int(rng.integers(64, 2048)), "gamma": draw(rng, 0.9, 1.3, digits=2),
        },
        tolerance=0.05,
    ),
    "09.4": Function(
        lambda s, runs: 2 * s / math.sqrt(runs),
        "Write the change as a sum of four means with signs; the variances of the four add up.",
        (
            (lambda s, runs: s * math.sqrt(2 / runs), "That is one difference, of two means."),
            (lambda s, runs: 4 * s / math.sqrt(runs), "Variances add up, not standard errors."),
            (lambda s, runs: 2 * s, "That is of four runs; a mean of more is less noisy."),
        ),
        inputs=lambda rng: {"s": draw(rng, 0.01, 0.1, digits=3), "runs": int(rng.integers(3, 20))},
    ),
}
