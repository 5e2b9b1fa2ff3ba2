"""Tables of chapter 19: what one initialization gains over another."""

import math

import pandas as pd

from ...ledger.welch import Welch

MARGIN = 0.03  # nats: what the claims call equivalent
CONFIDENCE = 0.95
GAINS = ["size", "recipe", "baseline", "gain", "low", "high", "runs", "resolved"]


def split(setting: str) -> tuple[str, str]:
    """('gamma 1', 'width 64, unigram bias') of 'gamma 1, width 64, unigram bias'."""
    name, _, rest = setting.partition(", ")
    return name, rest


def gains(runs, size: str, treatment: str) -> pd.DataFrame:
    """A row a size, recipe and baseline: what `treatment` gains, in nats per token, with Welch's
    95 % interval; `size` is the column that varies. GAINS are its columns; resolved is False if a
    best rate lies at an edge, or a run collapsed."""
    rows = []
    for rest, group in _compared(runs).groupby("rest", sort=False):
        small = group[group.start == treatment]
        for baseline, usual in group[group.start != treatment].groupby("start", sort=False):
            if len(small):
                rows.append(_gain(rest, small, usual, size) | {"baseline": baseline})
    return pd.DataFrame(rows, columns=GAINS)


def _gain(rest: str, small, usual, size: str) -> dict:
    found = Welch.of([list(usual.loss), list(small.loss)])
    low, high = found.interval(CONFIDENCE)
    recipe = "with a unigram bias" if "bias" in rest else "as usual"
    return {"size": small[size].iat[0], "recipe": recipe, "gain": found.effect, "low": low,
            "high": high, "runs": min(len(small), len(usual)),
            "resolved": all(side.resolved.all() and not side.collapsed.any()
                            for side in (small, usual))}


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
