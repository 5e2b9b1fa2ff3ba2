"""Verdicts as people see them: a badge, an effect with its interval, a table for notebooks."""

import html
import math

from .claims import Verdict

SIGNS = {"supported": "✓", "contradicted": "✗", "inconclusive": "~", "not run": "…"}


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


def sides(claim) -> str:
    """What a claim sets beside each other, in the names of its settings."""
    asked = claim.comparison
    if not claim.paired:
        return asked["setting"]
    words = f"{asked['treatment']} against {asked['baseline']}"
    usual = asked.get("against")
    return f"{words}, less {usual[1]} against {usual[0]}" if usual else words


class VerdictTable:
    """Verdicts as a table in a notebook; show it as the last line of a cell."""

    def __init__(self, found):
        self.found = list(found)

    def _repr_html_(self) -> str:
        names = ("Claim", "Verdict", "Effect, 95 % interval", "n", "Why")
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        rows = "".join(
            f"<tr><td>{html.escape(v.claim.title)}<br><small>{html.escape(sides(v.claim))}</small>"
            f"</td><td>{badge(v)}</td><td>{effect(v)}<br><small>{html.escape(v.claim.unit)}</small>"
            f"</td><td>{v.n}</td><td>{html.escape(v.reason)}</td></tr>"
            for v in self.found
        )
        head = f"<thead><tr>{head}</tr></thead>"
        return f'<table class="gg-verdicts">{head}<tbody>{rows}</tbody></table>'
