"""Does the gain grow?"""

import math

from ...gpt.optim import OptimConfig, learning_rate
from ...ledger.exercise_kinds import Function, Number, draw

SHORT, LONG = 200, 800  # steps, as in the task


def share_of_peak(optim: OptimConfig) -> float:
    """Of the rate that the long run still has where the short one has ended."""
    return learning_rate(optim, SHORT, LONG) / optim.learning_rate


def local_slope(a, b, c, width) -> float:
    """d ln L / d ln width of L = a + b width^-c."""
    return -c * b * width**-c / (a + b * width**-c)


def seeming_gain(usual, small, common, curvature) -> float:
    """At a common rate, of two parabolas over log2(rate) that are equally deep."""
    lost = [curvature * math.log2(best / common) ** 2 for best in (usual, small)]
    return lost[0] - lost[1]


EXERCISES = {
    "13.1": Function(
        lambda std, gamma: std ** (-1 / gamma),
        "Solve width^-gamma = std for the width.",
        (
            (lambda std, gamma: std**-gamma, "Raise to one over gamma, not to gamma."),
            (lambda std, gamma: std ** (-1 / (2 * gamma)), "Set standard deviations equal, not a "
                                                           "standard deviation and a variance."),
        ),
        inputs=lambda rng: {
            "std": draw(rng, 0.005, 0.05, digits=3), "gamma": draw(rng, 0.5, 1.2, digits=2),
        },
    ),
    "13.2": Number(
        lambda: share_of_peak(OptimConfig()),
        "A tenth of the steps is the warm-up; then half a cosine leads from the peak to a tenth of "
        "it. How far along that cosine is the long run?",
        (
            (lambda: OptimConfig().final_ratio,
             "That is the end of the short run's schedule, not of the long one's."),
            (lambda: learning_rate(OptimConfig(warmup=0.0), SHORT, LONG)
                / OptimConfig().learning_rate,
             "The cosine begins after the warm-up."),
            (lambda: share_of_peak(OptimConfig(final_ratio=0.0)),
             "That cosine ends at zero; the one of the task does not go down so far."),
            (lambda: 100 * share_of_peak(OptimConfig()), "As a share, not in per cent."),
        ),
        tolerance=0.005,
    ),
    "13.3": Function(
        local_slope,
        "Differentiate ln(a + b d^-c) by ln d: what falls is only the part above the floor.",
        (
            (lambda a, b, c, width: -c, "That is the slope without a floor."),
            (lambda a, b, c, width: -c * b * width ** (-c - 1),
             "That is the derivative by the width; take logarithms of both."),
            (lambda a, b, c, width: -local_slope(a, b, c, width), "The loss falls."),
        ),
        inputs=lambda rng: {
            "a": draw(rng, 1, 3, digits=2), "b": draw(rng, 3, 9, digits=2),
            "c": draw(rng, 0.1, 0.6, digits=2), "width": int(rng.integers(32, 4096)),
        },
    ),
    "13.4": Function(
        lambda rate, gamma, width, other: rate * (other / width) ** -gamma,
        "Keep the rate over the standard deviation; how does the latter change with the width?",
        (
            (lambda rate, gamma, width, other: rate, "That is right for a fixed standard "
                                                     "deviation only."),
            (lambda rate, gamma, width, other: rate * width / other,
             "That is muP's rule for hidden matrices; here entries take the same relative step."),
            (lambda rate, gamma, width, other: rate * (other / width) ** gamma,
             "Wider models have smaller weights: do these want larger steps?"),
        ),
        inputs=lambda rng: {
            "rate": draw(rng, 0.001, 0.02, digits=4), "gamma": draw(rng, 0.5, 0.95, digits=2),
            "width": int(rng.integers(32, 256)), "other": int(rng.integers(512, 4096)),
        },
    ),
    "13.5": Function(
        seeming_gain,
        "Each loss is its bottom plus what its rate misses; the bottoms are equal.",
        (
            (lambda usual, small, common, curvature: -seeming_gain(usual, small, common, curvature),
             "A gain is the usual initialization's loss less the other's."),
            (lambda usual, small, common, curvature: curvature * math.log2(usual / small) ** 2,
             "The common rate matters: square each distance from it, then subtract."),
        ),
        inputs=lambda rng: {
            "usual": draw(rng, 0.006, 0.02, digits=4), "small": draw(rng, 0.001, 0.005, digits=4),
            "common": draw(rng, 0.0005, 0.02, digits=4), "curvature": draw(rng, 0.02, 0.2, 3),
        },
    ),
}
