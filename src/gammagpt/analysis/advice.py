"""Which gamma to take: what runs of a grid of gammas and learning rates say, and how far it holds.

Each learning rate has a best size of weights of its own (chapter "How small is too small?"):

    std*(rate) = const x rate^k                 a line through what was found at each rate
    gamma      = -ln std*(rate) / ln width      the rule, solved for gamma

Whoever tunes the rate for each gamma needs no such law: then the question is between which gammas
the tuned losses are told apart at all. The width enters by the formula alone: that std* stays when
the width changes is an assumption, and advice for another width says so.
"""

import math
from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np

from ..ledger.estimate import Estimate
from ..project import UserError

COLUMNS = ("setting", "role", "gamma", "parts", "seed", "learning_rate", "loss", "status",
           "resolved", "width", "n_layer", "tokens")
SIZE = {"width": "width", "n_layer": "layers", "tokens": "tokens"}  # column -> word
ALLOWED = "the frame of a study with a grid of gammas and rates, as that of critical_text"
FEWEST = 3  # rates whose best gamma lies inside the grid: a line through two always fits


@dataclass(frozen=True)
class Advice:
    """A gamma, what speaks for it, and where it leaves the ground of the evidence."""

    gamma: float
    low: float  # 95 % interval, or the range that is not told apart; nan if not known
    high: float
    basis: str  # a sentence: the runs, and what they say
    limits: tuple[str, ...] = ()  # what lies outside of the evidence

    @property
    def extrapolated(self) -> bool:
        return bool(self.limits)

    def __str__(self) -> str:
        known = f" [{self.low:.2f}, {self.high:.2f}]" if math.isfinite(self.low) else ""
        beyond = f" Extrapolated: {'; '.join(self.limits)}." if self.limits else ""
        return f"gamma {self.gamma:.2f}{known}. {self.basis}{beyond}"


@dataclass(frozen=True)
class Law:
    """log2 std* = slope x log2 rate + height, and the same of samples drawn again."""

    rates: np.ndarray  # (R,), those whose best gamma lies inside the grid
    stds: np.ndarray  # (R,), the best std at each
    line: np.ndarray  # (2,): slope, height
    again: np.ndarray  # (draws, 2), or (0, 2) where there is too little to draw from

    @property
    def exponent(self) -> tuple[float, float, float]:
        """k, with its 95 % interval."""
        return self._with_interval((1.0, 0.0))

    def octaves(self, rate: float) -> tuple[float, float, float]:
        """log2 std*(rate), with its 95 % interval."""
        return self._with_interval((math.log2(rate), 1.0))

    def _with_interval(self, times) -> tuple[float, float, float]:
        value = float(self.line @ times)
        if not len(self.again):
            return value, math.nan, math.nan
        low, high = np.nanquantile(self.again @ times, (0.025, 0.975))
        return value, float(low), float(high)


def pick_gamma(
    width: int, learning_rate: float | None = None, *, evidence, n_layer: int | None = None,
    tokens: float | None = None,
) -> Advice:
    """The gamma that `evidence` speaks for, with an interval and in words how far it holds.

    With a `learning_rate`, that of the run at its peak: gamma = -ln std*(rate) / ln width, with a
    95 % bootstrap interval over seeds and rates. Without, the rate is going to be tuned: then the
    gamma of the least tuned loss, and the range around it in which losses are not told apart.

    Args: `width`, the d_in of most matrices; `n_layer` and `tokens` (those trained on) of the run,
    to be compared with the evidence; `evidence`, a frame of LearningRateStudy.collect with plain
    gammas at one size of model, tuning runs for a given rate and tuned runs for one to be tuned.
    Raises UserError for impossible numbers, and for evidence that cannot say.
    """
    asked = {"width": width, "n_layer": n_layer, "tokens": tokens}
    for name, value, least in (("width", width, 2), ("n_layer", n_layer, 1), ("tokens", tokens, 1)):
        if value is not None or name == "width":
            _check(name, value, least, whole=name != "tokens")
    if learning_rate is not None:
        _check("learning_rate", learning_rate, 0.0)
    runs = plain(evidence)
    size = {name: runs[name].iloc[0] for name in SIZE}
    found, basis, limits = _tuned(runs) if learning_rate is None else _at(runs, learning_rate)
    role = "tuned" if learning_rate is None else "tuning"
    beyond = [_limit(name, asked[name], size[name]) for name in SIZE
              if asked[name] not in (None, size[name])]
    gamma, low, high = (g * math.log(size["width"]) / math.log(width) for g in found)
    return Advice(gamma, low, high, f"{basis} {_origin(runs, role, size)}",
                  (*beyond, *limits))


def law(evidence, draws: int = 1000) -> Law:
    """How the best std goes with the rate, on the tuning seeds; a line through logarithms.

    At each rate: the vertex of a parabola through the least mean loss and its neighbours. Drawn
    again, with replacement, are the seeds (the same ones for all rates) and the rates.
    Raises UserError with fewer than three rates whose minimum lies inside the grid of gammas.
    """
    from .learning_rates import best_lr

    runs = plain(evidence)
    across, octaves = _across(runs), math.log2(runs.width.iloc[0])
    best = -octaves * across.of_mean(best_lr) if across.losses.size else np.empty(0)
    known = np.isfinite(best)
    if known.sum() < FEWEST:
        raise UserError(f"evidence: got {known.sum()} learning rates whose best gamma lies inside "
                        f"the grid, needed are {FEWEST}")

    def line(seeds, chosen):
        part = replace(across, losses=across.losses[chosen][:, seeds])
        return _line(np.log2(across.gammas[chosen]), -octaves * part.of_mean(best_lr))

    (count, seeds, _), rng = across.losses.shape, np.random.default_rng(0)
    again = [line(rng.integers(seeds, size=seeds), rng.integers(count, size=count))
             for _ in range(draws if count > FEWEST and seeds > 1 else 0)]
    return Law(
        across.gammas[known], np.exp2(best[known]),
        _line(np.log2(across.gammas), best), np.array(again).reshape(-1, 2),
    )


