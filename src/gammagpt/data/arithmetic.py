"""Sums in several steps, with the result of every step written before the next one is told.

    7+2=9-5=4-1=3

Numbers and results are digits, so that each is one token in every vocabulary. A result follows from
the three tokens before the sign; what is added or taken away is drawn at random. Some sums are held
out: by a hash, as those of one step are few (90), and asked for only once training is over.
"""

import hashlib
import random
from dataclasses import dataclass
from itertools import pairwise

from ..project import UserError, whole

FORMAT = 1  # raise when a change here alters the problems of a seed
LARGEST = 9  # of all numbers and results; the smallest is 0
HELD_OUT = 3  # one expression in so many is in no text
MAX_DEPTH = 9


@dataclass(frozen=True)
class Problem:
    """A number, what is done to it step by step, and the value after each step."""

    values: tuple[int, ...]  # the first number and the results; the last one is the answer

    @property
    def depth(self) -> int:
        return len(self.values) - 1

    @property
    def terms(self) -> list[str]:
        """What is added or taken away: "+2", "-5"."""
        return [f"{after - before:+d}" for before, after in pairwise(self.values)]

    @property
    def expression(self) -> str:
        """The problem without its results: "7+2-5"."""
        return f"{self.values[0]}{''.join(self.terms)}"

    @property
    def pieces(self) -> tuple[str, ...]:
        """In turns what is given and the result that is asked: "7+2=", "9", "-5=", "4"."""
        given = [f"{self.values[0]}{self.terms[0]}=", *(f"{term}=" for term in self.terms[1:])]
        results = map(str, self.values[1:])
        return tuple(piece for pair in zip(given, results, strict=True) for piece in pair)

    @property
    def text(self) -> str:
        """The problem as it stands in the training text."""
        return "".join(self.pieces)


def problems(count: int, seed: int, depths=(1, 2, 3), held_out: bool = False) -> list[Problem]:
    """`count` problems, `depths` in turn: of those in the texts, or of those `held_out` of them.

    A larger count adds problems to the same list; a short expression comes more than once. Raises
    UserError for a count below 1, no depths, or one outside 1 to MAX_DEPTH.
    """
    whole("count", count)
    depths = tuple(depths)
    if not depths or not all(type(depth) is int and 1 <= depth <= MAX_DEPTH for depth in depths):
        raise UserError(f"depths: got {depths!r}, allowed are whole numbers from 1 to {MAX_DEPTH}")
    return [_problem(i, seed, depths[i % len(depths)], held_out) for i in range(count)]


def documents(count: int, seed: int) -> list[tuple[str, str]]:
    """(group, text) of `count` problems, none held out; a group is one expression.

    Raises UserError as `problems` does.
    """
    made = problems(count, seed)
    random.Random(f"order {seed}").shuffle(made)
    return [(f"sum {problem.expression}", problem.text) for problem in made]


def questions(count: int, seed: int, depth: int) -> list[tuple[str, ...]]:
    """The pieces of problems that are held out, each once; in turns given and asked."""
    drawn = problems(count, seed, (depth,), held_out=True)
    return [problem.pieces for problem in dict.fromkeys(drawn)]


def is_held_out(expression: str) -> bool:
    """Whether a problem is kept out of every text: its hash decides, whatever the seed."""
    return hashlib.sha256(expression.encode()).digest()[0] % HELD_OUT == 0


def _problem(number: int, seed: int, depth: int, held_out: bool) -> Problem:
    """The first one drawn that is on the wanted side."""
    rng = random.Random(f"sum {seed} {number}")
    while True:
        problem = _drawn(rng, depth)
        if is_held_out(problem.expression) == held_out:
            return problem


def _drawn(rng, depth: int) -> Problem:
    """Every step changes the value, to a digit again."""
    values = [rng.randint(0, LARGEST)]
    for _ in range(depth):
        values.append(rng.choice([n for n in range(LARGEST + 1) if n != values[-1]]))
    return Problem(tuple(values))
