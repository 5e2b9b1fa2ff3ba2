"""Verdicts: better, equivalent, worse or undecided, by Welch's interval.

All runs that are compared count, whichever seeds the other side has: runs that share a seed are
not correlated (median -.02 over twelve comparisons), so pairing would buy nothing.
"""

import math
from statistics import mean, variance
from typing import NamedTuple

SIGNS = (1, -1, -1, 1)  # of baseline, treatment, and the two that they are held against


class Welch(NamedTuple):
    """A signed sum of means, its standard error and degrees of freedom (Welch-Satterthwaite)."""

    effect: float
    error: float
    freedom: float

    @classmethod
    def of(cls, sides) -> "Welch":
        """mean(first) - mean(second) [- mean(third) + mean(fourth)]; or the mean of one side.

        Each side has numbers of independent runs; error and freedom are nan where a side has fewer
        than two or one that is not finite. Welch, Biometrika 34 (1947); Satterthwaite (1946).
        """
        effect = sum(sign * mean(side) for sign, side in zip(SIGNS, sides, strict=False))
        if not all(len(side) > 1 and all(map(math.isfinite, side)) for side in sides):
            return cls(effect, math.nan, math.nan)
        parts = [(variance(side) / len(side), len(side) - 1) for side in sides]
        whole = sum(part for part, _ in parts)
        below = sum(part**2 / freedom for part, freedom in parts)
        return cls(effect, math.sqrt(whole), whole**2 / below if below else math.inf)

    def interval(self, confidence: float) -> tuple[float, float]:
        """The two-sided interval of the effect."""
        from scipy.special import stdtrit

        if math.isnan(self.error) or not self.error:
            return self.effect + self.error, self.effect + self.error
        reach = float(stdtrit(self.freedom, (1 + confidence) / 2)) * self.error
        return self.effect - reach, self.effect + reach

    def p_zero(self) -> float:
        """Two-sided p-value of an effect of zero."""
        return min(1.0, 2 * self._above(-abs(self.effect)))

    def p_equivalent(self, margin: float) -> float:
        """p-value of an effect outside of +-margin: the larger of two one-sided tests
        (Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987)."""
        return max(self._above(self.effect - margin), self._above(-self.effect - margin))

    def _above(self, distance: float) -> float:
        """P(t <= distance / error), the lower tail."""
        from scipy.special import stdtr

        if not self.error:
            return float(distance >= 0) if distance else 0.5
        return float(stdtr(self.freedom, distance / self.error))


def decide(found: Welch, margin: float, confidence: float) -> tuple[str, str]:
    """(verdict, why). Equivalent comes first: a difference that is known to be smaller than
    `margin` does not matter, however sure it is."""
    low, high = found.interval(confidence)
    inner = found.interval(2 * confidence - 1)  # two one-sided tests
    if math.isnan(low):
        return "undecided", "no interval, since runs diverged or did not get that far"
    if -margin < inner[0] and inner[1] < margin:
        return "equivalent", f"the {2 * confidence - 1:.0%} interval lies within ±{margin:g}"
    if low > 0:
        return "better", "the whole interval is above 0"
    if high < 0:
        return "worse", "the whole interval is below 0"
    return "undecided", f"the interval holds 0 and is not within ±{margin:g}"
