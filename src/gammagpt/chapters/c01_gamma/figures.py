"""Figures of chapter 1: what a fixed std amounts to, what epsilon does, one stable rank."""

import math

import pandas as pd

from ...gpt.init import implied_gamma
from ...ledger.estimate import number
from ...plots import GREY, Curves, Picture, compose, points, provenance
from ...plots.curves import lowest

COMPUTED = "Computed; no training."


def std_dictionary(widths, stds=(0.02,), gammas=(0.5, 0.8, 1.0)) -> Picture:
    """Which gamma a fixed std is at each width (gamma = -ln std / ln d_in)."""
    table = pd.DataFrame([(f"std {std:g}", 0, width, implied_gamma(std, width))
                          for std in stds for width in widths], columns=["std", "seed", "x", "y"])

    def levels(axes):
        _width_axis(axes, widths)
        for gamma in gammas:
            axes.axhline(gamma, color=GREY, linestyle=":")
            x, side = (widths[0], "left") if gamma <= 0.5 else (widths[-1], "right")
            axes.text(x, gamma + 0.01, f"gamma {gamma:g}", ha=side)

    panel = Curves(table=table, hue="std", spread="none", label="gamma", xlabel="width d_in",
                   also=levels, alt=lambda: _from_to(stds[0], widths))
    return compose("fig-std-dictionary", "The gamma that a fixed std amounts to, by width", [panel],
                   caption=f"A fixed std is a different gamma at every width. {COMPUTED}",
                   size=(7.2, 4.0))


def _from_to(std: float, widths) -> str:
    ends = [f"{implied_gamma(std, width):.2f} at width {width}" for width in (widths[0],
                                                                            widths[-1])]
    return f"std {std:g} is gamma {' and '.join(ends)}"


def _width_axis(axes, widths) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(widths, widths)


def eps_effect(widths, gammas, eps_values) -> Picture:
    """Root mean square after the first RMSNorm, s / sqrt(s^2 + eps) with s = d^-gamma."""

    def rms(width, gamma, eps):
        return 1 / math.sqrt(1 + eps * width ** (2 * gamma))

    def panel(eps):
        table = pd.DataFrame([(f"gamma {gamma:g}", 0, width, rms(width, gamma, eps))
                              for gamma in gammas for width in widths],
                             columns=["gamma", "seed", "x", "y"])
        words = f"eps {eps:g}: {number(rms(widths[-1], gammas[-1], eps), '.2f')}"
        return Curves(table=table, hue="gamma", spread="none", title=f"eps = {eps:g}", head="",
                      label="RMS after the first norm", xlabel="width d", size=6,
                      axes={"ylim": (0, 1.08)}, alt=lambda: words,
                      also=lambda axes: axes.set_xscale("log", base=2))

    panels = [panel(eps) for eps in eps_values]
    alt = "; ".join(panels[i].alt() for i in (0, -1))
    head = (f"Root mean square after the first RMSNorm, which should be 1. At width {widths[-1]} "
            f"and gamma {gammas[-1]:g}")
    return compose("fig-eps", head, [panels], alt=alt, legend_title="gamma", size=(7.2, 3.6),
                   caption=f"The first RMSNorm divides by sqrt(s² + eps), not by s. {COMPUTED}")


def stable_ranks(runs, tier: str, tensor: str = "embedding.weight") -> Picture:
    """Stable rank of one matrix against the step (linear up to step 1, then logarithmic)."""

    def way(run):
        return zip(*((probe["step"], probe["tensors"][tensor]["stable_rank"])
                     for probe in run.probes), strict=True)

    panel = Curves(table=points(runs, way), label=f"stable rank of {tensor}", size=6,
                   xlabel="step (log from 1)", xscale="symlog", axes={"ylim": (0, None)},
                   form=".1f", tell=lowest)
    return compose("fig-stable-rank", f"Stable rank of {tensor} during training", [panel],
                   caption="Condensation is the fall, expansion the rise.",
                   source=provenance(runs, tier))
