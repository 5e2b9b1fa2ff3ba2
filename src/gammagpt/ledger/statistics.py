"""Paired intervals, p-values and Holm's correction."""

import math


def paired_interval(differences, confidence: float) -> tuple[float, float, float]:
    """Mean of paired differences and its two-sided Student t interval; nan below two pairs."""
    from scipy.special import stdtrit  # the quantile alone: scipy.stats takes 100 times as long

    n = len(differences)
    mean = sum(differences) / n if n else math.nan
    if n < 2 or not all(map(math.isfinite, differences)):
        return mean, math.nan, math.nan
    error = math.sqrt(sum((x - mean) ** 2 for x in differences) / (n - 1) / n)
    reach = float(stdtrit(n - 1, (1 + confidence) / 2)) * error
    return mean, mean - reach, mean + reach


def holm(verdicts) -> dict[str, float]:
    """Claim id -> its p-value, corrected for the number of claims of its paper that were asked;
    of the second edition's only for the primary ones, the others carry none.

    Holm (1979): the k-th smallest of n is taken n - k + 1 times, and none is below the one before.
    It corrects the p-values, no verdict: rules were written without it.
    """
    corrected = {}
    for family in {_family(verdict.claim) for verdict in verdicts}:
        asked = [v for v in verdicts if _family(v.claim) == family and math.isfinite(v.p)]
        least = 0.0
        for rank, verdict in enumerate(sorted(asked, key=lambda v: v.p)):
            least = max(least, min(1.0, verdict.p * (len(asked) - rank)))
            if verdict.claim.first_edition or verdict.claim.primary:
                corrected[verdict.claim.id] = least
    return corrected


def _family(claim) -> tuple:
    """Claims that are corrected together."""
    return claim.paper, claim.first_edition, claim.first_edition or claim.primary


def _p_value(effects, margin: float) -> float:
    import numpy as np
    from scipy.special import stdtr  # scipy.stats would take seconds to import

    if len(set(effects)) < 2:  # no spread: the t statistic has no denominator
        return 0.0 if effects[0] != margin else 1.0
    n, mean = len(effects), np.mean(effects)
    variance = np.mean((np.array(effects) - mean) ** 2) * (n / (n - 1))
    with np.errstate(divide="ignore"):  # a spread too small for a float
        t = (mean - margin) / np.sqrt(variance / n)
    return float(2 * stdtr(n - 1, -abs(t)))
