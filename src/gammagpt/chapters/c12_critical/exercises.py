"""How small is too small?"""

import math

import numpy as np

from ...ledger.exercise_kinds import Choice, Function, draw
from .numbers import FLAT, vertex

WORDS = ("on the long grid only", "on the short grid only", "on both", "on neither")
INTERVAL, LONG, SHORT = (0.62, 0.8), (0.35, 1.2), (0.5, 0.8)  # as in the notebook


def flat_on() -> str:
    """On which of the two grids an interval is called flat."""
    width = INTERVAL[1] - INTERVAL[0]
    long, short = (width / (grid[1] - grid[0]) > FLAT for grid in (LONG, SHORT))
    return WORDS[{(True, False): 0, (False, True): 1, (True, True): 2}.get((long, short), 3)]


def three_points(rng) -> dict:
    """A valley: gammas in even steps, the least loss in the middle."""
    left, right = (draw(rng, 0.02, 0.2, digits=3) for _ in range(2))
    least = draw(rng, 3, 5, digits=2)
    return {"gammas": [0.6, 0.7, 0.8], "losses": [least + left, least, least + right]}


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
    "12.2": Choice(
        flat_on, "Take the interval as a share of each grid.", options=WORDS
    ),
    "12.4": Function(
        lambda gamma, width, other: gamma * math.log(width) / math.log(other),
        "At a fixed rate the constant is gamma times the logarithm of the width.",
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
    "12.5": Function(
        lambda gammas, losses: vertex(np.array(gammas), np.array(losses)),
        "The slopes of the two sides meet zero somewhere between their midpoints.",
        (
            (lambda gammas, losses: gammas[losses.index(min(losses))],
             "That is the best of the grid; the vertex leans to the lower neighbour."),
        ),
        inputs=three_points,
    ),
}  # fmt: skip
