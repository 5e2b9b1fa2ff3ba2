"""What an exercise costs that makes a page again with other parameters: runs, and minutes.

A task names its parameters as code, `-p common_learning_rate 0.008`. Which runs these ask for is
what the chapter's own studies say; those that have a record are not trained again.
"""

import re
import shlex
from pathlib import Path

import nbformat

from gammagpt import Store
from gammagpt.costs import price
from gammagpt.experiments import EXPERIMENTS
from gammagpt.project import UserError, results_folder, tier_parameters

ASKED = re.compile(r"`(?:papermill notebooks/(\w+)\.ipynb \S+ )?(-p [^`]+)`")
TASK = re.compile(r"^\d+\. .+$", re.MULTILINE)


def write_efforts(staging: Path, tier: str) -> None:
    """Put what it costs behind each task of the staged notebooks that trains."""
    for path in sorted((staging / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "markdown" and "## Exercises" in cell.source:
                cell.source = TASK.sub(
                    lambda task, name=path.stem: f"{task[0]}{words(task[0], name, tier)}",
                    cell.source,
                )
        nbformat.write(notebook, path)


def words(task: str, notebook: str, tier: str) -> str:
    """' *It trains 36 runs, about 6 minutes on two cores.*', or nothing for other tasks."""
    found = effort(task, notebook, tier)
    if found is None:
        return ""
    runs, seconds = found
    if not runs:
        return " *It trains nothing.*"
    noun = "run" if runs == 1 else "runs"
    minutes = max(1, round(seconds / 60))
    unit = "minute" if minutes == 1 else "minutes"
    return f" *It trains {runs} {noun}, about {minutes} {unit} on two cores.*"


def effort(task: str, notebook: str, tier: str) -> tuple[int, float] | None:
    """(runs, seconds) of a task, all parameters that it names taken together; None if it has none
    or if they need a file of the reader's."""
    asked = ASKED.findall(task)
    notebook = next((name for name, _ in asked if name), notebook)
    flags = shlex.split(" ".join(flags for _, flags in asked))
    changed = dict(zip(flags[1::3], map(_value, flags[2::3]), strict=False))
    try:
        runs = missing(notebook, changed, tier) if changed else None
    except UserError:
        return None
    return (len(runs), sum(map(price(), runs))) if runs is not None else None


def _value(text: str):
    """A parameter as papermill reads it: a number where it can, or text."""
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            pass
    return text


def missing(notebook: str, changed: dict, tier: str) -> list | None:
    """The runs without a record that a page with other parameters needs; None if it has no study.

    A best rate that is not known yet counts as a run for each seed that is compared.
    """
    parameters = tier_parameters(tier)
    own = parameters[notebook]
    given = {k: v for k, v in own.items() if k != "tier"} | changed
    makers = {make for make, owner in EXPERIMENTS.values() if parameters[owner] == own}
    store, runs = Store(results_folder(tier)), []
    for make in makers:
        made = make(**given)
        for study in made.values() if isinstance(made, dict) else [made]:
            runs += _needs(study, store)
    return runs if makers else None


def _needs(study, store) -> list:
    best = study.best_rates(study.collect(store))
    known = [*study.at_common_rate(), *study.tuning(), *study.at_best_rate(best)]
    known += [study.reference] if study.reference else []
    lacking = {run.key: run for run in known if store.get(run) is None}
    unknown = study.only(set(study.settings) - set(best.setting)) if study.learning_rates else None
    return [*lacking.values(), *(unknown.at_common_rate() if unknown else [])]
