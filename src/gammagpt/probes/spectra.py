"""Spectra of weight matrices, and how condensed their rows are.

Definitions (W has a row for each neuron or token):
stable rank     ||W||_F^2 / ||W||_2^2                               (arXiv 2501.08537, its code)
effective rank  exp(entropy of singular values that sum to one)     (Roy & Vetterli 2007)
cosine groups   connected groups of rows whose cosine is above 0.7  (arXiv 2405.05409)
"""

import torch

COSINE_THRESHOLD = 0.7
TOP_VALUES = 8  # singular values kept for each matrix
MOST_ROWS = 1024  # rows compared by cosine; of a larger matrix the first ones


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
