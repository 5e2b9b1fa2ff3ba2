"""Where a weight keeps its inputs: an explicit table of layers, and a reason for everything else.

| layer                     | tensor                      | shape                 | d_in          |
|---------------------------|-----------------------------|-----------------------|---------------|
| nn.Linear                 | weight                      | (out, in)             | in            |
| nn.Embedding              | weight                      | (V, d)                | d, not V      |
| nn.Conv1d, 2d, 3d         | weight                      | (out, in / groups, k) | in / groups k |
| nn.MultiheadAttention     | in_proj, q_proj, k_, v_     | (out, in)             | in            |
| transformers' Conv1D      | weight                      | (in, out)             | in            |
| transformers' experts     | gate_up_proj, down_proj ... | (E, out, in)          | in            |
| the same, transposed      | as in gpt-oss               | (E, in, out)          | in            |
| transformers' routers     | weight                      | (E, in)               | in            |

Any other tensor of two or more axes is refused, and so is what only looks like one of these: a
layer that computes something else with its weight, a flat shard, quantized numbers, adapters. No
number is proposed, since a wrong one would be believed: `rules` says what the reader knows.
"""

import re

import torch.nn as nn

ZERO, LEAVE = "zero", "leave"  # biases become zero; norm gains stay as they are
GAINS = {"weight": LEAVE, "bias": LEAVE}
TABLE = {  # class -> parameter -> the axes of its inputs
    nn.Linear: {"weight": (1,), "bias": ZERO},
    nn.Embedding: {"weight": (1,)},
    nn.Conv1d: {"weight": (1, 2), "bias": ZERO},
    nn.Conv2d: {"weight": (1, 2, 3), "bias": ZERO},
    nn.Conv3d: {"weight": (1, 2, 3, 4), "bias": ZERO},
    nn.MultiheadAttention: {"in_proj_bias": ZERO}
    | {f"{part}_weight": (1,) for part in ("in_proj", "q_proj", "k_proj", "v_proj")},
    nn.LayerNorm: GAINS,
    nn.RMSNorm: GAINS,
}
CONV1D = "transformers.pytorch_utils.Conv1D"  # by name, so that transformers need not be there
SIZES = {  # what a layer says of its own weight's shape; a shard or a packed weight is not so
    nn.Linear: lambda m: (m.out_features, m.in_features),
    nn.Embedding: lambda m: (m.num_embeddings, m.embedding_dim),
    (nn.Conv1d, nn.Conv2d, nn.Conv3d): lambda m: (
        m.out_channels, m.in_channels // m.groups, *m.kernel_size
    ),
}
# Whose layers compute what their class says; another subclass may do anything with its weight.
KNOWN = ("torch.", "transformers.")
FOREIGN = ("peft.", "bitsandbytes.", "torchao.", "optimum.", "auto_gptq.", "gptqmodel.", "awq.",
           "hqq.", "torch.ao.nn.quantized.", "torch.ao.nn.intrinsic.")
ROUTER = re.compile(r"Router$|Gate$")


def table_of(layer, home: str) -> dict:
    """Parameter -> axes of its inputs, for the layers that are known."""
    if CONV1D in (f"{c.__module__}.{c.__qualname__}" for c in type(layer).__mro__):
        return {"weight": (0,), "bias": ZERO}
    if home.startswith("transformers."):
        if "down_proj" in layer._parameters:
            return _experts(layer)
        if ROUTER.search(type(layer).__name__) and "weight" in layer._parameters:
            return {"weight": (1,), "bias": ZERO}
    kind = next((kind for kind in TABLE if isinstance(layer, kind)), None)
    owner = next(c for c in type(layer).__mro__ if "forward" in vars(c))
    return TABLE[kind] if kind and owner.__module__.startswith(KNOWN) else {}


def _experts(layer) -> dict:
    """The two orders of three-axis expert weights, told apart by shapes that admit only one.

    (E, 2I, H) and (E, H, I), or (E, H, 2I) and (E, I, H). Without a gate the shapes admit both:
    then transformers' own `is_transposed` must say it.
    """
    tensors = layer._parameters
    down = tuple(tensors["down_proj"].shape)[1:]
    up = next((k for k in ("gate_up_proj", "up_proj", "gate_proj") if k in tensors), None)
    if up is None or len(down) != 2 or tensors[up].ndim != 3:
        return {}
    first, times = tuple(tensors[up].shape)[1:], 2 if up == "gate_up_proj" else 1
    orders = {False: first == (times * down[1], down[0]), True: first == (down[1], times * down[0])}
    told = getattr(layer, "is_transposed", None)
    possible = [order for order, fits in orders.items() if fits and told in (None, order)]
    if len(possible) != 1:
        return {}
    axes = (1,) if possible[0] else (2,)
    biases = {key: ZERO for key in tensors if key.endswith("_bias")}
    return {key: axes for key in ("gate_up_proj", "up_proj", "gate_proj", "down_proj")} | biases


def home_of(layer) -> str:
    """The module of the layer's class; parametrize and fully_shard put a class of theirs on top."""
    own = [c for c in type(layer).__mro__ if c.__name__ not in ("FSDPModule", "ReplicateModule")
           and not c.__name__.startswith(("Parametrized", "FSDP"))]
    return own[0].__module__
