"""Figures of anchor functions: which task a run learns first, and what a label law gives away.

Several models on one page come as {title: runs}, a panel each; where panels show different
measures, as {title: (runs, measure)}. Runs are rows of a frame (sweep.frame, with roles).
"""

import math
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from .claims import paired_interval
from .figures import (
    COLOURS,
    GAMMA,
    HOLLOW,
    LOOKS,
    Picture,
    dots_beside,
    looks,
    nothing,
    provenance,
    stroke,
    style,
)
from .figures_parts import GREY, band, kind_of, legend_below, panels_of
from .measures import HALF
from .readings_bias import ROLES, columns_of, points_of, share_left, tuning_plane


def task_curves(runs, tier: str, score="loss", anchor="fig-tasks", levels=None) -> Picture:
    """Loss or accuracy of every task against the step, a panel a setting; mean and range.

    `levels` {task: value} are drawn as dotted lines: what one law or another would give.
    """
    if not len(runs):
        return nothing(anchor)
    settings, levels = list(runs.setting.unique()), levels or {}
    unit = "loss (nats)" if score == "loss" else "accuracy"

    def draw(figure):
        panels = panels_of(figure, len(settings))
        for axes, setting in zip(panels, settings, strict=True):
            for i, task in enumerate(_sets(runs)):
                steps, values = _curves(runs[runs.setting == setting], _curve(task, score))
                band(axes, steps, values, label=task, **stroke(i))
                if task in levels:
                    axes.axhline(levels[task], color=COLOURS[i % 6], linestyle=":")
            axes.set(title=setting, xlabel="step")
        panels[0].set(ylabel=unit, ylim=(0, None if score == "loss" else 1.05))
        legend_below(figure, panels)

    ends = "; ".join(f"{s}: {_ends(runs[runs.setting == s], score)}" for s in settings)
    alt = f"{kind_of(runs)}: the {unit} of each task against the step. At the end: {ends}."
    dotted = "Dotted: what knowing the task and its labels' law gives. " if levels else ""
    caption = f"Mean over seeds; the band is their range. {dotted}{provenance(runs, tier)}"
    rows = math.ceil(len(settings) / 3)
    return Picture(anchor, draw, alt, caption, (7.2, 0.8 + 2.3 * rows))


def time_gap(frames, tier: str, slow="memory", fast="reasoning") -> Picture:
    """How many times longer one task takes than another until it is half learned, by gamma.

    A task that is never half learned would have taken longer than the run: a bound, not a gap in
    the data.
    """
    gaps = {title: _gaps(runs, slow, fast) for title, runs in frames.items()}

    def draw(figure):
        panels = panels_of(figure, len(frames))
        for axes, (title, rows) in zip(panels, gaps.items(), strict=True):
            for i, (role, words) in enumerate(ROLES.items()):
                _draw_gaps(axes, rows[rows.role == role], i, LOOKS[role], words)
            axes.axhline(1, color=GREY, linestyle=":")
            axes.set_yscale("log", base=2)
            axes.yaxis.set_major_formatter("{x:g}")
            axes.set_title(title)
        _gamma_axis(panels, gaps.values())
        panels[0].set_ylabel(f"steps to half learn {slow}\nover those for {fast}")
        legend_below(figure, panels)

    found = "; ".join(_gaps_in_words(title, rows) for title, rows in gaps.items())
    alt = f"Steps until {slow} is half learned, over those until {fast} is. {found}."
    everything = pd.concat(list(gaps.values()))
    bounds = int((everything.bound != "").sum())
    caption = (
        f"Each dot is a run; bars are 95 % intervals of the geometric mean. Hollow triangles: "
        f"bounds, {bounds} of {len(everything)} dots, where a task was never half learned. "
        f"{_origin(_compared(frames.values()), tier)}"
    )
    return Picture("fig-time-gap", draw, alt, caption, (7.2, 4.2))


