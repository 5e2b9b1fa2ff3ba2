"""Figures of condensation: what becomes of the spectra and directions of weights along a run.

Runs are rows of a frame (lab.frame, with roles) whose records hold spectra (gpt/scores.py).
"""

import math

import numpy as np
import pandas as pd

from ...analysis.frames import compared
from ...analysis.spectra import EMBEDDING, guessing, kinds, loss_at, path, probed, spectra_of
from ...plots import (
    COLOURS,
    GREY,
    Bars,
    Curves,
    Estimates,
    Picture,
    Ways,
    compose,
    looks,
    nothing,
    points,
    provenance,
)
from ...plots.curves import doublings, falling, lowest
from ...plots.style import MARKERS, stroke
from .numbers import by_variant, changes, timing

FRAMES = 7  # of a filmstrip: the start, and the last ones
CHANGES = {"fell": "fell to its lowest, by a factor of", "rose": "rose again, by a factor of"}
STEP = "step (log from 1)"


def ranks(runs, tier: str, anchor: str = "fig-ranks") -> Picture:
    """The stable rank of every kind of matrix against the step: a panel a kind, a line a setting.

    Show runs of one role.
    """
    seen = probed(runs)
    panels = [_along(seen, "stable_rank", names, title=kind, doublings=True, label="stable rank",
                     mark=pd.Series.idxmin, alt=lambda: "") for kind, names in kinds(seen).items()]
    words = _along(seen, "stable_rank", None, form=".1f", tell=lowest).describe()
    caption = ("Mean over seeds, and of a kind over its layers; the band is the range of seeds. A "
               "grey cross is the lowest point of a mean.")
    return compose(anchor, "Stable rank over training, mean of all matrices", panels,
                   caption=caption, alt=words, legend=5, source=provenance(compared(runs), tier),
                   size=(7.2, 0.9 + 2.1 * math.ceil(len(panels) / 3)))


def _along(runs, measure: str, names, **more) -> Curves:
    """A measure of some matrices against the step, a line a setting."""
    table = points(runs, lambda run: path(run, measure, names))
    return Curves(table=table, xscale="symlog", xlabel=STEP, **more)


def fall_and_rise(runs, tier: str, anchor: str = "fig-fall-and-rise") -> Picture:
    """How far the stable rank fell, and how far it rose again, by kind; a row a variant."""
    tables = {variant: changes(rows) for variant, rows in by_variant(runs).items()}
    tables = {variant: table for variant, table in tables.items() if len(table)}
    table = pd.concat([changes(runs[:0]), *tables.values()])
    ticks = {change: _ticks(*np.exp([table[change].min(), table[change].max()]))
             for change in CHANGES} if len(table) else {}
    grid = [[_factors(rows, change, variant, ticks[change]) for change in CHANGES]
            for variant, rows in tables.items()]
    words = [f"{variant}: {_in_words(rows)}" for variant, rows in tables.items()]
    return compose(anchor, "Factors by which the stable rank fell and rose again, all matrices",
                   grid or [[]], alt="; ".join(words), legend=3, share=("col", "all"),
                   caption="Dots are runs, bars 95 % intervals over seeds. Each matrix has its own "
                   "lowest point.", source=provenance(compared(runs), tier),
                   size=(7.2, 0.8 + 3.1 * len(grid)))


def _in_words(table) -> str:
    of = np.exp(table[table.kind == "all"].groupby("setting", sort=False)[list(CHANGES)].mean())
    return ", ".join(f"{row.Index} fell {row.fell:.2f} and rose {row.rose:.2f} times"
                     for row in of.itertuples())


def _factors(table, change: str, variant: str, ticks: list[float]) -> Estimates:
    """Estimates of the logarithms, on an axis that has their factors."""

    def axis(axes):
        axes.axhline(0.5, color=GREY, linewidth=0.8)  # "all" stands apart
        axes.set_xticks(np.log(ticks), [f"{tick:g}" for tick in ticks])

    return Estimates(table=table, x="kind", y=change, hue="setting", upright=False, zero=0,
                     title=variant if change == "fell" else "", xlabel=CHANGES[change], also=axis)


def _ticks(low: float, high: float) -> list[float]:
    """A handful of factors that cover a range: 1, 2, 4, ... or nearer, where the range is small."""
    base = 2 if high / low > 3 else 1.2
    return [round(base**i, 2) for i in range(12) if base**i <= high * base**0.5]


def against_loss(runs, tier: str, anchor: str = "fig-timing") -> Picture:
    """The stable rank, as a share of its start, against the loss: when in learning it is lowest."""
    seen = probed(runs, 3)
    plain, variants = guessing(seen), by_variant(seen)
    parts = {"all matrices": None, "embedding": [EMBEDDING]}
    grid = [[_by_loss(rows, names, plain, label=f"{part}:\nstable rank / start",
                      title=variant if names is None else "") for variant, rows in variants.items()]
            for part, names in parts.items()]
    means = timing(runs).groupby("setting", sort=False)[["step", "loss"]].mean()
    words = [f"{row.Index} at step {row.step:.0f} and loss {row.loss:.2f}"
            for row in means.itertuples()]
    caption = ("Learning goes to the right; a line is a run, a mark its lowest point. Dotted: the "
               f"loss of guessing by frequency, {plain:.2f} nats.")
    return compose(anchor, "Stable rank against the training loss. Lowest point", grid,
                   alt="; ".join(words), caption=caption, share=("all", "row"), legend=3,
                   source=provenance(compared(runs), tier), size=(7.2, 6.0))


