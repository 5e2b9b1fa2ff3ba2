"""Measures of probed runs against gamma, each gamma at its own best learning rate."""

import pandas as pd

from ..plots import GAMMA, Estimates, Picture, compose, provenance
from .frames import columns_of
from .pictures import DOTS
from .probed_runs import probed


def of_gamma(models: dict, measure: str, title: str, label: str = "", **more) -> Estimates:
    """A panel of one measure; `models` {name: runs} have a colour each."""
    names = ["gamma", "seed", "resolved", measure]
    parts = [columns_of(probed(runs), names).assign(model=name)
             for name, runs in models.items() if len(probed(runs))]
    table = pd.concat(parts) if parts else pd.DataFrame(columns=[*names, "model"])
    look = {"hue": "model" if len(models) > 1 else None, "line": True, "interval": False}
    return Estimates(table=table, x="gamma", y=measure, title=title, label=label, xlabel=GAMMA,
                     form=".2f", **look | more)


def by_gamma(models: dict, measures: dict, tier: str, head: str, anchor: str) -> Picture:
    """A panel for each of `measures` {column: (title, label)}, two in a row."""
    panels = [of_gamma(models, name, *words) for name, words in measures.items()]
    grid = [panels[i : i + 2] for i in range(0, len(panels), 2)]
    return compose(anchor, head, grid, caption=DOTS + lacking(panels), share=(False, False),
                   source=provenance([probed(runs) for runs in models.values()], tier),
                   size=(7.2, 0.9 + 2.8 * len(grid)))


def lacking(panels) -> str:
    """How many runs have no number in some panel; their settings have no mean there."""
    gone = pd.concat([panel.table[panel.table[panel.y].isna()] for panel in panels])
    count = len(gone[["model", "gamma", "seed"]].drop_duplicates())
    return f" Without a dot are {count} that never learned a tenth of reasoning." * bool(count)