def paths(
    frames, tier: str, done="reasoning", left="memory", anchor="fig-path", known=None
) -> Picture:
    """Each run's way through the plane of what is left of two tasks. It has no clock.

    `known` marks how much of `done` is left to who knows the law of its labels, and no label.
    """

    colours = _colours(frames.values())

    def draw(figure):
        shape = len(frames), len(ROLES)
        panels = figure.subplots(*shape, sharex=True, sharey=True, squeeze=False)
        for row, (title, runs) in zip(panels, frames.items(), strict=True):
            for axes, (role, words) in zip(row, ROLES.items(), strict=True):
                _draw_paths(axes, runs[runs.role == role], done, left, known, colours)
                axes.set_title(f"{title}, {words}", fontsize=10)
            row[0].set_ylabel(f"share of {left} left")
        for axes in panels[-1]:
            axes.set_xlabel(f"share of {done} left")
        legend_below(figure, panels, "gamma")

    measure = f"{left}_left_at_{done}"
    found = _by_panel({title: (runs, measure) for title, runs in frames.items()})
    alt = (
        f"Every run's way from all of {done} and {left} left (bottom left) to nothing left (top "
        f"right). Share of {left} left when {done} is half learned: {found}."
    )
    ahead = "what was seen" if left == "unseen" else done
    line = f" Dotted: what is left of {done} when only its labels' law is known." if known else ""
    caption = (
        f"Thin: runs; thick: their mean. Below the diagonal {ahead} is ahead; a cross, one a run, "
        f"marks where it is half learned.{line} "
        f"{_origin(_compared(frames.values()), tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 1.0 + 2.9 * len(frames)))


def against_gamma(panels, tier: str, label: str, anchor: str, line=None) -> Picture:
    """A measure against gamma: one common learning rate, and each at its own best, with 95 %.

    `panels` is {title: (runs, measure)}; `line` (value, words) is a level worth knowing. A setting
    with a run that has no such number gets dots and no mean.
    """

    def draw(figure):
        all_axes = panels_of(figure, len(panels))
        for axes, (title, (runs, measure)) in zip(all_axes, panels.items(), strict=True):
            for i, (role, words) in enumerate(ROLES.items()):
                _draw_means(axes, _values(runs, role, measure), i, LOOKS[role], words)
            axes.set_title(title)
            if line:
                axes.axhline(line[0], color=GREY, linestyle=":")
        if line:
            where = all_axes[-1].get_yaxis_transform()
            all_axes[-1].text(0.99, line[0], line[1], transform=where, color=GREY, fontsize=9,
                              ha="right", va="bottom")  # fmt: skip
        _gamma_axis(all_axes, _compared(runs for runs, _ in panels.values()))
        all_axes[0].set_ylabel(label)
        legend_below(figure, all_axes)

    alt = f"{label[0].upper()}{label[1:]}, against gamma. {_by_panel(panels)}."
    missing = sum(_values(r, role, m)[m].isna().sum() for r, m in panels.values() for role in ROLES)
    lacking = f"{missing} runs have no such number and no dot. " if missing else ""
    origin = _origin(_compared(runs for runs, _ in panels.values()), tier)
    caption = f"Each dot is a run; bars are 95 % intervals. {lacking}{origin}"
    return Picture(anchor, draw, alt, caption, (7.2, 4.2))


def rate_planes(panels, tier: str, label: str, anchor: str, apart: bool = False) -> Picture:
    """A measure over (gamma, learning rate), the mean over the tuning seeds.

    `apart`: each panel has colours of its own, where its numbers lie elsewhere. Framed: the rate
    that the tuning chose for its row, by the loss and not by this measure.
    """
    planes = {title: (tuning_plane(runs, measure), tuning_plane(runs, "loss"))
              for title, (runs, measure) in panels.items()}  # fmt: skip
    heights = [len(plane) + 1.5 for plane, _ in planes.values()]
    measures = {measure for _, measure in panels.values()}
    loss = measures == {"loss"}
    cmap = "viridis_r" if measures <= {"loss", "unseen_gap"} else "viridis"  # good is bright

    def draw(figure):
        scale = _scale([plane for plane, _ in planes.values()])
        height = 7 * sum(heights)  # in letters: a longer label goes on in a second line
        words = textwrap.fill(label, int(height / (len(planes) if apart else 1)))
        all_axes = figure.subplots(len(planes), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (title, (plane, losses)) in zip(all_axes, planes.items(), strict=True):
            finite = plane.where(np.isfinite(plane))
            norm = _scale([plane]) if apart else scale
            image = axes.imshow(finite.astype(float), cmap=cmap, norm=norm, aspect="auto")
            if apart:
                figure.colorbar(image, ax=axes, label=words)
            _write_cells(axes, plane, losses, image)
            rates = [f"{rate:g}" for rate in plane.columns]
            axes.set_xticks(range(len(rates)), rates, fontsize=11 if len(rates) < 7 else 8)
            axes.set_yticks(range(len(plane)), plane.index)
            axes.grid(False)
            axes.set(title=title, xlabel="peak learning rate")
        if not apart:
            figure.colorbar(image, ax=list(all_axes), label=words)

    rows = [f"{title}, {_ends_of_rows(plane)}" for title, (plane, _) in planes.items()]
    alt = f"{label[0].upper()}{label[1:]}, by initialization and learning rate. {'; '.join(rows)}."
    tuning = [runs[runs.role == "tuning"] for runs, _ in panels.values()]
    dash = "" if loss else "A dash: a run did not get that far. "
    caption = f"Framed: the rate that the tuning chose. {dash}{_origin(tuning, tier)}"
    return Picture(anchor, draw, alt, caption, (7.2, 0.42 * sum(heights) + 0.6))


def _scale(planes):
    """Colours from the least to the largest number of these planes."""
    values = np.concatenate([plane.to_numpy(dtype=float).ravel() for plane in planes])
    values = values[np.isfinite(values)]
    return plt.Normalize(*(np.quantile(values, (0, 1)) if len(values) else (0, 1)))


def range_shares(runs, tier: str, anchor="fig-ranges") -> Picture:
    """How often answers lie inside their task's labels, beside how often they are right."""
    if not len(runs):
        return nothing(anchor)
    settings = list(runs.setting.unique())

    def draw(figure):
        panels = panels_of(figure, len(settings))
        for axes, setting in zip(panels, settings, strict=True):
            chosen = runs[runs.setting == setting]
            for i, task in enumerate(_sets(runs)):
                inside, right = _in_range(chosen, task), _curves(chosen, _curve(task, "accuracy"))
                for (steps, values), look in ((inside, {"marker": "o", "label": task}),
                                              (right, {"linestyle": "--"})):  # fmt: skip
                    if len(steps):
                        axes.plot(steps, values.mean(0), color=COLOURS[i % 6], markersize=4, **look)
            axes.set_xscale("symlog", linthresh=1)
            axes.set(title=setting, xlabel="step (log from 1)", ylim=(-0.02, 1.04))
        panels[0].plot([], [], color=GREY, linestyle="--", label="right")
        panels[0].set_ylabel("share of answers")
        legend_below(figure, panels, "inside the range of task")

    words = [f"{s}: {_range_in_words(runs[runs.setting == s], _sets(runs))}" for s in settings]
    alt = f"Share of answers inside their task's range of labels. {'; '.join(words)}."
    caption = (
        "Mean over seeds. Solid: answers inside the task's range, right or not; dashed: right "
        f"ones. {provenance(runs, tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 4.4))


# ---- numbers of runs -----------------------------------------------------------------------------


def _sets(runs) -> list[str]:
    """The tasks as the configuration names them, and the held-out pairs, if any were measured."""
    names = [part.split()[0] for part in runs.iloc[0].tasks.split(",")] if len(runs) else []
    measured = set().union(*runs.curves.map(set)) if len(runs) else set()
    return [name for name in [*names, "unseen"] if name in measured]


def _curve(task: str, score: str) -> str:
    return task if score == "loss" else f"{task}_{score}"


def _curves(runs, name: str):
    """(steps, values (seeds, points)) of the runs that got to their end; none: both empty."""
    found = [points_of(run, name) for run in runs[runs.status == "ok"].itertuples()]
    return _stacked([points for points in found if len(points)])


def _in_range(runs, task: str):
    """(steps, shares (seeds, probes)) of answers inside a task's labels."""
    found = []
    for run in runs[runs.status == "ok"].itertuples():
        shares = [(probe["step"], probe["geometry"]["in_range"].get(task, math.nan))
                  for probe in run.probes if "geometry" in probe]  # fmt: skip
        found += [np.array(shares)] if shares else []
    return _stacked(found)


def _stacked(found: list):
    """(steps, values (curves, points)) of curves measured at the same steps; none: both empty."""
    if not found:
        return np.array([]), np.empty((0, 0))
    return found[0][:, 0], np.array([points[:, 1] for points in found])


def _values(runs, role: str, measure: str):
    """setting, gamma, seed and the measure (nan where there is none) of the runs of a role."""
    return columns_of(runs[runs.role == role], ["setting", "gamma", "seed", measure])


def _means(values) -> list:
    """(gamma, mean, low, high) of the settings whose runs all have the measure (last column)."""
    rows = []
    for gamma, group in values.groupby("gamma"):
        mean, low, high = paired_interval(list(group.iloc[:, -1]), 0.95)
        if math.isfinite(mean):
            rows.append((gamma, mean, *((mean, mean) if math.isnan(low) else (low, high))))
    return rows


def _gaps(runs, slow: str, fast: str) -> pd.DataFrame:
    """role, gamma, ratio and bound ('', 'at least', 'at most') of each run that half learned one
    of the two.
    """
    names = f"steps_to_{slow}", f"steps_to_{fast}"
    compared = columns_of(runs[runs.role.isin(ROLES)], ["role", "gamma", "steps", *names])
    one, other = (compared[name] for name in names)
    ratio = one.fillna(compared.steps) / other.fillna(compared.steps).clip(lower=1)
    bound = np.select([one.isna() & other.notna(), one.notna() & other.isna()],
                      ["at least", "at most"], "")  # fmt: skip
    rows = compared.assign(ratio=ratio, bound=bound)[["role", "gamma", "ratio", "bound"]]
    return rows[one.notna() | other.notna()]


def _gap_means(rows) -> list:
    """(gamma, mean, low, high, bound) in ratios; a mean that holds bounds of one sort is one."""
    found = []
    for gamma, group in rows.groupby("gamma"):
        bounds = set(group.bound) - {""}
        mean, low, high = (math.exp(x) for x in paired_interval(list(np.log(group.ratio)), 0.95))
        if len(bounds) < 2:
            low, high = (mean, mean) if bounds or math.isnan(low) else (low, high)
            found.append((gamma, mean, low, high, "".join(bounds)))
    return found


# ---- parts of figures ----------------------------------------------------------------------------


def _gamma_axis(panels, frames) -> None:
    """The gammas that there are as ticks, on the axis that all panels share."""
    ticks = sorted(set().union(*(frame.gamma.dropna() for frame in frames)))
    panels[0].set_xticks(ticks, [f"{gamma:g}" for gamma in ticks])
    for axes in panels:
        axes.set_xlabel(GAMMA)


def _draw_means(axes, values, place: int, look: int, label: str) -> None:
    """Dots for the runs, and means with their intervals, a little beside those of other roles."""
    if values.empty:
        return
    shift = 0.008 * (2 * place - 1)
    dots_beside(axes, values.gamma + shift, values.iloc[:, -1], COLOURS[look])
    rows = np.array(_means(values)).reshape(-1, 4)
    bars = [rows[:, 1] - rows[:, 2], rows[:, 3] - rows[:, 1]]
    axes.errorbar(rows[:, 0] + shift, rows[:, 1], yerr=bars, capsize=3, label=label, **style(look))


def _draw_gaps(axes, rows, place: int, look: int, label: str) -> None:
    shift, colour = 0.008 * (2 * place - 1), COLOURS[look]
    for bound, marker in {"": ".", "at least": "^", "at most": "v"}.items():
        dots = rows[rows.bound == bound]
        face = colour if bound == "" else HOLLOW
        axes.scatter(dots.gamma + shift, dots.ratio, s=16, alpha=0.6, marker=marker,
                     edgecolors=colour, facecolors=face)  # fmt: skip
    means = _gap_means(rows)
    if means:  # a line joins what was measured, and no bounds
        known = [mean if bound == "" else math.nan for _, mean, _, _, bound in means]
        axes.plot([gamma + shift for gamma, *_ in means], known, color=colour, label=label)
    for gamma, mean, low, high, bound in means:
        look = {"": "o", "at least": "^", "at most": "v"}[bound]
        axes.errorbar(gamma + shift, mean, yerr=[[mean - low], [high - mean]], color=colour,
                      capsize=3, marker=look, mfc=colour if bound == "" else HOLLOW)  # fmt: skip


def _draw_paths(axes, runs, done: str, left: str, known, colours) -> None:
    axes.plot([1, 0], [1, 0], color=GREY, linestyle=":")
    look = {"rotation": -135, "rotation_mode": "anchor", "transform_rotates_text": True}
    axes.text(0.25, 0.23, "both alike", color=GREY, fontsize=9, ha="center", **look)
    if known:
        axes.axvline(known, color=GREY, linestyle=":")
    for setting, group in runs.groupby("setting", sort=False) if len(runs) else ():
        ways = list(filter(len, (_way(run, done, left) for run in group.itertuples())))
        for way in ways:
            axes.plot(*way.T, color=colours[setting], linewidth=0.7, alpha=0.4)
        whole = [way for way in ways if len(way) == max(map(len, ways))]  # none that diverged
        if whole:
            mean = np.mean(whole, axis=0)
            axes.plot(*mean.T, color=colours[setting], linewidth=1.8, label=setting)
        half = getattr(group, f"{left}_left_at_{done}", None)
        if half is not None:
            axes.plot([HALF] * len(half), half, "x", color=colours[setting], markersize=5)
    axes.set(xlim=(1.03, -0.03), ylim=(1.03, -0.03))


def _way(run, done: str, left: str) -> np.ndarray:
    """(points, 2): what is left of two tasks, step by step; empty if one was not measured."""
    x, y = (share_left(run, task)[:, 1].clip(max=1) for task in (done, left))
    return np.stack([x, y], axis=1) if len(x) == len(y) else np.empty((0, 2))


def _colours(frames) -> dict:
    """A colour for each setting, the same in all panels, in the order of their gammas."""
    known = pd.concat([runs.reindex(columns=["setting", "gamma"]) for runs in frames])
    settings = known.dropna(subset=["setting"]).sort_values("gamma").setting.unique()
    return {setting: COLOURS[i % 6] for setting, i in looks(settings).items()}


def _write_cells(axes, plane, losses, image) -> None:
    """Numbers in the cells, and a frame round the one with the lowest loss of its row."""
    for (y, x), value in np.ndenumerate(plane.to_numpy(float)):
        words = f"{value:.2f}" if math.isfinite(value) else "–" if math.isnan(value) else "diverged"
        red, green, blue, _ = image.cmap(image.norm(value))
        dark = 0.3 * red + 0.6 * green + 0.1 * blue < 0.5
        colour = ("white" if dark else "black") if math.isfinite(value) else None
        axes.text(x, y, words, ha="center", va="center", color=colour, fontsize=9)
        if losses.iloc[y, x] == losses.iloc[y].min() < math.inf:
            look = {"fill": False, "linewidth": 2.5, "edgecolor": "#c1121f"}
            axes.add_patch(plt.Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, **look))


# ---- words ---------------------------------------------------------------------------------------


def _by_panel(panels) -> str:
    """'Emb-MLP, one common learning rate: 0.89 at gamma 0.3, ...' for every panel and role."""
    parts = []
    for title, (runs, measure) in panels.items():
        for role, words in ROLES.items():
            rows = _means(_values(runs, role, measure))
            means = ", ".join(f"{mean:.2f} at gamma {gamma:g}" for gamma, mean, *_ in rows)
            parts.append(f"{title}, {words}: {means or 'no runs that have it'}")
    return "; ".join(parts)


def _ends(runs, score: str) -> str:
    """'memory 0.83, reasoning 0.02': the mean at the end, of every task."""
    ends = {task: _curves(runs, _curve(task, score))[1] for task in _sets(runs)}
    words = [f"{task} {v[:, -1].mean():.2f}" for task, v in ends.items() if v.size]
    return ", ".join(words) or "nowhere, for its runs diverged"


def _gaps_in_words(title: str, rows) -> str:
    parts = []
    for role, words in ROLES.items():
        means = [f"{bound} {mean:.1f} at gamma {gamma:g}".strip()
                 for gamma, mean, _, _, bound in _gap_means(rows[rows.role == role])]  # fmt: skip
        parts.append(f"{title}, {words}: {', '.join(means) or 'no runs that learned one'}")
    return "; ".join(parts)


def _ends_of_rows(plane) -> str:
    words = []
    for setting, row in plane.iterrows():
        row = row[np.isfinite(row)]
        at = (row.idxmin(), row.idxmax()) if len(row) else ()
        ends = [f"{row[rate]:.2f} at {rate:g}" for rate in at]
        words.append(f"{setting} {' to '.join(dict.fromkeys(ends)) or 'never'}")
    return ", ".join(words) or "no runs"


def _range_in_words(runs, names) -> str:
    """The shares at the first probe, at the last one in a tenth of the steps, and at the end."""
    parts = []
    for task in names:
        steps, shares = _in_range(runs, task)
        if len(steps):
            early = np.flatnonzero(steps <= steps[-1] / 10)[-1]
            right = _curves(runs, _curve(task, "accuracy"))
            accuracy = np.interp(steps[early], right[0], right[1].mean(0))
            parts.append(f"{task} {shares[:, early].mean():.2f} at step {steps[early]:g}, "
                         f"where {accuracy:.2f} are right")  # fmt: skip
    return ", ".join(parts) or "no runs"


def _compared(frames) -> list:
    """The runs of the two comparisons; those that only tuned are not in the picture."""
    return [runs[runs.role.isin(ROLES)] for runs in frames if len(runs)]


def _origin(frames, tier: str) -> str:
    """The provenance of the runs of several frames."""
    known = [runs[["key", "seed", "status", "seconds", "commit"]] for runs in frames if len(runs)]
    return provenance(pd.concat(known), tier) if known else f"Tier {tier}; no runs."
