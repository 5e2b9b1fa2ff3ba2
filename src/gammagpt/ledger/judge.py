"""A claim and a frame of runs -> a verdict, by the claim's rule."""

import math
from collections import Counter
from dataclasses import dataclass

from .claims import VERDICTS, Claim
from .statistics import _p_value, holm, paired_interval
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
    pairs: tuple = ()  # (seed, baseline's run key or None, treatment's, [others'], effect)
    flag: str = ""  # CHANGED or YOUNGER, or nothing: the rule was there, as it is, before the runs
    p: float = math.nan  # of an effect that equals the rule's margin; second edition: see _p_welch
    compared: tuple = ()  # second edition, instead of pairs: (setting, seed, run key, metric)

    @property
    def rule_changed(self) -> bool:
        """Whether any of the runs does not carry the rule as it is now."""
        return bool(self.flag)

    @property
    def n(self) -> int:
        """Pairs; or, by the second edition's rules, runs of the side that has fewest."""
        sides = Counter(setting for setting, *_ in self.compared)
        return min(sides.values()) if sides else len(self.pairs)

    @property
    def shown(self) -> tuple[float, float, float]:
        """(effect, low, high) as people read them: of one setting, the metric with its own sign."""
        if self.claim.turned:
            return -self.effect, -self.high, -self.low
        return self.effect, self.low, self.high

    def sides(self) -> list[list[float]]:
        """The metric of every run that is compared, a list a setting; second edition."""
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
            "runs": [list(pair[:-1]) for pair in self.pairs or self.compared],
        }


def judge(claim: Claim, runs, tier: str) -> Verdict:
    """The verdict of one claim on an experiment's frame.

    `runs` has a row a run: setting, role (tuning, common, tuned), seed, key, resolved, rules and
    the claim's metric. Only the claim's own role counts; pairs share a seed. A metric that is
    missing or nan leaves the claim inconclusive.
    """
    if not claim.first_edition:
        return _judge_runs(claim, runs, tier)
    pairs, unresolved, flag, lost = _pairs(claim, runs)
    effects = [pair[-1] for pair in pairs]
    effect, low, high = paired_interval(effects, claim.rule["confidence"])
    verdict, reason = _decide(claim, tier, pairs, low, high, unresolved, lost)
    asked = verdict != "not run" and not math.isnan(low)
    p = _p_value(effects, claim.rule["margin"]) if asked else math.nan
    return Verdict(claim, tier, verdict, reason, effect, low, high, tuple(pairs), flag, p)


def _judge_runs(claim: Claim, runs, tier: str) -> Verdict:
    """The verdict by the second edition's rules: every run that is compared, Welch's interval."""
    role = runs[runs.role == claim.comparison["learning_rate"]] if len(runs) else runs
    sides = [[*_needed(claim, role[role.setting == setting]).itertuples()] if len(role) else []
             for setting in claim.settings]
    rows = [row for side in sides for row in side]
    compared = tuple((r.setting, int(r.seed), r.key, _metric(claim, r)) for r in rows)
    if not all(sides):
        reason = f"no records of {'all settings' if claim.paired else 'the setting'}"
        return Verdict(claim, tier, "not run", reason)
    values = [[_metric(claim, row) for row in side] for side in sides]
    flip = claim.higher == claim.paired  # as in _effect: baseline less treatment, or the metric
    found = Welch.of([[-v for v in side] if flip else side for side in values])
    verdict, reason = _decide_runs(claim, tier, sides, found)
    low, high = found.interval(claim.rule["confidence"])
    p = math.nan if math.isnan(low) else _p_welch(claim, found, verdict)
    return Verdict(claim, tier, verdict, reason, found.effect, low, high, (),
                   _flag(claim, rows), p, compared)


def _metric(claim: Claim, row) -> float:
    return float(getattr(row, claim.metric, math.nan))


def _decide_runs(claim: Claim, tier: str, sides, found: Welch) -> tuple[str, str]:
    if not claim.judged_at(tier):
        return "not run", f"not asked at tier {tier}"
    fewest = min(map(len, sides))
    if fewest < claim.fewest:
        return "undecided", f"{fewest} runs a side, the rule needs {claim.fewest}"
    names = [(side[0].setting, side) for side in sides]
    if edge := [name for name, side in names if not all(row.resolved for row in side)]:
        return "undecided", f"{EDGE} for {' and '.join(edge)}"
    bad = {name: sum(getattr(row, "collapsed", False) for row in side) for name, side in names}
    if any(bad.values()) and "collapse" not in claim.rule:
        told = " and ".join(f"{n} of the runs with {name}" for name, n in bad.items() if n)
        return "undecided", f"collapsed: {told}"
    return decide(found, claim.rule["margin"], claim.rule["confidence"])


