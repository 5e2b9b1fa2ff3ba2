"""Does it reason first?"""

import numpy as np

from ...lab.order import ahead
from ...ledger.exercise_kinds import Function, Number


def most(progress) -> float:
    """The largest area of a run that has made so much progress."""
    return 2 * progress**2 if progress < 0.5 else 1 - 2 * (1 - progress) ** 2


def corner() -> float:
    """A run that learns half of the one, then half of the other, then the rest of both alike."""
    one, other = np.array([1, 0.5, 0.5, 0.0]), np.array([1, 1, 0.5, 0.0])
    return ahead(one, other)


def stopped() -> float:
    """A run that learns half of the one, then a quarter of the other, and stops."""
    return ahead(np.array([1, 0.5, 0.5]), np.array([1, 1, 0.75]))


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
        "Three straight pieces: the difference rises, falls as far, and stays. And what is the "
        "largest area there can be at the end?",
    ),
    "20.3": Number(
        stopped,
        "It stopped early: divide by what could have been until there.",
        ((lambda: 0.21875, "That is twice the area, not yet divided by the most there can be."),),
    ),
}
