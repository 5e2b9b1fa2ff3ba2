"""Figures of the theory chapters: label laws, first gradients, embeddings and attention.

What arXiv 2502.04375 derives stands beside what was trained. Every figure takes frames of runs and
draws the settings and tasks that are in them; what a Picture is, figures.py says.
"""

import math
import textwrap
from dataclasses import fields, replace
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from .claims import judge, paired_interval
from .data.anchors import AnchorConfig, keys, label_laws, parse_tasks, training_sequences
from .figures import COLOURS, MARKERS, Picture, provenance, style
from .geometry import full_matrix
from .measures import EARLY, chance_losses, closed_form_cosines, correlation, law_cosines
from .pages import SIGNS

GREY = COLOURS[5]
LINES = {"label law": "-", "closed form": "--", "law less its task's mean": ":"}  # the theory's
DISTANCE = "largest |A$_{ij}$ - 1/i|"
SHADE = {"color": GREY, "alpha": 0.15, "linewidth": 0}


# ---- what theory says --------------------------------------------------------------------------


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


@cache
def centred_law_cosines(data: AnchorConfig, seed: int) -> np.ndarray:
    """Cosines between the laws of the reasoning anchors, less the mean law of all of these."""
    among, _ = reasoning(data)
    found, _ = label_laws(training_sequences(data, seed), data.vocab_size)
    rows = found[list(among)] - found[list(among)].mean(0)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return rows @ rows.T


def references(run) -> dict[str, np.ndarray]:
    """The cosines between reasoning anchors that theory gives for a run, under the names of LINES.

    The third is ours: what is left of a law for who knows already which labels its task has.
    """
    data = data_of(run)
    among, block = reasoning(data)
    matrices = (
        law_cosines(data, run.seed)[block, block],
        closed_form_cosines(among, run.width),
        centred_law_cosines(data, run.seed),
    )
    return dict(zip(LINES, matrices, strict=True))


# ---- gradients ---------------------------------------------------------------------------------


def gradient(runs, tier: str, fresh) -> Picture:
    """Cosine of predicted and measured gradient: against gamma at the start, then along training.

    `fresh` has a row a model that was just drawn: gamma, seed, and a column for each group.
    """
    runs = probed(runs)
    groups = [name for name in fresh if name not in ("gamma", "seed")]
    along = {s: _along(g, lambda at: np.mean(list(at["gradient"].values()))) for s, g in _by(runs)}

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
        _lines(later, along)
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
        f"Lines at the left: models drawn just now, mean over seeds {_listed(fresh.seed)}. "
        f"Right: mean over seeds; the band is their range. {provenance(runs, tier)}"
    )
    return Picture("fig-gradient", draw, alt, caption, (7.2, 3.8))


