"""Numbers of the chapter on condensation: how far ranks fall and rise, and when.

Runs are rows of a frame (lab.frame, with roles) whose records hold spectra.
"""

import math

import numpy as np
import pandas as pd

from ...analysis.spectra import EMBEDDING, kinds, loss_at, path, probed, spectra_of
from ...ledger.estimate import QUESTIONS


def changes(runs) -> pd.DataFrame:
    """By how much the stable rank fell and rose again: a row a run and kind of matrix.

    Columns: role, setting, seed, kind, fell, rose, as natural logarithms of factors. Each matrix
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
            rows.append((run.role, run.setting, run.seed, kind, fell, rose))
    return pd.DataFrame(rows, columns=["role", "setting", "seed", "kind", "fell", "rose"])


def most_changed(runs) -> str:
    """The matrix, the embedding apart, whose stable rank both fell and rose most, on average.

    The lesser of the two counts: one that falls and stays there is no example of a way back.
    """
    runs = probed(runs, 3)
    if not len(runs):
        return EMBEDDING
    names = [name for group in kinds(runs).values() for name in group if name != EMBEDDING]
    fell_and_rose = {name: [] for name in names}
    for name in names:
        for run in runs.itertuples():
            logs = np.log(path(run, "stable_rank", [name])[1])
            fell_and_rose[name].append((logs[0] - logs.min(), logs[-1] - logs.min()))
    return max(names, key=lambda name: np.mean(fell_and_rose[name], axis=0).min())


def timing(runs, names=None) -> pd.DataFrame:
    """When the mean stable rank of some matrices (default: all) is lowest, a row a run.

    Columns: role, setting, seed, step, loss (training loss there), done (the share of the run's
    fall of the loss that lies behind), grown (norm there over norm at the start).
    """
    rows = []
    for run in probed(runs, 3).itertuples():
        steps, ranks = path(run, "stable_rank", names)
        at = int(ranks.argmin())
        losses, norms = loss_at(run, steps), path(run, "norm", names)[1]
        fall = losses[0] - losses[-1]
        done = (losses[0] - losses[at]) / fall if fall > 0 else math.nan
        rows.append((run.role, run.setting, run.seed, steps[at], losses[at], done,
                     norms[at] / norms[0]))
    columns = ["role", "setting", "seed", "step", "loss", "done", "grown"]
    return pd.DataFrame(rows, columns=columns)


def timing_table(runs) -> pd.DataFrame:
    """A row a setting and question: when its mean stable rank is lowest, means over seeds."""
    means = timing(runs).groupby(["role", "setting"], sort=False).mean().drop(columns="seed")
    names = {"step": "step", "loss": "loss there", "done": "of the fall of the loss",
             "grown": "size of matrices, times"}
    return means.rename(columns=names).rename(index=QUESTIONS, level=0).reset_index()


def changes_table(runs) -> pd.DataFrame:
    """A row a setting and question: factors of the embedding, and of the kinds that move most."""
    rows, table = [], changes(runs)
    for (role, setting), group in table.groupby(["role", "setting"], sort=False):
        of = np.exp(group.groupby("kind", sort=False)[["fell", "rose"]].mean())
        alone = of.drop(index="all")
        rows.append((QUESTIONS[role], setting, alone.fell.idxmax(), alone.fell.max(),
                     alone.rose.idxmax(), alone.rose.max(), *of.loc["embedding"]))
    columns = ["question", "setting", "falls furthest", "by the factor", "rises most",
               "by the factor ", "embedding fell", "embedding rose"]
    return pd.DataFrame(rows, columns=columns)
