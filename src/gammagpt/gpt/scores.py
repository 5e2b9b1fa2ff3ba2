"""What is measured along the way, how often, and the losses and scores among it."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from ..data.fields import check_fields
from ..project import require_least
from .model import cross_entropy

SCORES = ("loss", "accuracy", "exact")
MOST = 10**6  # of whatever is counted here


@dataclass(frozen=True)
class ProbeConfig:
    OPTIONAL: ClassVar = ("spectra", "geometry", "neurons", "tokens", "sinks", "norms")  # 0: not

    losses: int = 12  # validation losses along the run, evenly spaced, first and last step included
    windows: int = 64  # validation windows for each of them
    final_windows: int = 512  # validation windows for the final loss
    spectra: int = 0  # times that every matrix is measured, at log-spaced steps
    geometry: int = 0  # times that embeddings and attention are, likewise (geometry.py)
    neurons: int = 0  # times that cosines between neurons are kept, likewise (geometry.py)
    tokens: int = 0  # validation windows whose every token's loss is kept at the end
    sinks: int = 0  # validation windows on which attention sinks are looked for, at the end
    norms: int = 0  # validation windows on which the norms' outputs are measured, at the end
    short: int = 4  # tokens of context with which each token's loss is taken once more

    def __post_init__(self):
        check_fields(self, "probes.")
        counts = ("losses", "windows", "final_windows", "short")
        require_least(1, self, counts, "probes.", MOST)
        require_least(0, self, self.OPTIONAL, "probes.", MOST)


def even_steps(count: int, last: int) -> set[int]:
    """`count` evenly spaced steps from 0 to `last`."""
    return {round(i * last / max(1, count - 1)) for i in range(count)} | {last}


def log_steps(count: int, last: int) -> set[int]:
    """0, `last` and, on a log scale, up to `count` steps in all; none if `count` is 0."""
    if count == 0:
        return set()
    inner = range(count - 1) if count > 2 else ()
    return {0, last} | {round(last ** (i / (count - 2))) for i in inner}


def score_sums(logits, targets):
    """(3,): the summed loss in nats, targets met by the likeliest token, sequences met whole.

    logits (B, T, V), targets (B, T); or logits (B, V), targets (B,). A target of -100 is left out.
    """
    met = (logits.argmax(-1) == targets) | (targets < 0)
    right = met.sum() - (targets < 0).sum()
    whole = met.flatten(1).all(1).sum() if met.ndim > 1 else right
    return torch.stack([cross_entropy(logits, targets, "sum"), right, whole])


@torch.no_grad()
def mean_scores(sums, inputs, targets, batch: int = 64) -> list[dict[str, float]]:
    """Of each of M models: loss (nats a target), accuracy (of targets), exact (of sequences).

    `sums(inputs, targets)` gives the score_sums (M, 3) of some sequences; inputs (M, N, T),
    targets (M, N, T) or (M, N), with as many targets for every model.
    """
    total = 0
    for i in range(0, inputs.size(1), batch):
        total += sums(inputs[:, i : i + batch], targets[:, i : i + batch]).double()
    count = (targets[0] >= 0).sum().item()
    means = total / torch.tensor([count, count, inputs.size(1)], device=total.device)
    return [dict(zip(SCORES, row, strict=True)) for row in means.tolist()]


UNIGRAM_GAP = 0.1  # nats per token below the unigram level: the plateau has been left


def plateau_end(train_curve, level: float) -> int | None:
    """The step at which a training curve is first below the unigram `level` by UNIGRAM_GAP.

    `train_curve` holds [step, mean loss since the point before]; None if it never gets there.
    """
    return next((step for step, loss in train_curve if loss < level - UNIGRAM_GAP), None)


@torch.no_grad()
def stable_rank(matrix) -> float:
    """||W||_F^2 / ||W||_2^2, by the smaller Gram matrix: cheap enough for every run."""
    matrix = matrix.double()
    gram = matrix.T @ matrix if matrix.shape[0] > matrix.shape[1] else matrix @ matrix.T
    return (gram.trace() / torch.linalg.eigvalsh(gram)[-1].clamp_min(1e-300)).item()
