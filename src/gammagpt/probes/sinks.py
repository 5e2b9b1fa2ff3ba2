"""Attention sinks: heads that give much of their attention to the first token, whatever it is.

The measure is that of arXiv 2410.10781, with its threshold; the windows are those of validation.
"""

from contextlib import ExitStack

import torch

from ..data.batches import validation_inputs
from .geometry import attention_maps

THRESHOLD = 0.3


@torch.no_grad()
def sinks(model, config) -> dict[str, float]:
    """`sink_rate` and `first_token` of a GPT on `config.probes.sinks` validation windows.

    On Bigram-Backcopy, where the first token is always the same, `value_drain` too, and `map`: the
    attention of the head that gives it most, on the first window, a row a token that looks.
    """
    inputs = validation_inputs(config, config.probes.sinks).to(model.embedding.weight.device)
    maps = attention_maps(model, inputs)
    found = {"sink_rate": sink_rate(maps), "first_token": first_token(maps).mean().item()}
    if config.data.kind == "backcopy":
        found |= {"value_drain": value_drain(model, inputs), "map": _strongest(maps)}
    return found


def _strongest(maps) -> list[list[float]]:
    """The rows of one map, each up to the token that looks; to three digits, as in a picture."""
    layer, head = divmod(int(first_token(maps).mean(1).argmax()), maps[0].size(1))
    rows = maps[layer][0, head].tolist()
    return [[round(share, 3) for share in row[: i + 1]] for i, row in enumerate(rows)]


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


@torch.no_grad()
def value_drain(model, tokens) -> float:
    """How long the first token's value is beside the others' (arXiv 2410.13835): the ratio of its
    norm to their mean, mean over heads and layers. A sink that adds nothing has 0. tokens (N, T)"""
    ratios = []

    def measure(layer, given, values):
        n_head = model.config.n_head
        norms = values.unflatten(-1, (n_head, -1)).double().norm(dim=-1)  # (N, T, H)
        ratios.append(norms[:, 0].mean(0) / norms[:, 1:].mean((0, 1)))  # (H,)

    with ExitStack() as hooks:
        for block in model.blocks:
            hooks.callback(block.attention.value.register_forward_hook(measure).remove)
        model(tokens)
    return torch.stack(ratios).mean().item()
