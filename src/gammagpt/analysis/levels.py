"""Where a curve first falls to a level, and what else holds there."""

import math

import numpy as np
import pandas as pd

from .frames import compared


def at_level(way, measure: str, level: float) -> float:
    """A measure of a table where its column `loss` first falls to a level, by a line between."""
    at = int(np.argmax(way.loss.to_numpy() <= level))
    part = way.iloc[max(0, at - 1) : at + 1]
    return float(np.interp(-level, -part.loss, part[measure]))


def at_equal_loss(runs, along, measures: dict) -> pd.DataFrame:
    """The compared runs with some columns not as at the end but as at one mean loss.

    along(run): a table of what a run went through, with a column `loss`; measures: {column of the
    runs: column of that table}. The loss is the lowest that all runs of a role have reached, in
    the column `at_loss`.
    """
    parts = []
    for _, group in compared(runs[runs.status == "ok"]).groupby("role", sort=False):
        ways = [along(run) for run in group.itertuples()]
        level = max((way.loss.min() for way in ways), default=math.nan)
        columns = {column: [at_level(way, measure, level) for way in ways]
                 for column, measure in measures.items()}
        parts.append(group.assign(at_loss=level, **columns))
    return pd.concat(parts) if parts else runs.assign(at_loss=math.nan).iloc[:0]
