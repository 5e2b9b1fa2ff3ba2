"""The record that a run leaves, and its provenance."""

import datetime
import json
import os
import subprocess
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from ..project import root
from .config import SEMANTICS, RunConfig, _canonical, _digest, _sha256

SCHEMA = 1  # the layout of a record
# The files that a result depends on; their hash is part of a record's provenance.
SOURCES = (
    "gpt/model", "gpt/emb_mlp", "gpt/init", "gpt/tensors", "gpt/layouts", "gpt/parts",
    "gpt/options", "gpt/schedule", "data/text", "data/tokenizer", "data/corpora", "data/logic",
    "data/stories", "data/arithmetic", "data/facts", "data/unigrams", "data/anchors",
    "data/backcopy", "data/batches", "gpt/device", "gpt/optim", "gpt/scores", "probes/spectra",
    "probes/geometry", "probes/token_losses", "probes/sinks", "probes/norm_outputs", "gpt/parallel",
    "gpt/engine", "gpt/train",
)


@dataclass(frozen=True)
class Record:
    """What a run left. `status` is 'ok', or 'diverged' at step `diverged_at`."""

    config: RunConfig
    status: str
    curves: dict  # {"train": [[step, loss], ...], "validation": [[step, loss], ...]}
    probes: list  # [{"step": n, "tensors": {name: {...}}}, ...]
    final: dict  # {"validation_loss": nats per token, or None if diverged}
    provenance: dict
    diverged_at: int | None = None

    @property
    def key(self) -> str:
        return self.config.key

    def to_json(self) -> str:
        """Strict JSON (no NaN) with a digest over the whole content."""
        content = {"schema": SCHEMA, "key": self.key} | {
            f.name: getattr(self, f.name) for f in fields(self)
        }
        content["config"] = self.config.to_dict()
        return _canonical(content | {"digest": _digest(content)}) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """Raises ValueError, saying what is wrong, for anything but a whole, unaltered record."""
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise ValueError(f"not a record of schema {SCHEMA}")
        digest = content.pop("digest", None)
        as_written = text.removesuffix("\n").replace(f'"digest":"{digest}",', "", 1)
        if digest != _sha256(as_written) and digest != _digest(content):  # seven times slower
            raise ValueError("its content does not match its digest")
        content["config"] = RunConfig.from_dict(content["config"])
        return cls(**{f.name: content[f.name] for f in fields(cls)})


def provenance(device: str, seconds: float, rules: dict | None) -> dict:
    """Where, when and with what a record was made; `rules` are the ledger's hashes in force."""
    import torch

    return {
        "commit": _git("rev-parse", "--short=12", "HEAD")
        or os.environ.get("GAMMAGPT_COMMIT", "unknown"),  # a copy without its history
        "source": source_hash(),
        "semantics": SEMANTICS,
        "device": device,
        "torch": torch.__version__,
        "seconds": round(seconds, 2),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "rules": rules or {},
    }


@cache
def source_hash() -> str:
    """One hash over the source files that a result depends on."""
    folder = Path(__file__).parents[1]
    return _digest([(folder / f"{name}.py").read_text(encoding="utf-8") for name in SOURCES])[:12]


@cache
def _git(*arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=root(), capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
