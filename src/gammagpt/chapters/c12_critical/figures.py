"""Figures of chapter 12: tuned losses against gamma, their rates, and the map of collapse."""

import numpy as np

from ...analysis.frames import of_role
from ...analysis.plateau import NONE_BELOW, RULES, SAFE, small_branch
from ...analysis.tuned import MARGIN, sound
from ...plots import (
    EDGE,
    GAMMA,
    GREY,
    LOSS,
    SHADE,
    Dots,
    Estimates,
    Picture,
    compose,
    provenance,
)
from . import numbers

MEASURES = {"unseen_behind": "how far trained pairs\nare learned first",
            "loss": "loss of both tasks (nats)"}
HOLLOW = f"{EDGE}, or a run collapsed."


def critical(runs, tier: str) -> Picture:
    """Final loss against gamma, each tuned; on grey what is equivalent to the lowest."""

    def band(axes):
        if len(runs) and (runs.role == "tuned").any():
            axes.axhspan(numbers.lowest(runs) - MARGIN, numbers.lowest(runs) + MARGIN, **SHADE)

    panel = _by_gamma(runs, "loss", LOSS, band)
    return compose("fig-critical", "Final validation loss against gamma, each tuned", [[panel]],
                   caption=f"Each dot is a run; means with 95 % intervals. Grey: within {MARGIN:g} "
                   f"nats of the lowest mean; {HOLLOW}", size=(7.2, 3.8), legend=None,
                   source=provenance(of_role(runs, "tuned"), tier))


def balance(runs, tier: str) -> Picture:
    """Of the Emb-MLP: how far unseen pairs are behind, and the final loss, against gamma; tuned."""
    panels = [_by_gamma(runs, measure, label) for measure, label in MEASURES.items()]
    return compose("fig-balance", "Reasoning and training against gamma, each tuned", panels,
                   caption="Each dot is a run; means with 95 % intervals. Lower is better on both "
                   f"sides; {HOLLOW}", size=(7.2, 3.6), share=("all", "none"), legend=None,
                   source=provenance(of_role(runs, "tuned"), tier))


def _by_gamma(runs, measure: str, label: str, also=None) -> Estimates:
    return Estimates(table=sound(runs), x="gamma", y=measure, line=True, label=label,
                     xlabel=GAMMA, head=label.replace("\n", " "), also=also,
                     place="gamma {:g}".format)


def rates(runs, tier: str) -> Picture:
    """The best learning rate of each gamma, and the two lines of the law."""
    table = numbers.best_rates(runs)

    def law(axes):
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter(lambda rate, _: f"{1000 * rate:.2g}")
        if len(table):
            first = table.iloc[0]
            gammas = np.linspace(table.gamma.min(), table.gamma.max())
            axes.plot(gammas, numbers.critical_rate(gammas, first.width), ":", color=GREY)
            steps = round(first.warmup * first.steps)
            axes.axhline(NONE_BELOW * small_branch(first.width, steps), color=GREY, linestyle="--")

    panel = Estimates(table=table, x="gamma", y="learning_rate", line=True, also=law, xlabel=GAMMA,
                      label="peak learning rate\n(thousandths)", form=".2g", interval=False,
                      place="gamma {:g}".format)
    return compose("fig-critical-rates", "The best learning rate of each gamma", [[panel]],
                   caption="Dotted: the rate at which the law calls this gamma the critical one. "
                   "Dashed: below it the law knows no critical gamma at this warm-up. Hollow: at "
                   "the edge of its grid.", size=(7.2, 3.6), legend=None,
                   source=provenance(of_role(runs, "tuned"), tier))


def collapse_map(runs, tier: str) -> Picture:
    """Which runs collapse: warm-up in steps against lr d^2, for all widths at once."""

    def boundaries(axes):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        ends = np.array(axes.get_xlim())
        axes.plot(ends, ends / RULES["x"].threshold, "--", color=GREY)
        axes.plot(ends, ends / SAFE, ":", color=GREY)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")

    panel = Dots(table=runs, x="path_rate", y="warmup_steps", hue="outcome", also=boundaries,
                 xlabel="lr d²", label="warm-up (steps)")
    return compose("fig-collapse-map", "The map: which small initializations collapse", [[panel]],
                   caption="Each dot is a run of the forecasts, of widths from 48 to 192. Dashed: "
                   "a collapse is as likely as not. Dotted: above it none of the first edition's "
                   "runs collapsed.", size=(7.2, 4.2), legend=2, source=provenance(runs, tier))
