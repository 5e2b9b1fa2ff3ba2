"""Figures of language: one model learns two texts; which one is ahead, and by which measure.

Runs are rows of a frame (sweep.frame, with roles) on a mixture such as "logic+stories". Its first
text is the one that is said to be ahead. What a Picture is, figures.py says.
"""

import math
import re
from dataclasses import fields

import numpy as np
import pandas as pd

from .claims import paired_interval
from .data.text import DataConfig, corpora
from .figures import COLOURS, Picture, provenance, style
from .figures_bias import ROLES
from .measures import EARLY, HALF, rank_correlation, unigrams
from .project import UserError

GREY = COLOURS[5]
MEASURES = {"delta": "delta L", "delta_normalised": "difference of shares"}


def losses(runs, tier: str, anchor="fig-language") -> Picture:
    """Of each text the share left of the loss of guessing by frequency, a panel a setting."""
    texts, settings = pair(runs), list(runs.setting.unique())

    def draw(figure):
        panels = _panels(figure, len(settings))
        for axes, setting in zip(panels, settings, strict=True):
            mine = runs[runs.setting == setting]
            for i, name in enumerate(texts):
                _band(axes, *_over_runs(mine, name), label=name, **style(i))
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
    runs = _compared(runs)
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
        _legend(figure, grid.ravel())

    alt = f"{_ratio(runs)} and the same of shares, over training. At the end: {_finals(runs)}."
    caption = (
        f"Above: {_ratio(runs)}. Below: the same difference, each loss as a share of that of "
        f"guessing by frequency. Mean over seeds with 95 % intervals. {provenance(runs, tier)}"
    )
    return Picture("fig-delta", draw, alt, caption, (7.2, 5.6))


def delta_without_clock(runs, tier: str) -> Picture:
    """Both measures against the mean loss: where every run ended, and the way there."""
    runs = runs[runs.status == "ok"]

    def draw(figure):
        grid = figure.subplots(len(MEASURES), 2, sharex="col", sharey="row")
        for row, (measure, words) in zip(grid, MEASURES.items(), strict=True):
            for i, setting in enumerate(runs.setting.unique()):
                _draw_ends(row[0], runs[runs.setting == setting], measure, i)
                _draw_ways(row[1], _compared(runs[runs.setting == setting]), measure, i)
            row[0].set_ylabel(words)
        for axes, title in zip(grid[0], ("the end of every run", "the way there"), strict=True):
            axes.set_title(title, fontsize=11)
            axes.invert_xaxis()
        for axes in grid[-1]:
            axes.set_xlabel("mean loss of both texts (nats per token)")
        _legend(figure, grid.ravel())

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
    texts, settings = pair(runs), list(runs.setting.unique())

    def draw(figure):
        panels = _panels(figure, len(settings))
        for axes, setting in zip(panels, settings, strict=True):
            mine = runs[runs.setting == setting]
            for i, name in enumerate(texts):
                _band(axes, *_group_cosines(mine, name), label=name, **style(i))
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
    scores = chain_scores(runs)
    kinds = list(scores.score.unique())

    def draw(figure):
        panels = _panels(figure, len(kinds))
        for axes, kind in zip(panels, kinds, strict=True):
            for i, (setting, rows) in enumerate(_by_setting(scores, kind)):
                _draw_depths(axes, rows, i, setting)
            axes.axvline(3.5, color=GREY, linestyle=":")
            axes.set(title=SCORES[kind], xlabel="depth of the proof (rules)", ylim=(-0.03, 1.03))
            axes.set_xticks(sorted(scores.depth.unique()))
        panels[0].set_ylabel("share")
        _legend(figure, panels)

    words = [_chains_in_words(scores[scores.score == kind], SCORES[kind]) for kind in kinds]
    alt = f"Chains of thought of problems with new names, by depth. {'; '.join(words)}."
    caption = (
        "Dots are runs, bars 95 % intervals; right of the dotted line no proof in the training "
        f"text is as long. {provenance(runs, tier)}"
    )
    return Picture("fig-chains", draw, alt, caption, (7.2, 3.8))


SCORES = {"accuracy": "tokens of chain and answer", "exact": "whole chains and answers"}


