"""Does it last?"""

from ...gpt.optim import OptimConfig
from ...ledger.exercise_kinds import Function, Number, draw

SHORT, LONG = 400, 3200  # steps, as in the task


def tokens_per_parameter(steps, windows, context, weights) -> float:
    return steps * windows * context / weights


def worth(loss, lead, slope) -> float:
    """How many times the training the one that is behind needs, if its loss is const x^slope."""
    return ((loss - lead) / loss) ** (1 / slope)


EXERCISES = {
    "16.1": Function(
        tokens_per_parameter,
        "A step reads so many windows, each as long as the context.",
        (
            (lambda steps, windows, context, weights: steps * windows / weights,
             "That counts windows, not tokens."),
            (lambda steps, windows, context, weights: weights / (steps * windows * context),
             "That is how many weights there are for each token."),
        ),
        inputs=lambda rng: {
            "steps": int(rng.integers(100, 5000)), "windows": int(rng.integers(8, 64)),
            "context": int(rng.integers(32, 256)), "weights": int(rng.integers(1e5, 1e6)),
        },
    ),
    "16.2": Function(
        worth,
        "Solve const x^slope = loss - lead for x; const follows from the loss at x = 1.",
        (
            (lambda loss, lead, slope: ((loss - lead) / loss) ** (-1 / slope),
             "The one that is behind needs more training, not less."),
            (lambda loss, lead, slope: 1 - lead / (slope * loss),
             "That is the straight line through the end; the loss is straight in logarithms."),
            (lambda loss, lead, slope: loss / (loss - lead),
             "That is a ratio of losses; how much training is it worth?"),
        ),
        inputs=lambda rng: {
            "loss": draw(rng, 3, 5, 2), "lead": draw(rng, 0.05, 0.5, 3),
            "slope": draw(rng, -0.2, -0.05, 3),
        },
    ),
    "16.3": Number(
        lambda: OptimConfig().warmup * LONG / SHORT,
        "The warm-up is a share of the run's own steps.",
        (
            (lambda: OptimConfig().warmup, "That is the share of the long run itself."),
            (lambda: 100 * OptimConfig().warmup * LONG / SHORT, "As a share, not in per cent."),
            (lambda: OptimConfig().warmup * SHORT / LONG,
             "The other way round: the long run's warm-up over the short run's steps."),
            (lambda: LONG / SHORT, "That is the ratio of the warm-ups; here one of them is set "
                                   "against a whole run."),
        ),
    ),
}
