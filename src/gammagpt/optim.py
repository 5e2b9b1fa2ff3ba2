"""AdamW with decay on matrices only, for one model or a stack of them, and the schedule."""

import math
from dataclasses import dataclass

import torch

from .project import UserError

EPS = 1e-8  # in AdamW's denominator; torch's default


@dataclass(frozen=True)
class OptimConfig:
    learning_rate: float = 2e-3  # the peak
    weight_decay: float = 0.1  # on matrices (embedding and head too), never on norm gains
    beta1: float = 0.9
    beta2: float = 0.95
    clip: float = 1.0  # largest gradient norm; 0 switches clipping off
    warmup: float = 0.1  # share of the steps spent on the linear warm-up
    final_ratio: float = 0.1  # the cosine ends at this share of the peak
    relative: bool = False  # each matrix takes steps in proportion to its own size (see below)

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
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=betas, eps=EPS, fused=True)


class StackedAdamW:
    """AdamW and clipping over weights (M, ...), every member by its own OptimConfig.

    Each member gets the update that make_adamw and clip_grad_norm_ would give it alone. A member
    whose loss was not finite is frozen: it keeps the weights that it had.
    """

    def __init__(self, weights, optims: list[OptimConfig], steps: int, update):
        """`update` is `stacked_adamw_`, compiled or not."""
        device = weights[0].device
        self.weights, self._update = weights, update
        self.alive = torch.ones(len(optims), dtype=torch.bool, device=device)
        self.means = [torch.zeros_like(weight) for weight in weights]
        self.squares = [torch.zeros_like(weight) for weight in weights]
        numbers = [[_numbers(optim, step, steps) for optim in optims] for step in range(steps)]
        self._numbers = torch.tensor(numbers).to(device).transpose(1, 2)  # (steps, 8, M)

    def step(self, gradients, losses, step: int) -> None:
        """Update all members; gradients (M, ...) of each weight, losses (M,)."""
        self.alive = self.alive & losses.isfinite()
        state = (self.weights, gradients, self.means, self.squares)
        self._update(*state, self.alive, self._numbers[step])


@torch.no_grad()
def stacked_adamw_(weights, gradients, means, squares, alive, numbers):
    """Update the lists of weights, means and squares, each (M, ...), in place.

    A `relative` member multiplies the rate of each matrix by its root mean square over d_in^-0.5,
    that of the usual initialization: what is then the same for all gammas is the relative step.
    """
    rate, decay, rest1, rest2, correct1, correct2, clip, relative = numbers
    norm = sum(g.square().flatten(1).sum(1) for g in gradients).sqrt()  # (M,)
    scale = (clip / (norm + 1e-6)).clamp(max=1)  # as torch.nn.utils.clip_grad_norm_
    for weight, gradient, mean, square in zip(weights, gradients, means, squares, strict=True):
        each = (-1,) + (1,) * (weight.ndim - 1)  # (M,) -> (M, 1, ...)
        gradient = gradient * scale.view(each)
        mean.lerp_(gradient, rest1.view(each))
        square.lerp_(gradient.square(), rest2.view(each))
        step = mean / ((square / correct2.view(each)).sqrt() + EPS) * (rate / correct1).view(each)
        if weight.ndim > 2:  # matrices only
            size = (weight.square().flatten(1).mean(1) * weight.shape[-1]).sqrt()  # (M,)
            step = step * torch.where(relative > 0, size, 1).view(each)
        shrink = 1 - (rate * decay).view(each) if weight.ndim > 2 else 1
        weight.copy_(torch.where(alive.view(each), weight * shrink - step, weight))


def _numbers(config: OptimConfig, step: int, steps: int) -> tuple[float, ...]:
    """What the update of one member needs at a step; the order is stacked_adamw_'s."""
    beta1, beta2 = config.beta1, config.beta2
    return (
        learning_rate(config, step, steps), config.weight_decay, 1 - beta1, 1 - beta2,
        1 - beta1 ** (step + 1), 1 - beta2 ** (step + 1), config.clip or math.inf,
        float(config.relative),
    )  # fmt: skip