# ---- embeddings --------------------------------------------------------------------------------


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
    caption = f"One run each; the verdicts use all seeds. {provenance(shown, tier)}"
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
                for i, (setting, group) in enumerate(_contrasted(runs)):
                    found = [_trained(run, when) for run in group.itertuples()]
                    _profile_line(axes, found, label=setting, markersize=5, **style(i))
                axes.set_title(f"{name}, {when}")
            row[0].set_ylabel("cosine")
        for axes in grid[-1]:
            axes.set_xlabel("distance of the numbers")
        handles = {label: h for h, label in zip(*_legend(grid), strict=True)}
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=3, fontsize=9)

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
    along = {n: _along(runs, lambda at: full_matrix(at["cosine"])) for n, runs in shown.items()}

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
        f"{name}: " + ", ".join(f"{_profile(m[block, block])[-1]:.2f} at step {step}"
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


def law_matches(runs) -> pd.DataFrame:
    """How trained cosines of reasoning anchors agree with each theory, and with a straight line.

    A row for each setting, moment and reference, means over seeds: the correlation over all pairs,
    which is blind to shift and stretch, and the mean gap, which is not (the line has none).
    """
    rows = []
    for run in probed(runs).itertuples():
        numbers = np.array(reasoning(data_of(run))[0], dtype=float)
        line = {"minus the distance": -np.abs(np.subtract.outer(numbers, numbers))}
        upper = np.triu_indices(len(numbers), 1)
        for when in ("early", "late"):
            mine = _trained(run, when)[upper]
            for name, matrix in (references(run) | line).items():
                gap = np.abs(mine - matrix[upper]).mean() if name in LINES else math.nan
                match = correlation(mine, matrix[upper]) if len(mine) > 1 else math.nan
                rows.append((run.setting, when, name, match, gap))
    columns = ["setting", "when", "compared with", "correlation", "mean gap"]
    found = pd.DataFrame(rows, columns=columns)
    return found.groupby(columns[:3], sort=False, as_index=False).mean()


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
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9)
        figure.colorbar(image, ax=panels, label="number (token)")

    words = "; ".join(
        f"{s}: the first axis holds {planes[s]['shares'][0]:.0%} of the variance, and its rank "
        f"correlation with the numbers of reasoning anchors and keys is {_or_none(orders[s])}; "
        f"{next_in_plane(planes[s], keys(data)):.0%} of the keys have a neighbour in number nearest"
        for s in planes
    )
    alt = f"Embeddings of anchors and keys on their first two principal axes. {words}."
    caption = f"One run each, at the end; the line joins the keys. {provenance(shown, tier)}"
    return Picture(anchor, draw, alt, caption, (7.2, 4.2))


