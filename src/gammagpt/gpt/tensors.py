"""The weights of any module: each tensor's d_in by the table of layouts.py, or why it has none."""

import fnmatch
import math
import re
from dataclasses import dataclass, replace

import torch
import torch.nn as nn

from ..project import require, whole
from .layouts import FOREIGN, LEAVE, SIZES, ZERO, home_of, table_of

WRAPPERS = ("_orig_mod", "module", "_checkpoint_wrapped_module", "_fsdp_wrapped_module")
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True)
class Weight:
    """One tensor of a module: its d_in, or why there is none."""

    name: str  # without what wrappers add
    tensor: torch.Tensor
    layer: nn.Module
    key: str  # its name in the layer
    d_in: int | None = None  # 0: a bias, which becomes zero
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
        return replace(self, d_in=None, why=why, hard=hard)


def weights_of(module: nn.Module, rules=None) -> list[Weight]:
    """Every tensor of two or more axes, or with a rule, and every bias, in the module's order.

    A tensor with several names (tied) is there once, under its first. `rules` maps patterns of
    names to a d_in, to 'axis 1' (which holds the inputs) or to 'leave'.
    Raises UserError for an impossible rule, and one that no tensor is named by.
    """
    uses, every = {}, list(_every_use(module))
    for pattern in rules or ():
        named = fnmatch.filter([weight.name for weight in every], pattern)
        require(named, "rules", pattern, "are patterns of names of tensors")
    for weight in every:
        uses.setdefault(id(weight.tensor), []).append(_ruled(weight, rules or {}))
    found = [_of_all_uses(same) for same in uses.values()]
    return _without_overlap([w for w in found if w.d_in is not None or w.why])


def named_modules(module: nn.Module, prefix: str = "", seen=None):
    """(name, module) of a module and all in it, once each; wrappers add nothing to a name.

    torch.compile, data parallelism and activation checkpointing hold a module as their only child.
    """
    seen = set() if seen is None else seen
    if module is None or id(module) in seen:
        return
    seen.add(id(module))
    yield prefix, module
    alone = len(module._modules) == 1 and not module._parameters
    for key, child in module._modules.items():
        if key != "parametrizations":
            wrapped = alone and key in WRAPPERS
            yield from named_modules(child, prefix if wrapped else joined(prefix, key), seen)


def joined(prefix: str, key: str) -> str:
    return f"{prefix}.{key}" if prefix else key


def _every_use(module):
    """Each parameter of each layer, as the layer sees it: a parametrized one is one tensor."""
    foreign = {}  # name of a module -> the package that made it; what is below it is drawn neither
    for prefix, layer in named_modules(module):
        home, place = home_of(layer), joined(prefix, "")
        package = next((foreign[name] for name in foreign if place.startswith(name)),
                       home if f"{home}.".startswith(FOREIGN) else None)
        if package:
            foreign[place] = package
        table, tensors = table_of(layer, home), _tensors(layer, package)
        for key, tensor in tensors.items():
            weight = Weight(joined(prefix, key), tensor, layer, key)
            yield _laid_out(weight, table.get(key), package)
        for key in table.keys() - tensors.keys():
            lost = getattr(layer, key, None)
            if lost is not None and table[key] not in (ZERO, LEAVE):  # pruned, or by an old hook
                yield Weight(joined(prefix, key), lost, layer, key, hard=True,
                             why="is computed from other tensors, or is no parameter")


def _tensors(layer, package) -> dict[str, torch.Tensor]:
    """A layer's parameters, and what holds the numbers of a quantized weight in their place."""
    found = {key: tensor for key, tensor in layer._parameters.items() if tensor is not None}
    chains = getattr(layer, "parametrizations", {})
    found |= {key: next(chains[key].parameters()) for key in chains}
    found |= {key: buffer for key, buffer in layer._buffers.items() if "weight" in key
              and buffer is not None and buffer.dtype not in (*FLOATS, torch.bool)}
    packed = [key for key, value in vars(layer).items() if isinstance(value, torch.ScriptObject)]
    return found | {key: torch.empty(()) for key in packed if package}


