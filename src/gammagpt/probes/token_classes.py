"""Classes of tokens, and how much a run's losses differ between them.

The classes are ours: what P1 (arXiv 2606.17945) calls non-trivial and context-constrained is not
defined in its abstract. Counting, and a reference run that is never compared, assign them: a class
chosen by the losses that are compared would hold their own luck.

trivial      bigrams and copying give the target a loss below TRIVIAL
constrained  else, the reference gains CONSTRAINED by seeing the whole window, not its last tokens
rest         what is left

Shapes in comments: N windows, T tokens of each.
"""

from functools import cache

import numpy as np

from ..data.text import load_text

CLASSES = ("trivial", "constrained", "rest")
TRIVIAL = 2.0  # nats
CONSTRAINED = 0.5  # nats
DECILES = 10
OUTER = 2  # deciles at either end are called rare, and frequent
STRENGTHS = 2.0 ** np.arange(-2, 8)  # of bigrams against copying, in copies


def classes(reference, trivial: float = TRIVIAL, constrained: float = CONSTRAINED) -> np.ndarray:
    """(N T,) the class of each token that `reference`, a record with token losses, has: an index
    of CLASSES. `trivial` and `constrained` are the thresholds in nats."""
    losses = reference.probes[-1]["tokens"]
    gain = np.subtract(losses["short"], losses["whole"])
    known = count_losses(reference.config).ravel() < trivial
    return np.select([known, gain > constrained], range(2), 2)


def windows(config) -> tuple[np.ndarray, np.ndarray]:
    """The inputs and targets, each (N, T), whose losses a run keeps."""
    text = load_text(config.data)
    tokens = text.validation_tokens(config.probes.tokens, config.model.block_size)
    return tokens[:, :-1], tokens[:, 1:]


@cache
def deciles(config) -> np.ndarray:
    """(N T,) from 0, the rarest targets, to 9: by how often a target stands in the training text.
    A tenth of the tokens each, but that one and the same target is never in two of them."""
    text, (_, targets) = load_text(config.data), windows(config)
    often = np.bincount(text.train, minlength=len(text.ranks) + 1)[targets.ravel()]
    order = np.sort(often)
    middle = (np.searchsorted(order, often) + np.searchsorted(order, often, "right")) / 2
    return np.minimum(DECILES * middle // len(often), DECILES - 1).astype(int)


def class_losses(probe: dict, kinds: np.ndarray, tenths: np.ndarray) -> dict[str, float]:
    """What claims on tokens are about, of one run's losses in nats; nan for want of tokens.

    loss_<class>                    the mean of each class
    constrained_minus_trivial       so much more is lost on constrained tokens; ..._rest likewise
    constrained_over_trivial        ln of the factor
    constrained_minus_trivial_matched    among tokens that are equally frequent: `matched`
    rare_minus_frequent             of the two rarest tenths less that of the two most frequent
    """
    losses = np.array(probe["tokens"]["whole"])
    own = {name: _mean(losses[kinds == i]) for i, name in enumerate(CLASSES)}
    rare, frequent = losses[tenths < OUTER], losses[tenths >= DECILES - OUTER]
    return {f"loss_{name}": loss for name, loss in own.items()} | {
        "constrained_minus_trivial": own["constrained"] - own["trivial"],
        "constrained_minus_rest": own["constrained"] - own["rest"],
        "constrained_over_trivial": float(np.log(own["constrained"] / own["trivial"])),
        "constrained_minus_trivial_matched": matched(losses, kinds, tenths),
        "rare_minus_frequent": _mean(rare) - _mean(frequent),
    }


def matched(losses, kinds, tenths) -> float:
    """Constrained less trivial tokens within each tenth of the frequencies, and the mean of that:
    a tenth with a and b of them weighs a b / (a + b), by what it can tell."""
    total = weight = 0.0
    for tenth in range(DECILES):
        one, other = (losses[(tenths == tenth) & (kinds == kind)] for kind in (1, 0))
        if len(one) and len(other):
            share = len(one) * len(other) / (len(one) + len(other))
            total += share * (one.mean() - other.mean())
            weight += share
    return float(total / weight) if weight else float("nan")


@cache
def count_losses(config) -> np.ndarray:
    """(N, T) the loss in nats of a model that counts: bigrams of the training text, and what
    followed the same token earlier in the window.

    Bigrams by Witten & Bell (1991): each order gives the one below it as much weight as there are
    different tokens that followed. Where n copies of the token before stand in the window, c of
    them followed by the target, p = (c + k bigram) / (n + k); k is what predicts these windows
    best.
    """
    text = load_text(config.data)
    inputs, targets = windows(config)
    size = len(text.ranks) + 1
    train = np.asarray(text.train, dtype=np.int64)
    law = np.full(targets.shape, 1 / size)
    for seen, asked in [(0 * train[1:], 0 * inputs), (train[:-1], inputs)]:
        law = _interpolated(law, seen, train[1:], asked, targets, size)
    copies, followed = copied(inputs, targets)
    losses = [-np.log((followed + k * law) / (copies + k)) for k in STRENGTHS]
    return min(losses, key=np.mean)


def copied(inputs, targets) -> tuple[np.ndarray, np.ndarray]:
    """(N, T) each: how often the token before the target stands earlier in the window, and how
    often the target followed it there."""
    before = np.tril(inputs[:, :, None] == inputs[:, None], -1)
    return before.sum(-1), (before & (targets[:, :, None] == targets[:, None])).sum(-1)


def _interpolated(lower, seen, followers, asked, targets, size: int):
    """One order of the count model on top of the one below."""
    pairs, counts = np.unique(seen * size + followers, return_counts=True)
    histories, kinds = np.unique(pairs // size, return_counts=True)
    totals = np.bincount(np.searchsorted(histories, pairs // size), counts)
    total, kind = (_look_up(histories, z, asked) for z in (totals, kinds))
    count = _look_up(pairs, counts, asked * size + targets)
    weight = np.maximum(total + kind, 1e-12)
    return np.where(total > 0, (count + kind * lower) / weight, lower)


def _look_up(keys, values, asked):
    """values[i] where keys[i] is asked for, 0 where there is none; keys are sorted."""
    at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[at] == asked, values[at], 0)


def _mean(values) -> float:
    return float(values.mean()) if len(values) else float("nan")
