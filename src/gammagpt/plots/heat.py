"""Heat maps: cells with their numbers, the best of a row framed; and matrices of many values."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np

from ..ledger.estimate import number
from .panels import Panel
from .style import FRAME

CENTRE = {"ha": "center", "va": "center"}


@dataclass(frozen=True, kw_only=True)
class Cells(Panel):
    """`table`: a row a row, a column a column; inf where a run diverged, nan where it lacks it.

    `chosen`: a table of the same shape; where it is least in its row the cell is framed.
    """

    chosen: object = None
    norm: object = None  # colours, from the least to the largest number if not given
    cmap: str = "viridis_r"  # low is bright
    form: str = ".2f"

    @property
    def empty(self) -> bool:
        return not self.table.size

    def draw(self, axes, numbers: dict):
        finite = self.table.where(np.isfinite(self.table)).astype(float)
        norm = self.norm or scale([self.table])
        image = axes.imshow(finite, cmap=self.cmap, norm=norm, aspect="auto")
        for (y, x), value in np.ndenumerate(self.table.to_numpy(float)):
            self._cell(axes, x, y, value, image)
        names = [f"{column:g}" for column in self.table.columns]
        axes.set_xticks(range(len(names)), names, fontsize=11 if len(names) < 7 else 8)
        axes.set_yticks(range(len(self.table)), self.table.index)
        axes.grid(False)
        return image

    def _cell(self, axes, x: int, y: int, value: float, image) -> None:
        chosen = self.table if self.chosen is None else self.chosen
        best = chosen.iloc[y, x] == chosen.iloc[y].min() < math.inf
        ink = _ink(image, value) if math.isfinite(value) else None
        axes.text(x, y, _word(value, self.form), color=ink, fontsize=9,
                  weight="bold" if best else "normal", **CENTRE)
        if best:
            axes.add_patch(plt.Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, **FRAME))

    def describe(self) -> str:
        """Of each row the least and the largest number, and where they are."""
        return ", ".join(f"{name} {_ends(row, self.form)}" for name, row in self.table.iterrows())


@dataclass(frozen=True, kw_only=True)
class Matrix(Panel):
    """A square of many values: `values` (N, N); `blocks` {name: slice} are framed and named."""

    values: np.ndarray = None
    blocks: dict = None
    cmap: str = "RdBu_r"
    limits: tuple = (-1, 1)
    tell: Callable = None  # (values) -> words

    @property
    def empty(self) -> bool:
        return self.values is None

    def draw(self, axes, numbers: dict):
        low, high = self.limits
        image = axes.imshow(self.values, cmap=self.cmap, vmin=low, vmax=high)
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        for block in (self.blocks or {}).values():
            corner, side = (block.start - 0.5, block.start - 0.5), block.stop - block.start
            frame = {"fill": False, "linewidth": 1.2, "edgecolor": "black"}
            axes.add_patch(plt.Rectangle(corner, side, side, **frame))
        if self.blocks:
            middles = [(block.start + block.stop - 1) / 2 for block in self.blocks.values()]
            axes.set_xticks(middles, self.blocks, fontsize=9)
            axes.set_yticks(middles, self.blocks, fontsize=9, rotation=90, va="center")
            axes.tick_params(length=0)
        return image

    def describe(self) -> str:
        return self.tell(self.values) if self.tell else ""


def scale(tables) -> plt.Normalize:
    """Colours from the least to the largest number of some tables."""
    values = np.concatenate([table.to_numpy(float).ravel() for table in tables])
    values = values[np.isfinite(values)]
    return plt.Normalize(*(np.quantile(values, (0, 1)) if len(values) else (0, 1)))


def _ink(image, value: float) -> str:
    """White on dark cells, black on bright ones."""
    red, green, blue, _ = image.cmap(image.norm(value))
    return "white" if 0.3 * red + 0.6 * green + 0.1 * blue < 0.5 else "black"


def _word(value: float, form: str) -> str:
    return number(value, form) if math.isfinite(value) else "–" if value != value else "diverged"


def _ends(row, form: str) -> str:
    row = row[np.isfinite(row)]
    at = dict.fromkeys([row.idxmin(), row.idxmax()] if len(row) else [])
    return " to ".join(f"{number(row[x], form)} at {x:g}" for x in at) or "never"
