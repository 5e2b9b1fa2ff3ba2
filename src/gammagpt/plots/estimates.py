"""Estimates: a dot a row of the table, and the mean with its 95 % interval; by x, hue and panel."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.transforms import ScaledTranslation

from ..ledger.estimate import Estimate, number
from .panels import Panel
from .style import COLOURS, GREY, SHADE, dot, style

EDGE = "hollow: a best learning rate at its grid's edge"


@dataclass(frozen=True, kw_only=True)
class Estimates(Panel):
    """`table` has the columns x, y and, where named, hue; a column `resolved` makes marks hollow.

    A group with a value that is missing or infinite has dots and no mean. A table with columns low
    and high holds estimates as they are, one a row: then there are no dots.
    """

    x: str
    y: str
    upright: bool = True  # values upwards; else a row a name, from the top down
    line: bool = False  # through the means
    dots: bool = True
    means: bool = True
    few: bool = False  # ticks where matplotlib puts them, not at every value of x
    apart: bool = True  # hues stand side by side
    order: tuple = ()  # of names on the axis of x, if not that of the table
    zero: float | None = None  # where a dotted line is drawn
    log: float | None = None  # base of the axis of x
    ticks: Callable = "{:g}".format  # of a value of x
    rotation: float = 0  # of names on the axis of x
    shaded: tuple = ()  # names on the axis of x that stand on grey
    form: str = ".3f"  # of the numbers in words
    interval: bool = True  # also in words
    place: Callable | None = None  # a value of x in words
    only: str = ""  # "ends": in words, only the least and the largest x

    @property
    def empty(self) -> bool:
        return not len(self.table) or not np.isfinite(self.table[self.y].astype(float)).any()

    def groups(self, name):
        """(x, its rows) of one hue."""
        rows = self.table[self.table[self.hue] == name] if self.hue else self.table
        return list(rows.groupby(self.x, sort=not self._named))

    @property
    def _named(self) -> bool:
        return not (self.upright and pd.api.types.is_numeric_dtype(self.table[self.x]))

    def draw(self, axes, numbers: dict) -> None:
        hues = self.names() or [None]
        for k, name in enumerate(hues):
            rows = [(self._beside(x, k, len(hues)), group) for x, group in self.groups(name)]
            self._marks(axes, rows, name, numbers.get(name, 0))
        if self.zero is not None:
            (axes.axhline if self.upright else axes.axvline)(self.zero, color=GREY, linestyle=":")
        self._axis(axes)

    def _beside(self, x, k: int, count: int) -> float:
        """Where the k-th hue stands: side by side, not one over the other."""
        middle = k - (count - 1) / 2
        if self._named:
            return self._names().index(x) + dodge(k, count)
        if self.log:
            return x * 1.02 ** (2 * middle)
        if not self.apart:
            return x
        values = self.table[self.x].astype(float)
        return x + 0.016 * middle * (values.max() - values.min())

    def _names(self) -> list:
        return list(self.order or self.table[self.x].unique())

    def _marks(self, axes, rows, name, i: int) -> None:
        """Dots, means, and a line through these if it is wanted; once in the legend."""
        label, means = None if self.line and i > 5 else name, []  # the legend shows dashes, too
        for at, group in sorted(rows, key=lambda row: not _resolved(row[1])):  # full in the legend
            values = group[self.y].to_numpy(float)
            finite = values[np.isfinite(values)]
            if self.dots and "low" not in group:
                here = [at] * len(finite)
                points = (here, finite) if self.upright else (finite, here)
                dots_beside(axes, *points, COLOURS[i % 6], (-5, 0) if self.upright else (0, 5))
            estimate = self._estimate(group)
            if self.means and math.isfinite(estimate.mean):
                self._mean(axes, at, estimate, dot(i, not _resolved(group)) | {"label": label})
                label = None
                means.append((at, estimate.mean))
        if self.line and means:
            dashed = {"label": name, **style(i)} if i > 5 else {"color": COLOURS[i]}
            axes.plot(*zip(*sorted(means), strict=True), zorder=1.5, **dashed)

    def _estimate(self, group) -> Estimate:
        if "low" in group:
            return Estimate(*map(float, group[[self.y, "low", "high"]].iloc[0]))
        return Estimate.of(group[self.y])

    def _mean(self, axes, at: float, estimate: Estimate, look: dict) -> None:
        at, mean = ([at], [estimate.mean]) if self.upright else ([estimate.mean], [at])
        error = {"yerr" if self.upright else "xerr": estimate.error}
        axes.errorbar(at, mean, capsize=3, **error, **look)

    def _axis(self, axes) -> None:
        values = self._names()
        if not self._named:
            if self.log:
                axes.set_xscale("log", base=self.log)
            if not self.few:
                axes.set_xticks(sorted(values), map(self.ticks, sorted(values)))
            axes.minorticks_off()
        elif self.upright:
            _shade(axes, values, self.shaded)
            turn = {"rotation": self.rotation, "ha": "right"} if self.rotation else {}
            axes.set_xticks(range(len(values)), values, fontsize=10, **turn)
        else:
            name_rows(axes, values)

    def describe(self) -> str:
        """'gamma 1 +0.67 [+0.60, +0.74] at 32, ...; gamma 0.8 ...'"""
        parts = []
        for name in self.names() or [None]:
            words = [self._words(x, group) for x, group in self._said(self.groups(name))]
            parts.append(f"{name} {', '.join(words)}" if name else ", ".join(words))
        return "; ".join(filter(None, parts))

    def _said(self, groups: list) -> list:
        return groups[:1] + groups[1:][-1:] if self.only == "ends" else groups

    def _words(self, x, group) -> str:
        estimate = self._estimate(group)
        value = f"{estimate:{self.form}}" if self.interval else number(estimate.mean, self.form)
        value += "" if _resolved(group) else " (edge)"
        if self._named:
            return f"{x} {value}".strip()
        return f"{value} at {self.place(x) if self.place else f'{self.x} {x:g}'}"


def dodge(k: int, count: int) -> float:
    """How far from its name the k-th of so many hues stands."""
    return (k - (count - 1) / 2) * 0.5 / max(1, count - 0.5)


def name_rows(axes, names) -> None:
    """Names at the rows of a panel, from the top down; long ones in several lines."""
    lines = [str(name).replace(", ", ",\n").replace(" with ", "\nwith ") for name in names]
    axes.set_yticks(range(len(names)), lines, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    if axes.get_xscale() == "linear":
        axes.locator_params(axis="x", nbins=5)


def dots_beside(axes, x, y, colour: str, points=(-5, 0)) -> None:
    """A dot a run, so many points (1/72 inch) beside its place: a mean there would hide it."""
    inches = ScaledTranslation(points[0] / 72, points[1] / 72, axes.figure.dpi_scale_trans)
    axes.scatter(x, y, color=colour, s=9, alpha=0.6, transform=axes.transData + inches)
    axes.update_datalim(np.column_stack([x, y]).astype(float))  # a shift hides them from it
    axes.autoscale_view()


def _resolved(group) -> bool:
    return "resolved" not in group or bool(group.resolved.astype(bool).all())


def _shade(axes, names, shaded) -> None:
    for place, name in enumerate(names):
        if name in shaded:
            axes.axvspan(place - 0.5, place + 0.5, **SHADE)
