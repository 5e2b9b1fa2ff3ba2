"""Student's interval of a mean, and Holm's correction."""

import math


def mean_interval(values, confidence: float) -> tuple[float, float, float]:
    """A mean and its two-sided Student t interval; nan below two values."""
    from scipy.special import stdtrit  # the quantile alone: scipy.stats takes 100 times as long

    n = len(values)
    mean = sum(values) / n if n else math.nan
    if n < 2 or not all(map(math.isfinite, values)):
        return mean, math.nan, math.nan
    error = math.sqrt(sum((x - mean) ** 2 for x in values) / (n - 1) / n)
    reach = float(stdtrit(n - 1, (1 + confidence) / 2)) * error
    return mean, mean - reach, mean + reach


def holm(verdicts) -> dict[str, float]:
    """Claim id -> its p-value, corrected for the number of primary claims of its paper that were
    asked; the others carry none.

    Holm (1979): the k-th smallest of n is taken n - k + 1 times, and none is below the one before.
    It corrects the p-values, no verdict: rules were written without it.
    """
    corrected = {}
    primary = [v for v in verdicts if v.claim.primary and math.isfinite(v.p)]
    for paper in {verdict.claim.paper for verdict in primary}:
        asked, least = [v for v in primary if v.claim.paper == paper], 0.0
        for rank, verdict in enumerate(sorted(asked, key=lambda v: v.p)):
            least = max(least, min(1.0, verdict.p * (len(asked) - rank)))
            corrected[verdict.claim.id] = least
    return corrected
