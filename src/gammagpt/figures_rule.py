"""Figures on what a practitioner would do tomorrow. Numbers: readings_rule.

Runs are rows of a frame (sweep.frame, with roles).
"""

import math

import numpy as np

from .claims import paired_interval
from .figures import (
    COLOURS,
    GAMMA,
    LOOKS,
    MARKERS,
    Picture,
    dots_beside,
    looks,
    nothing,
    provenance,
    style,
)
from .figures_parts import GREY, band, dot, dots_and_means, legend_below
from .readings_bias import columns_of, share_left
from .readings_rule import factor_of_two, leads, pace, valleys
from .words import ROLES, interval, listed, shown

LOSS = "validation loss (nats per token)"
HOLLOW = "Hollow: the best rate is at the grid's edge, so it is not resolved."


def rule(runs, tier: str, mine: str, anchor: str = "fig-rule") -> Picture:
    """Final loss of each initialization, and by how much it is above that of `mine`."""
    chosen = runs[runs.role.isin(ROLES)] if len(runs) else runs
    if not len(chosen):
        return nothing(anchor)
    names = _with_last(chosen.setting.unique(), mine)
    above = {role: leads(chosen, role, mine) for role in ROLES}

    def draw(figure):
        left, right = figure.subplots(1, 2, sharey=True)
        for role, label in ROLES.items():
            group = chosen[chosen.role == role]
            edge = set(group.setting[~group.resolved.astype(bool)])
            losses = {name: group.loss[group.setting == name] for name in names}
            _rows(left, losses, names, role, edge, label)
            hollow = set(names) if mine in edge else edge
            _rows(right, {n: above[role][n] for n in above[role]}, names, role, hollow)
        right.axvline(0, color=GREY, linestyle=":")
        _name_axis(left, names)
        left.set_xlabel(LOSS)
        right.set_xlabel(f"loss above that of\n{mine}\n(nats per token)")
        legend_below(figure, left)

    told = [f"{words.capitalize()}: {_told(chosen[chosen.role == role], names)}. There, above "
            f"{mine}: {_above(above[role])}." for role, words in ROLES.items()]  # fmt: skip
    caption = (
        f"Right of the dotted line {mine} ends lower. Means with 95 % intervals, on the right of "
        f"pairs of one seed; each dot is a run or a pair. {HOLLOW} {provenance(chosen, tier)}"
    )
    alt = f"Final validation loss of each initialization. {' '.join(told)}"
    return Picture(anchor, draw, alt, caption, (7.2, 1.4 + 0.75 * len(names)))


