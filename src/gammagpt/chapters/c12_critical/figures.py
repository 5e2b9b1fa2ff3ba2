"""Figures on the critical gamma. Numbers: numbers.py.

Runs are rows of a frame (lab.frame, with roles).
"""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from ...analysis import learning_rates
from ...analysis.frames import compared, of_role
from ...analysis.pictures import by_question
from ...ledger.estimate import QUESTIONS, Estimate, number
from ...plots import COLOURS, GAMMA, GREY, LOSS, Curves, Estimates, Picture, compose, provenance
from ...plots.curves import doublings
from ...plots.style import HOLLOW, LOOKS, style
from . import numbers as read

MEASURES = {"unseen_gap": "unseen less trained pairs", "loss": "both tasks"}
OPEN = "95 % bootstrap intervals; hollow: at an end of the grid, so the minimum may lie beyond."
BARS = f"Means with 95 % intervals; hollow: best rate at its grid's edge. Below, minima: {OPEN}"
LEAST = "gamma of the least loss"


def critical(runs, tier: str, anchor: str = "fig-critical") -> Picture:
    """Final loss against gamma, with its minimum; at one learning rate, and each at its best."""
    return _with_minima(runs, tier, {"loss": LOSS}, anchor)


def balance(runs, tier: str, anchor: str = "fig-balance") -> Picture:
    """The gap to unseen pairs, and the final loss, against gamma; both questions."""
    labels = {metric: f"loss (nats):\n{name}" for metric, name in MEASURES.items()}
    return _with_minima(runs, tier, labels, anchor)


def _with_minima(runs, tier: str, labels: dict, anchor: str) -> Picture:
    """A panel a metric, {metric: label}; the minimum and its interval just above the gamma axis."""

    def panel(metric, label):
        places = {role: read.minimum(learning_rates.by_gamma(of_role(runs, role), metric))
                  for role in QUESTIONS}
        words = [f"{QUESTIONS[role]} least at gamma {place}" for role, place in places.items()
                 if place.kind != "not run"]
        table = by_question(compared(runs)) if metric in runs else pd.DataFrame(columns=[metric])
        return Estimates(table=table, x="gamma", y=metric, hue="question", line=True, label=label,
                         xlabel=GAMMA, head=label.replace("\n", " "),
                         also=lambda axes: _bars(axes, places), told=lambda: ", ".join(words))

    return compose(anchor, "Loss against gamma, and where it is least",
                   [[panel(*pair)] for pair in labels.items()], caption=BARS,
                   share=("all", False), source=provenance(compared(runs), tier),
                   size=(7.2, 2.2 + 1.8 * len(labels)))


def _bars(axes, places: dict) -> None:
    axes.margins(y=0.2)
    for height, (role, place) in enumerate(places.items()):
        along = {"transform": axes.get_xaxis_transform(), "color": COLOURS[LOOKS[QUESTIONS[role]]]}
        y = 0.04 + 0.05 * height
        axes.plot([place.low, place.high], [y] * 2, linewidth=3, alpha=0.5, **along)
        axes.plot([place.value], [y], "d", mfc=HOLLOW if place.edge else None, **along)


def moves(runs, tier: str, anchor: str = "fig-critical-moves") -> Picture:
    """The minimum at each learning rate (tuning runs), and along training (common rate)."""
    rates, steps = read.across_rates(runs), read.along_training(runs)
    left = _minima(rates, xlabel="learning rate", also=_then(
        _rate_axis(rates), lambda axes: _relative_step(axes, rates, runs.width.iloc[0])))
    ends = {step: steps[step] for step in [*steps][:1] + [*steps][-1:]}
    right = _minima(steps, xlabel="step", log=None, head="Along training", few=True,
                    told=_minima(ends, place="step {:g}".format).describe)
    exponent = f"exponent {Estimate(*read.exchange(runs)):.2f}"
    told = f"By learning rate: {left.describe()}; {exponent}. {right.words()}"
    return compose(anchor, "Gamma of the least validation loss", [[left, right]], told=told,
                   caption=f"{OPEN} Dotted: one relative step for all rates.", legend=None,
                   share=(False, "all"), size=(7.2, 4.0),
                   source=provenance(of_role(runs, "tuning", "common"), tier))


def _minima(places: dict, **more) -> Estimates:
    """Each minimum with its interval; hollow where it is at an end of the grid."""
    table = read.as_table(places).assign(hue="")
    more = {"label": LEAST, "form": ".2f", "log": 2, "place": "{:g}".format} | more
    return Estimates(table=table, x="x", y="y", **more)


def _rate_axis(rates) -> Callable:
    def ticks(axes):
        axes.set_xticks([*rates], [f"{rate:g}" for rate in rates], fontsize=9)

    return ticks


def _then(*steps) -> Callable:
    return lambda axes: [step(axes) for step in steps]


