"""Losses token by token, and the classes of tokens that claims are about.

The classes are ours: what P1 (arXiv 2606.17945) calls non-trivial and context-constrained is not
defined in its public part. They are told apart by counting, and by a reference run that is never
compared: a class chosen by the losses that are compared would hold its own luck.

trivial   the count model gives the target a loss below TRIVIAL
copied    else, the target followed the same token earlier in the window
context   else, the reference gains CONTEXT by seeing the whole window, not SHORT tokens of it
rest      what is left

Shapes in comments: N windows, T tokens of each, k = SHORT.
"""

from functools import cache

import numpy as np
import torch

from ..data.text import load_text
from ..gpt.model import cross_entropy

SHORT = 4  # tokens of context
TRIVIAL = 1.0  # nats
CONTEXT = 0.5  # nats
BATCH = 32  # windows looked at together
CLASSES = ("trivial", "copied", "context", "rest")


@torch.no_grad()
def token_losses(model, config) -> dict[str, list[float]]:
    """Of each token of some validation windows, in order: its loss in nats with the whole window
    before it, and with at most SHORT tokens. Three decimals, so that a record stays small.
    """
    text = load_text(config.data)
    pair = text.validation_windows(config.probes.tokens, config.model.block_size)
    device = model.embedding.weight.device
    batches = zip(*(part.to(device).split(BATCH) for part in pair), strict=True)
    losses = [_losses(model, *batch) for batch in batches]
    whole, short = (torch.cat(column) for column in zip(*losses, strict=True))
    return {"whole": _rounded(whole), "short": _rounded(short)}


def _losses(model, inputs, targets):
    """(n, T) losses with whole and with short context. inputs, targets (n, T)."""
    whole = cross_entropy(model(inputs), targets, "none").view_as(targets)
    if inputs.size(1) < SHORT:
        return whole, whole
    cut = inputs.unfold(1, SHORT, 1)  # (n, T - k + 1, k)
    logits = model(cut.flatten(0, 1), last=True)
    rest = cross_entropy(logits, targets[:, SHORT - 1 :].flatten(), "none").view(cut.shape[:2])
    return whole, torch.cat((whole[:, : SHORT - 1], rest), 1)


def classes(reference, trivial: float = TRIVIAL, context: float = CONTEXT) -> np.ndarray:
    """The class of each token that `reference`, a record with token losses, has: CLASSES' index.

    `trivial` and `context` are the thresholds in nats.
    """
    losses = reference.probes[-1]["tokens"]
    inputs, targets = windows(reference.config)
    gain = np.subtract(losses["short"], losses["whole"]).reshape(targets.shape)
    conditions = [
        count_losses(reference.config) < trivial,
        copied(inputs, targets),
        gain > context,
    ]
    return np.select(conditions, range(3), 3).ravel()


def class_losses(probe: dict, found: np.ndarray) -> dict[str, float]:
    """The mean loss of each class of tokens in a probe; that of context less and over trivial."""
    losses = np.array(probe["tokens"]["whole"])
    means = {f"loss_{name}": _mean(losses[found == i]) for i, name in enumerate(CLASSES)}
    difference = means["loss_context"] - means["loss_trivial"]
    ratio = np.log(means["loss_context"] / means["loss_trivial"])
    return means | {"context_minus_trivial": difference, "context_over_trivial": float(ratio)}


@cache
def count_losses(config) -> np.ndarray:
    """(N, T): the loss in nats of a count model of three tokens, which knows the training text.

    Witten & Bell (1991): each order gives the one below it as much weight as there are different
    tokens that followed. p(w|h) = (c(hw) + t(h) p(w|shorter h)) / (c(h) + t(h)).
    """
    text = load_text(config.data)
    inputs, targets = windows(config)
    size = len(text.ranks) + 1
    train = np.asarray(text.train, dtype=np.int64)
    law = np.full(targets.shape, 1 / size)
    histories = [(0 * train[1:], 0 * inputs), (train[:-1], inputs)]
    before = np.concatenate([inputs[:, :1] * 0 - 1, inputs[:, :-1]], 1)  # none before the first
    histories.append((train[:-2] * size + train[1:-1], before * size + inputs))
    for seen, asked in histories:
        law = _interpolated(law, seen, train[-len(seen) :], asked, targets, size)
    return -np.log(law)


def _interpolated(lower, seen, followers, asked, targets, size: int):
    """One order of the count model on top of the one below."""
    pairs, counts = np.unique(seen * size + followers, return_counts=True)
    histories, kinds = np.unique(pairs // size, return_counts=True)
    totals = np.bincount(np.searchsorted(histories, pairs // size), counts)
    total, kind = (_look_up(histories, z, asked) for z in (totals, kinds))
    count = _look_up(pairs, counts, np.where(asked < 0, -1, asked * size + targets))
    weight = np.maximum(total + kind, 1e-12)
    return np.where(total > 0, (count + kind * lower) / weight, lower)


def _look_up(keys, values, asked):
    """values[i] where keys[i] is asked for, 0 where there is none; keys are sorted."""
    at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[at] == asked, values[at], 0)


def copied(inputs, targets) -> np.ndarray:
    """(N, T): whether the pair (token, target) stands earlier in the window."""
    same = (inputs[:, :, None] == inputs[:, None]) & (targets[:, :, None] == targets[:, None])
    return np.tril(same, -1).any(-1)


def windows(config) -> tuple[np.ndarray, np.ndarray]:
    """The inputs and targets, each (N, T), whose losses a run keeps."""
    pair = load_text(config.data).validation_windows(config.probes.tokens, config.model.block_size)
    return tuple(part.numpy() for part in pair)


def _mean(values) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _rounded(tensor) -> list[float]:
    return np.round(tensor.double().flatten().cpu().numpy(), 3).tolist()
