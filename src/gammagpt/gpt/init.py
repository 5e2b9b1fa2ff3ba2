"""The gamma rule: every weight is drawn from Normal(0, std) with std = d_in^-gamma.

P2 (arXiv 2502.04375), section 2: W_ij ~ N(0, (d_in^-gamma)^2), d_in being the input dimension.
gamma = 0.5 is the usual scale (LeCun); gamma above it is "small initialization".

| tensor                     | shape          | d_in                 | why                      |
|----------------------------|----------------|----------------------|--------------------------|
| nn.Linear weight           | (out, in)      | in                   | the rule's own words     |
| nn.Embedding weight        | (V, d)         | d, not V             | P2 Theorem 1; its family |
| tied head                  | the embedding  | d either way         | drawn once, one gamma    |
| vector (norm gain)         | (d,)           | left as built        | papers are silent        |
| nn.Linear bias             | (out,)         | set to zero          | papers are silent        |
| any other matrix           | any            | name it in `rules`   | guessing would be silent |

Each tensor has a generator of its own, seeded by (seed, the tensor's name), and is a *standard*
normal draw times its std. So a module that is switched on changes no other weight, and two gammas
with one seed share the same draw up to scale: comparisons between them are paired.
"""

import fnmatch
import hashlib
import math
import re
from dataclasses import dataclass

import torch
import torch.nn as nn

from ..project import UserError

# Matrices that write into the residual stream; 1/sqrt(their number) is GPT-2's 1/sqrt(2 L).
RESIDUAL = ("*attention.out.weight", "*mlp.down.weight")
BLOCK = re.compile(r"blocks\.(\d+)\.")  # in the names of the matrices of a block, the first is 0
# The parts of a GPT that can have a gamma of their own.
PARTS = {
    "embedding": ("embedding.weight", "positions.weight"),
    "attention": ("blocks.*.attention.*",),
    "mlp": ("blocks.*.mlp.*",),
    "head": ("head.weight",),
}
SCALES = {"gamma": (-5, 5), "std": (1e-30, 1e30)}  # beyond them float32 holds 0 or infinity


@dataclass(frozen=True)
class TensorRule:
    """How one tensor is drawn: Normal(0, std), where std came from `d_in`."""

    name: str
    d_in: int
    std: float


def init_table(
    module, gamma=None, *, std=None, residual_scaling=False, depth_scaling=False, rules=None,
    parts="",
):  # fmt: skip
    """The rule of every tensor that is drawn: a list of TensorRule, in the module's order.

    Args: exactly one of `gamma` (std = d_in^-gamma) and `std` (one number for all tensors);
    `residual_scaling` divides the std of the RESIDUAL tensors by sqrt(their number);
    `depth_scaling` divides the std of the l-th block's matrices by sqrt(l) (arXiv 1908.11365);
    `rules` maps name patterns to d_in, for matrices that are no Linear and no Embedding;
    `parts` gives some of PARTS a gamma of their own: "embedding 0.8, head 1".
    Raises UserError for an impossible gamma or std, a matrix without a rule, or a part that
    is not there.
    """
    check_scale(gamma, std)
    own = _own_gammas(module, parse_parts(parts))
    d_ins = _input_dimensions(module, rules or {})
    residual = [name for name in d_ins if _matches(name, RESIDUAL)]
    if residual_scaling and not residual:
        raise UserError(f"residual_scaling: no tensor is named like {' or '.join(RESIDUAL)}")
    depth = {name: int(found[1]) + 1 for name in d_ins if (found := BLOCK.search(name))}
    if depth_scaling and not depth:
        raise UserError("depth_scaling: no tensor is named like blocks.0.*")

    ### Begin gamma rule ###
    def scale(name, d_in):
        rate = own.get(name, gamma)
        base = std if rate is None else d_in**-rate
        if depth_scaling:
            base /= math.sqrt(depth.get(name, 1))
        return base / math.sqrt(len(residual)) if residual_scaling and name in residual else base
    ### End gamma rule ###

    return [TensorRule(name, d_in, scale(name, d_in)) for name, d_in in d_ins.items()]


@torch.no_grad()
def gamma_init_(
    module, gamma=None, *, std=None, residual_scaling=False, depth_scaling=False, rules=None,
    parts="", seed=0,
):  # fmt: skip
    """Draw all weights of any torch module by the gamma rule, in place; returns the module.

    See `init_table` for the arguments. Linear biases become zero; norm gains stay as they are.

    >>> model = gamma_init_(torch.nn.Linear(256, 64), gamma=0.8)
    """
    table = init_table(
        module, gamma, std=std, residual_scaling=residual_scaling, depth_scaling=depth_scaling,
        rules=rules, parts=parts,
    )  # fmt: skip
    for child in module.modules():
        if isinstance(child, nn.Linear) and child.bias is not None:
            child.bias.zero_()  # first, so that a bias named in `rules` is drawn after all
    parameters = dict(module.named_parameters())
    for rule in table:
        parameters[rule.name].copy_(standard_normal(parameters[rule.name].shape, seed, rule.name))
        parameters[rule.name].mul_(rule.std)
    return module


