"""Figures of attention: scores, averages, values, and what the last token looks at.

Runs are rows of a frame.
"""

import math

import numpy as np
import pandas as pd

from ...analysis.anchors import data_of
from ...analysis.pictures import RANGE
from ...analysis.probed_runs import blocks, contrasted, geometry_at, one_each, over_probes, probed
from ...plots import (
    GREY,
    SHADE,
    Bars,
    Curves,
    Estimates,
    Matrix,
    Picture,
    compose,
    nothing,
    provenance,
)
from ...plots.curves import start_and_end
from ...plots.style import INK

DISTANCE = "largest |A$_{ij}$ - 1/i|"


def scores(fresh) -> Picture:
    """How large scores are before the softmax, and how far attention then is from an average.

    `fresh` has a row a model that was just drawn: gamma, seed, score_std, formula, distance.
    """
    means = fresh.groupby("gamma")[["score_std", "formula", "distance"]].mean()

    def panel(column, label, also=None, told=""):
        table = fresh[["gamma", "seed", column]].assign(of="measured")
        return Curves(table=table, hue="of", x="gamma", y=column, spread="none", size=6, also=also,
                      xlabel="gamma", label=label, axes={"yscale": "log"}, told=lambda: told)

    def formula(axes):
        axes.plot(means.index, means.formula, color=GREY, linestyle="--", label="formula")

    words = " and ".join(
        f"{row.score_std:.3f} (by the formula {row.formula:.3f}) at gamma {gamma:g}, where the "
        f"largest difference from the causal average is {row.distance:.3f}"
        for gamma, row in means.iloc[[0, -1]].iterrows()
    )
    seeds = ", ".join(map(str, sorted(set(fresh.seed))))
    return compose("fig-scores", "Standard deviation of the scores of the first layer before any "
                   "training", [[panel("score_std", "std of the scores", formula, words),
                                 panel("distance", DISTANCE)]], share=(False, False),
                   caption=f"Models drawn just now, mean over seeds {seeds}; no training.",
                   size=(7.2, 3.6))


def averaging(runs, tier: str) -> Picture:
    """The largest |A_ij - 1/i| of the first layer, against gamma and along training."""
    runs = probed(runs)
    if not len(runs):
        return nothing("fig-average")
    moments = {"average_distance_start": "at the start", "average_distance_early": "early"}
    table = runs.melt("gamma", moments, "moment", "y").assign(
        moment=lambda rows: rows.moment.map(moments))
    left = Estimates(table=table, x="gamma", y="y", hue="moment", dots=False, xlabel="gamma",
                     label=DISTANCE, axes={"ylim": (0, 1)}, form=".2f", interval=False)
    right = Curves(table=over_probes(runs, lambda at: at["average_distance"]), xscale="symlog",
                   xlabel="step", head="At the end", size=5)
    caption = ("Left: mean over seeds with 95 % intervals. Right: mean over seeds; the band is "
               "their range.")
    return compose("fig-average", "Largest difference between the first layer's attention and the "
                   "causal average", [[left, right]], caption=caption, share=(False, "all"),
                   source=provenance(runs, tier), size=(7.2, 4.2))


def first_maps(runs, tier: str) -> Picture:
    """The mean map of the first layer's attention, at the start, early and late."""
    shown = one_each(probed(runs))
    if not len(shown):
        return nothing("fig-maps")
    maps = {(run.setting, when): np.array(at["first"]) for run in shown.itertuples()
            for when, (_, at) in geometry_at(run).items()}
    size = len(next(iter(maps.values())))
    average = np.tril(np.ones((size, size))) / np.arange(1, size + 1)[:, None]
    empty = np.triu(np.full((size, size), np.nan), 1)  # the future, which no token sees

    def panel(values, title, head="", label="", told=""):
        return Matrix(values=values + empty, cmap="viridis", limits=(0, 1), title=title, head=head,
                      label=label, told=lambda: told)

    grid = [[panel(values, when if setting == shown.setting.iloc[0] else "", f"{setting} {when}",
                   setting * (when == "start"), f"{np.abs(values - average).max():.2f}")
             for (setting, when), values in maps.items() if setting == of]
            for of in shown.setting]
    grid[0].append(panel(average, "causal average"))
    caption = ("Rows: the token that looks; columns: the one looked at. Mean over sequences of all "
               "tasks, so each single map is further from the average than this. One run each.")
    return compose("fig-maps", "Mean attention of the first layer. Largest difference from the "
                   "causal average", grid, caption=caption, bar=("all", "attention weight"),
                   legend=None, source=provenance(shown, tier),
                   size=(7.2, 1.1 + 1.4 * len(shown)))