def _relative_step(axes, rates: dict, width: int) -> None:
    """Where the minima would lie if rate x width^gamma were one number, through their middle."""
    inner = [(math.log(rate, width), place.value) for rate, place in rates.items()
             if place.kind != "not run" and not place.edge]
    if inner:
        constant, ends = np.sum(np.mean(inner, axis=0)), np.array([min(rates), max(rates)])
        axes.plot(ends, constant - np.log(ends) / np.log(width), ":", color=GREY)


def sizes(runs, tier: str, anchor: str = "fig-critical-sizes") -> Picture:
    """The minimum at the common rate against width, layers and steps, one of them at a time."""
    panels = []
    for column, places in read.across_sizes(runs).items():
        usual = int(runs[column].iloc[0])
        one_std = _one_std(places, usual) if column == "width" else None
        panels.append(_minima(places, xlabel=read.SIZES[column], also=one_std,
                              head=f"By {read.SIZES[column]}", ticks="{:,}".format))
    return compose(anchor, f"Gamma of the least validation loss, {QUESTIONS['common']}",
                   [panels], caption=f"{OPEN} Dotted: one standard deviation for all widths.",
                   share=(False, "all"), legend=None, size=(7.2, 3.4),
                   source=provenance(of_role(runs, "common"), tier))


def _one_std(places: dict, usual: int) -> Callable:
    """Where the minima would lie if the best standard deviation were that of the usual width."""

    def draw(axes):
        if usual in places and places[usual].kind != "not run":
            widths = np.geomspace(min(places), max(places), 9)
            again = [read.of_one_std(places[usual].value, usual, width) for width in widths]
            axes.plot(widths, again, ":", color=GREY)

    return draw


def plateau(runs, tier: str, anchor: str = "fig-plateau") -> Picture:
    """Steps to half of the way down against gamma, a line a learning rate; who never got there."""
    tuning = read.waiting(runs)
    rates = sorted(tuning.learning_rate.unique()) if len(tuning) else []
    names = [f"learning rate {rate:g}" for rate in tuning.learning_rate] if len(tuning) else []
    looks = {f"learning rate {rate:g}": i for i, rate in enumerate(rates)}
    table = tuning.assign(rate=names).sort_values("learning_rate") if rates else tuning
    panel = Curves(table=table, hue="rate", x="gamma", y="waited", spread="dots", whole=False,
                   xlabel=GAMMA, label="steps to half of the way down", size=6,
                   told=lambda: _waits(tuning),
                   also=_then(doublings, lambda axes: _never(axes, tuning, rates)))
    caption = ("Lines: means where every seed got there; dots: runs; open triangles: not within "
               "the run; crosses: diverged.")
    return compose(anchor, "Steps until the loss is half of the way down, against gamma", [panel],
                   caption=caption, first=looks, legend_title="learning rate",
                   source=provenance(tuning, tier), size=(7.2, 4.4))


def _never(axes, tuning, rates) -> None:
    """Those that never got there, at the top, side by side; they have no height of their own."""
    for run in tuning[tuning.waited.isna()].itertuples():
        i = rates.index(run.learning_rate)
        marker = "x" if run.status == "diverged" else "^"
        axes.plot(run.gamma + 0.008 * (i - len(rates) / 2), 0.97, marker, mfc=HOLLOW,
                  color=style(i)["color"], transform=axes.get_xaxis_transform())


def _waits(tuning) -> str:
    """Who is off the plateau first, by rate, and who never is; of `waiting`."""
    means = tuning.pivot_table(index="learning_rate", columns="gamma", values="waited")
    words = [f"{rate:g}: gamma {row.idxmin():g}, {number(row.max() / row.min(), '.1f')} times as "
             f"fast as gamma {row.idxmax():g}" for rate, row in means.iterrows()]
    lost = tuning.status == "diverged"
    never = tuning[tuning.waited.isna() & ~lost]
    late = ", ".join(f"gamma {gamma:g}" for gamma in sorted(never.gamma.unique()))
    return ("First there, and how much faster than the last to get there, by learning rate: "
            f"{'; '.join(words) or 'nobody'}. Of {len(tuning)} runs {len(never)} did not get "
            f"there{f' ({late})' * bool(late)}, and {lost.sum()} diverged")


def trade(runs, tier: str, anchor: str = "fig-balance-moves") -> Picture:
    """The minima of the gap and of the loss at each learning rate, on the tuning seeds."""
    places = {name: read.across_rates(runs, metric) for metric, name in MEASURES.items()}
    table = pd.concat([read.as_table(rates).assign(of=name) for name, rates in places.items()])
    panel = Estimates(table=table, x="x", y="y", hue="of", form=".2f", log=2, label=LEAST,
                      xlabel="learning rate", also=_rate_axis(places["both tasks"]),
                      place="{:g}".format)
    return compose(anchor, "Gamma of the least loss by learning rate", [panel], caption=OPEN,
                   source=provenance(of_role(runs, "tuning"), tier), size=(7.2, 4.0))