def price(runs, tier: str, anchor: str = "fig-price") -> Picture:
    """The valley of each initialization, and what half and twice its best rate costs."""
    names, found = valleys(runs)
    if not names:
        return nothing(anchor)
    table, tuning = factor_of_two(runs), runs[runs.role == "tuning"]
    sides = ("half the rate", "twice the rate")
    longest = max(_in_lines(name).count("\n") + 1 for name in names)
    heights = 3.6, 0.8 + 0.2 * longest * len(names)  # inches; names must not touch each other

    def draw(figure):
        above, below = figure.subplots(2, 1, height_ratios=heights)
        for (name, i), losses in zip(looks(names).items(), found.losses, strict=True):
            finite = np.where(np.isfinite(losses), losses, math.nan)
            above.plot(found.rates, finite.mean(0), label=name, **style(i))
            above.plot(found.rates, finite.T, ".", color=COLOURS[i % 6], markersize=3)
        above.set_xscale("log", base=2)
        above.set_xticks(found.rates, [f"{rate:g}" for rate in found.rates])
        above.minorticks_off()
        above.set(xlabel="learning rate", ylabel="validation loss\n(nats per token)")
        _price_bars(below, table, names, sides)
        legend_below(figure, above, columns=3)

    words = "; ".join(f"{name} {_costs(table.loc[name], sides)}" for name in names)
    alt = (
        "Final validation loss against the learning rate, a line an initialization. What half and "
        f"twice the best rate of the grid cost, in nats: {words}."
    )
    caption = (
        "Above: means over the tuning seeds; dots are runs, and a line has a gap where one "
        "diverged. Below: what the loss rises by if the learning rate is half or twice the best "
        f"of the grid; without a bar the grid ends there. {provenance(tuning, tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, sum(heights)))


def ring(runs, tier: str, done: str, left: str, anchor: str = "fig-ring") -> Picture:
    """What is left of both tasks along training, and of the one when the other is half learned."""
    chosen = runs[runs.role.isin(ROLES)] if len(runs) else runs
    if not len(chosen):
        return nothing(anchor)
    measure, common = f"{left}_left_at_{done}", chosen[chosen.role == "common"]
    settings = list(common.sort_values("gamma").setting.unique())

    def draw(figure):
        grid = figure.add_gridspec(2, max(1, len(settings)))
        for k, setting in enumerate(settings):
            axes = figure.add_subplot(grid[0, k], sharey=figure.axes[0] if k else None)
            _shares(axes, common[common.setting == setting], (done, left))
            axes.set(title=setting, xlabel="step", ylim=(0, 1.04))
            axes.tick_params(labelleft=not k)
            axes.locator_params(axis="x", nbins=3)
        if settings:
            figure.axes[0].set_ylabel("share left")
            figure.axes[0].legend(fontsize=8, title="at the common rate", title_fontsize=8)
        below = figure.add_subplot(grid[1, :])
        _left(below, chosen, measure)
        below.set(xlabel=GAMMA,
                  ylabel=f"{left} left when\n{done} is half learned")  # fmt: skip
        legend_below(figure, below)

    told = " ".join(f"{words.capitalize()}: {_means(chosen[chosen.role == role], measure)}."
                    for role, words in ROLES.items())  # fmt: skip
    alt = f"Share of {left} that is left when {done} is half learned, by gamma. {told}"
    caption = (
        "Above: mean over seeds, the band is their range; a task is half learned at one half. "
        f"Below: each dot is a run, means with 95 % intervals. {HOLLOW} {provenance(chosen, tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 5.4))


def cost(runs, tier: str, anchor: str = "fig-cost") -> Picture:
    """Seconds of training for a million tokens, of every run, by initialization."""
    once = pace(runs)
    if not len(once):
        return nothing(anchor)
    names = list(once.setting.unique())
    middle = once.groupby("setting").pace.median()

    def draw(figure):
        axes = figure.subplots()
        for y, name in enumerate(names):
            values = once.pace[once.setting == name]
            axes.scatter(values, [y] * len(values), s=9, alpha=0.6, color=COLOURS[0])
            axes.plot(middle[name], y, "|", color=COLOURS[1], markersize=18, markeredgewidth=2)
        _name_axis(axes, names)
        axes.set_xscale("log", base=2)  # a machine that did other things is slower by a factor
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set(xlabel="seconds of training for a million tokens")

    words = "; ".join(f"{name} {middle[name]:.1f}" for name in names)
    alt = f"Seconds of training for a million tokens, the median of each initialization: {words}."
    caption = (
        "Dots: runs, with whatever else the machine did then; bars: medians. "
        f"{provenance(once, tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 1.2 + 0.45 * len(names)))


# ---- parts of figures ----------------------------------------------------------------------------


def _with_last(names, mine: str) -> list[str]:
    """The names in their order, that of the rule first."""
    return sorted(names, key=lambda name: name != mine)


def _rows(axes, values: dict, names, role: str, hollow=(), label=None) -> None:
    """A row a name: dots, and their mean with its 95 % interval if every value is finite."""
    look, i = {"linestyle": "none", "capsize": 3}, LOOKS[role]
    shift = 0.15 if role == "tuned" else -0.15
    for name in sorted(values, key=lambda name: name in hollow):  # full in the legend
        mine, y = np.array(values[name], dtype=float), names.index(name) + shift
        finite = mine[np.isfinite(mine)]
        dots_beside(axes, finite, [y] * len(finite), COLOURS[i], (0, 5))
        mean, low, high = paired_interval(list(mine), 0.95)
        if math.isfinite(mean):
            reach = [[mean - low], [high - mean]] if math.isfinite(low) else None
            axes.errorbar([mean], [y], xerr=reach, label=label, **look, **dot(i, name in hollow))
            label = None  # once in the legend


def _name_axis(axes, names) -> None:
    axes.set_yticks(range(len(names)), [_in_lines(name) for name in names], fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _in_lines(name: str) -> str:
    return name.replace(", ", ",\n").replace(" with ", "\nwith ")


def _price_bars(axes, table, names, sides) -> None:
    """Two bars an initialization; a word where a run beside the best rate diverged."""
    for i, side in enumerate(sides):
        y = np.arange(len(names)) + 0.36 * (i - 0.5)
        values = table[side].to_numpy(float)
        lost = np.isinf(values)
        axes.barh(y, np.where(np.isfinite(values), values, 0), 0.34, color=GREY, label=side,
                  alpha=(0.5, 1)[i])  # fmt: skip
        for at in y[lost]:
            axes.text(0, at, " diverged", va="center", fontsize=8)
    _name_axis(axes, names)
    axes.set_xlabel("rise of the loss (nats per token)")
    axes.legend(fontsize=9, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))


def _shares(axes, runs, names) -> None:
    """Mean and range over seeds of the share left of each task."""
    for i, name in enumerate(names):
        found = [share_left(run, name) for run in runs[runs.status == "ok"].itertuples()]
        found = [points for points in found if len(points)]
        if found:
            values = np.array([points[:, 1] for points in found]).clip(max=1)
            band(axes, found[0][:, 0], values, color=COLOURS[i + 2], marker=MARKERS[i + 2],
                 label=name)  # fmt: skip
    axes.axhline(0.5, color=GREY, linestyle=":")


def _left(axes, runs, measure: str) -> None:
    for i, (role, label) in enumerate(ROLES.items()):
        mine = columns_of(runs[runs.role == role], ["gamma", "resolved", measure])
        if not len(mine):
            continue
        beside = mine.assign(x=mine.gamma + 0.006 * (2 * i - 1))
        dots_and_means(axes, beside, measure, LOOKS[role], label, line=False)
    gammas = sorted(runs.gamma.unique())
    axes.set_xticks(gammas, [f"{gamma:g}" for gamma in gammas])
    axes.set_ylim(-0.02, 1.04)


# ---- words ---------------------------------------------------------------------------------------


def _told(runs, names) -> str:
    groups = dict(list(runs.groupby("setting").loss))
    words = [f"{name} {_mean(groups[name])}" for name in names if name in groups]
    return "; ".join(words) or "not run"


def _mean(losses) -> str:
    return f"{losses.mean():.3f}" if np.isfinite(losses).all() else "diverged on a seed"


def _above(table) -> str:
    return "; ".join(f"{name} {_shown(table[name])}" for name in table) or "not known"


def _shown(values) -> str:
    found = interval(values)
    return shown(found) if math.isfinite(found[0]) else "not known, a run diverged"


def _costs(row, sides) -> str:
    words = {False: "{:.3f}", True: "a divergence"}
    found = [("beyond the grid" if math.isnan(row[side]) else
              words[math.isinf(row[side])].format(row[side])) for side in sides]  # fmt: skip
    return " and ".join(found)


def _means(runs, measure: str) -> str:
    """'0.60 at gamma 0.3, ...': of the gammas whose runs all got that far."""
    values = columns_of(runs, ["gamma", measure]).groupby("gamma")[measure]
    means = values.agg(lambda found: found.mean(skipna=False))
    words = {g: f"{m:.2f}" if math.isfinite(m) else "not known" for g, m in means.items()}
    return listed(f"{told} at gamma {g:g}" for g, told in words.items()) or "not run"
