"""Writes what the pages about the book take from records, from files and from the build itself."""

import hashlib
import json
import math
import platform
import re
from importlib import metadata
from pathlib import Path

import nbformat
import yaml

from gammagpt import Store
from gammagpt.gpt.records import provenance
from gammagpt.gpt.size import size_of
from gammagpt.ledger.claims import DECIDED
from gammagpt.ledger.judge import standing
from gammagpt.ledger.show import badge, count, effect, meaning, sides
from gammagpt.ledger.statistics import holm
from gammagpt.project import UserError, read_yaml, results_folder, root
from gammagpt.registry.studies import study

# pages with `<!-- claims: id id -->` and the like, which become verdicts: see with_verdicts
PAGES = ("intro.md", "faq.md", "handout.md", "limitations.md")
PROGRAMS = ("torch", "numpy", "pandas", "matplotlib", "papermill", "jupyter-book", "Sphinx")
PAPERS = ("hang2026small", "yao2025reasoning", "yao2026staircase")


def write_about(staging: Path, tier: str, verdicts) -> None:
    """Write the parts into `<staging>/book/_generated/`, and the verdicts into PAGES."""
    records = list(Store(results_folder(tier)))
    parts = {
        "limits.md": limits(records, verdicts, tier),
        "status.md": status(staging, tier, len(records)),
        "cite.md": citation(),
        "changelog.md": (root() / "CHANGELOG.md").read_text(encoding="utf-8"),
        "flagged.md": flagged(verdicts),
        "superseded.md": superseded(verdicts),
        "retired.md": retired(),
    }
    for name, text in parts.items():
        (staging / "book" / "_generated" / name).write_text(text, encoding="utf-8")
    for name in PAGES:
        path = staging / "book" / name
        path.write_text(with_verdicts(path.read_text(encoding="utf-8"), verdicts), encoding="utf-8")


def with_verdicts(text: str, verdicts, line=None) -> str:
    """A page with each `<!-- claims: id id -->` as a list of what the records say of them.

    `line(verdict)` writes an item of the list. `<!-- answers: id id -->` becomes a table, and
    `<!-- means: id id -->` the sentences that were written beforehand for what came out.
    """
    known = {verdict.claim.id: verdict for verdict in verdicts}
    corrected = holm(verdicts)
    kinds = {
        "claims": lambda found: "\n".join((line or _line)(v) + _alone(v, corrected) for v in found),
        "answers": answers,
        "means": lambda found: " ".join(filter(None, map(meaning, found))),
    }

    def told(comment) -> str:
        lost = [name for name in comment[2].split() if name not in known]
        if lost:
            raise UserError(f"claims: got {lost[0]!r}, allowed are the ids of claims/")
        return kinds[comment[1]]([known[name] for name in comment[2].split()])

    return re.sub(rf"<!-- ({'|'.join(kinds)}): ([^>]*)-->", told, text)


def answers(found) -> str:
    """A row a claim: what came out, the largest model that it was asked of, and what could turn it.

    Those that were not run are named below the table.
    """
    names = ("Claim", "Verdict", "Effect, 95 % interval", "Largest model", "What would change it")
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    asked = [verdict for verdict in found if verdict.verdict != "not run"]
    for verdict in asked:
        claim = verdict.claim
        known = math.isfinite(verdict.shown[0])
        words = f"{effect(verdict)} {claim.unit}, {count(verdict)}" if known else verdict.reason
        cells = (f"[{claim.title}](../notebooks/{claim.notebook}.ipynb)", badge(verdict), words,
                 _largest(verdict), claim.would_change)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines * bool(asked)) + "\n" + not_run(found)


def not_run(found, page="../notebooks/{}.ipynb") -> str:
    """A line that names the claims without runs."""
    left = [f"[{v.claim.title}]({page.format(v.claim.notebook)})"
            for v in found if v.verdict == "not run"]
    return f"\nAsked, with rules that stand, and not run yet: {'; '.join(left)}.\n" if left else ""


def _largest(verdict) -> str:
    """The largest of the models that a claim compares, in words."""
    runs = study(verdict.claim.experiment, verdict.tier).settings
    models = [runs[name].model for name in verdict.claim.settings if name in runs]
    if not models:
        return "–"
    model = max(models, key=lambda model: size_of(model).weights)
    layers = getattr(model, "n_layer", 0)
    return f"width {model.width}" + f", {layers} layer{'s' * (layers != 1)}" * bool(layers)


def _alone(verdict, corrected: dict) -> str:
    """A remark where the verdict would not stand among all that are asked of the paper."""
    p = corrected.get(verdict.claim.id, 0.0)
    decided = verdict.verdict in DECIDED
    return f" (corrected p {p:.2f})" * (decided and p > 0.05)


def _line(verdict) -> str:
    claim = verdict.claim
    known = math.isfinite(verdict.shown[0])
    found = f"{effect(verdict)} {claim.unit}" if known else f"({verdict.reason})"
    asked = f" <small>({sides(claim)})</small>" * ("against" not in claim.comparison)
    return f"- [{claim.title}](claim-{claim.id}){asked}: {badge(verdict)} {found}"


