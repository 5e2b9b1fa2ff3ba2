"""Frames of runs: columns that may be missing, and who is compared."""

import pandas as pd

from ..ledger.estimate import QUESTIONS


def columns_of(runs, names) -> pd.DataFrame:
    """Some columns of a frame, with nan for those that it lacks."""
    return runs.reindex(columns=list(names))


def of_role(runs, *roles: str) -> pd.DataFrame:
    return runs[runs.role.isin(roles)] if len(runs) else runs


def compared(runs) -> pd.DataFrame:
    """The runs of the two questions; those that only tuned are left out."""
    return of_role(runs, *QUESTIONS)


def contrast(runs, pair=()) -> list[str]:
    """The two settings to set side by side: a pair that claims name, or else the outermost gammas.

    Fewer than two where there are no two.
    """
    order = list(dict.fromkeys(runs.sort_values("gamma").setting)) if len(runs) else []
    return list(pair) if pair and set(pair) <= set(order) else order[:1] + order[1:][-1:]
