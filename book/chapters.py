"""A line under each chapter's title: its runs, what they cost to make again, and whose rules judge.

It is computed from the records and from the measured time of each kind of run (costs.py), and
written into the staged copy of the notebook.
"""

import re
from pathlib import Path

import nbformat

from gammagpt import Store
from gammagpt.project import results_folder
from gammagpt.registry.costs import price
from gammagpt.registry.studies import homes, study

NUMBER = re.compile(r"^\d+\. ")  # likewise
LINE = re.compile(r'\n<p class="gg-cost">.*</p>\n')  # of an earlier staging of the same copy
SHOWN = re.compile(r'data-runs="([^"]*)"')  # the runs of a figure (plots/picture.py)


def write_costs(staging: Path, tier: str) -> None:
    """Put the line under the title of every staged notebook, and its file's number before that: the
    builder would number them one after the other, and chapters that are retired leave gaps."""
    for path in sorted((staging / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        title, _, rest = LINE.sub("", notebook.cells[0].source).partition("\n")
        title = f"# {int(path.stem[:2])}. {NUMBER.sub('', title.removeprefix('# '))}"
        line = cost_line(tier, runs_of(path.stem, notebook, tier), notebook.metadata.get("seconds"))
        notebook.cells[0].source = f'{title}\n\n<p class="gg-cost">{line}</p>\n{rest}'
        nbformat.write(notebook, path)


def runs_of(name: str, notebook, tier: str) -> dict:
    """`{key: record}`: the runs of the chapter's experiments, and those that its figures show."""
    keys = {key for shown in SHOWN.findall(_html(notebook)) for key in shown.split()}
    store = Store(results_folder(tier))
    for experiment, owner in homes().items():
        if owner == name:
            runs = study(experiment, tier).collect(store)
            keys |= set(runs.key) if len(runs) else set()
    return {record.key: record for record in store if record.key in keys}


def _html(notebook) -> str:
    """What the cells of a notebook show, as HTML."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.get("data", {}).get("text/html", "") for output in outputs)


def cost_line(tier: str, runs: dict, seconds: float | None) -> str:
    """Tier, number of runs, training time from nothing, and the page's own time."""
    parts = [f"Tier {tier}"]
    if runs:
        noun = "run" if len(runs) == 1 else "runs"
        training = sum(map(price(), (record.config for record in runs.values())))
        parts.append(f"{len(runs)} {noun}, from nothing about {span(training)} on two cores")
    else:
        parts.append("no records of its own")
    if seconds:
        parts.append(f"this page was made in {span(seconds)}")
    return " · ".join(parts)


def span(seconds: float) -> str:
    """A time as people say it: 40 s, 12 min, 1.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
