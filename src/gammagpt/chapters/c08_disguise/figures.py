"""Figures on the learning rate that small initialization stands for. Numbers: numbers.py.

Runs are rows of a frame (lab.frame, with roles).
"""

import math

import numpy as np
import pandas as pd

from ...analysis.frames import compared, of_role
from ...analysis.gains import over
from ...analysis.learning_rates import (
    LOST,
    best_lr,
    exponent,
    fast_side,
    losses_by_rate,
    lr_range,
    slope_of,
    slow_side,
)
from ...analysis.pictures import by_question
from ...ledger.estimate import QUESTIONS, Estimate, listed
from ...plots import (
    COLOURS,
    EDGE,
    GAMMA,
    GREY,
    LOSS,
    NATS,
    Bars,
    Estimates,
    Picture,
    compose,
    nothing,
    provenance,
)
from ...plots.style import HOLLOW
from .numbers import RELATIVE, part_gains, unresolved_parts


def exchange(series: dict, tier: str, anchor: str = "fig-exchange") -> Picture:
    """Best learning rate against the initial standard deviation, for each {title: runs}."""
    known = {title: losses_by_rate(runs) for title, runs in series.items()}
    known = {title: losses for title, losses in known.items()
             if np.isfinite(losses.of_mean(best_lr)).any()}
    if not known:
        return nothing(anchor)
    names = {title: f"{title}, b = {Estimate(*exponent(losses)):.2f}"
             for title, losses in known.items()}
    rows = [(names[title], *xy, math.nan, math.nan) for title, losses in known.items()
            for xy in zip(np.log2(losses.stds), losses.of_mean(best_lr), strict=True)]
    table = pd.DataFrame(rows, columns=["series", "x", "y", "low", "high"])

    def more(axes):
        for i, losses in enumerate(known.values()):
            _seeds_and_line(axes, losses, COLOURS[i])
        _guides(axes, next(iter(known.values())))
        _std_axis(axes, max(known.values(), key=len))

    told = [f"{name}: {_bests(losses)}" for name, losses in zip(names.values(), known.values(),
                                                                strict=True)]
    panel = Estimates(table=table, x="x", y="y", hue="series", few=True, apart=False, also=more,
                      label="best learning rate", xlabel="initial standard deviation (gamma)",
                      told=lambda: "; ".join(told))
    caption = ("Large: the vertex of a parabola through the lowest mean losses over tuning seeds; "
               "small: each seed alone. Dotted: exact exchange (rate proportional to the "
               "deviation) and none.")
    return compose(anchor, "Best learning rate against initial standard deviation", [panel],
                   caption=caption, size=(7.2, 4.4), source=provenance(
                       [of_role(runs, "tuning") for runs in series.values()], tier))


def _seeds_and_line(axes, losses, colour: str) -> None:
    """The best rate of each seed alone, and the line through those of the means."""
    x, y = np.log2(losses.stds), losses.of_mean(best_lr)
    for of_seed in losses.of_seeds(best_lr).T:
        axes.plot(x, of_seed, ".", color=colour, markersize=6, alpha=0.7)
    known = np.isfinite(y)
    if math.isfinite(b := slope_of(x, y)):
        ends = np.array([x[known].min(), x[known].max()])
        axes.plot(ends, y[known].mean() + b * (ends - x[known].mean()), color=colour)


def _guides(axes, losses) -> None:
    """Exact exchange (slope 1) and none (slope 0), through the middle of the points."""
    x, y = np.log2(losses.stds), losses.of_mean(best_lr)
    middle, ends = (x[np.isfinite(y)].mean(), np.nanmean(y)), np.array([x.min(), x.max()])
    for slope, words in ((1, "exact"), (0, "none")):
        height = middle[1] + slope * (ends - middle[0])
        axes.plot(ends, height, color=GREY, linestyle=":")
        axes.text(ends[1], height[1], f" {words}", color=GREY, va="center", fontsize=9)


def _std_axis(axes, losses) -> None:
    """Logarithms as the numbers that they stand for; deviations with their gammas."""
    ticks = [f"{std:.2g}\n({gamma:g})"
             for std, gamma in zip(losses.stds, losses.gammas, strict=True)]
    axes.set_xticks(np.log2(losses.stds), ticks, fontsize=9)
    axes.set_yticks(np.log2(losses.rates), [f"{rate:g}" for rate in losses.rates])


def _bests(losses) -> str:
    rates = zip(losses.gammas, 2 ** losses.of_mean(best_lr), strict=True)
    return listed(f"{rate:.2g} at gamma {gamma:g}" for gamma, rate in rates if rate > 0)


