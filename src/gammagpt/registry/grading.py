"""The cells that check, as assignments of nbgrader: one a chapter, graded in seconds.

A notebook here is nbgrader's source: `nbgrader generate_assignment` makes of it the copy for
students, without what lies between its marks; as it is it is the copy with solutions. Nothing is
trained in it, and what needs a page's runs is left out.
"""

import json
import re
from pathlib import Path

from ..project import UserError, root
from .exercises import all_exercises
from .quiz import exercise_cells

CONFIG = '''"""For nbgrader, in the folder where it is called."""

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "gammagpt"
c.ClearSolutions.code_stub = {"python": "# Replace the ... above."}
c.ExecutePreprocessor.timeout = 120  # seconds a cell; torch takes some to load
'''
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
INTRO = ("# {title}: exercises\n\nReplace each `...` and run the cell and the one below it, which "
         "says *right*, or *wrong* with a hint. The chapter of this name explains what is asked.")


def write_course(folder: Path, chapters=()) -> list[Path]:
    """Write nbgrader_config.py and source/<chapter>/<chapter>.ipynb of all or some chapters.

    Returns the notebooks. Raises UserError for an unknown chapter, or if there is such a folder:
    a course that is under way is not written over.
    """
    paths = sorted((root() / "notebooks").glob("*.ipynb"))
    numbers = [f"{number:0>2}" for number in chapters] or [path.stem[:2] for path in paths]
    known = {path.stem[:2]: path for path in paths}
    if unknown := [number for number in numbers if number not in known]:
        raise UserError(f"chapter: got {unknown[0]!r}, allowed are {', '.join(known)}")
    if (folder / "source").exists():
        raise UserError(f"--out: got {folder}, which has a course already, allowed is a new folder")
    cells, written = exercise_cells(), []
    for number in numbers:
        path = folder / "source" / known[number].stem / known[number].name
        path.parent.mkdir(parents=True)
        notebook = assignment(known[number], cells)
        path.write_text(json.dumps(notebook, indent=1) + "\n", encoding="utf-8")
        written.append(path)
    (folder / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    return written


def assignment(path: Path, cells) -> dict:
    """A chapter's exercises as a notebook: for each its task, a cell to fill in, and its tests."""
    first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]
    title = "".join(first).splitlines()[0].removeprefix("# ")
    made = [_cell("markdown", INTRO.format(title=title), "intro", locked=True)]
    for name, exercise in all_exercises().items():
        if name[:2] == path.stem[:2] and not exercise.needs:
            made += _exercise(name, exercise, *cells[name])
    return {"cells": made, "metadata": {"kernelspec": KERNEL}, "nbformat": 4, "nbformat_minor": 5}


def _exercise(name: str, exercise, task: str, source: str) -> list[dict]:
    *lines, call = source.strip().splitlines()
    asked = re.search(r", (\w+)", call)[1]  # check("01.2", std)
    shown = [line for line in lines if not line.startswith("from gammagpt.registry")]
    if callable(exercise.answer()):
        head = "from gammagpt.registry.exercises import find"
        solution = f'{head}\n\n{asked} = find("{name}").answer()'
    else:
        solution = f"{asked} = {exercise.answer()!r}"
    solved = ["### BEGIN SOLUTION", solution, "### END SOLUTION"]
    tests = ["from gammagpt.registry.exercises import check\n", f"feedback = {call}",
             "print(feedback)", "### BEGIN HIDDEN TESTS",
             'assert feedback.state == "right", feedback', "### END HIDDEN TESTS"]
    key = name.replace(".", "-")
    return [
        _cell("markdown", f"**{name}** {task}", f"task-{key}", locked=True),
        _cell("code", "\n".join([*shown, *solved]).strip(), f"answer-{key}", solution=True),
        _cell("code", "\n".join(tests), f"tests-{key}", locked=True, grade=True, points=1),
    ]


def _cell(kind: str, source: str, name: str, **marks) -> dict:
    """A cell with nbgrader's marks (its metadata, version 3)."""
    marked = {"schema_version": 3, "grade_id": name, "grade": False, "locked": False,
              "solution": False, "task": False} | marks
    cell = {"cell_type": kind, "id": name, "metadata": {"nbgrader": marked}, "source": source}
    return cell | ({"outputs": [], "execution_count": None} if kind == "code" else {})
