"""What the chapter on the critical gamma reads off runs: minima, how they move, plateaus.

The paper's definition of a critical initialization is not public: all definitions here are ours.
Pictures: figures.py.
"""

import math
from dataclasses import dataclass, replace
from math import nan

import numpy as np
import pandas as pd

from ...analysis.frames import of_role
from ...analysis.learning_rates import best_lr, by_gamma, losses_by_rate, trend
from ...lab.measures import HALF, crossing
from ...ledger.estimate import Estimate

SIZES = {"width": "width", "n_layer": "layers", "steps": "steps"}  # column -> name
FLAT = 0.5  # of the grid that an interval must cover for the bottom to be called flat


@dataclass(frozen=True)
class Minimum:
    """Where the mean over seeds is least on a grid of gammas; nan where that is not known."""

    least: float = nan  # a gamma of the grid
    value: float = nan  # the vertex of a parabola through it and its neighbours; at an end: least
    low: float = nan  # 95 % bootstrap over seeds
    high: float = nan
    ends: tuple = (nan, nan)  # of the grid

    @property
    def edge(self) -> bool:
        return self.least == self.ends[0] or self.least == self.ends[1]

    @property
    def share(self) -> float:
        """Of the grid that the interval covers."""
        return (self.high - self.low) / (self.ends[1] - self.ends[0])

    @property
    def kind(self) -> str:
        """not run, one seed, flat, edge, open (the interval reaches an end of it) or inside."""
        tests = {
            "not run": math.isnan(self.least), "one seed": math.isnan(self.low),
            "flat": self.share > FLAT, "edge": self.edge,
            "open": self.low == self.ends[0] or self.high == self.ends[1],
        }  # fmt: skip
        return next((name for name, holds in tests.items() if holds), "inside")

    @property
    def estimate(self) -> Estimate:
        return Estimate(self.value, self.low, self.high)

    def __str__(self) -> str:
        return f"{self.estimate:.2f}" + ", the end of the grid" * bool(self.edge)


def minimum(table, draws: int = 1000) -> Minimum:
    """Of a table as `by_gamma` gives it. Seeds are drawn again, the same ones for all gammas."""
    gammas, values, n = table.columns.to_numpy(dtype=float), table.to_numpy(), len(table)
    mean = values.mean(0) if n else np.empty(0)
    if len(gammas) < 3 or not np.isfinite(mean).any():  # of two, one is always least
        return Minimum()
    drawn = np.sort(np.random.default_rng(0).integers(n, size=(draws, n)))
    drawn, times = np.unique(drawn, axis=0, return_counts=True)  # few seeds: many draws are alike
    again = np.repeat([vertex(gammas, values[seeds].mean(0)) for seeds in drawn], times)
    low, high = np.nanquantile(again, (0.025, 0.975)) if n > 1 else (nan, nan)
    ends = gammas[0], gammas[-1]
    return Minimum(gammas[mean.argmin()], vertex(gammas, mean), low, high, ends)


def vertex(gammas, mean) -> float:
    """Of the parabola through the least mean and its neighbours; without both, where it is."""
    exact = best_lr(2.0**gammas, mean)  # which works on the logarithm
    at = gammas[mean.argmin()] if np.isfinite(mean).any() else nan
    return float(exact if math.isfinite(exact) else at)


def minima(tables: dict) -> pd.DataFrame:
    """{name: table as of `by_gamma`} -> a row a name: where the loss is least, and how it is known.

    `grid`: the share of the grid of gammas that the interval covers. `kind`: that of Minimum.
    """
    rows = [(name, f"{least.least:g}", str(least), f"{least.share:.0%}", least.kind)
            for name, least in ((name, minimum(table)) for name, table in tables.items())
            if least.kind != "not run"]
    return pd.DataFrame(rows, columns=["", "least at", "minimum", "grid", "kind"])


def as_table(places: dict) -> pd.DataFrame:
    """{x: Minimum} as a table of estimates for a figure: x, y, low, high, resolved."""
    rows = [(x, *place.estimate, not place.edge) for x, place in places.items()
            if place.kind != "not run"]
    return pd.DataFrame(rows, columns=["x", "y", "low", "high", "resolved"])


