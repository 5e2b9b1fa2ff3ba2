"""The gamma rule: every weight is drawn from Normal(0, std) with std = d_in^-gamma.

P2 (arXiv 2502.04375), section 2: W_ij ~ N(0, (d_in^-gamma)^2), d_in being the input dimension.
gamma = 0.5 is the usual scale (LeCun); gamma above it is "small initialization". `layouts.py` says
where a weight has its inputs. An embedding has d_in = d (P2 Theorem 1), and a head that is tied to
it is drawn with it. The papers are silent on vectors: biases become zero, norm gains stay.

Each tensor has a generator of its own, seeded by (seed, the tensor's name), and is a *standard*
normal draw times its std. So a module that is switched on changes no other weight, and two gammas
with one seed share the same draw up to scale: comparisons between them are paired.
"""

import hashlib
import math
from dataclasses import dataclass

import torch

from ..project import UserError, require, whole
from .options import check_scale, parse_parts
from .parts import check_names, places
from .tensors import Weight, named_modules, weights_of

META = "on a device that holds numbers; first model.to_empty(device='cpu')"


@dataclass(frozen=True)
class TensorRule:
    """How one tensor is drawn: Normal(0, std), where std came from `d_in`."""

    name: str
    d_in: int
    std: float


@torch.no_grad()
def gamma_(tensor, gamma, d_in=None, generator=None):
    """Fill a tensor from Normal(0, d_in^-gamma), in place, as torch.nn.init does; returns it.

    For what takes a function of a tensor: functools.partial(gamma_, gamma=0.8). `d_in` may be left
    out for a matrix (out, in), as torch.nn.Linear and torch.nn.Embedding keep them. A DTensor gets
    its part of the whole tensor's draw, from a generator in one state on all processes.
    Raises UserError for an impossible gamma or d_in, and a tensor that cannot be filled.
    """
    check_scale(gamma, None)
    part = getattr(tensor, "partition_dim", None) == 1  # Megatron's: a part of the inputs
    require(d_in is not None or (tensor.ndim == 2 and not part), "d_in", d_in,
            f"for a whole matrix (out, in), not for shape {tuple(tensor.shape)}")
    d_in = whole("d_in", tensor.shape[1] if d_in is None else d_in)
    require(not tensor.is_meta, "tensor", tensor.device, META)
    require(tensor.is_floating_point(), "tensor", tensor.dtype, "are floats")
    if not hasattr(tensor, "device_mesh"):
        return tensor.normal_(0, d_in ** -float(gamma), generator=generator)
    require(generator, "generator", generator,
            "for a DTensor is one in the same state on all processes")
    values = torch.randn(tensor.shape, generator=generator, device=generator.device)
    return _copy(tensor, values * d_in ** -float(gamma))


def init_table(
    module, gamma=None, *, std=None, rules=None, residual_scaling=False, depth_scaling=False,
    parts="", names=None, drawn=None,
):
    """The rule of every tensor that is drawn: a list of TensorRule, in the module's order.

    Args: exactly one of `gamma` (std = d_in^-gamma) and `std` (one number for all tensors);
    `rules` maps patterns of names to a d_in, or to 'axis 0' (which holds the inputs), or to
    'leave'; `residual_scaling` divides the std of what writes into the residual stream by
    sqrt(number of writers), GPT-2's sqrt(2 L); `depth_scaling` divides the std of the l-th block's
    matrices by sqrt(l) (arXiv 1908.11365); `parts` gives some of PARTS a gamma of their own:
    "embedding 0.8, head 1"; `names` says where parts, blocks and writers are, in a model in which
    they are not found (parts.py). `drawn` are the weights, for whoever knows them already.
    Raises UserError for an impossible gamma or std, a tensor without a known layout, or a part
    that is not there.
    """
    check_scale(gamma, std)
    drawn = to_draw(weights_of(module, rules)) if drawn is None else drawn
    own, names = parse_parts(parts), check_names(names)
    asked = own or residual_scaling or depth_scaling  # where a weight is matters to nothing else
    at = places(drawn, names, residual_scaling) if asked else {}
    writers = {(place.block, place.part) for place in at.values() if place.writer}
    for part in own:
        if part not in {place.part for place in at.values()}:
            raise UserError(f"init.parts: {part} is no part of this model")
    require(writers or not residual_scaling, "residual_scaling", True,
            "with a tensor that is known to write into the residual stream")
    require(not depth_scaling or any(place.block for place in at.values()), "depth_scaling", True,
            "with a tensor that is known to be in a block")

    ### Begin gamma rule ###
    def scale(name, d_in):
        rate = own.get(at[name].part, gamma) if own else gamma
        base = std if rate is None else d_in ** -float(rate)
        if depth_scaling:
            base /= math.sqrt(at[name].block or 1)
        return base / math.sqrt(len(writers)) if residual_scaling and at[name].writer else base
    ### End gamma rule ###

    return [TensorRule(w.name, w.d_in, float(scale(w.name, w.d_in))) for w in drawn]


