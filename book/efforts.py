"""What an exercise costs that makes a page again with other parameters: runs, and minutes.

A task names its parameters as code, `-p common_learning_rate 0.008`. Which runs these ask for is
what the chapter's own studies say; those that have a record are not trained again. A task may
leave something to the reader. A text, `-p corpus my_novel.txt`, is priced as the page's own one,
of which no run has a record. A number that the reader has to find, `-p other_rate`, is priced as
one that nobody has tried.
"""

import re
from pathlib import Path

import nbformat

from gammagpt import Store
from gammagpt.project import UserError, results_folder, tier_parameters
from gammagpt.registry.costs import price
from gammagpt.registry.studies import homes, studies

ASKED = re.compile(r"`(?:papermill notebooks/(\w+)\.ipynb \S+ )?(-p [^`]+)`")
PARAMETER = re.compile(r'-p (\w+)(?: ("[^"]*"|(?!-p )\S+))?')
TASK = re.compile(r"^\d+\. .+$", re.MULTILINE)
NOTE = re.compile(r" \*\((?:Training|If you run it): [^)]*\)\*$", re.MULTILINE)
SPARED = "you need not run it"  # as such tasks say
TEXT = ".txt"  # of the reader's
UNTRIED = 1.01  # times the page's own number: one that has no record


def write_efforts(staging: Path, tier: str) -> None:
    """Put what it costs behind each task of the staged notebooks that trains, in place of what an
    earlier call has put there."""
    for path in sorted((staging / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "markdown" and "## Exercises" in cell.source:
                cell.source = TASK.sub(
                    lambda task, name=path.stem: f"{task[0]}{words(task[0], name, tier)}",
                    NOTE.sub("", cell.source),
                )
        nbformat.write(notebook, path)


def words(task: str, notebook: str, tier: str) -> str:
    """' *(Training: 36 runs, about 6 minutes on two cores.)*', or nothing for other tasks."""
    changed = _parameters(task)
    found = effort(task, notebook, tier)
    if found is None:
        whole = any(TEXT in value for value in changed.values())
        return " *(Training: as much as the page's own runs.)*" if whole else ""
    runs, seconds = found
    if not runs:
        return " *(Training: none.)*"
    most = "" if all(changed.values()) else "at most "  # the reader's number may have records
    minutes = max(1, round(seconds / 60))
    cost = f"{_counted(runs, 'run')}, about {_counted(minutes, 'minute')} on two cores"
    return f" *({'If you run it' if SPARED in task else 'Training'}: {most}{cost}.)*"


def effort(task: str, notebook: str, tier: str) -> tuple[int, float] | None:
    """(runs, seconds) of a task, all parameters that it names taken together; None if it has none
    or if its page has no study."""
    notebook = next((name for name, _ in ASKED.findall(task) if name), notebook)
    own, asked = tier_parameters(tier)[notebook], _parameters(task)
    folder = results_folder(tier)
    if any(TEXT in value for value in asked.values()):
        asked = {name: value for name, value in asked.items() if TEXT not in value}
        asked, folder = asked | {"corpus": own["corpus"]}, folder / "none"
    changed = {k: _value(v) if v else own[k] * UNTRIED for k, v in asked.items()}
    try:
        runs = missing(notebook, changed, tier, Store(folder)) if changed else None
    except UserError:
        return None
    return (len(runs), sum(map(price(), runs))) if runs is not None else None


def _parameters(task: str) -> dict[str, str]:
    """Name -> value, as it is written; nothing where the reader has to find it."""
    flags = " ".join(flags for _, flags in ASKED.findall(task))
    return dict(PARAMETER.findall(flags))


def _value(text: str):
    """A parameter as papermill reads it: a number where it can, or text."""
    text = text.strip('"')
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            pass
    return text


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def missing(notebook: str, changed: dict, tier: str, store: Store) -> list | None:
    """The runs without a record that a page with other parameters needs; None if it has no study.

    A best rate that is not known yet counts as a run for each seed that is compared.
    """
    parameters = tier_parameters(tier)
    owners = {owner for owner in homes().values() if parameters[owner] == parameters[notebook]}
    made = [study for owner in sorted(owners) for study in studies(owner, tier, **changed).values()]
    return [run for study in made for run in _needs(study, store)] if owners else None


def _needs(study, store) -> list:
    best = study.best_rates(study.collect(store))
    known = [*study.at_common_rate(), *study.tuning(), *study.at_best_rate(best)]
    known += [study.reference] if study.reference else []
    lacking = {run.key: run for run in known if store.get(run) is None}
    unknown = study.only(set(study.settings) - set(best.setting)) if study.learning_rates else None
    return [*lacking.values(), *(unknown.compared() if unknown else [])]
