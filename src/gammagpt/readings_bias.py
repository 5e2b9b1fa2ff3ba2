"""What pages read off runs on anchor functions, in numbers and words. Pictures: figures_bias.py.

Runs are rows of a frame (sweep.frame, with roles).
"""

import math
from dataclasses import fields
from functools import cache

import numpy as np
import pandas as pd

from .claims import paired_interval
from .data.anchors import AnchorConfig, keys, parse_tasks, tasks
from .ledger.estimate import QUESTIONS as ROLES
from .measures import chance_losses


# ---- what could be known without a run -----------------------------------------------------------


def rivals(data) -> tuple[str, str]:
    """(memory, reasoning): the names of the first task that does not add, and of the first that
    does. Where all tasks are of one sort, the last and the first.
    """
    names = {name: law for name, _, law in parse_tasks(data)}
    adds = [name for name, law in names.items() if law == "sum"] or list(names)[:1]
    others = [name for name, law in names.items() if law != "sum" and name not in adds]
    return (others or list(names)[-1:])[0], adds[0]


def told_losses(data) -> pd.DataFrame:
    """The least loss in nats on each task of who knows all label laws but not one label.

    A column for what is told: nothing; the task; besides, an anchor, or the key, or all of it.
    Exact. Every law is uniform over an interval of labels, given the key and all anchors.
    """
    parts = []
    laws = {name: law for name, _, law in parse_tasks(data)}
    for task in (task for task in tasks(data, 0) if task.name in laws):
        which, key = (x.ravel() for x in np.indices((len(task.combinations), len(keys(data)))))
        part = pd.DataFrame({"task": task.name, "key": key, "all": np.arange(len(key))})
        part["anchor"] = task.combinations[which, 0]
        total = task.combinations[which].sum(1)
        part["low"], part["high"] = _interval(laws[task.name], key + keys(data)[0], total, data)
        parts.append(part)
    rows = pd.concat(parts, ignore_index=True)
    told = {"nothing": [], "the task": ["task"], "and an anchor": ["task", "anchor"],
            "and the key": ["task", "key"], "and all of it": ["task", "all"]}  # fmt: skip
    for words, columns in told.items():
        rows[words] = _surprise(rows, columns)
    return rows.groupby("task", sort=False)[list(told)].mean()


def blind_losses(data, seed: int) -> pd.Series:
    """The least loss in nats on each task of who sees which tokens there are, but not their order.

    Exact, for the labels that this seed draws; zero means that the order does not matter.
    """
    found = {}
    for task in tasks(data, seed):
        alike = pd.DataFrame(np.sort(task.combinations)).groupby(list(range(data.anchors))).ngroup()
        key = np.arange(task.labels.shape[1])
        seen = alike.to_numpy()[:, None] * len(key) + key
        rows = pd.DataFrame({"seen": seen.ravel(), "label": task.labels.ravel()})
        same = rows.value_counts()
        total = rows.seen.value_counts().loc[same.index.get_level_values("seen")]
        found[task.name] = float(-(same * np.log(same / total.to_numpy())).sum() / len(rows)) + 0.0
    return pd.Series(found)


def _interval(law: str, key, total, data):
    """The first and last label that a law allows, given the key and the sum of the anchors."""
    if law == "near":
        return key - total, key + total
    if law == "sum":
        return key + total, key + total
    if law == "random":
        return keys(data)[0], keys(data)[-1]
    return tuple(map(int, law.split("..")))


def _surprise(rows, columns: list):
    """Of each row, the mean loss of its labels under the mean law of the rows that look alike."""
    group = rows.groupby(columns).ngroup().to_numpy() if columns else np.zeros(len(rows), int)
    low, high = rows.low.to_numpy(), rows.high.to_numpy()
    share = 1 / (high - low + 1)
    law = np.zeros((group.max() + 1, high.max() + 2))
    np.add.at(law, (group, low), share)
    np.add.at(law, (group, high + 1), -share)
    law = law.cumsum(1) / np.bincount(group)[:, None]
    surprise = -np.log(np.maximum(law, 1e-12))
    total = np.concatenate([np.zeros((len(law), 1)), surprise.cumsum(1)], axis=1)
    return share * (total[group, high + 1] - total[group, low])


