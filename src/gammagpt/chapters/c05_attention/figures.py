"""Figures of attention: scores, averages, values, and what the last token looks at.

Runs are rows of a frame.
"""

import math

import numpy as np
import pandas as pd

from ...analysis.anchors import data_of
from ...analysis.pictures import DOTS, RANGE
from ...analysis.probed_figures import lacking, of_gamma
from ...analysis.probed_runs import (
    at_moment,
    blocks,
    contrasted,
    geometries,
    one_each,
    over_probes,
    probed,
)
from ...plots import GREY, Bars, Curves, Matrix, Picture, compose, nothing, provenance
from ...plots.curves import start_and_end
from ...plots.style import INK

DISTANCE = "largest |A$_{ij}$ - 1/i|"


def scores(fresh) -> Picture:
    """How large scores are before the softmax, and how far attention then is from an average.

    `fresh` has a row a model that was just drawn: gamma, seed, score_std, formula, distance.
    """
    means = fresh.groupby("gamma")[["score_std", "formula", "distance"]].mean()

    def panel(column, label, also=None, alt=""):
        table = fresh[["gamma", "seed", column]].assign(of="measured")
        return Curves(table=table, hue="of", x="gamma", y=column, spread="none", size=6, also=also,
                      xlabel="gamma", label=label, axes={"yscale": "log"}, alt=lambda: alt)

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
    """The largest |A_ij - 1/i| of the first layer: at the start, early, and along training."""
    models, height = {"Transformer": runs}, {"axes": {"ylim": (0, 1)}}
    panels = [of_gamma(models, f"average_distance_{when}", title, DISTANCE, **height)
              for when, title in (("start", "at the start"), ("early", "early"))]
    along = Curves(table=over_probes(probed(runs), lambda at: at["average_distance"]), size=5,
                   xscale="symlog", xlabel="step", title="along training", label=DISTANCE,
                   head="At the end", **height)
    return compose("fig-average", "Largest difference between the first layer's attention and the "
                   "causal average", [panels, [along]], share=(False, False),
                   caption=f"{DOTS}{lacking(panels)} Below: {RANGE.lower()}",
                   source=provenance(probed(runs), tier), size=(7.2, 6.2))


def first_maps(runs, tier: str) -> Picture:
    """The mean map of the first layer's attention, at the start, early and late."""
    shown = one_each(runs)
    if not len(shown):
        return nothing("fig-maps")
    maps = {(run.setting, when): at_moment(run, when, lambda at: at["first"])
            for run in shown.itertuples() for when in ("start", "early", "late")
            if when != "early" or math.isfinite(run.begins)}
    size = len(next(iter(maps.values())))
    average = np.tril(np.ones((size, size))) / np.arange(1, size + 1)[:, None]
    empty = np.triu(np.full((size, size), np.nan), 1)  # the future, which no token sees

    def panel(values, title, head="", label="", alt=""):
        return Matrix(values=values + empty, cmap="viridis", limits=(0, 1), title=title, head=head,
                      label=label, alt=lambda: alt)

    grid = [[panel(values, when, f"{setting} {when}",
                   setting * (when == "start"), f"{np.abs(values - average).max():.2f}")
             for (setting, when), values in maps.items() if setting == of]
            for of in shown.setting]
    grid[0].append(panel(average, "causal average"))
    caption = ("Rows: the token that looks; columns: the one looked at. Mean over sequences of all "
               "tasks, so each single map is further from the average than this. One run each, of "
               "the lowest seed.")
    return compose("fig-maps", "Mean attention of the first layer. Largest difference from the "
                   "causal average", grid, caption=caption, bar="attention weight",
                   legend=None, source=provenance(shown, tier),
                   size=(7.2, 1.1 + 1.4 * len(shown)))


