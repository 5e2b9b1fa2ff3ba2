"""What can be chosen of a run: the model, its initialization, the optimizer, and what is measured.

Plain values alone, without torch: who only reads records waits for none of it.
"""

import math
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

from ..data.fields import check_fields
from ..project import UserError, require, require_least, require_one_of

POSITIONS = ("rotary", "learned")
HEAD_BIASES = ("none", "zero", "unigram")
ACTIVATIONS = ("tanh", "relu", "gelu", "linear")
HIDDEN_UPDATES = ("adamw", "adamh", "muon")
BOUNDS = {
    "learning_rate": (0, math.inf), "weight_decay": (0, math.inf), "beta1": (0, 0.9999),
    "beta2": (0, 0.9999), "clip": (0, math.inf), "warmup": (0, 1), "final_ratio": (0, 1),
    "eps": (1e-30, 1),
}
SCALES = {"gamma": (-5, 5), "std": (1e-30, 1e30)}  # beyond them float32 holds 0 or infinity
PARTS = ("embedding", "attention", "mlp", "head")  # those that can have a gamma of their own
PRECISIONS = ("float32", "bfloat16")
LARGEST, DEEPEST = 2**18, 1024  # sizes and layers beyond any model there is: slips of the pen
MOST = 10**6  # of whatever is counted of a probe


@dataclass(frozen=True)
class GPTConfig:
    kind: str = "gpt"
    vocab_size: int = 1024
    block_size: int = 64  # longest context, in tokens
    n_layer: int = 2
    n_head: int = 2
    width: int = 64  # d_model
    hidden: int = 0  # width of the MLP; 0 means 8/3 of `width`, rounded up to a multiple of 8
    norm_eps: float = 1e-5  # RMSNorm's epsilon, compared with the mean square of its input
    gate: bool = False  # elementwise sigmoid gate on the attention output (arXiv 2505.06708)
    gate_scale: float = 1.0  # times the sigmoid, which is 1/2 while the gate's weights are small
    gate_trained: bool = True  # or it stays as it was drawn
    qk_norm: bool = False  # RMSNorm of each head's queries and keys (arXiv 2302.05442)
    head_bias: str = "none"  # or "zero", or "unigram": what an output bias starts at
    tied: bool = False  # the head shares the embedding: same d_in, so gamma means the same std
    positions: str = "rotary"  # or "learned": an embedding of the position, as in GPT-2
    rope_base: float = 10000.0

    def __post_init__(self):
        check_fields(self, "model.")
        sizes = ("vocab_size", "block_size", "n_head", "width")
        require_least(1, self, sizes, "model.", LARGEST)
        require_least(1, self, ("n_layer",), "model.", DEEPEST)
        require_least(0, self, ("hidden",), "model.", LARGEST)  # 0: automatic
        require_one_of(POSITIONS, "model.positions", self.positions)
        require_one_of(HEAD_BIASES, "model.head_bias", self.head_bias)
        paired = self.positions != "rotary" or self.head_size % 2 == 0  # which rotary ones turn
        for name, ok, allowed in (
            ("width", self.width % self.n_head == 0, f"are multiples of n_head = {self.n_head}"),
            ("width", paired, f"is an even head size for rotary positions, not {self.head_size}"),
            ("head_bias", not self.tied or self.head_bias == "none", "is none when tied"),
            ("norm_eps", self.norm_eps >= 0, "is 0 or more"),
            ("gate_scale", self.gate_scale > 0, "is above 0"),
            ("rope_base", self.rope_base > 0, "is above 0"),
        ):
            require(ok, f"model.{name}", getattr(self, name), allowed)

    @property
    def head_size(self) -> int:
        return self.width // self.n_head

    @property
    def hidden_size(self) -> int:
        return self.hidden or 8 * math.ceil(self.width * 8 / 3 / 8)


@dataclass(frozen=True)
class EmbMLPConfig:
    kind: str = "emb_mlp"
    vocab_size: int = 201
    block_size: int = 3  # longest sequence, in tokens; their order is lost in the sum
    width: int = 200  # d_m
    hidden: int = 400  # d_f
    activation: str = "tanh"

    def __post_init__(self):
        check_fields(self, "model.")
        sizes = ("vocab_size", "block_size", "width", "hidden")
        require_least(1, self, sizes, "model.", LARGEST)
        require_one_of(ACTIVATIONS, "model.activation", self.activation)


