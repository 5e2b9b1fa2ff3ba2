"""At the scale of one GPU."""

import math

from ...gpt.options import GPTConfig
from ...ledger.exercise_kinds import Function, Number, draw

WIDTH, SAFE = 512, 0.3  # as in the task; x up to which no run of the first edition collapsed


def flops(weights, layers, width, context, tokens) -> float:
    """Forward and backward: six for every weight in a product, and attention."""
    return tokens * (6 * weights + 12 * layers * width * context)


def first_norm() -> float:
    """What the first norm gives at the start, for gamma 1: its input is the embedding alone."""
    square = WIDTH**-2.0
    return math.sqrt(square / (square + GPTConfig().norm_eps))


def warmup(rate, width) -> float:
    """The steps of warm-up at which x is still SAFE."""
    return rate * width**2 / SAFE


EXERCISES = {
    "18.1": Function(
        flops,
        "Six for each weight and token, and for attention twelve times layers, width and context.",
        (
            (lambda weights, layers, width, context, tokens: 2 * weights * tokens,
             "That is the forward pass of the weights alone."),
            (lambda weights, layers, width, context, tokens: 6 * weights * tokens,
             "Attention has no weights in its scores, but they are products too."),
            (lambda weights, layers, width, context, tokens:
             6 * weights + 12 * layers * width * context,
             "That is for a single token."),
        ),
        inputs=lambda rng: {
            "weights": int(rng.integers(1e6, 1e8)), "layers": int(rng.integers(2, 24)),
            "width": int(rng.integers(128, 2048)), "context": int(rng.integers(128, 2048)),
            "tokens": int(rng.integers(1e6, 1e9)),
        },
    ),
    "18.2": Number(
        first_norm,
        "The mean square of an embedding row of std s is s squared; epsilon is added to it.",
        (
            (lambda: WIDTH**-2.0 / (WIDTH**-2.0 + GPTConfig().norm_eps),
             "That is the mean square of what it gives; its root is asked for."),
            (lambda: math.sqrt(1 / WIDTH / (1 / WIDTH + GPTConfig().norm_eps)),
             "That is gamma 0.5, at which epsilon hardly matters."),
        ),
    ),
    "18.3": Function(
        warmup,
        "Solve rate times width squared over steps for the steps.",
        (
            (lambda rate, width: SAFE * rate * width**2,
             "The safe value divides: a lower one asks for more warm-up."),
            (lambda rate, width: rate * width / SAFE, "The width counts squared."),
        ),
        inputs=lambda rng: {
            "rate": draw(rng, 1e-4, 1e-2, 5), "width": int(rng.integers(64, 2048)),
        },
    ),
}
