"""The kinds of exercises: a number, a choice, some of several, a function tried on random inputs.

Each has `right`, which computes what is right, and `judge`, which is empty for a right answer and
else a hint. A hint never holds the answer. `traps` are mistakes that people make, each with the
hint that it deserves; they are computed as well, so that no number is typed twice.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

TRIES = 20  # random inputs of a function
NEAR = 0.05  # so far from the right number a slip of rounding is likelier than a wrong idea


class CannotTell(Exception):
    """These runs hold no answer: a tier that is too small, or other parameters."""


@dataclass(frozen=True)
class Exercise(ABC):
    """Common to all kinds."""

    right: Callable  # right(**page) -> the answer
    hint: str = ""
    traps: tuple = ()  # (wrong(**page), hint)
    needs: tuple[str, ...] = ()  # what the page must pass on

    def answer(self, **page):
        """A right answer. Raises CannotTell where the page's runs have none."""
        right = self.right(**page)
        if right is None:
            raise CannotTell("These runs do not say.")
        return right

    def key(self) -> str | None:
        """The answer as text, for teachers; None for functions, and where the page's runs say."""
        answer = None if self.needs else self.answer()
        return None if answer is None or callable(answer) else _text(answer)

    def mistakes(self, **page) -> list:
        """Answers that are wrong, each with its hint."""
        return [(wrong(**page), hint) for wrong, hint in self.traps]

    def unanswered(self, answer) -> bool:
        return False

    @abstractmethod
    def judge(self, answer, **page) -> str:
        """What is wrong with an answer, in a sentence; nothing if it is right."""


@dataclass(frozen=True)
class Number(Exercise):
    """A number, right within a relative tolerance."""

    tolerance: float = 0.01

    def judge(self, answer, **page) -> str:
        if not _is_number(answer):
            return f"A number is wanted, this is {_kind(answer)}."
        right = self.answer(**page)
        if close(answer, right, self.tolerance):
            return ""
        for wrong, hint in self.mistakes(**page):
            if close(answer, wrong, self.tolerance):
                return hint
        if close(answer, right, max(NEAR, 5 * self.tolerance)):
            return "It is close: give three digits, or look for a rounded number on the way."
        return f"It is too {'large' if answer > right else 'small'}. {self.hint}"


@dataclass(frozen=True)
class Choice(Exercise):
    """One of some options, as text."""

    options: tuple[str, ...] = ()

    def mistakes(self, **page) -> list:
        return [(o, self.hint) for o in self.options if o != self.answer(**page)]

    def judge(self, answer, **page) -> str:
        if answer not in self.options:
            return f"Choose one of: {'; '.join(self.options)}."
        return "" if answer == self.answer(**page) else self.hint


@dataclass(frozen=True)
class Several(Exercise):
    """A set: which of a list, no matter in which order."""

    def judge(self, answer, **page) -> str:
        try:
            given = set(answer)
        except TypeError:
            return f"A set is wanted, like {{1, 2}}, this is {_kind(answer)}."
        right = set(self.answer(**page))
        extra, missing = len(given - right), len(right - given)
        if not extra + missing:
            return ""
        for wrong, hint in self.mistakes(**page):
            if given == set(wrong):
                return hint
        return f"{extra} of yours too many, {missing} missing. {self.hint}"


@dataclass(frozen=True)
class Function(Exercise):
    """A function of numbers, tried on random inputs. `right` is one that is right.

    Readers may name the arguments as they like: only their order counts.
    """

    inputs: Callable = None  # inputs(rng) -> the arguments of one try, by name
    tolerance: float = 0.01

    def answer(self, **page):
        return self.right

    def mistakes(self, **page) -> list:
        return list(self.traps)

    def tries(self) -> list[dict]:
        rng = np.random.default_rng(0)
        return [self.inputs(rng) for _ in range(TRIES)]

    def unanswered(self, answer) -> bool:
        """Whether it still returns the placeholder."""
        if not callable(answer):
            return False
        try:
            return answer(*self.tries()[0].values()) is ...
        except Exception:
            return False

    def judge(self, answer, **page) -> str:
        if not callable(answer):
            return f"A function is wanted, this is {_kind(answer)}."
        for given in self.tries():
            if problem := self._problem(answer, given):
                return self._named(answer) or f"For {_shown(given)} {problem} {self.hint}"
        return ""

    def _problem(self, answer, given: dict) -> str:
        """What is wrong with one try, or nothing."""
        right = np.asarray(self.right(**given))
        try:
            value = np.asarray(answer(*given.values()), dtype=float)
        except Exception as error:
            return f"it raises {type(error).__name__}: {error}."
        if value.shape != right.shape:
            return f"it returns {_count(value)}, where {_count(right)} is wanted."
        if close(value, right, self.tolerance):
            return ""
        if np.isnan(value).any():
            return "it returns no number."
        if value.ndim:
            return "not all of what it returns is right."
        return f"it is too {'large' if value > right else 'small'}."

    def _named(self, answer) -> str:
        """The hint of the mistake that gives the same on all tries, if there is one."""
        for wrong, hint in self.traps:
            try:
                tries = [(answer(*g.values()), wrong(**g)) for g in self.tries()]
                if all(close(one, other, self.tolerance) for one, other in tries):
                    return hint
            except Exception:
                continue
        return ""


def close(value, right, tolerance: float) -> bool:
    """Whether two numbers, or two tuples of numbers, agree within a relative tolerance."""
    if np.shape(value) != np.shape(right):
        return False
    one, other = (np.atleast_1d(np.asarray(x, dtype=float)) for x in (value, right))
    return bool(np.allclose(one, other, rtol=tolerance, atol=1e-9))


def draw(rng, low: float, high: float, digits: int) -> float:
    """A random number between two others, with so many digits after the point."""
    return round(float(rng.uniform(low, high)), digits)


def _is_number(answer) -> bool:
    numeric = isinstance(answer, int | float | np.number) and not isinstance(answer, bool)
    return numeric and math.isfinite(answer)


def _text(answer) -> str:
    if isinstance(answer, set):
        return f"{{{', '.join(map(_short, sorted(answer)))}}}"
    return _short(answer)


def _kind(answer) -> str:
    return "a number" if _is_number(answer) else f"a {type(answer).__name__}"


def _count(values) -> str:
    return f"a row of {values.size} numbers" if values.ndim else "one number"


def _shown(given: dict) -> str:
    return ", ".join(f"{name} = {_short(value)}" for name, value in given.items())


def _short(value) -> str:
    return f"{value:.4g}" if _is_number(value) else str(value)
