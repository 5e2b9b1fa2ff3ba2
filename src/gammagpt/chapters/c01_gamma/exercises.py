"""What gamma is."""

from ...analysis.norms import biting_width, halving_width
from ...gpt.init import implied_gamma
from ...ledger.exercise_kinds import Function, Number

WIDTH, GAMMA, EPS = 2048, 0.8, 1e-6  # of the tasks in the notebook


EXERCISES = {
    "01.1": Function(
        lambda std, width: implied_gamma(std, width),
        "Solve std = width^-gamma for gamma: take logarithms of both sides.",
        (
            (lambda std, width: implied_gamma(std**2, width),
             "The rule gives the standard deviation, and you have squared it."),
            (lambda std, width: -implied_gamma(std, width),
             "The size is right, the sign is not: a smaller std is a larger gamma."),
        ),
        inputs=lambda rng: {
            "std": float(10 ** rng.uniform(-3, -1)), "width": int(rng.integers(64, 4096)),
        },
    ),
    "01.2": Number(
        lambda: WIDTH**-GAMMA,
        "The rule is one power of the width.",
        (
            (lambda: WIDTH ** (-2 * GAMMA), "That is the variance; what is set is its root."),
            (lambda: WIDTH**-0.5, "That is the usual initialization, gamma = 1/2."),
        ),
    ),
    "01.3": Number(
        lambda: halving_width(1, EPS),
        "Write down the root mean square after the norm, and set it to one half.",
        (
            (lambda: biting_width(1, EPS),
             "There eps is as large as the mean square. Mind the root: the output is not yet half "
             "of what it should be."),
        ),
        tolerance=0.02,
    ),
}
