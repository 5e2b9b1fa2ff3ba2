"""AdamW with decay on matrices only, and the learning-rate schedule."""

import math
from dataclasses import dataclass

import torch

from .project import UserError


@dataclass(frozen=True)
class OptimConfig:
    learning_rate: float = 2e-3  # the peak
    weight_decay: float = 0.1  # on matrices (embedding and head too), never on norm gains
    beta1: float = 0.9
    beta2: float = 0.95
    clip: float = 1.0  # largest gradient norm; 0 switches clipping off
    warmup: float = 0.1  # share of the steps spent on the linear warm-up
    final_ratio: float = 0.1  # the cosine ends at this share of the peak

    def __post_init__(self):
        bounds = {
            "learning_rate": (0, math.inf), "weight_decay": (0, math.inf), "beta1": (0, 0.9999),
            "beta2": (0, 0.9999), "clip": (0, math.inf), "warmup": (0, 1), "final_ratio": (0, 1),
        }  # fmt: skip
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high or not math.isfinite(value):
                raise UserError(f"optim.{name}: got {value}, allowed is {low} to {high}")


def learning_rate(config: OptimConfig, step: int, steps: int) -> float:
    """Rate of step 0..steps-1: linear warm-up to the peak, then a cosine to its final share."""
    warmup = round(config.warmup * steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return config.learning_rate * (config.final_ratio + (1 - config.final_ratio) * cosine)


def make_adamw(model, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW over the model's parameters; vectors (norm gains) are not decayed."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    betas = (config.beta1, config.beta2)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=betas, fused=True)
