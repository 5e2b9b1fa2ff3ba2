"""Which part of a GPT a weight is in, in which block, and whether it writes into the stream.

Found by structure and by the names that are in use: the blocks are the one list of modules of
which each has attention; a writer has one of the usual names and puts out as many numbers as the
embedding has. Where that fails nothing is guessed: the caller says it in `names`, patterns for
"embedding", "attention", "mlp", "head", "writer", and for the "block", as "layers.*".
"""

import fnmatch
import math
import re
from dataclasses import dataclass

import torch.nn as nn

from ..project import UserError
from .tensors import Weight, named_modules

PARTS = ("embedding", "attention", "mlp", "head")  # those that can have a gamma of their own
NAMES = (*PARTS, "writer", "block")
ATTENTION = re.compile(r"attn|attention|^att_")
MLP = re.compile(r"mlp|ffn|feed_?forward|moe|experts|^fc|^ff_")
# The names of what writes, by OpenAI, Llama, OLMo, GPT-NeoX, Bloom, OPT, litgpt and us.
WRITERS = {
    "attention": {"c_proj", "o_proj", "out_proj", "wo", "w_out", "attn_out", "dense", "proj",
                  "out"},
    "mlp": {"c_proj", "down_proj", "w2", "ff_out", "dense_4h_to_h", "fc2", "fc_out", "proj",
            "down"},
}


@dataclass(frozen=True)
class Place:
    part: str | None = None
    block: int | None = None  # the first is 1
    writer: bool = False


def check_names(names) -> dict[str, tuple[str, ...]]:
    """The patterns for each of NAMES; UserError for anything else."""
    found = {}
    for name, patterns in (names or {}).items():
        several = patterns if isinstance(patterns, list | tuple) else [patterns]
        found[name] = tuple(several)
        if name not in NAMES or not all(isinstance(p, str) for p in several):
            raise UserError(f"names: got {name!r}: {patterns!r}, allowed are patterns for "
                            f"{', '.join(NAMES)}")
    return found


def places(module, weights: list[Weight], names, residual: bool) -> dict[str, Place]:
    """Name of a weight -> its place. `names` of check_names; `residual`: the writers matter.

    Raises UserError for a weight in a block whose part is not clear, and, if they matter, for a
    block in which not one kind of matrix writes, and for several lists of blocks.
    """
    blocks = _blocks(module, weights, names)
    width, vocabulary = _sizes(weights, blocks)
    found = {w.name: _place(w, blocks, width, vocabulary, names) for w in weights}
    if residual:
        _check_writers(found)
    return found


def _blocks(module, weights, names) -> re.Pattern:
    """Matches names of what is in a block; its one group is the block's number, from 0."""
    if patterns := names.get("block"):
        return re.compile("|".join(re.escape(p).replace(r"\*", r"(\d+)", 1) for p in patterns[:1])
                          + r"\.")
    lists = []
    for name, child in named_modules(module):
        keys = list(child._modules)
        inner = any(name.startswith(f"{other}.") for other in lists)
        if keys and all(key.isdigit() for key in keys) and not inner and any(
            _part(w.name.removeprefix(f"{name}.")) == "attention"
            for w in weights if w.name.startswith(f"{name}.")
        ):
            lists.append(name)
    if len(lists) > 1:
        raise UserError(f"names: found blocks in {' and in '.join(lists)}, allowed is one: say "
                        "which, as names={'block': 'layers.*'}")
    return re.compile(rf"{re.escape(lists[0])}\.(\d+)\." if lists else r"(?!)()")


def _sizes(weights, blocks) -> tuple[int | None, int | None]:
    """The width of the stream and the vocabulary: those of the largest embedding."""
    sizes = [w.layer.weight.shape for w in weights
             if isinstance(w.layer, nn.Embedding) and not blocks.match(w.name)]
    vocabulary, width = max(sizes, default=(None, None))
    return width, vocabulary


def _place(weight, blocks, width, vocabulary, names) -> Place:
    name, inside = weight.name, blocks.match(weight.name)
    named = {key: [p for p in patterns if fnmatch.fnmatchcase(name, p)]
             for key, patterns in names.items()}
    part = next((part for part in PARTS if named.get(part)), None)
    if inside is None:
        return Place(part or _outside(weight, vocabulary), writer=bool(named.get("writer")))
    part = part or _part(name[inside.end() :])
    if part is None:
        raise UserError(f"names: the part of {name} is not known, allowed is to say it, as "
                        f"names={{'mlp': '{name}'}}")
    writer = named["writer"] if "writer" in named else _writes(weight, part, width)
    return Place(part, int(inside[1]) + 1, bool(writer))


def _outside(weight, vocabulary) -> str | None:
    if isinstance(weight.layer, nn.Embedding):
        return "embedding"
    head = isinstance(weight.layer, nn.Linear) and weight.shape[0] == vocabulary
    return "head" if head else None


def _part(path: str) -> str | None:
    """Of the name of a weight, from its block on: what is said first."""
    for word in path.split("."):
        for part, pattern in (("attention", ATTENTION), ("mlp", MLP)):
            if pattern.search(word.lower()):
                return part
    return None


def _writes(weight, part: str, width) -> bool:
    own = weight.name.split(".")[-2] if weight.key == "weight" else weight.key
    shape = weight.shape
    outputs = math.prod(shape) // weight.d_in // (shape[0] if len(shape) == 3 else 1)
    return own in WRITERS.get(part, ()) and outputs == width


def _check_writers(found: dict[str, Place]) -> None:
    for at in sorted({(place.block, place.part) for place in found.values() if place.block}):
        own = {name.removesuffix(".weight").rsplit(".", 1)[-1] for name, place in found.items()
               if place.writer and (place.block, place.part) == at}
        if len(own) != 1:
            told = " and ".join(sorted(own)) or "nothing"
            raise UserError(f"names: in the {at[1]} of block {at[0]} {told} is known to write into "
                            "the residual stream, allowed is one: say it, as "
                            "names={'writer': '*.o_proj.weight'}")
