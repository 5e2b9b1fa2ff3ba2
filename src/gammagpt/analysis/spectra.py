"""Spectra of matrices along a run: ranks and norms, by kind of matrix.

Runs are rows of a frame (lab.frame, with roles) whose records hold spectra (probes/spectra.py).
Ranks of several matrices are averaged as logarithms, as in measures.expansion.
"""

import math

import numpy as np
import pandas as pd

from ..lab.measures import unigrams
from .frames import compared, text_of

EMBEDDING = "embedding.weight"


def probed(runs, least: int = 2) -> pd.DataFrame:
    """The compared runs that ended well and have spectra of at least so many steps."""
    if not len(runs):
        return runs
    enough = runs.probes.map(lambda probes: len(spectra_of(probes)) >= least)
    return compared(runs[enough & (runs.status == "ok")])


def kinds(runs) -> dict[str, list[str]]:
    """Kind of matrix -> the names of its matrices, one a layer: {"mlp: up": ["blocks.0.mlp..."]}.

    The embedding comes first and the head last.
    """
    names = {}
    for name in spectra_of(runs.iloc[0].probes)[0]["tensors"] if len(runs) else ():
        names.setdefault(_kind(name), []).append(name)
    outer = {"embedding": 0, "head": 2}
    return dict(sorted(names.items(), key=lambda item: outer.get(item[0], 1)))


def path(run, measure: str, names=None):
    """(steps, values) of a run: a measure of some matrices (all, if none are named), averaged.

    Ranks and norms are averaged as logarithms, all else as it is.
    """
    spectra = spectra_of(run.probes)
    steps = np.array([probe["step"] for probe in spectra])
    values = np.array([
        [probe["tensors"][name][measure] for name in names or probe["tensors"]]
        for probe in spectra
    ])
    if measure in ("stable_rank", "effective_rank", "norm"):
        return steps, np.exp(np.log(values).mean(1))
    return steps, values.mean(1)


def over_runs(runs, measure: str, names=None):
    """(steps, values (runs, probes)) of the paths of runs of one setting."""
    paths = [path(run, measure, names) for run in runs.itertuples()]
    return paths[0][0], np.array([values for _, values in paths])


def loss_at(run, steps) -> np.ndarray:
    """The training loss at some steps, by lines between its points; at 0 the validation loss.

    It is kept far more often than the validation loss, and no window is seen twice here.
    """
    points = np.array([run.curve[0], *run.curves["train"]])
    return np.interp(steps, *points.T)


def guessing(runs) -> float:
    """The loss in nats of guessing tokens by their frequency; nan without a run."""
    if not len(runs):
        return math.nan
    data = text_of(runs)
    return unigrams(data).get(data.corpus, math.nan)


def spectra_of(probes) -> list[dict]:
    """The probes that hold spectra."""
    return [probe for probe in probes if "tensors" in probe]


def _kind(name: str) -> str:
    """'mlp: up' of 'blocks.0.mlp.up.weight'."""
    parts = name.split(".")[:-1]
    return ": ".join(parts[2:] if parts[0] == "blocks" else parts)
