"""Figures of language: one model learns two texts; which one is ahead, and by which measure.

Runs are rows of a frame (sweep.frame, with roles) on a mixture such as "logic+stories". Its first
text is the one that is said to be ahead. What a Picture is, figures.py says.
"""

import math

import numpy as np

from .claims import paired_interval
from .figures import HOLLOW, Picture, looks, nothing, provenance, style
from .figures_parts import GREY, band, dots_and_means, legend_below, panels_of
from .measures import EARLY, HALF, rank_correlation
from .readings_bias import ROLES
from .readings_language import (
    MEASURES,
    along,
    at_equal_loss,
    chain_scores,
    compared,
    early_step,
    over_runs,
    pair,
)


def losses(runs, tier: str, anchor="fig-language") -> Picture:
    """Of each text the share left of the loss of guessing by frequency, a panel a setting."""
    if not len(runs):
        return nothing(anchor)
    texts, settings = pair(runs), list(runs.setting.unique())

    def draw(figure):
        panels = panels_of(figure, len(settings))
        for axes, setting in zip(panels, settings, strict=True):
            mine = runs[runs.setting == setting]
            for i, name in enumerate(texts):
                band(axes, *over_runs(mine, name), label=name, **style(i))
            at, left = _half_way(mine, texts)
            axes.plot(at, left, "x", color=GREY, markersize=7, zorder=5)
            axes.axhline(HALF, color=GREY, linestyle=":")
            axes.set(title=setting, xlabel="training tokens (millions)")
        panels[0].set(ylabel="share of the loss left", ylim=(0, 1.05))
        panels[0].legend(fontsize=9)

    ends = [f"{s}: {_ends_in_words(runs[runs.setting == s], texts)}" for s in settings]
    alt = f"Share left of the loss of guessing by frequency, of two texts. {'; '.join(ends)}."
    caption = (
        f"Mean over seeds; the band is their range. A cross, one a run: what is left of {texts[1]} "
        f"when {texts[0]} is half learned. {provenance(runs, tier)}"
    )
    return Picture(anchor, draw, alt, caption, _size(len(settings)))


def delta(runs, tier: str) -> Picture:
    """Delta L, and the difference of shares, over training: a line a setting, with 95 %."""
    runs = compared(runs)
    if not len(runs):
        return nothing("fig-delta")
    lines = {(m, role): _intervals(runs[runs.role == role], m) for m in MEASURES for role in ROLES}

    def draw(figure):
        grid = figure.subplots(len(MEASURES), len(ROLES), sharex=True, sharey="row")
        for row, (measure, words) in zip(grid, MEASURES.items(), strict=True):
            for axes, role in zip(row, ROLES, strict=True):
                _draw_intervals(axes, lines[measure, role])
            row[0].set_ylabel(words)
        for axes, words in zip(grid[0], ROLES.values(), strict=True):
            axes.set_title(words, fontsize=11)
        for axes in grid[-1]:
            axes.set_xlabel("training tokens (millions)")
        legend_below(figure, grid, columns=5)

    alt = f"{_ratio(runs)} and the same of shares, over training. At the end: {_finals(runs)}."
    caption = (
        f"Above: {_ratio(runs)}. Below: the same difference, each loss as a share of that of "
        f"guessing by frequency. Mean over seeds with 95 % intervals. {provenance(runs, tier)}"
    )
    return Picture("fig-delta", draw, alt, caption, (7.2, 5.6))


def delta_without_clock(runs, tier: str) -> Picture:
    """Both measures against the mean loss: where every run ended, and the way there."""
    runs = runs[runs.status == "ok"]
    if not len(runs):
        return nothing("fig-without-clock")

    def draw(figure):
        grid = figure.subplots(len(MEASURES), 2, sharex="col", sharey="row")
        for row, (measure, words) in zip(grid, MEASURES.items(), strict=True):
            for setting, i in looks(runs.setting).items():
                _draw_ends(row[0], runs[runs.setting == setting], measure, i)
                _draw_ways(row[1], compared(runs[runs.setting == setting]), measure, i)
            row[0].set_ylabel(words)
        for axes, title in zip(grid[0], ("the end of every run", "the way there"), strict=True):
            axes.set_title(title, fontsize=11)
            axes.invert_xaxis()
        for axes in grid[-1]:
            axes.set_xlabel("mean loss of both texts (nats per token)")
        legend_below(figure, grid, columns=5)

    alt = (
        f"{_ratio(runs)} against the mean of both losses. {_ends_correlated(runs)} Where the "
        f"compared runs are at one mean loss: {_finals(at_equal_loss(runs))}."
    )
    caption = (
        "Learning goes to the right. Left: every run at every learning rate, hollow if it only "
        "tuned. Right: the compared runs, dashed where each setting has its own best rate. "
        f"{provenance(runs, tier)}"
    )
    return Picture("fig-without-clock", draw, alt, caption, (7.2, 6.0))