def _p_welch(claim: Claim, found: Welch, verdict: str) -> float:
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


def placebo_rate(claim: Claim, runs, tier: str, draws: int = 200, seed: int = 0) -> float:
    """Negative control: how often the claim is supported when settings are shuffled in a seed."""
    import numpy as np

    rng = np.random.default_rng(seed)
    role = _needed(claim, runs[runs.role == claim.comparison["learning_rate"]])
    if claim.metric not in role:
        return 0.0
    seeds = [group for _, group in role.groupby("seed") if set(claim.settings) <= {*group.setting}]
    supported = sum(_shuffled(claim, seeds, tier, rng) == "supported" for _ in range(draws))
    return supported / draws


def _shuffled(claim: Claim, seeds, tier: str, rng) -> str:
    """The verdict when in each seed's runs the settings have changed places."""
    effects, unresolved = [], set()
    for group in seeds:
        names = list(rng.permutation(group.setting))
        chosen = [names.index(setting) for setting in claim.settings]
        effects.append(_effect(claim, [float(group[claim.metric].iat[i]) for i in chosen]))
        unresolved |= {names[i] for i in chosen if not group.resolved.iat[i]}
    _, low, high = paired_interval(effects, claim.rule["confidence"])
    return _decide(claim, tier, effects, low, high, sorted(unresolved))[0]


def _pairs(claim: Claim, runs):
    """Effects by seed; settings whose learning rate is unresolved; what to flag of the rule; and
    {setting: how many of its runs have no such number}.
    """
    role = runs[runs.role == claim.comparison["learning_rate"]] if len(runs) else runs
    pairs, rows = [], []
    for seed, sides in _by_seed(claim, _needed(claim, role)):
        effect = _effect(claim, [getattr(side, claim.metric, math.nan) for side in sides])
        keys = [side.key for side in sides] if claim.paired else [None, sides[0].key]
        pairs.append((int(seed), *keys, effect))
        rows += sides
    unresolved = sorted({row.setting for row in rows if not row.resolved})
    flag = _flag(claim, rows)
    lost = Counter(r.setting for r in rows if not math.isfinite(getattr(r, claim.metric, math.nan)))
    return pairs, unresolved, flag, lost


def _effect(claim: Claim, values) -> float:
    """One seed's effect: a metric; a difference of two; or that less the difference of two more."""
    signs = (1, -1, -1, 1) if claim.paired else (-1,)
    effect = sum(sign * value for sign, value in zip(signs, values, strict=False))
    return -effect if claim.higher else effect


def _needed(claim: Claim, runs):
    """The columns that a verdict needs: an experiment's frame can have hundreds."""
    columns = {"setting", "role", "seed", "key", "resolved", "rules", "collapsed", claim.metric}
    return runs[[column for column in runs.columns if column in columns]]


def _by_seed(claim: Claim, role) -> list:
    """(seed, [the run of each side]) of the seeds that have a run of every side."""
    sides = []
    for setting in claim.settings:
        chosen = role[role.setting == setting] if len(role) else role
        sides.append({row.seed: row for row in chosen.itertuples()})
    seeds = sorted(set.intersection(*map(set, sides)))
    return [(seed, [side[seed] for side in sides]) for seed in seeds]


def _decide(claim, tier, pairs, low, high, unresolved, lost=None) -> tuple[str, str]:
    rule = claim.rule
    if not pairs:
        return "not run", f"no records of {'all settings' if claim.paired else 'the setting'}"
    if not claim.judged_at(tier):
        return "not run", f"not asked at tier {tier}"
    if len(pairs) < rule["min_pairs"]:
        noun = "pairs" if claim.paired else "runs"
        return "inconclusive", f"{len(pairs)} {noun}, the rule needs {rule['min_pairs']}"
    if unresolved:
        settings = " and ".join(unresolved)
        return "inconclusive", f"{EDGE} for {settings}"
    if math.isnan(low):
        told = " and ".join(f"{n} of {len(pairs)} with {name}" for name, n in (lost or {}).items())
        return "inconclusive", f"no interval, since runs diverged or did not get that far: {told}"
    if low > rule["margin"]:
        return "supported", f"the whole interval is {claim.bound}"
    if high < rule["margin"]:
        side = "above" if claim.turned else "below"
        return "contradicted", f"the whole interval is {side} {claim.bound.split()[1]}"
    return "inconclusive", f"the interval holds {claim.bound.split()[1]}"


def _or_none(value: float):
    return value if math.isfinite(value) else None
