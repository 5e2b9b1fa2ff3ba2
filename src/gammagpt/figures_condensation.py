"""Figures of condensation: what becomes of the spectra and directions of weights along a run.

Runs are rows of a frame (sweep.frame, with roles) whose records hold spectra (probes.py). Ranks of
several matrices are averaged as logarithms, as in measures.expansion. What a Picture is,
figures.py says.
"""

import math

import numpy as np
import pandas as pd

from .claims import paired_interval
from .data.text import DataConfig
from .figures import (
    COLOURS,
    MARKERS,
    Picture,
    dots_beside,
    looks,
    nothing,
    provenance,
    stroke,
    style,
)
from .figures_parts import GREY, band, legend_below, panels_of
from .measures import unigrams
from .readings_bias import ROLES

EMBEDDING = "embedding.weight"
FRAMES = 7  # of a filmstrip: the start, and the last ones
CHANGES = {"fell": "fell to its lowest, by a factor of", "rose": "rose again, by a factor of"}
BY = {"largest": "share of the largest", "norm": "share of the squared norm"}
STEP = "step (log from 1)"


# ---- numbers -------------------------------------------------------------------------------------


def probed(runs, least: int = 2) -> pd.DataFrame:
    """The compared runs that ended well and have spectra of at least so many steps."""
    if not len(runs):
        return runs
    enough = runs.probes.map(lambda probes: len(_spectra(probes)) >= least)
    return runs[enough & (runs.status == "ok") & runs.role.isin(ROLES)]


def kinds(runs) -> dict[str, list[str]]:
    """Kind of matrix -> the names of its matrices, one a layer: {"mlp: up": ["blocks.0.mlp..."]}.

    The embedding comes first and the head last.
    """
    found = {}
    for name in _spectra(runs.iloc[0].probes)[0]["tensors"] if len(runs) else ():
        found.setdefault(_kind(name), []).append(name)
    outer = {"embedding": 0, "head": 2}
    return dict(sorted(found.items(), key=lambda item: outer.get(item[0], 1)))


def path(run, measure: str, names=None):
    """(steps, values) of a run: a measure of some matrices (all, if none are named), averaged.

    Ranks and norms are averaged as logarithms, all else as it is.
    """
    spectra = _spectra(run.probes)
    steps = np.array([probe["step"] for probe in spectra])
    values = np.array([
        [probe["tensors"][name][measure] for name in names or probe["tensors"]]
        for probe in spectra
    ])  # fmt: skip
    if measure in ("stable_rank", "effective_rank", "norm"):
        return steps, np.exp(np.log(values).mean(1))
    return steps, values.mean(1)


def over_runs(runs, measure: str, names=None):
    """(steps, values (runs, probes)) of the paths of runs of one setting."""
    found = [path(run, measure, names) for run in runs.itertuples()]
    return found[0][0], np.array([values for _, values in found])


def changes(runs) -> pd.DataFrame:
    """By how much the stable rank fell and rose again: a row a run and kind of matrix.

    Columns: role, setting, seed, kind, fell, rose, as natural logarithms of factors. Each matrix
    has its own lowest point; of a kind, and of "all", the mean over its matrices.
    """
    rows = []
    runs = probed(runs, 3)
    for run in runs.itertuples():
        for kind, names in {"all": None, **kinds(runs)}.items():
            own = [name for name in names or _spectra(run.probes)[0]["tensors"]]
            logs = np.log([path(run, "stable_rank", [name])[1] for name in own])
            ends = (logs[:, 0], logs[:, -1])
            fell, rose = (float((end - logs.min(1)).mean()) for end in ends)
            rows.append((run.role, run.setting, run.seed, kind, fell, rose))
    return pd.DataFrame(rows, columns=["role", "setting", "seed", "kind", "fell", "rose"])


def most_changed(runs) -> str:
    """The matrix, the embedding apart, whose stable rank both fell and rose most, on average.

    The lesser of the two counts: one that falls and stays there is no example of a way back.
    """
    runs = probed(runs, 3)
    if not len(runs):
        return EMBEDDING
    names = [name for group in kinds(runs).values() for name in group if name != EMBEDDING]
    fell_and_rose = {name: [] for name in names}
    for name in names:
        for run in runs.itertuples():
            logs = np.log(path(run, "stable_rank", [name])[1])
            fell_and_rose[name].append((logs[0] - logs.min(), logs[-1] - logs.min()))
    return max(names, key=lambda name: np.mean(fell_and_rose[name], axis=0).min())


