"""Heat maps of the directions of neurons along a run: condensation as one can see it.

Runs are rows of a frame (lab.frame) whose records hold cosines between neurons (gpt/scores.py).
"""

import numpy as np

from ...plots import Matrix, Picture, compose, provenance
from ...probes.triangle import full_matrix

MAPS = 6  # of a run: the start, the end, and those in between


def maps(run) -> dict[int, np.ndarray]:
    """{step: cosines (N, N)} of a run; neurons in the order in which they group most clearly.

    That is the order of the first principal axis of the cosines (as in the heat maps of "From
    Condensation to Rank Collapse", NeurIPS 2025) where they are largest; the same at all steps.
    """
    cosines = {p["step"]: full_matrix(p["neurons"]) for p in run.probes if "neurons" in p}
    if not cosines:
        return {}
    clearest = max(cosines.values(), key=mean_cosine)
    order = np.argsort(np.linalg.eigh(clearest)[1][:, -1])
    return {step: matrix[np.ix_(order, order)] for step, matrix in cosines.items()}


def mean_cosine(cosines) -> float:
    """The mean |cosine| between different neurons."""
    return float(np.abs(cosines[np.triu_indices(len(cosines), 1)]).mean())


def neuron_cosines(runs, tier: str) -> Picture:
    """Cosines between neurons' input weights: a row of heat maps a run, from start to end."""
    shown = {run.setting: matrices for run in runs.itertuples() if (matrices := maps(run))}
    grid = []
    for setting, matrices in shown.items():
        steps = _some(list(next(iter(shown.values()))))
        grid.append([Matrix(values=matrices[step], title="" if grid else f"step {step}", head="",
                            label=f"{setting}\nneuron" * (step == steps[0])) for step in steps])
    count = len(grid[0][0].values) if grid else 0
    caption = (f"Each map compares {count} neurons of the first MLP, two by two; their order is "
               "the same along a row. Strong colours off the diagonal: a few common directions.")
    return compose("fig-neurons", "Cosines between neurons as heat maps. Mean |cosine|",
                   grid or [[]], alt="; ".join(map(_words, shown, shown.values())), legend=None,
                   caption=caption, bar="cosine", source=provenance(runs, tier),
                   size=(7.6, 0.6 + 1.25 * len(grid)))


def _words(setting: str, matrices: dict) -> str:
    """Mean |cosine| at the start, the largest on the way, and at the end."""
    means = {step: mean_cosine(cosines) for step, cosines in matrices.items()}
    (_, first), *_, (_, last) = means.items()
    top = max(means, key=means.get)
    return (f"{setting} {first:.2f} at the start, at most {means[top]:.2f} at step {top}, "
            f"{last:.2f} at the end")


def _some(steps: list[int]) -> list[int]:
    """Up to MAPS of them, evenly by their place, the first and the last included."""
    places = np.linspace(0, len(steps) - 1, min(MAPS, len(steps)))
    return [steps[i] for i in sorted({round(place) for place in places})]
