"""What the theory chapters read off runs and their probes; what theory says of the same runs.

Runs are rows of a frame (lab.frame, with roles). Pictures: c04_embeddings, c05_attention.
"""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd

from ..data.anchors import AnchorConfig, label_laws, parse_tasks, training_sequences
from ..lab.measures import EARLY, chance_losses, closed_form_cosines, correlation, law_cosines
from ..ledger.judge import judge
from ..ledger.show import SIGNS
from ..plots import points
from ..probes.geometry import full_matrix
from .anchors import data_of
from .frames import contrast

PAPER = ("gamma 0.3", "gamma 0.8")  # the paper's large and small initialization

# ---- runs and their probes -----------------------------------------------------------------------


def probed(runs, role: str = "common") -> pd.DataFrame:
    """The runs of a role that ended well and were probed, by gamma and seed."""
    if not len(runs):
        return runs
    seen = runs.probes.map(lambda probes: any("geometry" in probe for probe in probes))
    found = runs[(runs.role == role) & (runs.status == "ok") & seen]
    return found.sort_values(["gamma", "seed"])


def geometry_at(run) -> dict:
    """(step, geometry) of a run at the 'start', 'early' and 'late', as measures.py takes them."""
    probes = {p["step"]: p["geometry"] for p in run.probes if "geometry" in p}
    early = max(step for step in probes if step <= EARLY * run.steps)
    moments = {"start": min(probes), "early": early, "late": max(probes)}
    return {when: (step, probes[step]) for when, step in moments.items()}


def over_probes(runs, value) -> pd.DataFrame:
    """What `value` takes from the geometry of each probe, as a tidy table of points."""

    def way(run):
        probes = [probe for probe in run.probes if "geometry" in probe]
        return [probe["step"] for probe in probes], [value(probe["geometry"]) for probe in probes]

    return points(runs, way)


def left(run, when: str) -> dict[str, float]:
    """The share of each task that is left at a moment: its loss over that of guessing."""
    data = data_of(run)
    step, _ = geometry_at(run)[when]
    chance = chance_losses(data, run.seed)
    at = {name: np.interp(step, *np.array(run.curves[name]).T) for name, *_ in parse_tasks(data)}
    return {name: min(1.0, loss / chance[name]) for name, loss in at.items()}


def one_each(runs) -> pd.DataFrame:
    """The run of the lowest seed of each of the two settings that are set side by side."""
    return contrasted(runs).drop_duplicates("setting") if len(runs) else runs


def contrasted(runs) -> pd.DataFrame:
    """The runs of the two settings that are set side by side: the paper's, or the outermost."""
    return runs[runs.setting.isin(contrast(runs, PAPER))] if len(runs) else runs


# ---- tasks and their anchors ---------------------------------------------------------------------


def blocks(data: AnchorConfig) -> list:
    """(task, its anchors, where they are among all anchors, its law) of every task."""
    parts, at = [], 0
    for name, among, law in parse_tasks(data):
        parts.append((name, among, slice(at, at + len(among)), law))
        at += len(among)
    return parts


def reasoning(data: AnchorConfig):
    """(anchors, block) of the task whose labels are sums (of several: the last), or None."""
    sums = [(among, block) for _, among, block, law in blocks(data) if law == "sum"]
    return sums[-1] if sums and len(sums[-1][0]) > 1 else None


# ---- cosines, trained and by theory --------------------------------------------------------------


def trained(run, when: str) -> np.ndarray:
    """Cosines between the embeddings of the reasoning anchors."""
    _, block = reasoning(data_of(run))
    return full_matrix(geometry_at(run)[when][1]["cosine"])[block, block]


def by_distance(matrix) -> np.ndarray:
    """Mean cosine at distance 1, 2, ..."""
    return np.array([np.diag(matrix, k).mean() for k in range(1, len(matrix))])


@cache
def centred_law_cosines(data: AnchorConfig, seed: int) -> np.ndarray:
    """Cosines between the laws of the reasoning anchors, less the mean law of all of these."""
    among, _ = reasoning(data)
    laws, _ = label_laws(training_sequences(data, seed), data.vocab_size)
    rows = laws[list(among)] - laws[list(among)].mean(0)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return rows @ rows.T


def references(run) -> dict[str, np.ndarray]:
    """The cosines between reasoning anchors that theory gives for a run, by the theory's name.

    The third is ours: what is left of a law for who knows already which labels its task has.
    """
    data = data_of(run)
    among, block = reasoning(data)
    return {
        "label law": law_cosines(data, run.seed)[block, block],
        "closed form": closed_form_cosines(among, run.width),
        "law less its task's mean": centred_law_cosines(data, run.seed),
    }


def law_matches(runs) -> pd.DataFrame:
    """How trained cosines of reasoning anchors agree with each theory, and with a straight line.

    A row for each setting, moment and reference, means over seeds: the correlation over all pairs,
    which is blind to shift and stretch, and the mean gap, which is not (the line has none).
    """
    rows = []
    for run in probed(runs).itertuples():
        numbers = np.array(reasoning(data_of(run))[0], dtype=float)
        line = {"minus the distance": -np.abs(np.subtract.outer(numbers, numbers))}
        upper = np.triu_indices(len(numbers), 1)
        for when in ("early", "late"):
            cosines = trained(run, when)[upper]
            for name, matrix in (references(run) | line).items():
                gap = np.abs(cosines - matrix[upper]).mean() if name not in line else math.nan
                match = correlation(cosines, matrix[upper]) if len(cosines) > 1 else math.nan
                rows.append((run.setting, when, name, match, gap))
    columns = ["setting", "when", "compared with", "correlation", "mean gap"]
    table = pd.DataFrame(rows, columns=columns)
    return table.groupby(columns[:3], sort=False, as_index=False).mean()


def next_in_plane(pca: dict, among) -> float:
    """The share of some tokens whose nearest other in the plane is a neighbour in number.

    A line that is bent, or wound up, keeps this high where the order along one axis is lost.
    """
    tokens = np.array(pca["tokens"])
    tokens, plane = tokens[np.isin(tokens, among)], np.array(pca["plane"])[np.isin(tokens, among)]
    apart = np.linalg.norm(plane[:, None] - plane[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    return float((np.abs(tokens[apart.argmin(1)] - tokens) == 1).mean())


# ---- is it special to small initialization? ------------------------------------------------------


def signs_by_gamma(judged, tier: str) -> pd.DataFrame:
    """The verdict of each claim's own rule on every setting, at the common and at the best rate.

    A row for each claim and learning rate, a column for each setting; the signs are those of pages.
    """
    rows = []
    for claim, runs in judged:
        settings = list(dict.fromkeys(runs.sort_values("gamma").setting)) if len(runs) else []
        for rate in ("common", "tuned"):
            row = {"claim": claim.title, "learning rate": rate}
            for setting in settings:
                comparison = claim.comparison | {"setting": setting, "learning_rate": rate}
                verdict = judge(replace(claim, comparison=comparison), runs, tier)
                row[setting] = SIGNS[verdict.verdict]
            rows.append(row)
    return pd.DataFrame(rows).fillna("")
