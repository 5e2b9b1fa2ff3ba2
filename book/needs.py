"""Writes what each notebook needs of a machine: memory, disk, minutes and network.

Memory and disk are measured (benchmarks/needs.py), and so are the seconds of each kind of run
(benchmarks/costs.py), of which the minutes are made.
"""

import json
from pathlib import Path

from gammagpt.project import PAGES, results_folder, root
from gammagpt.registry.costs import needed, price


def write_needs(staging: Path) -> None:
    """Write the table that book/machines.md includes."""
    report = json.loads((root() / "benchmarks" / "needs.json").read_text(encoding="utf-8"))
    of_run = price()
    minutes = {notebook: (len(runs), sum(map(of_run, runs)))
               for notebook, runs in needed("laptop").items()}
    sizes = [file.stat().st_size for file in results_folder("laptop", True).glob("*.json")]
    record = sum(sizes) / max(1, len(sizes)) / 1e3  # kB of a run
    page = staging / "book" / "_generated" / "needs.md"
    page.write_text(needs_table(report, minutes, record), encoding="utf-8")


def needs_table(report: dict, minutes: dict, record: float) -> str:
    """A row a notebook; a dash where nothing was measured.

    `minutes` is {notebook: (runs, seconds)} of a tier; a record has so many kB.
    """
    head = ["Notebook", "Memory (MB)", "Disk (kB)", "From nothing (min)", "Network"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    network = "not tried without" if report["network"] else "none"
    for name, tiers in report["notebooks"].items():
        memory = tiers.get(PAGES, {}).get("memory_mb", "–")
        runs, seconds = minutes.get(name, (0, 0.0))
        cells = [memory, f"{runs * record:.0f}", f"{seconds / 60:.0f}", network]
        lines.append(f"| [](../notebooks/{name}.ipynb) | {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + f"\n\nMeasured on {report['machine']}.\n"
