"""Pictures of runs that many chapters show. Runs are rows of a frame (lab.frame, with roles)."""

import math
import textwrap

import matplotlib.pyplot as plt
import numpy as np

from ..plots import (
    GAMMA,
    GREY,
    LOSS,
    Cells,
    Curves,
    Estimates,
    Picture,
    compose,
    nothing,
    points,
    provenance,
    scale,
)
from .frames import columns_of, compared

DOTS = "Each dot is a run; bars are 95 % intervals."
RANGE = "Mean over seeds; the band is their range."


def loss_curves(runs, tier: str, anchor: str = "fig-curves") -> Picture:
    """Validation loss against tokens: the mean over seeds, and the range from least to most."""
    table = points(runs, loss_by_tokens)
    caption = f"{RANGE} On fewer windows of text than the final losses, so last digits differ."
    panel = Curves(table=table, label=LOSS, xlabel="training tokens (millions)", head="At the end")
    return compose(anchor, "Validation loss against training tokens", [panel], caption=caption,
                   source=provenance(runs, tier), size=(7.2, 4.4))


def loss_by_tokens(run):
    """(training tokens in millions, validation losses) of a row of a frame."""
    steps, losses = np.array(run.curve, dtype=float).reshape(-1, 2).T
    return steps * run.batch_size * run.block_size / 1e6, losses


def loss_plane(runs, tier: str, anchor: str = "fig-plane") -> Picture:
    """Final loss over (setting, learning rate) on the tuning seeds; the best of a row is framed."""
    tuning = runs[runs.role == "tuning"]
    table = tuning_plane(runs, "loss")
    low = min(table.min().min(), 1e9)  # finite even if every run diverged
    norm = plt.Normalize(low, low + 1.0)  # one nat of colour: beyond it all is equally bad
    best = table.idxmin(axis=1).where(table.min(axis=1) < math.inf)
    words = ", ".join(f"{s} at {r:g}" if r > 0 else f"{s} diverged" for s, r in best.items())
    panel = Cells(table=table, norm=norm, xlabel="peak learning rate", told=lambda: words,
                  head="Lowest in each row")
    return compose(
        anchor, "Final validation loss by initialization and learning rate", [panel],
        caption="The framed cell is the best of its row.", source=provenance(tuning, tier),
        bar=("all", "validation loss\n(nats per token)"), size=(7.2, 1.5 + 0.5 * len(table)),
        legend=None,
    )


def rate_planes(panels: dict, tier: str, label: str, anchor: str) -> Picture:
    """{title: (runs, measure)} over (setting, learning rate), the mean over the tuning seeds.

    Framed: the rate that the tuning chose for its row, by the loss and not by this measure.
    """
    panels = {title: pair for title, pair in panels.items() if _tuned(pair[0])}
    if not panels:
        return nothing(anchor)
    planes = {title: tuning_plane(*pair) for title, pair in panels.items()}
    measures = {measure for _, measure in panels.values()}
    low_is_good = measures == {"loss"}  # good is bright
    cells = [Cells(table=plane, title=title, xlabel="peak learning rate",
                   cmap="viridis_r" if low_is_good else "viridis",
                   norm=scale(planes.values()), chosen=tuning_plane(panels[title][0], "loss"))
             for title, plane in planes.items()]
    heights = [len(plane) + 1.5 for plane in planes.values()]
    dash = "" if low_is_good else " A dash: a run did not get that far."
    return compose(
        anchor, f"{label[0].upper()}{label[1:]}, by initialization and learning rate",
        [[cell] for cell in cells], caption=f"Framed: the rate that the tuning chose.{dash}",
        source=provenance([runs[runs.role == "tuning"] for runs, _ in panels.values()], tier),
        bar=("all", textwrap.fill(label, int(7 * sum(heights)))),
        ratios=heights, share=(False, False), size=(7.2, 0.42 * sum(heights) + 0.6), legend=None,
    )


def tuning_plane(runs, measure: str):
    """The mean of a measure on the tuning seeds, settings by rates; nan where a run lacks it."""
    tuning = columns_of(runs[runs.role == "tuning"], ["setting", "learning_rate", measure])
    means = tuning.groupby(["setting", "learning_rate"], sort=False)[measure]
    plane = means.agg(lambda values: values.mean(skipna=False)).unstack("learning_rate")
    return plane.reindex(index=tuning.setting.unique()).sort_index(axis=1)


def against_gamma(panels: dict, tier: str, label: str, anchor: str, line=None) -> Picture:
    """A measure of the compared runs against gamma, with 95 %.

    `panels` is {title: (runs, measure)}; `line` (value, words) is a level worth knowing. A setting
    with a run that has no such number gets dots and no mean.
    """
    tables = {title: _of_measure(*pair) for title, pair in panels.items()}
    missing = sum(int(table.value.isna().sum()) for table in tables.values())
    lacking = f" {missing} runs have no such number and no dot." if missing else ""
    cells = [Estimates(table=table, x="gamma", y="value", line=True, title=title, label=label,
                       xlabel=GAMMA, form=".2f", interval=False,
                       also=lambda axes, last=title == [*panels][-1]: _level(axes, line, last))
             for title, table in tables.items()]
    return compose(anchor, f"{label[0].upper()}{label[1:]}, against gamma", cells,
                   caption=f"{DOTS}{lacking}", size=(7.2, 4.2),
                   source=provenance([compared(runs) for runs, _ in panels.values()], tier))


def _of_measure(runs, measure: str):
    """gamma and value of the compared runs."""
    table = columns_of(compared(runs), ["gamma", "seed", measure])
    return table.rename(columns={measure: "value"})


def _level(axes, line, named: bool) -> None:
    if line:
        axes.axhline(line[0], color=GREY, linestyle=":")
        where = axes.get_yaxis_transform()
        axes.text(0.99, line[0], line[1] if named else "", transform=where, color=GREY, fontsize=9,
                  ha="right", va="bottom")


def _tuned(runs) -> bool:
    return len(runs) > 0 and (runs.role == "tuning").any()
