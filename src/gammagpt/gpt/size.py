"""How large a model is, of its configuration alone: its weights, and the FLOPs of a token."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """How many weights a model has, and how many of them are in products of matrices."""

    weights: int
    in_products: int


def size_of(model) -> Size:
    """Those of a model's configuration, counted as model.py and emb_mlp.py build it."""
    V, C = model.vocab_size, model.width
    if model.kind == "emb_mlp":
        return Size(V * C + C * model.hidden + model.hidden * V, (C + V) * model.hidden)
    block = (4 + model.gate) * C * C + 3 * C * model.hidden_size  # attention, MLP
    norms = 2 * C + 2 * model.head_size * model.qk_norm
    products = model.n_layer * block + V * C  # with the head
    ends = V * C * (not model.tied) + model.block_size * C * (model.positions == "learned")
    bias = V * (model.head_bias != "none")
    return Size(products + model.n_layer * norms + C + ends + bias, products)


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
