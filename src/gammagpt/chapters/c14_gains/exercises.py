"""Who gains most?"""

import math

from ...data.arithmetic import HELD_OUT
from ...ledger.exercise_kinds import Function, Number, draw

DEPTHS, DIGITS = (1, 2, 3), 10


def nats_per_token(depths: int = len(DEPTHS), ends: int = 1, told: float = 1) -> float:
    """What chance has put into a problem of arithmetic, over its tokens, on average.

    Only a share of all problems may be `told`.
    """
    steps = sum(DEPTHS) / len(DEPTHS)
    nats = math.log(depths) + math.log(DIGITS) + steps * math.log(DIGITS - 1) + math.log(told)
    return nats / (1 + 4 * steps + ends)


def three_rulers(loss, floor, gain) -> tuple[float, float, float]:
    """A gain in nats, as ln of the factor, and as ln of the factor above the floor."""
    return gain, math.log(loss / (loss - gain)), math.log((loss - floor) / (loss - gain - floor))


EXERCISES = {
    "14.1": Number(
        nats_per_token,
        "Add up the logarithms of all choices, and divide by the tokens of a problem.",
        (
            (lambda: nats_per_token(ends=0), "A problem also has a token that ends it."),
            (lambda: nats_per_token(depths=1), "How many steps there are is drawn as well."),
            (lambda: nats_per_token() + 2 * math.log(DIGITS - 1) / 10,
             "The results are not drawn: they follow."),
            (lambda: nats_per_token(told=1 - 1 / HELD_OUT),
             "That is with some problems held out, which makes the others likelier. Here none "
             "is."),
        ),
    ),
    "14.2": Function(
        three_rulers,
        "Each ruler compares before with after: as a difference, as a factor, and as a factor of "
        "what lies above the floor.",
        (
            (lambda loss, floor, gain: (gain, gain / loss, gain / (loss - floor)),
             "That is the share; the logarithm of the factor is close to it only for small gains."),
            (lambda loss, floor, gain: (gain, *[math.log(loss / (loss - gain))] * 2),
             "Above the floor there is less to begin with."),
        ),
        inputs=lambda rng: {
            "loss": draw(rng, 2, 4, digits=2),
            "floor": draw(rng, 0.5, 1.2, digits=2),
            "gain": draw(rng, 0.2, 0.7, digits=2),
        },
    ),
    "14.6": Function(
        lambda p, depth: (p, p**depth),
        "A whole answer is right if all its steps are; a mean over tokens asks for no such thing.",
        (
            (lambda p, depth: (p**depth, p**depth), "The first score counts tokens one by one."),
            (lambda p, depth: (p, p), "A whole answer needs every step."),
            (lambda p, depth: (p, p * depth), "Chances of what must all happen are multiplied."),
        ),
        inputs=lambda rng: {"p": draw(rng, 0.3, 0.95, digits=2), "depth": int(rng.integers(2, 6))},
    ),
}
