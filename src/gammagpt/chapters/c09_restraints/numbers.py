"""Numbers of the chapter on restraints: variants, gains and what changes them, decay and warm-up.

Runs are rows of a frame (lab.frame, with roles). A setting is a gamma and a variant, as in
"gamma 0.5, eps 1e-12, gate". Pictures: figures.py.
"""

import math

import pandas as pd

from ...analysis.along_size import as_text
from ...analysis.gains import changes, effects, ends, gains, less, parted
from ...gpt.optim import OptimConfig, learning_rate
from ...ledger.estimate import QUESTIONS, Estimate

HABITS = {"weight_decay": "weight decay", "warmup": "warm-up (share of the steps)"}


def stands_for(runs, gamma: float, usual: float) -> pd.DataFrame:
    """The runs with a column `stands_for`: the width at which the usual epsilon does as much.

    With this gamma, to the first norm: eps d^(2 gamma) is the same number for both.
    """
    times = (runs.norm_eps.astype(float) / usual) ** (1 / (2 * gamma))
    return runs.assign(stands_for=runs.width.astype(float) * times)


def renamed(runs, without: str) -> pd.DataFrame:
    """The same runs; their settings' names lack these words, which are common to all."""
    return runs.assign(setting=runs.setting.astype(str).str.replace(without, "", regex=False))


def left_by_decay(config) -> float:
    """The share of a weight that decay alone would leave at the end of a run."""
    optim, steps = config.optim, config.steps
    path = sum(learning_rate(optim, step, steps) for step in range(steps))
    return math.exp(-optim.weight_decay * path)


def variants(runs) -> pd.DataFrame:
    """By how much each variant changes the loss of both ends, and their gain: a row each."""
    change, effect, rows = changes(runs), effects(runs), []
    for (role, variant), group in change.groupby(["role", "variant"], sort=False):
        same = effect[(effect.role == role) & (effect.variant == variant)]
        losses = [Estimate.of(same[same.init == init].effect) for init in ends(parted(runs))]
        rows.append((QUESTIONS[role], variant, *losses, Estimate.of(group.change)))
    names = [f"loss of {init}" for init in ends(parted(runs)) or ()]
    return as_text(pd.DataFrame(rows, columns=["question", "variant", *names, "gain"]
                                if rows else None))


def only(runs, habit: str) -> pd.DataFrame:
    """The compared runs in which no other habit than this one differs from what is usual."""
    runs, usual = parted(runs), OptimConfig()
    for other in HABITS.keys() - {habit}:
        runs = runs[runs[other] == getattr(usual, other)] if len(runs) else runs
    return runs


def habit_gains(runs, habit: str) -> pd.DataFrame:
    """Gains along one habit: role, variant, seed, gain, the habit's value, learning_rate."""
    runs = only(runs, habit)
    values = runs.reindex(columns=["variant", habit, "learning_rate"]).drop_duplicates()
    return gains(runs).merge(values, on="variant")


def habit_changes(runs, habit: str) -> dict[float, pd.Series]:
    """Learning rate -> the gain at the habit's least value minus that at its largest, by seed."""
    change = {}
    for rate, group in habit_gains(runs, habit).groupby("learning_rate"):
        values = group[habit]
        least, most = group[values == values.min()], group[values == values.max()]
        if values.nunique() > 1:
            change[rate] = less(least, most, ["role", "seed"], "gain", "change").change
    return change


def habits(runs) -> pd.DataFrame:
    """A row a habit and learning rate: how the gain changes from its most to its least."""
    rows = []
    for habit, words in HABITS.items():
        values = sorted(only(runs, habit).reindex(columns=[habit])[habit].unique())
        rows += [(words, f"{values[-1]:g} to {values[0]:g}", rate, Estimate.of(change))
                 for rate, change in habit_changes(runs, habit).items()]
    columns = ["habit", "from, to", "learning rate", "change of the gain"]
    return as_text(pd.DataFrame(rows, columns=columns))