# ---- when a task is learned, and what is left of the other ---------------------------------------


def share_left(run, task: str):
    """(points, 2) of step and share left, of a row of a frame: loss over that of guessing."""
    chance = chance_losses(data_of(run), run.seed).get(task, math.nan)
    return points_of(run, task) * (1, 1 / chance) if task in run.curves else np.empty((0, 2))


def left_at(run, done: str, left: str, level: float) -> float:
    """The share of one task that is left when of another only `level` is; nan if never."""
    step = crossing(share_left(run, done), level)
    shares = share_left(run, left)
    return float(np.interp(step, *shares.T).clip(max=1)) if math.isfinite(step) else math.nan


def crossing(points, level: float) -> float:
    """The step, on a line between two points, at which a curve first falls to a level, or nan."""
    below = np.flatnonzero(points[:, 1] <= level)
    if len(below) == 0:
        return math.nan
    (s0, v0), (s1, v1) = points[max(0, below[0] - 1)], points[below[0]]
    return float(s1 if v0 <= level else s0 + (s1 - s0) * (v0 - level) / (v0 - v1))


def when_passed(runs, task: str, level: float) -> pd.DataFrame:
    """When each run's loss on a task first falls to a level, and its accuracy on it just then.

    Columns: setting, seed, step, accuracy; nan where it never does.
    """
    rows = []
    for run in runs.itertuples():
        step, accuracy = crossing(points_of(run, task), level), math.nan
        if math.isfinite(step):
            accuracy = float(np.interp(step, *points_of(run, f"{task}_accuracy").T))
        rows.append((run.setting, run.seed, step, accuracy))
    return pd.DataFrame(rows, columns=["setting", "seed", "step", "accuracy"])


def half_steps(runs, names) -> pd.DataFrame:
    """The mean steps to half of each task, and how many runs of how many got there."""
    rows = []
    for setting, group in runs.groupby("setting", sort=False) if len(runs) else ():
        row = {"setting": setting}
        for name in names:
            steps = columns_of(group, [f"steps_to_{name}"]).iloc[:, 0]
            mean = f"{steps.mean():.0f} " if steps.count() else ""
            row[f"steps to {name}"] = f"{mean}({steps.count()} of {len(steps)})"
        rows.append(row | {"final loss": f"{group.loss.mean():.2f}"})
    columns = ["setting", *(f"steps to {name}" for name in names), "final loss"]
    return pd.DataFrame(rows, columns=columns)


def change_of_steps(runs, task: str, sides) -> str:
    """'130 and 126'; 'never' where not all runs half learn the task within their steps."""
    means = columns_of(runs, ["setting", f"steps_to_{task}"]).groupby("setting").agg(
        lambda steps: steps.mean(skipna=False)).iloc[:, 0]  # fmt: skip
    return " and ".join("never" if math.isnan(means[side]) else f"{means[side]:.0f}"
                        for side in sides)  # fmt: skip


def lead_by_level(runs, done: str, left: str, sides, levels=(0.7, 0.5, 0.3)) -> dict:
    """{'70% left': difference between two settings in what is left of one task at that level of
    the other}, paired by seed, with its interval; a dash where a run did not get that far.
    """
    found = {}
    for level in levels:
        chosen = [runs[runs.setting == side].itertuples() for side in sides]
        shares = [{run.seed: left_at(run, done, left, level) for run in side} for side in chosen]
        gains = [shares[1][seed] - shares[0][seed] for seed in shares[0] if seed in shares[1]]
        mean, low, high = paired_interval(gains, 0.95)
        words = f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]" if low <= high else "–"
        found[f"{level:.0%} left"] = words
    return found


# ---- the learning rate's part --------------------------------------------------------------------


