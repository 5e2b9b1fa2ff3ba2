"""One training loop, for one run or for a stack of them. A run is a pure function of its RunConfig.

The loop never waits for the device: losses stay there, and are looked at together at the steps
where something is measured, at least a hundred times a run.
"""

import itertools
import math
import time

import torch

from .data import make_batches, unigrams
from .device import describe, keep_freed_memory, pick_device
from .engine import make_engine, shape
from .geometry import geometry, neuron_cosines
from .norm_outputs import norm_outputs
from .parallel import ALONE
from .probes import even_steps, log_steps, plateau_end, spectra, stable_rank
from .project import UserError
from .runs import Record, RunConfig, provenance
from .sinks import sinks
from .tokens import token_losses

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
    batches = make_batches(configs, device, group.share(configs[0].batch_size))
    logs = [Log(config, batches) for config in configs]
    engine = make_engine(configs, device, compiled, group)
    _run(engine, logs, batches, group, progress)
    seconds = (time.perf_counter() - start) / len(configs)
    origin = provenance(describe(device), seconds, rules)
    origin |= {"members": len(configs), "processes": group.count}
    return [log.record(origin) for log in logs]


def _run(engine, logs, batches, group, progress) -> None:
    """All steps; what came out is in the logs."""
    stops = sorted(logs[0].stops)  # the same for all members; the first is 0, the last the end
    _measure(engine, logs, batches, 0)
    for since, until in itertools.pairwise(stops):
        if not any(log.alive for log in logs):
            return
        losses = [engine.step(*batches.train(step), step) for step in range(since, until)]
        losses = group.mean(torch.stack(losses)).tolist()  # waits for the device
        for step, row in enumerate(losses, since):
            for log, loss in zip(logs, row, strict=True):
                log.add(step, loss)
            alive = [loss for log, loss in zip(logs, row, strict=True) if log.alive]
            if progress and alive:
                progress(step, sum(alive) / len(alive))
        _measure(engine, logs, batches, until)
    _finish(engine, logs, batches)


def _measure(engine, logs, batches, step: int) -> None:
    """The spectra, geometry and losses that are due at this step."""
    for member, log in enumerate(logs):
        if log.alive and step in log.weight_steps:
            log.check_weights(step, engine.weights(member))
        if log.alive and step in log.spectra_steps:
            log.add_spectra(step, engine.weights(member))
        if log.alive and step in log.neuron_steps:
            log.add_neurons(step, neuron_cosines(engine.weights(member)))
        if log.alive and step in log.geometry_steps:
            log.add_geometry(step, geometry(engine.plain(member), log.config))
    if step in logs[0].loss_steps:
        for log, found in zip(logs, _scores(engine, batches.along), strict=True):
            log.add_scores(step, found)


def _finish(engine, logs, batches) -> None:
    for member, (log, found) in enumerate(zip(logs, _scores(engine, batches.final), strict=True)):
        log.end(found)
        if log.alive and log.config.data.kind == "text":
            log.add_plateau(engine.weights(member))
        if log.alive and log.config.probes.tokens:
            log.add_at_end("tokens", token_losses(engine.plain(member), log.config))
        if log.alive and log.config.probes.sinks:
            log.add_at_end("sinks", sinks(engine.plain(member), log.config))
        if log.alive and log.config.probes.norms:
            log.add_at_end("norms", norm_outputs(engine.plain(member), log.config))


def _scores(engine, sets) -> list[dict]:
    """{set: its scores} of each member."""
    found = {name: engine.scores(*tokens) for name, tokens in sets.items()}
    return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]


