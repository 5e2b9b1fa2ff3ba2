"""Words that the readings of several chapters share: effects with intervals, lists, roles."""

import math

from .claims import paired_interval
from .ledger.estimate import QUESTIONS as ROLES  # noqa: F401


def interval(values) -> tuple[float, float, float]:
    """Mean and 95 % Student interval over seeds; nan as soon as one of them is."""
    return paired_interval(list(values), 0.95)


def shown(values, sign: str = "+", digits: int = 3) -> str:
    """'+0.123 [+0.100, +0.146]', without the interval if there is none."""
    value, low, high = values
    form = f"{sign}.{digits}f"
    if not math.isfinite(value):
        return "not known"
    return f"{value:{form}}" + (f" [{low:{form}}, {high:{form}}]" if math.isfinite(low) else "")


def listed(words) -> str:
    return ", ".join(words)
