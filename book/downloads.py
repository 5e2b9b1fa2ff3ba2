"""What a researcher takes along: runs, curves and verdicts as tables, and all records as a file.

Written before the pages are rendered, so that no page links to a file that is not there.
"""

import gzip
import lzma
from pathlib import Path

import pandas as pd

from gammagpt import Store
from gammagpt.lab.bundle import pack
from gammagpt.lab.measures import measures
from gammagpt.ledger.statistics import holm
from gammagpt.project import results_folder, root
from gammagpt.registry.studies import study

ROWS = {"runs": "a run", "curves": "a point of a curve", "claims": "a claim",
        "compared": "a run of a claim", "roles": "a run and role of an experiment"}
ROLES = ["setting", "role", "learning_rate", "seed", "key", "loss", "resolved"]
BOOKS = {"pdf": "the book, to print", "epub": "the book, for a reader of electronic books"}


def write_downloads(staging: Path, tier: str, verdicts, books: bool = False) -> None:
    """Write a tier's tables into the staged site, and what their page says of them.

    With `books` the page speaks of the PDF and the EPUB too: editions.py makes them later.
    """
    folder = staging / "extra" / "data"
    folder.mkdir(parents=True, exist_ok=True)
    records = list(Store(results_folder(tier)))
    tables = {"runs": runs_table(records), "curves": curves_table(records),
              "claims": claims_table(verdicts), "compared": compared_table(verdicts),
              "roles": roles_table(verdicts, tier)}
    for name, table in tables.items():
        if name != "curves":  # the one that is large, and in the bundle too
            packed = {"method": "gzip", "mtime": 1} if name == "runs" else None  # a sixth of it
            file = folder / f"{name}-{tier}.csv{'.gz' if packed else ''}"
            table.to_csv(file, index=False, compression=packed)
        write_parquet(table, folder / f"{name}-{tier}.parquet")
    bundle = folder / f"records-{tier}.bundle"
    pack(records, bundle)
    bundle.write_bytes(lzma.compress(gzip.decompress(bundle.read_bytes())))  # 40 % less
    rules = [f"--- # {file.name}\n{file.read_text(encoding='utf-8')}"
             for file in sorted((root() / "claims").glob("*.yml"))]
    (folder / "claims.yml").write_text("".join(rules), encoding="utf-8")
    first = root() / "book" / "first_edition.json"
    (folder / "first-edition.json").write_bytes(first.read_bytes())
    page = staging / "book" / "_generated" / "downloads.md"
    page.write_text(_page(folder, tier, tables, books), encoding="utf-8")


def write_parquet(table, path: Path) -> None:
    """As small as it gets: the values of curves, of five decimals, in 32 bits, byte by byte."""
    how = {"compression": "zstd", "compression_level": 9, "index": False}
    if "step" in table:
        others = [name for name in table if name != "value"]
        table = table.astype({"step": "int32", "value": "float32"})
        how |= {"use_dictionary": others, "column_encoding": {"value": "BYTE_STREAM_SPLIT"}}
    table.to_parquet(path, **how)


def _page(folder: Path, tier: str, tables, books: bool) -> str:
    """A row a thing: what it is, how many rows it has, and a link to each of its files."""
    rows = [
        (f"**{name}**: a row {ROWS[name]}", f"{len(table):,} rows", *folder.glob(f"{name}-*"))
        for name, table in tables.items()
    ]
    rows.append(("**records**: all of them, whole", f"{len(tables['runs']):,} records",
                 *folder.glob("records-*")))
    lines = [f"| {what} | {size} | {_links(files)} |" for what, size, *files in rows]
    address = '<a href="../data/gammagpt-{}.{}" download>{}</a>'
    made = [address.format(tier, kind, words) for kind, words in BOOKS.items()]
    there = (f"Of this copy there are {' and '.join(made)}." if books else
             "This copy was built without a PDF and an EPUB; `make downloads` makes them.")
    return "\n".join(["| What | How much | Files |", "|---|---|---|", *lines, "", there, ""])


def _links(files) -> str:
    ordered = sorted(files, key=lambda file: (file.suffix == ".parquet", file.name))
    return ", ".join(
        f'<a href="../data/{file.name}" download>{file.name.partition(".")[2]}</a> '
        f"({_size(file.stat().st_size)})"
        for file in ordered
    )


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def claims_table(verdicts) -> pd.DataFrame:
    """A row a claim: effect, interval and verdict, with the rule that decided."""
    rows, corrected = [], holm(verdicts)
    for verdict in verdicts:
        value, low, high = verdict.shown
        claim = verdict.claim
        rule = claim.rule | {"margin": -claim.rule["margin"]} if claim.turned else claim.rule
        rows.append({
            "claim": claim.id, "title": claim.title, "paper": claim.paper, "place": claim.place,
            "notebook": claim.notebook, "experiment": claim.experiment,
            "metric": claim.metric, "unit": claim.unit,
            **{f"comparison.{name}": str(side) for name, side in claim.comparison.items()},
            **{f"rule.{name}": number for name, number in rule.items()},
            "rule_hash": claim.rule_hash, "caveat": claim.caveat,
            "effect": value, "low": low, "high": high, "n": verdict.n, "p": verdict.p,
            "p_holm": corrected.get(claim.id),
            "verdict": verdict.verdict, "reason": verdict.reason, "flag": verdict.flag,
        })
    return pd.DataFrame(rows)


def compared_table(verdicts) -> pd.DataFrame:
    """A row a run that a claim compares: its setting, seed and key, and the claim's metric."""
    rows = [(v.claim.id, *row) for v in verdicts for row in v.compared]
    return pd.DataFrame(rows, columns=["claim", "setting", "seed", "key", "value"])


def roles_table(verdicts, tier: str) -> pd.DataFrame:
    """A row a run and role of an experiment: which run tuned, and which was compared, where.

    With the claims' metrics that take more than the run's own record.
    """
    store, parts = Store(results_folder(tier)), [pd.DataFrame(columns=["experiment", *ROLES])]
    for name in dict.fromkeys(verdict.claim.experiment for verdict in verdicts):
        runs = study(name, tier).collect(store)
        own = {v.claim.metric for v in verdicts if v.claim.experiment == name}
        more = sorted(metric for metric in own if metric in runs and "trivial" in metric)
        runs = runs.reindex(columns=[*ROLES, *more])
        parts.append(runs.assign(experiment=name)[["experiment", *runs.columns]])
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def runs_table(records) -> pd.DataFrame:
    """A row a run: key, setting, status, every field of its configuration (`model.width`), its
    final numbers (`final.`), its measures (`measure.`, see measures.py), and where and when it
    was made (`made.`)."""
    return pd.DataFrame([_row(record) for record in records])


def _row(record) -> dict:
    made = {name: value for name, value in record.provenance.items() if name != "rules"}
    parts = record.config.to_dict() | {
        "final": record.final, "measure": measures(record), "made": made,
    }
    row = {"key": record.key, "setting": record.config.init.label, "status": record.status,
           "diverged_at": record.diverged_at}
    for name, value in parts.items():
        nested = isinstance(value, dict)
        row |= {f"{name}.{key}": v for key, v in value.items()} if nested else {name: value}
    return row


def curves_table(records) -> pd.DataFrame:
    """A row a point of a curve: key, curve (`train`, `validation`, or a task), step, value."""
    points = [
        (record.key, name, step, value)
        for record in records
        for name, curve in record.curves.items()
        for step, value in curve
    ]
    table = pd.DataFrame(points, columns=["key", "curve", "step", "value"])
    return table.astype({"key": "category", "curve": "category"})
