"""What the labels give away."""

import itertools
import math
from dataclasses import dataclass
from functools import cache

from ...analysis.label_losses import told_losses
from ...data.anchors import AnchorConfig, parse_tasks
from ...ledger.exercise_kinds import Exercise, Number, _kind

SIZES = (3, 4, 5, 7)  # of the ring on which a law is tried


def ranges() -> AnchorConfig:
    """Four ranges that do not overlap."""
    tasks = "a 1..4 21..40, b 5..8 41..60, c 9..12 61..80, d 13..16 81..100"
    return AnchorConfig(keys="21..60", tasks=tasks, held_out="", vocab_size=121)


def constant_share() -> float:
    """The share of answers inside their range, of the best answer that is always the same."""
    laws = [tuple(map(int, law.split(".."))) for _, _, law in parse_tasks(ranges())]
    inside = [sum(low <= label <= high for low, high in laws) for label in range(121)]
    return max(inside) / len(laws)


@cache
def cost_of_ignorance() -> float:
    """What it costs not to know the task, in nats."""
    told = told_losses(ranges())
    return float((told["nothing"] - told["the task"])["a"])


@dataclass(frozen=True)
class Law(Exercise):
    """A function label(x, y, z, n) on numbers 0 to n - 1. Many are right, none is compared.

    With two of the three given, the third must still reach every label exactly once.
    """

    def answer(self, **page):
        return self.right

    def mistakes(self, **page) -> list:
        return list(self.traps)

    def unanswered(self, answer) -> bool:
        try:
            return callable(answer) and answer(0, 0, 0, SIZES[0]) is ...
        except Exception:
            return False

    def judge(self, answer, **page) -> str:
        if not callable(answer):
            return f"A function is wanted, this is {_kind(answer)}."
        try:
            return next(filter(None, (self._problem(answer, n) for n in SIZES)), "")
        except Exception as error:
            return f"It raises {type(error).__name__}: {error}."

    def _problem(self, answer, n: int) -> str:
        for place, given in itertools.product(range(3), itertools.product(range(n), repeat=2)):
            found = {answer(*given[:place], x, *given[place:], n) for x in range(n)}
            if found != set(range(n)):
                name, others = "xyz"[place], "xyz".replace("xyz"[place], "")
                return (
                    f"With n = {n} and {others[0]}, {others[1]} = {given[0]}, {given[1]} not every "
                    f"label from 0 to {n - 1} is reached as {name} varies. {self.hint}"
                )
        return ""


EXERCISES = {
    "06.1": Number(
        constant_share,
        "In how many of the ranges can one number lie?",
        (
            (lambda: 1, "That holds for ranges inside one another, as in the paper."),
            (lambda: 100 * constant_share(), "As a share, not in per cent."),
        ),
    ),
    "06.2": Number(
        cost_of_ignorance,
        "By which factor does a label become less likely when the task is not known?",
        (
            (lambda: math.log(80), "That is the whole loss; what would it be with the task "
                                   "known?"),
            (lambda: math.log(20), "That is the loss of who knows the task."),
        ),
    ),
    "06.5": Law(
        lambda x, y, z, n: (x + y + z) % n,
        "So two tokens already tell something of the answer.",
        (
            (lambda x, y, z, n: x + y + z, ""),
            (lambda x, y, z, n: (x * y * z) % n, ""),
            (lambda x, y, z, n: (x + 2 * y + z) % n, ""),
        ),
    ),
}