def _laid_out(weight: Weight, axes, package) -> Weight:
    """The weight with its d_in, or why not, by the entry of the table."""
    if why := _undrawable(weight, package):
        return weight.refused(why, hard=True)
    shape, layer = weight.shape, weight.layer
    if axes in (ZERO, LEAVE) or (axes is None and len(shape) < 2):
        return replace(weight, d_in=0 if axes == ZERO else None)
    if axes is None:
        return weight.refused(f"has no known layout in a {type(layer).__name__}")
    own = next((size(layer) for kind, size in SIZES.items() if isinstance(layer, kind)), shape)
    if shape != own or len(shape) < 2 or not math.prod(shape):
        return weight.refused(f"is not of its layer's shape {own}; draw before it is sharded or "
                              "packed", hard=True)
    if isinstance(layer, nn.Embedding) and not weight.tensor.requires_grad:
        return weight.refused("is frozen, as positions that are computed are")
    return replace(weight, d_in=math.prod(shape[axis] for axis in axes if axis < len(shape)))


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
    if tensor.is_inference():
        return "was made in inference mode, where nothing may change it"
    if weight.parametrized and weight.padding is not None:
        return "has a row of zeros for the padding, which no parametrization holds"
    steps = weight.layer.parametrizations[weight.key] if weight.parametrized else ()
    unknown = [type(step).__name__ for step in steps if type(step).__name__ != "_WeightNorm"]
    return f"is computed by {unknown}, which need not give any wanted value" if unknown else ""


def _ruled(weight: Weight, rules) -> Weight:
    """The weight by the first of the caller's rules that names it, if one does."""
    pattern = next((p for p in rules if fnmatch.fnmatchcase(weight.name, p)), None)
    value = rules.get(pattern)
    if pattern is None or (weight.hard and value != LEAVE):
        return weight
    axis = re.fullmatch(r"axis (\d+)", value) if isinstance(value, str) else None
    if axis and int(axis[1]) < len(weight.shape):
        value = weight.shape[int(axis[1])]
    d_in = None if isinstance(value, str) and value == LEAVE else whole(
        f"rules: {pattern}", value, 1, " (d_in), 'axis 0' (which holds the inputs) or 'leave'")
    return replace(weight, d_in=d_in, why="", ruled=True)


def _of_all_uses(same: list[Weight]) -> Weight:
    """A tensor that several layers share has one d_in, or none."""
    ruled = [weight for weight in same if weight.ruled]
    biases = [weight for weight in same if weight.d_in == 0]  # of a layer, and of who keeps it too
    uses = ruled or (biases if biases and same[0].tensor.ndim < 2 else same)
    if len({w.d_in for w in uses}) == 1:
        return replace(uses[0], name=same[0].name, why=next((w.why for w in uses if w.why), ""))
    others = " and ".join(f"{w.name} (d_in {w.d_in or 'unknown'})" for w in uses)
    return same[0].refused(f"is shared with another d_in: {others}")


def _without_overlap(weights: list[Weight]) -> list[Weight]:
    """Two parameters on the same numbers: the second draw would overwrite the first."""
    found, taken = [], {}
    for weight in weights:
        tensor = getattr(weight.tensor, "_local_tensor", weight.tensor)  # a DTensor's part
        if not (weight.hard or tensor.is_meta or not tensor.numel()):
            strides = zip(tensor.shape, tensor.stride(), strict=True)
            span = sum((count - 1) * stride for count, stride in strides) + 1
            start = tensor.data_ptr()
            end = start + span * tensor.element_size()
            memory = taken.setdefault(tensor.untyped_storage().data_ptr(), [])
            clash = next((name for a, b, name in memory if start < b and a < end), None)
            memory.append((start, end, weight.name))
            if clash or span < tensor.numel():
                weight = weight.refused(f"shares its memory with {clash or 'itself'}", hard=True)
        found.append(weight)
    return found
