"""Figures on what a practitioner would do tomorrow. Numbers: numbers.py.

Runs are rows of a frame (lab.frame, with roles).
"""

import numpy as np
import pandas as pd

from ...analysis.anchors import share_left
from ...analysis.frames import columns_of, compared
from ...analysis.pictures import by_question
from ...ledger.estimate import QUESTIONS
from ...plots import (
    COLOURS,
    EDGE,
    GAMMA,
    GREY,
    LOSS,
    NATS,
    Bars,
    Curves,
    Estimates,
    Picture,
    compose,
    nothing,
    points,
    provenance,
)
from .numbers import by_rate, factor_of_two, leads, pace

SIDES = {"half the rate": 0.5, "twice the rate": 1.0}  # name -> how strong its bars are


def rule(runs, tier: str, own: str, anchor: str = "fig-rule") -> Picture:
    """Final loss of each initialization, and by how much it is above that of `own`."""
    runs = by_question(compared(runs))
    names = tuple(sorted(runs.setting.unique(), key=lambda name: name != own))
    place = {name: i for i, name in enumerate(names)}
    runs = runs.sort_values("setting", key=lambda names: names.map(place), kind="stable")
    runs = by_question(runs)
    rows = {"x": "setting", "hue": "question", "upright": False, "order": names}
    left = Estimates(table=runs, y="loss", xlabel=LOSS, interval=False, head="Loss", **rows)
    right = Estimates(table=_leads(runs, own), y="lead", zero=0, form="+.3f", head=f"Above {own}",
                      xlabel=f"loss above that of\n{own}\n({NATS})", **rows)
    caption = (f"Right of the dotted line {own} ends lower. Means with 95 % intervals, on the "
               f"right of pairs of one seed; each dot is a run or a pair; {EDGE}.")
    return compose(anchor, "Final validation loss of each initialization", [[left, right]],
                   caption=caption, share=(False, "all"), source=provenance(runs, tier),
                   size=(7.2, 1.4 + 0.75 * len(names)))


def _leads(runs, own: str) -> pd.DataFrame:
    """role, setting, seed, lead, resolved: of both sides' best rates."""
    edge = {(run.role, run.setting) for run in runs.itertuples() if not run.resolved}
    tables = [leads(runs, role, own).melt(ignore_index=False, value_name="lead").assign(role=role)
              for role in QUESTIONS if len(leads(runs, role, own))]
    empty = pd.DataFrame(columns=["setting", "lead", "role"])
    table = pd.concat(tables or [empty]).reset_index()
    hollow = [{(role, setting), (role, own)} & edge
              for role, setting in zip(table.role, table.setting, strict=True)]
    return by_question(table.assign(resolved=[not sides for sides in hollow]))


def price(runs, tier: str, anchor: str = "fig-price") -> Picture:
    """Loss by learning rate of each initialization, and what half and twice its best rate costs."""
    names, losses = by_rate(runs)
    tuning = runs[runs.role == "tuning"] if len(runs) else runs
    if not names:
        return nothing(anchor)
    table = tuning[tuning.setting.isin(names)].assign(run=lambda rows: rows.seed)
    table = table.assign(loss=table.loss.where(np.isfinite(table.loss)))

    def rates(axes):
        axes.set_xscale("log", base=2)
        axes.set_xticks(losses.rates, [f"{rate:g}" for rate in losses.rates])
        axes.minorticks_off()

    lines = Curves(table=table, x="learning_rate", y="loss", spread="dots", whole=False, size=6,
                   also=rates, label=f"validation loss\n({NATS})", xlabel="learning rate",
                   told=lambda: "")
    looks = {side: (GREY, {"alpha": alpha}) for side, alpha in SIDES.items()}
    bars = Bars(table=factor_of_two(runs)[list(SIDES)], colours=looks, upright=False, form=".3f",
                xlabel=f"rise of the loss ({NATS})", missing="beyond the grid")
    longest = max(name.count(", ") + name.count(" with ") + 1 for name in names)
    heights = 3.6, 0.8 + 0.2 * longest * len(names)  # inches; names must not touch each other
    caption = ("Above: means over the tuning seeds; dots are runs, and a line has a gap where one "
               "diverged. Below: what the loss rises by if the learning rate is half or twice the "
               "best of the grid; without a bar the grid ends there.")
    head = ("Final validation loss against the learning rate. What half and twice the best rate of "
            f"the grid cost, in {NATS}")
    return compose(anchor, head, [[lines], [bars]], caption=caption, share=(False, False),
                   legend=3, ratios=heights, source=provenance(tuning, tier),
                   size=(7.2, sum(heights) + 0.3))


def ring(runs, tier: str, done: str, left: str, anchor: str = "fig-ring") -> Picture:
    """What is left of both tasks along training, and of the one when the other is half learned."""
    runs = by_question(compared(runs))
    common = runs[runs.role == "common"] if len(runs) else runs
    groups = common.sort_values("gamma").groupby("setting", sort=False) if len(common) else ()
    above = [_shares(group, setting, (done, left)) for setting, group in groups]
    measure = f"{left}_left_at_{done}"
    table = columns_of(runs, ["question", "gamma", "resolved", measure])
    below = Estimates(table=table, x="gamma", y=measure, hue="question", form=".2f",
                      interval=False, xlabel=GAMMA, axes={"ylim": (-0.02, 1.04)},
                      label=f"{left} left when\n{done} is half learned")
    caption = (f"Above, {QUESTIONS['common']}: mean over seeds, the band is their range; a task is "
               "half learned at one half. Below: each dot is a run, means with 95 % intervals; "
               f"{EDGE}.")
    head = f"Share of {left} that is left when {done} is half learned, by gamma"
    return compose(anchor, head, [above or [below], [below]][not above:], caption=caption,
                   first={done: 2, left: 1}, share=(False, False), source=provenance(runs, tier),
                   size=(7.2, 5.6))


def _shares(runs, setting: str, names) -> Curves:
    ended = runs[runs.status == "ok"]
    table = pd.concat([points(ended, lambda run, name=name: share_left(run, name).T, task=name)
                       for name in names])
    return Curves(table=table.assign(y=table.y.clip(upper=1)), hue="task", title=setting,
                  xlabel="step", label="share left", axes={"ylim": (0, 1.04)}, told=lambda: "",
                  also=lambda axes: axes.axhline(0.5, color=GREY, linestyle=":"))


def cost(runs, tier: str, anchor: str = "fig-cost") -> Picture:
    """Seconds of training for a million tokens, of every run, by initialization."""
    once = pace(runs)
    middle = once.groupby("setting", sort=False).pace.median() if len(once) else {}

    def medians(axes):
        for y, value in enumerate(middle):
            axes.plot(value, y, "|", color=COLOURS[1], markersize=18, markeredgewidth=2)
        axes.set_xscale("log", base=2)  # a machine that did other things is slower by a factor
        axes.xaxis.set_major_formatter("{x:g}")

    panel = Estimates(table=once, x="setting", y="pace", upright=False, means=False, also=medians,
                      xlabel="seconds of training for a million tokens", told=lambda: "; ".join(
                          f"{name} {value:.1f}" for name, value in middle.items()))
    return compose(anchor, "Seconds of training for a million tokens, the median of each "
                   "initialization", [panel], source=provenance(once, tier),
                   caption="Dots: runs, with whatever else the machine did then; bars: medians.",
                   size=(7.2, 1.2 + 0.45 * len(middle)))
