"""A claim and a frame of runs -> a verdict, by the claim's rule."""

import math
from collections import Counter
from dataclasses import dataclass

from .claims import VERDICTS, Claim
from .statistics import holm
from .welch import Welch, decide

CHANGED = "rule changed"
YOUNGER = "rule younger than some of its runs"  # which another chapter had made before
EDGE = "best learning rate at the grid's edge"


@dataclass(frozen=True)
class Verdict:
    """What the records of one tier say of a claim; see claims/README.md for what the effect is."""

    claim: Claim
    tier: str
    verdict: str
    reason: str
    effect: float = math.nan
    low: float = math.nan  # the interval's ends
    high: float = math.nan
    compared: tuple = ()  # (setting, seed, run key, metric) of every run
    flag: str = ""  # CHANGED or YOUNGER, or nothing: the rule was there, as it is, before the runs
    p: float = math.nan  # of what the verdict rests on: see _p_value

    @property
    def rule_changed(self) -> bool:
        """Whether any of the runs does not carry the rule as it is now."""
        return bool(self.flag)

    @property
    def n(self) -> int:
        """Runs of the side that has fewest."""
        sides = Counter(setting for setting, *_ in self.compared)
        return min(sides.values(), default=0)

    @property
    def shown(self) -> tuple[float, float, float]:
        """(effect, low, high) as people read them: of one setting, the metric with its own sign."""
        if self.claim.turned:
            return -self.effect, -self.high, -self.low
        return self.effect, self.low, self.high

    def sides(self) -> list[list[float]]:
        """The metric of every run that is compared, a list a setting."""
        return [[value for name, *_, value in self.compared if name == setting]
                for setting in self.claim.settings]

    def to_dict(self) -> dict:
        """Strict JSON content, of every claim the same fields; what does not exist is null."""
        expected = self.claim.expected_at(self.tier)
        numbers = {n: _or_none(getattr(self, n)) for n in ("effect", "low", "high", "p")}
        return numbers | {
            "id": self.claim.id,
            "paper": self.claim.paper or None,  # a key of references.bib
            "question": self.claim.statement,
            "primary": self.claim.primary,
            "tier": self.tier,
            "verdict": self.verdict,
            "reason": self.reason,
            "unit": self.claim.unit,
            "n": self.n,
            "rule": self.claim.rule,
            "rule_hash": self.claim.rule_hash,
            "rule_changed": self.rule_changed,
            "flag": self.flag,
            "expected": expected,
            "as_expected": expected[0] <= self.effect <= expected[1]
            if expected and math.isfinite(self.effect)
            else None,
            "means": self.claim.means.get(self.verdict),
            "runs": [list(row[:-1]) for row in self.compared],
        }


def judge(claim: Claim, runs, tier: str) -> Verdict:
    """The verdict of one claim on an experiment's frame: every run that is compared counts, and
    Welch's interval decides.

    `runs` has a row a run: setting, role (tuning, common, tuned), seed, key, resolved, collapsed,
    rules and the claim's metric. Only the claim's own role counts. A metric that is missing or nan
    leaves the claim undecided.
    """
    sides = _sides(claim, runs)
    if not all(sides):
        reason = f"no records of {'all settings' if claim.compares else 'the setting'}"
        return Verdict(claim, tier, "not run", reason)
    rows = [row for side in sides for row in side]
    compared = tuple((r.setting, int(r.seed), r.key, _metric(claim, r)) for r in rows)
    values = [[_metric(claim, row) for row in side] for side in sides]
    flip = claim.higher == claim.compares  # a lower loss of the treatment is a gain
    found = Welch.of([[-v for v in side] if flip else side for side in values])
    verdict, reason = _decide(claim, tier, sides, found)
    low, high = found.interval(claim.rule["confidence"])
    p = math.nan if math.isnan(low) else _p_value(claim, found, verdict)
    return Verdict(claim, tier, verdict, reason, found.effect, low, high, compared,
                   _flag(claim, rows), p)


def _metric(claim: Claim, row) -> float:
    return float(getattr(row, claim.metric, math.nan))


def _decide(claim: Claim, tier: str, sides, found: Welch) -> tuple[str, str]:
    if not claim.judged_at(tier):
        return "not run", f"not asked at tier {tier}"
    fewest, needed = min(map(len, sides)), claim.rule["min_runs"]
    if fewest < needed:
        return "undecided", f"{fewest} runs a side, the rule needs {needed}"
    names = [(side[0].setting, side) for side in sides]
    if edge := [name for name, side in names if not all(row.resolved for row in side)]:
        return "undecided", f"{EDGE} for {' and '.join(edge)}"
    bad = {name: sum(getattr(row, "collapsed", False) for row in side) for name, side in names}
    if any(bad.values()) and "collapse" not in claim.rule:
        told = " and ".join(f"{n} of the runs with {name}" for name, n in bad.items() if n)
        return "undecided", f"collapsed: {told}"
    return decide(found, claim.rule["margin"], claim.rule["confidence"])


def _p_value(claim: Claim, found: Welch, verdict: str) -> float:
    """Of what the verdict rests on: an effect outside of the margin if equivalent, else of zero."""
    if verdict == "equivalent":
        return found.p_equivalent(claim.rule["margin"])
    return found.p_zero()


def _flag(claim: Claim, rows) -> str:
    """Whether the rule is not the one that its runs carry, or they carry none."""
    hashes = {row.rules.get(claim.id) for row in rows} - {claim.rule_hash}
    return YOUNGER if hashes == {None} else CHANGED if hashes else ""


def standing(verdicts) -> dict[str, tuple[int, int]]:
    """Verdict -> (how many claims, how many of them with a corrected p of at most 0.05)."""
    corrected, counts = holm(verdicts), {}
    for name in VERDICTS:
        own = [v.claim.id for v in verdicts if v.verdict == name]
        counts[name] = len(own), sum(corrected.get(claim, 1.0) <= 0.05 for claim in own)
    return counts


def _needed(claim: Claim, runs):
    """The columns that a verdict needs: an experiment's frame can have hundreds."""
    columns = {"setting", "role", "seed", "key", "resolved", "rules", "collapsed", claim.metric}
    return runs[[column for column in runs.columns if column in columns]]


def _sides(claim: Claim, runs) -> list[list]:
    """The runs of each setting that is compared, in the claim's own role."""
    rows = _needed(claim, runs).itertuples() if len(runs) else ()
    own = [row for row in rows if row.role == claim.comparison["learning_rate"]]
    return [[row for row in own if row.setting == setting] for setting in claim.settings]


def _or_none(value: float):
    return value if math.isfinite(value) else None
