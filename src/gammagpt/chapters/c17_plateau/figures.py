"""Figures of chapter 17: the plateau step by step, collapse against x, the interventions."""

from dataclasses import replace

import numpy as np

from ...analysis.plateau import LEFT, REACHED, RULES
from ...ledger.estimate import number
from ...plots import GREY, LOSS, NATS, Curves, Dots, Estimates, Picture, compose
from ...plots.picture import Source, provenance


def traces(frames: dict, tier: str) -> Picture:
    """What `theory.trace` saw: {name: frame}; three measures against the path d x sum(lr)."""
    import pandas as pd

    table = pd.concat([frame.assign(setting=name, seed=0) for name, frame in frames.items()])

    def panel(measure, label, **more):
        return Curves(table=table, x="path", y=measure, spread="none", label=label, size=3,
                      xlabel=r"path $d\,\sum$ lr", xscale="symlog", whole=False, **more)

    def levels(axes):
        axes.axhline(0, color=GREY, linestyle=":")
        for path in (REACHED, LEFT):
            axes.axvline(path, color=GREY, linestyle="--", linewidth=1)

    panels = [
        panel("above", f"loss above unigrams ({NATS})", head="loss above the unigram level, at the "
              "end", also=levels),
        panel("embedding_rank", "stable rank", title="embedding", head="its stable rank, at the "
              "end", doublings=True),
        panel("hidden_step", "size of a step", title="hidden matrix", head="spectral norm of a "
              "step over that of the matrix, largest", tell=_largest),
    ]
    steps = len(next(iter(frames.values())))
    caption = (f"One run each, {steps} steps. Dashed: the paths at which the law has the plateau "
               "reached and left. Dotted: the unigram level.")
    return compose("fig-plateau", "The first steps of a run", [panels], caption=caption,
                   size=(7.2, 3.4), share=("all", "none"), legend=2,
                   source=Source(f"Tier {tier}; trained for this page."))


def _largest(mean, form: str) -> str:
    return number(mean.max(), form)


def collapse(runs, tier: str) -> Picture:
    """Every run of the forecasts: how far it ends above the best of its ladder, against x."""
    rule, labels = RULES["x"], {True: "collapsed", False: "did not collapse"}
    table = runs.assign(outcome=runs.collapsed.map(labels)) if len(runs) else runs

    def chance(axes):
        axes.axvline(rule.threshold, color=GREY, linestyle="--")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")

    def words() -> str:
        bands = ((0, 0.3), (0.3, 0.75), (0.75, 1.5), (1.5, np.inf))
        rows = [(low, high, table[(table.x >= low) & (table.x < high)]) for low, high in bands]
        return ", ".join(f"{part.collapsed.sum()} of {len(part)} with x {_band(low, high)}"
                         for low, high, part in rows)

    panel = Dots(table=table, x="x", y="above", hue="outcome", head="collapsed", alt=words,
                 xlabel="x = lr d² / n_w", label=f"above the best\nof its ladder ({NATS})",
                 also=chance)  # fmt: skip
    caption = ("Each dot is a run of a setting that no fit has seen. Dashed: where the law, fitted "
               "before, has a collapse as likely as not.")
    source = provenance(runs, tier) if "key" in runs else Source(f"Tier {tier}; {len(runs)} runs.")
    return compose("fig-collapse", "Final loss against x", [[panel]], caption=caption,
                   size=(7.2, 3.6), legend=2, source=source)


def _band(low: float, high: float) -> str:
    if not low:
        return f"below {high:g}"
    return f"from {low:g} up" if high == np.inf else f"from {low:g} to {high:g}"


def critical(grids, tier: str) -> Picture:
    """The critical gamma that was forecast against the one that was found; where both exist."""
    both = grids.dropna(subset=["forecast", "observed"]) if len(grids) else grids

    def same(axes):
        ends = [min(axes.get_xlim()[0], axes.get_ylim()[0]),
                max(axes.get_xlim()[1], axes.get_ylim()[1])]  # fmt: skip
        axes.plot(ends, ends, color=GREY, linestyle=":")

    def words() -> str:
        return ", ".join(f"forecast {row.forecast:.2f} found {row.observed:.2f} at width "
                         f"{row.width}, rate {row.learning_rate}" for row in both.itertuples())

    table = both.assign(size="width " + both.width.astype(str)) if len(both) else both
    panel = Dots(table=table, x="forecast", y="observed", hue="size", head="found", alt=words,
                 xlabel="critical gamma, forecast", label="critical gamma, found",
                 also=same)  # fmt: skip
    caption = "Each dot is a grid of gammas at one learning rate. Dotted: forecast and found agree."
    return compose("fig-critical-forecasts", "Critical gamma, forecast and found", [[panel]],
                   caption=caption, size=(7.2, 3.6), legend=3,
                   source=Source(f"Tier {tier}; {len(grids)} grids of gammas, of which "
                                 f"{len(both)} have a critical one by both."))


def interventions(outcomes, tier: str) -> Picture:
    """Final losses of every intervention, a panel a width; the table beside says what collapsed."""
    panels = [
        Estimates(table=rows, x="setting", y="loss", upright=False, title=f"width {width}",
                  xlabel=LOSS, form=".2f")  # fmt: skip
        for width, rows in outcomes.groupby("width")
    ]
    panels = [replace(panel, label="") for panel in panels]
    caption = "Each dot is a run; means with 95 % intervals."
    return compose("fig-interventions", "Final validation loss of each intervention at x = 0.82",
                   [panels or [Estimates(table=outcomes, x="setting", y="loss")]], caption=caption,
                   size=(7.2, 8), share=("none", "all"), legend=None,
                   source=provenance(outcomes, tier))  # fmt: skip