def tuning_plane(runs, measure: str) -> pd.DataFrame:
    """The mean of a measure on the tuning seeds, settings by rates; nan where a run lacks it."""
    tuning = columns_of(runs[runs.role == "tuning"], ["setting", "learning_rate", measure])
    means = tuning.groupby(["setting", "learning_rate"], sort=False)[measure]
    plane = means.agg(lambda values: values.mean(skipna=False)).unstack("learning_rate")
    return plane.reindex(index=tuning.setting.unique()).sort_index(axis=1)


def lead_by_rate(runs, measure: str, sides, least=0.02) -> str:
    """At how many learning rates the second setting has more of a measure than the first one."""
    plane = tuning_plane(runs, measure)
    if not set(sides) <= set(plane.index):
        return f"{' and '.join(sides)} are not both among the settings."
    one, other = (plane.loc[side] for side in sides)
    lead = (other - one).dropna()
    if not len(lead):
        return (f"at no learning rate do {' and '.join(sides)} both get that far on every tuning "
                "seed, so they cannot be compared.")  # fmt: skip
    return (f"{sides[1]} has at least {least:g} more left than {sides[0]} at "
            f"{(lead >= least).sum()} of {len(lead)} learning rates; its lead goes from "
            f"{lead.min():+.2f} to {lead.max():+.2f}. With {sides[0]} alone the learning rate "
            f"moves the share from {one.min():.2f} to {one.max():.2f}.")  # fmt: skip


def exchanged_rates(runs, measure: str, sides) -> dict:
    """The difference between two settings in a measure: each at the rate that the tuning chose for
    it, then both at the first one's rate, then both at the second's. On the tuning seeds.
    """
    plane, losses = tuning_plane(runs, measure), tuning_plane(runs, "loss")
    if not set(sides) <= set(plane.index):
        return {}
    finite = losses.loc[list(sides)].where(lambda loss: loss < math.inf)
    if finite.isna().all(axis=1).any():
        return {}
    one, other = (finite.loc[side].idxmin() for side in sides)
    pairs = {"each at its own": (one, other), f"both at that of {sides[0]}": (one, one),
             f"both at that of {sides[1]}": (other, other)}  # fmt: skip
    return {words: float(plane.loc[sides[1], late] - plane.loc[sides[0], early])
            for words, (early, late) in pairs.items()}  # fmt: skip


def forgotten(runs) -> str:
    """Where the settings' final losses differ most and least, over the learning rates."""
    plane = tuning_plane(runs, "loss")
    spread = plane.max() - plane.min()
    if len(plane) < 2 or not np.isfinite(spread).any():
        return ""
    spread = spread[np.isfinite(spread)]
    return (f"The settings differ most at {spread.idxmax():g}, by {spread.max():.2f} nats, and "
            f"least at {spread.idxmin():g}, by {spread.min():.2f}.")  # fmt: skip


def caveat(claim, runs, title: str) -> str:
    """Why a claim of 'more left' could not be met: runs that lack it, or a baseline at the top."""
    role = claim.comparison["learning_rate"]
    base = runs[(runs.role == role) & (runs.setting == claim.comparison["baseline"])]
    shares, margin = columns_of(base, [claim.metric])[claim.metric], claim.rule["margin"]
    lacking, head = shares.isna().sum(), f"{title}, {ROLES[role]}"
    if lacking:
        return (f"**No order to speak of: {head}.** {lacking} of {len(shares)} runs with "
                f"{claim.comparison['baseline']} did not half learn the faster task in the steps "
                "they had. What comes first cannot be asked where neither comes.")  # fmt: skip
    if shares.mean() < 1 - margin:
        return ""
    return (f"**No room: {head}.** With {claim.comparison['baseline']} already {shares.mean():.3f} "
            f"is left, and one is the most there can be: nothing could have had {margin:g} more. "
            "What speaks against the claim is that the large initialization reasons first too, not "
            "that the small one does not.")  # fmt: skip


# ---- columns and curves of a frame ---------------------------------------------------------------


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


def columns_of(runs, names):
    """Some columns of a frame, with nan for those that it lacks."""
    return runs.reindex(columns=list(names))
