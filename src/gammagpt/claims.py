"""The ledger: claims and their rules (claims/*.yml), the statistics, and computed verdicts.

A rule is written before the runs that it judges, and hashed into their records; a rule that was
changed afterwards is flagged. No verdict is ever stored: it is computed from records each time.
"""

import hashlib
import json
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from .project import SAME_MACHINE, TIERS, UserError, read_yaml, root

VERDICTS = ("supported", "contradicted", "inconclusive", "not run")
LEARNING_RATES = ("common", "tuned")
ASKED = (["common"], ["tuned"], ["common", "tuned"])
TITLES = {"common": ", at one learning rate", "tuned": ", each at its own best"}  # asked both ways
AT_ONE = re.compile(r"(?:(?:both|all) )?at one learning rate")  # in a statement, if not tuned
CHANGED = "rule changed"
YOUNGER = "rule younger than some of its runs"  # which another chapter had made before
EDGE = "best learning rate at the grid's edge"
PAIR = {"baseline", "treatment"}
SIDES = (PAIR, PAIR | {"against"}, {"setting"})  # what a claim compares


@dataclass(frozen=True)
class Claim:
    """One row of the ledger: a question of claims/*.yml, asked in one of its ways."""

    id: str
    title: str
    paper: str  # key in references.bib
    place: str  # where in the paper
    statement: str  # in our words
    notebook: str
    experiment: str  # a study of a chapter, by name
    figure: str  # anchor of the figure that shows it
    metric: str  # a column of the experiment's frame
    unit: str
    comparison: dict  # learning_rate (common or tuned), and the settings: see claims/README.md
    rule: dict  # margin (in `unit`), confidence, min_pairs
    tiers: list  # where it is judged (judged_at); elsewhere its effect is shown without a verdict
    expected: dict  # tier -> [low, high] of the effect, before the runs
    caveat: str = ""  # what the verdict alone would not say; wording, like title and statement
    means: dict = field(default_factory=dict)  # verdict -> what we would say then; wording too
    primary: bool = False  # one of the few questions that the book is about

    @property
    def paired(self) -> bool:
        """Whether two settings are compared, seed by seed; or one setting is looked at."""
        return "setting" not in self.comparison

    @property
    def question(self) -> str:
        """The title less the learning rate: most claims are asked at one rate, and tuned."""
        return re.sub(r", (?:at one learning rate|each at its own best.*)$", "", self.title)

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings whose runs it needs, of each seed."""
        asked = self.comparison
        if not self.paired:
            return (asked["setting"],)
        return (asked["baseline"], asked["treatment"], *asked.get("against", ()))

    @property
    def higher(self) -> bool:
        """Whether a higher metric speaks for the claim; of two settings, that of the treatment."""
        return self.comparison.get("better", "lower" if self.paired else "higher") == "higher"

    @property
    def turned(self) -> bool:
        """Whether the effect is a metric's negative: of one setting that wants a low one."""
        return not (self.paired or self.higher)

    @property
    def bound(self) -> str:
        """What the whole interval must be, in words, as people read the effect: 'above 0.01'."""
        margin = self.rule["margin"]
        return f"below {-margin:g}" if self.turned else f"above {margin:g}"

    def judged_at(self, tier: str) -> bool:
        """Whether runs of this tier count; a larger tier of the same machine counts as well."""
        return not {tier, SAME_MACHINE.get(tier)}.isdisjoint(self.tiers)

    def expected_at(self, tier: str) -> list | None:
        """[low, high] of the effect, written down beforehand, or None."""
        return self.expected.get(tier, self.expected.get(SAME_MACHINE.get(tier)))

    @property
    def ours(self) -> bool:
        """Whether the paper does not ask this itself, by what `place` says of it."""
        return "is ours" in self.place or "not in the paper" in self.place

    @property
    def rule_hash(self) -> str:
        """Changes when anything that decides a verdict does; wording is free to improve."""
        decisive = [self.experiment, self.metric, self.comparison, self.rule, self.tiers]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]


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
    p: float = math.nan  # two-sided p-value of an effect that equals the rule's margin

    @property
    def rule_changed(self) -> bool:
        """Whether any of the runs does not carry the rule as it is now."""
        return bool(self.flag)

    @property
    def n(self) -> int:
        return len(self.pairs)

    @property
    def shown(self) -> tuple[float, float, float]:
        """(effect, low, high) as people read them: of one setting, the metric with its own sign."""
        if self.claim.turned:
            return -self.effect, -self.high, -self.low
        return self.effect, self.low, self.high

    def to_dict(self) -> dict:
        """Strict JSON content; numbers that do not exist are null."""
        expected = self.claim.expected_at(self.tier)
        numbers = {n: _or_none(getattr(self, n)) for n in ("effect", "low", "high", "p")}
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
            "flag": self.flag,
            "expected": expected,
            "as_expected": expected[0] <= self.effect <= expected[1]
            if expected and math.isfinite(self.effect)
            else None,
            "runs": [list(pair[:-1]) for pair in self.pairs],
        } | self._optional

    @property
    def _optional(self) -> dict:
        """Fields of the claim which only some have: whether it is primary, and what it means."""
        fields = {"primary": self.claim.primary, "means": self.claim.means.get(self.verdict)}
        return {name: value for name, value in fields.items() if value}