# ---- numbers that pages ask for as well ----------------------------------------------------------


def pair(runs_or_corpus) -> tuple[str, str]:
    """The two texts of a mixture, the one that is said to be ahead first.

    Raises UserError for any other corpus: what is asked here is a comparison of two.
    """
    corpus = runs_or_corpus if isinstance(runs_or_corpus, str) else runs_or_corpus.corpus.iloc[0]
    names = corpora(DataConfig(corpus))
    if len(set(names)) != 2 or len(names) != 2:
        raise UserError(f"corpus: got {corpus!r}, allowed are two texts joined by +")
    return names[0], names[1]


def along(run) -> pd.DataFrame:
    """What a run (a row of a frame) went through, a row a measurement.

    Columns: step, tokens (millions), loss (mean of both texts), a share left for each text by its
    name (at most 1), and both measures of the lead.
    """
    one, other = pair(run.corpus)
    (steps, first), (_, second) = (np.array(run.curves[name]).T for name in (one, other))
    chance = _chance(run)
    shares = first / chance[one], second / chance[other]
    return pd.DataFrame({
        "step": steps, "tokens": steps * run.batch_size * run.block_size / 1e6,
        "loss": (first + second) / 2, one: np.minimum(1, shares[0]),
        other: np.minimum(1, shares[1]), "delta": (second - first) / first,
        "delta_normalised": shares[1] - shares[0],
    })  # fmt: skip


def peaks(runs) -> pd.DataFrame:
    """Where delta L is highest on the way of each compared setting (mean over its runs).

    Columns: role, setting, highest, tokens (millions, where that is) and end.
    """
    rows = []
    for (role, setting), mine in _compared(runs).groupby(["role", "setting"], sort=False):
        tokens, values = _over_runs(mine, "delta")
        if len(values):
            mean = values.mean(0)
            rows.append((role, setting, mean.max(), tokens[mean.argmax()], mean[-1]))
    return pd.DataFrame(rows, columns=["role", "setting", "highest", "tokens", "end"])


def at_equal_loss(runs) -> pd.DataFrame:
    """The compared runs, both measures not taken at the end but at one mean loss of both texts.

    It is the lowest that all runs of a role have reached, in the column `at_loss`.
    """
    parts = []
    for _, mine in _compared(runs[runs.status == "ok"]).groupby("role"):
        ways = [along(run) for run in mine.itertuples()]
        level = max((way.loss.min() for way in ways), default=math.nan)
        found = [{name: _passing(way, name, level) for name in MEASURES} for way in ways]
        parts.append(mine.assign(at_loss=level, **pd.DataFrame(found, index=mine.index)))
    return pd.concat(parts) if parts else runs.assign(at_loss=math.nan).iloc[:0]


def exchanged(runs) -> pd.DataFrame:
    """The runs with each text in the place of the other, in the columns that claims are about.

    What a claim says of one text is then asked of the other: a rule that says yes to both says
    nothing.
    """
    one, other = pair(runs)
    names = {}
    for a, b in ((one, other), (other, one)):
        names |= {f"steps_to_{a}": f"steps_to_{b}", f"{a}_left_at_{b}": f"{b}_left_at_{a}",
                  f"{a}_cosine_early": f"{b}_cosine_early"}  # fmt: skip
    now = runs.reindex(columns=[*MEASURES, "cosine_gap_early"]).astype(float)
    turned = {"delta": 1 / (1 + now.delta) - 1, "delta_normalised": -now.delta_normalised,
              "cosine_gap_early": -now.cosine_gap_early}  # fmt: skip
    return runs.rename(columns=names).assign(**turned)


def chain_scores(runs) -> pd.DataFrame:
    """setting, gamma, seed, depth, score ('accuracy', 'exact') and value of every run's chains."""
    rows = []
    for column in runs:
        if match := re.fullmatch(r"chain_(\d+)_(accuracy|exact)", str(column)):
            part = runs[["setting", "gamma", "seed"]].assign(value=runs[column])
            rows.append(part.assign(depth=int(match[1]), score=match[2]))
    empty = pd.DataFrame(columns=["setting", "gamma", "seed", "value", "depth", "score"])
    found = pd.concat(rows).dropna(subset=["value"]) if rows else empty
    return found.sort_values(["score", "depth"], kind="stable")


