"""The figure of chapter 3 that is its own: orders of tasks against the learning rate.

Runs are rows of a frame (lab.frame, with roles). The others: analysis/anchor_figures.py.
"""

from ...analysis.frames import columns_of, of_role
from ...analysis.pictures import tuning_plane
from ...ledger.estimate import number
from ...plots import GREY, Curves, Picture, compose, provenance

RING = {"marker": "o", "markersize": 14, "markerfacecolor": "none", "color": GREY}


def along_rates(frames: dict, measures: dict, tier: str) -> Picture:
    """Measures {column: words} of the tuning runs, a row each; models {title: runs}, a column."""
    grid = [[_panel(runs, measure, title, label) for title, runs in frames.items()]
            for measure, label in measures.items()]
    return compose("fig-first-rates", "Which of two is learned first, by initialization and "
                   "learning rate. At the rate that the tuning chose, and the range along the grid",
                   grid, share=("col", "row"), size=(7.2, 6.2),
                   caption="Each dot is a run, on the tuning seeds; no mean where one has no such "
                           "number. Ringed: the rate that the tuning chose.",
                   source=provenance([of_role(runs, "tuning") for runs in frames.values()], tier))


def _panel(runs, measure: str, title: str, label: str) -> Curves:
    table = columns_of(of_role(runs, "tuning"), ["setting", "seed", "learning_rate", measure])
    best = of_role(runs, "tuned").drop_duplicates("setting")
    means = tuning_plane(runs, measure) if len(best) else None
    chosen = {row.setting: (row.learning_rate, means.loc[row.setting, row.learning_rate])
              for row in best.itertuples()}

    def rings(axes):
        for place in chosen.values():
            axes.plot(*place, **RING)

    def told():
        return ", ".join(f"{setting} {number(value, '.2f')}{_range(means.loc[setting].dropna())}"
                         for setting, (_, value) in chosen.items())

    return Curves(table=table.dropna(), x="learning_rate", y=measure, spread="dots", whole=False,
                  title=title, head=f"{title}, {label}", label=label, xlabel="peak learning rate",
                  axes={"xscale": "log"}, also=rings, told=told)


def _range(values) -> str:
    return f" ({values.min():.2f} to {values.max():.2f})" if len(values) else ""
