"""Pictures of runs that many chapters show. Runs are rows of a frame (lab.frame, with roles)."""

import numpy as np

from ..ledger.estimate import number
from ..plots import GAMMA, GREY, LOSS, Curves, Estimates, Picture, compose, points, provenance
from .frames import columns_of, compared, of_role

DOTS = "Each dot is a run; bars are 95 % intervals."
RING = {"marker": "o", "markersize": 14, "markerfacecolor": "none", "color": GREY}
RANGE = "Mean over seeds; the band is their range."


def loss_curves(runs, tier: str, anchor: str = "fig-curves") -> Picture:
    """Validation loss against tokens: the mean over seeds, and the range from least to most."""
    table = points(runs, loss_by_tokens)
    caption = f"{RANGE} On fewer windows of text than the final losses, so last digits differ."
    panel = Curves(table=table, label=LOSS, xlabel="training tokens (millions)", head="At the end")
    return compose(anchor, "Validation loss against training tokens", [panel], caption=caption,
                   source=provenance(runs, tier), size=(7.2, 4.4))


def loss_by_tokens(run):
    """(training tokens in millions, validation losses) of a row of a frame."""
    steps, losses = np.array(run.curve, dtype=float).reshape(-1, 2).T
    return steps * run.batch_size * run.block_size / 1e6, losses


def along_rates(rows: dict, tier: str, anchor: str, head: str) -> Picture:
    """Measures of the tuning runs against the learning rate: {label: {title: (runs, measure)}}, a
    row a label and a panel a title; ringed is the rate that the tuning chose, by the loss."""
    grid = [[_rates(runs, measure, title, label) for title, (runs, measure) in row.items()]
            for label, row in rows.items()]
    frames = [runs for row in rows.values() for runs, _ in row.values()]
    return compose(anchor, f"{head}, by initialization and learning rate. At the rate that the "
                   "tuning chose, and the range along the grid", grid,
                   share=("col", "row"), size=(7.2, 1.2 + 2.5 * len(grid)),
                   caption="Each dot is a run, on the tuning seeds; no mean where one has no such "
                           "number. Ringed: the rate that the tuning chose.",
                   source=provenance([of_role(runs, "tuning") for runs in frames], tier))


def _rates(runs, measure: str, title: str, label: str) -> Curves:
    table = columns_of(of_role(runs, "tuning"), ["setting", "seed", "learning_rate", measure])
    best = of_role(runs, "tuned").drop_duplicates("setting")
    means = tuning_plane(runs, measure) if len(best) else None
    chosen = {row.setting: (row.learning_rate, means.loc[row.setting, row.learning_rate])
              for row in best.itertuples()}

    def rings(axes):
        for place in chosen.values():
            axes.plot(*place, **RING)

    def words():
        return ", ".join(f"{setting} {number(value, '.2f')}{_range(means.loc[setting].dropna())}"
                         for setting, (_, value) in chosen.items())

    return Curves(table=table.dropna(), x="learning_rate", y=measure, spread="dots", whole=False,
                  title=title, head=f"{title}, {label}", label=label, xlabel="peak learning rate",
                  axes={"xscale": "log"}, also=rings, alt=words)


def _range(values) -> str:
    return f" ({values.min():.2f} to {values.max():.2f})" if len(values) else ""


def tuning_plane(runs, measure: str):
    """The mean of a measure on the tuning seeds, settings by rates; nan where a run lacks it."""
    tuning = columns_of(runs[runs.role == "tuning"], ["setting", "learning_rate", measure])
    means = tuning.groupby(["setting", "learning_rate"], sort=False)[measure]
    plane = means.agg(lambda values: values.mean(skipna=False)).unstack("learning_rate")
    return plane.reindex(index=tuning.setting.unique()).sort_index(axis=1)


def against_gamma(panels: dict, tier: str, label: str, anchor: str, line=None) -> Picture:
    """A measure of the compared runs against gamma, with 95 %.

    `panels` is {title: (runs, measure)}; `line` (value, words) is a level worth knowing. A setting
    with a run that has no such number gets dots and no mean.
    """
    tables = {title: _of_measure(*pair) for title, pair in panels.items()}
    missing = sum(int(table.value.isna().sum()) for table in tables.values())
    lacking = f" {missing} runs have no such number and no dot." if missing else ""
    cells = [Estimates(table=table, x="gamma", y="value", line=True, title=title, label=label,
                       xlabel=GAMMA, form=".2f", interval=False,
                       also=lambda axes, last=title == [*panels][-1]: _level(axes, line, last))
             for title, table in tables.items()]
    return compose(anchor, f"{label[0].upper()}{label[1:]}, against gamma", cells,
                   caption=f"{DOTS}{lacking}", size=(7.2, 4.2),
                   source=provenance([compared(runs) for runs, _ in panels.values()], tier))


def _of_measure(runs, measure: str):
    """gamma and value of the compared runs."""
    table = columns_of(compared(runs), ["gamma", "seed", measure])
    return table.rename(columns={measure: "value"})


def _level(axes, line, named: bool) -> None:
    if line:
        axes.axhline(line[0], color=GREY, linestyle=":")
        where = axes.get_yaxis_transform()
        axes.text(0.99, line[0], line[1] if named else "", transform=where, fontsize=9,
                  ha="right", va="bottom")
