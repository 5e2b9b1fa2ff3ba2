"""A trained model in a file, and what it writes.

The file is one of the safetensors format (github.com/huggingface/safetensors): eight bytes with
the length of a JSON header, the header, then the numbers. Anything else reads it as well. Beside
the weights it holds the run's configuration and its tokenizer, so it can be taken along alone.
"""

import base64
import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn

from ..data.text import load_text
from ..data.tokenizer import make_encoding
from ..project import UserError, write
from .config import RunConfig
from .engine import MODELS

LONGEST_HEADER = 100_000_000  # bytes, as in the format's own reader


@dataclass(frozen=True)
class Trained:
    """A model with the run that made it, and its tokenizer (None without a text)."""

    model: nn.Module
    config: RunConfig
    ranks: dict[bytes, int] | None

    def write(self, prompt="", count=100, temperature=1.0, top_k=None, seed=0) -> str:
        """The prompt, and what the model writes behind it: `count` tokens, or up to a text's end.

        An empty prompt begins a text. Raises UserError for a model that reads no text.
        """
        if self.ranks is None:
            raise UserError(f"sample: got a run on {self.config.data.kind}, allowed is one on text")
        encoding, end = make_encoding(self.ranks), len(self.ranks)
        start = [end, *encoding.encode_ordinary(prompt)]
        generator = torch.Generator().manual_seed(seed)
        drawn = self.model.generate(
            torch.tensor([start]), count, temperature, top_k, generator
        )[0, len(start):].tolist()
        drawn = drawn[: drawn.index(end)] if end in drawn else drawn
        return prompt + encoding.decode(drawn, errors="replace")


def save_model(path, model: nn.Module, config: RunConfig) -> Path:
    """Write a model's weights, its run and its tokenizer; a file that is there is replaced.

    Raises UserError if it cannot be written.
    """
    arrays = {name: weight.detach().float().cpu().contiguous().numpy()
              for name, weight in model.named_parameters()}
    notes = {"format": "pt", "config": json.dumps(config.pinned().to_dict(), allow_nan=False)}
    if config.data.kind == "text":
        ranks = load_text(config.data).ranks
        words = sorted(ranks, key=ranks.get)
        notes["tokenizer"] = " ".join(base64.b64encode(word).decode() for word in words)
    header, end = {"__metadata__": notes}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape),
                        "data_offsets": [end, end := end + array.nbytes]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)  # the numbers begin at a multiple of eight
    numbers = (array.astype("<f4").tobytes() for array in arrays.values())
    write("--save", path := Path(path), b"".join([struct.pack("<Q", len(head)), head, *numbers]))
    return path


def load_model(path) -> Trained:
    """The model that `save_model` wrote, on the CPU.

    Raises UserError for a file that is missing, is of another kind, or does not fit its run.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"weights: {path} cannot be read ({error.strerror})") from None
    try:
        header, numbers = _parts(content)
        notes = header.pop("__metadata__")
        config = RunConfig.from_dict(json.loads(notes["config"]))
        model = MODELS[config.model.kind](config.model)
        model.load_state_dict(_state(model, header, numbers))
        words = notes.get("tokenizer", "").split()
    except (ValueError, KeyError, TypeError, RuntimeError, struct.error) as error:
        if isinstance(error, UserError):
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"weights: {path} is no file of train --save ({reason})") from None
    ranks = {base64.b64decode(word): rank for rank, word in enumerate(words)}
    return Trained(model, config, ranks or None)


def _parts(content: bytes):
    """The header and the numbers of a file."""
    (length,) = struct.unpack("<Q", content[:8])
    if length > min(LONGEST_HEADER, len(content) - 8):
        raise ValueError("its header is cut off")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _state(model: nn.Module, header: dict, numbers: bytes) -> dict[str, torch.Tensor]:
    """The state of a model; a tied head, which is saved once, has both of its names."""
    state = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise ValueError(f"{name} has dtype {entry['dtype']}, not F32")
        first, last = entry["data_offsets"]
        array = np.frombuffer(numbers[first:last], "<f4").reshape(entry["shape"])
        state[name] = torch.from_numpy(array.astype(np.float32))
    if getattr(model.config, "tied", False):
        state["head.weight"] = state["embedding.weight"]
    return state