def _across(runs):
    """The losses turned: over gammas, along each learning rate; their `gammas` are the rates."""
    from .learning_rates import losses_by_rate

    found = losses_by_rate(runs)
    losses = found.losses.transpose(2, 1, 0)
    return replace(found, gammas=found.rates, rates=2.0**found.gammas, losses=losses)


def plain(evidence):
    """The rows that are evidence: one gamma for all matrices, and nothing else changed.

    Raises UserError for a frame that is none, or that mixes sizes of model or lengths of training.
    """
    if evidence is None or not len(evidence):
        raise UserError(f"evidence: got no runs, allowed is {ALLOWED}")
    missing = [name for name in COLUMNS if name not in getattr(evidence, "columns", ())]
    if missing:
        raise UserError(f"evidence: got no column {missing[0]}, allowed is {ALLOWED}")
    runs = evidence[evidence.setting.str.fullmatch(r"gamma [\d.]+") & evidence.gamma.notna()]
    if not len(runs):
        raise UserError(f"evidence: got no run with one gamma for all, allowed is {ALLOWED}")
    for name, word in SIZE.items():
        if runs[name].nunique() > 1:
            values = ", ".join(f"{value:g}" for value in sorted(runs[name].unique()))
            raise UserError(f"evidence: got runs of {word} {values}, allowed is one of them")
    return runs


def _at(runs, rate: float):
    """(gamma, low, high) of the evidence's width at a rate; the sentence; what is beyond."""
    found = law(runs)
    best, low, high = found.octaves(rate)
    std = float(np.exp2(best))
    basis = (f"At learning rate {rate:g} the best standard deviation is {std:.2g}: it goes as the "
             f"rate to the power {Estimate(*found.exponent):.2f}.")
    stds = runs.width.iloc[0] ** -runs.gamma  # those tried, not only those found best
    ends = {"learning rate": (rate, found.rates), "standard deviation": (std, stds)}
    limits = [f"{name} {value:.2g} (evidence: {min(seen):.2g} to {max(seen):.2g})"
              for name, (value, seen) in ends.items()
              if not min(seen) * 0.999 <= value <= max(seen) * 1.001]
    return [-x / math.log2(runs.width.iloc[0]) for x in (best, high, low)], basis, limits


def _tuned(runs):
    """The same, if each gamma has its own best rate: the least loss, and what rivals it."""
    from ..ledger.statistics import paired_interval
    from .learning_rates import by_gamma

    tuned = runs[(runs.role == "tuned") & runs.resolved.astype(bool)]
    table = by_gamma(tuned)
    table = table.loc[:, np.isfinite(table).all()]
    if len(table) < 2 or not len(table.columns):
        raise UserError("evidence: got no gamma with two tuned seeds whose best rate is inside "
                        "the grid, needed is one")
    gammas, least = list(table.columns), table.mean().idxmin()
    above = [paired_interval(list(table[g] - table[least]), 0.95) for g in gammas]
    first = last = gammas.index(least)
    while first > 0 and not above[first - 1][1] > 0:
        first -= 1
    while last < len(gammas) - 1 and not above[last + 1][1] > 0:
        last += 1
    rate = tuned[tuned.gamma == least].learning_rate.iloc[0]
    most = max(high for _, _, high in above[first : last + 1])
    words = (f"With the learning rate tuned for each, gamma {least:g} ends lowest, at the rate "
             f"{rate:g}; {gammas[first]:g} to {gammas[last]:g} are not told apart from it by so "
             f"few seeds, and by its interval one may lose up to {most:.3f} nats.")
    ends = [g for g, at in ((gammas[first], 0), (gammas[last], -1)) if g == gammas[at]]
    words += f" The grid ends at {' and '.join(f'{g:g}' for g in ends)}." if ends else ""
    return (least, gammas[first], gammas[last]), words, []


def _line(x, y) -> np.ndarray:
    known = np.isfinite(y)
    if len(np.unique(x[known])) < 2:
        return np.array([math.nan, math.nan])
    return np.polyfit(x[known], y[known], 1)


def _limit(name: str, asked, seen) -> str:
    words = f"{SIZE[name]} {asked:,.0f} (evidence: {seen:,.0f}"
    return words + ("; assumed: the deviation stays, not gamma)" if name == "width" else ")")


def _origin(runs, role: str, size: dict) -> str:
    count = (runs.role == role).sum()
    return (f"From {count} {role} runs of width {size['width']}, {size['n_layer']} layers and "
            f"{size['tokens'] / 1e6:.2g} million tokens.")


def _check(name: str, value, least: float, whole: bool = False) -> None:
    number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    if not number or not least <= value < math.inf or value <= 0:
        kind = f"a whole number from {least:g}" if whole else "a positive number"
        raise UserError(f"{name}: got {value!r}, allowed is {kind}")
