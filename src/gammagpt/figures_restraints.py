"""Figures of what may hold small initialization back: epsilon, sinks and gate, decay, warm-up.

Runs are rows of a frame (sweep.frame, with roles); readings_restraints.py says what a variant and
a gain are. What a Picture is, figures.py says.
"""

import math
from itertools import product

import numpy as np

from .claims import paired_interval
from .figures import (
    COLOURS,
    MARKERS,
    Picture,
    dots_beside,
    looks,
    nothing,
    provenance,
    stroke,
    style,
)
from .figures_parts import GREY, legend_below, panels_of
from .readings_bias import ROLES
from .readings_restraints import (
    HABITS,
    changes,
    compared,
    ends,
    first_norm,
    gains,
    habit_changes,
    habit_gains,
    interval,
    only,
)

NATS = "nats per token"
LOSS = f"validation loss ({NATS})"
SINKS = {
    "sink_rate": "share of heads that are sinks",
    "first_token": "attention to the first token",
}


# ---- before any training -------------------------------------------------------------------------


def norm_levels(levels, widths) -> Picture:
    """RMS after every norm of models that were just drawn, against the width; a panel a gamma.

    `levels`: readings_restraints.norm_levels; its largest eps is drawn norm by norm, the others
    as one line each. `widths`: how far the formula of the first norm is drawn.
    """
    usual = levels.eps.max()

    def draw(figure):
        gammas = levels.gamma.unique()
        panels = panels_of(figure, len(gammas))
        for axes, gamma in zip(panels, gammas, strict=False):
            _draw_levels(axes, levels[levels.gamma == gamma], usual)
            curve = [first_norm(width, gamma, usual) for width in widths]
            axes.plot(widths, curve, ":", color=GREY, label="first norm, formula")
            axes.set_xscale("log", base=2)
            axes.set(title=f"gamma {gamma:g}", xlabel="width", ylim=(0, 1.08))
            axes.set_xticks(widths[::2], widths[::2])
        panels[0].set_ylabel("RMS after the norm")
        legend_below(figure, panels, columns=4)

    widest = levels[levels.width == levels.width.max()]
    told = [f"gamma {gamma:g}, eps {eps:g}: {group.rms.min():.2f} to {group.rms.max():.2f}"
            for (gamma, eps), group in widest.groupby(["gamma", "eps"])]  # fmt: skip
    alt = (
        "RMS after the norms of models just drawn, which should be 1. At width "
        f"{levels.width.max()}, from the lowest norm to the highest: {'; '.join(told)}."
    )
    caption = (
        f"Solid: eps {usual:g}, a line a norm, by what reads it. Dashed: the mean over norms at "
        "smaller eps. Dotted: the formula of the first norm. Models drawn just now; no training."
    )
    return Picture("fig-norms", draw, alt, caption, (7.2, 4.0))


def _draw_levels(axes, levels, usual) -> None:
    mine = levels[levels.eps == usual]
    for i, name in enumerate(mine.norm.unique()):
        line = mine[mine.norm == name]
        # They nearly coincide: markers get smaller, so that none hides another.
        look = {**style(i), "markersize": max(3, 11 - 2 * i)}
        axes.plot(line.width, line.rms, label=name, **look)
    for eps, rest in levels[levels.eps < usual].groupby("eps"):
        mean = rest.groupby("width").rms.mean()
        axes.plot(mean.index, mean, "--", color=GREY, label=f"all norms, eps {eps:g}")


# ---- gains and losses of variants ----------------------------------------------------------------


def corners(runs, tier: str, anchor="fig-corners") -> Picture:
    """The gain of the largest gamma over the smallest of every variant, and what changes it."""
    found, changed = gains(runs), changes(runs)
    if not len(found):
        return nothing(anchor)
    first, last = ends(compared(runs))

    def draw(figure):
        heights = found.variant.nunique(), max(1, changed.variant.nunique())
        above, below = figure.subplots(2, 1, height_ratios=heights)
        _strip(above, found, "gain", "role", ROLES)
        _strip(below, changed, "change", "role", ROLES)
        above.set_xlabel(f"gain of {last} over {first} ({NATS})")
        below.set_xlabel(f"change of this gain ({NATS})")
        legend_below(figure, [above])

    alt = (
        f"Gain of {last} over {first} in validation loss, in {NATS}. {_told(found, 'gain')} "
        f"Change of this gain when a restraint is relaxed. {_told(changed, 'change')}"
    )
    caption = (
        "Above: to the right of the dotted line the small initialization ends lower. Below: to the "
        "right, relaxing lets its gain grow; this is what the rules judge. Mean of pairs of one "
        f"seed with 95 % intervals; each dot is a pair. {provenance(compared(runs), tier)}"
    )
    rows = found.variant.nunique() + max(1, changed.variant.nunique())
    return Picture(anchor, draw, alt, caption, (7.2, 2.0 + 0.46 * rows))