def standard_normal(shape, seed: int, name: str) -> torch.Tensor:
    """The float32 standard-normal draw that belongs to (seed, name), made on the CPU."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    return torch.randn(shape, generator=generator)


@torch.no_grad()
def audit_init(
    module, gamma=None, *, std=None, residual_scaling=False, depth_scaling=False, rules=None,
    parts="", z=5.0,
):  # fmt: skip
    """Measure every drawn tensor: a pandas frame, a row a tensor.

    Columns: tensor, shape, d_in, std (measured), gamma (implied: -ln std / ln d_in), and, when a
    `gamma` or `std` is given, expected (std), tolerance (relative) and ok.
    The tolerance is z standard errors of a sample std over n values, 1 / sqrt(2 n) each.
    """
    import pandas as pd

    asked = gamma is not None or std is not None
    scale = {"gamma": gamma, "std": std} if asked else {"std": 1.0}
    table = init_table(
        module, **scale, residual_scaling=residual_scaling, depth_scaling=depth_scaling,
        rules=rules, parts=parts,
    )  # fmt: skip
    parameters = dict(module.named_parameters())
    rows = [_measure(parameters[rule.name], rule, z) for rule in table]
    columns = None if asked else ["tensor", "shape", "d_in", "std", "gamma"]
    return pd.DataFrame(rows)[columns] if columns else pd.DataFrame(rows)


def implied_gamma(std: float, d_in: int) -> float:
    """The gamma at which d_in^-gamma equals std: a fixed std is another gamma at every width."""
    return -math.log(std) / math.log(d_in)


def _measure(tensor, rule: TensorRule, z: float) -> dict:
    weights = tensor.double()
    measured = weights.square().mean().sqrt().item()  # the mean is known to be zero
    tolerance = z / math.sqrt(2 * weights.numel())
    centred = abs(weights.mean().item()) <= z * rule.std / math.sqrt(weights.numel())
    return {
        "tensor": rule.name,
        "shape": "x".join(map(str, tensor.shape)),
        "d_in": rule.d_in,
        "std": measured,
        "gamma": implied_gamma(measured, rule.d_in) if measured and rule.d_in > 1 else math.nan,
        "expected": rule.std,
        "tolerance": tolerance,
        "ok": abs(measured / rule.std - 1) <= tolerance and centred,
    }


def check_scale(gamma, std) -> None:
    """Raise UserError unless exactly one of the two is given, and makes sense."""
    if (gamma is None) == (std is None):
        raise UserError(f"gamma, std: give exactly one, got gamma={gamma!r} and std={std!r}")
    name, value = ("gamma", gamma) if std is None else ("std", std)
    low, high = SCALES[name]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        raise UserError(f"{name}: got {value!r}, allowed is {low:g} to {high:g}")


def _input_dimensions(module, rules: dict[str, int]) -> dict[str, int]:
    """Name -> d_in of every tensor that is drawn. Shared tensors are listed once (first name)."""
    layers = {}
    for prefix, child in module.named_modules():
        if isinstance(child, (nn.Linear, nn.Embedding)):
            name = f"{prefix}.weight" if prefix else "weight"
            layers[name] = child.weight.shape[1]
    found = {}
    for name, parameter in module.named_parameters():
        pattern = next((p for p in rules if fnmatch.fnmatch(name, p)), None)
        if pattern is not None:
            found[name] = _whole(pattern, rules[pattern])
        elif name in layers:
            found[name] = layers[name]
        elif parameter.ndim > 1:
            raise UserError(
                f"rules: no rule for {name} of shape {tuple(parameter.shape)}; "
                f"give its input dimension, for example rules={{'{name}': {parameter.shape[-1]}}}"
            )
    return found


def parse_parts(text: str) -> dict[str, float]:
    """'embedding 0.8, head 1' -> {"embedding": 0.8, "head": 1.0}; UserError for anything else."""
    found = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        name, _, number = item.partition(" ")
        try:
            gamma = float(number)
        except ValueError:
            gamma = None
        if gamma is None or name not in PARTS or name in found:
            allowed = f"a part ({', '.join(PARTS)}) and its gamma, each once: 'embedding 0.8'"
            raise UserError(f"init.parts: got {item!r}, allowed is {allowed}")
        check_scale(gamma, None)
        found[name] = gamma
    return found


def _own_gammas(module, parts: dict[str, float]) -> dict[str, float]:
    """Name of a tensor -> the gamma of its part, for the parts that have one of their own."""
    names = [name for name, parameter in module.named_parameters() if parameter.ndim > 1]
    found = {name: g for part, g in parts.items() for name in names if _matches(name, PARTS[part])}
    for part in parts:
        if not any(_matches(name, PARTS[part]) for name in names):
            raise UserError(f"init.parts: {part} is no part of this model")
    return found


def _whole(pattern: str, d_in) -> int:
    if type(d_in) is not int or d_in < 1:
        raise UserError(f"rules: got {d_in!r} for {pattern}, allowed is a whole number from 1")
    return d_in


def _matches(name: str, patterns) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
