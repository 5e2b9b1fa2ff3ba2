"""Bigram-Backcopy (arXiv 2410.13835): a task on which attention sinks certainly form.

    <s> c a T a b ...     a and b follow a bigram law; after a trigger T stands the token before T

Only behind a trigger is there anything to look back for. At every other token the next one depends
on nothing but this one, so a head that copies has nothing to do there, and softmax makes it look
somewhere. Token 0 is <s> and stands first, once; the triggers are the next tokens.

The law is ours, drawn from `law_seed`: popularity falls like 1 / rank, and what follows a token is
drawn around it (Dirichlet; smaller `concentration`: fewer likely followers). A trigger never stands
first or behind a trigger, so what is copied is never one. A run's seed draws what it trains on;
all runs are measured on the same sequences.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..project import require, require_least
from .fields import check_fields, fingerprinted

FORMAT = 1  # raise when a change here alters the sequences of the same configuration
MOST_TOKENS = 256  # the law is a table of this size squared, and a token a byte


@dataclass(frozen=True)
class BackcopyConfig:
    kind: str = "backcopy"
    vocab_size: int = 64
    triggers: int = 3
    concentration: float = 8.0
    law_seed: int = 0
    fingerprint: str = ""  # of this configuration; filled in by `pinned`

    def __post_init__(self):
        check_fields(self, "data.")
        require_least(1, self, ("triggers",), "data.")
        require_least(0, self, ("law_seed",), "data.")
        size, least = self.vocab_size, self.triggers + 3
        require(least <= size <= MOST_TOKENS, "data.vocab_size", size,
                f"is {least} to {MOST_TOKENS}: <s>, the triggers and two more at least")
        require(self.concentration > 0, "data.concentration", self.concentration, "is above 0")

    def pinned(self) -> "BackcopyConfig":
        """The same data with its fingerprint: sequences are made of nothing but these fields."""
        return fingerprinted(self, FORMAT)


@lru_cache(maxsize=8)
def bigram_law(config: BackcopyConfig) -> np.ndarray:
    """(V, V) float64: the share of each token (columns) behind each that is no trigger (rows).

    Rows of triggers are zero: what follows one is copied. Row 0 is of the first token behind <s>.
    """
    rng, size, end = np.random.default_rng(config.law_seed), config.vocab_size, _first(config)
    popular = 1 / np.arange(1, size)
    popular /= popular.sum()
    law = np.zeros((size, size))
    law[:, 1:] = rng.dirichlet(config.concentration * popular, size)
    law[0, 1:] = popular
    law[0, 1:end] = 0
    law[1:end] = 0
    law /= np.maximum(law.sum(1, keepdims=True), 1e-300)
    law.flags.writeable = False  # shared by all who ask
    return law


def training_sequences(config: BackcopyConfig, seed: int, count: int, length: int) -> np.ndarray:
    """(count, length) uint8: what a run of this seed trains on, each sequence once."""
    return _sequences(config, count, length, np.random.default_rng((config.law_seed, 1, seed)))


def validation_sequences(config: BackcopyConfig, count: int, length: int) -> np.ndarray:
    """(count, length) uint8: what every run is measured on."""
    return _sequences(config, count, length, np.random.default_rng((config.law_seed, 2)))


def behind_trigger(config: BackcopyConfig, tokens):
    """Of each token but the first, whether it stands behind a trigger: (N, T) of (N, T + 1)."""
    return _triggers(config, tokens[..., :-1])


@lru_cache(maxsize=8)
def least_losses(config: BackcopyConfig, count: int, length: int) -> dict[str, float]:
    """The least losses that can be reached on the validation sequences, in nats per token: of
    "others", the mean of -ln of the law's own shares; and of all ("validation"), of which those
    behind a trigger are certain and cost nothing."""
    tokens = validation_sequences(config, count, length)
    copied = behind_trigger(config, tokens)
    others = -np.log(bigram_law(config)[tokens[:, :-1], tokens[:, 1:]][~copied])
    return {"others": float(others.mean()), "validation": float(others.sum() / copied.size)}


def _first(config: BackcopyConfig) -> int:
    """The first token that is neither <s> nor a trigger."""
    return config.triggers + 1


def _triggers(config: BackcopyConfig, tokens):
    return (tokens > 0) & (tokens < _first(config))


def _sequences(config: BackcopyConfig, count: int, length: int, rng) -> np.ndarray:
    """Token by token, all sequences at once: by the law, or copied behind a trigger."""
    edges = np.cumsum(bigram_law(config), axis=1)
    edges /= np.maximum(edges[:, -1:], 1e-300)
    tokens = np.zeros((count, length), np.uint8)
    draws = rng.random((length, count))
    for i in range(1, length):
        before = tokens[:, i - 1]
        drawn = (draws[i][:, None] >= edges[before]).sum(1)
        tokens[:, i] = np.where(_triggers(config, before), tokens[:, max(i - 2, 0)], drawn)
    return tokens