def to_draw(weights: list[Weight]) -> list[Weight]:
    """Those that are drawn; refuses what cannot be, in one line and without a number to copy."""
    for weight in weights:
        if weight.why:
            told = f"rules: {weight.name} of shape {weight.shape} {weight.why}"
            raise UserError(told if weight.hard else f"{told}; give its d_in, 'axis N' (which "
                            "holds its inputs) or 'leave'")
    return [weight for weight in weights if weight.d_in]


@torch.no_grad()
def gamma_init_(module, gamma=None, *, std=None, rules=None, seed=0, reset=False, **scaling):
    """Draw all weights of any torch module by the gamma rule, in place; returns the module.

    See `init_table` for the arguments. Biases of known layers become zero; norm gains stay as they
    are. `reset` first calls each module's own reset_parameters, which a model needs after
    to_empty: its norm gains and buffers would be whatever the memory held.
    Nothing is drawn if anything is refused.

    >>> model = gamma_init_(torch.nn.Linear(256, 64), gamma=0.8)
    """
    whole("seed", seed, -math.inf)
    check_scale(gamma, std)
    weights = weights_of(module, rules)
    drawn = to_draw(weights)
    table = init_table(module, gamma, std=std, drawn=drawn, **scaling)
    for weight, rule in zip(drawn, table, strict=True):
        dtype, limits = weight.tensor.dtype, torch.finfo(weight.tensor.dtype)
        least = limits.tiny ** (0.5 if weight.parametrized else 1)  # its norm is a sum of squares
        held = least <= rule.std <= limits.max / 8
        require(held, f"std of {weight.name}", rule.std, f"is what {dtype} holds")
    for weight in weights:
        require(not weight.tensor.is_meta, f"device of {weight.name}", "meta", META)
    if reset:
        reset_parameters(module)
    for weight in weights:
        if weight.d_in == 0:
            weight.tensor.zero_()
    for weight, rule in zip(drawn, table, strict=True):
        values = standard_normal(weight.shape, seed, rule.name) * rule.std
        if weight.padding is not None:
            values[weight.padding] = 0
        if weight.parametrized:
            setattr(weight.layer, weight.key, values.to(weight.tensor))
        else:
            _copy(weight.tensor, values)
    return module


def reset_parameters(module) -> None:
    """Call reset_parameters of every module that has tensors of its own.

    Raises UserError, before any call, if one with a vector or a buffer has none.
    """
    layers = list(named_modules(module))
    for name, layer in layers:
        own = [*layer._parameters.values(), *layer._buffers.values()]
        able = hasattr(layer, "reset_parameters") or all(tensor is None for tensor in own)
        require(able, "reset", f"{name or 'the model'} ({type(layer).__name__})",
                "is what has reset_parameters or no tensors of its own")
    for _, layer in layers:
        getattr(layer, "reset_parameters", lambda: None)()


def _copy(tensor, values):
    """Copy a whole draw into a tensor, of which this process may hold a part (a DTensor)."""
    if hasattr(tensor, "device_mesh"):
        from torch.distributed.tensor import distribute_tensor

        mesh, placements = tensor.device_mesh, tensor.placements
        values = distribute_tensor(values.to(tensor.device), mesh, placements, src_data_rank=None)
    return tensor.copy_(values)


def standard_normal(shape, seed: int, name: str) -> torch.Tensor:
    """The float32 standard-normal draw that belongs to (seed, name), made on the CPU."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    generator = torch.Generator(device="cpu").manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    return torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")


def implied_gamma(std: float, d_in: int) -> float:
    """The gamma at which d_in^-gamma equals std: a fixed std is another gamma at every width."""
    return -math.log(std) / math.log(d_in)


