"""The constants of plateau.py, found again in the records of the first edition."""

from collections import defaultdict
from dataclasses import replace

import numpy as np

from ..gpt.config import InitConfig
from ..gpt.options import OptimConfig, ProbeConfig
from ..gpt.schedule import learning_rate
from ..lab.bundle import read_bundle
from ..lab.collapse import MARGIN, collapsed
from ..lab.frame import load_records
from ..project import root
from .plateau import (
    ENTROPIES,
    NONE_BELOW,
    RULES,
    VOCABULARY,
    Rule,
    collapse_index,
    small_branch,
)

LAST_DAY = "2026-11-26"  # of the first edition: what was trained later tests the laws
SMALL = 0.9  # gammas from here on have the plateau that collapses
NONE_MARGIN = 0.05  # nats; the sd of a difference of means of two seeds is 0.03
FEWEST = 3  # rates of a setting: with fewer there is nothing to compare a run with


def all_records() -> list:
    """What pages read still, and what the first edition had besides (results/first_edition)."""
    return load_records("laptop") + read_bundle(root() / "results/first_edition/records.jsonl.gz")


def first_edition(records) -> list:
    """The records behind the laws: prose, the base recipe but for init, size, rate and warm-up."""
    return [record for record in records if _counts(record)]


def _counts(record) -> bool:
    config = record.config
    if record.provenance["date"][:10] > LAST_DAY or config.data.kind != "text":
        return False
    plain = OptimConfig(config.optim.learning_rate, warmup=config.optim.warmup)
    same = config.optim == plain and not config.init.parts and not config.init.depth_scaling
    model = not config.model.gate and config.model.norm_eps == 1e-5
    text = config.data.corpus == "sotu" and config.data.vocab_size == VOCABULARY
    return same and model and text and warmup_steps(config) > 0


def warmup_steps(config) -> int:
    """n_w: the warm-up of a run in steps, as optim.py counts it."""
    return round(config.optim.warmup * config.steps)


def start_std(config) -> float:
    """s: the std that a matrix whose input is the residual stream is drawn with."""
    init = config.init
    return init.std if init.gamma is None else config.model.width**-init.gamma


def ladders(records, fewest: int = FEWEST) -> dict:
    """{setting: its records}: runs that differ in rate, seed and probes only, of enough rates."""
    found = defaultdict(list)
    for record in records:
        config = record.config
        optim = replace(config.optim, learning_rate=0.0)
        found[replace(config, optim=optim, seed=0, probes=ProbeConfig())].append(record)
    return {setting: runs for setting, runs in found.items()
            if len({run.config.optim.learning_rate for run in runs}) >= fewest}  # fmt: skip


def loss(record) -> float:
    """The final validation loss in nats; infinite if the run diverged."""
    found = record.final["validation_loss"]
    return np.inf if found is None else found


def outcomes(records) -> list[tuple]:
    """(record, collapsed) of every run of a ladder, whatever its start."""
    found = []
    for runs in ladders(records).values():
        rates = [run.config.optim.learning_rate for run in runs]
        found += zip(runs, collapsed(rates, [loss(run) for run in runs]), strict=True)
    return found


def coordinates(configs) -> tuple[np.ndarray, ...]:
    """Learning rate, width, warm-up steps and vocabulary of runs, each (runs,)."""
    rows = [(c.optim.learning_rate, c.model.width, warmup_steps(c), c.model.vocab_size)
            for c in configs]  # fmt: skip
    return tuple(np.array(rows, float).T)


def fit_rule(rule: Rule, places, happened, exponents: bool = False) -> Rule:
    """The threshold and slope (and exponents, if asked) under which what happened is likeliest."""
    from scipy.optimize import minimize  # not on top: what forecasts needs no scipy

    def made(values):
        shape = dict(zip(("width", "warmup"), values[2:], strict=False))
        return replace(rule, threshold=np.exp(values[0]), slope=np.exp(values[1]), **shape)

    def surprise(values):
        chance = np.clip(made(values).probability(*places), 1e-12, 1 - 1e-12)
        return -np.log(np.where(happened, chance, 1 - chance)).mean()

    middle = np.log(np.median(rule.index(*places)[happened]))
    start = [middle, 1.0] + [0.0] * 2 * exponents
    options = {"xatol": 1e-7, "fatol": 1e-12, "maxiter": 20000, "maxfev": 20000}
    return made(minimize(surprise, start, method="Nelder-Mead", options=options).x)


def small_starts(records) -> list:
    """Those of the first edition's records that begin with a plateau."""
    return [r for r in first_edition(records) if (r.config.init.gamma or 0) >= SMALL]


def fit_rules(records) -> dict[str, Rule]:
    """All rules of plateau.RULES, fitted on the same runs by the same procedure."""
    found = outcomes(small_starts(records))
    places = coordinates(run.config for run, _ in found)
    happened = np.array([bad for _, bad in found])
    return {name: fit_rule(rule, places, happened, name == "power")
            for name, rule in RULES.items()}  # fmt: skip


def highest_good_rate(rates, losses) -> float | None:
    """Where the mean loss crosses the lowest mean so far plus MARGIN, on a log scale of rates.

    None if that lies beyond the grid.
    """
    grid = np.unique(rates)
    means = np.array([np.mean(np.asarray(losses)[np.asarray(rates) == r]) for r in grid])
    over = means - np.minimum.accumulate(means) - MARGIN
    for i in range(int(means.argmin()), len(grid) - 1):
        if over[i + 1] > 0:
            share = -over[i] / (over[i + 1] - over[i])
            return float(grid[i] * (grid[i + 1] / grid[i]) ** share)
    return None


