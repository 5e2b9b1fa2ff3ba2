"""Figures of chapter 2: losses over the learning rate, and gains by size."""

import pandas as pd

from ...analysis.tuned import MARGIN
from ...plots import EDGE, LOSS, NATS, SHADE, Estimates, Picture, compose, provenance
from . import numbers

SIZES = {"width": "width", "n_layer": "layers", "steps": "steps"}  # a column, in words
STUDIES = {"width": "lower_loss_width", "n_layer": "lower_loss_depth",
           "steps": "lower_loss_tokens"}  # along it
GREY = f"Grey: equivalent; {EDGE}, or a run collapsed."


def answer(frames: dict, tier: str, treatment: str) -> Picture:
    """The landing page's too: losses over the learning rate, and the tuned gains by size."""
    by_rate = _rates(frames["lower_loss_rates"])
    by_size = [_gains([frames[name]], size, treatment, title=f"tuned, by {SIZES[size]}")[0]
               for size, name in STUDIES.items()]
    caption = (f"Above: each dot is a run, at two lengths of the warm-up. Below: loss of the "
               f"baseline less that of {treatment}, each at its own best learning rate, with 95 % "
               f"intervals (Welch). {GREY}")
    return compose("fig-answer", "Final validation loss against the learning rate, and what "
                   f"{treatment} gains when every learning rate is tuned", [by_rate, by_size],
                   caption=caption, size=(7.2, 6.4), share=("none", "row"), legend=3,
                   source=provenance([frames["lower_loss_rates"],
                                      *_tuned([frames[name] for name in STUDIES.values()])], tier))


def _rates(runs) -> list[Estimates]:
    """A panel a warm-up; at least one."""
    table = numbers.by_rate(runs)
    panels = [
        Estimates(table=rows, x="learning_rate", y="loss", hue="init", line=True, log=2,
                  apart=False, interval=False, form=".2f", title=variant, label=LOSS,
                  place="rate {:g}".format, xlabel="peak learning rate (thousandths)",
                  ticks=lambda rate: f"{1000 * rate:g}")
        for variant, rows in table.groupby("variant", sort=False)
    ]
    return panels or [Estimates(table=table, x="learning_rate", y="loss")]


def gains(frames: list, tier: str, size: str, treatment: str, anchor: str) -> Picture:
    """What the treatment gains over each baseline by size, a panel a recipe; tuned."""
    caption = (f"Loss of the baseline less that of {treatment}, each at its own best learning "
               f"rate, with 95 % intervals (Welch). {GREY}")
    return compose(anchor, f"Gain of {treatment} by {SIZES[size]}",
                   [_gains(frames, size, treatment)], caption=caption, size=(7.2, 3.8), legend=2,
                   source=provenance(_tuned(frames), tier))


def _gains(frames: list, size: str, treatment: str, title: str = "") -> list[Estimates]:
    """A panel a recipe; at least one."""
    tables = [numbers.gains(runs, size, treatment) for runs in frames]
    table = pd.concat([t for t in tables if len(t)] or tables[:1], ignore_index=True)
    table = table.drop_duplicates(["size", "recipe", "baseline"])
    xs = sorted(table["size"].unique())

    def band(axes):
        axes.axhspan(-MARGIN, MARGIN, **SHADE)
        axes.set_xlim(min(xs) / 1.3, max(xs) * 1.3)
        axes.set_xticks(xs, xs)  # of all panels: they share the axis, and one may lack a size

    panels = [
        Estimates(table=rows, x="size", y="effect", hue="baseline", line=True, log=2, zero=0,
                  form="+.3f", title=title or recipe, also=band,
                  place=f"{SIZES[size]} {{:g}}".format, label=f"gain of {treatment} ({NATS})",
                  xlabel=SIZES[size])
        for recipe, rows in table.groupby("recipe", sort=False)
    ]
    return panels or [Estimates(table=table, x="size", y="effect")]


def _tuned(frames: list):
    return [runs[runs.role == "tuned"] if len(runs) else runs for runs in frames]