def limits(records, verdicts, tier: str) -> str:
    """How small the evidence of a tier is, as a table."""
    if not records:
        return f"There are no records of tier {tier}: nothing on these pages was measured.\n"
    models = {record.config.model for record in records}
    weights, width = max((size_of(model).weights, model.width) for model in models)
    on_gpu = sum("cuda" in record.provenance["device"] for record in records)
    compared = [verdict.n for verdict in verdicts if verdict.n]
    rows = [
        ("Runs, tier " + tier, f"{len(records):,}, {on_gpu} of them on a GPU"),
        ("Largest model", f"{weights:,} parameters, width {width}"),
        ("Longest run", f"{max(r.config.tokens for r in records):,} tokens"),
        ("Data", ", ".join(sorted({_data(r.config) for r in records}))),
        ("Seeds compared", f"{min(compared)} to {max(compared)}" if compared else "none"),
        *((f"Claims {name}", f"{count} of {len(verdicts)}"
           + f"; {stand} after correction" * (name in DECIDED))
          for name, (count, stand) in standing(verdicts).items() if count),
    ]
    return "\n".join(["| What | How much |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)])


def _data(config) -> str:
    return getattr(config.data, "corpus", "anchor functions")


def status(staging: Path, tier: str, records: int) -> str:
    """How long each notebook took, and with what this copy of the book was made."""
    made = provenance("", 0, None)
    lines = ["| Notebook | Seconds |", "|---|---|"]
    for path in sorted((staging / "notebooks").glob("*.ipynb")):
        seconds = nbformat.read(path, as_version=4).metadata.get("seconds")
        shown = f"{seconds:.0f}" if seconds else "–"
        lines.append(f"| [](../notebooks/{path.name}) | {shown} |")
    rows = [
        ("Tier", f"{tier}, {records:,} records"),
        ("Commit", f"`{made['commit']}`"),
        ("Made", made["date"]),
        ("System", f"{platform.system()} {platform.machine()}"),
        ("Python", platform.python_version()),
        *((name, metadata.version(name)) for name in PROGRAMS),
    ]
    table = ["| What | Which |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    return "\n".join(["## Notebooks", "", *lines, "", "## Environment", "", *table]) + "\n"


def citation() -> str:
    """BibTeX for this book, from CITATION.cff, and for its papers, from references.bib."""
    cff = yaml.safe_load((root() / "CITATION.cff").read_text(encoding="utf-8"))
    names = " and ".join(f"{{{author['name']}}}" for author in cff["authors"])
    commit = provenance("", 0, None)["commit"]
    fields = {"title": cff["title"], "author": names, "year": str(cff["date-released"])[:4],
              "version": f"{cff['version']}+{commit[:8]}", "url": cff["repository-code"],
              "note": f"Commit {commit}"}
    body = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    library = (root() / "book" / "references.bib").read_text(encoding="utf-8")
    papers = [re.search(rf"^@\w+{{{key},.*?^}}", library, re.M | re.S)[0] for key in PAPERS]
    return "\n\n".join(["```bibtex\n@software{gammagpt,\n" + body + "}", *papers]) + "\n```\n"


def superseded(verdicts) -> str:
    """A row a question that the second edition asks anew: both verdicts, and why it was asked."""
    old = _first_edition()
    known = {verdict.claim.id: verdict for verdict in verdicts}
    lines = ["| First edition | Then | Now | Why it was asked anew |", "|---|---|---|---|"]
    for new, row in read_yaml(root() / "book" / "superseded.yml").items():
        verdict = known[new]
        now = f"[{verdict.claim.title}](claim-{new}): {badge(verdict)} {effect(verdict)}"
        lines.append(f"| {_then(row, old)} | {now} | {row['why']} |")
    bundle = root() / "results" / "first_edition" / "records.jsonl.gz"
    sha256 = hashlib.sha256(bundle.read_bytes()).hexdigest()
    return "\n".join(lines) + f"\n\nSHA-256 of the bundle: `{sha256}`\n"


def _first_edition() -> dict[str, dict]:
    """Its ledger, by id."""
    ledger = json.loads((root() / "book" / "first_edition.json").read_text("utf-8"))
    return {row["id"]: row for row in ledger}


def retired() -> str:
    """A row of the first edition's questions that nobody asks any more: verdicts, and why not."""
    old = _first_edition()
    lines = ["| First edition | Then | Why nobody asks it any more |", "|---|---|---|"]
    for row in read_yaml(root() / "book" / "retired.yml").values():
        lines.append(f"| {_then(row, old)} | {row['why']} |")
    return "\n".join(lines) + "\n"


def _then(row: dict, old: dict) -> str:
    """Two cells: the ids of the first edition's questions, and its verdicts."""
    names = [f"`{name}`" for name in row["old"]]
    verdicts = [f"{old[name]['verdict']} {_number(old[name]['effect'])}" for name in row["old"]]
    return f"{'<br>'.join(names)} | {'<br>'.join(verdicts)}"


def _number(value) -> str:
    return "" if value is None else f"{value:+.3f}"


def flagged(verdicts) -> str:
    """The verdicts whose rule is not the one that was in force when their runs were made."""
    lines = [f"- [{v.claim.title}](claim-{v.claim.id}): {v.flag}" for v in verdicts if v.flag]
    return "\n".join(lines or ["No rule was changed after its runs, and none is younger."]) + "\n"