def good_rates(records) -> list[tuple]:
    """(std, width, warm-up steps, highest good rate) of each setting that has one in its grid."""
    found = []
    for setting, runs in ladders(first_edition(records)).items():
        rates = [run.config.optim.learning_rate for run in runs]
        if top := highest_good_rate(rates, [loss(run) for run in runs]):
            found.append((start_std(setting), setting.model.width, warmup_steps(setting), top))
    return found


def fit_highest(records) -> tuple[float, float, float]:
    """A and B of the highest good rate, and the root mean square error in octaves."""
    std, width, steps, top = np.array(good_rates(records)).T

    def error(logs):
        large, small = np.exp(logs)
        fourth = (large * std / np.sqrt(width)) ** 4 + (small * steps ** (2 / 3) / width**2) ** 4
        return np.log2(fourth) / 4 - np.log2(top)

    from scipy.optimize import least_squares

    best = least_squares(error, [0.4, 0.9])
    return *np.exp(best.x), float(np.sqrt((best.fun**2).mean()))


def grid_minimum(gammas, losses, margin: float = NONE_MARGIN) -> float | None:
    """The best gamma of a grid at one rate: the vertex of a parabola through means of the losses.

    Through the lowest mean and its two neighbors in gamma. None ("smaller is never worse") if the
    smallest start of the grid is within `margin` nats of the lowest mean; the end of the grid if
    the largest start has the lowest mean.
    """
    grid = np.unique(gammas)
    means = np.array([np.mean(np.asarray(losses)[np.asarray(gammas) == g]) for g in grid])
    low = int(means.argmin())
    if means[-1] - means[low] <= margin:
        return None
    if low == 0:
        return float(grid[0])
    curve = np.polyfit(grid[low - 1 : low + 2], means[low - 1 : low + 2], 2)
    return float(-curve[1] / (2 * curve[0]))


def best_gammas(records, fewest: int = 4) -> list[tuple]:
    """(width, rate, warm-up steps, best gamma or None) of settings with so many gammas at a rate.

    A setting is all but gamma, seed and probes.
    """
    groups = defaultdict(list)
    for record in records:
        if record.config.init.gamma is not None:
            key = replace(record.config, init=InitConfig(0.5), seed=0, probes=ProbeConfig())
            groups[key].append((record.config.init.gamma, loss(record)))
    grids = {key: zip(*runs, strict=True) for key, runs in groups.items()
             if len({gamma for gamma, _ in runs}) >= fewest}  # fmt: skip
    return [(key.model.width, key.optim.learning_rate, warmup_steps(key), grid_minimum(*grid))
            for key, grid in grids.items()]  # fmt: skip


def fit_critical(records, least: float = NONE_BELOW) -> float:
    """The mean of lr sqrt(d) / s_c, on a log scale, where there is a best gamma."""
    found = [rate * width**0.5 / width**-gamma
             for width, rate, steps, gamma in best_gammas(first_edition(records))
             if gamma is not None and rate >= least * small_branch(width, steps)]  # fmt: skip
    return float(np.exp(np.mean(np.log(found))))


def path(config, step: float) -> float:
    """d x (sum of the learning rates of the steps up to here)."""
    rates = [learning_rate(config.optim, i, config.steps) for i in range(config.steps)]
    sums = np.concatenate([[0.0], np.cumsum(rates)])
    return config.model.width * float(np.interp(step, np.arange(config.steps + 1), sums))


def entropy(config) -> float:
    """H of the text of a run, in nats."""
    return ENTROPIES[config.data.corpus, config.data.vocab_size]


def path_at(record, ahead: float) -> float | None:
    """The path where the training loss is first `ahead` nats below H; None if it never is."""
    steps, losses = np.array(record.curves["train"]).T
    below = np.flatnonzero(losses < (level := entropy(record.config) - ahead))
    if not len(below) or not below[0]:
        return None
    pair = slice(below[0] - 1, below[0] + 1)
    return path(record.config, np.interp(-level, -losses[pair], steps[pair]))


def fit_paths(records, ahead: float) -> tuple[float, float]:
    """The mean path (of logs) of gamma 1 off the collapse, x < 0.5, and its sd in octaves."""
    found = [path_at(r, ahead) for r in first_edition(records) if r.config.init.gamma == 1
             and collapse_index(*(v[0] for v in coordinates([r.config])[:3])) < 0.5]  # fmt: skip
    logs = np.log2([value for value in found if value])
    return float(2 ** logs.mean()), float(logs.std())


def early(record) -> tuple[float, float]:
    """(training loss, path) at a fifth of the steps."""
    step = record.config.steps / 5
    return float(np.interp(step, *np.array(record.curves["train"]).T)), path(record.config, step)


def fit_early(records) -> tuple[float, float, float]:
    """PACE, TURN and EARLY_SLOPE, under which what happened to small starts is likeliest."""
    found = outcomes(small_starts(records))
    happened = np.array([bad for _, bad in found])
    places = np.array([early(run) for run, _ in found])
    above = places[:, 0] - [entropy(run.config) for run, _ in found]
    rows = np.stack([np.ones(len(found)), above, np.log(places[:, 1])], axis=1)
    sign = np.where(happened, -1, 1)
    from scipy.optimize import minimize

    best = minimize(lambda w: np.logaddexp(0, sign * (rows @ w)).mean(), np.zeros(3))
    level, slope, pace = best.x
    return pace / slope, float(np.exp(-level / pace)), slope
