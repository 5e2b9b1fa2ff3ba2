"""The two parts of a setting's name, and the pair of initializations that is compared.

Runs are rows of a frame (lab.frame, with roles). An initialization is the first part of a
setting, as "gamma 0.5" of "gamma 0.5, gate"; the rest is its variant, or PLAIN.
"""

import pandas as pd

from .frames import compared

PLAIN = "as usual"


def parted(runs) -> pd.DataFrame:
    """The compared runs, each once, with init ("gamma 0.5") and variant ("eps 1e-12, gate")."""
    runs = runs.reindex(columns=runs.columns.union(["role", "key", "setting"], sort=False))
    return named(compared(runs).drop_duplicates(["role", "key"]))


def named(runs) -> pd.DataFrame:
    """These runs with init and variant, whatever their role."""
    parts = runs.setting.astype(str).str.partition(", ")
    if not len(runs):
        parts = pd.DataFrame(columns=range(3))
    return runs.assign(init=parts[0], variant=parts[2].replace("", PLAIN))


def ends(runs) -> tuple[str, str] | None:
    """The initializations with the smallest and the largest gamma; None without such a pair."""
    if not len(runs) or not runs.gamma.nunique() > 1:
        return None
    return f"gamma {runs.gamma.min():g}", f"gamma {runs.gamma.max():g}"
