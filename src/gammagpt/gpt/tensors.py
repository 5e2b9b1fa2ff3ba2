"""The weights of any module: each tensor's d_in by the table of layouts.py, or why it has none."""

import copy
import fnmatch
import math
import re
from dataclasses import dataclass, replace
from numbers import Integral

import torch
import torch.nn as nn

from ..project import UserError
from .layouts import FOREIGN, LEAVE, SIZES, ZERO, home_of, table_of

WRAPPERS = ("_orig_mod", "module", "_checkpoint_wrapped_module", "_fsdp_wrapped_module")
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WANTED = "allowed is a whole number from 1 (d_in), 'axis 0' (which holds the inputs) or 'leave'"


@dataclass(frozen=True)
class Weight:
    """One tensor of a module: its d_in, or why there is none."""

    name: str  # without what wrappers add
    tensor: torch.Tensor
    layer: nn.Module
    key: str  # its name in the layer
    d_in: int | None = None
    zero: bool = False  # a bias, which becomes zero
    why: str = ""  # not empty: it is refused
    hard: bool = False  # whatever its layout, it cannot be drawn
    ruled: bool = False  # by the caller's `rules`

    @property
    def parametrized(self) -> bool:
        return self.key in getattr(self.layer, "parametrizations", {})

    @property
    def seen(self) -> torch.Tensor:
        """The tensor as the layer sees it: of a parametrized one, what is computed."""
        return getattr(self.layer, self.key).detach() if self.parametrized else self.tensor

    @property
    def shape(self) -> tuple[int, ...]:
        lazy = isinstance(self.tensor, nn.parameter.UninitializedTensorMixin)
        return () if lazy else tuple(self.seen.shape)

    @property
    def padding(self) -> int | None:
        """The row that stays zero, of an embedding with padding_idx."""
        return getattr(self.layer, "padding_idx", None) if self.key == "weight" else None

    def refused(self, why: str, hard: bool = False) -> "Weight":
        return replace(self, d_in=None, zero=False, why=why, hard=hard)


def weights_of(module: nn.Module, rules=None) -> list[Weight]:
    """Every tensor of two or more axes, or with a rule, and every bias, in the module's order.

    A tensor with several names (tied) is there once, under its first. `rules` maps patterns of
    names to a d_in, to 'axis 1' (which holds the inputs) or to 'leave'.
    Raises UserError for an impossible rule, and one that no tensor is named by.
    """
    rules = rules or {}
    for pattern, value in rules.items():
        _check_rule(pattern, value)
    uses, names = {}, []
    for weight in _every_use(module):
        names.append(weight.name)
        uses.setdefault(id(weight.tensor), []).append(_ruled(weight, rules))
    for pattern in rules:
        if not fnmatch.filter(names, pattern):
            raise UserError(f"rules: no tensor is named like {pattern!r}")
    found = [_of_all_uses(same) for same in uses.values()]
    return _without_overlap([w for w in found if w.d_in or w.zero or w.why])


def named_modules(module: nn.Module, name: str = ""):
    """(name, module) of a module and all in it, once each; wrappers add nothing to a name.

    torch.compile, data parallelism and activation checkpointing hold a module as their only child.
    """
    seen = set()

    def walk(parent, prefix):
        if id(parent) in seen:
            return
        seen.add(id(parent))
        yield prefix, parent
        alone = len(parent._modules) == 1 and not parent._parameters
        for key, child in parent._modules.items():
            if child is not None and key != "parametrizations":
                wrapped = alone and key in WRAPPERS
                yield from walk(child, prefix if wrapped else joined(prefix, key))

    yield from walk(module, name)


def joined(prefix: str, key: str) -> str:
    return f"{prefix}.{key}" if prefix else key


def _every_use(module):
    """Each parameter of each layer, as the layer sees it: a parametrized one is one tensor."""
    foreign = {}  # name of a module -> the package that made it; what is below it is drawn neither
    for prefix, layer in named_modules(module):
        above = (owner for name, owner in foreign.items() if f"{prefix}.".startswith(name))
        home = home_of(layer)
        package = next(above, home if f"{home}.".startswith(FOREIGN) else None)
        if package:
            foreign[f"{prefix}." if prefix else ""] = package
        table, tensors = table_of(layer, home), _tensors(layer)
        for key, tensor in tensors.items():
            weight = Weight(joined(prefix, key), tensor, layer, key)
            yield _laid_out(weight, table.get(key), package)
        for key, axes in table.items():
            lost = isinstance(axes, tuple) and key not in tensors
            if lost and getattr(layer, key, None) is not None:  # pruned, or by an old hook
                weight = Weight(joined(prefix, key), getattr(layer, key), layer, key)
                yield weight.refused("is computed from other tensors, or is no parameter", True)


def _tensors(layer) -> dict[str, torch.Tensor]:
    """The layer's own parameters; of a parametrized one, the first tensor that it is made of."""
    own = {key: tensor for key, tensor in layer._parameters.items() if tensor is not None}
    chains = getattr(layer, "parametrizations", {})
    return own | {key: next(chains[key].parameters()) for key in chains}


