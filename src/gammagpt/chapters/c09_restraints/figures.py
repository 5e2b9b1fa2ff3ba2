"""Figures of what may hold small initialization back: epsilon, sinks and gate, decay, warm-up.

Runs are rows of a frame (lab.frame, with roles); analysis/gains.py says what a variant and a
gain are.
"""

from itertools import product

import numpy as np

from ...analysis.gains import changes, ends, gains, parted
from ...analysis.norms import first_norm
from ...analysis.pictures import by_question, loss_by_tokens
from ...ledger.estimate import QUESTIONS, Estimate
from ...plots import GREY, LOSS, NATS, Curves, Estimates, Picture, Ways, compose, points, provenance
from ...plots.style import LOOKS, stroke, style
from .numbers import HABITS, habit_changes, habit_gains, only

SINKS = {
    "sink_rate": "share of heads that are sinks",
    "first_token": "attention to the first token",
}
PAIRS = "Means with 95 % intervals; each dot is a run or a pair of one seed."


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


# ---- gains and losses of variants ----------------------------------------------------------------


def _variants(table, value: str, words: str, hue: str = "question", **more) -> Estimates:
    """A row a variant, from the top down."""
    more = {"form": "+.3f", "zero": 0} | more if value in ("gain", "change") else more
    return Estimates(table=table, x="variant", y=value, hue=hue, upright=False, xlabel=words,
                     **more)


def corners(runs, tier: str, anchor="fig-corners") -> Picture:
    """The gain of the largest gamma over the smallest of every variant, and what changes it."""
    gain, change = by_question(gains(runs)), by_question(changes(runs))
    first, last = ends(parted(runs)) or ("", "")
    rows = [max(1, table.variant.nunique()) for table in (gain, change)]
    return compose(
        anchor, f"Gain of {last} over {first} in validation loss, and its change when a restraint "
        f"is relaxed, in {NATS}",
        [[_variants(gain, "gain", f"gain of {last} over {first} ({NATS})", head="Gain")],
         [_variants(change, "change", f"change of this gain ({NATS})", head="Change")]],
        caption="Above: right of the dotted line the larger gamma ends lower. Below: right of it, "
        f"relaxing lets its gain grow, which the rules judge. {PAIRS}", ratios=rows,
        share=(False, False), source=provenance(parted(runs), tier),
        size=(7.2, 2.0 + 0.46 * sum(rows)),
    )


def losses(runs, tier: str, anchor="fig-corner-losses") -> Picture:
    """Final loss of every variant and gamma; a panel for each of the two questions."""
    runs = parted(runs)
    panels = [_variants(rows, "loss", LOSS, "init", title=question, interval=False)
              for question, rows in by_question(runs).groupby("question", sort=False)]
    return compose(anchor, "Final validation loss of every variant", panels, caption=PAIRS,
                   source=provenance(runs, tier), size=(7.2, 4.0))


def controls(runs, tier: str) -> Picture:
    """The gate and its controls at the common rate: losses of every gamma, and the gain."""
    runs, gain = parted(runs), by_question(gains(runs))
    first, last = ends(runs) or ("", "")
    left = _variants(runs, "loss", f"validation loss\n({NATS})", "init", interval=False,
                     head="Final validation loss")
    right = _variants(gain, "gain", f"gain of {last} over {first}\n({NATS})", head="Gain",
                      told=lambda: _variants(gain, "gain", "", None).describe())
    return compose("fig-gate-controls", f"The gate and its controls, {QUESTIONS['common']}",
                   [[left, right]], caption=f"Right: right of the dotted line {last} ends lower. "
                   f"{PAIRS}", share=(False, "all"), source=provenance(runs, tier), size=(7.2, 4.2))


