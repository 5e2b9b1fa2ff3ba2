"""Figures of what may hide the gain of small initialization: norms, gains, sinks."""

import numpy as np

from ...analysis.gains import ends, parted
from ...analysis.norms import first_norm
from ...analysis.tuned import MARGIN
from ...plots import EDGE, GREY, NATS, SHADE, Curves, Estimates, Picture, compose, provenance
from ...plots.style import style
from . import numbers

SINKS = {
    "sink_rate": "share of heads that are sinks",
    "first_token": "attention to the first token",
}


def norm_levels(levels, widths) -> Picture:
    """RMS after every norm of models that were just drawn, against the width; a panel a gamma.

    `levels`: norms.norm_levels; its largest eps is drawn norm by norm, the others as one line
    each. `widths`: how far the formula of the first norm is drawn.
    """
    usual, widest = levels.eps.max(), levels[levels.width == levels.width.max()]

    def panel(gamma, rows):
        def more(axes):
            for eps, rest in rows[rows.eps < usual].groupby("eps"):
                mean = rest.groupby("width").rms.mean()
                axes.plot(mean.index, mean, "--", color=GREY, label=f"all norms, eps {eps:g}")
            formula = [first_norm(width, gamma, usual) for width in widths]
            axes.plot(widths, formula, ":", color=GREY, label="first norm, formula")
            axes.set_xscale("log", base=2)
            axes.set_xticks(widths[::2], widths[::2])

        return Curves(table=rows[rows.eps == usual], hue="norm", run="eps", x="width", y="rms",
                      spread="none", title=f"gamma {gamma:g}", xlabel="width", look=_nested,
                      label="RMS after the norm", axes={"ylim": (0, 1.08)}, also=more,
                      told=lambda: _range(widest[widest.gamma == gamma]))

    caption = (f"Solid: eps {usual:g}, a line a norm, by what reads it. Dashed: the mean over "
               "norms at smaller eps. Dotted: the formula of the first norm. Models drawn just "
               "now; no training.")
    head = ("RMS after the norms of models just drawn, which should be 1. At width "
            f"{levels.width.max()}, from the lowest norm to the highest")
    return compose("fig-norms", head, [panel(*pair) for pair in levels.groupby("gamma")],
                   caption=caption, legend=4)


def _nested(i: int) -> dict:
    """They nearly coincide: markers get smaller, so that none hides another."""
    return {**style(i), "markersize": max(3, 11 - 2 * i)}


def _range(levels) -> str:
    return ", ".join(f"eps {eps:g} {group.rms.min():.2f} to {group.rms.max():.2f}"
                     for eps, group in levels.groupby("eps"))


def restraints(runs, tier: str) -> Picture:
    """A row a setting: the losses of both gammas, the gain, and how the setting changes it."""
    shown, effects = parted(runs), numbers.effects(runs)
    shown = shown[shown.role == "tuned"]
    first, last = ends(shown) or ("the first gamma", "the last")

    def band(axes):
        axes.axvspan(-MARGIN, MARGIN, **SHADE)

    panels = [_by_variant(shown, "loss", NATS, hue="init", form=".2f", title="validation loss")]
    for what, words in {"gain": f"gain of {last}", "change": "change of the gain"}.items():
        rows = effects[effects.what == what]
        panels.append(_by_variant(rows, "effect", NATS, form="+.3f", zero=0, also=band,
                                  order=tuple(shown.variant.unique()), title=words))
    caption = (f"Each at its own best learning rate. Gain: loss of {first} less that of {last}. "
               f"Change: this gain less the one as usual. Dots are runs; 95 % intervals (Welch). "
               f"Grey: equivalent; {EDGE}, or a run collapsed.")
    return compose("fig-restraints", "Final loss, gain and its change with each setting", [panels],
                   caption=caption, size=(7.2, 4.6), share=("none", "all"),
                   source=provenance(shown, tier))


def _by_variant(table, value: str, words: str, hue: str | None = None, **more) -> Estimates:
    """A row a variant, from the top down."""
    return Estimates(table=table, x="variant", y=value, hue=hue, upright=False, xlabel=words,
                     **more)


def sinks(runs, tier: str) -> Picture:
    """Attention sinks at the end of training: share of heads, and what the first token gets."""
    runs = numbers.sinks(runs)
    even = np.mean(1 / np.arange(1, runs.block_size.iloc[0] + 1)) if len(runs) else 0
    more = {
        "sink_rate": {"axes": {"xlim": (-0.03, 1.03)}, "interval": False, "form": ".0%"},
        "first_token": {"also": lambda axes: axes.axvline(even, color=GREY, linestyle=":"),
                        "told": lambda: ""},
    }
    panels = [_by_variant(runs, measure, words, "init", **more[measure])
              for measure, words in SINKS.items()]
    caption = ("A sink gives the first token more than 0.3 of its attention, mean over all tokens "
               f"that look. Dotted: what it gets from a head that looks at all alike, {even:.2f}.")
    return compose("fig-sinks", "Share of heads that are attention sinks at the end of training",
                   [panels], caption=caption, share=("none", "all"),
                   source=provenance(runs, tier), size=(7.2, 4.2))
