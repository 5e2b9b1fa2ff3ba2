"""Figures of what may hide the gain of small initialization: norms, gains, sinks."""

import numpy as np

from ...analysis.gains import ends, parted
from ...analysis.norms import first_norm
from ...analysis.tuned import MARGIN
from ...data.backcopy import behind_trigger, validation_sequences
from ...plots import (
    EDGE,
    GREY,
    NATS,
    SHADE,
    Curves,
    Estimates,
    Matrix,
    Picture,
    compose,
    provenance,
)
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
                      alt=lambda: _range(widest[widest.gamma == gamma]))

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
    even = _even(runs)
    more = {
        "sink_rate": {"axes": {"xlim": (-0.03, 1.03)}, "interval": False, "form": ".0%"},
        "first_token": {"also": lambda axes: axes.axvline(even, color=GREY, linestyle=":"),
                        "alt": lambda: ""},
    }
    panels = [_by_variant(runs, measure, words, "init", **more[measure])
              for measure, words in SINKS.items()]
    caption = ("A sink gives the first token more than 0.3 of its attention, mean over all tokens "
               f"that look. Dotted: what it gets from a head that looks at all alike, {even:.2f}.")
    return compose("fig-sinks", "Share of heads that are attention sinks at the end of training",
                   [panels], caption=caption, share=("none", "all"),
                   source=provenance(runs, tier), size=(7.2, 4.2))


def attention(runs, study, tier: str) -> Picture:
    """One head's attention in each setting of the least depth, on a sequence with triggers."""
    base = min(study.settings.values(), key=lambda run: run.model.n_layer)
    names = [n for n, run in study.settings.items() if run.model.n_layer == base.model.n_layer]
    length = base.model.block_size
    tokens = validation_sequences(base.data, 1, length + 1)[0]
    copies = np.flatnonzero(behind_trigger(base.data, tokens))  # where triggers stand

    def panel(name):
        values = numbers.attention_map(runs, name)
        axes = {"xticks": [0, *copies], "xticklabels": ["<s>", *"T" * len(copies)],
                "yticks": copies, "yticklabels": [*"T" * len(copies)]}
        return Matrix(values=values, cmap="viridis", limits=(0, 1), title=name, axes=axes,
                      alt=lambda: _looks(values, copies))

    panels = [panel(name) for name in names]
    caption = ("Rows: the token that looks; columns: the one looked at. T: a trigger, behind which "
               "the token before it is copied. Of the first compared run of each setting the head "
               "that gives <s> most.")
    shown = numbers.sinks(runs)
    shown = shown[shown.setting.isin(names)]
    shown = shown[shown.seed == shown.seed.min()]
    return compose("fig-attention", "What one head's first token, <s>, gets of the attention",
                   [panels[i : i + 2] for i in range(0, len(panels), 2)], caption=caption,
                   bar="attention weight", legend=None, share=("none", "none"),
                   source=provenance(shown, tier), size=(7.2, 6.4))


def _looks(values, copies) -> str:
    """What the first token gets from triggers and from the others; the first itself left out."""
    first, at = values[1:, 0], np.isin(np.arange(1, len(values)), copies)
    return f"{first[~at].mean():.2f}, and {first[at].mean():.2f} from triggers"


def formed(runs, tier: str) -> Picture:
    """A row a setting on Bigram-Backcopy: excess loss, gain, attention to <s>, length of values."""
    shown = numbers.sinks(runs)
    gains, even = numbers.effects(runs, "log_excess"), _even(shown)
    order = tuple(shown.variant.unique())
    excess = _by_variant(shown, "excess", NATS, "init", title="excess loss", form=".4f",
                         order=order)
    gain = _by_variant(gains, "effect", "ln", zero=0, title="gain, ln of the excess", order=order,
                       form="+.2f", also=lambda axes: axes.axvspan(-0.1, 0.1, **SHADE))
    first = _by_variant(shown, "first_token", "share", "init", title="attention to <s>",
                        order=order, form=".2f",
                        also=lambda axes: axes.axvline(even, color=GREY, linestyle=":"))
    drain = _by_variant(shown, "value_drain", "times the others'", "init", form=".2f", order=order,
                        title="length of the value of <s>")
    caption = ("Excess loss: the final loss less the least one that the law allows. Gain: ln of "
               "this at the smallest gamma less that at the largest, 95 % intervals (Welch); "
               f"grey: equivalent; {EDGE}, or a run collapsed. Dotted: what a head gives <s> that "
               f"looks at all alike, {even:.2f}. Each at its own best learning rate.")
    return compose("fig-formed", "On Bigram-Backcopy, by setting", [[excess, gain], [first, drain]],
                   caption=caption, size=(7.2, 5.6), share=("none", "all"),
                   source=provenance(shown, tier))


def _even(runs) -> float:
    """What the first token gets from heads that look at all tokens alike."""
    return np.mean(1 / np.arange(1, runs.block_size.iloc[0] + 1)) if len(runs) else 0
