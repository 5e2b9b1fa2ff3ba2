"""Figures of anchor functions: every task along a run, and the way through two of them.

Several models on one page come as {title: runs}, a row each. Runs are rows of a frame.
"""

import pandas as pd

from ..lab.order import HALF
from ..plots import (
    COLOURS,
    GREY,
    Curves,
    Estimates,
    Picture,
    Ways,
    compose,
    nothing,
    points,
    provenance,
)
from ..plots.style import looks, stroke
from .anchors import points_of, share_left
from .frames import columns_of, compared


def task_curves(runs, tier: str, score="loss", anchor="fig-tasks", levels=None) -> Picture:
    """Loss or accuracy of every task against the step, a panel a setting; mean and range.

    `levels` {task: value} are drawn as dotted lines: what one law or another would give.
    """
    if not len(runs):
        return nothing(anchor)
    tasks, unit = tasks_of(runs), "loss (nats)" if score == "loss" else "accuracy"
    top = None if score == "loss" else 1.05

    def dotted(axes):
        for task, i in looks(tasks).items():
            if task in (levels or {}):
                axes.axhline(levels[task], color=COLOURS[i % 6], linestyle=":")

    panels = [Curves(table=task_points(group, tasks, score), hue="task", look=stroke, title=setting,
                     label=unit, xlabel="step", axes={"ylim": (0, top)}, also=dotted)
              for setting, group in runs.groupby("setting", sort=False)]
    caption = ("Mean over seeds; the band is their range."
               + " Dotted: what knowing the task and its labels' law gives." * bool(levels))
    return compose(anchor, f"{kind_of(runs)}: the {unit} of each task against the step. At the end",
                   panels, caption=caption, source=provenance(runs, tier))


def task_points(runs, tasks, score: str) -> pd.DataFrame:
    """The curves of some tasks, of the runs that got to their end: columns x, y, seed, task."""
    ended = runs[runs.status == "ok"]
    names = {task: task if score == "loss" else f"{task}_{score}" for task in tasks}
    return pd.concat([points(ended, lambda run, name=name: points_of(run, name).T, task=task)
                      for task, name in names.items()])


def tasks_of(runs) -> list[str]:
    """The tasks as the configuration names them, and the held-out pairs, if any were measured."""
    names = [part.split()[0] for part in runs.iloc[0].tasks.split(",")] if len(runs) else []
    measured = set().union(*runs.curves.map(set)) if len(runs) else set()
    return [name for name in [*names, "unseen"] if name in measured]


def kind_of(runs) -> str:
    """What kind of model these runs train."""
    of_emb_mlp = "activation" in runs and runs.activation.notna().all()
    return "An Emb-MLP" if of_emb_mlp else "A Transformer"


def paths(frames: dict, tier: str, done="reasoning", left="memory", anchor="fig-path",
          known=None) -> Picture:
    """Each run's way through the plane of what is left of two tasks. It has no clock.

    `known` marks how much of `done` is left to who knows the law of its labels, and no label.
    """
    frames = {title: compared(runs) for title, runs in frames.items()}
    every = pd.concat([runs for runs in frames.values() if len(runs)] or [pd.DataFrame()])
    if not len(every):
        return nothing(anchor)
    numbers = looks(every.sort_values("gamma").setting.unique())
    grid = [[_path(runs, title, done, left, known, numbers)] for title, runs in frames.items()]
    ahead = "what was seen" if left == "unseen" else done
    line = f" Dotted: what is left of {done} when only its labels' law is known." * bool(known)
    caption = (f"Thin: runs; thick: their mean. Below the diagonal {ahead} is ahead; a cross, one "
               f"a run, marks where it is half learned.{line}")
    head = (f"Every run's way from all of {done} and {left} left (bottom left) to nothing left "
            f"(top right). Share of {left} left when {done} is half learned")
    return compose(anchor, head, grid, caption=caption, legend_title="gamma",
                   first=numbers, source=provenance(every, tier), size=(7.2, 1 + 2.9 * len(grid)))


def _path(runs, title: str, done: str, left: str, known, numbers: dict) -> Ways:
    """One panel: all runs, and crosses where one task is half learned."""
    measure = f"{left}_left_at_{done}"

    def way(run):
        x, y = (share_left(run, task)[:, 1].clip(max=1) for task in (done, left))
        return (x, y) if len(x) == len(y) else ((), ())

    def more(axes):
        _diagonal(axes, known)
        for setting, group in runs.groupby("setting", sort=False):
            look = {"color": COLOURS[numbers[setting] % 6], "markersize": 5}
            half = columns_of(group, [measure])[measure]
            axes.plot([HALF] * len(half), half, "x", **look)

    halves = Estimates(table=columns_of(runs, ["gamma", measure]),
                       x="gamma", y=measure, form=".2f", interval=False)
    return Ways(table=points(runs, way), mean=True, title=title,
                xlabel=f"share of {done} left", label=f"share of {left} left", also=more,
                alt=halves.describe)


def _diagonal(axes, known) -> None:
    axes.plot([1, 0], [1, 0], color=GREY, linestyle=":")
    look = {"rotation": -135, "rotation_mode": "anchor", "transform_rotates_text": True}
    axes.text(0.25, 0.23, "both alike", fontsize=9, ha="center", **look)
    if known:
        axes.axvline(known, color=GREY, linestyle=":")
    axes.set(xlim=(1.03, -0.03), ylim=(1.03, -0.03))
