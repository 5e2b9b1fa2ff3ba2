"""A figure is a grid of panels: each draws a tidy table, and says the same table in words.

A panel is an Estimates, Curves, Ways, Bars, Cells or Matrix (the other modules of this room).
`compose` lays them out, gives every name one look in all of them, and reads the alt text off them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..ledger.estimate import capital
from .picture import Picture, Source, nothing
from .style import looks

NO_SOURCE = Source()
COLUMNS = 3  # of panels, where nothing else is said; four are two rows of two


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What all kinds of panels have in common. A table without rows is an empty panel."""

    table: pd.DataFrame = None
    hue: str | None = None  # the column of what has a look of its own
    title: str = ""  # above the axes
    head: str | None = None  # what its numbers are called in the alt text; the title, if not given
    label: str = ""  # of the axis with the values
    xlabel: str = ""  # of the other one
    axes: dict = field(default_factory=dict)  # more properties, for `axes.set`
    also: Callable | None = None  # also(axes) draws what only this figure has
    alt: Callable | None = None  # alt() says the panel in words, if not its table as it is

    @property
    def empty(self) -> bool:
        return not len(self.table)

    def names(self) -> list:
        """What has a look of its own in this panel."""
        known = self.table is not None and self.hue in self.table
        return list(self.table[self.hue].unique()) if known else []

    def words(self) -> str:
        """'At one learning rate: gamma 0.5 4.593, gamma 1 3.921': the table, as far as it is drawn.

        Nothing for a panel whose `head` is empty: another one says the same.
        """
        body = self.alt() if self.alt else self.describe()
        head = self.title if self.head is None else self.head
        return f"{head}: {body}" if head and body else body

    def show(self, axes, numbers: dict):
        """Everything on the axes; `numbers` {name: look}. Returns what a colour bar stands for."""
        image = self.draw(axes, numbers)
        axes.set_title(str(self.title), fontsize=11)
        if self.also:
            self.also(axes)
        if self.axes:
            axes.set(**self.axes)
        return image


def compose(anchor: str, head: str, grid, *, caption: str = "", source: Source = NO_SOURCE,
            size=None, share=("all", "all"), legend: int | None = 7, legend_title=None, bar=None,
            first=None, ratios=None, widths=None, alt: str | None = None) -> Picture:
    """A Picture of panels: a list of rows of them, or one list, which is cut into rows.

    share: of the x and of the y axis, as matplotlib's subplots has it. legend: columns of the one
    legend below all panels, None without. bar: the label of a colour bar for all panels.
    first {name: number}: looks that are not to be chosen here. ratios, widths: of the rows and of
    the columns. alt: the alt text after its head, if it is not to be read off the panels.
    """
    rows = grid if grid and isinstance(grid[0], list) else _in_rows(grid)
    panels = [panel for row in rows for panel in row if panel]
    if all(panel.empty for panel in panels):
        return nothing(anchor)
    numbers = looks(name for panel in panels for name in panel.names()) | (first or {})

    def draw(figure):
        all_axes = subplots(figure, [len(row) for row in rows], share, ratios, widths)
        images = [panel.show(axes, numbers) for axes, panel in zip(all_axes, panels, strict=True)]
        _label(all_axes, rows, share)
        image = next((image for image in images if image), None)
        if bar and image:
            extend = "max" if image.get_array().max() > image.norm.vmax else "neither"
            figure.colorbar(image, ax=list(all_axes), label=bar, extend=extend)
        if legend:
            legend_below(figure, all_axes, legend, legend_title)

    body = alt if alt is not None else "; ".join(filter(None, (p.words() for p in panels)))
    return Picture(anchor, draw, f"{head}. {capital(body)}".rstrip(". ") + ".", caption,
                   size or (7.2, 1.2 + 2.6 * len(rows)), source)


def subplots(figure, counts: list[int], share=("all", "all"), ratios=None, widths=None) -> list:
    """Axes, row by row, as many in each as `counts` says; every row fills the whole width.

    A last row of fewer axes than those above stays short if all are of one scale.
    """
    most = max(counts)
    same = share[0] == share[1] == "all"
    if same or set(counts) == {most}:
        grid = figure.subplots(len(counts), most, squeeze=False, sharex=share[0], sharey=share[1],
                               height_ratios=ratios, width_ratios=widths)
        for axes in (axes for row, count in zip(grid, counts, strict=True) for axes in row[count:]):
            axes.set_axis_off()
        return [axes for row, count in zip(grid, counts, strict=True) for axes in row[:count]]
    return _rows_of_their_own(figure, counts, ratios)


def _rows_of_their_own(figure, counts, ratios) -> list:
    width = math.lcm(*counts)
    grid, all_axes = figure.add_gridspec(len(counts), width, height_ratios=ratios), []
    for y, count in enumerate(counts):
        for x in range(count):
            wide = slice(x * width // count, (x + 1) * width // count)
            beside = all_axes[-1] if x else None
            all_axes.append(figure.add_subplot(grid[y, wide], sharey=beside))
            all_axes[-1].tick_params(labelleft=not x)
    return all_axes


def legend_below(figure, panels, columns: int = 7, title: str | None = None) -> None:
    """One legend for all panels, below them; names lose the title that they begin with."""
    known = {}
    for axes in np.ravel(panels):
        handles, names = axes.get_legend_handles_labels()
        known = dict(zip(names, handles, strict=True)) | known
    if known:
        names = [name.removeprefix(f"{title} ") for name in known]
        figure.legend(known.values(), names, loc="outside lower center", ncols=columns,
                      fontsize=9, title=title)


def _in_rows(panels: list) -> list[list]:
    columns = 2 if len(panels) == 4 else COLUMNS
    return [panels[i : i + columns] for i in range(0, len(panels), columns)] or [[]]


def _label(all_axes, rows, share) -> None:
    """Labels where an axis is not that of a neighbour: at the left, and at the bottom."""
    panels, at = [panel for row in rows for panel in row], 0
    columns = max(map(len, rows))
    for y, row in enumerate(rows):
        for x, panel in enumerate(row):
            axes = all_axes[at]
            lowest = y == len(rows) - 1 or x >= len(rows[y + 1])
            shared = share[0] in ("all", "col", True) and len(row) == columns
            if lowest or not shared or panel.xlabel != panels[-1].xlabel:
                axes.set_xlabel(panel.xlabel)
                axes.tick_params(labelbottom=True)
            if x == 0 or panel.label != row[0].label or share[1] in ("none", False, "col"):
                axes.set_ylabel(panel.label)
            at += 1
