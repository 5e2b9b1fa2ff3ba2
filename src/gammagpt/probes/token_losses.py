"""Losses token by token, at the end of a run: with the whole window before each, and with a few
tokens of it. Which classes of tokens these tell apart: token_classes.py.

Shapes in comments: N windows, T tokens of each, k = config.probes.short.
"""

import numpy as np
import torch

from ..data.text import load_text
from ..gpt.model import cross_entropy

BATCH = 32  # windows looked at together


@torch.no_grad()
def token_losses(model, config) -> dict[str, list[float]]:
    """Of each token of some validation windows, in order: its loss in nats with the whole window
    before it, and with at most k tokens. Three decimals, so that a record stays small.
    """
    text = load_text(config.data)
    pair = text.validation_windows(config.probes.tokens, config.model.block_size)
    device = model.embedding.weight.device
    batches = zip(*(part.to(device).split(BATCH) for part in pair), strict=True)
    losses = [_losses(model, *batch, config.probes.short) for batch in batches]
    whole, short = (torch.cat(column) for column in zip(*losses, strict=True))
    return {"whole": _rounded(whole), "short": _rounded(short)}


def _losses(model, inputs, targets, k: int):
    """(n, T) losses with whole and with short context. inputs, targets (n, T)."""
    whole = cross_entropy(model(inputs), targets, "none").view_as(targets)
    if inputs.size(1) < k:
        return whole, whole
    cut = inputs.unfold(1, k, 1)  # (n, T - k + 1, k)
    logits = model(cut.flatten(0, 1), last=True)
    rest = cross_entropy(logits, targets[:, k - 1 :].flatten(), "none").view(cut.shape[:2])
    return whole, torch.cat((whole[:, : k - 1], rest), 1)


def _rounded(tensor) -> list[float]:
    return np.round(tensor.double().flatten().cpu().numpy(), 3).tolist()