def value_direction(runs, tier: str) -> Picture:
    """The share of W_V's first direction, and which task's anchors have that direction."""
    models, both = {"Transformer": runs}, contrasted(runs)
    if not len(both):
        return nothing("fig-value")
    random = {"zero": 4 / both.iloc[0].width, "axes": {"ylim": (0, 1)}}  # a square random matrix
    panels = [of_gamma(models, "value_share_early", "early: share of the first direction",
                       "share of sum of squares", **random),
              of_gamma(models, "value_preference_early", "early: reasoning less memory",
                       "mean |cosine|", zero=0)]
    tasks = [_by_task(setting, group) for setting, group in both.groupby("setting", sort=False)]
    return compose("fig-value", "The dominant direction of the first layer's values",
                   [panels, tasks], share=(False, False), source=provenance(both, tier),
                   caption=f"{DOTS}{lacking(panels)} Below: the direction's mean |cosine| with the "
                   f"anchors of each task along training. {RANGE}", size=(7.2, 6.2))


def _by_task(setting: str, runs) -> Curves:
    """The mean |cosine| of the direction with each task's anchors, along training."""
    chance = math.sqrt(2 / (math.pi * runs.iloc[0].width))  # of a random direction
    table = pd.concat([over_probes(runs, lambda at, block=block: np.mean(
        at["value"]["alignment"][block])).assign(task=name)
        for name, _, block, _ in blocks(data_of(runs))])

    def level(axes):
        axes.axhline(chance, color=GREY, linestyle=":", label="by chance")

    return Curves(table=table, hue="task", xscale="symlog", size=5, xlabel="step", also=level,
                  label="mean |cosine|", title=setting, tell=start_and_end,
                  head=f"Mean |cosine| with the anchors, {setting}", axes={"ylim": (0, 1)})


def attention_from_last(runs, tier: str) -> Picture:
    """What the last token looks at, at the end: the key in the last layer, and all in each."""
    both = contrasted(runs)
    if not len(both):
        return nothing("fig-key")
    equal = 1 / both.iloc[0].length  # what the key gets if all tokens get the same
    names = [name for name, *_ in blocks(data_of(both))]
    panels = [of_gamma({"Transformer": runs}, f"key_from_last_{name}_late", f"the key, {name}",
                       "share of attention", zero=equal, axes={"ylim": (0, None)})
              for name in names]
    bars = [_bars(setting, group, equal) for setting, group in both.groupby("setting", sort=False)]
    return compose("fig-key", "Share of the last token's attention that the key gets in the last "
                   f"layer at the end. Equal attention would give it {equal:.2f}", [panels, bars],
                   caption=f"{DOTS} Bars: mean over sequences and seeds. Dotted: equal attention "
                   "for all tokens.", legend=4, share=(False, False),
                   source=provenance(both, tier), size=(7.2, 7))


def _bars(setting: str, runs, equal: float) -> Bars:
    """A bar for each layer and task; dotted: where the parts would end with equal attention."""
    def levels(axes):
        for height in (equal, equal * (1 + runs.iloc[0].anchors)):
            axes.axhline(height, color=INK["light"], linestyle=":", linewidth=1.5)
        axes.grid(False)

    table = _from_last(runs)
    words = ", ".join(f"{row.key:.2f} in {name}" for name, row in table.iterrows())
    return Bars(table=table, stacked=True, rotation=60, title=setting, also=levels,
                label="share of attention", axes={"ylim": (0, 1)},
                alt=lambda: words.replace("\n", ", "))


def _from_last(runs) -> pd.DataFrame:
    """A row for each layer and task, mean over runs: key, anchors, rest."""
    rows = [(number, f"layer {number}\n{task}", shares["key"], shares["anchors"], shares["rest"])
            for run in runs.itertuples()
            for task, layers in geometries(run)[1][-1]["from_last"].items()
            for number, shares in enumerate(layers, 1)]
    table = pd.DataFrame(rows, columns=["number", "name", "key", "anchors", "rest"])
    return table.groupby(["number", "name"]).mean().droplevel("number").rename_axis(None)
