"""Runs on anchor functions: when a task is learned, and what is left of another one then.

Runs are rows of a frame (lab.frame, with roles).
"""

import math
from dataclasses import fields
from functools import cache

import numpy as np
import pandas as pd

from ..data.anchors import AnchorConfig
from ..lab.order import chance_losses, crossing


def share_left(run, task: str):
    """(points, 2) of step and share left, of a row of a frame: loss over that of guessing."""
    chance = chance_losses(data_of(run), run.seed).get(task, math.nan)
    return points_of(run, task) * (1, 1 / chance) if task in run.curves else np.empty((0, 2))


def left_at(run, done: str, left: str, level: float) -> float:
    """The share of one task that is left when of another only `level` is; nan if never."""
    step = crossing(share_left(run, done), level)
    shares = share_left(run, left)
    return float(np.interp(step, *shares.T).clip(max=1)) if math.isfinite(step) else math.nan


def data_of(runs) -> AnchorConfig:
    """What a run (or the first one of a frame) was trained on."""
    row = runs.iloc[0] if isinstance(runs, pd.DataFrame) else runs
    row = row if isinstance(row, pd.Series) else row._asdict()
    return _anchor_config(*(row[field.name] for field in fields(AnchorConfig)))


@cache  # asked for at every curve, and its values are checked each time
def _anchor_config(*values) -> AnchorConfig:
    return AnchorConfig(*values)


def points_of(run, curve: str):
    """(points, 2) of step and value of one curve of a row of a frame; none: no points."""
    return np.array(run.curves.get(curve, [])).reshape(-1, 2)
