"""The figure of the chapter on scaling that is its own: best learning rates along an axis.

Runs are rows of a frame (lab.frame, with roles). The others: analysis/along_size_figures.py.
"""

import numpy as np

from ...analysis.along_size import AXES, place
from ...analysis.along_size import best_rates as rates_along
from ...analysis.along_size_figures import x_axis
from ...plots import COLOURS, Estimates, Picture, compose, looks, provenance


def best_rates(panels: dict, tier: str, anchor: str = "fig-scaling-rates") -> Picture:
    """Best learning rate of every initialization by size; {title: (runs, axis, relaxed)}."""
    tables = {title: rates_along(runs, axis) for title, (runs, axis, _) in panels.items()}
    tables = {title: table[table.relaxed == panels[title][2]] for title, table in tables.items()}
    tables = {title: table for title, table in tables.items() if len(table)}
    numbers = looks(init for table in tables.values() for init in table.init)
    grid = sorted({rate for runs, *_ in panels.values() if len(runs)
                   for rate in runs[runs.role == "tuning"].learning_rate})

    def panel(title, table):
        axis, xs = panels[title][1], sorted(table.x.unique())

        def more(axes):
            x_axis(xs, axis, False)(axes)
            axes.set_yscale("log", base=2)
            axes.set_yticks(grid, [f"{rate:g}" for rate in grid])
            for init, rows in table.groupby("init", sort=False) if axis == "width" else ():
                _one_relative_step(axes, rows, COLOURS[numbers[init] % 6])

        return Estimates(table=table.assign(x=table.x.astype(float)), x="x", y="best_lr",
                         hue="init", line=True, dots=False, log=2, title=title, also=more,
                         form=".2g", label="best peak learning rate", xlabel=AXES[axis][0],
                         place=lambda x: place(x, axis))

    caption = ("Vertex of a parabola through three rates of the grid, on the tuning seeds; hollow: "
               "at the grid's edge, so the best may lie beyond. Dotted: the same relative step, "
               "rate over standard deviation, at each width.")
    tuning = [runs[runs.role == "tuning"] for runs, *_ in panels.values() if len(runs)]
    return compose(anchor, "Best learning rate of every initialization",
                   [panel(*item) for item in tables.items()], caption=caption,
                   share=(False, "all"), source=provenance(tuning, tier), size=(7.2, 4.0))


def _one_relative_step(axes, rows, colour: str) -> None:
    """Where the best rates would lie if rate over standard deviation were one number."""
    inner = rows[rows.resolved]
    if len(inner):
        fall = np.nan_to_num(inner.gamma.iloc[0])  # a fixed std does not fall
        middle = np.exp(np.mean(np.log(inner.best_lr) + fall * np.log(inner.x.astype(float))))
        ends = np.array([rows.x.min(), rows.x.max()], dtype=float)
        axes.plot(ends, middle * ends**-fall, ":", color=colour)