def early_step(runs) -> int | None:
    """The step of the last probe within a tenth of the steps, where 'early' is measured."""
    for run in runs.itertuples():
        steps = [probe["step"] for probe in run.probes if probe["step"] <= EARLY * run.steps]
        if steps:
            return steps[-1]
    return None


# ---- parts of figures ----------------------------------------------------------------------------


def _panels(figure, count: int):
    """`count` axes of one scale, in rows of up to three; the rest of the last row stays empty."""
    columns = max(1, min(3, count))
    rows = math.ceil(count / columns) or 1
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axes in panels[count:]:
        axes.set_axis_off()
    return panels[: max(1, count)]


def _size(count: int) -> tuple[float, float]:
    """Of a figure with so many panels."""
    return 7.2, 0.6 + 2.5 * math.ceil(count / 3)


def _chance(run) -> dict[str, float]:
    data = DataConfig(**{field.name: getattr(run, field.name) for field in fields(DataConfig)})
    return unigrams(data)


def _compared(runs) -> pd.DataFrame:
    return runs[runs.role.isin(ROLES)]


def _over_runs(runs, column: str):
    """(tokens, values (seeds, points)) of what `along` calls so, of runs that ended well."""
    ways = [along(run) for run in runs[runs.status == "ok"].itertuples()]
    if not ways:
        return np.array([]), np.empty((0, 0))
    return ways[0].tokens.to_numpy(), np.array([way[column] for way in ways])


def _band(axes, x, values, **look) -> None:
    """The mean and the range over runs."""
    if len(values):
        axes.plot(x, values.mean(0), **{"markersize": 3, **look})
        axes.fill_between(x, values.min(0), values.max(0), color=look["color"], alpha=0.2)


def _intervals(runs, measure: str) -> dict:
    """{setting: (tokens, mean, low, high)} of what `along` calls so; nan where no interval is."""
    found = {}
    for setting, mine in runs.groupby("setting", sort=False):
        tokens, values = _over_runs(mine, measure)
        if len(values):
            found[setting] = (
                tokens,
                *zip(*(paired_interval(list(v), 0.95) for v in values.T), strict=True),
            )
    return found


def _draw_intervals(axes, lines: dict) -> None:
    for i, (setting, (tokens, mean, low, high)) in enumerate(lines.items()):
        axes.plot(tokens, mean, label=setting, **{"markersize": 3, **style(i)})
        axes.fill_between(tokens, low, high, color=style(i)["color"], alpha=0.2)


def _draw_ends(axes, runs, measure: str, i: int) -> None:
    """A mark for each run: those that were compared are filled."""
    look, compared = style(i), runs.role.isin(ROLES)
    for chosen, face in ((~compared, "none"), (compared, look["color"])):
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


def _draw_depths(axes, rows, i: int, label: str) -> None:
    """The mean of each depth with its interval, and a dot a run, beside those of other settings."""
    shift, look = 0.08 * (i - 1), style(i)
    axes.scatter(rows.depth + shift, rows.value, s=9, color=look["color"], alpha=0.6)
    means = [(depth, *paired_interval(list(part.value), 0.95))
             for depth, part in rows.groupby("depth")]  # fmt: skip
    depth, mean, low, high = np.array(means).T
    bars = np.nan_to_num([mean - low, high - mean])
    axes.errorbar(depth + shift, mean, yerr=bars, capsize=3, label=label, **look)


def _legend(figure, panels) -> None:
    """One legend for all panels, below them."""
    known = {}
    for axes in panels:
        handles, names = axes.get_legend_handles_labels()
        known |= dict(zip(names, handles, strict=True))
    if known:
        figure.legend(known.values(), known, loc="outside lower center", ncols=5, fontsize=9)


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


def _passing(way, measure: str, level: float) -> float:
    """The measure where the loss first falls to a level, between two points by a line."""
    at = int(np.argmax(way.loss.to_numpy() <= level))
    part = way.iloc[max(0, at - 1) : at + 1]
    return float(np.interp(-level, -part.loss, part[measure]))


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
            for name in texts for _, values in [_over_runs(runs, name)] if len(values)]  # fmt: skip
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