def losses(runs, tier: str, anchor="fig-corner-losses") -> Picture:
    """Final loss of every variant and gamma; a panel for each of the two questions."""
    runs = compared(runs)
    if not len(runs):
        return nothing(anchor)
    roles = [role for role in ROLES if role in set(runs.role)]

    def draw(figure):
        panels = panels_of(figure, len(roles))
        for axes, role in zip(panels, roles, strict=True):
            _strip(axes, runs[runs.role == role], "loss", "start")
            axes.set(title=ROLES[role], xlabel=LOSS)
        legend_below(figure, panels)

    told = [_sentence(ROLES[role], _by_start(runs[runs.role == role])) for role in roles]
    alt = f"Final validation loss of every variant. {' '.join(told)}"
    caption = f"Mean with 95 % intervals; each dot is a run. {provenance(runs, tier)}"
    return Picture(anchor, draw, alt, caption)


def controls(runs, tier: str) -> Picture:
    """The gate and its controls at the common rate: losses of every gamma, and the gain."""
    runs, found = compared(runs), gains(runs)
    if not len(found):
        return nothing("fig-gate-controls")
    first, last = ends(runs)

    def draw(figure):
        left, right = figure.subplots(1, 2, sharey=True)
        _strip(left, runs, "loss", "start")
        _strip(right, found, "gain", "role", {"common": None})
        left.set_xlabel(f"validation loss\n({NATS})")
        right.set_xlabel(f"gain of {last} over {first}\n({NATS})")
        legend_below(figure, [left])

    alt = (
        f"The gate and its controls. Final validation loss: {_by_start(runs)}. Gain of {last} "
        f"over {first}: {_means(found, 'gain')}."
    )
    caption = (
        "Left: the runs. Right: pairs of one seed; to the right of the dotted line the small "
        "initialization ends lower. Mean with 95 % intervals, one common learning rate. "
        f"{provenance(runs, tier)}"
    )
    return Picture("fig-gate-controls", draw, alt, caption, (7.2, 4.2))


def sinks(runs, tier: str) -> Picture:
    """Attention sinks at the end of training: share of heads, and what the first token gets."""
    runs = compared(runs)
    runs = runs[runs.sink_rate.notna()] if "sink_rate" in runs else runs[:0]
    if not len(runs):
        return nothing("fig-sinks")
    even = np.mean(1 / np.arange(1, runs.block_size.iloc[0] + 1))
    roles = [role for role in ROLES if role in set(runs.role)]

    def draw(figure):
        shape = len(SINKS), len(roles)
        grid = figure.subplots(*shape, sharex="row", sharey=True, squeeze=False)
        for row, (measure, words) in zip(grid, SINKS.items(), strict=True):
            for axes, role in zip(row, roles, strict=True):
                _strip(axes, runs[runs.role == role], measure, "start")
                axes.set_xlabel(words)
                if measure == "sink_rate":  # a share: else a row of zeros is drawn from -5 % to 5 %
                    axes.set_xlim(-0.03, 1.03)
        for axes, role in zip(grid[0], roles, strict=True):
            axes.set_title(ROLES[role], fontsize=11)
        for axes in grid[1]:
            axes.axvline(even, color=GREY, linestyle=":")
        legend_below(figure, grid)

    told = [_sentence(ROLES[role], _by_start(runs[runs.role == role], "sink_rate", ".0%"))
            for role in roles]  # fmt: skip
    alt = f"Share of heads that are attention sinks at the end of training. {' '.join(told)}"
    caption = (
        "A sink gives the first token more than 0.3 of its attention, mean over all tokens that "
        f"look. Dotted: what it gets from a head that looks at all alike, {even:.2f}. Mean with "
        f"95 % intervals; each dot is a run. {provenance(runs, tier)}"
    )
    return Picture("fig-sinks", draw, alt, caption, (7.2, 5.2))


