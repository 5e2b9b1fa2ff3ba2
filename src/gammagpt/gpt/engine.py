"""What does a training step: one model, or a stack of models of one shape as one program.

A Single is the plain model with torch's own AdamW: the reference. A Stack gives every weight a
leading member dimension, maps the same plain model over it (torch.func.vmap: a Linear becomes one
batched matrix product) and updates all members at once, each with its own learning rate, decay,
betas and clipping. Members never mix: each gets what it would get alone, up to rounding.

Shapes in comments: M members, B batch, T tokens.
"""

import copy
import math
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import torch
import torch.nn as nn
from torch.func import functional_call, vmap

from ..data import unigrams
from ..project import UserError
from .audit import audit_init
from .config import RunConfig
from .device import autocast, compiled_or_not, reference_numerics
from .emb_mlp import EmbMLP
from .init import gamma_init_
from .model import GPT, RMSNorm, cross_entropy, library_kernel, run_block, written_out
from .optim import StackedAdamW, make_optimizers, stacked_adamw_
from .parallel import ALONE
from .schedule import learning_rate
from .scores import mean_scores, score_sums

MODELS = {"gpt": GPT, "emb_mlp": EmbMLP}  # kind of a configuration -> its class
WRITTEN_OUT_UP_TO = 256  # tokens; beyond, the library's attention wins (benchmarks/README.md)
BLOCKS = "blocks"  # a way to compile: see _compile_blocks


@reference_numerics()
def build_model(config: RunConfig) -> nn.Module:
    """The model of a run at step 0, on the CPU: drawn from its seed by its gamma or std.

    An output bias starts at zero, or at the log frequencies of the tokens of the training text.
    """
    model = MODELS[config.model.kind](config.model)
    gamma_init_(model, **asdict(config.init), seed=config.seed)
    if getattr(config.model, "head_bias", "none") == "unigram":
        model.head.bias.data.copy_(torch.from_numpy(unigrams.log_frequencies(config.data)))
    return model


@reference_numerics()
def audit(config: RunConfig):
    """audit_init's frame for the model of a run at step 0, and a row for its output bias.

    A bias is the weight of an input that is always 1, so its d_in is 1; it must be what
    build_model starts it at, exactly.
    """
    model = build_model(config)
    table = audit_init(model, **asdict(config.init))
    bias = getattr(model.head, "bias", None)
    if bias is None:
        return table
    unigram = config.model.head_bias == "unigram"
    start = unigrams.log_frequencies(config.data) if unigram else np.zeros(len(bias))
    spread = float(np.sqrt(np.square(start).mean()))
    exact = bool(np.array_equal(bias.detach().numpy(), start.astype("float32")))
    row = {"tensor": "head.bias", "shape": f"{len(bias)}", "d_in": 1, "std": spread,
           "gamma": math.nan, "expected": spread, "tolerance": 0.0, "ok": exact}
    return pd.concat([table, pd.DataFrame([row])], ignore_index=True)


def shape(config: RunConfig) -> RunConfig:
    """What the members of a stack have in common: a run without what each has for itself.

    Muon and AdamH are for one model at a time: such a run shares its shape with no other.
    """
    if config.optim.hidden_update != "adamw":
        return config
    default, model = RunConfig(), config.model
    if model.kind == "gpt":
        model = replace(model, norm_eps=default.model.norm_eps)
    return replace(config, model=model, init=default.init, optim=default.optim, seed=default.seed)


def make_engine(configs: list[RunConfig], device: torch.device, compiled, group=ALONE):
    """A Single for one run (of this process, or of a group of them), a Stack for several.

    `compiled` is False, True (the whole step) or BLOCKS, which compiles a GPT's block once for all
    its layers and all runs of its shape; a Stack, whose layers are small, is then compiled whole.

    torch's AdamW knows no relative steps: a run with these is a Stack of one.
    """
    if len(configs) == 1 and not configs[0].optim.relative:
        return Single(configs, device, compiled, group)
    if group.count > 1:
        raise UserError(
            f"stack: got {len(configs)} runs, allowed on several processes is one, "
            "with optim.relative false"
        )
    return Stack(configs, device, compiled)


class Loss(nn.Module):
    """A model whose forward pass ends with its loss: what vmap and data parallelism can wrap."""

    entropy = staticmethod(cross_entropy)  # or a compiled one: the engine chooses

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, inputs, targets, measured: bool = False):
        """The mean loss; or, to measure it, the sums of probes.score_sums."""
        logits = self.model(inputs, last=targets.ndim == 1)
        return score_sums(logits, targets) if measured else self.entropy(logits, targets)


class Single:
    """One plain model and torch's fused AdamW, or AdamW and another for the hidden matrices."""

    def __init__(self, configs, device, compiled, group=ALONE):
        [self.config] = configs
        self.device = device
        self.model = build_model(self.config)
        loss, whole = Loss(self.model), compiled and compiled != BLOCKS
        if compiled == BLOCKS:
            _compile_blocks(loss, device)
        self.model.to(device)
        _choose_attention(self.model, device, compiled)
        self.loss = group.wrapped(loss)
        self.optimizers = make_optimizers(self.model, self.config.optim)
        self._loss_of = compiled_or_not(single_loss, device, whole)

    def step(self, inputs, targets, step: int):
        """Train on a batch, inputs and targets (1, B, T); the loss before the step, (1,)."""
        optim = self.config.optim
        with autocast(self.device, self.config.precision):
            loss = self._loss_of(self.loss, inputs[0], targets[0])
        loss.backward()
        if optim.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), optim.clip)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(optim, step, self.config.steps)
            optimizer.step()
            optimizer.zero_grad()
        return loss.detach()[None]

    @torch.no_grad()
    def scores(self, inputs, targets):
        """What mean_scores gives, of one member; inputs (1, N, T), targets (1, N, T) or (1, N)."""
        loss = Loss(self.model)
        return mean_scores(lambda x, y: loss(x[0], y[0], True)[None], inputs, targets)

    def plain(self, member: int) -> nn.Module:
        """The plain model with the weights of a member."""
        return self.model

    def weights(self, member: int) -> dict[str, torch.Tensor]:
        """The weights of a member, by their names in the plain model."""
        return {name: weight.detach() for name, weight in self.model.named_parameters()}


