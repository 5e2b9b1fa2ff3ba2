"""Figures of attention: scores, averages, values, and what the last token looks at.

Every figure takes frames of runs and draws the settings and tasks that are in them.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from .figures import COLOURS, Picture, looks, nothing, provenance, style
from .figures_parts import GREY, SHADE, bands_along, dot, error_bars, legend_below, listed
from .readings_theory import (
    at_probes,
    blocks,
    by_setting,
    contrasted,
    data_of,
    geometry_at,
    one_each,
    probed,
)  # fmt: skip

DISTANCE = "largest |A$_{ij}$ - 1/i|"


def scores(fresh) -> Picture:
    """How large scores are before the softmax, and how far attention then is from an average.

    `fresh` has a row a model that was just drawn: gamma, seed, score_std, formula, distance.
    """
    means = fresh.groupby("gamma")[["score_std", "formula", "distance"]].mean()

    def draw(figure):
        first, far = figure.subplots(1, 2)
        first.plot(means.index, means.score_std, label="measured", **style(0))
        first.plot(means.index, means.formula, color=GREY, linestyle="--", label="formula")
        first.set(xlabel="gamma", ylabel="std of the scores", yscale="log")
        first.legend(fontsize=9)
        far.plot(means.index, means.distance, **style(0))
        far.set(xlabel="gamma", ylabel=DISTANCE, yscale="log")

    words = " and ".join(
        f"{row.score_std:.3f} (by the formula {row.formula:.3f}) at gamma {gamma:g}, where the "
        f"largest difference from the causal average is {row.distance:.3f}"
        for gamma, row in means.iloc[[0, -1]].iterrows()
    )
    alt = f"Standard deviation of the scores of the first layer before any training: {words}."
    caption = f"Models drawn just now, mean over seeds {listed(fresh.seed)}; no training."
    return Picture("fig-scores", draw, alt, caption, (7.2, 3.4))


def averaging(runs, tier: str) -> Picture:
    """The largest |A_ij - 1/i| of the first layer, against gamma and along training."""
    runs = probed(runs)
    if not len(runs):
        return nothing("fig-average")
    along = {s: at_probes(g, lambda at: at["average_distance"]) for s, g in by_setting(runs)}
    moments = {"at the start": "average_distance_start", "early": "average_distance_early"}

    def draw(figure):
        first, later = figure.subplots(1, 2, sharey=True)
        for i, (when, measure) in enumerate(moments.items()):
            groups = [(gamma, group[measure]) for gamma, group in runs.groupby("gamma")]
            error_bars(first, groups, label=when, **dot(i))
        first.set(xlabel="gamma", ylabel=DISTANCE, ylim=(0, 1))
        first.legend(fontsize=9)
        bands_along(later, along)
        later.set(xlabel="step")

    means = runs.groupby("setting", sort=False)[list(moments.values())].mean()
    words = "; ".join(
        f"{s}: {start:.2f} at the start, {early:.2f} early, {along[s][1][-1].mean():.2f} at the end"
        for s, start, early in means.itertuples()
    )
    alt = f"Largest difference between the first layer's attention and the causal average. {words}."
    caption = (
        "Left: mean over seeds with 95 % intervals. Right: mean over seeds; the band is their "
        f"range. {provenance(runs, tier)}"
    )
    return Picture("fig-average", draw, alt, caption, (7.2, 3.8))


def first_maps(runs, tier: str) -> Picture:
    """The mean map of the first layer's attention, at the start, early and late."""
    shown = one_each(probed(runs))
    if not len(shown):
        return nothing("fig-maps")
    maps = {(run.setting, when): np.array(found["first"]) for run in shown.itertuples()
            for when, (_, found) in geometry_at(run).items()}  # fmt: skip
    average = np.tril(np.ones_like(next(iter(maps.values()))))
    average = average / average.sum(1, keepdims=True)

    def draw(figure):
        grid = figure.add_gridspec(len(shown), 4)
        panels = [figure.add_subplot(grid[:, 0])]
        _map(panels[0], average, "causal average")
        panels[0].set(ylabel="token that looks", xlabel="token looked at")
        for i, ((setting, when), found) in enumerate(maps.items()):
            panels.append(figure.add_subplot(grid[i // 3, 1 + i % 3]))
            image = _map(panels[-1], found, when if i < 3 else "")
            panels[-1].set_ylabel("" if i % 3 else setting, fontweight="bold")
        figure.colorbar(image, ax=panels, label="attention weight", shrink=0.8)

    words = "; ".join(
        f"{setting} {when} {np.abs(m - average).max():.2f}" for (setting, when), m in maps.items()
    )
    alt = f"Mean attention of the first layer. Largest difference from the causal average: {words}."
    caption = (
        "Mean over sequences of all tasks, so each single map is further from the average than "
        f"this. One run each. {provenance(shown, tier)}"
    )
    return Picture("fig-maps", draw, alt, caption, (7.2, 1.1 + 1.15 * len(shown)))


def value_direction(runs, tier: str) -> Picture:
    """The share of W_V's first direction, and its |cosine| with the anchors of each task."""
    runs = probed(runs)
    if not len(runs):
        return nothing("fig-value")
    parts, width = blocks(data_of(runs)), runs.iloc[0].width
    share = {s: at_probes(g, lambda at: at["value"]["share"]) for s, g in by_setting(runs)}
    aligned = {s: at_probes(g, lambda at: at["value"]["alignment"]) for s, g in contrasted(runs)}
    early = {s: _early_alignments(g).mean(0) for s, g in contrasted(runs)}
    small, (steps, values) = list(aligned.items())[-1]
    by_task = {n: (steps, values[:, :, block].mean(2)) for n, _, block, _ in parts}
    chance = math.sqrt(2 / (math.pi * width))  # mean |cosine| with a random direction

    def draw(figure):
        grid = figure.add_gridspec(2, 2)
        panels = [figure.add_subplot(place) for place in (grid[0, 0], grid[0, 1], grid[1, :])]
        bands_along(panels[0], share)
        panels[0].set(xlabel="step", ylabel="share of the first direction")
        bands_along(panels[1], by_task)
        panels[1].set(xlabel="step", ylabel="mean |cosine|", title=f"{small}, by task")
        for setting, cosines in early.items():
            look = style(looks(share)[setting]) | {"linestyle": "none"}
            panels[2].plot(cosines, label=setting, **look)
        _mark_blocks(panels[2], parts)
        panels[2].set(ylabel="|cosine|", title="early, each anchor")
        for axes in panels:
            axes.set_ylim(0, 1)
        for axes in panels[1:]:
            axes.axhline(chance, color=GREY, linestyle=":", label="by chance")
            axes.legend(fontsize=9)

    words = "; ".join(
        f"{s}: share {share[s][1][0].mean():.2f} at the start and {share[s][1][-1].mean():.2f} at "
        "the end, early |cosine| "
        + ", ".join(f"{cosines[block].mean():.2f} with {n}" for n, _, block, _ in parts)
        for s, cosines in early.items()
    )
    alt = f"The dominant direction of the first layer's values. {words}. By chance {chance:.2f}."
    caption = f"Mean over seeds; the band is their range. {provenance(runs, tier)}"
    return Picture("fig-value", draw, alt, caption, (7.2, 6.0))


def attention_from_last(runs, tier: str) -> Picture:
    """What the last token looks at in each layer, at the end, against equal attention for all."""
    runs = probed(runs)
    if not len(runs):
        return nothing("fig-key")
    shares = {s: _shares_from_last(g) for s, g in contrasted(runs)}
    length, anchors = runs.iloc[0].length, runs.iloc[0].anchors
    equal = {"key": 1 / length, "anchors": anchors / length}

    def draw(figure):
        panels = figure.subplots(1, len(shares), sharey=True, squeeze=False)[0]
        for axes, (setting, table) in zip(panels, shares.items(), strict=True):
            _stack(axes, table, equal)
            axes.set(title=setting, ylim=(0, 1))
        panels[0].set_ylabel("share of the last token's attention")
        legend_below(figure, panels[0], columns=4)

    words = "; ".join(
        f"{s}: " + ", ".join(f"{row['key']:.2f} in {name}" for name, row in table.iterrows())
        for s, table in shares.items()
    )
    alt = (
        f"Share of the last token's attention that the key gets at the end. {words}. "
        f"Equal attention would give it {equal['key']:.2f}."
    ).replace("\n", ", ")
    runs = runs[runs.setting.isin(list(shares))]
    caption = f"Mean over sequences and seeds. {provenance(runs, tier)}"
    return Picture("fig-key", draw, alt, caption, (7.2, 4.2))


# ---- numbers of runs -----------------------------------------------------------------------------


def _early_alignments(runs) -> np.ndarray:
    return np.array([geometry_at(run)["early"][1]["value"]["alignment"]
                     for run in runs.itertuples()])  # fmt: skip


def _shares_from_last(runs) -> pd.DataFrame:
    """A row for each layer and task, mean over runs: key, anchors, rest."""
    rows = {}
    for run in runs.itertuples():
        for task, layers in geometry_at(run)["late"][1]["from_last"].items():
            for number, shares in enumerate(layers, 1):
                rows.setdefault((number, f"layer {number}\n{task}"), []).append(shares)
    means = {name: pd.DataFrame(rows[number, name]).mean() for number, name in sorted(rows)}
    return pd.DataFrame(means).T[["key", "anchors", "rest"]]


# ---- parts of figures ----------------------------------------------------------------------------


def _map(axes, weights, title: str):
    """A map of attention; the future, which no token sees, is left empty."""
    seen = np.tril(np.ones_like(weights)) > 0
    image = axes.imshow(np.where(seen, weights, np.nan), cmap="viridis", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[], title=title)
    axes.grid(False)
    return image


def _mark_blocks(axes, parts) -> None:
    """Anchors on the x axis, with the tasks named and every other one shaded."""
    numbers = [anchor for _, among, _, _ in parts for anchor in among]
    ticks = range(0, len(numbers), max(1, len(numbers) // 8))
    axes.set_xticks(ticks, [numbers[i] for i in ticks])
    axes.set_xlabel("anchor")
    for i, (name, _, block, _) in enumerate(parts):
        if i % 2:
            axes.axvspan(block.start - 0.5, block.stop - 0.5, **SHADE)
        middle = (block.start + block.stop - 1) / 2
        axes.text(middle, 0.97, name, ha="center", va="top", fontsize=9)


def _stack(axes, table, equal: dict) -> None:
    """Bars of shares, one on the other; dotted, where they would end with equal attention."""
    below = np.zeros(len(table))
    for i, name in enumerate(table):
        axes.bar(range(len(table)), table[name], bottom=below, color=COLOURS[i], label=name)
        below = below + table[name].to_numpy()
    for i, height in enumerate(np.cumsum(list(equal.values()))):
        label = None if i else "equal attention"
        ink = plt.rcParams["text.color"]  # dark on light, light on dark
        axes.axhline(height, color=ink, linestyle=":", linewidth=1.5, label=label)
    axes.set_xticks(range(len(table)), table.index, rotation=60, fontsize=9)
    axes.grid(False)
