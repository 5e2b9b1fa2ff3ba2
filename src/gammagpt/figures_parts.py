"""Parts that the figures of several chapters share. What a Picture is, figures.py says."""

import math

import numpy as np

from .claims import paired_interval
from .figures import COLOURS, HOLLOW, MARKERS, dots_beside, looks, style

GREY = COLOURS[5]
SHADE = {"color": GREY, "alpha": 0.15, "linewidth": 0}


def panels_of(figure, count: int):
    """`count` axes of one scale, in rows of three; what is left over of the last stays empty."""
    columns = max(1, min(3, count))
    rows = math.ceil(count / columns) or 1
    all_axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes in all_axes[count:]:
        axes.set_axis_off()
    for axes in all_axes[:count]:
        axes.tick_params(labelbottom=True)
    return all_axes[: max(1, count)]


def legend_below(figure, panels, title: str | None = None, columns: int = 7) -> None:
    """One legend for all panels, below them; names lose the title that they begin with."""
    known = {}
    for axes in np.ravel(panels):
        handles, names = axes.get_legend_handles_labels()
        known |= dict(zip(names, handles, strict=True))
    if known:
        names = [name.removeprefix(f"{title} ") for name in known]
        figure.legend(known.values(), names, loc="outside lower center", ncols=columns,
                      fontsize=9, title=title)  # fmt: skip


def band(axes, x, values, **look) -> None:
    """The mean and the range over runs; `values` is (runs, points)."""
    if len(values):
        axes.plot(x, values.mean(0), **{"markersize": 4, **look})
        axes.fill_between(x, values.min(0), values.max(0), color=look["color"], alpha=0.3)


def bands_along(axes, along: dict, legend: bool = True) -> None:
    """Mean and range over seeds against the step (linear up to step 1, then logarithmic)."""
    for setting, i in looks(along).items():
        steps, values = along[setting]
        band(axes, steps, values.T, label=setting, **{**style(i), "markersize": 5})
    axes.set_xscale("symlog", linthresh=1)
    if legend and along:
        axes.legend(fontsize=9)


def error_bars(axes, groups, **look) -> None:
    """Mean and 95 % interval over runs, at every x."""
    points = [(x, *paired_interval(list(values), 0.95)) for x, values in groups]
    if points:
        x, mean, low, high = np.array(points).T
        errors = np.nan_to_num([mean - low, high - mean])
        axes.errorbar(x, mean, yerr=errors, capsize=3, **look)


def dots_and_means(axes, table, value: str, i: int, label: str, line: bool = True) -> None:
    """A dot for each row at `table.x`; means with 95 % intervals where every value is finite.

    Hollow where a column `resolved` says that the best learning rate is at the grid's edge.
    """
    values = table[value].astype(float).where(np.isfinite)
    dots_beside(axes, table.x, values, COLOURS[i % 6])
    whole = table[values.notna().groupby(table.x).transform("all")]
    if line:
        axes.plot(whole.groupby("x")[value].mean(), color=COLOURS[i % 6])
    resolved = whole.resolved if "resolved" in whole else whole.x.notna()
    for full, part in whole.groupby(resolved):
        error_bars(axes, part.groupby("x")[value], linestyle="none", label=label,
                   **dot(i, not full))  # fmt: skip


def dot(i: int, hollow: bool = False) -> dict:
    look = {"color": COLOURS[i % 6], "marker": MARKERS[i % 6]}
    return look | {"mfc": HOLLOW} if hollow else look


def kind_of(runs) -> str:
    """What kind of model these runs on the anchor tasks train, for the words of a figure."""
    of_emb_mlp = "activation" in runs and runs.activation.notna().all()
    return "An Emb-MLP" if of_emb_mlp else "A Transformer"


def listed(values) -> str:
    return ", ".join(map(str, sorted(set(values))))
