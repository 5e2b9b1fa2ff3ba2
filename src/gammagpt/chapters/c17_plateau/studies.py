"""The interventions at each width, and the forecasts of a collapse and of the critical gamma."""

from dataclasses import dataclass, replace
from functools import cache

from ...analysis import plateau_runs
from ...data import DataConfig
from ...lab.study import LearningRateStudy
from ...lab.tuned import OneRateStudy
from .interventions import settings

STUDIES = {"plateau_64": 64, "plateau_128": 128}  # of the interventions, and their widths
TARGET = 0.05  # how near a forecast of the critical gamma should come, on average


def studies(p) -> dict[str, LearningRateStudy]:
    """plateau_64, plateau_128: every intervention, at widths that the page asks for.
    plateau_forecasts: rules beside each other, group by group, and the critical gammas."""
    found = {}
    for name, width in STUDIES.items():
        seeds = p.seeds if width in p.widths else []
        found[name] = OneRateStudy(
            settings(width), (), tuple(p.reference_seeds) if seeds else (), tuple(seeds))
    base = next(iter(found.values())).base
    return found | {"plateau_forecasts": Forecasts({"x": base}, (), (), (), asked=p.forecasts)}


@dataclass(frozen=True)
class Forecasts(LearningRateStudy):
    """The runs that were forecast, as a study: a row a group of them, or a grid of gammas."""

    asked: bool = False  # whether what is missing is to be trained

    def _compared(self):
        runs = plateau_runs.prediction_runs() if self.asked else []
        return [("x", run) for run in runs]

    def scored(self, store) -> tuple[list, dict]:
        """The records that are there, and plateau_runs.score of them."""
        pinned = cache(DataConfig.pinned)  # a text that is made here is hashed once
        runs = [replace(run, data=pinned(run.data)) for run in plateau_runs.prediction_runs()]
        records = [record for record in map(store.get, runs) if record is not None]
        return records, plateau_runs.score(records)

    def collect(self, store):
        """A frame, a row for each group that is whole: setting (x, or critical), role, seed (its
        number), key (of one run), status, resolved, rules, and of setting

        - x: right, the share of runs whose collapse x calls, and over_RULE: that less the share
          that another rule calls;
        - critical: spare, TARGET less how far the forecast of a critical gamma is off.
        """
        import pandas as pd

        records, score = self.scored(store)
        carried = {r.key: r.provenance.get("rules", {}).items() for r in records}
        rows = [*_groups(score["collapse"]), *_grids(score["critical"])]
        for row in rows:  # a rule counts as committed before if all of the row's runs carry it
            keys = row.pop("keys")
            row["rules"] = dict(set.intersection(*(set(carried[key]) for key in keys)))
            row |= {"key": keys[0], "role": "common", "status": "ok", "resolved": True}
        columns = ["setting", "role", "seed", "key", "status", "resolved", "rules"]
        return pd.DataFrame(rows, columns=None if rows else columns)


def _groups(runs):
    """A row a group: how often each rule was right about its runs."""
    for number, (_, group) in enumerate(runs.groupby("group", sort=False) if len(runs) else ()):
        right = {rule: ((group[f"{rule}_probability"].astype(float) >= 0.5) == group.collapsed
                        ).mean() for rule in plateau_runs.RULES}  # fmt: skip
        over = {f"over_{rule}": right["x"] - right[rule] for rule in right if rule != "x"}
        yield {"setting": "x", "seed": number, "keys": [*group.key], "right": right["x"]} | over


def _grids(critical):
    """A row a grid that has a critical gamma, by the forecast and by what was found."""
    for number, row in enumerate(critical.itertuples()):
        if row.error == row.error and row.error is not None:
            yield {"setting": "critical", "seed": number, "keys": row.keys,
                   "spare": TARGET - row.error}  # fmt: skip
