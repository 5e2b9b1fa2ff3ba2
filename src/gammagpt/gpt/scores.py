"""When it is measured along the way, and the losses and scores among it."""

import torch

from .model import cross_entropy

SCORES = ("loss", "accuracy", "exact")


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
