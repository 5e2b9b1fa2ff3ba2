"""Condense, then expand?"""

import math

import numpy as np
import torch

from ...lab.measures import expansion
from ...ledger.exercise_kinds import Function
from ...probes.spectra import spectrum


def halving_move(s, d) -> float:
    """m = theta s / sqrt(d) with theta + 1 / theta = sqrt(8), the larger root."""
    theta = max(np.roots([1, -math.sqrt(8), 1]))
    return float(theta) * s / math.sqrt(d)


def stable_rank(values) -> float:
    return spectrum(torch.diag(torch.tensor(values, dtype=torch.float64)))["stable_rank"]


def fall_and_rise(ranks) -> tuple[float, float]:
    """(condensed, expanded) of one matrix, as the claims measure them."""
    found = expansion([{"tensors": {"embedding.weight": {"stable_rank": r}}} for r in ranks])
    return found["condensed"], found["expanded"]


def random_values(rng) -> list[float]:
    return sorted((float(x) for x in rng.uniform(0.1, 5, 8).round(2)), reverse=True)


EXERCISES = {
    "10.1": Function(
        halving_move,
        "The norm hardly changes, so for half the rank the largest value must grow by a factor of "
        "sqrt(2).",
        (
            (lambda s, d: s / math.sqrt(d), "There the update only begins to stand out."),
            (lambda s, d: math.sqrt(8) * s / math.sqrt(d), "That leaves 1/theta out."),
            (lambda s, d: halving_move(s, d) * d, "A wider matrix needs less movement, not more."),
        ),
        inputs=lambda rng: {
            "s": float(10 ** rng.uniform(-3, -1)), "d": int(rng.integers(64, 2048)),
        },
        tolerance=0.02,
    ),
    "10.2": Function(
        stable_rank,
        "It is the squared norm over the square of the largest singular value.",
        (
            (lambda values: sum(values) / max(values), "Square the values first."),
            (lambda values: sum(values) ** 2 / sum(v * v for v in values),
             "That is another soft count, the participation ratio."),
            (lambda values: len(values), "That is the rank; the soft count weighs directions."),
        ),
        inputs=lambda rng: {"values": random_values(rng)},
    ),
    "10.3": Function(
        fall_and_rise,
        "Both compare with the lowest point, as the natural logarithm of a quotient.",
        (
            (lambda ranks: (math.log(ranks[0] / min(ranks)), math.log(ranks[-1] / ranks[0])),
             "The rise is measured from the lowest point, not from the start."),
            (lambda ranks: (ranks[0] - min(ranks), ranks[-1] - min(ranks)),
             "Differences depend on the size of the matrix: take logarithms of quotients."),
            (lambda ranks: (ranks[0] / min(ranks), ranks[-1] / min(ranks)),
             "Those are the factors; take their logarithms."),
        ),
        inputs=lambda rng: {"ranks": [float(r) for r in rng.uniform(5, 40, 8).round(1)]},
    ),
}
