"""The ledger as people see it: badges, tables for notebooks and pages, and the README's table."""

import html
import math
from pathlib import Path

from .claims import Verdict
from .experiments import verdicts
from .project import results_folder

SIGNS = {"supported": "✓", "contradicted": "✗", "inconclusive": "~", "not run": "…"}


def badge(verdict: Verdict) -> str:
    """The verdict with a sign and a colour (CSS class), so that neither is needed alone."""
    flag = " (rule changed)" if verdict.rule_changed else ""
    name = verdict.verdict.replace(" ", "-")
    return f'<span class="verdict {name}">{SIGNS[verdict.verdict]} {verdict.verdict}{flag}</span>'


def effect(verdict: Verdict) -> str:
    """The effect with its interval, or a dash where there is none."""
    if not math.isfinite(verdict.effect):
        return "–"
    if math.isnan(verdict.low):
        return f"{verdict.effect:+.3f}"
    return f"{verdict.effect:+.3f} [{verdict.low:+.3f}, {verdict.high:+.3f}]"


class VerdictTable:
    """Verdicts as a table in a notebook; show it as the last line of a cell."""

    def __init__(self, found):
        self.found = list(found)

    def _repr_html_(self) -> str:
        names = ("Claim", "Effect, 95 % interval", "Pairs", "Verdict", "Why")
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        rows = "".join(
            f"<tr><td>{html.escape(v.claim.title)}</td><td>{effect(v)}</td><td>{v.n}</td>"
            f"<td>{badge(v)}</td><td>{html.escape(v.reason)}</td></tr>"
            for v in self.found
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def write_generated(staging: Path, tier: str) -> None:
    """Write the generated parts of the book's pages into `<staging>/book/_generated/`."""
    found = verdicts(tier)
    folder = staging / "book" / "_generated"
    folder.mkdir(parents=True, exist_ok=True)
    pages = {
        "summary.md": _markdown_table(found, "../notebooks/{notebook}.ipynb"),
        "ledger.md": _ledger_table(found) + "\n\n" + "\n".join(map(_claim_section, found)),
        "tier.md": f"This copy of the book shows the **{tier}** tier.\n",
    }
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")


def readme_table(tier: str = "laptop") -> str:
    """The claims table of the README: plain Markdown, links to the notebooks."""
    return _markdown_table(verdicts(tier), "notebooks/{notebook}.ipynb", plain=True)


def _markdown_table(found, link: str, plain: bool = False) -> str:
    rows = [
        f"| [{v.claim.title}]({link.format(notebook=v.claim.notebook)}) | {effect(v)} "
        f"| {v.n} | {SIGNS[v.verdict] + ' ' + v.verdict if plain else badge(v)} |"
        for v in found
    ]
    head = "| Claim | Effect, nats per token (95 % interval) | Pairs | Verdict |"
    return "\n".join([head, "|---|---|---|---|", *rows]) + "\n"


def _ledger_table(found) -> str:
    rows = [
        f"| [{v.claim.title}](claim-{v.claim.id}) | {{cite}}`{v.claim.paper}`, {v.claim.place} "
        f"| above {v.claim.rule['margin']:g} {v.claim.unit} | {v.tier} | {effect(v)} | {v.n} "
        f"| {badge(v)} | [figure](../notebooks/{v.claim.notebook}.ipynb) "
        f"| [{2 * v.n} records](records-{v.claim.id}) |"
        for v in found
    ]
    head = "| Claim | Paper and place | Rule: effect | Tier | Effect, 95 % interval | Pairs | Verdict | Figure | Records |"
    return "\n".join([head, "|" + "---|" * 9, *rows]) + "\n"


def _claim_section(verdict: Verdict) -> str:
    claim = verdict.claim
    rule, comparison = claim.rule, claim.comparison
    expected = claim.expected.get(verdict.tier)
    flag = "\n**The rule was changed after these runs were made.**\n" if verdict.rule_changed else ""
    return f"""
(claim-{claim.id})=
## {claim.title}

{claim.statement}

{badge(verdict)} Effect {effect(verdict)} {claim.unit}, from {verdict.n} pairs: {verdict.reason}.
{flag}
Rule
: {claim.metric} of {comparison["baseline"]} minus that of {comparison["treatment"]}, learning rate \
{comparison["learning_rate"]}, paired by seed. Supported if the whole {rule["confidence"]:.0%} \
interval lies above {rule["margin"]:g} {claim.unit}, contradicted if it lies below, with at least \
{rule["min_pairs"]} pairs. Judged at: {", ".join(claim.tiers)}. Rule hash `{claim.rule_hash}`.

Expected beforehand
: {f"{expected[0]:g} to {expected[1]:g} {claim.unit}" if expected else "nothing at this tier"}.

(records-{claim.id})=
{_record_table(verdict)}
"""


def _record_table(verdict: Verdict) -> str:
    if not verdict.pairs:
        return "There are no records of both settings at this tier.\n"

    def link(key):
        return f'<a href="../records/{verdict.tier}/{key}.json"><code>{key}</code></a>'

    comparison = verdict.claim.comparison
    head = f"| Seed | {comparison['baseline']} | {comparison['treatment']} | Difference |"
    rows = [
        f"| {seed} | {link(baseline)} | {link(treatment)} | {difference:+.4f} |"
        for seed, baseline, treatment, difference in verdict.pairs
    ]
    return "\n".join([head, "|---|---|---|---|", *rows]) + "\n"


def records_in_site(tier: str):
    """The records that the pages link to: files of the results folder."""
    return sorted(results_folder(tier).glob("*.json"))
