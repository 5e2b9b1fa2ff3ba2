"""What the chapter on long trainings reads off runs: how long is long, and what a gain is worth.

Runs are rows of a frame (sweep.frame, with roles), each start at several lengths; a start and a
gain are those of readings_scaling.py. Pictures: figures_scaling.py.
"""

import math

import numpy as np
import pandas as pd

from .claims import paired_interval
from .readings_bias import ROLES
from .readings_scaling import along, lines, place, usual
from .valleys import LOST
from .words import listed, shown


def lengths(configs, weights: int, text: int) -> pd.DataFrame:
    """A row a length: steps, tokens, tokens for each of the model's weights, passes of the text."""
    counts = sorted({(config.steps, config.tokens) for config in configs})
    rows = [(steps, tokens, tokens / weights, tokens / text) for steps, tokens in counts]
    columns = ["steps", "tokens", "tokens per parameter", "passes of the text"]
    return pd.DataFrame(rows, columns=columns)


def forgiving_in_words(runs) -> list[str]:
    """A line a setting: how many rates of the grid cost at most LOST, by the tuning runs."""
    tuning = runs[runs.role == "tuning"] if len(runs) else runs
    said = []
    for setting, group in tuning.groupby("setting", sort=False) if len(tuning) else ():
        mean = group.groupby("learning_rate").loss.mean()
        near = mean.index[mean <= mean.min() + LOST]
        span = f"{near.min():g} to {near.max():g}" if len(near) > 1 else f"{near[0]:g} alone"
        said.append(f"- *{setting}*: {len(near)} of {len(mean)}, {span}.")
    return said


def turned_in_words(runs) -> str:
    """Whether the start that forgives fewer rates is another one after a longer training."""
    tuning = runs[(runs.role == "tuning") & runs.gamma.notna()] if len(runs) else runs
    if not len(tuning) or tuning.steps.nunique() < 2 or tuning.gamma.nunique() < 2:
        return ""
    ends = [(steps, gamma) for steps in (tuning.steps.min(), tuning.steps.max())
            for gamma in (tuning.gamma.min(), tuning.gamma.max())]  # fmt: skip
    near = {end: _forgiven(tuning[(tuning.steps == end[0]) & (tuning.gamma == end[1])])
            for end in ends}  # fmt: skip
    told = [f"gamma {gamma:g} {near[steps, gamma]} at {steps:,} steps" for steps, gamma in ends]
    short, long = (near[ends[i]] - near[ends[i + 1]] for i in (0, 2))
    turned = short * long < 0
    head = ("**Which start is the pickier one turns round with the length**" if turned else
            "Which start is the pickier one does not turn round with the length")  # fmt: skip
    return f"{head}: of the rates, {', '.join(told)} cost at most {LOST:g} nats."


def _forgiven(tuning) -> int:
    """How many rates cost at most LOST more than the best."""
    mean = tuning.groupby("learning_rate").loss.mean()
    return int((mean <= mean.min() + LOST).sum())


def worth(runs) -> pd.DataFrame:
    """What a start's lead is worth in training, by seed: role, start, seed, factor, resolved.

    The usual start's loss is a straight line in the logarithms of loss and tokens, through its
    runs of one seed; `factor` is where on it the other start's loss lies, over the tokens of the
    longest run. 1.5: the usual start would need half as much training again. The line is a chord
    of a curve that flattens, so beyond the last run the factor is too near to one.
    """
    points, found = along(runs, "tokens"), lines(runs, "tokens")
    longest = points[points.x == points.x.max()]
    rows = []
    for (role, relaxed, start), _ in found.items():
        base = found.get((role, relaxed, usual(points)))
        mine = longest[(longest.role == role) & (longest.start == start)].set_index("seed")
        if base is None or start == usual(points):
            continue
        for seed in base.slopes.index.intersection(mine.index):
            needed = (math.log(mine.loss[seed]) - base.levels[seed]) / base.slopes[seed]
            factor = math.exp(needed) / mine.x[seed]
            rows.append((role, start, seed, factor, bool(mine.resolved[seed])))
    return pd.DataFrame(rows, columns=["role", "start", "seed", "factor", "resolved"])


def worth_in_words(runs) -> list[str]:
    """A line a question and start; the interval is one of logarithms, over seeds."""
    found, said = worth(runs), []
    for (role, start), group in found.groupby(["role", "start"], sort=False):
        factor = np.exp(paired_interval(list(np.log(group.factor)), 0.95))
        edge = "" if group.resolved.all() else " A best rate lies at the grid's edge."
        said.append(f"- {ROLES[role]}, *{start}*: {shown(tuple(factor), '')} times the training "
                    f"would bring the usual start to the same loss.{edge}")  # fmt: skip
    return said


def answer(verdicts: dict) -> str:
    """Does the gain last? From {claim id: Verdict}, in the order of what a reader asks."""
    there, grows = verdicts["lasting-there-tuned"], verdicts["lasting-grows-tuned"]
    text = {
        "supported": "**It lasts**: with rates tuned the small start is still ahead at the end of "
                     "the long training.",
        "contradicted": "**It does not last**: with rates tuned the small start is not ahead by "
                        "as much as the rule asks.",
        "inconclusive": f"**Whether it lasts with rates tuned is not decided**: {there.reason}.",
        "not run": "**With rates tuned nobody has trained for so long at this tier yet.**",
    }[there.verdict]  # fmt: skip
    if there.verdict == "contradicted" and there.high < 0:
        text = "**It turns round**: with rates tuned the usual start is ahead in the end."
    change = {
        "supported": "The gain has grown with the training.",
        "contradicted": "The gain has shrunk on the way." if grows.high < 0 else
                        "The gain has not grown by as much as the rule asks.",
        "inconclusive": f"Whether it grows on the way is not decided: {grows.reason}.",
    }.get(grows.verdict, "")  # fmt: skip
    common = verdicts["lasting-there-common"].verdict
    if {common, there.verdict} == {"supported", "contradicted"}:
        change += (" Whoever knew the common rate only would say the opposite."
                   if common == "supported" else " The common rate hides it.")  # fmt: skip
    return f"{text} {change}".strip()


def ends(runs) -> str:
    """Mean loss of every start at the longest length, in words, for each question."""
    points, said = along(runs, "tokens"), []
    points = points[points.x == points.x.max()]
    for role, group in points.groupby("role", sort=False):
        means = group.groupby("start", sort=False).loss.mean()
        told = listed(f"{start} {loss:.3f}" for start, loss in means.items())
        said.append(f"{ROLES[role]} {told}")
    return f"After {place(points.x.max(), 'tokens')}: {'; '.join(said)}." if said else ""
