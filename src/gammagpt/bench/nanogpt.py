"""A training step of karpathy/nanoGPT, from a checkout of it: what our speed is compared with.

Nothing of it is copied: its model.py is imported from the folder that the user names.
"""

import importlib.util
import io
import sys
from contextlib import redirect_stdout
from pathlib import Path

import torch
import torch.nn as nn

from ..gpt.device import autocast
from ..project import UserError

NAME = "karpathy/nanoGPT"
ALLOWED = f"allowed is a checkout of {NAME}: a folder whose model.py has GPT and GPTConfig"


def load(folder: str):
    """The module of its model.py. Raises UserError for a folder without one that works."""
    file = Path(folder) / "model.py"
    if not file.is_file():
        raise UserError(f"peer: got {str(folder)!r}, {ALLOWED}")
    spec = importlib.util.spec_from_file_location("nanogpt_model", file)
    module = sys.modules["nanogpt_model"] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        module.GPT, module.GPTConfig  # noqa: B018
    except Exception as error:  # it may raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"peer: got {str(folder)!r} ({reason}), {ALLOWED}") from None
    return module


def build(folder: str, shape, device):
    """(model, optimizer) of this shape, in the settings of its train.py."""
    module, m = load(folder), shape.model
    sizes = {"n_layer": m.n_layer, "n_head": m.n_head, "n_embd": m.width}
    sizes |= {"block_size": m.block_size, "vocab_size": m.vocab_size}
    torch.backends.cuda.matmul.allow_tf32 = True  # as its train.py
    with redirect_stdout(io.StringIO()):  # it prints its size; our output may be JSON
        model = module.GPT(module.GPTConfig(**sizes, dropout=0.0, bias=False)).to(device)
        own = model.configure_optimizers(0.1, 6e-5, (0.9, 0.95), device.type)
    return model, _fused(own)


def training_step(folder: str, shape, inputs, targets, device, compiled: bool):
    """A function that does what one iteration of its train.py does; inputs, targets: (B, T)."""
    model, optimizer = build(folder, shape, device)
    forward = torch.compile(model) if compiled else model

    def step() -> None:
        with autocast(device, shape.precision):
            _, loss = forward(inputs, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _fused(optimizer):
    """The same AdamW in its fastest form, which its own code asks for on a GPU only."""
    groups = [{k: g[k] for k in ("params", "weight_decay")} for g in optimizer.param_groups]
    lr, betas = (optimizer.defaults[k] for k in ("lr", "betas"))
    return torch.optim.AdamW(groups, lr=lr, betas=betas, fused=True)
