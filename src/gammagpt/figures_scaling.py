"""Figures on scaling: losses, gains and best rates against width, and against training tokens.

Runs are rows of a frame (sweep.frame, with roles); readings_scaling.py says what a start, a gain
and a line are. What a Picture is, figures.py says.
"""

import numpy as np
import pandas as pd

from . import readings_scaling as read
from .claims import paired_interval
from .figures import COLOURS, Picture, looks, nothing, provenance
from .figures_parts import GREY, SHADE, dot, dots_and_means, legend_below
from .optim import OptimConfig
from .readings_bias import ROLES
from .readings_restraints import interval
from .words import listed, shown

NATS = "nats per token"
AXES = {  # a column of a frame -> its name in a figure, and its unit
    "width": ("width", 1), "tokens": ("training tokens (millions)", 1e6), "n_layer": ("layers", 1),
    "stands_for": ("width that epsilon stands for", 1),
}  # fmt: skip
STRAIGHT = ("width", "tokens")  # along these the loss is said to fall by a power law
BEYOND = 2  # how many times the largest width, or length, a line is extrapolated to
CHANGES = {"gain": ("as usual", "relaxed"), "change": ("relaxed less as usual",)}
FIRST = {"gain": 3, "change": 5}  # their first colours: restraints never look like starts


def width(runs, tier: str) -> Picture:
    """Final loss, and gain over the usual start, against width; common rate, and tuned."""
    return _losses_and_gains(runs, tier, "width", "fig-scaling-width")


def length(runs, tier: str, anchor: str = "fig-scaling-length") -> Picture:
    """The same against training tokens, every point a run of its own."""
    return _losses_and_gains(runs, tier, "tokens", anchor)


def fresh(runs, tier: str, anchor: str = "fig-scaling-fresh") -> Picture:
    """The first one again, of the two ends and on other seeds."""
    return _losses_and_gains(runs, tier, "width", anchor)


def depth(runs, tier: str, anchor: str = "fig-scaling-depth") -> Picture:
    """The same against the number of layers."""
    return _losses_and_gains(runs, tier, "n_layer", anchor)


def biting(runs, tier: str, anchor: str = "fig-biting") -> Picture:
    """The same against epsilon, as a column `stands_for` says it (readings_restraints)."""
    return _losses_and_gains(runs, tier, "stands_for", anchor)


