"""The figure of chapter 6 that is its own: answers inside the range of their task's labels.

Runs are rows of a frame (lab.frame, with roles). The others: analysis/anchor_figures.py.
"""

import math

import numpy as np
import pandas as pd

from ...analysis.anchor_figures import task_points, tasks_of
from ...plots import COLOURS, GREY, Curves, Picture, compose, looks, nothing, points, provenance


def range_shares(runs, tier: str, anchor="fig-ranges") -> Picture:
    """How often answers lie inside their task's labels, beside how often they are right."""
    if not len(runs):
        return nothing(anchor)
    tasks = tasks_of(runs)
    panels = [_panel(setting, rows, tasks) for setting, rows in runs.groupby("setting", sort=False)]
    caption = ("Mean over seeds. Solid: answers inside the task's range, right or not; dashed: "
               "right ones.")
    return compose(anchor, "Share of answers inside their task's range of labels. At the last "
                   "measurement with fewer than a tenth right", panels,
                   caption=caption, legend_title="inside the range of task",
                   source=provenance(runs, tier), size=(7.2, 4.4))


def _panel(setting: str, runs, tasks) -> Curves:
    ended, numbers = runs[runs.status == "ok"], looks(tasks)
    inside = pd.concat([points(ended, lambda run, task=task: _in_range(run, task), task=task)
                        for task in tasks])
    right = Curves(table=task_points(runs, tasks, "accuracy"), hue="task").tables()

    def dashed(axes):
        for task, table in right.items():
            axes.plot(table.columns, table.mean(), "--", color=COLOURS[numbers[task] % 6])
        axes.plot([], [], color=GREY, linestyle="--", label="right")

    def words():
        tables = Curves(table=inside, hue="task").tables()
        return ", ".join(_early(task, table.mean(), right[task].mean())
                         for task, table in tables.items() if task in right)

    return Curves(table=inside, hue="task", spread="none", title=setting, xscale="symlog",
                  xlabel="step (log from 1)", label="share of answers", also=dashed, alt=words,
                  axes={"ylim": (-0.02, 1.04)})


def _in_range(run, task: str):
    """(steps, shares) of answers inside a task's labels."""
    probes = [probe for probe in run.probes if "geometry" in probe]
    return ([probe["step"] for probe in probes],
            [probe["geometry"]["in_range"].get(task, math.nan) for probe in probes])


def _early(task: str, inside, right) -> str:
    """The shares at the last probe at which fewer than a tenth of the answers are right."""
    accuracy = np.interp(inside.index, right.index, right)
    at = max(0, np.argmax(accuracy >= 0.1) - 1)
    return f"{task} {inside.iloc[at]:.2f}, of which {accuracy[at]:.2f} right"