def across_rates(runs, metric: str = "loss") -> dict[float, Minimum]:
    """Learning rate -> Minimum, of the tuning runs."""
    tuning = of_role(runs, "tuning")
    groups = tuning.groupby("learning_rate") if len(tuning) else ()
    return {rate: minimum(by_gamma(group, metric)) for rate, group in groups}


def along_training(runs, role: str = "common") -> dict[int, Minimum]:
    """Step -> Minimum of the validation loss at that step; a run that diverged is worst then on."""
    rows = [(run.seed, run.gamma, *point) for run in of_role(runs, role).itertuples()
            for point in run.curve if point[0]]  # fmt: skip
    curves = pd.DataFrame(rows, columns=["seed", "gamma", "step", "loss"])
    curves = curves.pivot(index=["seed", "gamma"], columns="step", values="loss").fillna(math.inf)
    return {step: minimum(curves[step].unstack("gamma").dropna()) for step in curves}


def across_sizes(runs) -> dict[str, dict[int, Minimum]]:
    """{column of SIZES: {its value: Minimum}} at the common rate; one size changes at a time.

    The first run has the usual size. Of the gammas, only those that every size has are looked at.
    """
    common = of_role(runs, "common")
    if not len(common):
        return {}
    usual, sizes = common.iloc[0], list(SIZES)
    every = set.intersection(*(set(group.gamma) for _, group in common.groupby(sizes)))
    common, found = common[common.gamma.isin(every)], {}
    for column in sizes:
        others = [name for name in sizes if name != column]
        alike = common[(common[others] == usual[others]).all(axis=1)]
        if alike[column].nunique() > 1:
            groups = alike.groupby(column)
            found[column] = {int(x): minimum(by_gamma(group)) for x, group in groups}
    return found


def of_one_std(gamma: float, width: int, other: int) -> float:
    """The gamma that another width needs for the same standard deviation."""
    return gamma * math.log(width) / math.log(other)


def exchange(runs) -> tuple[float, float, float]:
    """c in: critical std = const x rate^c, with its interval (valleys.trend).

    1 if only the relative step counted, 0 if the critical gamma did not move. Without the rates
    whose minimum is at an end of the grid.
    """
    found = losses_by_rate(runs)
    if len(found) < 3:
        return nan, nan, nan
    octaves = np.log2(found.rates) / np.log2(runs.width.iloc[0])
    across = replace(found, gammas=found.rates, rates=2.0**found.gammas,
                     losses=found.losses.transpose(2, 1, 0))  # fmt: skip
    return trend(across, best_lr, -octaves)


def waiting(runs) -> pd.DataFrame:
    """The tuning runs with a column `waited`: steps until the loss is half-way down.

    That is from ln V, blind guessing, to the best final loss of all `runs`; by a line between two
    points of the curve. nan for a run that never gets there; no rows if none ended well.
    """
    tuning = of_role(runs, "tuning")
    if not len(tuning) or not np.isfinite(runs.loss).any():
        return tuning[:0]
    top, best = math.log(runs.vocab_size.iloc[0]), runs.loss.min()
    curves = [np.array(curve, dtype=float).reshape(-1, 2) for curve in tuning.curve]
    left = [np.column_stack([c[:, 0], (c[:, 1] - best) / (top - best)]) for c in curves]
    return tuning.assign(waited=[crossing(run, HALF) for run in left])


def with_tasks(runs, tasks=("memory", "reasoning", "unseen")) -> pd.DataFrame:
    """Columns for the last validation loss of each task; nan for a run that did not get there."""
    last = {task: [curves[task][-1][1] if curves.get(task) else nan for curves in runs.curves]
            for task in tasks if len(runs)}  # fmt: skip
    return runs.assign(**last)


def shuffled_widths(table, draws: int = 200) -> np.ndarray:
    """Negative control: widths of the minimum's interval with gammas shuffled in each seed."""
    rng = np.random.default_rng(0)
    again = [minimum(pd.DataFrame(rng.permuted(table, axis=1), columns=table.columns), 100)
             for _ in range(draws)]  # fmt: skip
    return np.array([found.high - found.low for found in again])
