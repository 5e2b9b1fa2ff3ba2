"""Which part of a GPT a weight is in, in which block, and whether it writes into the stream.

Found by structure and by the names that are in use: the blocks are the one list of modules with
attention in it; a writer has one of the usual names and puts out as many numbers as the
embedding has. Where that fails nothing is guessed: the caller says it in `names`, patterns for
"embedding", "attention", "mlp", "head", "writer", and for the "block", as "layers.*".
"""

import fnmatch
import math
import re
from dataclasses import dataclass

import torch.nn as nn

from ..project import require
from .options import PARTS
from .tensors import Weight

NAMES = (*PARTS, "writer", "block")
ATTENTION = re.compile(r"attn|attention|^att_")
NUMBERED = re.compile(r"(.+?)\.\d+\.(.+)")  # the outermost list that a weight is in
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


def check_names(names) -> dict[str, list[str]]:
    """The patterns for each of NAMES; UserError for anything else."""
    found = {}
    for name, patterns in (names or {}).items():
        found[name] = patterns if isinstance(patterns, list | tuple) else [patterns]
        ok = name in NAMES and all(isinstance(pattern, str) for pattern in found[name])
        require(ok, "names", {name: patterns}, f"are patterns for {', '.join(NAMES)}")
    return found


def places(weights: list[Weight], names, residual: bool) -> dict[str, Place]:
    """Name of a weight -> its place. `names` of check_names; `residual`: the writers matter.

    Raises UserError for a weight in a block whose part is not clear, and, if they matter, for a
    block in which not one kind of matrix writes, and for several lists of blocks.
    """
    blocks = _blocks(weights, names)
    vocabulary, width = max((w.shape for w in weights if not blocks.match(w.name)
                             and isinstance(w.layer, nn.Embedding)), default=(None, None))
    found = {w.name: _place(w, blocks, width, vocabulary, names) for w in weights}
    for at in sorted({(p.block, p.part) for p in found.values() if p.block and residual}):
        own = {_own_name(name) for name, place in found.items()
               if place.writer and (place.block, place.part) == at}
        require(len(own) == 1, f"names: writers in the {at[1]} of block {at[0]}", sorted(own),
                "is one that is known: say it, as names={'writer': '*.o_proj.weight'}")
    return found


def _blocks(weights, names) -> re.Pattern:
    """Matches names of what is in a block; its one group is the block's number, from 0."""
    if patterns := names.get("block"):
        return re.compile(re.escape(patterns[0]).replace(r"\*", r"(\d+)", 1) + r"\.")
    numbered = [found for w in weights if (found := NUMBERED.match(w.name))]
    lists = {found[1]: None for found in numbered if _part(found[2]) == "attention"}
    require(len(lists) < 2, "names: blocks", list(lists),
            "is one list: say which, as names={'block': 'layers.*'}")
    return re.compile(rf"{re.escape(next(iter(lists)))}\.(\d+)\." if lists else r"(?!)()")


def _place(weight, blocks, width, vocabulary, names) -> Place:
    name, inside = weight.name, blocks.match(weight.name)
    named = {key for key in names if any(fnmatch.fnmatchcase(name, p) for p in names[key])}
    part = next((part for part in PARTS if part in named), None)
    if inside is None:
        head = isinstance(weight.layer, nn.Linear) and weight.shape[0] == vocabulary
        own = "embedding" if isinstance(weight.layer, nn.Embedding) else "head" if head else None
        return Place(part or own, writer="writer" in named)
    part = part or _part(name[inside.end() :])
    require(part, f"names: part of {name}", part, f"is to say it, as names={{'mlp': '{name}'}}")
    writer = "writer" in named if "writer" in names else _writes(weight, part, width)
    return Place(part, int(inside[1]) + 1, writer)


def _part(path: str) -> str | None:
    """Of the name of a weight, from its block on: what is said first."""
    for word in path.lower().split("."):
        for part, pattern in (("attention", ATTENTION), ("mlp", MLP)):
            if pattern.search(word):
                return part
    return None


def _writes(weight, part: str, width) -> bool:
    shape = weight.shape
    outputs = math.prod(shape) // weight.d_in // (shape[0] if len(shape) == 3 else 1)
    return _own_name(weight.name) in WRITERS.get(part, ()) and outputs == width


def _own_name(name: str) -> str:
    return name.removesuffix(".weight").rsplit(".", 1)[-1]
