"""Figures of chapter 19: losses over the learning rate, and gains by size."""

import pandas as pd

from ...plots import EDGE, LOSS, NATS, SHADE, Estimates, Picture, compose, provenance
from . import numbers

SIZES = {"width": "width", "n_layer": "layers"}


def rates(runs, tier: str) -> Picture:
    """Final loss against the learning rate, a panel a warm-up; every run a dot."""
    table = numbers.by_rate(runs)
    panels = [
        Estimates(table=rows, x="learning_rate", y="loss", hue="start", line=True, log=2,
                  apart=False, interval=False, form=".2f", title=rest, label=LOSS,
                  place="rate {:g}".format, xlabel="peak learning rate (thousandths)",
                  ticks=lambda rate: f"{1000 * rate:g}")
        for rest, rows in table.groupby("rest", sort=False)
    ]
    caption = "Each dot is a run, tuning seeds; means with 95 % intervals."
    return compose("fig-lower-loss-rates", "Final validation loss against the learning rate",
                   [panels or [Estimates(table=table, x="learning_rate", y="loss")]],
                   caption=caption, size=(7.2, 4), legend=3, source=provenance(runs, tier))


def gains(frames: list, tier: str, size: str, treatment: str, anchor: str) -> Picture:
    """What the treatment gains over each baseline by size, a panel a recipe; tuned."""
    tables = [numbers.gains(runs, size, treatment) for runs in frames]
    table = pd.concat([t for t in tables if len(t)] or tables[:1], ignore_index=True)
    table = table.drop_duplicates(["size", "recipe", "baseline"])
    xs = sorted(table["size"].unique())

    def band(axes):
        axes.axhspan(-numbers.MARGIN, numbers.MARGIN, **SHADE)
        axes.set_xlim(min(xs) / 1.3, max(xs) * 1.3)
        axes.set_xticks(xs, xs)  # of all panels: they share the axis, and one may lack a size

    panels = [
        Estimates(table=rows, x="size", y="gain", hue="baseline", line=True, log=2, zero=0,
                  form="+.3f", title=recipe, also=band, place=f"{SIZES[size]} {{:g}}".format,
                  label=f"gain of {treatment} ({NATS})", xlabel=SIZES[size])
        for recipe, rows in table.groupby("recipe", sort=False)
    ]
    caption = (f"Loss of the baseline less that of {treatment}, each at its own best learning "
               f"rate, with 95 % intervals (Welch). Grey: equivalent; {EDGE}.")
    return compose(anchor, f"Gain of {treatment} by {SIZES[size]}",
                   [panels or [Estimates(table=table, x="size", y="gain")]], caption=caption,
                   size=(7.2, 3.8), legend=2, source=provenance(_tuned(frames), tier))


def _tuned(frames: list):
    return [runs[runs.role == "tuned"] if len(runs) else runs for runs in frames]
