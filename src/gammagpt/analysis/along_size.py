"""Gains, slopes and best learning rates along an axis of size.

Runs are rows of a frame (lab.frame, with roles). An axis is a column that grows from setting to
setting: width, n_layer, or tokens (trained on). A setting is relaxed if its
attention has a gate (and its norms a smaller epsilon).
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..ledger.estimate import QUESTIONS, Estimate
from .gains import less, parted
from .learning_rates import LOST, best_lr

PLACE = ["role", "relaxed", "x"]
LINE = ["role", "relaxed", "init"]  # what one line of a picture has in common
AXES = {  # a column of a frame -> its name in a figure, and its unit
    "width": ("width", 1), "tokens": ("training tokens (millions)", 1e6), "n_layer": ("layers", 1),
}


def along(runs, axis: str = "width") -> pd.DataFrame:
    """The compared runs, each once, with init, relaxed (a truth value) and x, the axis."""
    runs = parted(runs)
    columns = ["seed", "gamma", "loss", "resolved", "gate", axis]
    runs = runs.reindex(columns=runs.columns.union(columns, sort=False))
    return runs.assign(x=runs[axis], relaxed=runs.gate.astype(bool))


def baseline(points) -> str:
    """The initialization with the smallest gamma: what the others gain on."""
    return f"gamma {points.gamma.min():g}" if points.gamma.notna().any() else "any gamma"


def place(x: float, axis: str = "width") -> str:
    """'width 64', '8 layers', '1.6 million tokens'."""
    return {
        "width": f"width {x:,.0f}", "n_layer": f"{x:g} layer{'s' * bool(x != 1)}",
        "tokens": f"{x / 1e6:.2g} million tokens",
    }[axis]


def gains(runs, axis: str = "width", over: str | None = None) -> pd.DataFrame:
    """Loss of a baseline (default: the smallest gamma) less that of every other, by seed.

    Columns: role, relaxed, x, seed, init, gain (nats; inf where a run diverged, whichever side it
    is on), resolved (False if the best rate of either side is at its grid's edge).
    """
    points = along(runs, axis)[[*PLACE, "seed", "init", "loss", "resolved", "gamma"]]
    base = points.init == (over or baseline(points))
    table = less(points[~base], points[base], [*PLACE, "seed"], "loss", "minus")
    gain = (-table.minus).where(np.isfinite(table.minus.astype(float)), math.inf)
    return table.assign(gain=gain)[[*PLACE, "seed", "init", "gain", "resolved"]]


def growth(table) -> pd.Series:
    """A gain at the largest x less that at the smallest, by seed; of rows that differ in x only."""
    ends = table[table.x.isin([table.x.min(), table.x.max()])].sort_values("x")
    first, last = ends[ends.x < ends.x.max()], ends[ends.x > ends.x.min()]
    return less(last, first, ["seed"], "gain", "growth").growth


def released(runs, axis: str = "width") -> pd.DataFrame:
    """By how much relaxing raises the gain of the largest gamma: role, x, seed, change, resolved"""
    points, table = along(runs, axis), gains(runs, axis)
    table = table[table.init == f"gamma {points.gamma.max():g}"]
    relaxed = table.relaxed.astype(bool)
    keys = ["role", "x", "seed"]
    return less(table[relaxed], table[~relaxed], keys, "gain", "change")[
        [*keys, "change", "resolved"]]


@dataclass(frozen=True)
class Line:
    """ln loss = level + slope ln x, by least squares, for each seed."""

    xs: np.ndarray  # where there are runs
    slopes: pd.Series  # by seed
    levels: pd.Series

    def at(self, x: float) -> Estimate:
        """The loss that the lines give at x, with a 95 % interval over seeds."""
        return Estimate.of(self.of_seeds(x))

    def of_seeds(self, x: float) -> pd.Series:
        return np.exp(self.levels + self.slopes * math.log(x))


def table_of(points) -> pd.DataFrame:
    """Losses of one line: a row a seed that has a run at every x, a column an x."""
    return points.pivot(index="seed", columns="x", values="loss").dropna()


def line(table) -> Line | None:
    """Of such a table; None with fewer than two columns, or where a run diverged.

    Three points cannot tell a power law from one that ends at a floor, a + b x^-c. So no floor is
    fitted, and what the line says beyond its points is an extrapolation that knows of none.
    """
    if not len(table) or table.shape[1] < 2 or not np.isfinite(table).all(axis=None):
        return None
    xs = table.columns.to_numpy(dtype=float)
    slopes, levels = np.polyfit(np.log(xs), np.log(table.to_numpy(dtype=float).T), 1)
    return Line(xs, pd.Series(slopes, table.index), pd.Series(levels, table.index))


def lines(runs, axis: str = "width") -> dict[tuple, Line]:
    """(role, relaxed, init) -> Line, of those that have one."""
    points = along(runs, axis)
    groups = points.groupby(LINE, sort=False) if len(points) else ()
    fitted = {key: line(table_of(group)) for key, group in groups}
    return {key: one for key, one in fitted.items() if one is not None}


def best_rates(runs, axis: str = "width") -> pd.DataFrame:
    """Best learning rate of every initialization along an axis, by the mean over tuning seeds.

    Columns: init, gamma (nan of a fixed std), relaxed, x, best_lr, resolved. It is the vertex of a
    parabola through three rates of the grid; at the grid's edge it is the edge, and not resolved.
    Only settings whose whole grid is there.
    """
    rows = []
    tuning = runs[runs.role == "tuning"] if len(runs) else runs
    rates = tuning.learning_rate.nunique() if len(tuning) else 0
    for setting, group in tuning.groupby("setting", sort=False) if len(tuning) else ():
        mean = group.groupby("learning_rate").loss.mean()
        if len(mean) < rates or not np.isfinite(mean.min()):
            continue
        vertex, first = best_lr(mean.index.to_numpy(), mean.to_numpy()), group.iloc[0]
        best = 2**vertex if math.isfinite(vertex) else mean.idxmin()
        inner = mean.index[0] < mean.idxmin() < mean.index[-1]
        init = setting.partition(", ")[0]
        rows.append((init, first.gamma, bool(first.gate), first[axis], float(best), inner))
    columns = ["init", "gamma", "relaxed", "x", "best_lr", "resolved"]
    return pd.DataFrame(rows, columns=columns).astype({"gamma": float, "resolved": bool})


# ---- tables for pages ----------------------------------------------------------------------------


def growth_table(runs, axis: str = "width", over: str | None = None) -> pd.DataFrame:
    """A row a question and initialization: its gain at both ends of the axis, and the change."""
    rows = []
    for key, group in gains(runs, axis, over).groupby(LINE, sort=False):
        first, last = group.x.min(), group.x.max()
        rows.append((QUESTIONS[key[0]], name(*key[:0:-1]), Estimate.of(at(group, first).gain),
                     Estimate.of(at(group, last).gain), Estimate.of(growth(group)),
                     bool(group.resolved.all())))
    columns = ["question", "initialization", "gain at the smallest", "gain at the largest",
               "change", "best rates inside"]
    return as_text(pd.DataFrame(rows, columns=columns))


def released_table(runs) -> pd.DataFrame:
    """A row a question and width: by how much relaxing changes the gain."""
    rows = [(QUESTIONS[role], x, Estimate.of(group.change), bool(group.resolved.all()))
            for (role, x), group in released(runs).groupby(["role", "x"], sort=False)]
    columns = ["question", "width", "change of the gain", "best rates inside"]
    return as_text(pd.DataFrame(rows, columns=columns))


def stragglers(runs, axis: str = "width") -> pd.DataFrame:
    """Settings whose runs do not end together: how many end within LOST of the best, and the last.

    A row a setting and question; a run that diverged ends nowhere.
    """
    rows = []
    for (role, x, *setting), group in along(runs, axis).groupby(["role", *PLACE[2:], *LINE[:0:-1]],
                                                                sort=False):
        losses = group.loss.astype(float).sort_values()
        near = int((losses <= losses.iloc[0] + LOST).sum())
        if near < len(losses):
            last = f"{losses.iloc[-1]:.2f}" if np.isfinite(losses.iloc[-1]) else "diverged"
            rows.append((QUESTIONS[role], place(x, axis), name(*setting),
                         f"{near} of {len(losses)}", f"{losses.iloc[0]:.2f}", last))
    columns = ["question", "where", "setting", f"within {LOST:g} nats", "best", "last"]
    return pd.DataFrame(rows, columns=columns)


def missed_rates(best, common: float, axis: str = "width") -> pd.DataFrame:
    """By how many octaves the best rate is above a common one: a row an init, a column a place."""
    rows = {}
    for row in best.itertuples():
        octaves = f"{math.log2(row.best_lr / common):+.1f}" + " (edge)" * (not row.resolved)
        rows.setdefault(name(row.init, row.relaxed), {})[place(row.x, axis)] = octaves
    return pd.DataFrame.from_dict(rows, orient="index").fillna("–")


def name(init: str, relaxed: bool) -> str:
    return init + ", relaxed" * bool(relaxed)


def at(table, x: float) -> pd.DataFrame:
    return table[table.x == x]


def as_text(table, spec: str = "+.3f") -> pd.DataFrame:
    """The table with its Estimates in words; a dash where one is not known."""

    def words(value):
        if not isinstance(value, Estimate):
            return value
        return f"{value:{spec}}" if math.isfinite(value.mean) else "–"

    return table.map(words) if len(table) else table
