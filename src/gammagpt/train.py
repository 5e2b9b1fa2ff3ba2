"""One training loop, for one run or for a stack of them. A run is a pure function of its RunConfig.

The loop never waits for the device: losses stay there, and are looked at together at the steps
where something is measured, at least a hundred times a run.
"""

import itertools
import math
import time

import torch

from .data import load_text
from .device import describe, keep_freed_memory, pick_device
from .engine import make_engine, shape
from .parallel import ALONE
from .probes import even_steps, log_steps, spectra
from .project import UserError
from .runs import Record, RunConfig, provenance

TRAIN_POINTS = 100  # points of the training curve, each a mean over the steps since the last


def train(
    config: RunConfig, *, device=None, compiled=False, rules=None, progress=None, group=ALONE
) -> Record:
    """Train one model and return its record; writes nothing.

    `progress(step, loss)` is called for every step (loss in nats, a float), some steps at once.
    The processes of a `group` (parallel.py) train it together, all by the same call.
    Raises UserError for bad data or a device that is not here.
    """
    named = {"device": device, "compiled": compiled, "rules": rules, "progress": progress}
    return train_stack([config], group=group, **named)[0]


def train_stack(
    configs, *, device=None, compiled=False, rules=None, progress=None, group=ALONE
) -> list[Record]:
    """Train the members of a stack at once; their records, in the order of `configs`.

    The configurations may differ in init, optim, seed and norm_eps, and in nothing else
    (UserError). A member's record is that of the same run alone, up to rounding. The loss that
    `progress` gets is the mean over the members that have not diverged.
    """
    start = time.perf_counter()
    keep_freed_memory()
    device, configs = pick_device(device), [config.pinned() for config in configs]
    if len({shape(config) for config in configs}) != 1:
        raise UserError("stack: its runs may differ in init, optim, seed and norm_eps only")
    text = load_text(configs[0].data, configs[0].model.block_size)
    logs = [Log(config) for config in configs]
    engine = make_engine(configs, device, compiled, group)
    windows = Windows(configs, text, device, group.share(configs[0].batch_size))
    _run(engine, logs, windows, group, progress)
    seconds = (time.perf_counter() - start) / len(configs)
    origin = provenance(describe(device), seconds, rules)
    origin |= {"members": len(configs), "processes": group.count}
    return [log.record(origin) for log in logs]


def _run(engine, logs, windows, group, progress) -> None:
    """All steps; what came out is in the logs."""
    stops = sorted(logs[0].stops)  # the same for all members; the first is 0, the last the end
    _measure(engine, logs, windows, 0)
    for since, until in itertools.pairwise(stops):
        if not any(log.alive for log in logs):
            return
        losses = [engine.step(*windows.train(step), step) for step in range(since, until)]
        losses = group.mean(torch.stack(losses)).tolist()  # waits for the device
        for step, row in enumerate(losses, since):
            for log, loss in zip(logs, row, strict=True):
                log.add(step, loss)
            alive = [loss for log, loss in zip(logs, row, strict=True) if log.alive]
            if progress and alive:
                progress(step, sum(alive) / len(alive))
        _measure(engine, logs, windows, until)
    _finish(engine, logs, windows)


def _measure(engine, logs, windows, step: int) -> None:
    """The spectra and validation losses that are due at this step."""
    for member, log in enumerate(logs):
        if log.alive and step in log.spectra_steps:
            log.add_spectra(step, engine.weights(member))
    if step in logs[0].loss_steps:
        for log, loss in zip(logs, engine.validation_losses(*windows.validation), strict=True):
            log.add_validation(step, loss)


def _finish(engine, logs, windows) -> None:
    for log, loss in zip(logs, engine.validation_losses(*windows.final), strict=True):
        log.end(loss)


class Windows:
    """The token windows of a stack, on the device: training batches, and the validation sets.

    Of every batch a process takes its `share`.
    """

    def __init__(self, configs, text, device, share: slice):
        config = configs[0]
        self._length, probes = config.model.block_size, config.probes
        self._tokens = torch.from_numpy(text.train.astype("int32")).to(device)
        starts = [text.starts(c.seed, c.steps, c.batch_size, self._length) for c in configs]
        self._starts = torch.stack(starts, 1)[..., share].to(device)  # (steps, M, B)
        self._offsets = torch.arange(self._length + 1, device=device)

        def validation(count):
            return [part.to(device) for part in text.validation_windows(count, self._length)]

        self.validation, self.final = validation(probes.windows), validation(probes.final_windows)

    def train(self, step: int):
        """(inputs, targets) of a step, each (M, B, T); targets are one token further on."""
        cut = self._tokens[self._starts[step].unsqueeze(-1) + self._offsets].long()
        return cut[..., :-1].contiguous(), cut[..., 1:].contiguous()


class Log:
    """The curves and probes of one run, at the steps that its ProbeConfig asks for."""

    def __init__(self, config: RunConfig):
        self.config, self.diverged_at, self.final = config, None, None
        self.train, self.validation, self.probes, self._recent = [], [], [], []
        self._train_every = max(1, config.steps // TRAIN_POINTS)
        self.loss_steps = even_steps(config.probes.losses, config.steps)
        self.spectra_steps = log_steps(config.probes.spectra, config.steps)
        points = range(self._train_every, config.steps, self._train_every)
        self.stops = self.loss_steps | self.spectra_steps | set(points)

    @property
    def alive(self) -> bool:
        return self.diverged_at is None

    def add(self, step: int, loss: float) -> None:
        """The training loss at a step; one that is not finite ends the run for this log."""
        if self.alive and not math.isfinite(loss):
            self.diverged_at = step
        if not self.alive:
            return
        self._recent.append(loss)
        if (step + 1) % self._train_every == 0:
            self.train.append([step + 1, _short(sum(self._recent) / len(self._recent))])
            self._recent = []

    def add_spectra(self, step: int, weights: dict) -> None:
        if not all(weight.isfinite().all() for weight in weights.values()):
            self.diverged_at = step
        else:
            self.probes.append({"step": step, "tensors": _shorten(spectra(weights))})

    def add_validation(self, step: int, loss: float) -> None:
        if self.alive and not math.isfinite(loss):
            self.diverged_at = step
        if self.alive:
            self.validation.append([step, _short(loss)])

    def end(self, loss: float) -> None:
        """The final validation loss."""
        if self.alive and not math.isfinite(loss):
            self.diverged_at = self.config.steps
        if self.alive:
            self.final = loss

    def record(self, origin: dict) -> Record:
        return Record(
            config=self.config,
            status="ok" if self.alive else "diverged",
            diverged_at=self.diverged_at,
            curves={"train": self.train, "validation": self.validation},
            probes=self.probes,
            final={"validation_loss": self.final},
            provenance=origin,
        )


def _short(value: float) -> float:
    """Six significant digits: what a curve needs, in a file that stays small."""
    return float(f"{value:.6g}")


def _shorten(tree):
    if isinstance(tree, dict):
        return {key: _shorten(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_shorten(value) for value in tree]
    return _short(tree)
