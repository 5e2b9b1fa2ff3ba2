"""Does it reason first?"""

import numpy as np

from ...lab.measures import ahead
from ...ledger.exercise_kinds import Function, Number


def most(progress) -> float:
    """The largest area of a run that has made so much progress."""
    return 2 * progress**2 if progress < 0.5 else 1 - 2 * (1 - progress) ** 2


def corner() -> float:
    """A run that learns half of the one, then half of the other, then the rest of both alike."""
    one, other = np.array([1, 0.5, 0.5, 0.0]), np.array([1, 1, 0.5, 0.0])
    return ahead(one, other)


EXERCISES = {
    "20.1": Function(
        most,
        "Draw what is left of the other less what is left of the one against the progress: up with "
        "slope 2 until the one is learned, then down.",
        (
            (lambda progress: 2 * progress**2, "That goes on after the one is learned."),
            (lambda progress: progress**2, "Half of the sum of both is the progress: the "
                                           "difference rises twice as fast."),
        ),
        inputs=lambda rng: {"progress": float(np.round(rng.uniform(0.1, 0.95), 2))},
    ),
    "20.2": Number(
        corner,
        "Three straight pieces: the difference is 0, then 0.5, then 0, then 0, at a progress of 0, "
        "0.25, 0.5 and 1. What is the largest area there can be?",
    ),
}
