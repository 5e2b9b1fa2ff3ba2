"""The unigram plateau: when a run collapses, how long the plateau is, which gamma is critical.

With small weights all matrices first align with one direction, which writes how often each token
occurs; the training loss parks at the unigram entropy H. A run whose rate rises too fast leaves
that stage too early and stays worse to the end: it has collapsed.

d is the width, n_w the warm-up in steps, lr the peak learning rate, s = d^-gamma the std of the
start, V the vocabulary, and the path is d x (sum of the learning rates so far). The laws, whose
constants plateau_fit.py finds in the records of the first edition, and in nothing else:

    x = lr d^2 / n_w                    decides whether a run collapses
    path = REACHED, LEFT                where the plateau begins and ends
    loss > H - PACE ln(path / TURN)     a fifth of the way: it has collapsed
    (A^4 + B^4)^(1/4)                   the highest good rate
    s_c = lr sqrt(d) / CRITICAL         the best start, if there is one
"""

import math
from dataclasses import dataclass
from numbers import Real

import numpy as np

from ..project import UserError

VOCABULARY = 1024  # of the records behind all constants


@dataclass(frozen=True)
class Rule:
    """P(collapse) = 1 / (1 + (threshold / z)^slope), z = lr d^width n_w^warmup V^vocabulary.

    V counts in units of 1,024.
    """

    width: float
    warmup: float
    threshold: float
    slope: float
    vocabulary: float = 0.0

    def index(self, learning_rate, width, warmup_steps, vocab_size=VOCABULARY):
        """z, a number or an array; the units do not matter, the threshold has them too."""
        size = (vocab_size / VOCABULARY) ** self.vocabulary
        return learning_rate * width**self.width * warmup_steps**self.warmup * size

    def probability(self, learning_rate, width, warmup_steps, vocab_size=VOCABULARY):
        """Of a collapse, 0 to 1."""
        z = self.index(learning_rate, width, warmup_steps, vocab_size)
        return 1 / (1 + (self.threshold / z) ** self.slope)

    def collapses(self, learning_rate, width, warmup_steps, vocab_size=VOCABULARY):
        """The call: yes from the threshold on, where a collapse is as likely as not."""
        return self.index(learning_rate, width, warmup_steps, vocab_size) >= self.threshold


# Two hypotheses, then their rivals. `x_vocabulary`: an Adam step moves every entry of the (V, d)
# head by about lr, and on the plateau all rows the same way, so its spectral norm is lr sqrt(V d):
# what has to be undone later grows with sqrt(V). Its exponent is theory; no fit has seen another V.
RULES = {
    "x": Rule(2, -1, 0.751, 5.21),
    "x_vocabulary": Rule(2, -1, 0.751, 5.21, vocabulary=0.5),
    "rate": Rule(0, 0, 0.01566, 1.427),
    "rate_width": Rule(1, 0, 0.8174, 2.160),
    "rate_warmup": Rule(0, -1, 0.0002457, 1.655),
    "power": Rule(2.091, -0.895, 1.676, 5.495),
}
LARGE, SMALL = 1.46, 2.54  # of the two branches of the highest good rate
CRITICAL = 1.115
NONE_BELOW = 0.8  # x the small branch: between 0.55, without a best gamma, and 1.1, with one
REACHED, LEFT = 1.475, 4.045  # paths: the loss is 0.3 nats above H; is 0.1 nats below it
PACE, TURN, EARLY_SLOPE = 0.5264, 6.148, 10.66
# H in nats, of the training tokens, by text and vocabulary.
ENTROPIES = {("sotu", 512): 5.2801, ("sotu", 1024): 5.9834, ("sotu", 2048): 6.3949,
             ("stories", 1024): 5.6946}  # fmt: skip
# What the records behind the constants cover, lowest and highest.
RECORDS = 1366
RANGES = {"width": (32, 256), "learning_rate": (0.00025, 0.064), "warmup_steps": (20, 320),
          "n_layer": (1, 8), "vocab_size": (1024, 1024), "steps": (200, 3200)}  # fmt: skip
TRIED = (0.35, 1.2)  # gammas
SAFE = 0.3  # x: below it none of the first edition's runs collapsed


def collapse_index(learning_rate, width, warmup_steps):
    """x = lr d^2 / n_w; numbers or arrays."""
    return learning_rate * width**2 / warmup_steps


