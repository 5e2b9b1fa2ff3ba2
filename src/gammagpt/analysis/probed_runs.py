"""What the theory chapters read off runs and their probes; what theory says of the same runs.

Runs are rows of a frame (lab.frame, with roles). Pictures: c04_embeddings, c05_attention.
"""

from functools import cache

import numpy as np
import pandas as pd

from ..data.anchors import AnchorConfig, label_laws, parse_tasks, training_sequences
from ..lab.anchor_measures import closed_form_cosines, correlation, law_cosines
from ..plots import points
from ..probes.triangle import full_matrix
from .anchors import data_of
from .frames import contrast
from .tuned import best

PAIR = ("gamma 0.5", "gamma 0.8")  # baseline and treatment of the claims

# ---- runs and their probes -----------------------------------------------------------------------


def probed(runs) -> pd.DataFrame:
    """The runs at their own best rates that ended well and were probed, by gamma and seed."""
    if not len(runs):
        return runs
    seen = runs.probes.map(lambda probes: any("geometry" in probe for probe in probes))
    found = runs[(runs.role == "tuned") & (runs.status == "ok") & seen]
    return found.sort_values(["gamma", "seed"])


def geometries(run) -> tuple[list[int], list[dict]]:
    """The steps at which a run's geometry was measured, and what was found."""
    found = [(probe["step"], probe["geometry"]) for probe in run.probes if "geometry" in probe]
    return tuple(map(list, zip(*found, strict=True)))


def at_moment(run, when: str, value):
    """What `value` takes from the geometry, numbers or arrays, at the "start", "early" or "late".

    Early is as in the measures, on a line between two probes; nan where it never comes.
    """
    steps, found = geometries(run)
    at = {"start": steps[0], "early": run.begins, "late": steps[-1]}[when]
    values = np.array([value(geometry) for geometry in found], dtype=float)
    return np.apply_along_axis(lambda path: np.interp(at, steps, path), 0, values)


def over_probes(runs, value) -> pd.DataFrame:
    """What `value` takes from the geometry of each probe, as a tidy table of points."""

    def way(run):
        steps, found = geometries(run)
        return steps, list(map(value, found))

    return points(runs, way)


def contrasted(runs) -> pd.DataFrame:
    """The probed runs of the two settings that are set side by side: PAIR, or the outermost."""
    found = probed(runs)
    return found[found.setting.isin(contrast(found, PAIR))] if len(found) else found


def one_each(runs) -> pd.DataFrame:
    """Of these two settings, the run of the lowest seed."""
    found = contrasted(runs)
    return found.drop_duplicates("setting") if len(found) else found


def when_early(models: dict) -> pd.DataFrame:
    """A row a model and setting: its best rate, and the mean step at which a tenth of reasoning is
    learned, with how many of the runs got there."""
    tables = []
    for name, runs in models.items():
        if len(found := probed(runs)):
            table, begins = best(found), found.groupby("setting", sort=False).begins
            steps = [f"{steps.mean():.0f} ({steps.count()} of {len(steps)})" for _, steps in begins]
            tables.append(table.assign(model=name, early=steps))
    columns = ["model", "setting", "learning rate", "inside its grid", "loss", "early"]
    return pd.concat(tables or [pd.DataFrame(columns=columns)])[columns].rename(
        columns={"early": "early is step (runs)"})


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


def cosines(geometry: dict, block=slice(None)) -> np.ndarray:
    """Between the embeddings of all anchors, or of some."""
    return full_matrix(geometry["cosine"])[block, block]


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


def law_matches(models: dict) -> pd.DataFrame:
    """How trained cosines of reasoning anchors correlate with each theory, and with a straight
    line in the distance, which knows none: a row a model, setting and moment, means over seeds."""
    keys = ["model", "setting", "when"]
    rows = [dict(zip(keys, (name, run.setting, when), strict=True)) | _matches(run, when)
            for name, runs in models.items() for run in contrasted(runs).itertuples()
            if reasoning(data_of(run)) for when in ("early", "late")]
    table = pd.DataFrame(rows, columns=None if rows else keys)
    return table.groupby(keys, sort=False, as_index=False).mean()


def _matches(run, when: str) -> dict[str, float]:
    among, block = reasoning(data_of(run))
    numbers, upper = np.array(among, dtype=float), np.triu_indices(len(among), 1)
    line = {"minus the distance": -np.abs(np.subtract.outer(numbers, numbers))}
    return {name: float(at_moment(run, when, lambda geometry, matrix=matrix: correlation(
        cosines(geometry, block)[upper], matrix[upper])))
        for name, matrix in (references(run) | line).items()}


def next_in_plane(pca: dict, among) -> float:
    """The share of some tokens whose nearest other in the plane is a neighbour in number.

    A line that is bent, or wound up, keeps this high where the order along one axis is lost.
    """
    tokens = np.array(pca["tokens"])
    tokens, plane = tokens[np.isin(tokens, among)], np.array(pca["plane"])[np.isin(tokens, among)]
    apart = np.linalg.norm(plane[:, None] - plane[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    return float((np.abs(tokens[apart.argmin(1)] - tokens) == 1).mean())
