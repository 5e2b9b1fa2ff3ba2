"""A mean with its interval, in one format."""

import math
from typing import NamedTuple

from .statistics import mean_interval


class Estimate(NamedTuple):
    """A mean over seeds with its interval; the ends are nan where there is none."""

    mean: float
    low: float = math.nan
    high: float = math.nan

    @classmethod
    def of(cls, values, confidence: float = 0.95) -> "Estimate":
        """Student's interval of the mean; all nan or infinite as soon as one value is."""
        return cls(*mean_interval([float(value) for value in values], confidence))

    @property
    def error(self) -> list[list[float]] | None:
        """How far the interval reaches below and above the mean, as matplotlib wants it."""
        if not math.isfinite(self.low):
            return None
        return [[max(0.0, self.mean - self.low)], [max(0.0, self.high - self.mean)]]

    @property
    def sign(self) -> int:
        """1 or -1 if the whole interval lies on that side of zero, else 0."""
        return int(self.low > 0) - int(self.high < 0)

    def __format__(self, spec: str) -> str:
        """f"{estimate:+.3f}" is '+0.123 [+0.100, +0.146]'; the default is three decimals."""
        if not math.isfinite(self.mean):
            return "not known"
        words = [number(value, spec) for value in self if math.isfinite(value)]
        return words[0] + (f" [{words[1]}, {words[2]}]" if len(words) == 3 else "")


def number(value: float, spec: str = "") -> str:
    """One number with three decimals, or as `spec` says; never minus zero."""
    spec = spec or ".3f"
    if not math.isfinite(value):
        return "not known"
    zero = format(0.0, spec).replace("+", "-")
    words = format(value, spec)
    return format(0.0, spec) if words.replace("+", "-") in (zero, f"-{zero}") else words


def listed(words) -> str:
    return ", ".join(map(str, words))


def capital(words: str) -> str:
    """The same with a capital first letter; `str.capitalize` would lower all others."""
    return words[:1].upper() + words[1:]
