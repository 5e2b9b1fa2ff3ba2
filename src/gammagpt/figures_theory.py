"""Figures of embeddings: label laws, first gradients, cosines, ranks.

What arXiv 2502.04375 derives stands beside what was trained. Every figure takes frames of runs and
draws the settings and tasks that are in them.
"""

import math
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap

from .data.anchors import AnchorConfig, keys, label_laws, parse_tasks, training_sequences
from .figures import COLOURS, LOOKS, MARKERS, Picture, looks, nothing, provenance, style
from .figures_parts import (
    GREY,
    SHADE,
    bands_along,
    dot,
    error_bars,
    kind_of,
    legend_below,
    listed,
)
from .geometry import full_matrix
from .measures import law_cosines
from .readings_bias import ROLES
from .readings_theory import (
    at_probes,
    blocks,
    by_distance,
    by_setting,
    contrast,
    contrasted,
    data_of,
    geometry_at,
    next_in_plane,
    one_each,
    probed,
    reasoning,
    references,
    trained,
)  # fmt: skip

LINES = {"label law": "-", "closed form": "--", "law less its task's mean": ":"}  # the theory's


def laws(data: AnchorConfig, seed: int) -> Picture:
    """P_s of the first, the middle and the last anchor of every task."""
    found, _ = label_laws(training_sequences(data, seed), data.vocab_size)
    parts = parse_tasks(data)

    def draw(figure):
        panels = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
        for axes, (name, among, _) in zip(panels, parts, strict=True):
            for i, anchor in enumerate(_few(among)):
                line = {"color": COLOURS[i], "linestyle": ("-", "--", "-.")[i]}
                axes.plot(100 * found[anchor], label=f"anchor {anchor}", **line)
            axes.axhline(100 / data.vocab_size, color=GREY, linestyle=":")
            axes.set(xlabel="label", title=name)
            axes.legend(fontsize=9)
        panels[0].set_ylabel("share of the sequences (%)")

    means = found @ np.arange(data.vocab_size)
    words = "; ".join(
        f"{name}: mean label {', '.join(f'{means[a]:.1f}' for a in _few(among))} for anchors "
        f"{', '.join(map(str, _few(among)))}"
        for name, among, _ in parts
    )
    alt = f"Label laws of three anchors of each task. {words}."
    caption = (
        "How often each label follows each anchor; dotted: one over the size of the vocabulary. "
        f"Counted in the training sequences of seed {seed}; no training."
    )
    return Picture("fig-laws", draw, alt, caption, (7.2, 3.4))


def gradient(runs, tier: str, fresh) -> Picture:
    """Cosine of predicted and measured gradient: against gamma at the start, then along training.

    `fresh` has a row a model that was just drawn: gamma, seed, and a column for each group.
    """
    runs = probed(runs)
    groups = [name for name in fresh if name not in ("gamma", "seed")]
    along = {
        setting: at_probes(group, lambda at: np.mean(list(at["gradient"].values())))
        for setting, group in by_setting(runs)
    }

    def draw(figure):
        first, later = figure.subplots(1, 2, sharey=True)
        for i, name in enumerate(groups):
            means = fresh.groupby("gamma")[name].mean()
            first.plot(means.index, means, label=name, markersize=5, **style(i))
        dots = [geometry_at(run)["start"][1]["gradient"].values() for run in runs.itertuples()]
        first.scatter(runs.gamma, [np.mean(list(d)) for d in dots], marker="x", color=GREY,
                      label="mean, of the records", zorder=3)  # fmt: skip
        first.set(xlabel="gamma", ylabel="cosine of predicted and measured", title="at the start")
        first.legend(fontsize=9)
        bands_along(later, along)
        later.set(xlabel="step", title="along training, mean of all")

    ends = fresh.groupby("gamma")[groups].mean().iloc[[0, -1]]
    words = " and ".join(
        f"{', '.join(f'{n} {row[n]:.3f}' for n in groups)} at gamma {gamma:g}"
        for gamma, row in ends.iterrows()
    )
    late = ", ".join(f"{s} {values[-1].mean():.2f}" for s, (_, values) in along.items())
    alt = (
        f"Cosine between the predicted and the measured gradient of an embedding. At the start: "
        f"{words}. At the end of training: {late or 'no run'}."
    )
    caption = (
        f"Lines at the left: models drawn just now, mean over seeds {listed(fresh.seed)}. "
        f"Right: mean over seeds; the band is their range. {provenance(runs, tier)}"
    )
    return Picture("fig-gradient", draw, alt, caption, (7.2, 3.8))


