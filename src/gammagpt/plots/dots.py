"""Dots: a dot a row of the table, by hue."""

from dataclasses import dataclass

from .panels import Panel
from .style import COLOURS


@dataclass(frozen=True, kw_only=True)
class Dots(Panel):
    """A dot a row of `table` at (x, y), by hue."""

    x: str
    y: str
    hue: str

    def draw(self, axes, numbers: dict) -> None:
        for name, rows in self.table.groupby(self.hue, sort=False):
            i = numbers[name]
            axes.plot(rows[self.x], rows[self.y], "osD^vP"[i % 6], color=COLOURS[i % 6],
                      label=name, markersize=4, alpha=0.7)  # fmt: skip

    def describe(self) -> str:
        return ", ".join(f"{name} {len(rows)} runs"
                         for name, rows in self.table.groupby(self.hue, sort=False))
