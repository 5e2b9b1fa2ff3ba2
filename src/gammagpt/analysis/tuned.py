"""What was tuned by the second edition's rules: the best rate of each setting, and its runs."""

import pandas as pd

from .plateau import collapse_index

FORMS = {"learning rate": "{:.2g}", "x": "{:.2f}", "loss": "{:.3f}", "sd": "{:.3f}"}


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


def table(*frames):
    """`best` of all settings of these frames, each once, as a page shows it."""
    found = pd.concat([best(runs) for runs in frames if len(runs)] or [pd.DataFrame()])
    if not len(found):
        return pd.DataFrame(columns=["setting", *FORMS]).style.hide(axis="index")
    return found.drop_duplicates("setting").style.format(FORMS).hide(axis="index")
