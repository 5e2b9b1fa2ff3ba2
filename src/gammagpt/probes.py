"""What is measured along the way: validation losses, and the spectra and condensation of weights.

Definitions (W has a row for each neuron or token):
stable rank     ||W||_F^2 / ||W||_2^2                               (arXiv 2501.08537, its code)
effective rank  exp(entropy of singular values that sum to one)     (Roy & Vetterli 2007)
cosine groups   connected groups of rows whose cosine is above 0.7  (arXiv 2405.05409)
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from .model import cross_entropy
from .project import UserError

SCORES = ("loss", "accuracy", "exact")
COSINE_THRESHOLD = 0.7
TOP_VALUES = 8  # singular values kept for each matrix
MOST_ROWS = 1024  # rows compared by cosine; of a larger matrix the first ones


@dataclass(frozen=True)
class ProbeConfig:
    OPTIONAL: ClassVar = (  # 0: not measured
        "spectra", "geometry", "neurons", "tokens", "sinks", "norms",
    )  # fmt: skip

    losses: int = 12  # validation losses along the run, evenly spaced, first and last step included
    windows: int = 64  # validation windows for each of them
    final_windows: int = 512  # validation windows for the final loss
    spectra: int = 0  # times that every matrix is measured, at log-spaced steps
    geometry: int = 0  # times that embeddings and attention are, likewise (geometry.py)
    neurons: int = 0  # times that cosines between neurons are kept, likewise (geometry.py)
    tokens: int = 0  # validation windows whose every token's loss is kept at the end (tokens.py)
    sinks: int = 0  # validation windows on which attention sinks are looked for, at the end
    norms: int = 0  # validation windows on which the norms' outputs are measured, at the end

    def __post_init__(self):
        for name in ("losses", "windows", "final_windows", *self.OPTIONAL):
            low = 0 if name in self.OPTIONAL else 1
            if getattr(self, name) < low:
                raise UserError(
                    f"probes.{name}: got {getattr(self, name)}, allowed is {low} or more"
                )


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


@torch.no_grad()
def spectra(weights: dict[str, torch.Tensor]) -> dict[str, dict]:
    """The spectrum and the condensation of every matrix among named weights, by its name."""
    return {n: spectrum(w) | condensation(w) for n, w in weights.items() if w.ndim == 2}


def spectrum(matrix) -> dict:
    """Stable rank, effective rank, Frobenius norm and the largest singular values."""
    values = torch.linalg.svdvals(matrix.double())
    shares = values / values.sum().clamp_min(1e-300)
    entropy = -(shares * shares.clamp_min(1e-300).log()).sum()
    return {
        "stable_rank": (values.square().sum() / values[0].square().clamp_min(1e-300)).item(),
        "effective_rank": entropy.exp().item(),
        "norm": values.square().sum().sqrt().item(),
        "singular_values": values[:TOP_VALUES].tolist(),
    }


def condensation(matrix) -> dict:
    """Mean |cosine| between rows, share of pairs above 0.7, and groups as a share of the rows."""
    rows = torch.nn.functional.normalize(matrix[:MOST_ROWS].double(), dim=1)
    cosine = rows @ rows.T
    n = len(rows)
    pairs = max(1, n * (n - 1))
    off_diagonal = cosine.abs().sum() - cosine.diagonal().abs().sum()
    alike = cosine > COSINE_THRESHOLD
    alike.fill_diagonal_(True)
    return {
        "mean_cosine": (off_diagonal / pairs).item(),
        "pairs_alike": (alike.sum().item() - n) / pairs,
        "groups": _count_groups(alike) / n,
    }


def _count_groups(alike) -> int:
    """Connected components of a symmetric relation (n, n): squaring it reaches ever further."""
    reach = alike.float()
    while True:
        further = (reach @ reach > 0).float()
        if torch.equal(further, reach):
            # Two rows of one component have the same reach, whose first member names it.
            return len(reach.argmax(dim=1).unique())
        reach = further
