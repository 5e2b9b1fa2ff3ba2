"""How often each token stands in a training text: what a model learns first.

A model whose logits are the log frequencies predicts without looking at its context; its loss is
the unigram entropy, the plateau on which small initializations stay for a while. An output bias
that starts there (arXiv 2212.09686) has nothing of it left to learn.
"""

from functools import lru_cache

import numpy as np

from .text import DataConfig, Text, load_text


@lru_cache(maxsize=8)
def frequencies(config: DataConfig) -> np.ndarray:
    """(V,) float64, sums to 1: the share of each token in what batches are drawn from.

    The parts of a mixture count equally, as in its batches. Every token is counted once more than
    it occurs (our choice), so that one that the training text lacks has a finite logarithm.
    """
    text = load_text(config)
    size = len(text.ranks) + 1  # with the end-of-text token
    counts = [np.bincount(text.train[cut], minlength=size) + 1.0 for cut, _ in text.parts.values()]
    found = np.mean([count / count.sum() for count in counts], axis=0)
    found.flags.writeable = False  # shared by all who ask
    return found


def log_frequencies(config: DataConfig) -> np.ndarray:
    """(V,) float64: their logarithms, less the mean, which no softmax sees."""
    logs = np.log(frequencies(config))
    return logs - logs.mean()


def entropy(config: DataConfig) -> float:
    """The loss, in nats per token, of guessing by these frequencies: the unigram level."""
    shares = frequencies(config)
    return float(-(shares * np.log(shares)).sum())


def unigram_losses(text: Text) -> dict[str, float]:
    """The entropy in nats of the tokens of each part's validation text: guessing by frequency."""
    losses = {}
    for name, (_, cut) in text.parts.items():
        shares = np.unique(text.validation[cut], return_counts=True)[1] / (cut.stop - cut.start)
        losses[name] = float(-(shares * np.log(shares)).sum())
    return losses


def own_tokens(text: Text, least: int = 20, share: float = 0.9) -> dict[str, list[int]]:
    """Of each part of a mixture, the tokens that it has (nearly) for itself.

    Those seen at least `least` times, of whose rate over all parts this one has the `share`.
    """
    counts = {
        name: np.bincount(text.train[cut], minlength=len(text.ranks) + 1)
        for name, (cut, _) in text.parts.items()
    }
    rates = {name: count / count.sum() for name, count in counts.items()}
    total = np.maximum(sum(rates.values()), 1e-12)
    return {
        name: np.flatnonzero((counts[name] >= least) & (rate >= share * total)).tolist()
        for name, rate in rates.items()
    }
