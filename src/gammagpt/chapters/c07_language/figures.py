"""Figures of language: one model learns two texts; which one is ahead, and by which measure.

Runs are rows of a frame (lab.frame, with roles) on a mixture such as "logic+stories". Its first
text is the one that is said to be ahead. Numbers: numbers.py.
"""

import math

import pandas as pd

from ...analysis.frames import columns_of, compared
from ...analysis.pictures import RANGE
from ...lab.anchor_measures import rank_correlation
from ...lab.order import HALF
from ...ledger.estimate import number
from ...plots import GREY, Curves, Estimates, Picture, Ways, compose, nothing, points, provenance
from ...plots.curves import falling
from ...plots.style import HOLLOW, style
from .numbers import MEASURES, along, at_equal_loss, chain_scores, over_runs, pair

SCORES = {"accuracy": "tokens of chain and answer", "exact": "whole chains and answers"}
TOKENS = "training tokens (millions)"


def losses(runs, tier: str, anchor="fig-language") -> Picture:
    """Of each text the share left of the loss of guessing by frequency, a panel a setting."""
    if not len(runs):
        return nothing(anchor)
    texts = pair(runs)

    def panel(setting, rows):
        at, left = _half_way(rows, texts)

        def half(axes):
            axes.plot(at, left, "x", color=GREY, markersize=7, zorder=5)
            axes.axhline(HALF, color=GREY, linestyle=":")

        table = pd.concat([over_runs(rows, name).assign(text=name) for name in texts])
        known = bool(left.notna().any())
        words = f"{left.mean():.2f} of {texts[1]} is left when {texts[0]} is half learned, " * known
        ends = Curves(table=table, hue="text").describe()
        return Curves(table=table, hue="text", title=setting, xlabel=TOKENS, also=half,
                      label="share of the loss left", axes={"ylim": (0, 1.05)},
                      alt=lambda: f"{words}at the end {ends}")

    caption = (f"{RANGE} A cross, one a run: what is left of {texts[1]} when {texts[0]} is half "
               "learned.")
    return compose(anchor, "Share left of the loss of guessing by frequency, of two texts",
                   [panel(*item) for item in runs.groupby("setting", sort=False)],
                   caption=caption, source=provenance(runs, tier))


def delta_without_clock(runs, tier: str) -> Picture:
    """Both measures against the mean loss: where every run ended, and the way there."""
    runs = runs[runs.status == "ok"]
    if not len(runs):
        return nothing("fig-without-clock")
    grid = []
    for measure, words in MEASURES.items():
        top = measure == "delta"
        ways = points(compared(runs), lambda run, measure=measure: _way(run, measure))
        grid.append([
            _Ends(table=runs, x="loss", y=measure, label=words, xlabel=MEAN_LOSS,
                  title="the end of every run" if top else "", also=falling),
            Ways(table=ways, xlabel=MEAN_LOSS, also=falling, title="the way there" if top else ""),
        ])
    alt = (f"{_ends_correlated(runs)}Where the compared runs are at one mean loss: "
           f"{_at_one_loss(runs)}")
    caption = ("Learning goes to the right. Left: every run at every learning rate, hollow if it "
               "only tuned. Right: the compared runs.")
    return compose("fig-without-clock", f"{_ratio(runs)} against the mean of both losses", grid,
                   alt=alt, caption=caption, share=("col", "row"), legend=5,
                   source=provenance(runs, tier), size=(7.2, 6.0))


MEAN_LOSS = "mean loss of both texts (nats per token)"


class _Ends(Ways):
    """A mark for each run: those that were compared are filled."""

    def __init__(self, *, x: str, y: str, table, **more):
        super().__init__(table=table.assign(x=table[x], y=table[y]), **more)

    def draw(self, axes, numbers: dict) -> None:
        for setting, runs in self.table.groupby("setting", sort=False):
            look, filled = style(numbers[setting]), runs.role != "tuning"
            for chosen, face in ((~filled, HOLLOW), (filled, look["color"])):
                axes.scatter(runs.x[chosen], runs.y[chosen], s=18, marker=look["marker"],
                             edgecolors=look["color"], facecolors=face, alpha=0.8)


