"""Figures on the learning rate that small initialization stands for. Numbers: readings_disguise.

Runs are rows of a frame (sweep.frame, with roles).
"""

import math

import numpy as np
import pandas as pd

from .figures import COLOURS, GAMMA, HOLLOW, LOOKS, Picture, nothing, provenance
from .figures_parts import GREY, dot, dots_and_means, legend_below
from .readings_disguise import RELATIVE, gains, part_gains, unresolved_parts
from .valleys import LOST, bottom, exponent, fast_side, slope_of, slow_side, tolerance, valleys_of
from .words import ROLES, interval, listed, shown


def exchange(series, tier: str, anchor: str = "fig-exchange") -> Picture:
    """Best learning rate against the initial standard deviation, for each {title: runs}."""
    found = {title: valleys_of(runs) for title, runs in series.items()}
    found = {title: v for title, v in found.items() if np.isfinite(v.of_mean(bottom)).any()}
    if not found:
        return nothing(anchor)
    exponents = {title: shown(exponent(v), "", 2) for title, v in found.items()}

    def draw(figure):
        axes = figure.subplots()
        for i, (title, v) in enumerate(found.items()):
            _draw_best(axes, v, i, f"{title}, b = {exponents[title]}")
        _guides(axes, next(iter(found.values())))
        _std_axis(axes, max(found.values(), key=len))
        axes.set(ylabel="best learning rate")
        legend_below(figure, axes)

    alt = "Best learning rate against initial standard deviation. " + " ".join(
        f"{title.capitalize()}: {_bests(v)}; exponent {exponents[title]}."
        for title, v in found.items()
    )
    caption = (
        "Large: the vertex of a parabola through the bottom of each valley, mean over tuning "
        "seeds; small: each seed alone. Dotted: exact exchange (rate proportional to the "
        f"deviation) and none. {_origin(series.values(), 'tuning', tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 4.4))


def slack(runs, tier: str, anchor: str = "fig-slack") -> Picture:
    """By how many octaves the rate may miss its optimum and lose at most LOST, by gamma."""
    found = valleys_of(runs)
    best = found.of_mean(bottom)
    if not np.isfinite(best).any():
        return nothing(anchor)
    sides = {"too fast": (fast_side, 1), "too slow": (slow_side, -1)}

    def draw(figure):
        axes = figure.subplots()
        for i, (label, (side, sign)) in enumerate(sides.items()):
            values, x = found.of_mean(side), np.arange(len(found))
            axes.bar(x, sign * values, width=0.6, color=COLOURS[i], alpha=0.5, label=label)
            for k, of_seed in enumerate(found.of_seeds(side).T):
                shift = 0.12 * (k - (found.losses.shape[1] - 1) / 2)
                axes.plot(x + shift, sign * of_seed, ".", color=COLOURS[i])
        _open_ends(axes, found, best)
        axes.axhline(0, color=GREY, linewidth=1)
        axes.set_xticks(range(len(found)), [f"{gamma:g}" for gamma in found.gammas])
        axes.set(xlabel=GAMMA, ylabel="octaves from the best rate")
        legend_below(figure, axes)

    alt = (
        f"By how many octaves the learning rate may miss its optimum and lose at most {LOST:g} "
        f"nats, too slow and too fast together: {_widths(found)}."
    )
    caption = (
        f"Bars: the valley of the mean over tuning seeds; dots: each seed alone; a triangle: the "
        f"grid ends before {LOST:g} nats are lost. {_origin([runs], 'tuning', tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 3.8))


def relative(runs, tier: str, usual: str = "gamma 0.5") -> Picture:
    """Final loss against gamma, plain and with relative steps, at the common and the best rate."""
    compared = runs[runs.role.isin(ROLES)] if len(runs) else runs
    if not len(compared):
        return nothing("fig-relative")
    steps = {"plain steps": "", "relative steps": RELATIVE}

    def draw(figure):
        panels = figure.subplots(1, 2, sharey=True)
        for axes, (role, title) in zip(panels, ROLES.items(), strict=True):
            for i, (label, suffix) in enumerate(steps.items()):
                chosen = compared[(compared.role == role) & (compared.relative == bool(suffix))]
                chosen = chosen.assign(x=chosen.gamma + 0.01 * (2 * i - 1))
                dots_and_means(axes, chosen, "loss", i, label)
            axes.set(title=title, xlabel=GAMMA)
        gammas = sorted(compared.gamma.dropna().unique())
        panels[0].set_xticks(gammas, [f"{gamma:g}" for gamma in gammas])
        panels[1].set_xticks(gammas, [f"{gamma:g}" for gamma in gammas])
        panels[0].set_ylabel("validation loss (nats per token)")
        legend_below(figure, panels)

    alt = f"Final validation loss against gamma. Gains over {usual}, " + "; ".join(
        f"{label}, {when}: {_gains(runs, role, usual, suffix)}"
        for role, when in ROLES.items() for label, suffix in steps.items()
    )  # fmt: skip
    caption = (
        "Mean over seeds with 95 % intervals; each dot is a run; hollow: best rate at the grid's "
        f"edge, not resolved. {provenance(compared, tier)}"
    )
    return Picture("fig-relative", draw, f"{alt}.", caption, (7.2, 4.2))


def parts(runs, tier: str, usual: float) -> Picture:
    """Gain over gamma `usual` everywhere, of one part drawn smaller, of all, and the sum."""
    tables = {role: part_gains(runs, role, usual) for role in ROLES} if len(runs) else {}
    tables = {role: table for role, table in tables.items() if table.notna().any(axis=None)}
    if not tables:
        return nothing("fig-parts")
    names = list(dict.fromkeys(name for table in tables.values() for name in table))
    names.sort(key=lambda name: (name == "all", name == "sum"))

    def draw(figure):
        axes = figure.subplots()
        for i, (role, table) in enumerate(tables.items()):
            edge = unresolved_parts(runs, usual) if role == "tuned" else ()
            _draw_gains(axes, table, names, i, LOOKS[role], ROLES[role], edge)
        axes.axhline(0, color=GREY, linestyle=":")
        labels = {"all": "all together", "sum": "sum of the\nsingle gains"}
        axes.set_xticks(range(len(names)), [labels.get(name, name) for name in names])
        axes.set(xlabel="part that is drawn smaller",
                 ylabel=f"gain over gamma {usual:g} (nats per token)")  # fmt: skip
        legend_below(figure, axes)

    alt = f"Gain over gamma {usual:g} in validation loss by the part that is drawn smaller. "
    alt += " ".join(
        f"{ROLES[role].capitalize()}: "
        + listed(f"{name} {shown(interval(table[name]))}" for name in names if name in table) + "."
        for role, table in tables.items()
    )  # fmt: skip
    caption = (
        "Means of differences of the same seed with 95 % intervals; each dot is a seed; hollow: "
        "a best rate is at the grid's edge, not resolved. The sum "
        f"is computed, not trained. {_origin([runs], tuple(ROLES), tier)}"
    )
    return Picture("fig-parts", draw, alt, caption, (7.2, 4.2))


# ---- parts of figures ----------------------------------------------------------------------------


def _draw_best(axes, found, i: int, label: str) -> None:
    """The best rate of each setting, of each seed, and the line through those of settings."""
    x, y = np.log2(found.stds), found.of_mean(bottom)
    for of_seed in found.of_seeds(bottom).T:
        axes.plot(x, of_seed, ".", color=COLOURS[i], markersize=6, alpha=0.7)
    axes.plot(x, y, linestyle="none", markersize=7, label=label, **dot(i))
    known = np.isfinite(y)
    if math.isfinite(b := slope_of(x, y)):
        ends = np.array([x[known].min(), x[known].max()])
        axes.plot(ends, y[known].mean() + b * (ends - x[known].mean()), color=COLOURS[i])


def _guides(axes, found) -> None:
    """Exact exchange (slope 1) and none (slope 0), through the middle of the points."""
    x, y = np.log2(found.stds), found.of_mean(bottom)
    middle, ends = (x[np.isfinite(y)].mean(), np.nanmean(y)), np.array([x.min(), x.max()])
    for slope, words in ((1, "exact"), (0, "none")):
        height = middle[1] + slope * (ends - middle[0])
        axes.plot(ends, height, color=GREY, linestyle=":")
        axes.text(ends[1], height[1], f" {words}", color=GREY, va="center", fontsize=9)


def _std_axis(axes, found) -> None:
    """Logarithms as the numbers that they stand for; deviations with their gammas."""
    ticks = [f"{std:.2g}\n({gamma:g})" for std, gamma in zip(found.stds, found.gammas, strict=True)]
    axes.set_xticks(np.log2(found.stds), ticks, fontsize=9)
    axes.set_yticks(np.log2(found.rates), [f"{rate:g}" for rate in found.rates])
    axes.set(xlabel="initial standard deviation (gamma)")


def _open_ends(axes, found, best) -> None:
    """A triangle at the end of the grid where a side of a valley does not end before it."""
    ends = np.log2(found.rates[[-1, 0]])
    for i, (side, end) in enumerate(zip((fast_side, slow_side), ends, strict=True)):
        for x in np.flatnonzero(np.isfinite(best) & np.isnan(found.of_mean(side))):
            axes.plot(x, end - best[x], "^v"[i], color=COLOURS[i], mfc=HOLLOW, markersize=8)


def _draw_gains(axes, table, names, place: int, look: int, label: str, edge) -> None:
    """Dots for seeds, means with intervals; hollow where a best rate is at the grid's edge."""
    shift = 0.12 * (2 * place - 1)
    for number, name in enumerate(name for name in names if name in table):
        x = names.index(name) + shift
        axes.plot([x] * len(table), table[name], ".", color=COLOURS[look], alpha=0.6)
        label = None if number else label
        _bar(axes, x + 0.06, interval(table[name]), look, hollow=name in edge, label=label)


def _bar(axes, x, values, i: int, hollow: bool = False, label=None) -> None:
    """A mean with its interval, or alone where there is none."""
    mean, low, high = values
    errors = np.nan_to_num([[mean - low], [high - mean]])
    if math.isfinite(mean):
        axes.errorbar([x], [mean], yerr=errors, capsize=3, linestyle="none", label=label,
                      **dot(i, hollow))  # fmt: skip


# ---- words ---------------------------------------------------------------------------------------


def _bests(found) -> str:
    rates = zip(found.gammas, 2 ** found.of_mean(bottom), strict=True)
    return listed(f"{rate:.2g} at gamma {gamma:g}" for gamma, rate in rates if rate > 0)


def _widths(found) -> str:
    widths = zip(found.gammas, found.of_mean(tolerance), strict=True)
    return listed(
        f"{width:.1f} at gamma {gamma:g}" if math.isfinite(width) else
        f"not known at gamma {gamma:g}, where the grid ends before"
        for gamma, width in widths
    )  # fmt: skip


def _gains(runs, role: str, usual: str, suffix: str) -> str:
    table = gains(runs, role, usual + suffix)
    chosen = [setting for setting in table if setting.endswith(RELATIVE) == bool(suffix)]
    words = (f"{s.removesuffix(suffix)} {shown(interval(table[s]))}" for s in chosen)
    return listed(words) or "not run"


def _origin(frames, roles, tier: str) -> str:
    """The provenance of the runs that are in the picture."""
    roles = (roles,) if isinstance(roles, str) else roles
    known = [runs[runs.role.isin(roles)] for runs in frames if len(runs)]
    return provenance(pd.concat(known), tier)
