"""The ledger: claims and their rules (claims/*.yml), the statistics, and computed verdicts.

A rule is written before the runs that it judges, and hashed into their records; a rule that was
changed afterwards is flagged. No verdict is ever stored: it is computed from records each time.
"""

import hashlib
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ..project import SAME_MACHINE, TIERS, UserError, read_yaml, root

VERDICTS = ("better", "equivalent", "worse", "undecided", "not run")
DECIDED = ("better", "equivalent", "worse")
RULE = {"margin", "confidence", "min_runs"}
RULES = (RULE, RULE | {"collapse"})  # where collapsed runs are what is asked
LEARNING_RATES = ("common", "tuned")
PAIR = {"baseline", "treatment"}
SIDES = (PAIR, PAIR | {"against"}, {"setting"})  # what a claim compares


@dataclass(frozen=True)
class Claim:
    """One row of the ledger: an entry of claims/*.yml."""

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
    def compares(self) -> bool:
        """Whether two settings are compared, or one is looked at."""
        return "setting" not in self.comparison

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings whose runs it needs, of each seed."""
        asked = self.comparison
        if not self.compares:
            return (asked["setting"],)
        return (asked["baseline"], asked["treatment"], *asked.get("against", ()))

    @property
    def higher(self) -> bool:
        """Whether a higher metric speaks for the claim; of two settings, that of the treatment."""
        return self.comparison.get("better", "lower" if self.compares else "higher") == "higher"

    @property
    def turned(self) -> bool:
        """Whether the effect is a metric's negative: of one setting that wants a low one."""
        return not (self.compares or self.higher)

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
    """The claims of one file."""
    content = read_yaml(file)
    defaults = _mapping(f"{file.name}: defaults", content.get("defaults") or {})
    claims = _mapping(f"{file.name}: claims", content.get("claims") or {})
    found = []
    for name, own in claims.items():
        where = f"{file.name}: claim {name!r}"
        fields = {"id": name, "notebook": file.stem} | defaults | _mapping(where, own)
        found.append(_checked(where, _with_learning_rate(where, fields)))
    return found


def _mapping(where: str, value) -> dict:
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected a mapping, got {value!r}")
    return value


def _with_learning_rate(where: str, fields: dict) -> dict:
    """A claim's fields, whose comparison says at which learning rates it is asked."""
    given = fields.pop("learning_rate", None)
    if given not in LEARNING_RATES:
        raise UserError(f"{where}: learning_rate must be common or tuned, got {given!r}")
    if isinstance(fields.get("comparison"), dict):
        fields["comparison"] = fields["comparison"] | {"learning_rate": given}
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
    margin, confidence, fewest = (claim.rule[n] for n in ("margin", "confidence", "min_runs"))
    must = {
        "better must be higher or lower":
            claim.comparison.get("better", "lower") in ("higher", "lower"),
        "against must be two settings": len(claim.comparison.get("against", "ab")) == 2,
        "margin must be a number above 0":
            type(margin) in (int, float) and 0 < margin < math.inf,
        "confidence must be between 0 and 1": type(confidence) is float and 0 < confidence < 1,
        "min_runs must be a whole number from 2": type(fewest) is int and fewest >= 2,
        "collapse must be counts": claim.rule.get("collapse", "counts") == "counts",
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
