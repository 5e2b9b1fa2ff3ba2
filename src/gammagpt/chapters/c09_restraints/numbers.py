"""What each of four settings does to the gain of small initialization: Welch, all compared runs.

Runs are rows of a frame (lab.frame, with roles). A setting is a gamma and a variant, as in
"gamma 0.5, gate". Pictures: figures.py.
"""

import math

import numpy as np
import pandas as pd

from ...analysis.gains import PLAIN, ends, parted
from ...analysis.tuned import difference
from ...gpt.optim import learning_rate

FORMED = {  # measures of a run on Bigram-Backcopy
    "others_excess": "excess loss where nothing is copied", "triggers_loss": "loss of copies",
    "sink_rate": "share of heads that are sinks",
}
COLUMNS = ["variant", "what", "effect", "low", "high", "resolved"]


def left_by_decay(config) -> float:
    """The share of a weight that decay alone would leave at the end of a run."""
    optim, steps = config.optim, config.steps
    path = sum(learning_rate(optim, step, steps) for step in range(steps))
    return math.exp(-optim.weight_decay * path)


def effects(runs, value: str = "loss") -> pd.DataFrame:
    """A row a variant and what is measured of it, in nats per token, with Welch's 95 % interval.

    gain: loss, or another `value`, of the smallest gamma less that of the largest. change: this
    gain less the one as usual. COLUMNS are those of the table; resolved: see `difference`.
    """
    runs = parted(runs)
    runs, pair, rows = runs[runs.role == "tuned"], ends(runs) or (), []
    sides = {variant: [group[group.init == init] for init in pair]
             for variant, group in runs.groupby("variant", sort=False)}
    whole = {variant: both for variant, both in sides.items() if both and all(map(len, both))}
    for variant, both in whole.items():
        rows.append({"variant": variant, "what": "gain"} | difference(*both, value=value))
        if variant != PLAIN and PLAIN in whole:
            change = difference(*both, *whole[PLAIN], value=value)
            rows.append({"variant": variant, "what": "change"} | change)
    return pd.DataFrame(rows, columns=COLUMNS)


def formed(runs):
    """A row a setting on Bigram-Backcopy, means over the compared runs, as a page shows it."""
    runs = sinks(runs)
    if not len(runs):
        return pd.DataFrame(columns=["setting", *FORMED.values()]).style.hide(axis="index")
    means = runs.groupby("setting", sort=False)[[*FORMED]].mean().reset_index()
    forms = {name: "{:.0%}" if "share" in name else "{:.4f}" for name in FORMED.values()}
    return means.rename(columns=FORMED).style.format(forms).hide(axis="index")


def attention_map(runs, setting: str):
    """(T, T) the attention of one head, nan where a token cannot look, in the first compared run of
    a setting; None without one. A map as probes/sinks.py keeps it."""
    rows = sinks(runs)
    rows = rows[rows.setting == setting]
    if not len(rows):
        return None
    kept = rows.sort_values("seed").iloc[0]["map"]
    return np.array([[*row, *[math.nan] * (len(kept) - len(row))] for row in kept])


def sinks(runs) -> pd.DataFrame:
    """The compared runs whose attention was looked at: init, variant, sink_rate, first_token."""
    runs = parted(runs)
    return runs[runs.sink_rate.notna()] if "sink_rate" in runs else runs[:0]
