"""What could be known of anchor functions without a run: the least loss of partial knowledge."""

import numpy as np
import pandas as pd

from ..data.anchors import keys, parse_tasks, tasks


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
    known = {"nothing": [], "the task": ["task"], "and an anchor": ["task", "anchor"],
            "and the key": ["task", "key"], "and all of it": ["task", "all"]}
    for words, columns in known.items():
        rows[words] = _surprise(rows, columns)
    return rows.groupby("task", sort=False)[list(known)].mean()


def blind_losses(data, seed: int) -> pd.Series:
    """The least loss in nats on each task of who sees which tokens there are, but not their order.

    Exact, for the labels that this seed draws; zero means that the order does not matter.
    """
    losses = {}
    for task in tasks(data, seed):
        alike = pd.DataFrame(np.sort(task.combinations)).groupby(list(range(data.anchors))).ngroup()
        key = np.arange(task.labels.shape[1])
        seen = alike.to_numpy()[:, None] * len(key) + key
        rows = pd.DataFrame({"seen": seen.ravel(), "label": task.labels.ravel()})
        same = rows.value_counts()
        total = rows.seen.value_counts().loc[same.index.get_level_values("seen")]
        losses[task.name] = float(-(same * np.log(same / total.to_numpy())).sum() / len(rows)) + 0.0
    return pd.Series(losses)


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