def next_in_plane(pca: dict, among) -> float:
    """The share of some tokens whose nearest other in the plane is a neighbour in number.

    A line that is bent, or wound up, keeps this high where the order along one axis is lost.
    """
    tokens = np.array(pca["tokens"])
    tokens, plane = tokens[np.isin(tokens, among)], np.array(pca["plane"])[np.isin(tokens, among)]
    apart = np.linalg.norm(plane[:, None] - plane[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    return float((np.abs(tokens[apart.argmin(1)] - tokens) == 1).mean())


def ranks(runs, tier: str) -> Picture:
    """Stable rank of the embeddings in use, and the share of pairs alike, along training."""
    runs = probed(runs)
    if not len(runs):
        return nothing("fig-rank")
    names = {"stable_rank": "stable rank", "pairs_alike": "share of pairs with a cosine above 0.7"}
    found = {n: {s: _along(g, lambda at, n=n: at["used"][n]) for s, g in _by(runs)} for n in names}

    def draw(figure):
        panels = figure.subplots(1, 2)
        for axes, (name, label) in zip(panels, names.items(), strict=True):
            _lines(axes, found[name], legend=axes is panels[1])
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


# ---- attention ---------------------------------------------------------------------------------


def scores(fresh) -> Picture:
    """How large scores are before the softmax, and how far attention then is from an average.

    `fresh` has a row a model that was just drawn: gamma, seed, score_std, formula, distance.
    """
    means = fresh.groupby("gamma")[["score_std", "formula", "distance"]].mean()

    def draw(figure):
        first, far = figure.subplots(1, 2)
        first.plot(means.index, means.score_std, label="measured", **style(0))
        first.plot(means.index, means.formula, color=GREY, linestyle="--", label="formula")
        first.set(xlabel="gamma", ylabel="std of the scores", yscale="log")
        first.legend(fontsize=9)
        far.plot(means.index, means.distance, **style(0))
        far.set(xlabel="gamma", ylabel=DISTANCE, yscale="log")

    words = " and ".join(
        f"{row.score_std:.3f} (by the formula {row.formula:.3f}) at gamma {gamma:g}, where the "
        f"largest difference from the causal average is {row.distance:.3f}"
        for gamma, row in means.iloc[[0, -1]].iterrows()
    )
    alt = f"Standard deviation of the scores of the first layer before any training: {words}."
    caption = f"Models drawn just now, mean over seeds {_listed(fresh.seed)}; no training."
    return Picture("fig-scores", draw, alt, caption, (7.2, 3.4))


def averaging(runs, tier: str) -> Picture:
    """The largest |A_ij - 1/i| of the first layer, against gamma and along training."""
    runs = probed(runs)
    if not len(runs):
        return nothing("fig-average")
    along = {s: _along(g, lambda at: at["average_distance"]) for s, g in _by(runs)}
    moments = {"at the start": "average_distance_start", "early": "average_distance_early"}

    def draw(figure):
        first, later = figure.subplots(1, 2, sharey=True)
        for i, (when, measure) in enumerate(moments.items()):
            groups = [(gamma, group[measure]) for gamma, group in runs.groupby("gamma")]
            _errorbars(first, groups, label=when, **_dot(i))
        first.set(xlabel="gamma", ylabel=DISTANCE, ylim=(0, 1))
        first.legend(fontsize=9)
        _lines(later, along)
        later.set(xlabel="step")

    means = runs.groupby("setting", sort=False)[list(moments.values())].mean()
    words = "; ".join(
        f"{s}: {start:.2f} at the start, {early:.2f} early, {along[s][1][-1].mean():.2f} at the end"
        for s, start, early in means.itertuples()
    )
    alt = f"Largest difference between the first layer's attention and the causal average. {words}."
    caption = (
        "Left: mean over seeds with 95 % intervals. Right: mean over seeds; the band is their "
        f"range. {provenance(runs, tier)}"
    )
    return Picture("fig-average", draw, alt, caption, (7.2, 3.8))


def first_maps(runs, tier: str) -> Picture:
    """The mean map of the first layer's attention, at the start, early and late."""
    shown = one_each(probed(runs))
    if not len(shown):
        return nothing("fig-maps")
    maps = {(run.setting, when): np.array(found["first"]) for run in shown.itertuples()
            for when, (_, found) in geometry_at(run).items()}  # fmt: skip
    average = np.tril(np.ones_like(next(iter(maps.values()))))
    average = average / average.sum(1, keepdims=True)

    def draw(figure):
        grid = figure.add_gridspec(len(shown), 4)
        panels = [figure.add_subplot(grid[:, 0])]
        _map(panels[0], average, "causal average")
        panels[0].set(ylabel="token that looks", xlabel="token looked at")
        for i, ((setting, when), found) in enumerate(maps.items()):
            panels.append(figure.add_subplot(grid[i // 3, 1 + i % 3]))
            image = _map(panels[-1], found, when if i < 3 else "")
            panels[-1].set_ylabel("" if i % 3 else setting, fontweight="bold")
        figure.colorbar(image, ax=panels, label="attention weight", shrink=0.8)

    words = "; ".join(
        f"{setting} {when} {np.abs(m - average).max():.2f}" for (setting, when), m in maps.items()
    )
    alt = f"Mean attention of the first layer. Largest difference from the causal average: {words}."
    caption = (
        "Mean over sequences of all tasks, so each single map is further from the average than "
        f"this. One run each. {provenance(shown, tier)}"
    )
    return Picture("fig-maps", draw, alt, caption, (7.2, 1.1 + 1.15 * len(shown)))


def value_direction(runs, tier: str) -> Picture:
    """The share of W_V's first direction, and its |cosine| with the anchors of each task."""
    runs = probed(runs)
    if not len(runs):
        return nothing("fig-value")
    parts, width = blocks(data_of(runs)), runs.iloc[0].width
    share = {s: _along(g, lambda at: at["value"]["share"]) for s, g in _by(runs)}
    aligned = {s: _along(g, lambda at: at["value"]["alignment"]) for s, g in _contrasted(runs)}
    early = {s: _early_alignments(g).mean(0) for s, g in _contrasted(runs)}
    small, (steps, values) = list(aligned.items())[-1]
    by_task = {n: (steps, values[:, :, block].mean(2)) for n, _, block, _ in parts}
    chance = math.sqrt(2 / (math.pi * width))  # mean |cosine| with a random direction

    def draw(figure):
        grid = figure.add_gridspec(2, 2)
        panels = [figure.add_subplot(place) for place in (grid[0, 0], grid[0, 1], grid[1, :])]
        _lines(panels[0], share)
        panels[0].set(xlabel="step", ylabel="share of the first direction")
        _lines(panels[1], by_task)
        panels[1].set(xlabel="step", ylabel="mean |cosine|", title=f"{small}, by task")
        for setting, cosines in early.items():
            look = style(list(share).index(setting)) | {"linestyle": "none"}
            panels[2].plot(cosines, label=setting, **look)
        _mark_blocks(panels[2], parts)
        panels[2].set(ylabel="|cosine|", title="early, each anchor")
        for axes in panels:
            axes.set_ylim(0, 1)
        for axes in panels[1:]:
            axes.axhline(chance, color=GREY, linestyle=":", label="by chance")
            axes.legend(fontsize=9)

    words = "; ".join(
        f"{s}: share {share[s][1][0].mean():.2f} at the start and {share[s][1][-1].mean():.2f} at "
        "the end, early |cosine| "
        + ", ".join(f"{cosines[block].mean():.2f} with {n}" for n, _, block, _ in parts)
        for s, cosines in early.items()
    )
    alt = f"The dominant direction of the first layer's values. {words}. By chance {chance:.2f}."
    caption = f"Mean over seeds; the band is their range. {provenance(runs, tier)}"
    return Picture("fig-value", draw, alt, caption, (7.2, 6.0))


def attention_from_last(runs, tier: str) -> Picture:
    """What the last token looks at in each layer, at the end, against equal attention for all."""
    runs = probed(runs)
    if not len(runs):
        return nothing("fig-key")
    shares = {s: _shares_from_last(g) for s, g in _contrasted(runs)}
    length, anchors = runs.iloc[0].length, runs.iloc[0].anchors
    equal = {"key": 1 / length, "anchors": anchors / length}

    def draw(figure):
        panels = figure.subplots(1, len(shares), sharey=True, squeeze=False)[0]
        for axes, (setting, table) in zip(panels, shares.items(), strict=True):
            _stack(axes, table, equal)
            axes.set(title=setting, ylim=(0, 1))
        panels[0].set_ylabel("share of the last token's attention")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9)

    words = "; ".join(
        f"{s}: " + ", ".join(f"{row['key']:.2f} in {name}" for name, row in table.iterrows())
        for s, table in shares.items()
    )
    alt = (
        f"Share of the last token's attention that the key gets at the end. {words}. "
        f"Equal attention would give it {equal['key']:.2f}."
    ).replace("\n", ", ")
    runs = runs[runs.setting.isin(list(shares))]
    caption = f"Mean over sequences and seeds. {provenance(runs, tier)}"
    return Picture("fig-key", draw, alt, caption, (7.2, 4.2))


# ---- is it special to small initialization? ----------------------------------------------------


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
            for i, role in enumerate(("common", "tuned")):
                some = _compared(claim, runs, [role])
                groups = [(gamma, group[claim.metric]) for gamma, group in some.groupby("gamma")]
                look = {"markersize": 5, "linestyle": "-" if i == 0 else "none", "label": role}
                _errorbars(axes, groups, **look, **_dot(i, hollow=i == 1))
            _mark_margin(axes, claim, _compared(claim, runs)[claim.metric])
            axes.set_title("\n".join(textwrap.wrap(claim.title, 72 // columns)), fontsize=9)
            axes.set(xlabel="gamma", ylabel=claim.unit)
        for axes in panels[len(judged) :]:
            axes.axis("off")
        panels[0].legend(fontsize=8)

    words = "; ".join(_every_gamma(claim, runs) for claim, runs in judged)
    alt = f"The measures of the claims for every gamma. {words}."
    every = pd.concat([_compared(claim, runs) for claim, runs in judged])
    caption = (
        "Mean over seeds with 95 % intervals; filled: at the common learning rate; hollow: each at "
        "its own best; a claim holds where the interval lies in the shade. "
        f"{provenance(every, tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 0.4 + 2.5 * rows))


def signs_by_gamma(judged, tier: str) -> pd.DataFrame:
    """The verdict of each claim's own rule on every setting, at the common and at the best rate.

    A row for each claim and learning rate, a column for each setting; the signs are those of pages.
    """
    rows = []
    for claim, runs in judged:
        settings = list(dict.fromkeys(runs.sort_values("gamma").setting)) if len(runs) else []
        for rate in ("common", "tuned"):
            row = {"claim": claim.title, "learning rate": rate}
            for setting in settings:
                comparison = claim.comparison | {"setting": setting, "learning_rate": rate}
                verdict = judge(replace(claim, comparison=comparison), runs, tier)
                row[setting] = SIGNS[verdict.verdict]
            rows.append(row)
    return pd.DataFrame(rows).fillna("")


# ---- runs and their probes ---------------------------------------------------------------------


def probed(runs, role: str = "common") -> pd.DataFrame:
    """The runs of a role that ended well and were probed, by gamma and seed."""
    if not len(runs):
        return runs
    seen = runs.probes.map(lambda probes: any("geometry" in probe for probe in probes))
    found = runs[(runs.role == role) & (runs.status == "ok") & seen]
    return found.sort_values(["gamma", "seed"])


def geometry_at(run) -> dict:
    """(step, geometry) of a run at the 'start', 'early' and 'late', as measures.py takes them."""
    found = {p["step"]: p["geometry"] for p in run.probes if "geometry" in p}
    early = max(step for step in found if step <= EARLY * run.steps)
    moments = {"start": min(found), "early": early, "late": max(found)}
    return {when: (step, found[step]) for when, step in moments.items()}


def left(run, when: str) -> dict[str, float]:
    """The share of each task that is left at a moment: its loss over that of guessing."""
    data = data_of(run)
    step, _ = geometry_at(run)[when]
    chance = chance_losses(data, run.seed)
    at = {name: np.interp(step, *np.array(run.curves[name]).T) for name, *_ in parse_tasks(data)}
    return {name: min(1.0, loss / chance[name]) for name, loss in at.items()}


def data_of(runs) -> AnchorConfig:
    """What a run (or the first one of a frame) was trained on."""
    row = runs.iloc[0] if isinstance(runs, pd.DataFrame) else runs
    row = row.to_dict() if isinstance(row, pd.Series) else row._asdict()
    return AnchorConfig(**{field.name: row[field.name] for field in fields(AnchorConfig)})


def blocks(data: AnchorConfig) -> list:
    """(task, its anchors, where they are among all anchors, its law) of every task."""
    found, at = [], 0
    for name, among, law in parse_tasks(data):
        found.append((name, among, slice(at, at + len(among)), law))
        at += len(among)
    return found


def reasoning(data: AnchorConfig):
    """(anchors, block) of the task whose labels are sums (of several: the last), or None."""
    found = [(among, block) for _, among, block, law in blocks(data) if law == "sum"]
    return found[-1] if found and len(found[-1][0]) > 1 else None


def contrast(runs) -> list[str]:
    """The two settings to set side by side: the paper's, or else the outermost."""
    found = list(dict.fromkeys(runs.sort_values("gamma").setting)) if len(runs) else []
    paper = [setting for setting in ("gamma 0.3", "gamma 0.8") if setting in found]
    return paper if len(paper) == 2 else found[:1] + found[1:][-1:]


def one_each(runs) -> pd.DataFrame:
    """The run of the lowest seed of each contrasted setting."""
    if not len(runs):
        return runs
    return runs[runs.setting.isin(contrast(runs))].drop_duplicates("setting")


def nothing(anchor: str) -> Picture:
    """What stands in for a figure that has no run to show."""

    def draw(figure):
        figure.text(0.5, 0.5, "no run to show", ha="center", va="center")

    alt = "Nothing is shown: no run of these settings ended well and was probed along the way."
    return Picture(anchor, draw, alt, alt, (7.2, 1.0))


def _by(runs) -> list:
    return list(runs.groupby("setting", sort=False)) if len(runs) else []


def _contrasted(runs) -> list:
    return [(setting, group) for setting, group in _by(runs) if setting in contrast(runs)]


def _along(runs, value):
    """(steps, values (steps, runs)) of what `value` takes from the geometry of each probe."""
    found = [{p["step"]: value(p["geometry"]) for p in run if "geometry" in p}
             for run in runs.probes]  # fmt: skip
    steps = sorted(set.intersection(*map(set, found)))
    return steps, np.array([[of_run[step] for of_run in found] for step in steps])


def _trained(run, when: str) -> np.ndarray:
    """Cosines between the embeddings of the reasoning anchors."""
    _, block = reasoning(data_of(run))
    return full_matrix(geometry_at(run)[when][1]["cosine"])[block, block]


def _profile(matrix) -> np.ndarray:
    """Mean cosine at distance 1, 2, ..."""
    return np.array([np.diag(matrix, k).mean() for k in range(1, len(matrix))])


def _early_alignments(runs) -> np.ndarray:
    return np.array([geometry_at(run)["early"][1]["value"]["alignment"]
                     for run in runs.itertuples()])  # fmt: skip


def _shares_from_last(runs) -> pd.DataFrame:
    """A row for each layer and task, mean over runs: key, anchors, rest."""
    rows = {}
    for run in runs.itertuples():
        for task, layers in geometry_at(run)["late"][1]["from_last"].items():
            for number, shares in enumerate(layers, 1):
                rows.setdefault((number, f"layer {number}\n{task}"), []).append(shares)
    means = {name: pd.DataFrame(rows[number, name]).mean() for number, name in sorted(rows)}
    return pd.DataFrame(means).T[["key", "anchors", "rest"]]


def _compared(claim, runs, roles=("common", "tuned")) -> pd.DataFrame:
    """The runs of some roles that have a claim's measure."""
    return runs[runs.role.isin(roles) & np.isfinite(runs[claim.metric])]


# ---- parts of figures --------------------------------------------------------------------------


def _lines(axes, along: dict, legend: bool = True) -> None:
    """Mean and range over seeds against the step (linear up to step 1, then logarithmic)."""
    for i, (setting, (steps, values)) in enumerate(along.items()):
        axes.plot(steps, values.mean(1), label=setting, markersize=5, **style(i))
        axes.fill_between(steps, values.min(1), values.max(1), color=COLOURS[i % 6], alpha=0.2)
    axes.set_xscale("symlog", linthresh=1)
    if legend and along:
        axes.legend(fontsize=9)


def _profile_line(axes, matrices, **look) -> None:
    profiles = np.array([_profile(matrix) for matrix in matrices])
    distances = range(1, profiles.shape[1] + 1)
    axes.plot(distances, profiles.mean(0), **look)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.fill_between(distances, profiles.min(0), profiles.max(0), color=look["color"], alpha=0.2)


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


def _map(axes, weights, title: str):
    """A map of attention; the future, which no token sees, is left empty."""
    seen = np.tril(np.ones_like(weights)) > 0
    image = axes.imshow(np.where(seen, weights, np.nan), cmap="viridis", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[], title=title)
    axes.grid(False)
    return image


def _plane(axes, pca: dict, tasks):
    """Points on a plane: keys, and the anchors of every task with a marker of their own."""
    plane, tokens = np.array(pca["plane"]), np.array(pca["tokens"])
    anchors = [token for _, among, _ in tasks for token in among]
    rest = [token for token in tokens if token not in anchors]
    groups = {"keys": rest} | {f"{name} anchors": list(among) for name, among, _ in tasks}
    scale = {"cmap": "viridis", "vmin": tokens.min(), "vmax": tokens.max()}
    line = plane[np.isin(tokens, rest)]
    axes.plot(*line.T, color=GREY, linewidth=0.8, alpha=0.7, zorder=1)
    for i, (name, group) in enumerate(groups.items()):
        points = plane[np.isin(tokens, group)]
        look = {"marker": MARKERS[i % 6], "edgecolors": GREY, "linewidths": 0.6, "label": name}
        image = axes.scatter(*points.T, c=sorted(group), s=40, zorder=2, **scale, **look)
    return image


def _mark_blocks(axes, parts) -> None:
    """Anchors on the x axis, with the tasks named and every other one shaded."""
    numbers = [anchor for _, among, _, _ in parts for anchor in among]
    ticks = range(0, len(numbers), max(1, len(numbers) // 8))
    axes.set_xticks(ticks, [numbers[i] for i in ticks])
    axes.set_xlabel("anchor")
    for i, (name, _, block, _) in enumerate(parts):
        if i % 2:
            axes.axvspan(block.start - 0.5, block.stop - 0.5, **SHADE)
        middle = (block.start + block.stop - 1) / 2
        axes.text(middle, 0.97, name, ha="center", va="top", fontsize=9)


def _stack(axes, table, equal: dict) -> None:
    """Bars of shares, one on the other; dotted, where they would end with equal attention."""
    below = np.zeros(len(table))
    for i, name in enumerate(table):
        axes.bar(range(len(table)), table[name], bottom=below, color=COLOURS[i], label=name)
        below = below + table[name].to_numpy()
    for i, height in enumerate(np.cumsum(list(equal.values()))):
        label = None if i else "equal attention"
        ink = plt.rcParams["text.color"]  # dark on light, light on dark
        axes.axhline(height, color=ink, linestyle=":", linewidth=1.5, label=label)
    axes.set_xticks(range(len(table)), table.index, rotation=60, fontsize=9)
    axes.grid(False)


def _errorbars(axes, groups, **look) -> None:
    """Mean and 95 % interval over runs, at every x."""
    points = [(x, *paired_interval(list(values), 0.95)) for x, values in groups]
    if points:
        x, mean, low, high = np.array(points).T
        errors = np.nan_to_num([mean - low, high - mean])
        axes.errorbar(x, mean, yerr=errors, capsize=3, **look)


def _dot(i: int, hollow: bool = False) -> dict:
    look = {"color": COLOURS[i], "marker": MARKERS[i]}
    return look | {"mfc": "none"} if hollow else look


def _mark_margin(axes, claim, values) -> None:
    """Shade the side of the margin on which a claim about one setting holds; show all runs."""
    margin = -claim.rule["margin"] if claim.turned else claim.rule["margin"]
    low, high = min(margin, values.min()), max(margin, values.max())
    low, high = low - 0.1 * (high - low), high + 0.1 * (high - low)
    axes.axhspan(*((low, margin) if claim.turned else (margin, high)), **SHADE)
    axes.set_ylim(low, high)


# ---- words -------------------------------------------------------------------------------------


def _block_words(matrix, parts) -> str:
    """'memory 0.87; reasoning 0.90 between neighbours, -0.08 between the farthest'."""
    words = []
    for name, among, block, law in parts:
        profile = _profile(matrix[block, block])
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
    words = [f"{label} {_profile(matrix)[-1]:.2f}" for label, matrix in theory.items()]
    for setting, group in _contrasted(runs):
        ends = [np.mean([_profile(_trained(run, when))[-1] for run in group.itertuples()])
                for when in ("early", "late")]  # fmt: skip
        words.append(f"{setting} {ends[0]:.2f} early and {ends[1]:.2f} late")
    return f"{name} at the largest distance: {', '.join(words)}"


def _every_gamma(claim, runs) -> str:
    means = _compared(claim, runs, ["common"]).groupby("gamma")[claim.metric].mean()
    return f"{claim.title}: " + ", ".join(f"{m:.2f} at {gamma:g}" for gamma, m in means.items())


def _few(among) -> list[int]:
    """The first, the middle and the last, as far as they differ."""
    return list(dict.fromkeys([among[0], among[len(among) // 2], among[-1]]))


def _listed(values) -> str:
    return ", ".join(map(str, sorted(set(values))))


def _or_none(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "none"


def _legend(grid):
    handles, labels = [], []
    for axes in grid.ravel():
        h, names = axes.get_legend_handles_labels()
        handles, labels = handles + h, labels + names
    return handles, labels