def _losses_and_gains(runs, tier: str, axis: str, anchor: str) -> Picture:
    points, found = read.along(runs, axis), read.gains(runs, axis)
    points = points[~points.relaxed]
    if not np.isfinite(points.loss.astype(float)).any():
        return nothing(anchor)
    starts, roles = list(points.start.unique()), _roles(points)
    lines = {key: line for key, line in read.lines(runs, axis).items()
             if axis in STRAIGHT and not key[1] and len(line.xs) > 2}  # any two lie on a line

    def draw(figure):
        grid = figure.subplots(2, len(roles), sharex=True, sharey="row", squeeze=False)
        for (top, below), role in zip(grid.T, roles, strict=True):
            top.set_title(ROLES[role], fontsize=11)
            _groups(top, points[points.role == role], "loss", "start", starts)
            mine = found[(found.role == role) & ~found.relaxed]
            _groups(below, mine, "gain", "start", starts)
            below.axhline(0, color=GREY, linestyle=":")
            for start, i in looks(starts).items():
                _line(top, lines.get((role, False, start)), i)
            _x_axis(below, points.x.unique(), axis, beyond=bool(lines))
            _shade(top, points.x.max(), bool(lines), "extrapolation")
            _shade(below, points.x.max(), bool(lines))
        grid[0, 0].set_ylabel(f"validation loss\n({NATS})")
        grid[1, 0].set_ylabel(f"gain over {read.usual(points)}\n({NATS})")
        legend_below(figure, grid[:, ::-1].T)  # the first panels say how it looks

    alt = " ".join([
        f"Final validation loss against {AXES[axis][0]}{_warmup(runs)}.",
        *(_losses_told(points[points.role == role], lines, role, axis) for role in roles),
        f"Gain over {read.usual(points)}.",
        *(_gains_told(found[(found.role == role) & ~found.relaxed], role, axis) for role in roles),
    ])  # fmt: skip
    straight = (f"Dashed: extrapolation to {BEYOND} times the largest, by lines straight in both "
                "logarithms, with 95 % intervals over seeds. ") * bool(lines)  # fmt: skip
    caption = (
        "Each dot is a run; means with 95 % intervals; hollow: a best rate at its grid's edge. "
        f"{straight}{provenance(points, tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 5.8))


def relaxed(runs, tier: str, anchor: str = "fig-scaling-relaxed") -> Picture:
    """The gain of the largest gamma by width, with both restraints and without, and the change."""
    points, changed = read.along(runs), read.released(runs)
    found = read.gains(runs)
    found = found[found.start == f"gamma {points.gamma.max():g}"]
    if not np.isfinite(changed.change.astype(float)).any():
        return nothing(anchor)
    found = found.assign(restraints=np.where(found.relaxed, "relaxed", "as usual"))
    changed = changed.assign(restraints=CHANGES["change"][0])
    roles = _roles(found)

    def draw(figure):
        grid = figure.subplots(2, len(roles), sharex=True, sharey="row", squeeze=False)
        for (top, below), role in zip(grid.T, roles, strict=True):
            top.set_title(ROLES[role], fontsize=11)
            for axes, table, value in ((top, found, "gain"), (below, changed, "change")):
                mine, names = table[table.role == role], CHANGES[value]
                _groups(axes, mine, value, "restraints", names, first=FIRST[value])
                axes.axhline(0, color=GREY, linestyle=":")
            _x_axis(below, found.x.unique(), "width")
        grid[0, 0].set_ylabel(f"gain of gamma {points.gamma.max():g}\n({NATS})")
        grid[1, 0].set_ylabel(f"change of the gain\n({NATS})")
        legend_below(figure, grid[:, ::-1].T)  # the first panels say how it looks

    told = []
    for role in roles:
        mine = found[found.role == role]
        gains = [f"{name} {_at_each(part, 'gain')}" for name, part in mine.groupby("restraints")]
        change = _at_each(changed[changed.role == role], "change")
        told.append(f"{_head(role)}: {'; '.join(gains)}; change {change}.")
    alt = (
        f"Gain of gamma {points.gamma.max():g} over {read.usual(points)} in validation loss, "
        f"{NATS}, by width, with the usual epsilon and no gate and with both relaxed. "
        f"{' '.join(told)}"
    )
    caption = (
        "Above: gains. Below: relaxed less as usual, which the rule judges. Each dot is a pair of "
        "one seed; means with 95 % intervals; hollow: a best rate at its grid's edge. "
        f"{provenance(points, tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 5.4))


def best_rates(panels: dict, tier: str, anchor: str = "fig-scaling-rates") -> Picture:
    """Best learning rate of every start along an axis; {title: (runs, axis, relaxed)}."""
    best = {title: _best(*what) for title, what in panels.items()}
    best = {title: table for title, table in best.items() if len(table)}
    if not best:
        return nothing(anchor)
    starts = list(dict.fromkeys(start for table in best.values() for start in table.start))

    def draw(figure):
        all_axes = figure.subplots(1, len(best), sharey=True, squeeze=False)[0]
        for axes, (title, table) in zip(all_axes, best.items(), strict=True):
            axes.set_title(title, fontsize=11)
            for start, i in looks(starts).items():
                mine = table[table.start == start]
                _rates(axes, mine, i, start)
                if panels[title][1] == "width":
                    _one_relative_step(axes, mine, i)
            axes.set_yscale("log", base=2)
            _x_axis(axes, table.x.unique(), panels[title][1])
        grid = sorted({rate for runs, *_ in panels.values() for rate in _grid(runs)})
        all_axes[0].set_yticks(grid, [f"{rate:g}" for rate in grid])
        all_axes[0].set_ylabel("best peak learning rate")
        legend_below(figure, all_axes[::-1])

    told = [f"{title}: {_rates_told(table, panels[title][1])}." for title, table in best.items()]
    tuning = [runs[runs.role == "tuning"] for runs, *_ in panels.values() if len(runs)]
    alt = f"Best learning rate of every initialization. {' '.join(told)}"
    caption = (
        "Vertex of a parabola through three rates of the grid, on the tuning seeds; hollow: at the "
        "grid's edge, so the best may lie beyond. Dotted: the same relative step, rate over "
        f"standard deviation, at each width. {provenance(pd.concat(tuning), tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 4.0))


# ---- parts of figures ----------------------------------------------------------------------------


def _roles(points) -> list[str]:
    return [role for role in ROLES if role in set(points.role)]


def _groups(axes, points, value: str, hue: str, hues, first: int | None = None) -> None:
    """A value against the axis, a colour for each of `hues`."""
    for place, (name, i) in enumerate(looks(hues).items()):
        mine = points[points[hue] == name]
        mine = mine.assign(x=mine.x * 1.02 ** (2 * place - len(hues) + 1))  # side by side
        dots_and_means(axes, mine, value, i if first is None else first + place, name)


def _line(axes, line, i: int) -> None:
    """What a line says beyond its last point, with its interval."""
    if line is not None:
        xs = np.geomspace(line.xs[-1], BEYOND * line.xs[-1], 9)
        mean, low, high = np.array([line.at(x) for x in xs]).T
        axes.plot(xs, mean, "--", color=COLOURS[i])
        axes.fill_between(xs, low, high, color=COLOURS[i], alpha=0.3, linewidth=0)


def _shade(axes, last: float, beyond: bool, words: str = "") -> None:
    """Where nothing was trained."""
    if beyond:
        axes.axvspan(last * BEYOND**0.25, last * BEYOND * 1.1, **SHADE)
        axes.text(last * BEYOND**0.66, 0.97, words, fontsize=8, ha="center", va="top",
                  transform=axes.get_xaxis_transform())  # fmt: skip


def _x_axis(axes, xs, axis: str, beyond: bool = False) -> None:
    label, unit = AXES[axis]
    ticks = sorted(xs) + [max(xs) * BEYOND] * beyond
    axes.set_xscale("log", base=2)
    axes.set_xlim(min(ticks) / 1.15, max(ticks) * 1.15)
    axes.set_xticks(ticks, [f"{x:,.0f}" if unit == 1 else f"{x / unit:.2g}" for x in ticks])
    axes.set_xlabel(label)


def _best(runs, axis: str, relaxed: bool):
    table = read.best_rates(runs, axis)
    return table[table.relaxed == relaxed]


def _grid(runs) -> set:
    return set(runs[runs.role == "tuning"].learning_rate) if len(runs) else set()


def _rates(axes, table, i: int, label: str) -> None:
    axes.plot(table.x, table.rate, color=COLOURS[i])
    for resolved, part in table.groupby("resolved"):
        axes.plot(part.x, part.rate, linestyle="none", label=label, **dot(i, not resolved))


def _one_relative_step(axes, table, i: int) -> None:
    """Where the best rates would lie if rate over standard deviation were one number."""
    inner = table[table.resolved]
    if len(inner):
        fall = np.nan_to_num(inner.gamma.iloc[0])  # a fixed std does not fall
        middle = np.exp(np.mean(np.log(inner.rate) + fall * np.log(inner.x.astype(float))))
        ends = np.array([table.x.min(), table.x.max()], dtype=float)
        axes.plot(ends, middle * ends**-fall, ":", color=COLOURS[i])


# ---- words ---------------------------------------------------------------------------------------


def _head(role: str) -> str:
    return ROLES[role][0].upper() + ROLES[role][1:]


def _warmup(runs) -> str:
    """', with a warm-up of 30 %' where all runs have one that is not the usual."""
    found = {*runs.warmup}
    one = len(found) == 1 and found != {OptimConfig().warmup}
    return f", with a warm-up of {100 * found.pop():g} %" if one else ""


def _losses_told(points, lines, role: str, axis: str) -> str:
    told = []
    for start, group in points.groupby("start", sort=False):
        ends = sorted({group.x.min(), group.x.max()})
        words = [f"{_mean(group[group.x == x].loss)} at {read.place(x, axis)}" for x in ends]
        if line := lines.get((role, False, start)):
            beyond = line.xs[-1] * BEYOND
            words.append(f"extrapolated {shown(line.at(beyond), '')} at {read.place(beyond, axis)}")
        told.append(f"{start} {listed(words)}")
    return f"{_head(role)}: {'; '.join(told)}."


def _gains_told(found, role: str, axis: str) -> str:
    told = [f"{start} {_at_each(group, 'gain', axis)}"
            for start, group in found.groupby("start", sort=False)]  # fmt: skip
    return f"{_head(role)}: {'; '.join(told) or 'no pair of settings'}."


def _mean(values) -> str:
    mean, *_ = paired_interval(list(values), 0.95)
    return f"{mean:.3f}" if np.isfinite(mean) else "(a run diverged)"


def _at_each(table, value: str, axis: str = "width") -> str:
    told = [f"{interval(group[value])} at {read.place(x, axis)}" for x, group in table.groupby("x")]
    return listed(told) or "not known"


def _rates_told(table, axis: str) -> str:
    told = []
    for start, group in table.groupby("start", sort=False):
        words = [f"{row.rate:.2g} at {read.place(row.x, axis)}" + " (edge)" * (not row.resolved)
                 for row in group.itertuples()]  # fmt: skip
        told.append(f"{start} {listed(words)}")
    return "; ".join(told)
