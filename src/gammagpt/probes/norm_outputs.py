"""Where a norm's epsilon bites: the root mean square of what each RMSNorm gets and gives.

A norm gives x / sqrt(mean(x^2) + eps), before its gain: its root mean square is 1 where eps is
small beside mean(x^2), and less where it is not.
"""

from contextlib import ExitStack

import torch

from ..data.text import load_text
from ..gpt.model import RMSNorm

BATCH = 32  # windows looked at together


@torch.no_grad()
def norm_outputs(model, config) -> dict[str, list[float]]:
    """`input` and `output` of every norm, first to last, on `config.probes.norms` windows.

    Root mean squares over all tokens; the gain is left out. Windows are validation text.
    """
    windows, _ = load_text(config.data).validation_windows(
        config.probes.norms, config.model.block_size
    )
    norms = [module for module in model.modules() if isinstance(module, RMSNorm)]
    seen = {norm: [] for norm in norms}
    with ExitStack() as hooks:
        for norm in norms:
            hooks.callback(norm.register_forward_pre_hook(_watch(seen)).remove)
        for batch in windows.to(model.embedding.weight.device).split(BATCH):
            model(batch)
    levels = [_root_means(torch.cat(seen[norm]), float(norm.eps)) for norm in norms]
    return {"input": [i for i, _ in levels], "output": [o for _, o in levels]}


def _watch(seen):
    """A hook that keeps the mean square of every token that a norm gets."""

    def keep(norm, arguments):
        seen[norm].append(arguments[0].float().square().mean(-1).flatten())

    return keep


def _root_means(squares, eps: float) -> tuple[float, float]:
    """Of the tokens' mean squares: the norm's input and its output, as root mean squares."""
    given = (squares / (squares + eps)).mean().sqrt()
    return squares.mean().sqrt().item(), given.item()
