"""Numbers of the chapter on long trainings: how long is long, and what a gain is worth.

Runs are rows of a frame (lab.frame, with roles), each initialization at several lengths. Pictures
and gains: analysis/along_size.py.
"""

import math

import numpy as np
import pandas as pd

from ...analysis.along_size import along, baseline, lines
from ...analysis.learning_rates import LOST
from ...ledger.estimate import QUESTIONS, Estimate


def lengths(configs, weights: int, text: int) -> pd.DataFrame:
    """A row a length: steps, tokens, tokens for each of the model's weights, passes of the text."""
    counts = sorted({(config.steps, config.tokens) for config in configs})
    rows = [(steps, tokens, tokens / weights, tokens / text) for steps, tokens in counts]
    columns = ["steps", "tokens", "tokens per parameter", "passes of the text"]
    return pd.DataFrame(rows, columns=columns)


def forgiving(runs) -> pd.DataFrame:
    """A row a setting: how many rates of the grid cost at most LOST, by the tuning runs."""
    tuning = runs[runs.role == "tuning"] if len(runs) else runs
    rows = []
    for setting, group in tuning.groupby("setting", sort=False) if len(tuning) else ():
        mean = group.groupby("learning_rate").loss.mean()
        near = mean.index[mean <= mean.min() + LOST]
        rows.append((setting, len(near), len(mean), near.min(), near.max()))
    return pd.DataFrame(rows, columns=["setting", "rates", "of", "lowest", "highest"])


def worth(runs) -> pd.DataFrame:
    """What a lead is worth in training, by seed: role, init, seed, factor, resolved.

    The baseline's loss is a straight line in the logarithms of loss and tokens, through its runs
    of one seed; `factor` is where on it the other's loss lies, over the tokens of the longest run.
    1.5: the baseline would need half as much training again. The line is a chord of a curve that
    flattens, so beyond the last run the factor is too near to one.
    """
    points, fitted = along(runs, "tokens"), lines(runs, "tokens")
    longest = points[points.x == points.x.max()]
    rows = []
    for role, relaxed, init in fitted:
        base = fitted.get((role, relaxed, baseline(points)))
        own = longest[(longest.role == role) & (longest.init == init)].set_index("seed")
        if base is None or init == baseline(points):
            continue
        for seed in base.slopes.index.intersection(own.index):
            needed = (math.log(own.loss[seed]) - base.levels[seed]) / base.slopes[seed]
            factor = math.exp(needed) / own.x[seed]
            rows.append((role, init, seed, factor, bool(own.resolved[seed])))
    return pd.DataFrame(rows, columns=["role", "init", "seed", "factor", "resolved"])


def worth_table(runs) -> pd.DataFrame:
    """A row a question and initialization; the interval is one of logarithms, over seeds."""
    rows = []
    for (role, init), group in worth(runs).groupby(["role", "init"], sort=False):
        factor = Estimate(*np.exp(Estimate.of(np.log(group.factor))))
        rows.append((QUESTIONS[role], init, f"{factor:.3f}", bool(group.resolved.all())))
    columns = ["question", "initialization", "times the training", "best rates inside"]
    return pd.DataFrame(rows, columns=columns)
