"""Where a weight keeps its inputs: an explicit table of layers, and a reason for everything else.

torch keeps (out, in) in nn.Linear and nn.MultiheadAttention, (V, d) in nn.Embedding, whose d_in is
d, and (out, in / groups, kernel) in convolutions. transformers keeps (in, out) in its Conv1D,
(E, in) in routers, and (E, out, in) in experts, or (E, in, out) as in gpt-oss.

Any other tensor of two or more axes is refused, and so is what only looks like one of these: a
layer that computes something else with its weight, a flat shard, quantized numbers, adapters. No
number is proposed, since a wrong one would be believed: `rules` says what the reader knows.
"""

import re

import torch.nn as nn

ZERO, LEAVE = "zero", "leave"  # biases become zero; norms stay as they are
REST = (1, 2, 3, 4)  # all axes but the first, of as many as there are
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TABLE = {  # class -> parameter -> the axes of its inputs
    (nn.Linear, nn.Embedding, *CONVOLUTIONS): {"weight": REST, "bias": ZERO},
    nn.MultiheadAttention: {"in_proj_bias": ZERO} | dict.fromkeys(
        ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"), REST),
    (nn.LayerNorm, nn.RMSNorm): {"weight": LEAVE, "bias": LEAVE},
}
SIZES = {  # what a layer says of its own weight's shape; a shard or a packed weight is not so
    nn.Linear: lambda m: (m.out_features, m.in_features),
    nn.Embedding: lambda m: (m.num_embeddings, m.embedding_dim),
    CONVOLUTIONS: lambda m: (m.out_channels, m.in_channels // m.groups, *m.kernel_size),
}
CONV1D = "transformers.pytorch_utils.Conv1D"  # by name, so that transformers need not be there
ROUTER = re.compile(r"Router$|Gate$")
# Whose layers compute what their class says; another subclass may do anything with its weight.
KNOWN = ("torch.", "transformers.")
FOREIGN = ("peft.", "bitsandbytes.", "torchao.", "optimum.", "auto_gptq.", "gptqmodel.", "awq.",
           "hqq.", "torch.ao.nn.", "transformers.integrations.")


def table_of(layer, home: str) -> dict:
    """Parameter -> axes of its inputs, for the layers that are known."""
    classes, tensors = type(layer).__mro__, layer._parameters
    owner = next(c for c in classes if "forward" in vars(c))
    if f"{owner.__module__}.{owner.__qualname__}" == CONV1D:
        return {"weight": (0,), "bias": ZERO}
    if home.startswith("transformers."):
        if "down_proj" in tensors:
            return _experts(tensors, getattr(layer, "is_transposed", None))
        if ROUTER.search(type(layer).__name__) and "weight" in tensors:
            return {"weight": (1,), "bias": ZERO}
    known = owner.__module__.startswith(KNOWN)
    return next((TABLE[kind] for kind in TABLE if known and isinstance(layer, kind)), {})


def _experts(tensors, transposed) -> dict:
    """The two orders of three-axis expert weights, told apart by shapes that admit only one.

    (E, 2I, H) and (E, H, I), or (E, H, 2I) and (E, I, H). Without a gate the shapes admit both:
    then transformers' own `is_transposed` must say it.
    """
    keys = [k for k in ("gate_up_proj", "up_proj", "gate_proj", "down_proj") if k in tensors]
    if len(keys) < 2 or any(tensors[key].ndim != 3 for key in keys):
        return {}
    up, (a, b) = tuple(tensors[keys[0]].shape[1:]), tensors["down_proj"].shape[1:]
    times = 2 if keys[0] == "gate_up_proj" else 1
    possible = [axis for axis, fitting in ((2, (times * b, a)), (1, (b, times * a)))
                if up == fitting and transposed in (None, axis == 1)]
    biases = {key: ZERO for key in tensors if key.endswith("_bias")}
    return dict.fromkeys(keys, tuple(possible)) | biases if len(possible) == 1 else {}


def home_of(layer) -> str:
    """The module of the layer's class; parametrize and fully_shard put a class of theirs on top."""
    added = ("FSDPModule", "ReplicateModule", "Parametrized", "FSDP")
    return next(c for c in type(layer).__mro__ if not c.__name__.startswith(added)).__module__