def groups(runs, tier: str) -> Picture:
    """Mean cosine between the embeddings of each text's own tokens, a panel a setting."""
    if not len(runs):
        return nothing("fig-groups")
    texts, settings = pair(runs), list(runs.setting.unique())

    def draw(figure):
        panels = panels_of(figure, len(settings))
        for axes, setting in zip(panels, settings, strict=True):
            mine = runs[runs.setting == setting]
            for i, name in enumerate(texts):
                band(axes, *_group_cosines(mine, name), label=name, **style(i))
            axes.axvline(EARLY * mine.steps.max(), color=GREY, linestyle=":")
            axes.set_xscale("symlog", linthresh=1)
            axes.set(title=setting, xlabel="step (log from 1)", xlim=(-0.2, 1.2 * mine.steps.max()))
        panels[0].set_ylabel("mean cosine of a text's own tokens")
        panels[0].legend(fontsize=9)

    words = [f"{s}: {_groups_in_words(runs[runs.setting == s], texts)}" for s in settings]
    alt = f"Mean cosine between embeddings of tokens that one text has for itself. {words[0]}"
    alt = "; ".join([alt, *words[1:]]) + "."
    caption = (
        "Mean over seeds; the band is their range. Dotted: a tenth of the training. "
        f"{provenance(runs, tier)}"
    )
    return Picture("fig-groups", draw, alt, caption, _size(len(settings)))


def chains(runs, tier: str) -> Picture:
    """Scores on chains of thought of new problems by depth, a panel a score, with 95 %."""
    if not len(runs):
        return nothing("fig-chains")
    scores = chain_scores(runs)
    kinds = list(scores.score.unique())

    def draw(figure):
        panels = panels_of(figure, len(kinds))
        for axes, kind in zip(panels, kinds, strict=True):
            for place, (setting, rows) in enumerate(_by_setting(scores, kind)):
                beside = rows.assign(x=rows.depth + 0.08 * (place - 1))
                dots_and_means(axes, beside, "value", looks(scores.setting)[setting], setting)
            axes.axvline(3.5, color=GREY, linestyle=":")
            axes.set(title=SCORES[kind], xlabel="depth of the proof (rules)", ylim=(-0.03, 1.03))
            axes.set_xticks(sorted(scores.depth.unique()))
        panels[0].set_ylabel("share")
        legend_below(figure, panels, columns=5)

    words = [_chains_in_words(scores[scores.score == kind], SCORES[kind]) for kind in kinds]
    alt = f"Chains of thought of problems with new names, by depth. {'; '.join(words)}."
    caption = (
        "Dots are runs, bars 95 % intervals; right of the dotted line no proof in the training "
        f"text is as long. {provenance(runs, tier)}"
    )
    return Picture("fig-chains", draw, alt, caption, (7.2, 3.8))


SCORES = {"accuracy": "tokens of chain and answer", "exact": "whole chains and answers"}


# ---- parts of figures ----------------------------------------------------------------------------


def _size(count: int) -> tuple[float, float]:
    """Of a figure with so many panels."""
    return 7.2, 0.6 + 2.5 * math.ceil(count / 3)


def _intervals(runs, measure: str) -> dict:
    """{setting: (tokens, mean, low, high)} of what `along` calls so; nan where no interval is."""
    found = {}
    for setting, mine in runs.groupby("setting", sort=False):
        tokens, values = over_runs(mine, measure)
        if len(values):
            found[setting] = (
                tokens,
                *zip(*(paired_interval(list(v), 0.95) for v in values.T), strict=True),
            )
    return found


def _draw_intervals(axes, lines: dict) -> None:
    for setting, i in looks(lines).items():
        tokens, mean, low, high = lines[setting]
        axes.plot(tokens, mean, label=setting, **{"markersize": 3, **style(i)})
        axes.fill_between(tokens, low, high, color=style(i)["color"], alpha=0.3)


