"""Verdicts as people see them: a badge, an effect with its interval, a table for notebooks."""

import html
import math

from .judge import Verdict

SIGNS = {"better": "✓", "equivalent": "=", "worse": "✗", "undecided": "~", "not run": "…"}


def badge(verdict: Verdict) -> str:
    """The verdict with a sign and a colour (CSS class), so that neither is needed alone."""
    flag = f" <small>({verdict.flag})</small>" if verdict.flag else ""
    name = verdict.verdict.replace(" ", "-")
    return f'<span class="verdict {name}">{SIGNS[verdict.verdict]} {verdict.verdict}</span>{flag}'


def effect(verdict: Verdict) -> str:
    """The effect with its interval, or a dash where there is none."""
    value, low, high = verdict.shown
    sign = "+" if verdict.claim.compares else ""
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
    if not claim.compares:
        return asked["setting"]
    words = f"{asked['treatment']} against {asked['baseline']}"
    usual = asked.get("against")
    return f"{words}, less {usual[1]} against {usual[0]}" if usual else words


def count(verdict: Verdict) -> str:
    """How many runs an effect is the mean of."""
    side = " a side" * verdict.claim.compares
    return f"{verdict.n} run{'' if verdict.n == 1 else 's'}{side}"


class VerdictTable:
    """Verdicts as a table in a notebook, a row a claim; show it as the last line of a cell."""

    def __init__(self, found):
        self.found = list(found)

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{name}</th>' for name in ("Claim", "Answer"))
        rows = "".join(map(_row, self.found))
        head = f"<thead><tr>{head}</tr></thead>"
        return f'<table class="gg-verdicts">{head}<tbody>{rows}</tbody></table>'


def _row(verdict: Verdict) -> str:
    """A claim, and what came out: an effect, its 95 % interval, and why that decides so."""
    claim = verdict.claim
    question = f"{html.escape(claim.title)}<br><small>{html.escape(sides(claim))}</small>"
    return f'<tr><td>{question}</td><td data-asked="Answer">{_answer(verdict)}</td></tr>'


def _answer(verdict: Verdict) -> str:
    words = html.escape(f"{verdict.claim.unit}, {count(verdict)}: {verdict.reason}")
    notes = [html.escape(note) for note in (meaning(verdict), verdict.claim.caveat) if note]
    return "<br>".join([badge(verdict), effect(verdict), f"<small>{words}</small>", *notes])
