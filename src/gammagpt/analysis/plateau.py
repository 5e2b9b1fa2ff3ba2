"""The unigram plateau: when a run collapses, how long the plateau is, which gamma is critical.

With small weights all matrices first align with one direction, which writes how often each token
occurs; the training loss parks at the unigram entropy. A run whose rate rises too fast leaves that
stage too early and stays worse to the end: it has collapsed.

d is the width, n_w the warm-up in steps, lr the peak learning rate, s = d^-gamma the std of the
start, V the vocabulary. Four laws, whose constants plateau_fit.py finds in the records of the
first edition, and in nothing else:

    x = lr d^2 / n_w                    decides whether a run collapses      (EVIDENCE 1.2 b)
    d x (sum of rates) = PATH           when the plateau is left             (a)
    (A^4 + B^4)^(1/4)                   the highest good rate                (c)
    s_c = lr sqrt(d) / CRITICAL         the best start, if there is one      (d)
"""

import math
from dataclasses import dataclass

MARGIN = 0.1  # nats: a run so far above what its setting reaches more slowly has collapsed
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
SAFE = 0.3  # x: below it none of the first edition's runs collapsed


def collapse_index(learning_rate, width, warmup_steps):
    """x = lr d^2 / n_w; numbers or arrays."""
    return learning_rate * width**2 / warmup_steps


def highest_good_rate(std, width, warmup_steps):
    """The learning rate from which the loss is MARGIN worse than that of a lower one.

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
