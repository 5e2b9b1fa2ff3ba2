"""200 random trees of modules: each comes out right in every tensor, or is refused untouched.

The d_in that a tree was really drawn with is read off two draws of one seed, without a sampling
error: at gamma 0.25 and 0.75 their ratio is d_in^0.5. What it must be, the builders know.
"""

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.nn.utils import parametrizations, prune
from torch.optim.swa_utils import AveragedModel
from transformers.pytorch_utils import Conv1D

from gammagpt import UserError, audit_init, gamma_init_

SIZE = st.integers(2, 9)
REFUSED = object()


class Transposed(nn.Linear):
    """A layer of one's own that is called like a known one, and keeps (in, out)."""

    def forward(self, x):
        return x @ self.weight


class Alike(nn.Linear):
    """Another class, but the same layer."""


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))


class Bare(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.table = nn.Parameter(torch.ones(shape))


class Tied(nn.Module):
    def __init__(self, words, width):
        super().__init__()
        self.embedding, self.head = nn.Embedding(words, width), nn.Linear(width, words)
        self.head.weight = self.embedding.weight


def attention(a, b, c):
    return nn.MultiheadAttention(2 * a, 2, kdim=b, vdim=c)


# (a, b, c) -> a module, and for each of its tensors the d_in, None (left, or a bias) or REFUSED
LEAVES = {
    "linear": lambda a, b, c: (nn.Linear(a, b), {"weight": a}),
    "alike": lambda a, b, c: (Alike(a, b), {"weight": a}),
    "embedding": lambda a, b, c: (nn.Embedding(a, b), {"weight": b}),
    "conv1d": lambda a, b, c: (nn.Conv1d(a, b, c), {"weight": a * c}),
    "grouped": lambda a, b, c: (nn.Conv2d(2 * a, 2 * b, (c, 3), groups=2), {"weight": a * c * 3}),
    "gpt2": lambda a, b, c: (Conv1D(a, b), {"weight": b}),
    "norm": lambda a, b, c: (Norm(a), {}),
    "layer norm": lambda a, b, c: (nn.LayerNorm((a, b)), {}),
    "tied": lambda a, b, c: (Tied(a, b), {"embedding.weight": b}),
    "attention": lambda a, b, c: (nn.MultiheadAttention(2 * a, 2),
                                  {"in_proj_weight": 2 * a, "out_proj.weight": 2 * a}),
    "cross": lambda a, b, c: (attention(a, b, c),
                              {"q_proj_weight": 2 * a, "k_proj_weight": b, "v_proj_weight": c,
                               "out_proj.weight": 2 * a}),
    "weight norm": lambda a, b, c: (parametrizations.weight_norm(nn.Linear(a, b)), {"weight": a}),
    "checkpointed": lambda a, b, c: (checkpoint_wrapper(nn.Linear(a, b)), {"weight": a}),
    "averaged": lambda a, b, c: (AveragedModel(nn.Linear(a, b)), {"weight": a}),
    "transposed": lambda a, b, c: (Transposed(a, b), REFUSED),
    "bare": lambda a, b, c: (Bare(a, b), REFUSED),
    "experts": lambda a, b, c: (Bare(a, b, c), REFUSED),
    "bilinear": lambda a, b, c: (nn.Bilinear(a, b, c), REFUSED),
    "recurrent": lambda a, b, c: (nn.GRU(a, b), REFUSED),
    "upwards": lambda a, b, c: (nn.ConvTranspose1d(a, b, c), REFUSED),
    "pruned": lambda a, b, c: (prune.random_unstructured(nn.Linear(a, b), "weight", 0.3), REFUSED),
    "meta": lambda a, b, c: (nn.Linear(a, b, device="meta"), REFUSED),
    "packed": lambda a, b, c: (torch.ao.nn.quantized.dynamic.Linear(a, b), REFUSED),
}
LIKELY = [name for name in LEAVES if LEAVES[name](2, 3, 4)[1] is not REFUSED]


@st.composite
def leaves(draw, among):
    return LEAVES[draw(st.sampled_from(among))](draw(SIZE), draw(SIZE), draw(SIZE))


@st.composite
def trees(draw, depth=2):
    """A module, and what must come of it: {name: d_in}, or REFUSED."""
    among = LIKELY if draw(st.integers(0, 5)) else list(LEAVES)
    if not depth or draw(st.booleans()):
        return draw(leaves(among))
    children = draw(st.lists(trees(depth - 1), min_size=1, max_size=3))
    kind = draw(st.sampled_from(["list", "named", "module", "wrapped"]))
    if kind == "wrapped":
        module, expected = children[0]
        return nn.DataParallel(module), expected
    keys = [str(i) if kind == "list" else "module" if kind == "module" and not i else f"part{i}"
            for i in range(len(children))]
    named = dict(zip(keys, (module for module, _ in children), strict=True))
    parent = nn.ModuleList(named.values()) if kind == "list" else nn.ModuleDict(named)
    if any(expected is REFUSED for _, expected in children):
        return parent, REFUSED
    bare = kind == "module" and len(keys) == 1  # an only child: taken for a wrapper's
    return parent, {name if bare else f"{key}.{name}": d_in
                    for key, (_, expected) in zip(keys, children, strict=True)
                    for name, d_in in expected.items()}


def tensors(module) -> list[torch.Tensor]:
    """All tensors of two or more axes as the layers see them."""
    keys = ("weight", "in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
    found = [(child, key) for child in module.modules() for key in keys
             if child._parameters.get(key) is not None
             or key in getattr(child, "parametrizations", ())]
    seen = [getattr(child, key).detach().clone() for child, key in found]
    return [tensor for tensor in seen if tensor.ndim > 1]


@given(trees(), st.integers(0, 2**40))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_tree_is_drawn_wrong_in_silence(tree, seed):
    module, expected = tree
    before = copy.deepcopy(list(module.parameters()))
    if expected is REFUSED:
        with pytest.raises(UserError) as error:
            gamma_init_(module, 0.25, seed=seed)
        assert "\n" not in str(error.value)
        pairs = zip(before, module.parameters(), strict=True)
        assert all(a.is_meta or torch.equal(a, b) for a, b in pairs)
        return
    assert dict(zip(*audit_init(module)[["tensor", "d_in"]].T.values, strict=True)) == expected
    large, small = (tensors(gamma_init_(module, gamma, seed=seed)) for gamma in (0.25, 0.75))
    ratios = [(a / b).double() for a, b in zip(large, small, strict=True) if not torch.equal(a, b)]
    assert all(torch.allclose(ratio, ratio.flatten()[0], rtol=1e-3) for ratio in ratios)
    found = sorted(round(ratio.square().mean().item()) for ratio in ratios)
    tied = [child.embedding.embedding_dim for child in module.modules() if isinstance(child, Tied)]
    assert found == sorted([*expected.values(), *tied])