def _by_loss(runs, names, plain: float, **more) -> Ways:
    def way(run):
        steps, values = path(run, "stable_rank", names)
        return loss_at(run, steps), values / values[0]

    table = points(runs, way)

    def lows(axes):
        for setting, i in looks(table.setting).items():
            of = table[table.setting == setting]
            low = of.loc[of.groupby("key").y.idxmin()]
            axes.plot(low.x, low.y, MARKERS[i % 6], color=COLOURS[i % 6], markersize=6)
        axes.axvline(plain, color=GREY, linestyle=":")
        doublings(axes)
        falling(axes)

    return Ways(table=table, also=lows, xlabel="training loss (nats per token)", **more)


def filmstrip(runs, tier: str, tensor: str = EMBEDDING, anchor: str = "fig-filmstrip") -> Picture:
    """The first singular values of a matrix, as shares of the largest, at a handful of steps: a row
    a setting."""
    seen = probed(runs)
    if not len(seen) or tensor not in spectra_of(seen.iloc[0].probes)[0]["tensors"]:
        return nothing(anchor)
    numbers = looks(seen.setting)
    grid = [[_frame(step, values, setting.replace(" with", "\nwith"),
                    COLOURS[numbers[setting] % 6], top=row == 0)
             for step, values in _film(group, tensor)]
            for row, (setting, group) in enumerate(seen.groupby("setting", sort=False))]
    words = [f"{setting}: {_film_words(_film(group, tensor))}"
            for setting, group in seen.groupby("setting", sort=False)]
    caption = (f"{tensor}, share of the largest; singular values from the largest. Mean over "
               "seeds; the lines are their range.")
    return compose(anchor, f"Singular values of {tensor} over training, share of the largest", grid,
                   alt="; ".join(words), caption=caption, legend=None,
                   source=provenance(compared(runs), tier), size=(7.2, 0.9 + 1.25 * len(grid)))


def _film(runs, tensor: str) -> list:
    """(step, shares (runs, values)) of a handful of steps, the first and the last among them."""
    spectra = [spectra_of(run.probes) for run in runs.itertuples()]
    count, film = len(spectra[0]), []
    for at in sorted({0, *range(max(0, count - FRAMES + 1), count)}):
        tensors = [probes[at]["tensors"][tensor] for probes in spectra]
        values = np.array([spectrum["singular_values"] for spectrum in tensors])
        film.append((spectra[0][at]["step"], values / values[:, :1]))
    return film


def _frame(step: int, values, setting: str, colour: str, top: bool) -> Bars:
    places = np.arange(values.shape[1])

    def ranges(axes):
        axes.vlines(places, values.min(0), values.max(0), color=GREY, linewidth=1.2)
        axes.set_xticks(places[[0, -1]], [1, len(places)])

    return Bars(table=pd.DataFrame({"mean": values.mean(0)}, index=places), label=setting,
                colours={"mean": (colour, {})}, title=f"step {step}" if top else "", also=ranges)


def _film_words(film) -> str:
    """The second value against the first: at the start, at its least and at the end."""
    means = [(step, shares.mean(0)[min(1, shares.shape[1] - 1)]) for step, shares in film]
    least = min(means, key=lambda pair: pair[1])
    return (f"the second is {means[0][1]:.2f} at the start, {least[1]:.2f} at step {least[0]}, "
            f"{means[-1][1]:.2f} at the end")


def one_update(width: int, gammas, rate: float, anchor: str = "fig-caution") -> Picture:
    """The stable rank of a fresh draw after an update of rank one: no learning, only sizes.

    Every weight moves by the same distance, as by Adam, with the signs of a matrix of rank one.
    """
    moves = np.geomspace(rate / 20, 100 * rate, 40)
    lines = {f"gamma {gamma:g}": _ranks_after(width, gamma, moves) for gamma in sorted(gammas)}
    table = pd.DataFrame([(name, 0, *xy) for name, values in lines.items()
                          for xy in zip(moves, values, strict=True)],
                         columns=["setting", "seed", "x", "y"])

    def one_step(axes):
        axes.axvline(rate, color=GREY, linestyle=":")
        axes.set_xscale("log")

    half = {name: _halved(moves, values) for name, values in lines.items()}
    words = [f"{name} at {move:.2g}" if move < math.inf else f"{name} beyond the picture"
             for name, move in half.items()]
    panel = Curves(table=table, spread="none", look=stroke, also=one_step, label="stable rank",
                   xlabel="distance that each weight has moved", axes={"ylim": (0, None)},
                   alt=lambda: ", ".join(words))
    return compose(anchor, f"Stable rank of a random {width} by {width} matrix after an update of "
                   "rank one. It is halved when every weight has moved by", [panel],
                   caption="Dotted: one step at the common learning rate. Computed from one draw; "
                   "no training.", size=(7.2, 3.8))


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