def load_ledger(path=None) -> list[Claim]:
    """All claims of the folder claims/, or of one file like those in it.

    Raises UserError for a missing field or an impossible rule.
    """
    folder = root() / "claims"
    files = [Path(path)] if path else sorted(folder.glob("*.yml"))
    if not files:
        raise UserError(f"claims: got no *.yml in {folder}, expected a file a chapter")
    claims = [claim for file in files for claim in _claims_of(file)]
    for name, count in Counter(claim.id for claim in claims).items():
        if count > 1:
            raise UserError(f"claims: the id {name!r} is used {count} times")
    return claims


def rule_hashes(*experiments: str) -> dict[str, str]:
    """The rules of these experiments' claims (of all if none is named) as they stand now.

    They go into the provenance of the runs that are made now.
    """
    asked = [c for c in load_ledger() if not experiments or c.experiment in experiments]
    return {claim.id: claim.rule_hash for claim in asked}


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


def judge(claim: Claim, runs, tier: str) -> Verdict:
    """The verdict of one claim on an experiment's frame.

    `runs` has a row a run: setting, role (tuning, common, tuned), seed, key, resolved, rules and
    the claim's metric. Only the claim's own role counts; pairs share a seed. A metric that is
    missing or nan leaves the claim inconclusive.
    """
    pairs, unresolved, flag, lost = _pairs(claim, runs)
    effects = [pair[-1] for pair in pairs]
    effect, low, high = paired_interval(effects, claim.rule["confidence"])
    verdict, reason = _decide(claim, tier, pairs, low, high, unresolved, lost)
    asked = verdict != "not run" and not math.isnan(low)
    p = _p_value(effects, claim.rule["margin"]) if asked else math.nan
    return Verdict(claim, tier, verdict, reason, effect, low, high, tuple(pairs), flag, p)


def holm(verdicts) -> dict[str, float]:
    """Claim id -> its p-value, corrected for the number of claims of its paper that were asked.

    Holm (1979): the k-th smallest of n is taken n - k + 1 times, and none is below the one before.
    It corrects the p-values, no verdict: rules were written without it.
    """
    found = {}
    for paper in {verdict.claim.paper for verdict in verdicts}:
        asked = [v for v in verdicts if v.claim.paper == paper and math.isfinite(v.p)]
        least = 0.0
        for rank, verdict in enumerate(sorted(asked, key=lambda v: v.p)):
            least = max(least, min(1.0, verdict.p * (len(asked) - rank)))
            found[verdict.claim.id] = least
    return found


def standing(verdicts) -> dict[str, tuple[int, int]]:
    """Verdict -> (how many claims, how many of them with a corrected p of at most 0.05)."""
    corrected, found = holm(verdicts), {}
    for name in VERDICTS:
        own = [v.claim.id for v in verdicts if v.verdict == name]
        found[name] = len(own), sum(corrected.get(claim, 1.0) <= 0.05 for claim in own)
    return found


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
    hashes = {row.rules.get(claim.id) for row in rows} - {claim.rule_hash}
    flag = YOUNGER if hashes == {None} else CHANGED if hashes else ""
    lost = Counter(r.setting for r in rows if not math.isfinite(getattr(r, claim.metric, math.nan)))
    return pairs, unresolved, flag, lost


def _effect(claim: Claim, values) -> float:
    """One seed's effect: a metric; a difference of two; or that less the difference of two more."""
    signs = (1, -1, -1, 1) if claim.paired else (-1,)
    effect = sum(sign * value for sign, value in zip(signs, values, strict=False))
    return -effect if claim.higher else effect


def _needed(claim: Claim, runs):
    """The columns that a verdict needs: an experiment's frame can have hundreds."""
    columns = {"setting", "role", "seed", "key", "resolved", "rules", claim.metric}
    return runs[[column for column in runs.columns if column in columns]]


