"""Reasoning or memory."""

import math
from functools import cache

from ..data.anchors import AnchorConfig
from ..readings_bias import blind_losses, told_losses
from .kinds import Choice, Number

PATHS = ("along the diagonal", "along the bottom", "along the left side")


def three(keys: str = "21..60", vocab_size: int = 121) -> AnchorConfig:
    """The page's tasks with three anchors in a row, all of them trained."""
    tasks = "memory 1..8 random, reasoning 11..18 sum"
    return AnchorConfig(keys=keys, tasks=tasks, held_out="", anchors=3, vocab_size=vocab_size)


@cache
def left_with_key() -> float:
    return float(told_losses(three())["and the key"]["reasoning"])


@cache
def cost_of_blindness() -> float:
    """With so many keys that hardly two labels coincide."""
    return float(blind_losses(three("61..1060", 1200), seed=0)["memory"])


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
        cost_of_blindness,
        "Sort the triples by how many orders they have, and take the mean of the logarithm.",
        ((lambda: math.log(6), "Not every triple has as many orders: an anchor may occur twice."),),
    ),
}  # fmt: skip