class Log:
    """The curves and probes of one run, at the steps that its ProbeConfig asks for."""

    def __init__(self, config: RunConfig, batches):
        self.config, self.diverged_at = config, None
        self.measured, self.also = batches.measured, batches.also
        self.curves, self.probes, self.final, self._recent = {"train": []}, [], {}, []
        self._train_every = max(1, config.steps // TRAIN_POINTS)
        self.loss_steps = even_steps(config.probes.losses, config.steps)
        self.spectra_steps = log_steps(config.probes.spectra, config.steps)
        self.geometry_steps = log_steps(config.probes.geometry, config.steps)
        self.neuron_steps = log_steps(config.probes.neurons, config.steps)
        self.weight_steps = self.spectra_steps | self.geometry_steps | self.neuron_steps
        points = range(self._train_every, config.steps, self._train_every)
        self.stops = self.loss_steps | self.weight_steps | set(points)

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
            self._point("train", step + 1, sum(self._recent) / len(self._recent))
            self._recent = []

    def check_weights(self, step: int, weights: dict) -> None:
        """Weights that are not all finite end the run for this log: they cannot be measured."""
        if not all(weight.isfinite().all() for weight in weights.values()):
            self.diverged_at = step

    def add_spectra(self, step: int, weights: dict) -> None:
        self._probe(step, "tensors", spectra(weights))

    def add_neurons(self, step: int, cosines: list) -> None:
        self._probe(step, "neurons", cosines)

    def add_geometry(self, step: int, found: dict) -> None:
        """As for a loss: numbers that are not finite end the run for this log."""
        if _all_finite(found):
            self._probe(step, "geometry", found)
        else:
            self.diverged_at = step

    def add_at_end(self, name: str, found: dict) -> None:
        self._probe(self.config.steps, name, found)

    def add_scores(self, step: int, scores: dict) -> None:
        """What came out on each set; a loss that is not finite ends the run for this log."""
        self._check(step, scores)
        if not self.alive:
            return
        for name, value in self._numbers(scores).items():
            self._point(name.removesuffix("_loss"), step, value)

    def end(self, scores: dict) -> None:
        """The final scores."""
        self._check(self.config.steps, scores)
        if self.alive:
            self.final = self._numbers(scores)

    def add_plateau(self, weights: dict) -> None:
        """Of every run on text: when it left the unigram plateau, and the ranks that it ends with.

        unigram_until: a step, or None (probes.plateau_end); unigram_entropy: nats per token.
        """
        level = unigrams.entropy(self.config.data)
        self.final |= {"unigram_entropy": _short(level),
                       "unigram_until": plateau_end(self.curves["train"], level)}  # fmt: skip
        for name in ("embedding", "head"):
            matrix = weights.get(f"{name}.weight", weights["embedding.weight"])  # a tied head
            self.final[f"{name}_stable_rank"] = _short(stable_rank(matrix))

    def record(self, origin: dict) -> Record:
        return Record(
            config=self.config,
            status="ok" if self.alive else "diverged",
            diverged_at=self.diverged_at,
            curves={"validation": []} | self.curves,
            probes=self.probes,
            final=self.final if self.alive else {"validation_loss": None},
            provenance=origin,
        )

    def _check(self, step: int, scores: dict) -> None:
        if self.alive and not all(math.isfinite(found["loss"]) for found in scores.values()):
            self.diverged_at = step

    def _numbers(self, scores: dict) -> dict[str, float]:
        """validation_loss, the mean over the measured sets; of several, <set>_loss and so on."""
        losses = [scores[name]["loss"] for name in self.measured]
        numbers = {"validation_loss": sum(losses) / len(losses)}
        if len(scores) > 1:
            numbers |= {f"{name}_loss": found["loss"] for name, found in scores.items()}
        for name in scores:
            numbers |= {f"{name}_{kind}": scores[name][kind] for kind in self.also.get(name, ())}
        return numbers

    def _point(self, curve: str, step: int, value: float) -> None:
        self.curves.setdefault(curve, []).append([step, _short(value)])

    def _probe(self, step: int, name: str, found: dict) -> None:
        """Add to what was measured at a step; all that was measured at one lies together."""
        if not self.probes or self.probes[-1]["step"] != step:
            self.probes.append({"step": step})
        self.probes[-1][name] = _shorten(found)


def _short(value: float) -> float:
    """Six significant digits: what a curve needs, in a file that stays small."""
    return float(f"{value:.6g}")


def _all_finite(tree) -> bool:
    parts = tree.values() if isinstance(tree, dict) else tree
    return all(map(_all_finite, parts)) if isinstance(tree, dict | list) else math.isfinite(tree)


def _shorten(tree):
    if isinstance(tree, dict):
        return {key: _shorten(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_shorten(value) for value in tree]
    return tree if isinstance(tree, int) else _short(tree)