def _p_value(effects, margin: float) -> float:
    from scipy import stats

    if len(set(effects)) < 2:  # no spread: the t statistic has no denominator
        return 0.0 if effects[0] != margin else 1.0
    return float(stats.ttest_1samp(effects, margin).pvalue)


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


def _claims_of(file: Path) -> list[Claim]:
    """The claims of one file: those of a question side by side, or block by block."""
    content = read_yaml(file)
    defaults = _mapping(f"{file.name}: defaults", content.get("defaults") or {})
    questions = _mapping(f"{file.name}: claims", content.get("claims") or {})
    asked = []
    for name, own in questions.items():
        where = f"{file.name}: claim {name!r}"
        question = {"notebook": file.stem} | defaults | _mapping(where, own)
        asked.append((question.pop("block", name), _asked(where, name, question)))
    claims = []
    for _, block in groupby(asked, key=itemgetter(0)):
        ways = [ways for _, ways in block]
        claims += [each[rate] for rate in LEARNING_RATES for each in ways if rate in each]
    return claims


def _mapping(where: str, value) -> dict:
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected a mapping, got {value!r}")
    return value


def _asked(where: str, name: str, question: dict) -> dict[str, Claim]:
    """A question in each way that it is asked: {"common": claim, "tuned": claim}, or one."""
    ways = question.pop("asked", None)
    if not isinstance(ways, list | dict) or list(ways) not in ASKED:
        raise UserError(f"{where}: asked must be common, tuned or both, got {ways!r}")
    both = len(ways) == 2
    ends = ways if isinstance(ways, dict) else TITLES if both else {ways[0]: ""}
    claims = {}
    for rate in ways:
        fields = _fields(question, rate, both, ends[rate])
        claims[rate] = _checked(where, {"id": f"{name}-{rate}" if both else name} | fields)
    return claims


def _fields(question: dict, rate: str, both: bool, end: str) -> dict:
    """A question's fields as a claim has them: what is said of each way, and words that follow."""
    fields = dict(question)
    for name, value in question.items():
        if isinstance(value, dict) and [*value] == [*LEARNING_RATES]:
            fields[name] = value[rate]
        elif name == "title":
            fields[name] = f"{value}{end}"
        elif name == "statement" and both and rate == "tuned":
            fields[name] = AT_ONE.sub("each at its own best learning rate", str(value))
        elif name == "comparison" and isinstance(value, dict):
            fields[name] = value | {"learning_rate": rate}
    return fields


def _checked(where: str, fields: dict) -> Claim:
    """The claim of these fields. Raises UserError if one is missing, unknown or impossible."""
    try:
        claim = Claim(**fields)
    except TypeError as error:
        raise UserError(f"{where}: {str(error).split('() ')[-1]}") from None
    rule = {"margin", "confidence", "min_pairs"}
    if not isinstance(claim.rule, dict) or set(claim.rule) != rule:
        raise UserError(f"{where}: rule needs exactly {sorted(rule)}")
    given = set(claim.comparison) if isinstance(claim.comparison, dict) else set()
    if given - {"better"} not in [{"learning_rate", *sides} for sides in SIDES]:
        raise UserError(
            f"{where}: comparison needs either setting, or baseline and treatment "
            "(and against, two more)"
        )
    margin, confidence, min_pairs = (claim.rule[n] for n in ("margin", "confidence", "min_pairs"))
    must = {
        "better must be higher or lower":
            claim.comparison.get("better", "lower") in ("higher", "lower"),
        "against must be two settings": len(claim.comparison.get("against", "ab")) == 2,
        "margin must be a finite number": type(margin) in (int, float) and math.isfinite(margin),
        "confidence must be between 0 and 1": type(confidence) is float and 0 < confidence < 1,
        "min_pairs must be a whole number from 2": type(min_pairs) is int and min_pairs >= 2,
        f"tiers must be a list from {', '.join(TIERS)}, got {claim.tiers!r}":
            isinstance(claim.tiers, list) and set(claim.tiers) <= set(TIERS),
        f"means must give a sentence for some of {', '.join(VERDICTS)}":
            isinstance(claim.means, dict) and set(claim.means) <= set(VERDICTS)
            and all(isinstance(text, str) and text for text in claim.means.values()),
        "primary must be true or false": isinstance(claim.primary, bool),
    }  # fmt: skip
    for words, holds in must.items():
        if not holds:
            raise UserError(f"{where}: {words}")
    return claim


def _or_none(value: float):
    return value if math.isfinite(value) else None
