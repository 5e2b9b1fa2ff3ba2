"""The final loss of a setting over the learning rates, on the tuning seeds.

Where the best rate of each is, how far it may be missed, and how both move with a setting. Octaves
are factors of two. Runs are rows of a frame (lab.frame, with roles).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

LOST = 0.1  # nats that a badly chosen rate may cost: what "sensitive" means here


@dataclass(frozen=True)
class LossesByRate:
    """Final losses of S settings on K tuning seeds at R learning rates; inf where a run diverged"""

    gammas: np.ndarray  # (S,)
    stds: np.ndarray  # (S,), width^-gamma: of all matrices that read from the residual stream
    rates: np.ndarray  # (R,)
    losses: np.ndarray  # (S, K, R)

    def __len__(self) -> int:
        return len(self.gammas)

    def of_mean(self, measure) -> np.ndarray:
        """(S,): a measure (rates, losses) -> number of the mean loss over the seeds."""
        return self._each(measure, self.losses.mean(1))

    def of_seeds(self, measure) -> np.ndarray:
        """(S, K): the same of each tuning seed alone."""
        return self._each(measure, self.losses)

    def _each(self, measure, losses) -> np.ndarray:
        values = [measure(self.rates, row) for row in losses.reshape(-1, len(self.rates))]
        return np.array(values, dtype=float).reshape(losses.shape[:-1])


def losses_by_rate(runs) -> LossesByRate:
    """Those of the settings with one gamma for all matrices and a tuning grid that is whole."""
    none = LossesByRate(np.empty(0), np.empty(0), np.ones(1), np.empty((0, 1, 1)))
    if not len(runs):
        return none
    tuning = runs[(runs.role == "tuning") & runs.gamma.notna() & (runs.parts == "")]
    if not len(tuning):
        return none
    table = tuning.pivot_table(
        index="gamma", columns=["seed", "learning_rate"], values="loss"
    ).dropna()
    seeds, rates = (level.to_numpy(dtype=float) for level in table.columns.levels)
    gammas = table.index.to_numpy(dtype=float)
    losses = table.to_numpy().reshape(len(gammas), len(seeds), len(rates))
    return LossesByRate(gammas, float(tuning.width.iloc[0]) ** -gammas, rates, losses)


def best_lr(rates, losses) -> float:
    """The best rate, log2: the vertex of a parabola through the lowest point and its neighbours.

    nan if the lowest point is the grid's first or last one, or if a neighbour diverged.
    """
    at = int(np.argmin(losses))
    if not 0 < at < len(losses) - 1 or not np.isfinite(losses[at - 1 : at + 2]).all():
        return math.nan
    x, y = np.log2(rates[at - 1 : at + 2]), losses[at - 1 : at + 2]
    first, second = np.diff(y) / np.diff(x)  # Newton's form of the parabola
    curvature = (second - first) / (x[2] - x[0])
    return (x[0] + x[1]) / 2 - first / (2 * curvature) if curvature > 0 else x[1]


def upper_end(rates, losses) -> float:
    """How high a rate may be that loses at most LOST against the grid's best; log2.

    Losses between the points of the grid lie on straight lines over the logarithm of the rate.
    nan if the grid ends before.
    """
    at = int(np.argmin(losses))
    rises = losses[at:] - losses[at] if np.isfinite(losses[at]) else np.zeros(1)
    beyond = np.flatnonzero(rises > LOST)
    if not len(beyond):
        return math.nan
    after, octaves = beyond[0], np.log2(rates[at:])
    share = (LOST - rises[after - 1]) / (rises[after] - rises[after - 1])  # 0 before a divergence
    return octaves[after - 1] + share * (octaves[after] - octaves[after - 1])


def lower_end(rates, losses) -> float:
    """How low it may be; as `upper_end`."""
    return -upper_end(1 / rates[::-1], losses[::-1])


def slow_side(rates, losses) -> float:
    """By how many octaves a rate may miss the best one from below and lose at most LOST."""
    return best_lr(rates, losses) - lower_end(rates, losses)


def fast_side(rates, losses) -> float:
    """By how many from above."""
    return upper_end(rates, losses) - best_lr(rates, losses)


def lr_range(rates, losses) -> float:
    """Both sides together, in octaves; nan if the grid ends on one of them."""
    return upper_end(rates, losses) - lower_end(rates, losses)


# ---- trends over settings ------------------------------------------------------------------------


def slope_of(x, y) -> float:
    """Of the least-squares line; nan with fewer than two different x."""
    known = np.isfinite(x) & np.isfinite(y)
    if len(np.unique(x[known])) < 2:
        return math.nan
    return float(np.polyfit(x[known], y[known], 1)[0])


def trend(found: LossesByRate, measure, x, draws: int = 1000) -> tuple[float, float, float]:
    """Slope of a measure of valleys on x (S,), with a 95 % bootstrap interval (percentiles).

    Drawn again, with replacement, are the tuning seeds (the same ones for all settings) and the
    settings. No interval (nan) with fewer than two seeds or four settings.
    """

    def slope(seeds, chosen):
        again = replace(found, losses=found.losses[chosen][:, seeds])
        return slope_of(x[chosen], again.of_mean(measure))

    settings, seeds, _ = found.losses.shape
    value = slope_of(x, found.of_mean(measure)) if settings else math.nan
    if not math.isfinite(value) or settings < 4 or seeds < 2:
        return value, math.nan, math.nan
    rng = np.random.default_rng(0)
    again = [slope(rng.integers(seeds, size=seeds), rng.integers(settings, size=settings))
             for _ in range(draws)]
    low, high = np.nanquantile(again, (0.025, 0.975))
    return value, float(low), float(high)


def exponent(found: LossesByRate) -> tuple[float, float, float]:
    """b in: best rate = const x std^b, with its interval. 1 is exact exchange, 0 is none."""
    return trend(found, best_lr, np.log2(found.stds))


def dealt_exponents(found: LossesByRate, draws: int = 2000, seed: int = 0) -> np.ndarray:
    """Negative control: the exponents when the stds are dealt out to the valleys at random."""
    rng, y, x = np.random.default_rng(seed), found.of_mean(best_lr), np.log2(found.stds)
    return np.array([slope_of(rng.permutation(x), y) for _ in range(draws)])


def by_gamma(runs, metric: str = "loss") -> pd.DataFrame:
    """A row a seed, a column a gamma; inf where a run diverged. Seeds that have every gamma."""
    if not len(runs) or metric not in runs:
        return pd.DataFrame()
    values = runs.assign(value=runs[metric].where(runs.status == "ok", math.inf))
    return values.pivot(index="seed", columns="gamma", values="value").dropna()
