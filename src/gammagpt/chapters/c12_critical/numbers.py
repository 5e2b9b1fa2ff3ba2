"""Tables of chapter 12: tuned losses by gamma, their best rates, and runs on the map of collapse.

The paper's definition of a critical initialization was not readable to us: ours are.
"""

import pandas as pd

from ...analysis.frames import of_role
from ...analysis.plateau import CRITICAL
from ...analysis.plateau_runs import prediction_runs, score
from ...analysis.tuned import sound

MAPPED = ["path_rate", "warmup_steps", "outcome", "key"]


def best_rates(runs) -> pd.DataFrame:
    """A row a gamma: its best learning rate, and whether that lies inside its grid."""
    table = of_role(runs, "tuned")
    return table.drop_duplicates("setting") if len(table) else table


def lowest(runs) -> float:
    """The lowest mean loss of any gamma, in nats per token."""
    return sound(runs).groupby("setting").loss.mean().min()


def critical_rate(gamma, width):
    """The learning rate at which this gamma is the critical one: lr = 1.1 d^-gamma / sqrt(d)."""
    return CRITICAL * width ** (-gamma - 0.5)


def on_map(store) -> pd.DataFrame:
    """The runs that were forecast in chapter 17: lr d^2, n_w, and whether they collapsed."""
    records = [record for record in map(store.get, prediction_runs()) if record is not None]
    found = score(records)["collapse"]
    if not len(found):
        return pd.DataFrame(columns=MAPPED)
    width, rate = found.width.astype(float), found.learning_rate.astype(float)
    words = found.collapsed.map({True: "collapsed", False: "did not collapse"})
    return found.assign(path_rate=rate * width**2, outcome=words,
                        warmup_steps=found.warmup_steps.astype(float))
