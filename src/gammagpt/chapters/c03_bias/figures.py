"""The figure of chapter 3 that is its own: how much longer one task takes than another.

Runs are rows of a frame (lab.frame, with roles). The others: analysis/anchor_figures.py.
"""

import math

import numpy as np
import pandas as pd

from ...analysis.frames import columns_of, compared
from ...analysis.pictures import by_question
from ...ledger.estimate import Estimate
from ...plots import COLOURS, GAMMA, GREY, Estimates, Picture, compose, looks, provenance
from ...plots.curves import doublings
from ...plots.style import HOLLOW

BOUNDS = {"": "o", "at least": "^", "at most": "v"}  # of a ratio, and their markers


def time_gap(frames: dict, tier: str, slow="memory", fast="reasoning") -> Picture:
    """How many times longer one task takes than another until it is half learned, by gamma.

    A task that is never half learned would have taken longer than the run: a bound, not a gap in
    the data.
    """
    gaps = {title: gaps_of(runs, slow, fast) for title, runs in frames.items()}
    panels = [_panel(title, rows, f"steps to half learn {slow}\nover those for {fast}")
              for title, rows in gaps.items()]
    every = pd.concat(list(gaps.values()))
    caption = ("Each dot is a run; bars are 95 % intervals of the geometric mean. Hollow: bounds, "
               f"{int((every.bound != '').sum())} of {len(every)} dots, where a task was never "
               "half learned.")
    return compose("fig-time-gap", f"Steps until {slow} is half learned, over those until {fast} "
                   "is", panels, caption=caption, size=(7.2, 4.2),
                   source=provenance([compared(runs) for runs in frames.values()], tier))


def gaps_of(runs, slow: str, fast: str) -> pd.DataFrame:
    """question, gamma, ratio and bound (one of BOUNDS) of each run that half learned one task."""
    names = f"steps_to_{slow}", f"steps_to_{fast}"
    table = by_question(columns_of(compared(runs), ["role", "gamma", "steps", *names]))
    one, other = (table[name] for name in names)
    ratio = one.fillna(table.steps) / other.fillna(table.steps).clip(lower=1)
    bound = np.select([one.isna() & other.notna(), one.notna() & other.isna()],
                      ["at least", "at most"], "")
    return table.assign(ratio=ratio, bound=bound)[one.notna() | other.notna()]


def gap_means(gaps) -> pd.DataFrame:
    """question, gamma, ratio, low, high, bound, resolved: geometric means of one sort of bounds."""
    rows = []
    for (question, gamma), group in gaps.groupby(["question", "gamma"], sort=False):
        bounds = set(group.bound) - {""}
        mean = np.exp(Estimate.of(np.log(group.ratio)))
        if len(bounds) < 2:
            ends = (math.nan, math.nan) if bounds else mean[1:]
            rows.append((question, gamma, mean[0], *ends, "".join(bounds), not bounds))
    columns = ["question", "gamma", "ratio", "low", "high", "bound", "resolved"]
    return pd.DataFrame(rows, columns=columns)


def _panel(title: str, gaps, label: str) -> Estimates:
    means = gap_means(gaps)

    def dots(axes):
        for question, rows in gaps.groupby("question", sort=False):
            colour = COLOURS[looks([question])[question] % 6]
            _line(axes, means[means.question == question], colour)
            for bound, marker in BOUNDS.items():
                some = rows[rows.bound == bound]
                axes.scatter(some.gamma, some.ratio, s=16, alpha=0.6, marker=marker,
                             edgecolors=colour, facecolors=HOLLOW if bound else colour)
        axes.axhline(1, color=GREY, linestyle=":")
        doublings(axes)

    def told():
        parts = []
        for question, rows in means.groupby("question", sort=False):
            words = [f"{row.bound} {row.ratio:.1f} at gamma {row.gamma:g}".strip()
                     for row in rows.sort_values("gamma").itertuples()]
            parts.append(f"{question} {', '.join(words)}")
        return "; ".join(parts)

    return Estimates(table=means, x="gamma", y="ratio", hue="question", title=title, label=label,
                     xlabel=GAMMA, also=dots, told=told)


def _line(axes, means, colour: str) -> None:
    """A line joins what was measured, and no bounds."""
    means = means.sort_values("gamma")
    axes.plot(means.gamma, means.ratio.where(means.resolved), color=colour)