def timing(runs, names=None) -> pd.DataFrame:
    """When the mean stable rank of some matrices (default: all) is lowest, a row a run.

    Columns: role, setting, seed, step, loss (training loss there), done (the share of the run's
    fall of the loss that lies behind), grown (norm there over norm at the start).
    """
    rows = []
    for run in probed(runs, 3).itertuples():
        steps, ranks = path(run, "stable_rank", names)
        at = int(ranks.argmin())
        losses, norms = loss_at(run, steps), path(run, "norm", names)[1]
        fall = losses[0] - losses[-1]
        done = (losses[0] - losses[at]) / fall if fall > 0 else math.nan
        rows.append((run.role, run.setting, run.seed, steps[at], losses[at], done,
                     norms[at] / norms[0]))  # fmt: skip
    columns = ["role", "setting", "seed", "step", "loss", "done", "grown"]
    return pd.DataFrame(rows, columns=columns)


def loss_at(run, steps) -> np.ndarray:
    """The training loss at some steps, by lines between its points; at 0 the validation loss.

    It is kept far more often than the validation loss, and no window is seen twice here.
    """
    points = np.array([run.curve[0], *run.curves["train"]])
    return np.interp(steps, *points.T)


def guessing(runs) -> float:
    """The loss in nats of guessing tokens by their frequency; nan without a run."""
    if not len(runs):
        return math.nan
    first = runs.iloc[0]
    data = DataConfig(first.corpus, int(first.vocab_size), first.fingerprint)
    return unigrams(data).get(first.corpus, math.nan)


# ---- pictures ------------------------------------------------------------------------------------


