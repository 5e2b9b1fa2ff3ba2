"""Figures of embeddings: label laws, first gradients, cosines, ranks.

What arXiv 2502.04375 derives stands beside what was trained. Runs are rows of a frame.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap

from ...analysis.anchors import data_of
from ...analysis.frames import columns_of
from ...analysis.pictures import RANGE
from ...analysis.probed_figures import by_gamma
from ...analysis.probed_runs import (
    at_moment,
    blocks,
    by_distance,
    contrasted,
    cosines,
    geometries,
    next_in_plane,
    one_each,
    over_probes,
    probed,
    reasoning,
    references,
)
from ...data.anchors import AnchorConfig, keys, label_laws, parse_tasks, training_sequences
from ...lab.anchor_measures import law_cosines
from ...ledger.estimate import number
from ...plots import GREY, Curves, Matrix, Panel, Picture, compose, points, provenance
from ...plots.curves import highest, lowest
from ...plots.style import MARKERS, stroke

LINES = {"label law": "-", "closed form": "--", "law less its task's mean": ":"}  # the theory's
ONE = "One run each, of the lowest seed"
EARLY = {
    "memory_cosine_early": ("memory anchors alike", "mean cosine"),
    "law_match_early": ("reasoning anchors as their laws", "correlation"),
}
LATE = {
    "order_late": ("numbers in order along one axis", "rank correlation"),
    "closed_form_match_late": ("reasoning anchors as the closed form", "correlation"),
    "log_rank_late": ("rank of the embeddings", "ln of the stable rank"),
    "alike_late": ("pairs with a cosine above 0.7", "share of pairs"),
}


def early(models: dict, tier: str) -> Picture:
    """What label laws make of embeddings when a tenth of reasoning is learned, against gamma."""
    return by_gamma(models, EARLY, tier, "Early embeddings against gamma", "fig-early")


def late(models: dict, tier: str) -> Picture:
    """What is there at the end: a number line, the closed form, low rank, copies."""
    return by_gamma(models, LATE, tier, "Embeddings at the end against gamma", "fig-late")


def laws(data: AnchorConfig, seed: int) -> Picture:
    """P_s of the first, the middle and the last anchor of every task."""
    shares, _ = label_laws(training_sequences(data, seed), data.vocab_size)
    means = shares @ np.arange(data.vocab_size)

    def panel(name, among):
        few = list(dict.fromkeys([among[0], among[len(among) // 2], among[-1]]))
        table = pd.DataFrame([(f"anchor {anchor}", 0, label, 100 * shares[anchor][label])
                              for anchor in few for label in range(data.vocab_size)],
                             columns=["anchor", "seed", "x", "y"])
        words = ", ".join(f"{means[anchor]:.1f} for anchor {anchor}" for anchor in few)
        return Curves(table=table, hue="anchor", spread="none", look=stroke, title=name,
                      xlabel="label", label="share of the sequences (%)", alt=lambda: words,
                      also=_level_and_legend(100 / data.vocab_size))

    caption = ("How often each label follows each anchor; dotted: one over the size of the "
               f"vocabulary. Counted in the training sequences of seed {seed}; no training.")
    return compose("fig-laws", "Label laws of three anchors of each task. Mean labels",
                   [[panel(name, among) for name, among, _ in parse_tasks(data)]],
                   caption=caption, legend=None, size=(7.2, 3.4))


def _level_and_legend(level: float):
    def draw(axes):
        axes.axhline(level, color=GREY, linestyle=":")
        axes.legend(fontsize=9)

    return draw


def gradient(runs, tier: str, fresh) -> Picture:
    """Cosine of predicted and measured gradient: against gamma at the start, then along training.

    `fresh` has a row a model that was just drawn: gamma, seed, and a column for each group.
    """
    runs = probed(runs)
    groups = [name for name in fresh if name not in ("gamma", "seed")]
    table = fresh.melt(["gamma", "seed"], groups, "group", "y").rename(columns={"gamma": "x"})
    ends = fresh.groupby("gamma")[groups].mean().iloc[[0, -1]]
    start = " and ".join(f"{', '.join(f'{name} {row[name]:.3f}' for name in groups)} at gamma "
                         f"{gamma:g}" for gamma, row in ends.iterrows())

    def of_records(axes):
        starts = columns_of(runs, ["gamma", "gradient_start"]).to_numpy(float)
        axes.scatter(*starts.T, marker="x", color=GREY, zorder=3,
                     label="mean of all, of the records")

    first = Curves(table=table, hue="group", spread="none", title="at the start", xlabel="gamma",
                   label="cosine of predicted and measured", size=5, also=of_records,
                   alt=lambda: start)
    later = Curves(table=over_probes(runs, _mean_gradient), xscale="symlog", xlabel="step",
                   title="along training, mean of all", head="At the end of training", size=5)
    seeds = ", ".join(map(str, sorted(set(fresh.seed))))
    caption = f"Lines at the left: models drawn just now, mean over seeds {seeds}. Right: {RANGE}"
    return compose("fig-gradient", "Cosine between the predicted and the measured gradient of an "
                   "embedding", [[first, later]], caption=caption, share=(False, "all"), legend=4,
                   source=provenance(runs, tier), size=(7.2, 4.2))


def _mean_gradient(geometry: dict) -> float:
    return float(np.mean(list(geometry["gradient"].values())))


def cosine_matrices(models: dict, tier: str) -> Picture:
    """Early cosines between the embeddings of all anchors, beside those of their laws."""
    shown = {name: one_each(runs) for name, runs in models.items()}
    grid = [_matrices(name, runs) for name, runs in shown.items() if len(runs)]
    return compose("fig-cosines", "Cosines between the early embeddings of all anchors, and "
                   "between their laws", grid or [[]], caption=f"{ONE}; the verdicts use all.",
                   bar="cosine", legend=None, source=provenance([*shown.values()], tier),
                   size=(7.2, 0.6 + 2.3 * max(1, len(grid))))


def _matrices(model: str, runs) -> list[Matrix]:
    """A row of the figure: a panel for each run that got there, and the laws of the first."""
    parts = blocks(data_of(runs.iloc[0]))

    def panel(values, title, head, label=""):
        return Matrix(values=values, title=title, head=head, label=label,
                      blocks={name: block for name, _, block, _ in parts},
                      tell=lambda values: _block_words(values, parts))

    row = []
    for run in runs[runs.begins.notna()].itertuples():
        row.append(panel(at_moment(run, "early", cosines), f"{run.setting}, step {run.begins:.0f}",
                         f"{model}, {run.setting} at step {run.begins:.0f}", model * (not row)))
    laws = law_cosines(data_of(runs.iloc[0]), runs.iloc[0].seed)
    return [*row, panel(laws, "label laws", "label laws")]


def _block_words(matrix, parts) -> str:
    """'memory 0.87 in the mean, reasoning 0.90 between neighbours and -0.08 ...'."""
    words = []
    for name, among, block, law in parts:
        profile = by_distance(matrix[block, block])
        if len(among) < 2:
            words.append(f"{name} has one anchor")
        elif law == "sum":
            near, far = f"{profile[0]:.2f}", f"{profile[-1]:.2f}"
            words.append(f"{name} {near} between neighbours and {far} between the farthest")
        else:
            upper = np.triu_indices(len(among), 1)
            words.append(f"{name} {matrix[block, block][upper].mean():.2f} in the mean")
    return ", ".join(words)


def cosines_by_distance(models: dict, tier: str) -> Picture:
    """Trained cosines between reasoning anchors against |i - j|, and what theory gives for them."""
    shown = {name: contrasted(runs) for name, runs in models.items()}
    grid = [[_profiles(name, runs, when) for when in ("early", "late")]
            for name, runs in shown.items() if len(runs) and reasoning(data_of(runs))]
    caption = ("Coloured: trained embeddings, mean over pairs and seeds; the band is the range of "
               "the seeds. Grey: theory, before any training.")
    return compose("fig-law", "Cosine between reasoning anchors against the distance of their "
                   "numbers. At the largest distance", grid or [[]], caption=caption, legend=3,
                   source=provenance([*shown.values()], tier),
                   size=(7.2, 1.6 + 2.3 * max(1, len(grid))))


def _profiles(name: str, runs, when: str) -> Curves:
    theory = references(runs.iloc[0])
    ends = [f"{label} {by_distance(matrix)[-1]:.2f}" for label, matrix in theory.items()]
    before = ", ".join(ends) + ", " if when == "early" else ""
    _, block = reasoning(data_of(runs))
    table = points(runs, lambda run: _profile(
        at_moment(run, when, lambda geometry: cosines(geometry, block)))).dropna(subset="y")
    words = Curves(table=table).describe()
    return Curves(table=table, title=f"{name}, {when}", label="cosine", size=5,
                  xlabel="distance of the numbers", also=lambda axes: _theory(axes, theory),
                  alt=lambda: before + words)


def _profile(matrix):
    profile = by_distance(matrix)
    return range(1, len(profile) + 1), profile


def _theory(axes, theory: dict) -> None:
    for label, matrix in theory.items():
        axes.plot(*_profile(matrix), color=GREY, linestyle=LINES[label], label=label)
    axes.xaxis.get_major_locator().set_params(integer=True)


def number_plane(models: dict, tier: str) -> Picture:
    """Embeddings at the end on their first two principal axes, coloured by number."""
    shown = {name: one_each(runs) for name, runs in models.items()}
    grid = [[_Plane.of(name, run) for run in runs.itertuples()]
            for name, runs in shown.items() if len(runs)]
    return compose("fig-pca", "Embeddings of anchors and keys on their first two principal axes",
                   grid or [[]], caption=f"{ONE}, at the end; the line joins the keys.",
                   share=(False, False), legend=4, bar="number (token)",
                   source=provenance([*shown.values()], tier),
                   size=(7.2, 1 + 2.6 * max(1, len(grid))))


class _Plane(Panel):
    """Points on a plane: keys, and the anchors of every task with a marker of their own."""

    @classmethod
    def of(cls, model: str, run) -> "_Plane":
        pca, data = geometries(run)[1][-1]["pca"], data_of(run)
        first, second = (f"{share:.0%}" for share in pca["shares"][:2])
        table = pd.DataFrame(np.array(pca["plane"])[:, :2], columns=["x", "y"])
        groups = {token: f"{name} anchors" for name, among, _ in parse_tasks(data)
                  for token in among}
        table["token"] = np.array(pca["tokens"])
        words = (f"the first axis holds {first} of the variance, and its rank correlation with "
                 "the numbers of reasoning anchors and keys is "
                 f"{number(getattr(run, 'order_late', math.nan), '.2f')}; "
                 f"{next_in_plane(pca, keys(data)):.0%} of the keys have a neighbour in number "
                 "nearest")
        return cls(table=table.assign(group=table.token.map(groups).fillna("keys")),
                   title=f"{model}, {run.setting}", xlabel=f"first axis ({first} of variance)",
                   label=f"second axis ({second})", axes={"xticks": [], "yticks": []},
                   alt=lambda: words)

    def draw(self, axes, numbers: dict):
        seen = ListedColormap(plt.cm.viridis(np.linspace(0.25, 1, 256)))  # on a dark ground as well
        tokens = self.table.token
        scale = {"cmap": seen, "vmin": tokens.min(), "vmax": tokens.max()}
        line = self.table[self.table.group == "keys"]
        axes.plot(line.x, line.y, color=GREY, linewidth=0.8, alpha=0.7, zorder=1)
        groups = sorted(self.table.groupby("group", sort=False), key=lambda g: g[0] != "keys")
        for i, (name, rows) in enumerate(groups):
            look = {"marker": MARKERS[i % 6], "edgecolors": GREY, "linewidths": 0.6, "label": name}
            image = axes.scatter(rows.x, rows.y, c=rows.token, s=40, zorder=2, **scale, **look)
        return image


def ranks(runs, tier: str) -> Picture:
    """Stable rank of the embeddings in use, and the share of pairs alike, along training."""
    runs = probed(runs)
    rank, alike = (over_probes(runs, lambda at, name=name: at["used"][name])
                   for name in ("stable_rank", "pairs_alike"))
    left = Curves(table=rank, xscale="symlog", xlabel="step", label="stable rank", size=5,
                  axes={"ylim": (0, None)}, head="Stable rank", form=".1f", tell=lowest)
    right = Curves(table=alike, xscale="symlog", xlabel="step", size=5, form=".0%", tell=highest,
                   label="share of pairs with a cosine above 0.7", axes={"ylim": (-0.02, 1)},
                   head="Share of pairs alike")
    return compose("fig-rank", "Rank and likeness of the embeddings of anchors and keys along "
                   "training", [[left, right]], caption=RANGE, share=(False, False),
                   source=provenance(runs, tier), size=(7.2, 4.2))
