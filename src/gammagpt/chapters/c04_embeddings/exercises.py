"""Embeddings that know arithmetic."""

import math
from functools import cache

import numpy as np

from ...data.anchors import AnchorConfig, label_laws, parse_tasks, training_sequences
from ...lab.anchor_measures import law_cosines
from ...ledger.exercise_kinds import Choice, Function, Number, draw

BLOCKS = ("alike everywhere", "fading with distance", "at right angles")
KEYS, KEYS_IN_ALL, ANCHORS = "21..60", 40, 8  # of the tasks in the notebook
PLACES = np.arange(-400, 401) / 10  # far beyond both hills, finer than any distance asked


def hill_cosine(k) -> float:
    """The cosine of exp(-(i - s)^2 / 12) and the same hill k further on, by numbers."""
    one, other = np.exp(-(PLACES**2) / 12), np.exp(-((PLACES - k) ** 2) / 12)
    return float(one @ other / (one @ one))


@cache
def near_block() -> str:
    """What the cosines of the laws of anchors with labels near the key do."""
    tasks = "memory 11..18 random, close 1..8 near"
    data = AnchorConfig(keys=KEYS, tasks=tasks, held_out="", vocab_size=101)
    block = law_cosines(data, 1)[8:, 8:]
    if block[0, 1] < 0.1:
        return BLOCKS[2]
    return BLOCKS[1] if block[0, 1] - block[0, -1] > 0.1 else BLOCKS[0]


@cache
def law_variance() -> float:
    """Of the exact law of a reasoning anchor, with three anchors in a row."""
    tasks = "memory 1..2 random, reasoning 11..18 sum"
    data = AnchorConfig(
        keys=KEYS, tasks=tasks, held_out="", anchors=3, length=4, samples=0, vocab_size=121
    )
    laws, _ = label_laws(training_sequences(data, 0), data.vocab_size)
    law, places = laws[parse_tasks(data)[1][1][3]], np.arange(data.vocab_size)
    return float(law @ places**2 - (law @ places) ** 2)


def variance(numbers: int) -> float:
    """Of a uniform draw from so many neighbouring numbers."""
    return (numbers**2 - 1) / 12


EXERCISES = {
    "04.3": Choice(
        near_block,
        "Draw the law of the smallest and of the largest of these anchors: where are they "
        "centred, and how wide is each?",
        options=BLOCKS,
    ),
    "04.5": Number(
        law_variance,
        "Variances of independent terms add up. Which terms vary once one anchor is given?",
        (
            (lambda: variance(KEYS_IN_ALL), "That is the key's part. What else varies?"),
            (lambda: variance(KEYS_IN_ALL) + 3 * variance(ANCHORS),
             "One of the anchors is given."),
            (lambda: variance(KEYS_IN_ALL) + variance(ANCHORS),
             "That is with two anchors in a row."),
        ),
    ),
    "04.6": Function(
        hill_cosine,
        "The product of two hills is a hill between them, times a factor that depends on k.",
        (
            (lambda k: math.exp(-(k**2) / 12), "The meeting point is half way from each: square "
                                               "half of the distance, twice."),
            (lambda k: math.exp(-(k**2) / 6), "Each hill is k/2 away from the middle."),
        ),
        inputs=lambda rng: {"k": draw(rng, 0.5, 6, digits=2)},
    ),
}