@dataclass(frozen=True)
class InitConfig:
    """Exactly one of gamma (std = d_in^-gamma) and std (the same for every tensor)."""

    gamma: float | None = None
    std: float | None = None
    residual_scaling: bool = False  # std / sqrt(2 n_layer) for what writes into the residual
    depth_scaling: bool = False  # std / sqrt(l) for the matrices of the l-th block
    parts: str = ""  # parts with a gamma of their own: "embedding 0.8, head 1"

    def __post_init__(self):
        check_fields(self, "init.")
        check_scale(self.gamma, self.std)
        parse_parts(self.parts)

    @property
    def label(self) -> str:
        """The setting in words, as the ledger and the figures name it: 'gamma 0.8'."""
        scale = f"std {self.std:g}" if self.gamma is None else f"gamma {self.gamma:g}"
        parts = "".join(f", {name} {g:g}" for name, g in parse_parts(self.parts).items())
        flags = {"residual": self.residual_scaling, "depth": self.depth_scaling}
        return scale + "".join(f" with {n} scaling" for n, on in flags.items() if on) + parts


@dataclass(frozen=True)
class OptimConfig:
    learning_rate: float = 2e-3  # the peak
    weight_decay: float = 0.1  # on matrices (embedding and head too), never on norm gains
    beta1: float = 0.9
    beta2: float = 0.95
    clip: float = 1.0  # largest gradient norm; 0 switches clipping off
    warmup: float = 0.1  # share of the steps spent on the linear warm-up
    eps: float = 1e-8  # in AdamW's denominator; torch's default
    hidden_update: str = "adamw"  # of the matrices between embedding and head (make_optimizers)
    final_ratio: float = 0.1  # the cosine ends at this share of the peak
    relative: bool = False  # each matrix takes steps in proportion to its own size (see below)

    def __post_init__(self):
        check_fields(self, "optim.")
        for name, (low, high) in BOUNDS.items():
            value = getattr(self, name)
            require(low <= value <= high, f"optim.{name}", value, f"is {low} to {high}")
        require_one_of(HIDDEN_UPDATES, "optim.hidden_update", self.hidden_update)
        plain = self.hidden_update == "adamw"
        require(plain or not self.relative, "optim.relative", True, "is False without plain adamw")


@dataclass(frozen=True)
class ProbeConfig:
    OPTIONAL: ClassVar = ("spectra", "geometry", "neurons", "tokens", "sinks", "norms")  # 0: not

    losses: int = 12  # validation losses along the run, evenly spaced, first and last step included
    windows: int = 64  # validation windows for each of them
    final_windows: int = 512  # validation windows for the final loss
    spectra: int = 0  # times that every matrix is measured, at log-spaced steps
    geometry: int = 0  # times that embeddings and attention are, likewise (geometry.py)
    neurons: int = 0  # times that cosines between neurons are kept, likewise (geometry.py)
    tokens: int = 0  # validation windows whose every token's loss is kept at the end
    sinks: int = 0  # validation windows on which attention sinks are looked for, at the end
    norms: int = 0  # validation windows on which the norms' outputs are measured, at the end
    short: int = 4  # tokens of context with which each token's loss is taken once more

    def __post_init__(self):
        check_fields(self, "probes.")
        counts = ("losses", "windows", "final_windows", "short")
        require_least(1, self, counts, "probes.", MOST)
        require_least(0, self, self.OPTIONAL, "probes.", MOST)


def check_scale(gamma, std) -> None:
    """Raise UserError unless exactly one of the two is given, and makes sense."""
    if (gamma is None) == (std is None):
        raise UserError(f"gamma, std: give exactly one, got gamma={gamma!r} and std={std!r}")
    name, value = ("gamma", gamma) if std is None else ("std", std)
    low, high = SCALES[name]
    number = isinstance(value, Real) and not isinstance(value, bool)
    require(number and low <= value <= high, name, value, f"is {low:g} to {high:g}")


def parse_parts(text: str) -> dict[str, float]:
    """'embedding 0.8, head 1' -> {"embedding": 0.8, "head": 1.0}; UserError for anything else."""
    found = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        name, _, number = item.partition(" ")
        try:
            gamma = float(number)
        except ValueError:
            gamma = None
        require(gamma is not None and name in PARTS and name not in found, "init.parts", item,
                f"is a part ({', '.join(PARTS)}) and its gamma, each once: 'embedding 0.8'")
        check_scale(gamma, None)
        found[name] = gamma
    return found
