"""One training loop, for one run or for a stack of them. A run is a pure function of its RunConfig.

The loop never waits for the device: losses stay there, and are looked at together at the steps
where something is measured, at least a hundred times a run.
"""

import itertools
import math
import time

import torch

from ..data import unigrams
from ..data.batches import make_batches
from ..project import UserError
from .config import RunConfig
from .device import describe, keep_freed_memory, pick_device, reference_numerics
from .engine import make_engine, shape
from .parallel import ALONE
from .records import Record, provenance
from .scores import even_steps, log_steps, plateau_end, stable_rank

TRAIN_POINTS = 100  # points of the training curve, each a mean over the steps since the last
RECORDED = {"spectra": "tensors"}  # probes that a record calls by another name


def train(
    config: RunConfig, *, device=None, compiled=False, rules=None, progress=None, group=ALONE,
    probes=None, keep=None,
) -> Record:
    """Train one model and return its record; writes nothing.

    `progress(step, loss)` is called for every step (loss in nats, a float), some steps at once.
    The processes of a `group` (parallel.py) train it together, all by the same call. `probes` is
    the table of what can be measured beside the losses: {field of ProbeConfig: (when, function)},
    "along" the training or at its "end"; a function gets the plain model and its configuration,
    and returns numbers in dicts and lists. Who wants all of them calls lab/training.py.
    `keep(model, config)` gets the trained plain model, unless the run diverged (weights.py saves).
    Raises UserError for bad data, a device that is not here, or a probe that is not in the table.
    """
    named = {"device": device, "compiled": compiled, "rules": rules, "progress": progress,
             "keep": keep}
    return train_stack([config], group=group, probes=probes, **named)[0]


@reference_numerics()
def train_stack(
    configs, *, device=None, compiled=False, rules=None, progress=None, group=ALONE, probes=None,
    keep=None,
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
    table = _asked(configs[0].probes, probes or {})
    batches = make_batches(configs, device, group.share(configs[0].batch_size))
    logs = [Log(config, batches, table) for config in configs]
    engine = make_engine(configs, device, compiled, group)
    _run(engine, logs, batches, group, progress)
    for member, log in enumerate(logs if keep else ()):
        if log.alive:
            keep(engine.plain(member), log.config)
    seconds = (time.perf_counter() - start) / len(configs)
    origin = provenance(describe(device), seconds, rules)
    origin |= {"members": len(configs), "processes": group.count}
    return [log.record(origin) for log in logs]


def _asked(config, probes: dict) -> dict:
    """The rows of the table that a ProbeConfig asks for."""
    asked = [name for name in config.OPTIONAL if getattr(config, name)]
    for name in asked:
        if name not in probes:
            raise UserError(f"probes.{name}: got {getattr(config, name)}, allowed is 0 without "
                            "that probe in the table")
    return {name: probes[name] for name in asked}


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
    """The probes and losses that are due at this step."""
    for member, log in enumerate(logs):
        if log.alive and (due := log.due(step)):
            log.check_weights(step, engine.weights(member))
            log.add_probes(step, due, engine, member)
    if step in logs[0].loss_steps:
        for log, scores in zip(logs, _scores(engine, batches.along), strict=True):
            log.add_scores(step, scores)


def _finish(engine, logs, batches) -> None:
    for member, (log, scores) in enumerate(zip(logs, _scores(engine, batches.final), strict=True)):
        log.end(scores)
        if log.alive and log.config.data.kind == "text":
            log.add_plateau(engine.weights(member))
        log.add_probes(log.config.steps, log.last, engine, member)


def _scores(engine, sets) -> list[dict]:
    """{set: its scores} of each member."""
    scores = {name: engine.scores(*tokens) for name, tokens in sets.items()}
    return [dict(zip(scores, row, strict=True)) for row in zip(*scores.values(), strict=True)]


class Log:
    """The curves and probes of one run, at the steps that its ProbeConfig asks for."""

    def __init__(self, config: RunConfig, batches, table: dict):
        self.config, self.table, self.diverged_at = config, table, None
        self.measured, self.also = batches.measured, batches.also
        self.curves, self.probes, self.final, self._recent = {"train": []}, [], {}, []
        self._train_every = max(1, config.steps // TRAIN_POINTS)
        self.loss_steps = even_steps(config.probes.losses, config.steps)
        self.along = {name: log_steps(getattr(config.probes, name), config.steps)
                      for name, (when, _) in table.items() if when == "along"}
        self.last = [name for name, (when, _) in table.items() if when == "end"]
        points = range(self._train_every, config.steps, self._train_every)
        self.stops = self.loss_steps.union(points, *self.along.values())

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

    def due(self, step: int) -> list[str]:
        """The probes along the training that are due at a step."""
        return [name for name, steps in self.along.items() if step in steps]

    def add_probes(self, step: int, names, engine, member: int) -> None:
        """As for a loss: numbers that are not finite end the run for this log."""
        for name in names:
            if self.alive:
                numbers = self.table[name][1](engine.plain(member), self.config)
                if _all_finite(numbers):
                    self._probe(step, RECORDED.get(name, name), numbers)
                else:
                    self.diverged_at = step

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
                       "unigram_until": plateau_end(self.curves["train"], level)}
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
        if self.alive and not all(math.isfinite(of["loss"]) for of in scores.values()):
            self.diverged_at = step

    def _numbers(self, scores: dict) -> dict[str, float]:
        """validation_loss, the mean over the measured sets; of several, <set>_loss and so on."""
        losses = [scores[name]["loss"] for name in self.measured]
        numbers = {"validation_loss": sum(losses) / len(losses)}
        if len(scores) > 1:
            numbers |= {f"{name}_loss": of["loss"] for name, of in scores.items()}
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
