"""Bars: one number a name and hue; beside each other, or on top of each other."""

from dataclasses import dataclass, field

import numpy as np

from ..ledger.estimate import number
from .estimates import name_rows
from .panels import Panel
from .style import COLOURS


@dataclass(frozen=True, kw_only=True)
class Bars(Panel):
    """`table`: a row a name, a column a hue; inf where a run diverged, nan where nothing is."""

    colours: dict = field(default_factory=dict)  # hue -> (colour, more of its look)
    upright: bool = True
    stacked: bool = False
    rotation: float = 0  # of the names
    form: str = ".2f"
    missing: str = "not known"

    def names(self) -> list:
        return [name for name in self.table if name not in self.colours]

    def draw(self, axes, numbers: dict) -> None:
        places, width = np.arange(len(self.table)), 0.8 / (1 if self.stacked else self._count)
        tops = {sign: np.zeros(len(self.table)) for sign in (1, -1)}  # of bars up, and down
        for i, name in enumerate(self.table):
            colour, look = self.colours.get(name) or (COLOURS[numbers[name] % 6], {})
            values = self.table[name].to_numpy(float)
            height = np.where(np.isfinite(values), values, 0)
            at = places if self.stacked else places + width * (i - (self._count - 1) / 2)
            below = np.where(height < 0, tops[-1], tops[1])
            self._bars(axes, at, height, width, below, dict(color=colour, label=name, **look))
            for sign, top in tops.items() if self.stacked else ():
                tops[sign] = top + np.where(height * sign > 0, height, 0)
            for where in at[np.isinf(values)]:
                axes.text(0, where, " diverged", va="center", fontsize=8)
        self._axis(axes, places)

    @property
    def _count(self) -> int:
        return self.table.shape[1]

    def _bars(self, axes, at, height, width: float, below, look: dict) -> None:
        if self.upright:
            axes.bar(at, height, width, bottom=below, **look)
        else:
            axes.barh(at, height, width, left=below, **look)

    def _axis(self, axes, places) -> None:
        if self.upright:
            axes.set_xticks(places, self.table.index, rotation=self.rotation, fontsize=10)
        else:
            name_rows(axes, list(self.table.index))

    def describe(self) -> str:
        return "; ".join(f"{name} " + " and ".join(self._word(value) for value in row)
                         for name, row in zip(self.table.index, self.table.to_numpy(float),
                                              strict=True))

    def _word(self, value: float) -> str:
        if np.isinf(value):
            return "a divergence"
        return number(value, self.form) if np.isfinite(value) else self.missing
