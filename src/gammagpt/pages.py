"""Verdicts as people see them: a badge, an effect with its interval, a table for notebooks."""

import html
import math

from .claims import Verdict

SIGNS = {"supported": "✓", "contradicted": "✗", "inconclusive": "~", "not run": "…"}


def badge(verdict: Verdict) -> str:
    """The verdict with a sign and a colour (CSS class), so that neither is needed alone."""
    flag = f" ({verdict.flag})" if verdict.flag else ""
    name = verdict.verdict.replace(" ", "-")
    return f'<span class="verdict {name}">{SIGNS[verdict.verdict]} {verdict.verdict}{flag}</span>'


def effect(verdict: Verdict) -> str:
    """The effect with its interval, or a dash where there is none."""
    value, low, high = verdict.shown
    sign = "+" if verdict.claim.paired else ""
    if not math.isfinite(value):
        return "–"
    if math.isnan(low):
        return f"{value:{sign}.3f}"
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


class VerdictTable:
    """Verdicts as a table in a notebook; show it as the last line of a cell."""

    def __init__(self, found):
        self.found = list(found)

    def _repr_html_(self) -> str:
        names = ("Claim", "Effect, 95 % interval", "Unit", "Runs or pairs", "Verdict", "Why")
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        rows = "".join(
            f"<tr><td>{html.escape(v.claim.title)}</td><td>{effect(v)}</td>"
            f"<td>{html.escape(v.claim.unit)}</td><td>{v.n}</td>"
            f"<td>{badge(v)}</td><td>{html.escape(v.reason)}</td></tr>"
            for v in self.found
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
