"""A run's configuration, and its key."""

import hashlib
import json
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache, cached_property, lru_cache

from ..data import AnchorConfig, BackcopyConfig, DataConfig
from ..data.fields import build, check_fields
from ..project import require, require_least, require_one_of
from .options import (
    PRECISIONS,
    EmbMLPConfig,
    GPTConfig,
    InitConfig,
    OptimConfig,
    ProbeConfig,
)

SEMANTICS = 1  # raise when a change of code alters results: old records then no longer match


@dataclass(frozen=True)
class RunConfig:
    """Everything that can change a number of a run."""

    model: GPTConfig | EmbMLPConfig = field(default_factory=GPTConfig)
    init: InitConfig = field(default_factory=lambda: InitConfig(gamma=0.5))
    optim: OptimConfig = field(default_factory=OptimConfig)
    data: DataConfig | AnchorConfig | BackcopyConfig = field(default_factory=DataConfig)
    probes: ProbeConfig = field(default_factory=ProbeConfig)
    steps: int = 400
    batch_size: int = 32  # windows of model.block_size tokens
    seed: int = 0  # of the weights and of the order of the data
    precision: str = "float32"

    def __post_init__(self):
        check_fields(self)
        require_least(1, self, ("steps",), most=10**8)
        require_least(1, self, ("batch_size",), most=10**6)
        require_least(0, self, ("seed",))
        require_one_of(PRECISIONS, "precision", self.precision)
        self._check_data(self.data.kind == "text")

    def _check_data(self, text: bool) -> None:
        """Whether model, probes and data fit together."""
        model, data = self.model, self.data
        require(model.vocab_size == data.vocab_size, "data.vocab_size", data.vocab_size,
                f"is model.vocab_size = {model.vocab_size}")
        if data.kind == "anchors":
            require(model.block_size == data.length, "model.block_size", model.block_size,
                    f"is data.length = {data.length}")
        needs = {"text": (), "anchors": ("neurons", "tokens", "sinks", "norms"),
                 "backcopy": ("neurons", "tokens", "geometry", "norms")}
        for name in needs[data.kind]:
            asked = getattr(self.probes, name)
            require(not asked, f"probes.{name}", asked, "is 0 without a text")
        bias = getattr(model, "head_bias", "none")
        require(text or bias != "unigram", "model.head_bias", bias, "without a text are none, zero")
        require(data.kind == "anchors" or model.kind == "gpt", "model.kind", model.kind,
                f"is 'gpt' for {'a text' if text else data.kind}")

    @classmethod
    def from_dict(cls, mapping: dict) -> "RunConfig":
        """Build from nested dicts; unknown keys and values of a wrong type raise UserError."""
        return build(cls, mapping)

    def to_dict(self) -> dict:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {n: dict(vars(v)) if is_dataclass(v) else v for n, v in values.items()}

    def pinned(self) -> "RunConfig":
        """The same run with the fingerprint of its data filled in."""
        return self if self.data.fingerprint else replace(self, data=self.data.pinned())

    @cached_property
    def key(self) -> str:
        """Same key, same record: a hash of the configuration, its data and SEMANTICS.

        Only what differs from the defaults is hashed, so that a field added later, whose default
        changes nothing, keeps all records valid; the store compares whole configurations.
        """
        return _key(self.pinned())

    def content(self, skip=None) -> dict:
        """What can change a number, less what equals `skip`: of the data, only its fingerprint."""
        config = self.pinned().to_dict()
        config["data"] = {"fingerprint": config["data"]["fingerprint"]}
        return _difference(config, skip) if skip else config

    @property
    def tokens(self) -> int:
        return self.steps * self.batch_size * self.model.block_size


@lru_cache(maxsize=16384)
def _key(config: RunConfig) -> str:
    """Of a configuration whose data are pinned; a page asks for each of them many times."""
    content = config.content(skip=_defaults())
    return _digest({"config": content, "semantics": SEMANTICS})[:16]


@cache
def _defaults() -> dict:
    return RunConfig().to_dict()


def _difference(config: dict, default: dict) -> dict:
    """The entries of a nested dict that differ from those of another."""
    parts = {
        name: _difference(value, default[name]) if isinstance(value, dict) else value
        for name, value in config.items()
    }
    same = [name for name, value in parts.items() if value in ({}, default.get(name, {}))]
    return {name: value for name, value in parts.items() if name not in same}


def _canonical(content) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(content) -> str:
    return _sha256(_canonical(content))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
