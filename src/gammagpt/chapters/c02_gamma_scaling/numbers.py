"""Tables of chapter 2: what one initialization gains over another."""

import math

import pandas as pd

from ...analysis.gains import named, parted
from ...analysis.tuned import difference

GAINS = ["size", "recipe", "baseline", "effect", "low", "high", "resolved"]


def gains(runs, size: str, treatment: str) -> pd.DataFrame:
    """A row a size, recipe and baseline: what `treatment` gains, in nats per token, with Welch's
    95 % interval; `size` is the column that varies. GAINS are its columns; see `difference`."""
    rows = []
    for variant, group in parted(runs).groupby("variant", sort=False):
        small = group[group.init == treatment]
        for baseline, usual in group[group.init != treatment].groupby("init", sort=False):
            if len(small):
                recipe = "with a unigram bias" if "bias" in variant else "as usual"
                rows.append({"size": small[size].iat[0], "recipe": recipe, "baseline": baseline}
                            | difference(usual, small))
    return pd.DataFrame(rows, columns=GAINS)


def by_rate(runs) -> pd.DataFrame:
    """Every run of the curves: learning_rate, loss (nan if it diverged), init, variant, key."""
    if not len(runs):
        return pd.DataFrame(columns=["learning_rate", "loss", "init", "variant", "seed"])
    return named(runs.assign(loss=runs.loss.where(runs.loss < math.inf)))


def multipliers(runs, treatment: str) -> pd.DataFrame:
    """A row a baseline and length of training: how many times the tokens the baseline would need
    to end as low as `treatment`, on a straight line through its own losses against log tokens."""
    means = parted(runs).pivot_table(index="init", columns="steps", values="loss", sort=False)
    rows = []
    for baseline, losses in means.drop(index=treatment, errors="ignore").iterrows():
        losses = losses.dropna()
        if len(losses) > 1 and treatment in means.index:
            ratio, fall = losses.index[-1] / losses.index[0], losses.iloc[0] - losses.iloc[-1]
            for steps, gain in (losses - means.loc[treatment]).dropna().items():
                rows.append((baseline, int(steps), gain, ratio ** (gain / fall)))
    return pd.DataFrame(rows, columns=["baseline", "steps", "gain", "times the tokens"])