def curves(runs, tier: str, anchor="fig-fast-curves") -> Picture:
    """Validation loss against tokens, a line a run at the common rate; a panel a variant."""
    runs = compared(runs)
    runs = runs[(runs.role == "common") & (runs.curve.map(len) > 1)] if len(runs) else runs
    if not len(runs):
        return nothing(anchor)
    variants, starts = runs.variant.unique(), list(runs.start.unique())
    millions = runs.batch_size.iloc[0] * runs.block_size.iloc[0] / 1e6

    def draw(figure):
        panels = panels_of(figure, len(variants))
        for axes, variant in zip(panels, variants, strict=True):
            axes.set_title(variant, fontsize=11)
            for run in runs[runs.variant == variant].itertuples():
                steps, losses = np.transpose(run.curve)
                look = stroke(looks(starts)[run.start])
                axes.plot(steps * millions, losses, alpha=0.7, label=run.start, **look)
            axes.set_xlabel("tokens (millions)")
        for axes in panels[::3]:
            axes.set_ylabel(f"validation loss\n({NATS})")
        legend_below(figure, panels)

    alt = f"Validation loss of every run against tokens. Ends, least to most: {_ranges(runs)}."
    caption = f"A line is a run; none is a mean. {provenance(runs, tier)}"
    return Picture(anchor, draw, alt, caption, (7.2, 0.8 + 2.4 * math.ceil(len(variants) / 3)))


def _ranges(runs) -> str:
    """'As usual: gamma 0.5 3.85 to 3.92, gamma 1 3.70 to 4.44; gate: ...'."""
    told = []
    for variant, group in runs.groupby("variant", sort=False):
        words = []
        for start, losses in group.groupby("start", sort=False).loss:
            ended = losses[np.isfinite(losses)]
            lost = f"{len(losses) - len(ended)} diverged"
            ends = f"{ended.min():.2f} to {ended.max():.2f}" if len(ended) else ""
            words.append(" ".join([start, ends, f"({lost})" if len(ended) < len(losses) else ""]))
        told.append(f"{variant}: {', '.join(word.strip() for word in words)}")
    return "; ".join(told)


def _strip(axes, table, value: str, hue: str, words: dict | None = None) -> None:
    """A row a variant, from the top down: dots, and their mean with its 95 % interval, by hue."""
    variants = list(table.variant.unique())
    hues = [h for h in words or table[hue].unique() if h in set(table[hue])]
    for i, (which, number) in enumerate(looks(hues).items()):
        look = {"color": COLOURS[number % 6], "marker": MARKERS[number % 6]}
        mine = table[table[hue] == which]
        shift = 0.5 * (i - (len(hues) - 1) / 2) / max(1, len(hues) - 0.5)
        label = words[which] if words else which
        for y, variant in enumerate(variants):
            values = mine[mine.variant == variant][value].to_numpy(float)
            _summary(axes, values, y + shift, look | {"label": label})
            label = None  # once in the legend
    if value in ("gain", "change"):
        axes.axvline(0, color=GREY, linestyle=":")
    axes.set_yticks(range(len(variants)), variants)
    axes.set_ylim(len(variants) - 0.5, -0.5)
    axes.locator_params(axis="x", nbins=5)


def _summary(axes, values, y: float, look: dict) -> None:
    """Finite values as dots; their mean and interval only if there is no other value."""
    finite = values[np.isfinite(values)]
    dots_beside(axes, finite, [y] * len(finite), look["color"], (0, 5))
    mean, low, high = paired_interval(list(values), 0.95)
    reach = [[mean - low], [high - mean]] if math.isfinite(low) else None
    shown = mean if math.isfinite(mean) else math.nan
    axes.errorbar([shown], [y], xerr=reach, linestyle="none", capsize=3, **look)


def _told(table, value: str) -> str:
    """'One common learning rate: as usual +0.67 [...]; ... Each at its own best: ...'."""
    told = [_sentence(words, _means(table[table.role == role], value))
            for role, words in ROLES.items() if role in set(table.role)]  # fmt: skip
    return " ".join(told) or "No runs."


