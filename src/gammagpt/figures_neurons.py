"""Heat maps of the directions of neurons along a run: condensation as one can see it.

Runs are rows of a frame (sweep.frame) whose records hold cosines between neurons (probes.py).
"""

import numpy as np

from .figures import Picture, nothing, provenance
from .geometry import full_matrix

MAPS = 6  # of a run: the start, the end, and those in between


def maps(run) -> dict[int, np.ndarray]:
    """{step: cosines (N, N)} of a run; neurons in the order in which they group most clearly.

    That is the order of the first principal axis of the cosines (as in the heat maps of "From
    Condensation to Rank Collapse", NeurIPS 2025) where they are largest; the same at all steps.
    """
    found = {p["step"]: full_matrix(p["neurons"]) for p in run.probes if "neurons" in p}
    if not found:
        return {}
    clearest = max(found.values(), key=mean_cosine)
    order = np.argsort(np.linalg.eigh(clearest)[1][:, -1])
    return {step: cosines[np.ix_(order, order)] for step, cosines in found.items()}


def mean_cosine(cosines) -> float:
    """The mean |cosine| between different neurons."""
    return float(np.abs(cosines[np.triu_indices(len(cosines), 1)]).mean())


def neuron_cosines(runs, tier: str) -> Picture:
    """Cosines between neurons' input weights: a row of heat maps a run, from start to end."""
    shown = {run.setting: found for run in runs.itertuples() if (found := maps(run))}
    if not shown:
        return nothing("fig-neurons")
    steps = _some(list(next(iter(shown.values()))))

    def draw(figure):
        grid = figure.subplots(len(shown), len(steps), squeeze=False)
        for row, (setting, found) in zip(grid, shown.items(), strict=True):
            for axes, step in zip(row, steps, strict=True):
                image = axes.imshow(found[step], cmap="RdBu_r", vmin=-1, vmax=1)
                axes.set(xticks=[], yticks=[])
                axes.grid(False)
            row[0].set_ylabel(f"{setting}\nneuron")
        for axes, step in zip(grid[0], steps, strict=True):
            axes.set_title(f"step {step}", fontsize=10)
        figure.colorbar(image, ax=grid, label="cosine", shrink=0.8)

    alt = f"Cosines between neurons as heat maps. Mean |cosine|: {'; '.join(_told(shown))}."
    count = len(next(iter(shown.values()))[steps[0]])
    caption = (
        f"Each map compares {count} neurons of the first MLP, two by two; their order is the same "
        f"along a row. Strong colours off the diagonal: a few common directions. "
        f"{provenance(runs, tier)}"
    )
    return Picture("fig-neurons", draw, alt, caption, (7.6, 0.6 + 1.25 * len(shown)))


def _told(shown) -> list[str]:
    """Of each setting: mean |cosine| at the start, the largest on the way, and at the end."""
    lines = []
    for setting, found in shown.items():
        means = {step: mean_cosine(cosines) for step, cosines in found.items()}
        (_, first), *_, (_, last) = means.items()
        top = max(means, key=means.get)
        lines.append(f"{setting} {first:.2f} at the start, at most {means[top]:.2f} at step {top}, "
                     f"{last:.2f} at the end")  # fmt: skip
    return lines


def _some(steps: list[int]) -> list[int]:
    """Up to MAPS of them, evenly by their place, the first and the last included."""
    places = np.linspace(0, len(steps) - 1, min(MAPS, len(steps)))
    return [steps[i] for i in sorted({round(place) for place in places})]
