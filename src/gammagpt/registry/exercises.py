"""Exercises that check themselves, on a laptop and without a network.

    check("01.2", 0.5)    ✗ Exercise 01.2: wrong. That is ...

A chapter has a table of its own, chapters/cNN_name/exercises.py. To add an exercise: a row
there, and in the notebook a task in the list and a cell tagged "exercise" with the placeholder
`...` and the call.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from .. import chapters
from ..ledger.exercise_kinds import CannotTell, Exercise
from ..project import UserError

SIGNS = {"right": "✓", "wrong": "✗", "not answered yet": "…", "not asked": "–"}


@dataclass(frozen=True)
class Feedback:
    """What `check` says of an answer: one of SIGNS, and a hint where it is wrong."""

    exercise: str
    state: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{SIGNS[self.state]} Exercise {self.exercise}: {self.state}. {self.hint}".rstrip()

    __repr__ = __str__  # so that it shows as the last line of a cell


def check(name: str, answer=..., **page) -> Feedback:
    """Whether an answer is right; `...` is not answered yet.

    Args: `name` as "01.2"; `page`, what the exercise needs of its page, as in `runs=runs`.
    Raises UserError for an unknown name, or if something of the page is missing.
    """
    exercise = find(name)
    if answer is ... or exercise.unanswered(answer):
        return Feedback(name, "not answered yet")
    if set(page) != set(exercise.needs):
        call = ", ".join([f'"{name}"', "answer", *(f"{n}={n}" for n in exercise.needs)])
        raise UserError(f"exercise {name}: got {', '.join(page) or 'nothing'} of the page, "
                        f"allowed is check({call})")
    try:
        hint = exercise.judge(answer, **page)
    except CannotTell as reason:
        return Feedback(name, "not asked", str(reason))
    return Feedback(name, "wrong" if hint else "right", hint)


def find(name: str) -> Exercise:
    """An exercise by its name. Raises UserError that names all of them."""
    known = all_exercises()
    if name not in known:
        raise UserError(f"exercise: got {name!r}, allowed are {', '.join(known)}")
    return known[name]


def all_exercises() -> dict[str, Exercise]:
    """Every exercise of every chapter's table, by name, in order."""
    files = sorted(Path(chapters.__file__).parent.glob("c*/exercises.py"))
    modules = [f"{chapters.__name__}.{file.parent.name}.exercises" for file in files]
    tables = [import_module(module).EXERCISES for module in modules]
    return {name: exercise for table in tables for name, exercise in table.items()}