def highest_good_rate(std, width, warmup_steps):
    """The learning rate from which the loss is 0.1 nats worse than that of a lower one.

    (A^4 + B^4)^(1/4): A = 1.46 s / sqrt(d) is what large weights bear, B = 2.54 n_w^(2/3) / d^2
    what the plateau does.
    """
    large = LARGE * std / width**0.5
    return (large**4 + small_branch(width, warmup_steps) ** 4) ** 0.25


def small_branch(width, warmup_steps):
    """B: the highest good rate of a start so small that its size does not matter."""
    return SMALL * warmup_steps ** (2 / 3) / width**2


def critical_gamma(width, learning_rate, warmup_steps) -> float | None:
    """The gamma with the lowest loss at this rate; None where smaller is never worse."""
    if learning_rate < NONE_BELOW * small_branch(width, warmup_steps):
        return None
    return -math.log(learning_rate * width**0.5 / CRITICAL) / math.log(width)


def plateau_length(width, learning_rate, warmup_steps) -> tuple[float, float]:
    """The steps after which the plateau is reached and left; while n_w lasts, the rate rises."""

    def steps(path):
        at_peak = path / (width * learning_rate)
        short = at_peak <= warmup_steps / 2
        return math.sqrt(2 * at_peak * warmup_steps) if short else at_peak + warmup_steps / 2

    return steps(REACHED), steps(LEFT)


def early_probability(loss, entropy, path):
    """Of a collapse, from the training loss and the path at a fifth of the steps, and H (nats)."""
    ahead = entropy - loss - PACE * np.log(path / TURN)
    return 1 / (1 + np.exp(EARLY_SLOPE * ahead))


@dataclass(frozen=True)
class Advice:
    """What the laws say of a size, a learning rate and a warm-up, and what they rest on."""

    critical_gamma: float | None  # with the lowest loss; None: smaller is never worse
    safe_gammas: tuple[float, float] | None  # this rate is not too high for these; None: for none
    least_warmup_steps: int  # for which a small start has never collapsed
    evidence: str  # how many records, of which sizes
    untested: tuple[str, ...]  # inputs outside of those sizes, or a gamma that was never tried

    def words(self) -> str:
        """The advice in five lines."""
        best, safe = self.critical_gamma, self.safe_gammas
        lines = {
            "critical gamma": "none: smaller is never worse" if best is None else f"{best:.2f}",
            "safe gammas": "none: lower the learning rate, or warm up for longer" if safe is None
                           else f"{safe[0]:g} to {safe[1]:.2f}",
            "least warm-up": f"{self.least_warmup_steps} steps",
            "evidence": self.evidence,
            "untested": ", ".join(self.untested) or "nothing of what was given",
        }
        return "\n".join(f"{name:15} {value}" for name, value in lines.items())


def advise(width, learning_rate, warmup_steps, **others) -> Advice:
    """Advice for a GPT of this width, at this peak rate, after so many steps of warm-up.

    `others`: n_layer, vocab_size and steps, which the laws do not use, to hear if they are
    untested. A gamma that was never tried is not called safe.
    Raises UserError for anything but numbers above zero (width: above one), and unknown names.
    """
    given = {"width": width, "learning_rate": learning_rate, "warmup_steps": warmup_steps} | others
    for name, value in given.items():
        _check(name, value)
    outside = [name for name, value in given.items()
               if not RANGES[name][0] <= value <= RANGES[name][1]]  # fmt: skip
    sizes = ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in RANGES.items())
    best = critical_gamma(width, learning_rate, warmup_steps)
    if best is not None and not TRIED[0] <= best <= TRIED[1]:
        outside.append("critical gamma")
    return Advice(
        best,
        safe_gammas(width, learning_rate, warmup_steps),
        math.ceil(collapse_index(learning_rate, width, 1) / SAFE),
        f"{RECORDS} records of one text; {sizes}",
        tuple(outside),
    )


def safe_gammas(width, learning_rate, warmup_steps) -> tuple[float, float] | None:
    """The tried gammas whose highest good rate is not below this rate; None if there is none."""
    left = learning_rate**4 - small_branch(width, warmup_steps) ** 4
    if left <= 0:
        return TRIED
    highest = -math.log(left**0.25 * width**0.5 / LARGE) / math.log(width)
    return (TRIED[0], min(TRIED[1], highest)) if highest >= TRIED[0] else None


def _check(name: str, value) -> None:
    if name not in RANGES:
        raise UserError(f"advise: got {name}={value!r}, allowed are {', '.join(RANGES)}")
    least = 1 if name == "width" else 0
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not least < value < math.inf:
        raise UserError(f"{name}: got {value!r}, allowed is a number above {least}")