def value_direction(runs, tier: str) -> Picture:
    """The share of W_V's first direction, and its |cosine| with the anchors of each task."""
    runs = probed(runs)
    if not len(runs):
        return nothing("fig-value")
    parts, both = blocks(data_of(runs)), contrasted(runs)
    chance = math.sqrt(2 / (math.pi * runs.iloc[0].width))  # mean |cosine| with a random direction
    small = both[both.setting == both.setting.iloc[-1]]
    by_task = pd.concat([over_probes(small, lambda at, block=block: np.mean(
        at["value"]["alignment"][block])).assign(task=name) for name, _, block, _ in parts])
    level = _level(chance)
    ends = over_probes(both, lambda at: at["value"]["share"])
    share = Curves(table=over_probes(runs, lambda at: at["value"]["share"]), xscale="symlog",
                   size=5, xlabel="step", label="share of the first direction", head="Share",
                   told=Curves(table=ends, tell=start_and_end).describe, axes={"ylim": (0, 1)})
    tasks = Curves(table=by_task, hue="task", xscale="symlog", size=5, xlabel="step", also=level,
                   label="mean |cosine|", title=f"{small.setting.iloc[0]}, by task",
                   axes={"ylim": (0, 1)}, told=lambda: "")
    return compose("fig-value", "The dominant direction of the first layer's values",
                   [[share, tasks], [_each_anchor(both, parts, level, chance)]], caption=RANGE,
                   share=(False, False), source=provenance(runs, tier), size=(7.2, 6.2))


def _each_anchor(runs, parts, level, chance: float) -> Curves:
    """Early |cosine| with the anchor of each number, in the order of the tasks."""
    rows = [(run.setting, run.seed, place, value) for run in runs.itertuples() for place, value in
            enumerate(geometry_at(run)["early"][1]["value"]["alignment"])]
    table = pd.DataFrame(rows, columns=["setting", "seed", "x", "y"])

    def told():
        words = [", ".join(f"{group[group.x.between(block.start, block.stop - 1)].y.mean():.2f} "
                           f"with {name}" for name, _, block, _ in parts)
                 for _, group in table.groupby("setting", sort=False)]
        names = table.setting.unique()
        return "; ".join(map(" ".join, zip(names, words, strict=True))) + \
            f"; by chance {chance:.2f}"

    def marks(axes):
        level(axes)
        _mark_blocks(axes, parts)

    return Curves(table=table, spread="none", size=6, title="early, each anchor", xlabel="anchor",
                  label="|cosine|", also=marks, told=told, axes={"ylim": (0, 1)},
                  head="Early |cosine|")


def _level(chance: float):
    return lambda axes: axes.axhline(chance, color=GREY, linestyle=":", label="by chance")


def _mark_blocks(axes, parts) -> None:
    """Anchors on the x axis, with the tasks named and every other one shaded."""
    numbers = [anchor for _, among, _, _ in parts for anchor in among]
    ticks = range(0, len(numbers), max(1, len(numbers) // 8))
    axes.set_xticks(ticks, [numbers[i] for i in ticks])
    for i, (name, _, block, _) in enumerate(parts):
        if i % 2:
            axes.axvspan(block.start - 0.5, block.stop - 0.5, **SHADE)
        middle = (block.start + block.stop - 1) / 2
        axes.text(middle, 0.97, name, ha="center", va="top", fontsize=9)


def attention_from_last(runs, tier: str) -> Picture:
    """What the last token looks at in each layer, at the end, against equal attention for all."""
    runs = contrasted(probed(runs))
    if not len(runs):
        return nothing("fig-key")
    length, anchors = runs.iloc[0].length, runs.iloc[0].anchors
    equal = {"key": 1 / length, "anchors": anchors / length}

    def levels(axes):
        for i, height in enumerate(np.cumsum(list(equal.values()))):
            label = None if i else "equal attention"  # in the ink of the page
            axes.axhline(height, color=INK["light"], linestyle=":", linewidth=1.5, label=label)
        axes.grid(False)

    def panel(setting, group):
        table = _from_last(group)
        words = ", ".join(f"{row.key:.2f} in {name}" for name, row in table.iterrows())
        return Bars(table=table, stacked=True, rotation=60, title=setting, also=levels,
                    label="share of the last token's attention", axes={"ylim": (0, 1)},
                    told=lambda: words.replace("\n", ", "))

    return compose("fig-key", f"Share of the last token's attention that the key gets at the end. "
                   f"Equal attention would give it {equal['key']:.2f}",
                   [[panel(*pair) for pair in runs.groupby("setting", sort=False)]],
                   caption="Mean over sequences and seeds.", legend=4,
                   source=provenance(runs, tier), size=(7.2, 4.2))


def _from_last(runs) -> pd.DataFrame:
    """A row for each layer and task, mean over runs: key, anchors, rest."""
    rows = [(number, f"layer {number}\n{task}", shares["key"], shares["anchors"], shares["rest"])
            for run in runs.itertuples()
            for task, layers in geometry_at(run)["late"][1]["from_last"].items()
            for number, shares in enumerate(layers, 1)]
    table = pd.DataFrame(rows, columns=["number", "name", "key", "anchors", "rest"])
    return table.groupby(["number", "name"]).mean().droplevel("number").rename_axis(None)
