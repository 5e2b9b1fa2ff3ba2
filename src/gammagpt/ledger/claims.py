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

from ..project import SAME_MACHINE, TIERS, UserError, read_yaml, root

VERDICTS = ("better", "equivalent", "worse", "undecided",  # of the second edition's rules
            "supported", "contradicted", "inconclusive", "not run")
DECIDED = ("better", "equivalent", "worse", "supported", "contradicted")
RULES = ({"margin", "confidence", "min_pairs"},  # first edition: pairs by seed, against the margin
         {"margin", "confidence", "min_runs"},  # second: runs, four verdicts (welch.py)
         {"margin", "confidence", "min_runs", "collapse"})  # and collapsed runs are what is asked
LEARNING_RATES = ("common", "tuned")
ASKED = (["common"], ["tuned"], ["common", "tuned"])
TITLES = {"common": ", at one learning rate", "tuned": ", each at its own best"}  # asked both ways
AT_ONE = re.compile(r"(?:(?:both|all) )?at one learning rate")  # in a statement, if not tuned
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
    rule: dict  # margin (in `unit`), confidence, min_runs: see RULES and claims/README.md
    tiers: list  # where it is judged (judged_at); elsewhere its effect is shown without a verdict
    expected: dict  # tier -> [low, high] of the effect, before the runs
    caveat: str = ""  # what the verdict alone would not say; wording, like title and statement
    means: dict = field(default_factory=dict)  # verdict -> what we would say then; wording too
    would_change: str = ""  # what could turn the answer; wording
    primary: bool = False  # one of the few questions that the book is about

    @property
    def paired(self) -> bool:
        """Whether two settings are compared, seed by seed; or one setting is looked at."""
        return "setting" not in self.comparison

    @property
    def first_edition(self) -> bool:
        """Whether its rule is one of the first edition's, which pair runs by seed."""
        return "min_pairs" in self.rule

    @property
    def fewest(self) -> int:
        """How many pairs, or runs a side, its rule needs."""
        return self.rule["min_pairs" if self.first_edition else "min_runs"]

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
        margin = self.rule["margin"] * self.first_edition
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
    if not isinstance(claim.rule, dict) or set(claim.rule) not in RULES:
        raise UserError(f"{where}: rule needs exactly {' or '.join(map(str, map(sorted, RULES)))}")
    given = set(claim.comparison) if isinstance(claim.comparison, dict) else set()
    if given - {"better"} not in [{"learning_rate", *sides} for sides in SIDES]:
        raise UserError(
            f"{where}: comparison needs either setting, or baseline and treatment "
            "(and against, two more)"
        )
    margin, confidence, fewest = claim.rule["margin"], claim.rule["confidence"], claim.fewest
    must = {
        "better must be higher or lower":
            claim.comparison.get("better", "lower") in ("higher", "lower"),
        "against must be two settings": len(claim.comparison.get("against", "ab")) == 2,
        "margin must be a finite number": type(margin) in (int, float) and math.isfinite(margin),
        "confidence must be between 0 and 1": type(confidence) is float and 0 < confidence < 1,
        f"{'min_pairs' if claim.first_edition else 'min_runs'} must be a whole number from 2":
            type(fewest) is int and fewest >= 2,
        "collapse must be counts": claim.rule.get("collapse", "counts") == "counts",
        "margin must be above 0": claim.first_edition or margin > 0,
        f"tiers must be a list from {', '.join(TIERS)}, got {claim.tiers!r}":
            isinstance(claim.tiers, list) and set(claim.tiers) <= set(TIERS),
        f"means must give a sentence for some of {', '.join(VERDICTS)}":
            isinstance(claim.means, dict) and set(claim.means) <= set(VERDICTS)
            and all(isinstance(text, str) and text for text in claim.means.values()),
        "primary must be true or false": isinstance(claim.primary, bool),
    }
    for words, holds in must.items():
        if not holds:
            raise UserError(f"{where}: {words}")
    return claim