def _sentence(head: str, words: str) -> str:
    return f"{head[0].upper()}{head[1:]}: {words}."


def _means(table, value: str) -> str:
    groups = table.groupby("variant", sort=False)[value]
    return "; ".join(f"{variant} {interval(values)}" for variant, values in groups)


def _by_start(runs, value: str = "loss", shape: str = ".3f") -> str:
    """'As usual: gamma 0.5 4.593, gamma 1 3.921; gate: ...'."""
    told = []
    for variant, group in runs.groupby("variant", sort=False):
        means = group.groupby("start", sort=False)[value].mean()
        words = [f"{start} {format(mean, shape) if math.isfinite(mean) else 'diverged'}"
                 for start, mean in means.items()]  # fmt: skip
        told.append(f"{variant}: {', '.join(words)}")
    return "; ".join(told)


# ---- decay and warm-up ---------------------------------------------------------------------------


def habits(runs, tier: str) -> Picture:
    """Gain, and losses, against weight decay and against warm-up, at both learning rates."""
    if not len(gains(runs)):
        return nothing("fig-habits")
    first, last = ends(compared(runs))

    def draw(figure):
        grid = figure.subplots(2, len(HABITS), sharey="row", sharex="col")
        for column, (habit, words) in zip(grid.T, HABITS.items(), strict=True):
            _draw_gains(column[0], habit_gains(runs, habit), habit)
            _draw_losses(column[1], only(runs, habit), habit)
            column[1].set_xlabel(words)
        grid[0, 0].set_ylabel(f"gain of {last}\nover {first} ({NATS})")
        grid[1, 0].set_ylabel(f"validation loss\n({NATS})")
        legend_below(figure, grid, columns=3)

    told = [f"{words}: {_habit_told(runs, habit)}" for habit, words in HABITS.items()]
    alt = (
        f"Gain of {last} over {first} against two habits; by how much the least value's gain "
        f"exceeds that of the largest. {'; '.join(told)}."
    )
    caption = (
        "Above: pairs of one seed; below: the runs. Mean with 95 % intervals. The values are "
        f"spaced evenly, not to scale. {provenance(compared(runs), tier)}"
    )
    return Picture("fig-habits", draw, alt, caption, (7.2, 6.0))


def _draw_gains(axes, table, habit: str) -> None:
    for i, (rate, group) in enumerate(table.groupby("learning_rate")):
        look = {**style(i), "label": f"gain, rate {rate:g}"}
        _along(axes, group, habit, "gain", i, look, sorted(table[habit].unique()))
    axes.axhline(0, color=GREY, linestyle=":")


def _draw_losses(axes, runs, habit: str) -> None:
    rates, ticks = (sorted(runs[column].unique()) for column in ("learning_rate", habit))
    pairs = list(product(looks(runs.start).items(), rates))
    for shift, ((start, i), rate) in enumerate(pairs):
        mine = runs[(runs.start == start) & (runs.learning_rate == rate)]
        look = {**style(i), "linestyle": "--" if rate > rates[0] else "-",
                "label": f"{start}, rate {rate:g}"}  # fmt: skip
        _along(axes, mine, habit, "loss", shift, look, ticks)


def _along(axes, table, habit: str, value: str, shift: int, look: dict, ticks) -> None:
    """Mean and 95 % interval at every value of a habit; no mean where a run diverged."""
    groups = [list(table[table[habit] == tick][value]) for tick in ticks]
    mean, low, high = np.array([paired_interval(group, 0.95) for group in groups]).T
    mean = np.where(np.isfinite(mean), mean, math.nan)
    errors = np.nan_to_num([mean - low, high - mean])
    x = np.arange(len(ticks)) + 0.06 * shift  # side by side, not one over the other
    axes.errorbar(x, mean, yerr=errors, capsize=3, **look)
    axes.set_xticks(range(len(ticks)), [f"{tick:g}" for tick in ticks])


def _habit_told(runs, habit: str) -> str:
    changed = habit_changes(runs, habit)
    return ", ".join(f"{interval(v)} at the rate {r:g}" for r, v in changed.items()) or "no runs"