class Stack:
    """Several models of one shape; the same surface as a Single, with M members."""

    def __init__(self, configs, device, compiled):
        self.config, self.device = configs[0], device
        losses = [Loss(build_model(config)) for config in configs]
        self._weights = _stacked([dict(loss.named_parameters()) for loss in losses], device)
        trained = {name for name, weight in losses[0].named_parameters() if weight.requires_grad}
        self._trained = [w.requires_grad_() for n, w in self._weights.items() if n in trained]
        self._eps = _stacked([_eps_as_buffers(loss) for loss in losses], device)
        self._base = losses[0].to(device)  # only its structure is used
        _choose_attention(self._base.model, device, compiled, stacked=True)
        self._losses_of = compiled_or_not(stacked_losses, device, compiled)
        update = compiled_or_not(stacked_adamw_, device, compiled)
        optims = [config.optim for config in configs]
        self.optimizer = StackedAdamW(self._trained, optims, self.config.steps, update)

    def step(self, inputs, targets, step: int):
        """Train on batches, inputs and targets (M, B, T); the losses before the step, (M,)."""
        with autocast(self.device, self.config.precision):
            losses = self._losses_of(self._base, self._weights, self._eps, inputs, targets)
        gradients = torch.autograd.grad(losses.sum(), self._trained)
        self.optimizer.step(gradients, losses.detach(), step)
        return losses.detach()

    @torch.no_grad()
    def scores(self, inputs, targets):
        """What mean_scores gives, of each member; a leading 1 means the same for all members."""

        def sums(x, y):
            return stacked_losses(self._base, self._weights, self._eps, x, y, True)

        count = len(self.optimizer.alive)
        return mean_scores(sums, *(z.expand(count, *z.shape[1:]) for z in (inputs, targets)))

    def plain(self, member: int) -> nn.Module:
        """The plain model with the weights of a member: a copy."""
        model = copy.deepcopy(self._base.model)
        state = {n.removeprefix("model."): e[member] for n, e in self._eps.items()}
        own = dict(model.named_parameters()) | dict(model.named_buffers())  # a tied head is one
        for name, value in (self.weights(member) | state).items():
            own[name].data.copy_(value)
        return model

    def weights(self, member: int) -> dict[str, torch.Tensor]:
        """The weights of a member, by their names in the plain model."""
        pairs = self._weights.items()
        return {name.removeprefix("model."): w[member].detach() for name, w in pairs}


def single_loss(loss: Loss, inputs, targets):
    """A function and no method, so that all models of one shape share one compiled program."""
    return loss(inputs, targets)


def stacked_losses(base, weights, eps, inputs, targets, measured=False):
    """The loss of every member, (M,), or its sums, (M, 3): `base` with the weights of each."""

    def loss(weights, eps, inputs, targets):  # of one member
        return functional_call(base, (weights, eps), (inputs, targets, measured))

    return vmap(loss)(weights, eps, inputs, targets)


def _stacked(members: list[dict], device) -> dict[str, torch.Tensor]:
    """{name: (...)} of each member -> {name: (M, ...)}."""
    return {
        name: torch.stack([member[name].detach() for member in members]).to(device)
        for name in members[0]
    }


def _eps_as_buffers(model) -> dict[str, torch.Tensor]:
    """Make each norm's eps a tensor, which can be stacked like a weight; returns them by name."""
    norms = {name: child for name, child in model.named_modules() if isinstance(child, RMSNorm)}
    for norm in norms.values():
        eps = torch.tensor(norm.eps)
        del norm.eps
        norm.register_buffer("eps", eps)
    return {f"{name}.eps": norm.eps for name, norm in norms.items()}


def _compile_blocks(loss: Loss, device) -> None:
    """Compile a model's block and the cross-entropy, while it trains: seconds, not a minute.

    A program fits all layers and all runs of a shape, whatever the norms' eps and the head.
    """
    _eps_as_buffers(loss.model)  # an eps that is a number would be a program of its own
    block = compiled_or_not(run_block, device, True)

    def run(*arguments):
        return (block if torch.is_grad_enabled() else run_block)(*arguments)

    loss.model.run_block = run
    loss.entropy = compiled_or_not(cross_entropy, device, True)


def _choose_attention(model: nn.Module, device, compiled, stacked: bool = False) -> None:
    """vmap and the compiler gain from plain operations; at long T the scores weigh too much.

    On a GPU they always do, but under vmap, which has no rule for the library's kernel.
    """
    short = model.config.block_size <= WRITTEN_OUT_UP_TO
    plain = short and (stacked or (compiled and device.type == "cpu"))
    for block in getattr(model, "blocks", ()):
        block.attention.attend = written_out if plain else library_kernel
