"""One training loop. A run is a pure function of its RunConfig."""

import math
import time

import torch

from .data import load_text
from .device import autocast, describe, pick_device
from .init import gamma_init_
from .model import GPT
from .optim import learning_rate, make_adamw
from .probes import even_steps, log_steps, spectra, validation_loss
from .runs import Record, RunConfig, provenance

TRAIN_POINTS = 100  # points of the training curve, each a mean over the steps since the last


def build_model(config: RunConfig) -> GPT:
    """The model of a run at step 0, on the CPU: drawn from its seed by its gamma or std."""
    init = config.init
    return gamma_init_(
        GPT(config.model), init.gamma, std=init.std,
        residual_scaling=init.residual_scaling, seed=config.seed,
    )  # fmt: skip


def train(config: RunConfig, *, device=None, rules=None, progress=None) -> Record:
    """Train one model and return its record; writes nothing.

    `progress(step, loss)` is called after every step (loss in nats, a float).
    Raises UserError for bad data or a device that is not here.
    """
    start = time.perf_counter()
    device, config = pick_device(device), config.pinned()
    text = load_text(config.data, config.model.block_size)
    model = build_model(config).to(device)
    log = Log(config, text, device)
    diverged_at = _train_steps(config, model, text, device, log, progress)
    loss = log.final_loss(model) if diverged_at is None else None
    if loss is not None and not math.isfinite(loss):
        diverged_at, loss = config.steps, None
    return Record(
        config=config,
        status="ok" if diverged_at is None else "diverged",
        diverged_at=diverged_at,
        curves={"train": log.train, "validation": log.validation},
        probes=log.probes,
        final={"validation_loss": loss},
        provenance=provenance(describe(device), time.perf_counter() - start, rules),
    )


def _train_steps(config, model, text, device, log, progress) -> int | None:
    """All steps of a run. Returns the step at which the loss was no longer finite, or None."""
    optimizer = make_adamw(model, config.optim)
    batches = text.batches(config.seed, config.batch_size, config.model.block_size)
    if not log.measure(model, 0):
        return 0
    for step in range(config.steps):
        inputs, targets = (part.to(device) for part in next(batches))
        with autocast(device, config.precision):
            loss = model.loss(inputs, targets)
        loss.backward()
        if config.optim.clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.optim.clip)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config.optim, step, config.steps)
        optimizer.step()
        optimizer.zero_grad()
        value = loss.item()
        if not math.isfinite(value):
            return step
        log.add(step, value)
        if not log.measure(model, step + 1):
            return step + 1
        if progress:
            progress(step, value)
    return None


class Log:
    """The curves and probes of one run, measured at the steps that its ProbeConfig asks for."""

    def __init__(self, config: RunConfig, text, device):
        probes, steps = config.probes, config.steps
        self.train, self.validation, self.probes, self._recent = [], [], [], []
        self._train_every = max(1, steps // TRAIN_POINTS)
        self._loss_steps = even_steps(probes.losses, steps)
        self._spectra_steps = log_steps(probes.spectra, steps)
        length = config.model.block_size

        def windows(count):
            return [part.to(device) for part in text.validation_windows(count, length)]

        self._windows, self._final_windows = windows(probes.windows), windows(probes.final_windows)

    def add(self, step: int, loss: float) -> None:
        self._recent.append(loss)
        if (step + 1) % self._train_every == 0:
            self.train.append([step + 1, _short(sum(self._recent) / len(self._recent))])
            self._recent = []

    def measure(self, model, step: int) -> bool:
        """What is due at this step. Returns False if a weight or the loss is not finite."""
        if step in self._spectra_steps:
            if not all(weight.isfinite().all() for weight in model.parameters()):
                return False
            self.probes.append({"step": step, "tensors": _shorten(spectra(model))})
        if step in self._loss_steps:
            loss = validation_loss(model, *self._windows)
            if not math.isfinite(loss):
                return False
            self.validation.append([step, _short(loss)])
        return True

    def final_loss(self, model) -> float:
        return validation_loss(model, *self._final_windows)


def _short(value: float) -> float:
    """Six significant digits: what a curve needs, in a file that stays small."""
    return float(f"{value:.6g}")


def _shorten(tree):
    if isinstance(tree, dict):
        return {key: _shorten(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_shorten(value) for value in tree]
    return _short(tree)
