"""The ledger: claims and their rules (claims.yml), the statistics, and computed verdicts.

A rule is written before the runs that it judges, and hashed into their records; a rule that was
changed afterwards is flagged. No verdict is ever stored: it is computed from records each time.
"""

import hashlib
import json
import math
from dataclasses import dataclass, field

from .project import TIERS, UserError, read_yaml, root

LEARNING_RATES = ("common", "tuned")


@dataclass(frozen=True)
class Claim:
    """One row of the ledger, as claims.yml states it."""

    id: str
    title: str
    paper: str  # key in references.bib
    place: str  # where in the paper
    statement: str  # in our words
    notebook: str
    experiment: str  # a name in experiments.EXPERIMENTS
    figure: str  # anchor of the figure that shows it
    metric: str  # a column of the experiment's frame; smaller is better
    unit: str
    comparison: dict  # baseline and treatment (settings), learning_rate (common or tuned)
    rule: dict  # margin (in `unit`), confidence, min_pairs
    tiers: list  # where it is judged; elsewhere its effect is shown without a verdict
    expected: dict  # tier -> [low, high] of the effect, before the runs

    @property
    def rule_hash(self) -> str:
        """Changes when anything that decides a verdict does; wording is free to improve."""
        decisive = [self.experiment, self.metric, self.comparison, self.rule, self.tiers]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Verdict:
    """What the records of one tier say of a claim. The effect is baseline minus treatment."""

    claim: Claim
    tier: str
    verdict: str
    reason: str
    effect: float = math.nan
    low: float = math.nan  # the interval's ends
    high: float = math.nan
    pairs: tuple = ()  # (seed, baseline's run key, treatment's run key, difference)
    rule_changed: bool = field(default=False)

    @property
    def n(self) -> int:
        return len(self.pairs)

    def to_dict(self) -> dict:
        """Strict JSON content; numbers that do not exist are null."""
        expected = self.claim.expected.get(self.tier)
        numbers = {name: _or_none(getattr(self, name)) for name in ("effect", "low", "high")}
        return numbers | {
            "id": self.claim.id,
            "tier": self.tier,
            "verdict": self.verdict,
            "reason": self.reason,
            "unit": self.claim.unit,
            "n": self.n,
            "rule": self.claim.rule,
            "rule_hash": self.claim.rule_hash,
            "rule_changed": self.rule_changed,
            "expected": expected,
            "as_expected": expected[0] <= self.effect <= expected[1]
            if expected and math.isfinite(self.effect)
            else None,
            "runs": [[seed, baseline, treatment] for seed, baseline, treatment, _ in self.pairs],
        }


def load_ledger() -> list[Claim]:
    """All claims of claims.yml. Raises UserError for a missing field or an impossible rule."""
    entries = read_yaml(root() / "claims.yml").get("claims") or []
    claims = [_claim(entry) for entry in entries]
    ids = [claim.id for claim in claims]
    for name in ids:
        if ids.count(name) > 1:
            raise UserError(f"claims.yml: the id {name!r} is used {ids.count(name)} times")
    return claims


def rule_hashes() -> dict[str, str]:
    """The rule of every claim as it stands now, for the provenance of the runs made now."""
    return {claim.id: claim.rule_hash for claim in load_ledger()}


def paired_interval(differences, confidence: float) -> tuple[float, float, float]:
    """Mean of paired differences and its two-sided Student t interval; nan below two pairs."""
    from scipy import stats

    n = len(differences)
    mean = sum(differences) / n if n else math.nan
    if n < 2 or not all(map(math.isfinite, differences)):
        return mean, math.nan, math.nan
    error = stats.sem(differences)
    if error == 0:  # identical differences: an interval of no width
        return mean, mean, mean
    low, high = stats.t.interval(confidence, n - 1, loc=mean, scale=error)
    return mean, float(low), float(high)


def judge(claim: Claim, runs, tier: str) -> Verdict:
    """The verdict of one claim on an experiment's frame.

    `runs` has a row a run: setting, role (tuning, common, tuned), seed, key, resolved, rules and
    the claim's metric. Only the claim's own role counts; pairs share a seed.
    """
    pairs, unresolved, changed = _pairs(claim, runs)
    effect, low, high = paired_interval([p[3] for p in pairs], claim.rule["confidence"])
    verdict, reason = _decide(claim, tier, pairs, low, high, unresolved)
    return Verdict(claim, tier, verdict, reason, effect, low, high, tuple(pairs), changed)


