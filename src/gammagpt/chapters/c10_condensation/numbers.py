"""Numbers of the chapter on condensation: how far ranks fall and rise, and when.

Runs are rows of a frame (lab.frame, with roles) whose records hold spectra.
"""

import math

import numpy as np
import pandas as pd

from ...analysis.gains import parted
from ...analysis.spectra import kinds, loss_at, path, probed, spectra_of


def by_variant(runs) -> dict[str, pd.DataFrame]:
    """{"as usual", "unigram bias": the compared runs, each named by its initialization alone}."""
    known = parted(runs)
    return {variant: rows.assign(setting=rows.init)
            for variant, rows in known.groupby("variant", sort=False)}


def changes(runs) -> pd.DataFrame:
    """By how much the stable rank fell and rose again: a row a run and kind of matrix.

    Columns: setting, seed, kind, fell, rose, as natural logarithms of factors. Each matrix
    has its own lowest point; of a kind, and of "all", the mean over its matrices.
    """
    rows = []
    runs = probed(runs, 3)
    for run in runs.itertuples():
        for kind, names in {"all": None, **kinds(runs)}.items():
            own = [name for name in names or spectra_of(run.probes)[0]["tensors"]]
            logs = np.log([path(run, "stable_rank", [name])[1] for name in own])
            ends = (logs[:, 0], logs[:, -1])
            fell, rose = (float((end - logs.min(1)).mean()) for end in ends)
            rows.append((run.setting, run.seed, kind, fell, rose))
    return pd.DataFrame(rows, columns=["setting", "seed", "kind", "fell", "rose"])


def timing(runs, names=None) -> pd.DataFrame:
    """When the mean stable rank of some matrices (default: all) is lowest, a row a run.

    Columns: setting, seed, step, loss (training loss there), done (the share of the run's
    fall of the loss that lies behind), grown (norm there over norm at the start).
    """
    rows = []
    for run in probed(runs, 3).itertuples():
        steps, ranks = path(run, "stable_rank", names)
        at = int(ranks.argmin())
        losses, norms = loss_at(run, steps), path(run, "norm", names)[1]
        fall = losses[0] - losses[-1]
        done = (losses[0] - losses[at]) / fall if fall > 0 else math.nan
        rows.append((run.setting, run.seed, steps[at], losses[at], done, norms[at] / norms[0]))
    columns = ["setting", "seed", "step", "loss", "done", "grown"]
    return pd.DataFrame(rows, columns=columns)


def changes_table(runs) -> pd.DataFrame:
    """A row a setting: factors of all matrices, the embedding and the head, means over seeds."""
    means = changes(runs).groupby(["setting", "kind"], sort=False)[["fell", "rose"]].mean()
    rows = []
    for setting, group in np.exp(means).groupby(level=0, sort=False):
        of = group.droplevel(0)
        rows.append((setting, *(of.at[kind, change] for kind in ("all", "embedding", "head")
                                for change in ("fell", "rose"))))
    columns = [f"{kind} {change}" for kind in ("all", "embedding", "head")
               for change in ("fell", "rose")]
    return pd.DataFrame(rows, columns=["setting", *columns])
