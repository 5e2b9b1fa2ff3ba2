"""Curves: values along a run, the mean over runs with their range, or with 95 %."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..ledger.estimate import Estimate, number
from .panels import Panel
from .style import GREY, style

KEPT = ("setting", "role", "gamma", "seed")  # columns of a run that a row of its curve keeps


def points(runs, way: Callable, **more) -> pd.DataFrame:
    """A tidy table: a row a run and point, from `way(run)`, which is a pair (xs, ys).

    Columns: what is KEPT of a run, key, x, y and `more` as it is given.
    """
    rows = []
    for run in runs.itertuples() if len(runs) else ():
        kept = [getattr(run, name, None) for name in (*KEPT, "key")]
        rows += [(*kept, x, y, *more.values()) for x, y in zip(*way(run), strict=True)]
    return pd.DataFrame(rows, columns=[*KEPT, "key", "x", "y", *more])


@dataclass(frozen=True, kw_only=True)
class Curves(Panel):
    """`table` has the columns x, y, run (who a curve belongs to) and hue.

    A run that ended early, as one that diverged does, is left out of its mean.
    """

    hue: str = "setting"
    run: str = "seed"
    x: str = "x"
    y: str = "y"
    spread: str = "range"  # over runs: "range", "interval", "dots" or "none"
    xscale: str = "linear"  # or "symlog": linear up to 1, then logarithmic
    doublings: bool = False  # a logarithmic axis of y with plain numbers
    mark: Callable | None = None  # a point of the mean to mark: pd.Series.idxmin, ...
    look: Callable = style
    size: float = 4  # of the markers
    whole: bool = True  # without it gaps stay, where a run has no such point
    form: str = ".2f"
    tell: Callable = None  # (mean as a Series, form) -> words; default: the end

    def tables(self) -> dict:
        """{hue: a row a run, a column a point} of what is drawn."""
        groups = self.table.groupby(self.hue, sort=False) if len(self.table) else ()
        shape = {"index": self.run, "columns": self.x, "values": self.y}
        tables = {name: group.pivot_table(**shape, dropna=False) for name, group in groups}
        tables = {name: table.dropna() if self.whole else table for name, table in tables.items()}
        return {name: table for name, table in tables.items() if len(table)}

    def draw(self, axes, numbers: dict) -> None:
        for name, table in self.tables().items():
            look = {"markersize": self.size, **self.look(numbers[name])}
            band(axes, table, self.spread, label=name, **look)
            if self.mark:
                at = self.mark(table.mean())
                axes.plot(at, table.mean()[at], "x", color=GREY, markersize=9, zorder=5)
        if self.xscale == "symlog":
            axes.set_xscale("symlog", linthresh=1)
        if self.doublings:
            doublings(axes)

    def describe(self) -> str:
        tell = self.tell or last
        return ", ".join(f"{name} {tell(table.mean(), self.form)}"
                         for name, table in self.tables().items())


@dataclass(frozen=True, kw_only=True)
class Ways(Panel):
    """Every run as a line of its own through a plane; `table` as of Curves, with the column key.

    `ends`: a mark where a run ends. `mean`: a thick line as well, of the runs of full length.
    """

    hue: str = "setting"
    dashed: str = ""  # a role whose runs are dashed
    ends: bool = False
    mean: bool = False
    look: Callable = style

    def draw(self, axes, numbers: dict) -> None:
        for name, group in self.table.groupby(self.hue, sort=False):
            look = self.look(numbers[name])
            self._lines(axes, group, name, look)
            if self.mean:
                whole = _whole([way[["x", "y"]].to_numpy() for _, way in group.groupby("key")])
                axes.plot(*np.mean(whole, axis=0).T, color=look["color"], linewidth=1.8, label=name)

    def _lines(self, axes, group, name, look) -> None:
        thin = {"linewidth": 0.7, "alpha": 0.4} if self.mean else {"linewidth": 1, "alpha": 0.8}
        label = None if self.mean else name
        for (_, role), way in group.groupby(["key", "role"], sort=False):
            dash = {"linestyle": "--" if role == self.dashed else look["linestyle"]}
            axes.plot(way.x, way.y, color=look["color"], label=label, **thin, **dash)
            label = None
            if self.ends:
                axes.plot(way.x.iloc[-1:], way.y.iloc[-1:], look["marker"], color=look["color"])

    def describe(self) -> str:
        ends = self.table.groupby([self.hue, "key"], sort=False).y.last()
        means = ends.groupby(level=0, sort=False).mean()
        return ", ".join(f"{name} {mean:.2f}" for name, mean in means.items())


def band(axes, table, spread: str = "range", **look) -> None:
    """The mean over the rows of a table, and their range or its interval."""
    x, values = table.columns.to_numpy(float), table.to_numpy(float)
    axes.plot(x, values.mean(0), **look)
    if spread == "interval":
        low, high = np.array([Estimate.of(column)[1:] for column in values.T]).T
    else:
        low, high = values.min(0), values.max(0)
    if spread == "dots":
        axes.plot(x, values.T, ".", color=look["color"], markersize=3)
    elif spread != "none":
        axes.fill_between(x, low, high, color=look["color"], alpha=0.3)


def doublings(axes) -> None:
    """A logarithmic axis of plain numbers, a tick at each doubling."""
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()


def falling(axes) -> None:
    """An axis of losses on which learning goes to the right."""
    if not axes.xaxis_inverted():  # panels that share it call this once each
        axes.invert_xaxis()


# ---- a mean curve in words -----------------------------------------------------------------------


def last(mean, form: str) -> str:
    return number(mean.iloc[-1], form)


def start_and_end(mean, form: str) -> str:
    return f"{number(mean.iloc[0], form)} at the start and {last(mean, form)} at the end"


def lowest(mean, form: str) -> str:
    return _through(mean, mean.idxmin(), "lowest", form)


def highest(mean, form: str) -> str:
    return _through(mean, mean.idxmax(), "highest", form)


def _through(mean, at, word: str, form: str) -> str:
    return (f"{number(mean.iloc[0], form)} at the start, {word} {number(mean[at], form)} at step "
            f"{at:g}, {last(mean, form)} at the end")


def _whole(ways: list) -> list:
    longest = max(map(len, ways))  # none that diverged
    return [way for way in ways if len(way) == longest]