def _draw_ends(axes, runs, measure: str, i: int) -> None:
    """A mark for each run: those that were compared are filled."""
    look, filled = style(i), runs.role.isin(ROLES)
    for chosen, face in ((~filled, HOLLOW), (filled, look["color"])):
        axes.scatter(runs.loss[chosen], runs[measure][chosen], s=18, marker=look["marker"],
                     edgecolors=look["color"], facecolors=face, alpha=0.8)  # fmt: skip


def _draw_ways(axes, runs, measure: str, i: int) -> None:
    for number, run in enumerate(runs.itertuples()):
        way = along(run)
        line = {"color": style(i)["color"], "linestyle": "-" if run.role == "common" else "--"}
        label = run.setting if number == 0 else None
        axes.plot(way.loss, way[measure], linewidth=1, alpha=0.8, label=label, **line)


def _by_setting(scores, kind: str):
    return scores[scores.score == kind].groupby("setting", sort=False)


def _half_way(runs, texts):
    """(tokens, share) of each run: where the first is half learned, what is left of the other."""
    names = [f"steps_to_{texts[0]}", f"{texts[1]}_left_at_{texts[0]}"]
    found = runs.reindex(columns=[*names, "batch_size", "block_size"]).astype(float)
    return found[names[0]] * found.batch_size * found.block_size / 1e6, found[names[1]]


def _group_cosines(runs, name: str):
    """(steps, cosines (seeds, probes)) of the tokens that a text has for itself."""
    found = []
    for run in runs[runs.status == "ok"].itertuples():
        probes = [probe for probe in run.probes if "geometry" in probe]
        found += [[(p["step"], p["geometry"]["groups"].get(name, math.nan)) for p in probes]]
    points = np.array([row for row in found if row])
    return (points[0, :, 0], points[:, :, 1]) if points.size else (np.array([]), np.empty((0, 0)))


# ---- words ---------------------------------------------------------------------------------------


def _ratio(runs) -> str:
    one, other = pair(runs)
    return f"Delta L = (loss of {other} - loss of {one}) / loss of {one}"


def _finals(runs) -> str:
    """'one common learning rate: delta L 0.31 and difference of shares 0.05 at gamma 0.3, ...'."""
    parts = []
    for role, words in ROLES.items():
        means = runs[runs.role == role].groupby("setting", sort=False)[list(MEASURES)].mean()
        found = [f"{row.delta:.2f} and {row.delta_normalised:+.3f} at {setting}"
                 for setting, row in means.iterrows()]  # fmt: skip
        parts.append(f"{words}: {', '.join(found) or 'no runs'}")
    return "; ".join(parts)


def _ends_correlated(runs) -> str:
    """How closely delta goes with the loss over the ends of all runs."""
    ends = runs.drop_duplicates("key")
    if len(ends) < 3:
        return ""
    value = rank_correlation(ends.delta, ends.loss)
    return f"Its rank correlation with that mean, over the ends of {len(ends)} runs: {value:.2f}."


def _ends_in_words(runs, texts) -> str:
    one, other = texts
    ends = [f"{name} {values[:, -1].mean():.2f}"
            for name in texts for _, values in [over_runs(runs, name)] if len(values)]  # fmt: skip
    left = _half_way(runs, texts)[1].mean()
    half = f"{left:.2f} of {other} is left when {one} is half learned, " if left == left else ""
    return f"{half}at the end {', '.join(ends)}" if ends else "no run that ended well"


def _groups_in_words(runs, texts) -> str:
    """The cosines at the early probe and at the end."""
    early, parts = early_step(runs), []
    for name in texts:
        steps, values = _group_cosines(runs, name)
        if len(values) and early is not None:
            value = values[:, list(steps).index(early)].mean()
            last = values[:, -1].mean()
            parts.append(f"{name} {value:.2f} at step {early}, {last:.2f} at the end")
    return ", ".join(parts) or "no such tokens"


def _chains_in_words(rows, score: str) -> str:
    parts = []
    for setting, mine in rows.groupby("setting", sort=False):
        means = mine.groupby("depth").value.mean()
        listed = ", ".join(f"{value:.2f} at depth {depth}" for depth, value in means.items())
        parts.append(f"{setting} {listed}")
    return f"Share of {score}: {'; '.join(parts) or 'no runs'}"
