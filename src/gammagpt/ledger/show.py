"""Verdicts as people see them: a badge, an effect with its interval, a table for notebooks."""

import html
import math

from .estimate import QUESTIONS, capital
from .judge import Verdict

ASKED = {way: capital(words) for way, words in QUESTIONS.items()}
SIGNS = {"better": "✓", "equivalent": "=", "worse": "✗", "undecided": "~",
         "supported": "✓", "contradicted": "✗", "inconclusive": "~", "not run": "…"}


def badge(verdict: Verdict) -> str:
    """The verdict with a sign and a colour (CSS class), so that neither is needed alone."""
    flag = f" <small>({verdict.flag})</small>" if verdict.flag else ""
    name = verdict.verdict.replace(" ", "-")
    return f'<span class="verdict {name}">{SIGNS[verdict.verdict]} {verdict.verdict}</span>{flag}'


def effect(verdict: Verdict) -> str:
    """The effect with its interval, or a dash where there is none."""
    value, low, high = verdict.shown
    sign = "+" if verdict.claim.paired else ""
    if not math.isfinite(value):
        return "–"
    if math.isnan(low):
        return f"{value:{sign}.3f}"
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def meaning(verdict: Verdict) -> str:
    """What its claim said beforehand that this verdict would mean, or nothing."""
    return verdict.claim.means.get(verdict.verdict, "")


def sides(claim) -> str:
    """What a claim sets beside each other, in the names of its settings."""
    asked = claim.comparison
    if not claim.paired:
        return asked["setting"]
    words = f"{asked['treatment']} against {asked['baseline']}"
    usual = asked.get("against")
    return f"{words}, less {usual[1]} against {usual[0]}" if usual else words


def count(verdict: Verdict) -> str:
    """How many runs, or pairs of runs, an effect is the mean of."""
    claim = verdict.claim
    noun = "pair" if claim.paired and claim.first_edition else "run"
    side = " a side" * (claim.paired and not claim.first_edition)
    return f"{verdict.n} {noun}{'' if verdict.n == 1 else 's'}{side}"


def by_question(found) -> list[dict[str, Verdict]]:
    """{"common": verdict, "tuned": verdict} of each question; some are asked in one way only."""
    rows = {}
    for verdict in found:
        claim = verdict.claim
        row = rows.setdefault((claim.notebook, claim.question), {})
        row[claim.comparison["learning_rate"]] = verdict
    return list(rows.values())


class VerdictTable:
    """Verdicts as a table in a notebook, a row a question; show it as the last line of a cell."""

    def __init__(self, found):
        self.found = list(found)

    def _repr_html_(self) -> str:
        asked = [way for way in ASKED if any(way in row for row in by_question(self.found))]
        names = ("Claim", *(ASKED[way] for way in asked))
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        rows = "".join(_row(row, asked) for row in by_question(self.found))
        head = f"<thead><tr>{head}</tr></thead>"
        return f'<table class="gg-verdicts">{head}<tbody>{rows}</tbody></table>'


def _row(row: dict[str, Verdict], asked) -> str:
    """A question, and what came out: an effect, its 95 % interval, and why that decides so."""
    claim = next(iter(row.values())).claim
    question = f"{html.escape(claim.question)}<br><small>{html.escape(sides(claim))}</small>"
    answers = "".join(
        f'<td data-asked="{ASKED[way]}">{_answer(row[way]) if way in row else "not asked"}</td>'
        for way in asked
    )
    return f"<tr><td>{question}</td>{answers}</tr>"


def _answer(verdict: Verdict) -> str:
    words = html.escape(f"{verdict.claim.unit}, {count(verdict)}: {verdict.reason}")
    means = html.escape(meaning(verdict))
    told = f"{badge(verdict)}<br>{effect(verdict)}<br><small>{words}</small>"
    return f"{told}<br>{means}" if means else told