def sinks(runs, tier: str) -> Picture:
    """Attention sinks at the end of training: share of heads, and what the first token gets."""
    runs = parted(runs)
    runs = runs[runs.sink_rate.notna()] if "sink_rate" in runs else runs[:0]
    even = np.mean(1 / np.arange(1, runs.block_size.iloc[0] + 1)) if len(runs) else 0
    more = {
        "sink_rate": {"axes": {"xlim": (-0.03, 1.03)}, "interval": False, "form": ".0%"},
        "first_token": {"also": lambda axes: axes.axvline(even, color=GREY, linestyle=":"),
                        "told": lambda: ""},
    }
    by = list(by_question(runs).groupby("question", sort=False))
    grid = [[_variants(rows, measure, words, "init", head=question,
                       title=question if measure == "sink_rate" else "", **more[measure])
             for question, rows in by] for measure, words in SINKS.items()]
    caption = ("A sink gives the first token more than 0.3 of its attention, mean over all tokens "
               f"that look. Dotted: what it gets from a head that looks at all alike, {even:.2f}. "
               f"{PAIRS}")
    return compose("fig-sinks", "Share of heads that are attention sinks at the end of training",
                   grid, caption=caption, share=("row", "all"), source=provenance(runs, tier),
                   size=(7.2, 5.2))


def curves(runs, tier: str, anchor="fig-fast-curves") -> Picture:
    """Validation loss against tokens, a line a run at the common rate; a panel a variant."""
    runs = parted(runs)
    runs = runs[(runs.role == "common") & (runs.curve.map(len) > 1)] if len(runs) else runs
    panels = []
    for variant, rows in runs.groupby("variant", sort=False):
        table = points(rows.assign(setting=rows.init), loss_by_tokens)
        panels.append(Ways(table=table, title=variant, look=stroke, xlabel="tokens (millions)",
                           label=f"validation loss\n({NATS})",
                           told=lambda rows=rows: _end_ranges(rows)))
    return compose(anchor, "Validation loss of every run against tokens. Ends, least to most",
                   panels, caption="A line is a run; none is a mean.",
                   source=provenance(runs, tier))


def _end_ranges(runs) -> str:
    """'gamma 0.5 3.85 to 3.92, gamma 1 3.70 to 4.44 (1 diverged)'."""
    words = []
    for init, values in runs.groupby("init", sort=False).loss:
        ended = values[np.isfinite(values)]
        lost = f" ({len(values) - len(ended)} diverged)" * (len(ended) < len(values))
        words.append(f"{init} {ended.min():.2f} to {ended.max():.2f}{lost}" if len(ended)
                     else f"{init}{lost}")
    return ", ".join(words)


# ---- decay and warm-up ---------------------------------------------------------------------------


def habits(runs, tier: str) -> Picture:
    """Gain, and losses, against weight decay and against warm-up, at both learning rates."""
    first, last = ends(parted(runs)) or ("", "")
    rates = sorted(parted(runs).learning_rate.unique()) if len(runs) else []
    above = [_habit(habit_gains(runs, habit), habit, "gain", zero=0, head=words,
                    label=f"gain of {last}\nover {first} ({NATS})",
                    told=lambda habit=habit: _changes(runs, habit))
             for habit, words in HABITS.items()]
    below = [_habit(only(runs, habit), habit, "loss", label=f"validation loss\n({NATS})",
                    told=lambda: "", xlabel=words) for habit, words in HABITS.items()]
    inits = {f"{init}, rate {rate:g}": LOOKS.get(init, 0) + 6 * k
             for init, (k, rate) in product((first, last), enumerate(rates))}
    head = (f"Gain of {last} over {first} against two habits: by how much that at the least value "
            "exceeds that at the largest")
    return compose("fig-habits", head, [above, below], caption="The values are spaced evenly, not "
                   f"to scale. {PAIRS}", share=("col", "row"), legend=3, first=inits,
                   source=provenance(parted(runs), tier), size=(7.2, 6.0))


def _habit(table, habit: str, value: str, **more) -> Estimates:
    """Along the values of a habit, by learning rate, and for losses by gamma."""
    table = table.sort_values([habit, "learning_rate"], kind="stable")
    of = [value] * len(table) if value == "gain" else table.reindex(columns=["init"]).init
    hue = [f"{name}, rate {rate:g}" for name, rate in zip(of, table.learning_rate, strict=True)]
    table = table.assign(at=[f"{x:g}" for x in table[habit]], hue=hue)
    return Estimates(table=table, x="at", y=value, hue="hue", line=True, dots=False, **more)


def _changes(runs, habit: str) -> str:
    return ", ".join(f"{Estimate.of(change):+.3f} at the rate {rate:g}"
                     for rate, change in habit_changes(runs, habit).items())
