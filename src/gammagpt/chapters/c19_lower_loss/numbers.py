"""Tables of chapter 19: what one initialization gains over another."""

import math

import pandas as pd

from ...analysis.tuned import difference

GAINS = ["size", "recipe", "baseline", "effect", "low", "high", "resolved"]


def split(setting: str) -> tuple[str, str]:
    """('gamma 1', 'width 64, unigram bias') of 'gamma 1, width 64, unigram bias'."""
    name, _, rest = setting.partition(", ")
    return name, rest


def gains(runs, size: str, treatment: str) -> pd.DataFrame:
    """A row a size, recipe and baseline: what `treatment` gains, in nats per token, with Welch's
    95 % interval; `size` is the column that varies. GAINS are its columns; see `difference`."""
    rows = []
    for rest, group in _compared(runs).groupby("rest", sort=False):
        small = group[group.start == treatment]
        for baseline, usual in group[group.start != treatment].groupby("start", sort=False):
            if len(small):
                recipe = "with a unigram bias" if "bias" in rest else "as usual"
                rows.append({"size": small[size].iat[0], "recipe": recipe, "baseline": baseline}
                            | difference(usual, small))
    return pd.DataFrame(rows, columns=GAINS)


def _compared(runs) -> pd.DataFrame:
    """The tuned runs; start and rest are the two parts of their names."""
    found = runs[runs.role == "tuned"] if len(runs) else runs.assign(setting="")
    parts = pd.DataFrame([split(name) for name in found.setting], found.index, ["start", "rest"])
    return found.join(parts)


def by_rate(runs) -> pd.DataFrame:
    """Every run of the curves: learning_rate, loss (nan if it diverged), start, warm-up, key."""
    if not len(runs):
        return pd.DataFrame(columns=["learning_rate", "loss", "start", "rest", "seed"])
    parts = pd.DataFrame([split(name) for name in runs.setting], runs.index, ["start", "rest"])
    return runs.assign(loss=runs.loss.where(runs.loss < math.inf)).join(parts)


def multipliers(runs, treatment: str) -> pd.DataFrame:
    """A row a baseline and length of training: how many times the tokens the baseline would need
    to end as low as `treatment`, on a straight line through its own losses against log tokens."""
    table = _compared(runs)
    means = table.pivot_table(index="start", columns="steps", values="loss", sort=False)
    rows = []
    for baseline, losses in means.drop(index=treatment, errors="ignore").iterrows():
        losses = losses.dropna()
        if len(losses) > 1 and treatment in means.index:
            ratio, fall = losses.index[-1] / losses.index[0], losses.iloc[0] - losses.iloc[-1]
            for steps, gain in (losses - means.loc[treatment]).dropna().items():
                rows.append((baseline, int(steps), gain, ratio ** (gain / fall)))
    return pd.DataFrame(rows, columns=["baseline", "steps", "gain", "times the tokens"])