def _laid_out(weight: Weight, axes, package) -> Weight:
    """The weight with its d_in, or why not, by the entry of the table."""
    if why := _undrawable(weight, package):
        return weight.refused(why, hard=True)
    tensor, layer = weight.seen, weight.layer
    if axes == ZERO:
        return replace(weight, zero=True)
    if axes == LEAVE or (axes is None and tensor.ndim < 2):
        return weight
    if axes is None:
        return weight.refused(f"has no known layout in a {type(layer).__name__}")
    own = next((size(layer) for kind, size in SIZES.items() if isinstance(layer, kind)), None)
    if (own and tuple(tensor.shape) != own) or tensor.ndim <= max(axes) or not tensor.numel():
        return weight.refused(f"is not of its layer's shape {own or ''}; draw before it is "
                              "sharded or packed", hard=True)
    if isinstance(layer, nn.Embedding) and not weight.tensor.requires_grad:
        return weight.refused("is frozen, as positions that are computed are")
    return replace(weight, d_in=math.prod(tensor.shape[axis] for axis in axes))


def _undrawable(weight: Weight, package) -> str:
    """Why no layout would help: '' if nothing is in the way."""
    tensor, kind = weight.tensor, type(weight.tensor)
    if isinstance(tensor, nn.parameter.UninitializedTensorMixin):
        return "has no shape yet; run the model once"
    if kind.__name__ == "FlatParameter":
        return "is a flat shard of several tensors; draw before wrapping"
    if package:
        return (f"is of {package}: adapters and quantized layers are not drawn; draw the "
                "model before they are added")
    if tensor.dtype not in FLOATS or not kind.__module__.startswith("torch."):
        return f"is {tensor.dtype} in a {kind.__name__}, which holds no drawn numbers"
    return _unholdable(weight) if weight.parametrized else ""


def _unholdable(weight: Weight) -> str:
    """Why a parametrized weight cannot be set to any value: '' if it can, which is tried."""
    chain, generator = weight.layer.parametrizations[weight.key], torch.Generator(device="cpu")
    wanted = torch.randn(weight.shape, generator=generator, dtype=torch.float32, device="cpu")
    kinds = ", ".join(type(step).__name__ for step in chain)
    if any(not name.startswith("original") for name, _ in chain.named_parameters()):
        return f"is computed by {kinds}, with weights of its own"
    if weight.tensor.is_meta:
        return ""
    trial = copy.deepcopy(chain).cpu()
    try:
        trial.right_inverse(wanted.to(weight.tensor.dtype))
        same = torch.allclose(trial().float(), wanted, rtol=1e-2, atol=1e-2)
    except (NotImplementedError, RuntimeError, ValueError):
        same = False
    return "" if same else f"is computed by {kinds}, which cannot give any wanted value"


def _ruled(weight: Weight, rules) -> Weight:
    pattern = next((p for p in rules if fnmatch.fnmatchcase(weight.name, p)), None)
    if pattern is None:
        return weight
    value = rules[pattern]
    if value == LEAVE:
        return replace(weight, d_in=None, zero=False, why="", ruled=True)
    if weight.hard:
        return weight
    shape = weight.shape
    if isinstance(value, str):
        axis = int(value.split()[1])
        if axis >= len(shape):
            raise UserError(f"rules: got {value!r} for {weight.name} of shape {shape}")
        value = shape[axis]
    return replace(weight, d_in=int(value), zero=False, why="", ruled=True)


def _of_all_uses(same: list[Weight]) -> Weight:
    """A tensor that several layers share has one d_in, or none."""
    ruled = [weight for weight in same if weight.ruled]
    biases = [weight for weight in same if weight.zero]  # of a layer, and of who keeps it too
    uses = ruled or (biases if biases and same[0].tensor.ndim < 2 else same)
    if len({(w.d_in, w.zero) for w in uses}) == 1:
        return replace(uses[0], name=same[0].name, why=next((w.why for w in uses if w.why), ""))
    others = " and ".join(f"{w.name} (d_in {w.d_in or 'unknown'})" for w in uses)
    return same[0].refused(f"is shared with another d_in: {others}")


def _without_overlap(weights: list[Weight]) -> list[Weight]:
    """Two parameters on the same numbers: the second draw would overwrite the first."""
    found, taken = [], {}
    for weight in weights:
        tensor = getattr(weight.tensor, "_local_tensor", weight.tensor)  # a DTensor's part
        if weight.hard or tensor.is_meta or not tensor.numel():
            found.append(weight)
            continue
        size = tensor.element_size()
        span = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True)) + 1
        start, memory = tensor.data_ptr(), taken.setdefault(tensor.untyped_storage().data_ptr(), [])
        end = start + span * size
        clash = next((name for a, b, name in memory if start < b and a < end), None)
        memory.append((start, end, weight.name))
        if clash or span < tensor.numel():
            weight = weight.refused(f"shares its memory with {clash or 'itself'}", hard=True)
        found.append(weight)
    return found


def _check_rule(pattern: str, value) -> None:
    number = isinstance(value, Integral) and not isinstance(value, bool) and value >= 1
    words = isinstance(value, str) and (value == LEAVE or re.fullmatch(r"axis \d+", value))
    if not number and not words:
        raise UserError(f"rules: got {value!r} for {pattern}, {WANTED}")