def placebo_rate(claim: Claim, runs, tier: str, draws: int = 200, seed: int = 0) -> float:
    """Negative control: how often the claim is supported when settings are shuffled in a seed."""
    import numpy as np

    rng = np.random.default_rng(seed)
    role = runs[runs.role == claim.comparison["learning_rate"]]
    supported = 0
    for _ in range(draws):
        shuffled = role.copy()
        shuffled["setting"] = role.groupby("seed")["setting"].transform(rng.permutation)
        supported += judge(claim, shuffled, tier).verdict == "supported"
    return supported / draws


def _pairs(claim: Claim, runs):
    """Differences by seed; whether a learning rate is unresolved; whether the rule was changed."""
    role = runs[runs.role == claim.comparison["learning_rate"]] if len(runs) else runs
    sides = []
    for side in ("baseline", "treatment"):
        chosen = role[role.setting == claim.comparison[side]] if len(role) else role
        sides.append({row.seed: row for row in chosen.itertuples()})
    baseline, treatment = sides
    pairs, rows = [], []
    for seed in sorted(baseline.keys() & treatment.keys()):
        one, other = baseline[seed], treatment[seed]
        difference = getattr(one, claim.metric) - getattr(other, claim.metric)
        pairs.append((int(seed), one.key, other.key, difference))
        rows += [one, other]
    unresolved = sorted({row.setting for row in rows if not row.resolved})
    changed = any(row.rules.get(claim.id) != claim.rule_hash for row in rows)
    return pairs, unresolved, changed


def _decide(claim, tier, pairs, low, high, unresolved) -> tuple[str, str]:
    rule = claim.rule
    if not pairs:
        return "not run", "no records of both settings"
    if tier not in claim.tiers:
        return "not run", f"{tier} runs are too small to count"
    if len(pairs) < rule["min_pairs"]:
        return "inconclusive", f"{len(pairs)} pairs, the rule needs {rule['min_pairs']}"
    if unresolved:
        settings = " and ".join(unresolved)
        return "inconclusive", f"best learning rate at the grid's edge for {settings}"
    if math.isnan(low):
        return "inconclusive", "a run diverged, so there is no interval"
    if low > rule["margin"]:
        return "supported", f"the whole interval is above {rule['margin']:g}"
    if high < rule["margin"]:
        return "contradicted", f"the whole interval is below {rule['margin']:g}"
    return "inconclusive", f"the interval holds {rule['margin']:g}"


def _claim(entry) -> Claim:
    name = entry.get("id", "?") if isinstance(entry, dict) else entry
    try:
        claim = Claim(**entry)
    except TypeError as error:
        raise UserError(f"claims.yml: claim {name!r}: {str(error).split('() ')[-1]}") from None
    needed = {"comparison": {"baseline", "treatment", "learning_rate"},
              "rule": {"margin", "confidence", "min_pairs"}}  # fmt: skip
    for part, keys in needed.items():
        if not isinstance(getattr(claim, part), dict) or set(getattr(claim, part)) != keys:
            raise UserError(f"claims.yml: claim {name!r}: {part} needs exactly {sorted(keys)}")
    margin, confidence, min_pairs = (claim.rule[n] for n in ("margin", "confidence", "min_pairs"))
    must = {
        "learning_rate must be common or tuned":
            claim.comparison["learning_rate"] in LEARNING_RATES,
        "margin must be a finite number": type(margin) in (int, float) and math.isfinite(margin),
        "confidence must be between 0 and 1": type(confidence) is float and 0 < confidence < 1,
        "min_pairs must be a whole number from 2": type(min_pairs) is int and min_pairs >= 2,
        f"tiers must be a list from {', '.join(TIERS)}, got {claim.tiers!r}":
            isinstance(claim.tiers, list) and set(claim.tiers) <= set(TIERS),
    }  # fmt: skip
    for words, holds in must.items():
        if not holds:
            raise UserError(f"claims.yml: claim {name!r}: {words}")
    return claim


def _or_none(value: float):
    return value if math.isfinite(value) else None