def _way(run, measure: str):
    table = along(run)
    return table.loss, table[measure]


def groups(runs, tier: str) -> Picture:
    """Mean cosine between the embeddings of each text's own tokens, a panel a setting."""
    if not len(runs):
        return nothing("fig-groups")
    texts = pair(runs)

    def panel(setting, rows):
        ended = rows[rows.status == "ok"]
        table = pd.concat([points(ended, lambda run, name=name: _cosines(run, name), text=name)
                           for name in texts])
        early = columns_of(rows, [f"{name}_cosine_early" for name in texts]).astype(float).mean()
        begun = " and ".join(f"{name} {number(value, '.2f')}"
                             for name, value in zip(texts, early, strict=True))
        ends = Curves(table=table, hue="text").describe()
        return Curves(table=table, hue="text", title=setting, xscale="symlog",
                      xlabel="step (log from 1)", label="mean cosine of a text's own tokens",
                      alt=lambda: f"{begun} when a tenth of {texts[0]} is learned, at the end "
                                   f"{ends}")

    return compose("fig-groups", "Mean cosine between embeddings of tokens that one text has for "
                   "itself", [panel(*item) for item in runs.groupby("setting", sort=False)],
                   caption=RANGE, source=provenance(runs, tier))


def _cosines(run, name: str):
    """(steps, cosines) of the tokens that a text has for itself."""
    probes = [probe for probe in run.probes if "geometry" in probe]
    return ([probe["step"] for probe in probes],
            [probe["geometry"]["groups"].get(name, math.nan) for probe in probes])


def chains(runs, tier: str) -> Picture:
    """Scores on chains of thought of new problems by depth, a panel a score, with 95 %."""
    scores = chain_scores(runs) if len(runs) else pd.DataFrame(columns=["score", "depth", "value"])
    scores = scores.assign(depth=scores.depth.astype(float))
    panels = [Estimates(table=rows, x="depth", y="value", hue="setting", line=True, form=".2f",
                        interval=False, title=SCORES[kind], label="share",
                        xlabel="depth of the proof (rules)", axes={"ylim": (-0.03, 1.03)},
                        also=lambda axes: axes.axvline(3.5, color=GREY, linestyle=":"))
              for kind, rows in scores.groupby("score", sort=False)]
    caption = ("Dots are runs, bars 95 % intervals; right of the dotted line no proof in the "
               "training text is as long.")
    return compose("fig-chains", "Chains of thought of problems with new names, by depth. Shares",
                   panels or [[]], caption=caption, legend=5, source=provenance(runs, tier),
                   size=(7.2, 3.8))


# ---- numbers -------------------------------------------------------------------------------------


def _half_way(runs, texts):
    """(tokens, share) of each run: where the first is half learned, what is left of the other."""
    names = [f"steps_to_{texts[0]}", f"{texts[1]}_left_at_{texts[0]}"]
    half = columns_of(runs, [*names, "batch_size", "block_size"]).astype(float)
    return half[names[0]] * half.batch_size * half.block_size / 1e6, half[names[1]]


def _ratio(runs) -> str:
    one, other = pair(runs)
    return f"Delta L = (loss of {other} - loss of {one}) / loss of {one}"


def _at_one_loss(runs) -> str:
    """'0.31 and +0.050 at gamma 0.3, ...': delta L, and that of shares."""
    means = at_equal_loss(runs).groupby("setting", sort=False)[list(MEASURES)].mean()
    return ", ".join(f"{row.delta:.2f} and {row.delta_normalised:+.3f} at {setting}"
                     for setting, row in means.iterrows())


def _ends_correlated(runs) -> str:
    """How closely delta goes with the loss over the ends of all runs."""
    ends = runs.drop_duplicates("key")
    if len(ends) < 3:
        return ""
    value = rank_correlation(ends.delta, ends.loss)
    return f"Its rank correlation with that mean, over the ends of {len(ends)} runs: {value:.2f}. "
