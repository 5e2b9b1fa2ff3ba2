"""How large a model is, of its configuration alone: its weights, and the FLOPs of a token."""

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn as nn

from .emb_mlp import EmbMLP
from .model import GPT

MODELS = {"gpt": GPT, "emb_mlp": EmbMLP}  # kind of a configuration -> its class


@dataclass(frozen=True)
class Size:
    """How many weights a model has, and how many of them are in products of matrices."""

    weights: int
    in_products: int


@lru_cache
def size_of(model) -> Size:
    """Those of a model's configuration. torch's random numbers stay where they are.

    Small ones on the CPU: to draw an embedding on the device "meta" torch first imports for 1.6 s.
    """
    large = model.width * max(model.vocab_size, model.width) > 2**24  # may not fit into memory
    with torch.random.fork_rng(devices=()), torch.device("meta" if large else "cpu"):
        built = MODELS[model.kind](model)
    linear = [module.weight for module in built.modules() if isinstance(module, nn.Linear)]
    return Size(*(sum(w.numel() for w in of) for of in (built.parameters(), linear)))


def flops_per_token(config) -> int:
    """6 N + 12 L C T: forward and backward, after PaLM (arXiv 2204.02311), appendix B.

    N are the weights in matrix products: not the embedding table, which is looked up, nor the
    norms' gains. Attention counts in full, as is usual, though half of its scores are masked.
    An Emb-MLP goes through its matrices once a sequence.
    """
    weights = size_of(config).in_products
    if config.kind == "emb_mlp":
        return 6 * weights // config.block_size
    return 6 * weights + 12 * config.n_layer * config.width * config.block_size