def cosine_matrices(runs, tier: str, anchor: str = "fig-cosines") -> Picture:
    """Cosines between the embeddings of all anchors, early and late, beside those of their laws."""
    shown = one_each(probed(runs))
    if not len(shown):
        return nothing(anchor)
    parts, seed = blocks(data_of(shown.iloc[0])), shown.iloc[0].seed
    law = law_cosines(data_of(shown.iloc[0]), seed)
    matrices = {
        (run.setting, f"{when}, step {step}"): full_matrix(found["cosine"])
        for run in shown.itertuples()
        for when, (step, found) in geometry_at(run).items() if when != "start"
    }  # fmt: skip

    def draw(figure):
        grid = figure.add_gridspec(len(shown), 3)
        panels = [figure.add_subplot(grid[:, 2])]
        image = _heat(panels[0], law, parts, "label laws")
        for i, ((setting, title), matrix) in enumerate(matrices.items()):
            panels.append(figure.add_subplot(grid[i // 2, i % 2]))
            _heat(panels[-1], matrix, parts, title)
            panels[-1].set_ylabel("" if i % 2 else setting, fontweight="bold")
        figure.colorbar(image, ax=panels, label="cosine", shrink=0.9)

    named = [(f"{setting} {when}", m) for (setting, when), m in matrices.items()]
    words = "; ".join(f"{n}: {_block_words(m, parts)}" for n, m in [*named, ("label laws", law)])
    alt = f"Cosines between the embeddings of all anchors, and between their laws. {words}."
    caption = (f"{kind_of(shown)}. One run each; the verdicts use all seeds. "
               f"{provenance(shown, tier)}")  # fmt: skip
    return Picture(anchor, draw, alt, caption, (7.2, 2.6 + 2.0 * (len(shown) - 1)))


def cosines_by_distance(studies: dict, tier: str) -> Picture:
    """Trained cosines between reasoning anchors against |i - j|, and what theory gives for them.

    `studies` maps the name of a kind of model to its frame: a row of panels each.
    """
    studies = {name: probed(runs) for name, runs in studies.items()}
    studies = {n: runs for n, runs in studies.items() if len(runs) and reasoning(data_of(runs))}
    if not studies:
        return nothing("fig-law")

    def draw(figure):
        grid = figure.subplots(len(studies), 2, sharex=True, sharey=True, squeeze=False)
        for row, (name, runs) in zip(grid, studies.items(), strict=True):
            theory = references(runs.iloc[0])
            for axes, when in zip(row, ("early", "late"), strict=True):
                for label, matrix in theory.items():
                    _profile_line(axes, [matrix], color=GREY, linestyle=LINES[label], label=label)
                pair = contrasted(runs)
                for setting, i in looks(setting for setting, _ in pair).items():
                    found = [trained(run, when) for run in dict(pair)[setting].itertuples()]
                    _profile_line(axes, found, label=setting, markersize=5, **style(i))
                axes.set_title(f"{name}, {when}")
            row[0].set_ylabel("cosine")
        for axes in grid[-1]:
            axes.set_xlabel("distance of the numbers")
        legend_below(figure, grid, columns=3)

    words = "; ".join(_farthest(name, runs) for name, runs in studies.items())
    alt = f"Cosine between reasoning anchors against the distance of their numbers. {words}."
    runs = pd.concat(list(studies.values()))
    runs = runs[runs.setting.isin({s for r in studies.values() for s in contrast(r)})]
    caption = (
        "Coloured: trained embeddings, mean over pairs and seeds; the band is the range of the "
        f"seeds. Grey: theory, before any training. {provenance(runs, tier)}"
    )
    return Picture("fig-law", draw, alt, caption, (7.2, 1.6 + 2.5 * len(studies)))


def cosines_along(studies: dict, tier: str) -> Picture:
    """Cosines between reasoning anchors against |i - j| at every probe: one run of each model.

    It is of the smaller initialization of the two that `contrast` sets side by side.
    """
    shown = {name: one_each(probed(runs))[-1:] for name, runs in studies.items()}
    shown = {n: runs for n, runs in shown.items() if len(runs) and reasoning(data_of(runs))}
    if not shown:
        return nothing("fig-law-along")
    along = {n: at_probes(runs, lambda at: full_matrix(at["cosine"])) for n, runs in shown.items()}

    def draw(figure):
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, (name, runs) in zip(panels, shown.items(), strict=True):
            for label, matrix in references(runs.iloc[0]).items():
                _profile_line(axes, [matrix], color=GREY, linestyle=LINES[label])
            block, (steps, values) = reasoning(data_of(runs))[1], along[name]
            for i, (step, matrix) in enumerate(zip(steps, values[:, 0], strict=True)):
                colour = plt.cm.viridis(0.85 - 0.55 * i / max(1, len(steps) - 1))
                look = {"color": colour, "marker": MARKERS[i % 6], "markersize": 5}
                _profile_line(axes, [matrix[block, block]], label=f"step {step}", **look)
            axes.set(xlabel="distance of the numbers", title=f"{name}, {runs.iloc[0].setting}")
            axes.legend(fontsize=8, ncols=3, loc="lower center")
        panels[0].set(ylabel="cosine", ylim=(-1.5, 1.1))  # room for the legend below

    words = "; ".join(
        f"{name}: " + ", ".join(f"{by_distance(m[block, block])[-1]:.2f} at step {step}"
                                for step, m in zip(steps, values[:, 0], strict=True))
        for name, (steps, values) in along.items()
        for _, block in [reasoning(data_of(shown[name]))]
    )  # fmt: skip
    alt = f"Cosine between the farthest reasoning anchors along training. {words}."
    caption = (
        "The later, the darker; grey as in the figure above. One run each. "
        f"{provenance(pd.concat(list(shown.values())), tier)}"
    )
    return Picture("fig-law-along", draw, alt, caption, (7.2, 3.8))


def number_plane(runs, tier: str, anchor: str = "fig-pca") -> Picture:
    """Embeddings at the end on their first two principal axes, coloured by number."""
    shown = one_each(probed(runs))
    if not len(shown):
        return nothing(anchor)
    data = data_of(shown.iloc[0])
    planes = {run.setting: geometry_at(run)["late"][1]["pca"] for run in shown.itertuples()}
    orders = {run.setting: getattr(run, "order_late", math.nan) for run in shown.itertuples()}

    def draw(figure):
        panels = figure.subplots(1, len(planes), squeeze=False)[0]
        for axes, (setting, pca) in zip(panels, planes.items(), strict=True):
            image = _plane(axes, pca, parse_tasks(data))
            first, second = (f"{share:.0%}" for share in pca["shares"][:2])
            axes.set(xlabel=f"first axis ({first} of variance)", ylabel=f"second axis ({second})")
            axes.set(title=setting, xticks=[], yticks=[])
        legend_below(figure, panels[0], columns=4)
        figure.colorbar(image, ax=panels, label="number (token)")

    words = "; ".join(
        f"{s}: the first axis holds {planes[s]['shares'][0]:.0%} of the variance, and its rank "
        f"correlation with the numbers of reasoning anchors and keys is {_or_none(orders[s])}; "
        f"{next_in_plane(planes[s], keys(data)):.0%} of the keys have a neighbour in number nearest"
        for s in planes
    )
    alt = f"Embeddings of anchors and keys on their first two principal axes. {words}."
    caption = (f"{kind_of(shown)}. One run each, at the end; the line joins the keys. "
               f"{provenance(shown, tier)}")  # fmt: skip
    return Picture(anchor, draw, alt, caption, (7.2, 4.2))


def ranks(runs, tier: str) -> Picture:
    """Stable rank of the embeddings in use, and the share of pairs alike, along training."""
    runs = probed(runs)
    if not len(runs):
        return nothing("fig-rank")
    names = {"stable_rank": "stable rank", "pairs_alike": "share of pairs with a cosine above 0.7"}
    found = {
        name: {s: at_probes(g, lambda at, n=name: at["used"][n]) for s, g in by_setting(runs)}
        for name in names
    }

    def draw(figure):
        panels = figure.subplots(1, 2)
        for axes, (name, label) in zip(panels, names.items(), strict=True):
            bands_along(axes, found[name], legend=axes is panels[1])
            axes.set(xlabel="step", ylabel=label)
        panels[0].set_ylim(0, None)
        panels[1].set_ylim(-0.02, 1)

    words = "; ".join(
        f"{s}: stable rank {values[0].mean():.1f} at the start and {values[-1].mean():.1f} at the "
        f"end, pairs alike at most {found['pairs_alike'][s][1].mean(1).max():.0%}"
        for s, (_, values) in found["stable_rank"].items()
    )
    alt = f"Rank and likeness of the embeddings of anchors and keys along training. {words}."
    caption = f"Mean over seeds; the band is their range. {provenance(runs, tier)}"
    return Picture("fig-rank", draw, alt, caption, (7.2, 3.8))


def by_gamma(judged, tier: str, anchor: str = "fig-every-gamma") -> Picture:
    """The measure of each claim for every gamma; `judged` holds pairs of a claim and its frame."""
    judged = [(c, runs) for c, runs in judged if c.metric in runs and len(_compared(c, runs))]
    if not judged:
        return nothing(anchor)

    columns = min(len(judged), 2 if len(judged) == 4 else 3)
    rows = math.ceil(len(judged) / columns)

    def draw(figure):
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, (claim, runs) in zip(panels, judged, strict=False):
            for i, (role, words) in enumerate(ROLES.items()):
                some = _compared(claim, runs, [role])
                groups = [(gamma, group[claim.metric]) for gamma, group in some.groupby("gamma")]
                look = {"markersize": 5, "linestyle": "-" if i == 0 else "none", "label": words}
                error_bars(axes, groups, **look, **dot(LOOKS[role], hollow=i == 1))
            _mark_margin(axes, claim)
            axes.set_title("\n".join(textwrap.wrap(claim.title, 72 // columns)), fontsize=9)
            axes.set(xlabel="gamma", ylabel=claim.unit)
        for axes in panels[len(judged) :]:
            axes.axis("off")
        legend_below(figure, panels)

    words = "; ".join(_every_gamma(claim, runs) for claim, runs in judged)
    alt = f"The measures of the claims for every gamma. {words}."
    every = pd.concat([_compared(claim, runs) for claim, runs in judged])
    caption = (
        "Mean over seeds with 95 % intervals; filled: at the common learning rate; hollow: each at "
        "its own best; a claim holds where the interval lies in the shade. "
        f"{provenance(every, tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 0.7 + 2.5 * rows))


# ---- parts of figures ----------------------------------------------------------------------------


def _compared(claim, runs, roles=tuple(ROLES)) -> pd.DataFrame:
    """The runs of some roles that have a claim's measure."""
    return runs[runs.role.isin(roles) & np.isfinite(runs[claim.metric])]


def _profile_line(axes, matrices, **look) -> None:
    profiles = np.array([by_distance(matrix) for matrix in matrices])
    distances = range(1, profiles.shape[1] + 1)
    axes.plot(distances, profiles.mean(0), **look)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.fill_between(distances, profiles.min(0), profiles.max(0), color=look["color"], alpha=0.3)


def _heat(axes, matrix, parts, title: str):
    """A matrix of cosines with the block of every task framed and named."""
    image = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
    middles = [(block.start + block.stop - 1) / 2 for _, _, block, _ in parts]
    names = [name for name, *_ in parts]
    axes.set_xticks(middles, names, fontsize=9)
    axes.set_yticks(middles, names, fontsize=9, rotation=90, va="center")
    axes.tick_params(length=0)
    axes.grid(False)
    axes.set_title(title, fontsize=10)
    for _, among, block, _ in parts:
        corner = (block.start - 0.5, block.start - 0.5)
        frame = {"fill": False, "linewidth": 1.2, "edgecolor": "black"}
        axes.add_patch(plt.Rectangle(corner, len(among), len(among), **frame))
    return image


def _plane(axes, pca: dict, tasks):
    """Points on a plane: keys, and the anchors of every task with a marker of their own."""
    plane, tokens = np.array(pca["plane"]), np.array(pca["tokens"])
    anchors = [token for _, among, _ in tasks for token in among]
    rest = [token for token in tokens if token not in anchors]
    groups = {"keys": rest} | {f"{name} anchors": list(among) for name, among, _ in tasks}
    seen = ListedColormap(plt.cm.viridis(np.linspace(0.25, 1, 256)))  # on a dark ground as well
    scale = {"cmap": seen, "vmin": tokens.min(), "vmax": tokens.max()}
    line = plane[np.isin(tokens, rest)]
    axes.plot(*line.T, color=GREY, linewidth=0.8, alpha=0.7, zorder=1)
    for i, (name, group) in enumerate(groups.items()):
        points = plane[np.isin(tokens, group)]
        look = {"marker": MARKERS[i % 6], "edgecolors": GREY, "linewidths": 0.6, "label": name}
        image = axes.scatter(*points.T, c=sorted(group), s=40, zorder=2, **scale, **look)
    return image


def _mark_margin(axes, claim) -> None:
    """Shade the side of the margin on which a claim about one setting holds; show all intervals."""
    margin = -claim.rule["margin"] if claim.turned else claim.rule["margin"]
    low, high = axes.get_ylim()
    room = 0.1 * (high - low)
    low, high = min(low, margin - room), max(high, margin + room)
    axes.axhspan(*((low, margin) if claim.turned else (margin, high)), **SHADE)
    axes.set_ylim(low, high)


# ---- words ---------------------------------------------------------------------------------------


def _block_words(matrix, parts) -> str:
    """'memory 0.87; reasoning 0.90 between neighbours, -0.08 between the farthest'."""
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


def _farthest(name: str, runs) -> str:
    """The cosines at the largest distance, trained and by theory."""
    theory = references(runs.iloc[0])
    words = [f"{label} {by_distance(matrix)[-1]:.2f}" for label, matrix in theory.items()]
    for setting, group in contrasted(runs):
        ends = [np.mean([by_distance(trained(run, when))[-1] for run in group.itertuples()])
                for when in ("early", "late")]  # fmt: skip
        words.append(f"{setting} {ends[0]:.2f} early and {ends[1]:.2f} late")
    return f"{name} at the largest distance: {', '.join(words)}"


def _every_gamma(claim, runs) -> str:
    means = _compared(claim, runs, ["common"]).groupby("gamma")[claim.metric].mean()
    return f"{claim.title}: " + ", ".join(f"{m:.2f} at {gamma:g}" for gamma, m in means.items())


def _few(among) -> list[int]:
    """The first, the middle and the last, as far as they differ."""
    return list(dict.fromkeys([among[0], among[len(among) // 2], among[-1]]))


def _or_none(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "none"
