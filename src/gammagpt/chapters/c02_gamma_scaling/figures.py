"""Figures of chapter 2: the loss against gamma, and the gain at every common learning rate.

Runs are rows of a frame (lab.frame, with roles).
"""

import numpy as np
import pandas as pd

from ...analysis.frames import compared
from ...analysis.pictures import by_question
from ...gpt.init import implied_gamma
from ...ledger.estimate import Estimate
from ...plots import GAMMA, GREY, LOSS, NATS, Curves, Estimates, Picture, compose, provenance
from ...plots.style import HOLLOW, dot, looks


def loss_against_gamma(runs, tier: str) -> Picture:
    """Final loss against gamma at one learning rate and at each one's best, with 95 %."""
    table = by_question(compared(runs))
    gammas = [_gamma(run) for run in table.itertuples()]
    table = table.assign(gamma=pd.Series(gammas, table.index, dtype=float))
    fixed = table[~table.setting.astype(str).str.startswith("gamma")] if len(table) else table
    panel = Estimates(
        table=table.drop(fixed.index), x="gamma", y="loss", hue="question", line=True, label=LOSS,
        xlabel=GAMMA, also=lambda axes: _fixed_stds(axes, fixed),
        told=Estimates(table=table, x="setting", y="loss", hue="question").describe,
    )
    caption = ("Mean over seeds with 95 % intervals; each dot is a run; hollow: fixed stds, at the "
               "gamma that they amount to at this width.")
    return compose("fig-loss-against-gamma", "Final validation loss against gamma", [panel],
                   caption=caption, source=provenance(compared(runs), tier), size=(7.2, 4.6))


def _gamma(run) -> float:
    return implied_gamma(run.std, run.width) if pd.isna(run.gamma) else run.gamma


def _fixed_stds(axes, fixed) -> None:
    """Hollow triangles, a marker a setting and the colour of its question, side by side."""
    for side, (question, rows) in enumerate(fixed.groupby("question", sort=False)):
        for j, (setting, group) in enumerate(rows.groupby("setting", sort=False)):
            estimate = Estimate.of(group.loss)
            look = dot(looks([question])[question]) | {"mfc": HOLLOW, "marker": "^v"[j % 2]}
            place = group.gamma.iloc[0] + 0.012 * (j - 1.5 * side + 0.5)
            axes.errorbar([place], [estimate.mean], yerr=estimate.error, capsize=3, **look)
            if side == 0:  # in the legend, in no question's colour
                axes.plot([], [], **look | {"color": GREY}, label=setting)


def gain_by_rate(runs, tier: str, baseline: str = "gamma 0.5") -> Picture:
    """The answer at every common learning rate: loss of the baseline minus that of each gamma."""
    tuning = runs[(runs.role == "tuning") & runs.setting.str.startswith("gamma")]
    losses = tuning.pivot_table(index="learning_rate", columns="setting", values="loss", sort=False)
    gains = losses.sort_index().rsub(losses[baseline], axis=0).drop(columns=baseline)
    gains = gains.where(np.isfinite(gains))  # no number where a run diverged
    table = gains.melt(ignore_index=False, value_name="y").reset_index().assign(seed=0)
    panel = Curves(
        table=table, x="learning_rate", spread="none", whole=False, size=6,
        label=f"gain over {baseline} ({NATS})", xlabel="common learning rate",
        also=lambda axes: _rate_axis(axes, gains.index), told=lambda: _mean_gains(gains),
    )
    return compose("fig-gain-by-rate", f"Gain over {baseline} at each common learning rate",
                   [panel], caption=f"Above the line a setting ends lower than {baseline}.",
                   source=provenance(tuning, tier), legend=4, size=(7.2, 4.4))


def _rate_axis(axes, rates) -> None:
    axes.axhline(0, color=GREY, linestyle=":")
    axes.set_xscale("log", base=2)
    axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axes.minorticks_off()


def _mean_gains(gains) -> str:
    """At the least and at the largest rate that was not lost to divergence."""
    means = gains.mean(axis=1).dropna()
    ends = [f"{means[rate]:+.2f} nats at {rate:g}" for rate in means.index[[0, -1]]] \
        if len(means) else ["none, because the runs diverged"]
    return f"the mean over the other gammas {' and '.join(ends)}"