def slack(runs, tier: str, anchor: str = "fig-slack") -> Picture:
    """By how many octaves the rate may miss its optimum and lose at most LOST, by gamma."""
    losses = losses_by_rate(runs)
    best = losses.of_mean(best_lr)
    if not np.isfinite(best).any():
        return nothing(anchor)
    sides = {"too fast": (fast_side, 1), "too slow": (slow_side, -1)}
    table = pd.DataFrame({name: sign * losses.of_mean(side) for name, (side, sign) in
                          sides.items()}, index=[f"{gamma:g}" for gamma in losses.gammas])

    def seeds(axes):
        for i, (side, sign) in enumerate(sides.values()):
            for k, of_seed in enumerate(losses.of_seeds(side).T):
                shift = 0.12 * (k - (losses.losses.shape[1] - 1) / 2)
                axes.plot(np.arange(len(losses)) + shift, sign * of_seed, ".", color=COLOURS[i])
        _open_ends(axes, losses, best)
        axes.axhline(0, color=GREY, linewidth=1)

    looks = {name: (COLOURS[i], {"alpha": 0.5}) for i, name in enumerate(sides)}
    panel = Bars(table=table, colours=looks, stacked=True, also=seeds, xlabel=GAMMA,
                 label="octaves from the best rate", told=lambda: _widths(losses))
    caption = (f"Bars: by the mean over tuning seeds; dots: each seed alone; a triangle: the grid "
               f"ends before {LOST:g} nats are lost.")
    return compose(anchor, "By how many octaves the learning rate may miss its optimum and lose at "
                   f"most {LOST:g} nats, too slow and too fast together", [panel],
                   caption=caption, source=provenance(of_role(runs, "tuning"), tier))


def _widths(losses) -> str:
    widths = zip(losses.gammas, losses.of_mean(lr_range), strict=True)
    return listed(f"{width:.1f} at gamma {gamma:g}" if math.isfinite(width) else
                  f"not known at gamma {gamma:g}" for gamma, width in widths)


def _open_ends(axes, losses, best) -> None:
    """A triangle at the end of the grid where a side does not end before it."""
    ends = np.log2(losses.rates[[-1, 0]])
    for i, (side, end) in enumerate(zip((fast_side, slow_side), ends, strict=True)):
        for x in np.flatnonzero(np.isfinite(best) & np.isnan(losses.of_mean(side))):
            axes.plot(x, end - best[x], "^v"[i], color=COLOURS[i], mfc=HOLLOW, markersize=8)


def relative(runs, tier: str, usual: str = "gamma 0.5") -> Picture:
    """Final loss against gamma, plain and with relative steps, at the common and the best rate."""
    table = by_question(compared(runs))
    steps = {"plain steps": "", "relative steps": RELATIVE}
    kind = [list(steps)[bool(relative)] for relative in table.get("relative", ())]
    panels = [Estimates(table=rows, x="gamma", y="loss", hue="kind", line=True, title=question,
                        xlabel=GAMMA, label=LOSS)
              for question, rows in table.assign(kind=kind).groupby("question", sort=False)]
    told = "; ".join(f"{label}, {question}: {_gains(runs, role, usual, suffix)}"
                     for role, question in QUESTIONS.items() for label, suffix in steps.items())
    return compose("fig-relative", f"Final validation loss against gamma. Gains over {usual}",
                   [panels], told=told, source=provenance(compared(runs), tier), size=(7.2, 4.2),
                   caption="Mean over seeds with 95 % intervals; each dot is a run; "
                   f"{EDGE}.")


def _gains(runs, role: str, usual: str, suffix: str) -> str:
    table = over(runs, role, usual + suffix)
    chosen = [setting for setting in table if setting.endswith(RELATIVE) == bool(suffix)]
    words = (f"{s.removesuffix(suffix)} {Estimate.of(table[s]):+.3f}" for s in chosen)
    return listed(words) or "not run"


def parts(runs, tier: str, usual: float) -> Picture:
    """Gain over gamma `usual` everywhere, of one part drawn smaller, of all, and the sum."""
    tables = {role: part_gains(runs, role, usual) for role in QUESTIONS} if len(runs) else {}
    rows = []
    for role, table in tables.items():
        edge = unresolved_parts(runs, usual) if role == "tuned" else ()
        long = table.melt(value_name="gain", var_name="part")
        rows.append(long.assign(role=role, resolved=~long.part.isin(edge)))
    table = by_question(pd.concat(rows or [pd.DataFrame(columns=["role", "part", "gain"])]))
    names = sorted(table.part.unique(), key=lambda name: (name == "all", name == "sum"))
    words = {"all": "all together", "sum": "sum of the\nsingle gains"}
    panel = Estimates(table=table, x="part", y="gain", hue="question", zero=0, form="+.3f",
                      order=tuple(names), xlabel="part that is drawn smaller",
                      label=f"gain over gamma {usual:g} ({NATS})", also=lambda axes:
                      axes.set_xticks(range(len(names)), [words.get(n, n) for n in names]))
    caption = ("Means of differences of the same seed with 95 % intervals; each dot is a seed; "
               f"{EDGE}. The sum is computed, not trained.")
    return compose("fig-parts", f"Gain over gamma {usual:g} in validation loss by the part that is "
                   "drawn smaller", [panel], caption=caption, size=(7.2, 4.2),
                   source=provenance(compared(runs), tier))
