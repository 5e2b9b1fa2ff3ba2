"""Reasoning or memory: which is learned first?"""

import itertools
import math
from functools import cache

import numpy as np

from ...analysis.label_losses import told_losses
from ...data.anchors import AnchorConfig
from ...lab.order import ahead
from ...ledger.exercise_kinds import Choice, Function, Number

PATHS = ("along the diagonal", "along the bottom", "along the left side")
ANCHORS, IN_A_ROW = 8, 3  # of the memory task, as in the notebook


@cache
def left_with_key() -> float:
    """On the page's reasoning task with three anchors in a row, all of them trained."""
    data = AnchorConfig(keys="21..60", tasks="memory 1..8 random, reasoning 11..18 sum",
                        held_out="", anchors=IN_A_ROW, vocab_size=121)
    return float(told_losses(data)["and the key"]["reasoning"])


def price_of_blindness() -> float:
    """The logarithm of how many orders a row of anchors has, on average over all rows."""
    rows = itertools.product(range(ANCHORS), repeat=IN_A_ROW)
    orders = [len(set(itertools.permutations(row))) for row in rows]
    return sum(map(math.log, orders)) / len(orders)


def most(progress) -> float:
    """The largest area of a run that has made so much progress."""
    return 2 * progress**2 if progress < 0.5 else 1 - 2 * (1 - progress) ** 2


def corner() -> float:
    """A run that learns half of the one, then half of the other, then the rest of both alike."""
    return ahead(np.array([1, 0.5, 0.5, 0.0]), np.array([1, 1, 0.5, 0.0]))


def stopped() -> float:
    """A run that learns half of the one, then a quarter of the other, and stops."""
    return ahead(np.array([1, 0.5, 0.5]), np.array([1, 1, 0.75]))


EXERCISES = {
    "03.1": Number(
        left_with_key,
        "Count how many triples of anchors have each sum, and take the entropy, in nats.",
        (
            (lambda: 3 * math.log(8), "Different triples can have the same sum."),
            (lambda: math.log(3 * 7 + 1), "The sums are not equally frequent."),
        ),
    ),
    "03.2": Number(
        price_of_blindness,
        "Sort the triples by how many orders they have, and take the mean of the logarithm.",
        ((lambda: math.log(6), "Not every triple has as many orders: an anchor may occur twice."),),
    ),
    "03.3": Choice(
        lambda: PATHS[0],
        "What could tell the two tasks apart, apart from their names?",
        options=PATHS,
    ),
    "03.4": Function(
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
    "03.5": Number(
        corner,
        "Three straight pieces: the difference rises, falls as far, and stays. And what is the "
        "largest area there can be at the end?",
    ),
    "03.6": Number(
        stopped,
        "It stopped early: divide by what could have been until there.",
        ((lambda: 0.21875, "That is twice the area, not yet divided by the most there can be."),),
    ),
}
