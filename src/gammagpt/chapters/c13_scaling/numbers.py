"""Numbers of the chapter on scaling: slopes, what a line misses, and how best rates move.

Runs are rows of a frame (lab.frame, with roles); what an axis is, analysis/along_size.py says.
"""

import math

import numpy as np
import pandas as pd

from ...analysis.along_size import (
    LINE,
    along,
    as_text,
    baseline,
    line,
    lines,
    name,
    place,
    table_of,
)
from ...analysis.learning_rates import slope_of
from ...analysis.norms import first_norm
from ...gpt.init import implied_gamma
from ...ledger.estimate import QUESTIONS, Estimate


def missed(points) -> Estimate | None:
    """Loss found at the largest x less that of the line through all others; None below three."""
    table = table_of(points)
    short = line(table.iloc[:, :-1])
    if short is None or not np.isfinite(table).all(axis=None):
        return None
    last = float(table.columns[-1])
    return Estimate.of(table[table.columns[-1]] - short.of_seeds(last))


def slopes(runs, axis: str = "width") -> pd.DataFrame:
    """A row a line: its slope, how much steeper it falls than the baseline's, and `missed`.

    All as text, with 95 % intervals over seeds. A positive number in `steeper` says that the loss
    falls faster with x than the baseline's.
    """
    points, fitted, rows = along(runs, axis), lines(runs, axis), []
    for key, one in fitted.items():
        base = fitted.get((*key[:2], baseline(points)))
        less = [] if base is None or base is one else (base.slopes - one.slopes).dropna()
        same = points[(points[LINE] == list(key)).all(axis=1)]
        rows.append((QUESTIONS[key[0]], name(key[2], key[1]), Estimate.of(one.slopes),
                     Estimate.of(less) if len(less) else Estimate(math.nan),
                     missed(same) or Estimate(math.nan), len(one.xs)))
    columns = ["question", "setting", "slope", "steeper", "missed", "points"]
    return as_text(pd.DataFrame(rows, columns=columns))


def rate_slopes(best) -> pd.DataFrame:
    """Slope of ln best rate on ln width: found, and asked for by two ideas of a relative step.

    Columns: setting, found (nan below two resolved widths), points, by entries, by spectrum. A
    step of AdamW changes each entry by about the rate eta, all entries in step. Entries are of
    size s = d^-gamma, so eta / s is the change of an entry; the largest singular value of a step
    grows as eta d, that of the matrix as s sqrt d, so eta sqrt d / s is that of the spectrum.
    """
    rows = []
    for (init, relaxed), group in best.groupby(["init", "relaxed"], sort=False):
        gamma = group.gamma.iloc[0]
        fall = 0.0 if math.isnan(gamma) else gamma  # of the entries' size with the width
        inner = group[group.resolved]
        slope = slope_of(np.log(inner.x.to_numpy(float)), np.log(inner.best_lr.to_numpy(float)))
        rows.append((name(init, relaxed), slope, len(inner), 0.0 - fall, 0.0 - fall - 0.5))
    return pd.DataFrame(rows, columns=["setting", "found", "points", "by entries", "by spectrum"])


def at_widths(widths, gammas, stds, eps: float) -> pd.DataFrame:
    """A row a width: the gamma that each fixed std amounts to, and RMS after the first norm."""
    rows = []
    for width in widths:
        row = {"width": width}
        row |= {f"std {std:g} is gamma": implied_gamma(std, width) for std in stds}
        row |= {f"RMS, gamma {gamma:g}": first_norm(width, gamma, eps) for gamma in gammas}
        row |= {f"RMS, std {std:g}": first_norm(width, implied_gamma(std, width), eps)
                for std in stds}
        rows.append(row)
    return pd.DataFrame(rows)


def unfinished(runs) -> pd.DataFrame:
    """By how much a long run differs from a short one, at the step at which the short one ends.

    At the common rate; both by the curves, which are measured on the same windows.
    """
    points, rows = along(runs, "steps"), []
    points = points[(points.role == "common") & np.isfinite(points.loss.astype(float))]
    for init, group in points.groupby("init", sort=False):
        short, long = (group[group.steps == steps].set_index("seed")
                       for steps in (group.steps.min(), group.steps.max()))
        seeds = short.index.intersection(long.index)
        if len(seeds) and group.steps.nunique() > 1:
            end = short.steps.iloc[0]
            ahead = [np.interp(end, *np.transpose(long.curve[seed])) - short.curve[seed][-1][1]
                     for seed in seeds]
            rows.append((init, end, long.steps.iloc[0], Estimate.of(ahead)))
    columns = ["initialization", "step", "steps of the long run", "its loss less that of the short"]
    return as_text(pd.DataFrame(rows, columns=columns))


def lowest(runs) -> pd.DataFrame:
    """A row a question and width: who has the lowest mean loss, and which gamma that is there.

    A fixed std has one at each width. Initializations of which a run diverged are not in question.
    """
    points, rows = along(runs), []
    for (role, x), group in points[~points.relaxed].groupby(["role", "x"], sort=False):
        means = group.groupby("init", sort=False).loss.mean().sort_values()
        if np.isfinite(means.iloc[0]):
            first = group[group.init == means.index[0]].iloc[0]
            gamma = implied_gamma(first["std"], x) if pd.isna(first.gamma) else first.gamma
            rows.append((QUESTIONS[role], place(x), means.index[0], f"{gamma:.2f}",
                         f"{means.iloc[0]:.3f}"))
    columns = ["question", "where", "lowest", "gamma there", "mean loss"]
    return pd.DataFrame(rows, columns=columns)
