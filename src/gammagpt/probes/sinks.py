"""Attention sinks: heads that give much of their attention to the first token, whatever it is.

The measure is that of arXiv 2410.10781, with its threshold; the windows are validation text.
"""

import torch

from ..data.text import load_text
from .geometry import attention_maps

THRESHOLD = 0.3


@torch.no_grad()
def sinks(model, config) -> dict[str, float]:
    """`sink_rate` and `first_token` of a GPT on `config.probes.sinks` validation windows."""
    text = load_text(config.data)
    inputs, _ = text.validation_windows(config.probes.sinks, config.model.block_size)
    maps = attention_maps(model, inputs.to(model.embedding.weight.device))
    return {"sink_rate": sink_rate(maps), "first_token": first_token(maps).mean().item()}


def sink_rate(maps, threshold: float = THRESHOLD) -> float:
    """Share of heads, over layers and sequences, that give the first token more than `threshold`.

    maps: the attention (N, H, T, T) of every layer, rows sum to one.
    """
    return (first_token(maps) > threshold).double().mean().item()


def first_token(maps) -> torch.Tensor:
    """(L, N, H): what each head gives to the first token, mean over all tokens that look.

    A head that looks at all tokens before alike gives it the mean of 1/i: .07 at 64 tokens.
    """
    return torch.stack([layer[..., 0].double().mean(-1) for layer in maps])
