"""Reasoning or memory."""

import itertools
import math
from functools import cache

from ...analysis.label_losses import told_losses
from ...data.anchors import AnchorConfig
from ...ledger.exercise_kinds import Choice, Number

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


EXERCISES = {
    "03.2": Choice(
        lambda: PATHS[0],
        "What could tell the two tasks apart, apart from their names?",
        options=PATHS,
    ),
    "03.4": Number(
        left_with_key,
        "Count how many triples of anchors have each sum, and take the entropy, in nats.",
        (
            (lambda: 3 * math.log(8), "Different triples can have the same sum."),
            (lambda: math.log(3 * 7 + 1), "The sums are not equally frequent."),
        ),
    ),
    "03.6": Number(
        price_of_blindness,
        "Sort the triples by how many orders they have, and take the mean of the logarithm.",
        ((lambda: math.log(6), "Not every triple has as many orders: an anchor may occur twice."),),
    ),
}
