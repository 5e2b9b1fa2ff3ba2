"""Frames of runs: columns that may be missing, and who is compared."""

from dataclasses import fields

import pandas as pd

from ..data.text import DataConfig


def columns_of(runs, names) -> pd.DataFrame:
    """Some columns of a frame, with nan for those that it lacks."""
    return runs.reindex(columns=list(names))


def text_of(runs) -> DataConfig:
    """The text that a run, or the first one of a frame, was trained on."""
    row = runs.iloc[0] if isinstance(runs, pd.DataFrame) else runs
    return DataConfig(**{field.name: getattr(row, field.name) for field in fields(DataConfig)})


def of_role(runs, *roles: str) -> pd.DataFrame:
    return runs[runs.role.isin(roles)] if len(runs) else runs


def compared(runs) -> pd.DataFrame:
    """The runs that are compared; those that only tuned are left out."""
    return runs[runs.role != "tuning"] if len(runs) else runs


def contrast(runs, pair=()) -> list[str]:
    """The two settings to set side by side: a pair that claims name, or else the outermost gammas.

    Fewer than two where there are no two.
    """
    order = list(dict.fromkeys(runs.sort_values("gamma").setting)) if len(runs) else []
    return list(pair) if pair and set(pair) <= set(order) else order[:1] + order[1:][-1:]