def ranks(runs, tier: str, anchor: str = "fig-ranks") -> Picture:
    """The stable rank of every kind of matrix against the step: a panel a kind, a line a setting.

    Show runs of one role.
    """
    every, runs = runs, probed(runs)
    if not len(runs):
        return nothing(anchor)
    groups = kinds(runs)

    def draw(figure):
        panels = panels_of(figure, len(groups))
        for axes, (kind, names) in zip(panels, groups.items(), strict=False):
            _draw_paths(axes, runs, "stable_rank", names, lowest=True)
            _doublings(axes)
            axes.set_title(kind, fontsize=11)
        _label_outside(figure, panels, "stable rank")
        legend_below(figure, panels, columns=5)

    words = [f"{s}: {_rank_in_words(mine)}" for s, mine in _by_setting(runs)]
    alt = f"Stable rank over training, mean of all matrices. {'; '.join(words)}."
    caption = (
        "Mean over seeds, and of a kind over its layers; the band is the range of seeds. A grey "
        f"cross is the lowest point of a mean. {_origin(every, tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 0.9 + 2.1 * math.ceil(len(groups) / 3)))


def fall_and_rise(runs, tier: str, anchor: str = "fig-fall-and-rise") -> Picture:
    """How far the stable rank fell, and how far it rose again, by kind of matrix, with 95 %."""
    found = changes(runs)
    if not len(found):
        return nothing(anchor)
    roles = [role for role in ROLES if role in set(found.role)]

    def draw(figure):
        grid = figure.subplots(len(roles), 2, sharex="col", sharey=True, squeeze=False)
        for row, role in zip(grid, roles, strict=True):
            for axes, change in zip(row, CHANGES, strict=True):
                _draw_changes(axes, found[found.role == role], change)
            row[0].set_title(ROLES[role], fontsize=11, loc="left")
        for axes, words in zip(grid[-1], CHANGES.values(), strict=True):
            axes.set_xlabel(words)
        grid[0, 0].invert_yaxis()
        legend_below(figure, grid, columns=5)

    alt = f"Factors by which the stable rank fell and rose again, all matrices. {_factors(found)}."
    caption = (
        "Dots are runs, bars 95 % intervals over seeds. Each matrix has its own lowest point. "
        f"{_origin(runs, tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 0.8 + 3.1 * len(roles)))


def against_loss(runs, tier: str, anchor: str = "fig-timing") -> Picture:
    """The stable rank, as a share of its start, against the loss: when in learning it is lowest."""
    every, runs = runs, probed(runs, 3)
    if not len(runs):
        return nothing(anchor)
    parts, roles = {"all matrices": None, "embedding": [EMBEDDING]}, _roles(runs)
    plain = guessing(runs)

    def draw(figure):
        grid = figure.subplots(2, len(roles), sharex=True, sharey="row", squeeze=False)
        for row, (part, names) in zip(grid, parts.items(), strict=True):
            for axes, role in zip(row, roles, strict=True):
                _draw_against_loss(axes, runs[runs.role == role], names)
                axes.axvline(plain, color=GREY, linestyle=":")
            row[0].set_ylabel(f"{part}:\nstable rank / start")
        grid[0, 0].invert_xaxis()
        for axes, role in zip(grid[0], roles, strict=True):
            axes.set_title(ROLES[role], fontsize=11)
        for axes in grid[-1]:
            axes.set_xlabel("training loss (nats per token)")
        legend_below(figure, grid, columns=5)

    alt = f"Stable rank against the training loss. Lowest point: {_timing_in_words(runs)}."
    caption = (
        "Learning goes to the right; a line is a run, a mark its lowest point. Dotted: the loss of "
        f"guessing by frequency, {plain:.2f} nats. {_origin(every, tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 6.0))


def filmstrip(
    runs, tier: str, tensor: str = EMBEDDING, by: str = "largest", anchor: str = "fig-filmstrip"
) -> Picture:
    """The first singular values of a matrix at a handful of steps: a row a setting.

    Each as a share of the largest; or, with by="norm", its square as a share of the squared norm.
    Show runs of one role.
    """
    every, runs = runs, probed(runs)
    if not len(runs) or tensor not in _spectra(runs.iloc[0].probes)[0]["tensors"]:
        return nothing(anchor)
    films = {setting: _film(mine, tensor, by) for setting, mine in _by_setting(runs)}

    def draw(figure):
        columns = len(next(iter(films.values())))
        grid = figure.subplots(len(films), columns, sharex=True, sharey=True, squeeze=False)
        for row, (setting, i) in zip(grid, looks(films).items(), strict=True):
            for axes, (step, values) in zip(row, films[setting], strict=True):
                _draw_frame(axes, values, COLOURS[i % 6])
                axes.set_title(f"step {step}" if row is grid[0] else "", fontsize=10)
            row[0].set_ylabel(setting, fontsize=10)
        grid[0, 0].set_xticks([1, values.shape[1]])
        grid[0, 0].set_ylim(0, None)
        figure.supylabel(BY[by], fontsize=10)
        figure.supxlabel("singular value, from the largest", fontsize=10)

    words = [f"{s}: {_film_in_words(film, by)}" for s, film in films.items()]
    alt = f"Singular values of {tensor} over training, {BY[by]}. {'; '.join(words)}."
    caption = f"{tensor}. Mean over seeds; the lines are their range. {_origin(every, tier)}"
    return Picture(anchor, draw, alt, caption, (7.2, 0.9 + 1.25 * len(films)))


def directions(runs, tier: str, anchor: str = "fig-directions") -> Picture:
    """Do rows point the same way? Mean |cosine| and groups of rows against the step.

    Show runs of one role.
    """
    every, runs = runs, probed(runs)
    if not len(runs):
        return nothing(anchor)
    measures = {"mean_cosine": "mean |cosine| of pairs", "groups": "groups, share of rows"}
    groups = kinds(runs)
    neurons = [name for names in groups.values() for name in names if name != EMBEDDING]
    parts = {"neurons (all matrices but one)": neurons, "tokens (the embedding)": [EMBEDDING]}

    def draw(figure):
        grid = figure.subplots(2, 2, sharex=True, sharey="row")
        for row, (measure, words) in zip(grid, measures.items(), strict=True):
            for axes, names in zip(row, parts.values(), strict=True):
                _draw_paths(axes, runs, measure, names)
            row[0].set_ylabel(words)
        for axes, part in zip(grid[0], parts, strict=True):
            axes.set_title(part, fontsize=11)
        for axes in grid[-1]:
            axes.set_xlabel(STEP)
        legend_below(figure, grid, columns=5)

    words = [f"{s}: {_directions_in_words(mine, neurons)}" for s, mine in _by_setting(runs)]
    alt = f"How alike the directions of neurons are over training. {'; '.join(words)}."
    caption = (
        "Above: the mean of |cosine| over pairs of rows. Below: groups of rows, linked where a "
        "cosine is above 0.7, as a share of the rows; 1 is no group. Mean and range over seeds. "
        f"{_origin(every, tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 5.4))


def one_update(width: int, gammas, rate: float, anchor: str = "fig-caution") -> Picture:
    """The stable rank of a fresh draw after an update of rank one: no learning, only sizes.

    Every weight moves by the same distance, as by Adam, with the signs of a matrix of rank one.
    """
    moves = np.geomspace(rate / 20, 100 * rate, 40)
    lines = {f"gamma {g:g}": _ranks_after(width, g, moves) for g in sorted(gammas)}

    def draw(figure):
        axes = figure.subplots()
        for name, i in looks(lines).items():
            axes.plot(moves, lines[name], **stroke(i), label=name)
        axes.axvline(rate, color=GREY, linestyle=":")
        axes.set_xscale("log")
        axes.set(xlabel="distance that each weight has moved", ylabel="stable rank", ylim=(0, None))
        axes.legend()

    half = {name: _halved(moves, values) for name, values in lines.items()}
    words = [f"{name} at {m:.2g}" if m < math.inf else f"{name} beyond the picture"
             for name, m in half.items()]  # fmt: skip
    alt = (
        f"Stable rank of a random {width} by {width} matrix after an update of rank one. It is "
        f"halved when every weight has moved by: {', '.join(words)}."
    )
    caption = "Dotted: one step at the common learning rate. Computed from one draw; no training."
    return Picture(anchor, draw, alt, caption, (7.2, 3.4))


# ---- parts of figures ----------------------------------------------------------------------------


def _origin(runs, tier: str) -> str:
    """Where the compared runs come from, those that diverged among them."""
    return provenance(runs[runs.role.isin(ROLES)], tier)


def _spectra(probes) -> list[dict]:
    return [probe for probe in probes if "tensors" in probe]


def _kind(name: str) -> str:
    """'mlp: up' of 'blocks.0.mlp.up.weight'."""
    parts = name.split(".")[:-1]
    return ": ".join(parts[2:] if parts[0] == "blocks" else parts)


def _by_setting(runs) -> list:
    return list(runs.groupby("setting", sort=False))


def _roles(runs) -> list[str]:
    return [role for role in ROLES if role in set(runs.role)]


def _draw_paths(axes, runs, measure: str, names, lowest: bool = False) -> None:
    look = looks(runs.setting)
    for setting, mine in _by_setting(runs):
        steps, values = over_runs(mine, measure, names)
        band(axes, steps, values, label=setting, **style(look[setting]))
        if lowest:
            at = values.mean(0).argmin()
            axes.plot(steps[at], values.mean(0)[at], "x", color=GREY, markersize=9, zorder=5)
    axes.set_xscale("symlog", linthresh=1)


def _label_outside(figure, panels, words: str) -> None:
    figure.supylabel(words, fontsize=11)
    for axes in panels[-3:]:
        axes.set_xlabel(STEP)


def _doublings(axes) -> None:
    """A logarithmic axis of plain numbers, a tick at each doubling."""
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()


def _draw_changes(axes, found, change: str) -> None:
    """Dots and intervals, a line of the axis a kind, settings one below the other."""
    order, numbers = list(found.kind.unique()), looks(found.setting)
    for place, (setting, mine) in enumerate(_by_setting(found)):
        i, shift = numbers[setting], 0.22 * (place - (found.setting.nunique() - 1) / 2)
        places = mine.kind.map(order.index) + shift
        dots_beside(axes, np.exp(mine[change]), places, COLOURS[i % 6], (0, 4))
        rows = [(order.index(kind) + shift, *_factor_interval(part[change]))
                for kind, part in mine.groupby("kind", sort=False)]  # fmt: skip
        y, mean, low, high = np.array(rows).T
        errors = np.nan_to_num([mean - low, high - mean])
        look = {**style(i), "linestyle": "none"}
        axes.errorbar(mean, y, xerr=errors, capsize=2, markersize=4, label=setting, **look)
    axes.axhline(0.5, color=GREY, linewidth=0.8)  # "all" stands apart
    axes.axvline(1, color=GREY, linestyle=":")
    axes.set_xscale("log")
    low, high = np.exp(found[change].min()), np.exp(found[change].max())
    axes.set_xticks(ticks := _factor_ticks(low, high), [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(order)), order)


def _factor_ticks(low: float, high: float) -> list[float]:
    """A handful of factors that cover a range: 1, 2, 4, ... or nearer, where the range is small."""
    base = 2 if high / low > 3 else 1.2
    return [round(base**i, 2) for i in range(12) if base**i <= high * base**0.5]


def _factor_interval(logs) -> tuple[float, float, float]:
    return tuple(map(math.exp, paired_interval(list(logs), 0.95)))


def _draw_against_loss(axes, runs, names) -> None:
    look = looks(runs.setting)
    for setting, mine in _by_setting(runs):
        i = look[setting]
        for number, run in enumerate(mine.itertuples()):
            steps, values = path(run, "stable_rank", names)
            losses, shares = loss_at(run, steps), values / values[0]
            at, label = shares.argmin(), setting if number == 0 else None
            colour = COLOURS[i % 6]
            axes.plot(losses, shares, color=colour, linewidth=1, alpha=0.7)
            axes.plot(losses[at], shares[at], MARKERS[i % 6], color=colour, markersize=6,
                      label=label)  # fmt: skip
    _doublings(axes)


def _film(runs, tensor: str, by: str) -> list:
    """(step, shares (runs, values)) of a handful of steps, the first and the last among them."""
    found = []
    spectra = [_spectra(run.probes) for run in runs.itertuples()]
    count = len(spectra[0])
    for at in sorted({0, *range(max(0, count - FRAMES + 1), count)}):
        tensors = [probes[at]["tensors"][tensor] for probes in spectra]
        values = np.array([t["singular_values"] for t in tensors])
        norms = np.array([[t["norm"]] for t in tensors])
        shares = values / values[:, :1] if by == "largest" else (values / norms) ** 2
        found.append((spectra[0][at]["step"], shares))
    return found


def _draw_frame(axes, values, colour) -> None:
    places, mean = range(1, values.shape[1] + 1), values.mean(0)
    axes.bar(places, mean, color=colour, width=0.8)
    axes.vlines(places, values.min(0), values.max(0), color=GREY, linewidth=1.2)


def _ranks_after(width: int, gamma: float, moves) -> list[float]:
    random = np.random.default_rng(0)
    draw = random.normal(0, width**-gamma, (width, width))
    signs = np.outer(*random.choice([-1.0, 1.0], (2, width)))
    spectra = [np.linalg.svd(draw + move * signs, compute_uv=False) for move in moves]
    return [float((s**2).sum() / s[0] ** 2) for s in spectra]


def _halved(moves, values) -> float:
    """The move at which the rank is half, on a line in its logarithm between two points; or inf."""
    below = np.flatnonzero(np.array(values) <= values[0] / 2)
    if len(below) == 0:
        return math.inf
    around = slice(below[0] - 1, below[0] + 1)
    falling = -np.array(values)[around]  # np.interp wants what rises
    return float(np.exp(np.interp(-values[0] / 2, falling, np.log(moves)[around])))


# ---- words ---------------------------------------------------------------------------------------


def _rank_in_words(runs) -> str:
    steps, values = over_runs(runs, "stable_rank")
    mean = values.mean(0)
    at = mean.argmin()
    return (f"{mean[0]:.1f} at the start, lowest {mean[at]:.1f} at step {steps[at]}, "
            f"{mean[-1]:.1f} at the end")  # fmt: skip


def _factors(found) -> str:
    """'one common learning rate: gamma 0.5 fell 3.1 and rose 1.02 times, ...'."""
    means = found[found.kind == "all"].groupby(["role", "setting"], sort=False)[["fell", "rose"]]
    parts = {}
    for (role, setting), row in np.exp(means.mean()).iterrows():
        words = f"{setting} fell {row.fell:.2f} and rose {row.rose:.2f} times"
        parts.setdefault(role, []).append(words)
    return "; ".join(f"{ROLES[role]}: {', '.join(words)}" for role, words in parts.items())


def _timing_in_words(runs) -> str:
    means = timing(runs).groupby(["role", "setting"], sort=False)[["step", "loss"]].mean()
    parts = {}
    for (role, setting), row in means.iterrows():
        words = f"{setting} at step {row.step:.0f} and loss {row.loss:.2f}"
        parts.setdefault(role, []).append(words)
    return "; ".join(f"{ROLES[role]}: {', '.join(words)}" for role, words in parts.items())


def _film_in_words(film, by: str) -> str:
    """The second value against the first, or the share of the first: at start, extreme and end."""
    place = 1 if by == "largest" else 0
    means = [(step, shares.mean(0)[min(place, shares.shape[1] - 1)]) for step, shares in film]
    extreme = (min if by == "largest" else max)(means, key=lambda pair: pair[1])
    name = "the second is" if by == "largest" else "the first holds"
    return (f"{name} {means[0][1]:.2f} at the start, {extreme[1]:.2f} at step {extreme[0]}, "
            f"{means[-1][1]:.2f} at the end")  # fmt: skip


def _directions_in_words(runs, neurons) -> str:
    steps, values = over_runs(runs, "mean_cosine", neurons)
    mean = values.mean(0)
    at = mean.argmax()
    return (f"mean |cosine| {mean[0]:.2f} at the start, highest {mean[at]:.2f} at step "
            f"{steps[at]}, {mean[-1]:.2f} at the end")  # fmt: skip
