"""What epsilon does to norms: how much of an RMSNorm's output is left where weights are small."""

import math
from dataclasses import replace
from itertools import product

import pandas as pd
import torch

from ..gpt.config import InitConfig
from ..gpt.engine import build_model
from ..gpt.model import RMSNorm

NORMS = {"norm1": "attention", "norm2": "MLP", "norm": "head"}  # a norm -> what reads it


def first_norm(width: int, gamma: float, eps: float) -> float:
    """RMS after the first norm, s / sqrt(s^2 + eps) with s = width^-gamma; one if eps is small."""
    return 1 / math.sqrt(1 + eps * width ** (2 * gamma))


def biting_width(gamma: float, eps: float) -> float:
    """The width at which eps equals the mean square d^-2gamma: the first norm puts out .71."""
    return eps ** (-1 / (2 * gamma))


def first_norms(widths, gammas, eps_values) -> pd.DataFrame:
    """A row a width, gamma and epsilon: mean square, RMS after the first norm, and where eps bites.

    `both alike at`: the width at which epsilon equals the mean square.
    """
    rows = [(width, gamma, eps, width ** (-2 * gamma), first_norm(width, gamma, eps),
             biting_width(gamma, eps)) for width, gamma, eps in product(widths, gammas, eps_values)]
    columns = ["width", "gamma", "epsilon", "mean square", "RMS after the norm", "both alike at"]
    return pd.DataFrame(rows, columns=columns)


def norm_levels(base, widths, gammas, eps_values) -> pd.DataFrame:
    """RMS after every norm of models like that of the run `base`, just drawn.

    Columns: gamma, width, eps, norm (what reads it: "attention 1", ..., "head"), rms.
    """
    rows = []
    for gamma, width in product(gammas, widths):
        # a head number that divides every even width: it plays no part in the sizes
        heads = math.gcd(base.model.n_head, width // 2)
        shape = replace(base.model, width=width, n_head=heads, hidden=0)
        model = build_model(replace(base, model=shape, init=InitConfig(gamma=gamma)))
        for eps in eps_values:
            levels = after_norms(model, eps)
            rows += [(gamma, width, eps, name, rms) for name, rms in levels.items()]
    return pd.DataFrame(rows, columns=["gamma", "width", "eps", "norm", "rms"])


@torch.no_grad()
def after_norms(model, eps: float, tokens: int = 256) -> dict[str, float]:
    """RMS of what each norm puts out, at this eps, for about so many random tokens."""
    levels, hooks, config = {}, [], model.config
    for name, norm in model.named_modules():
        if isinstance(norm, RMSNorm):
            norm.eps = eps
            hooks.append(norm.register_forward_hook(_note(levels, _reader(name))))
    shape = math.ceil(tokens / config.block_size), config.block_size
    generator = torch.Generator().manual_seed(0)
    model(torch.randint(config.vocab_size, shape, generator=generator))
    for hook in hooks:
        hook.remove()
    return levels


def _note(levels: dict, name: str):
    def hook(module, inputs, output):
        levels[name] = output.double().square().mean().sqrt().item()

    return hook


def _reader(name: str) -> str:
    """'blocks.0.norm1' -> 'attention 1'."""
    *block, norm = name.split(".")
    return f"{NORMS[norm]} {int(block[-1]) + 1}" if block else NORMS[norm]


def halving_width(gamma: float, eps: float) -> float:
    """Where 1 / sqrt(1 + eps d^2gamma) is a half: 1 + eps d^2gamma = 4."""
    return (3 / eps) ** (1 / (2 * gamma))
