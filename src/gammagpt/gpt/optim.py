"""AdamW with decay on matrices only, for one model or a stack of them.

The matrices between embedding and head can have another update: Muon, or AdamH.
"""

import math

import torch

from .options import OptimConfig
from .schedule import learning_rate

ENDS = ("embedding", "positions", "head")  # modules whose matrices are not hidden


def make_optimizers(model, config: OptimConfig) -> list[torch.optim.Optimizer]:
    """AdamW for all weights, or for all but the hidden matrices, which have an update of their own.

    muon: momentum made orthogonal, with steps as large as AdamW's (arXiv 2502.16982, torch's own);
    adamh: Adam's direction, with the norm of the matrix and the relative step held (AdamH).
    """
    if config.hidden_update == "adamw":
        return [make_adamw(model, config)]
    named = dict(model.named_parameters())
    hidden = [w for n, w in named.items() if w.ndim == 2 and n.split(".")[0] not in ENDS]
    inside = set(map(id, hidden))
    rest = _adamw([w for w in named.values() if id(w) not in inside], config)
    if config.hidden_update == "adamh":
        return [rest, AdamH(hidden, config)]
    named = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    return [rest, torch.optim.Muon(hidden, **named, adjust_lr_fn="match_rms_adamw")]


class AdamH(torch.optim.AdamW):
    """Adam whose matrices stay on a sphere (AdamH in arXiv 2606.16899), in our own words.

    W moves along Adam's direction by the relative length lr sqrt(d_in), which is that of AdamW in
    a matrix of gamma 0.5, and is then set back to the norm it had: neither growth nor the size of
    the initialization changes how fast it turns. There is nothing for a decay to do.
    """

    def __init__(self, matrices, config: OptimConfig):
        betas = (config.beta1, config.beta2)
        super().__init__(matrices, lr=config.learning_rate, betas=betas, eps=config.eps,
                         weight_decay=0.0)

    @torch.no_grad()
    def step(self, closure=None):
        [group] = self.param_groups
        before = [weight.clone() for weight in group["params"]]  # (out, in) each
        loss = super().step(closure)
        for weight, old in zip(group["params"], before, strict=True):
            move, norm = weight - old, old.norm()
            length = group["lr"] * math.sqrt(old.shape[1]) * norm
            weight.copy_(old + move * (length / move.norm().clamp_min(1e-30)))
            weight.mul_(norm / weight.norm().clamp_min(1e-30))
        return loss


def make_adamw(model, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW over the model's parameters; vectors (norm gains, biases) are not decayed."""
    return _adamw(list(model.parameters()), config)


def _adamw(parameters, config: OptimConfig) -> torch.optim.AdamW:
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    named = {"betas": (config.beta1, config.beta2), "eps": config.eps}
    return torch.optim.AdamW(groups, lr=config.learning_rate, **named, fused=True)


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
        self._numbers = torch.tensor(numbers).to(device).transpose(1, 2)  # (steps, 9, M)

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
    rate, decay, rest1, rest2, correct1, correct2, clip, relative, eps = numbers
    norm = sum(g.square().flatten(1).sum(1) for g in gradients).sqrt()  # (M,)
    scale = (clip / (norm + 1e-6)).clamp(max=1)  # as torch.nn.utils.clip_grad_norm_
    for weight, gradient, mean, square in zip(weights, gradients, means, squares, strict=True):
        each = (-1,) + (1,) * (weight.ndim - 1)  # (M,) -> (M, 1, ...)
        gradient = gradient * scale.view(each)
        mean.lerp_(gradient, rest1.view(each))
        square.lerp_(gradient.square(), rest2.view(each))
        root = (square / correct2.view(each)).sqrt() + eps.view(each)
        step = mean / root * (rate / correct1).view(each)
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
        float(config.relative), config.eps,
    )
