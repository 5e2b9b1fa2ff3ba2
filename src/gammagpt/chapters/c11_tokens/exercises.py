"""Which tokens gain?"""

import itertools
import math

from ...ledger.exercise_kinds import Function, Number, draw

DIE = range(1, 7)


def improvement_of_the_worst_third() -> float:
    """Mean second throw less mean first throw, of those whose first was among the lowest two."""
    pairs = [(a, b) for a, b in itertools.product(DIE, DIE) if a <= len(DIE) // 3]
    return sum(b - a for a, b in pairs) / len(pairs)


def same_factor(context, trivial, share) -> tuple[float, float]:
    """Gain on context less gain on trivial tokens: in nats, and as ln of the factor."""
    gains = [loss - share * loss for loss in (context, trivial)]
    factors = [math.log(loss / (share * loss)) for loss in (context, trivial)]
    return gains[0] - gains[1], factors[0] - factors[1]


def losses(rng) -> dict:
    return {"context": draw(rng, 3, 6, digits=2), "trivial": draw(rng, 0.3, 2, digits=2)}


EXERCISES = {
    "11.1": Function(
        same_factor,
        "A gain is the loss before less the loss after; as a share it is ln(before / after).",
        (
            (lambda context, trivial, share: (0, 0), "A larger loss loses more nats by the same "
                                                     "factor."),
            (lambda context, trivial, share: (share * (context - trivial), 0),
             "That is the difference that is left, not the one that is gained."),
        ),
        inputs=lambda rng: losses(rng) | {"share": draw(rng, 0.5, 0.95, digits=2)},
    ),
    "11.3": Number(
        improvement_of_the_worst_third,
        "What have the worst third thrown on average, and what will they throw?",
        (
            (lambda: 0, "That holds for all students together; these were chosen."),
            (lambda: sum(DIE) / len(DIE), "That is the second exam alone."),
        ),
    ),
    "11.6": Function(
        lambda x, spread, luck: x * luck**2 / (spread**2 + luck**2),
        "Of a token's distance from the mean only a part is the token's own: the share of the "
        "variance that is not luck.",
        (
            (lambda x, spread, luck: x * spread**2 / (spread**2 + luck**2),
             "That much remains in the second run; what seems to be gained is the rest."),
            (lambda x, spread, luck: x * luck / (spread + luck), "Variances add up, not standard "
                                                                 "deviations."),
            (lambda x, spread, luck: x, "That would be so if all of it were luck."),
            (lambda x, spread, luck: 0, "That would be so if nothing of it were luck."),
        ),
        inputs=lambda rng: {
            name: draw(rng, *ends, digits=2)
            for name, ends in {"x": (1, 4), "spread": (0.5, 2), "luck": (0.2, 1)}.items()
        },
    ),
}
