"""In language."""

from ...ledger.exercise_kinds import Function, Number, draw

FLOOR = 0.3  # of the first text, whatever it is: it cancels


def delta(one, other) -> float:
    """(L_second - L_first) / L_first."""
    return (other - one) / one


def two_losses(rng) -> dict:
    u1, u2 = (float(u) for u in rng.uniform(3, 7, 2).round(2))
    return {"share": draw(rng, 0.1, 1, digits=2), "u1": u1, "u2": u2}


EXERCISES = {
    "07.1": Function(
        lambda share, u1, u2: delta(share * u1, share * u2),
        "Put both losses, share times the loss of guessing, into the definition.",
        (
            (lambda share, u1, u2: 0, "That is the difference of shares, not delta L."),
            (lambda share, u1, u2: delta(u2, u1), "Which of the two texts is in the "
                                                  "denominator?"),
            (lambda share, u1, u2: share * (u2 - u1), "Divide by the loss of the first text."),
        ),
        inputs=two_losses,
    ),
    "07.2": Number(
        lambda: delta(FLOOR, 0),
        "What becomes of the quotient of the two losses?",
        ((lambda: 0, "Delta L is zero where both losses are equal. Here they part."),),
    ),
    "07.4": Function(
        lambda delta: 1 / (1 + delta) - 1,
        "Delta L is a quotient of losses, less one. Which quotient is it after the exchange?",
        (
            (lambda delta: -delta, "That holds for the difference of shares; delta L is a "
                                   "quotient."),
            (lambda delta: 1 / delta, "First add the one that was taken away."),
            (lambda delta: 1 / (1 + delta), "That is the quotient; delta L is less by one."),
        ),
        inputs=lambda rng: {"delta": draw(rng, -0.6, 2, digits=2)},
    ),
}
