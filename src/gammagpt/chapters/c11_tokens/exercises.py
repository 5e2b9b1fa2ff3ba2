"""Which tokens gain?"""

import math

from ...ledger.exercise_kinds import Function, draw


def same_factor(constrained, trivial, share) -> tuple[float, float]:
    """Gain on constrained less gain on trivial tokens: in nats, and as ln of the factor."""
    gains = [loss - share * loss for loss in (constrained, trivial)]
    factors = [math.log(loss / (share * loss)) for loss in (constrained, trivial)]
    return gains[0] - gains[1], factors[0] - factors[1]


def matched(rare, frequent) -> float:
    """The mean of two differences, each weighed by what its numbers of tokens can tell."""
    weights = [a * b / (a + b) for a, b, _ in (rare, frequent)]
    gains = [gain for *_, gain in (rare, frequent)]
    return sum(w * g for w, g in zip(weights, gains, strict=True)) / sum(weights)


def losses(rng) -> dict:
    return {"constrained": draw(rng, 3, 6, digits=2), "trivial": draw(rng, 0.3, 2, digits=2)}


def a_half(rng) -> tuple:
    return int(rng.integers(20, 400)), int(rng.integers(20, 400)), draw(rng, -0.5, 0.5, digits=2)


EXERCISES = {
    "11.1": Function(
        same_factor,
        "A gain is the loss before less the loss after; as a share it is ln(before / after).",
        (
            (lambda constrained, trivial, share: (0, 0), "A larger loss loses more nats by the "
                                                         "same factor."),
            (lambda constrained, trivial, share: (share * (constrained - trivial), 0),
             "That is the difference that is left, not the one that is gained."),
        ),
        inputs=lambda rng: losses(rng) | {"share": draw(rng, 0.5, 0.95, digits=2)},
    ),
    "11.2": Function(
        matched,
        "A difference of two means of a and b tokens has the variance (1/a + 1/b) times that of a "
        "token; the weight is one over that.",
        (
            (lambda rare, frequent: (rare[2] + frequent[2]) / 2,
             "That lets a half with hardly a trivial token say as much as any other."),
            (lambda rare, frequent: sum((a + b) * g for a, b, g in (rare, frequent))
             / sum(a + b for a, b, _ in (rare, frequent)),
             "A half with many tokens of one class and few of the other tells little."),
        ),
        inputs=lambda rng: {"rare": a_half(rng), "frequent": a_half(rng)},
    ),
    "11.3": Function(
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
