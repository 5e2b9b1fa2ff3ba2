"""What each of four settings does to the gain of small initialization: Welch, all compared runs.

Runs are rows of a frame (lab.frame, with roles). A setting is a gamma and a variant, as in
"gamma 0.5, gate". Pictures: figures.py.
"""

import math

import pandas as pd

from ...analysis.gains import PLAIN, ends, parted
from ...gpt.optim import learning_rate
from ...ledger.welch import Welch

CONFIDENCE = 0.95
COLUMNS = ["variant", "what", "effect", "low", "high", "resolved"]


def left_by_decay(config) -> float:
    """The share of a weight that decay alone would leave at the end of a run."""
    optim, steps = config.optim, config.steps
    path = sum(learning_rate(optim, step, steps) for step in range(steps))
    return math.exp(-optim.weight_decay * path)


def effects(runs) -> pd.DataFrame:
    """A row a variant and what is measured of it, in nats per token, with Welch's 95 % interval.

    gain: loss of the smallest gamma less that of the largest. change: this gain less the one as
    usual. COLUMNS are those of the table; resolved is False if a best rate lies at a grid's edge
    or a compared run collapsed.
    """
    runs = parted(runs)
    runs, pair, rows = runs[runs.role == "tuned"], ends(runs), []
    plain = [_losses(runs, init, PLAIN) for init in pair or ()]
    for variant, group in runs.groupby("variant", sort=False):
        sides = [_losses(group, init, variant) for init in pair or ()]
        if not (sides and all(sides)):
            continue
        good = bool(group.resolved.all() and not group.collapsed.any())
        rows.append(_row(variant, "gain", sides, good))
        if variant != PLAIN and all(plain):
            rows.append(_row(variant, "change", sides + plain, good))
    return pd.DataFrame(rows, columns=COLUMNS)


def _losses(runs, init: str, variant: str) -> list[float]:
    return list(runs.loss[(runs.init == init) & (runs.variant == variant)])


def _row(variant: str, what: str, sides: list, good: bool) -> tuple:
    found = Welch.of(sides)
    return (variant, what, found.effect, *found.interval(CONFIDENCE), good)


def sinks(runs) -> pd.DataFrame:
    """The compared runs whose attention was looked at: init, variant, sink_rate, first_token."""
    runs = parted(runs)
    return runs[runs.sink_rate.notna()] if "sink_rate" in runs else runs[:0]
