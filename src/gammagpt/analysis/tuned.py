"""What was tuned: best rates, and differences of compared runs."""

import pandas as pd

from ..ledger.welch import Welch
from .plateau import collapse_index

MARGIN = 0.03  # nats: what the claims call equivalent
CONFIDENCE = 0.95
FORMS = {"learning rate": "{:.2g}", "x": "{:.2f}", "loss": "{:.3f}", "sd": "{:.3f}"}


def sound(runs) -> pd.DataFrame:
    """The compared runs; `resolved` is False too where any run of their setting has collapsed."""
    table = runs[runs.role == "tuned"] if len(runs) else runs
    if not len(table):
        return table
    bad = table.groupby("setting").collapsed.transform("any")
    return table.assign(resolved=table.resolved & ~bad)


def best(runs) -> pd.DataFrame:
    """A row a setting at its best rate: x = lr d^2 / n_w, and the spread that the recipe is judged
    by (sd of the final loss, in nats per token, over the runs that are compared)."""
    rows = []
    for setting, group in runs[runs.role == "tuned"].groupby("setting", sort=False):
        first = group.iloc[0]
        x = collapse_index(first.learning_rate, first.width, round(first.warmup * first.steps))
        rows.append({"setting": setting, "learning rate": first.learning_rate, "x": x,
                     "steps": int(first.steps), "runs": len(group), "loss": group.loss.mean(),
                     "sd": group.loss.std(), "collapsed": int(group.collapsed.sum()),
                     "inside its grid": "yes" if first.resolved else "no"})
    return pd.DataFrame(rows)


def difference(*sides, value: str = "loss") -> dict:
    """Of the losses of frames of compared runs (two, or four), or of another `value`: first less
    second [less third, plus fourth], in nats per token.

    Keys: effect, low, high (Welch's interval), resolved: False if a best rate lies at a grid's edge
    or a run collapsed, of whichever side.
    """
    found = Welch.of([list(side[value]) for side in sides])
    low, high = found.interval(CONFIDENCE)
    decided = all(side.resolved.all() and not side.collapsed.any() for side in sides)
    return {"effect": found.effect, "low": low, "high": high, "resolved": bool(decided)}


def table(*frames):
    """`best` of all settings of these frames, each once, as a page shows it."""
    found = pd.concat([best(runs) for runs in frames if len(runs)] or [pd.DataFrame()])
    if not len(found):
        return pd.DataFrame(columns=["setting", *FORMS]).style.hide(axis="index")
    return found.drop_duplicates().style.format(FORMS).hide(axis="index")
