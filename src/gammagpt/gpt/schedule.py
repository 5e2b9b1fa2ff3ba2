"""The learning-rate schedule: a linear warm-up, then a cosine."""

import math

from .options import OptimConfig


def learning_rate(config: OptimConfig, step: int, steps: int) -> float:
    """Rate of step 0..steps-1: linear warm-up to the peak, then a cosine to its final share."""
    warmup = round(config.warmup * steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return config.learning_rate * (config.final_ratio + (1 - config.final_ratio) * cosine)
