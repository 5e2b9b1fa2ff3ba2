"""What a tier costs from nothing: the runs of each chapter, times the seconds of their kind.

Seconds are measured (benchmarks/costs.py), a few runs of each kind as `sweep` trains them, all
cores at work; they are those of one machine. The records' own seconds would not do: they were
taken while other things ran.
"""

import json
import re
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from ..gpt.config import RunConfig
from ..gpt.options import ProbeConfig
from ..gpt.size import size_of
from ..lab.store import Store
from ..lab.sweep import sweep
from ..project import results_folder, root
from .studies import homes, study

SAMPLE = 4  # runs of a kind that are timed together
LONG = 1e12  # weights times tokens of a run beside whose time the start-up of a process is nothing


def kind(config: RunConfig) -> str:
    """What runs of one price have in common: 'gpt on sotu, width 64, 400 steps of 32 x 64'."""
    model, data = config.model, config.data
    words = [
        f"{model.kind} on {data.corpus if data.kind == 'text' else data.kind}",
        f"{getattr(model, 'n_layer', 1)} x width {model.width}",
        f"{config.steps} steps of {config.batch_size} x {model.block_size}",
        *(["gate"] if getattr(model, "gate", False) else []),
        *(["relative steps"] if config.optim.relative else []),
        *(name for name in ProbeConfig.OPTIONAL if getattr(config.probes, name)),
    ]
    return ", ".join(words)


def measured() -> dict:
    """What benchmarks/costs.py wrote: machine, commit, and the seconds of each kind of run."""
    return json.loads((root() / "benchmarks" / "costs.json").read_text(encoding="utf-8"))


@cache
def price() -> Callable[[RunConfig], float]:
    """A function: the measured seconds of a run's kind; or those of the kind most like it, scaled
    by the tokens that both train on."""
    seconds = measured()["seconds"]

    def of_run(config: RunConfig) -> float:
        name = kind(config)
        like = max(seconds, key=lambda other: _alike(name, other))
        return seconds[like] * _tokens(name) / _tokens(like)

    return of_run


def _alike(name: str, other: str) -> list[bool]:
    """What two kinds have in common, the model first: for comparison with that of others."""
    parts = other.split(", ")
    return [name == other, *(part in parts for part in name.split(", "))]


def _tokens(name: str) -> int:
    steps, batch, length = map(int, re.search(r"(\d+) steps of (\d+) x (\d+)", name).groups())
    return steps * batch * length


def needed(tier: str, folder: Path | None = None) -> dict[str, list[RunConfig]]:
    """{notebook: its runs}, each run once, in the first chapter that needs it.

    Which runs a tuned comparison needs, the records of a folder say (default: the committed ones):
    they know the best rates.
    """
    store, seen, found = Store(folder or results_folder(tier, committed=True)), set(), {}
    for experiment, notebook in homes().items():
        asked = study(experiment, tier)
        runs = [*asked.at_common_rate(), *asked.tuning(),
                *asked.at_best_rate(asked.best_rates(asked.collect(store)))]
        runs += [asked.reference] if asked.reference else []
        new = {run.key: run for run in runs if run.key not in seen}
        seen |= set(new)
        found.setdefault(notebook, []).extend(new.values())
    return found


def measure(configs: list[RunConfig]) -> float:
    """Seconds of one of these runs of a kind, start-up shared: a few are trained and forgotten."""
    few = sorted(configs, key=lambda config: config.optim.learning_rate)  # slow: none diverges
    few = few[: 2 if size_of(few[0].model).weights * few[0].tokens > LONG else SAMPLE]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        sweep(few, Store(Path(folder)))
        return (time.perf_counter() - start) / len(few)


def seconds_of_chapters(tier: str, seconds: dict[str, float]) -> dict[str, tuple[int, float]]:
    """{notebook: (runs, seconds)} of a tier, by the measured `seconds` of each kind.

    A kind that was not measured costs what `price` says of the one most like it.
    """
    of_run = price()
    return {
        notebook: (len(runs), sum(seconds.get(kind(run)) or of_run(run) for run in runs))
        for notebook, runs in needed(tier).items()
    }
