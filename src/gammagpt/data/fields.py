"""What the fields of a configuration may hold: plain values of their types, however it is made.

A configuration made in a script is held to the same as one from a file. Otherwise 20.0 steps would
have another key than 20, and what numpy counts with would have none.
"""

import hashlib
import json
import math
import types
import typing
from dataclasses import asdict, fields, is_dataclass, replace
from functools import cache, lru_cache

from ..project import UserError, require_one_of

WORDS = {float: "a finite number", int: "a whole number below 2^63", bool: "true or false",
         str: "text", types.NoneType: "nothing"}  # fmt: skip
BOUNDED = {float: math.inf, int: 2**63}


def check_fields(config, prefix: str = "") -> None:
    """Make each field of a frozen dataclass a plain value of its type, or raise UserError.

    Whole numbers may stand for floats, numpy's scalars for Python's, and mappings for the parts of
    a run; nothing else is bent. `kind` tells classes apart, so it is what its class says.
    """
    for name, allowed in _types(type(config)).items():
        given = getattr(config, name)
        value = _value(allowed, given, prefix, name)
        if name == "kind":
            require_one_of([type(config).kind], f"{prefix}kind", value)
        if value is not given:
            object.__setattr__(config, name, value)


def build(cls, mapping, name: str = "config"):
    """A dataclass from a mapping; UserError names what is no mapping, or a field that is unknown.

    `name` says which part of a run it is.
    """
    if not isinstance(mapping, dict):
        raise UserError(f"{name}: got {mapping!r}, expected a mapping")
    if unknown := [field for field in mapping if field not in _types(cls)]:
        prefix = "" if name == "config" else f"{name}."
        raise UserError(f"{prefix}{unknown[0]}: unknown, allowed are {', '.join(_types(cls))}")
    try:
        return cls(**mapping) if name == "config" else _part(cls, **mapping)
    except TypeError:  # a value without a hash, which the class will name
        return cls(**mapping)


@lru_cache(maxsize=4096, typed=True)
def _part(cls, **mapping):
    """Thousands of runs are made of a few parts, which never change."""
    return cls(**mapping)


def fingerprinted(config, form: int):
    """The same data with its fingerprint, for data that are made of nothing but their fields;
    `form` is raised when a change of code alters what is made of the same ones."""
    content = asdict(replace(config, fingerprint="")) | {"format": form}
    text = json.dumps(content, sort_keys=True)
    return replace(config, fingerprint=hashlib.sha256(text.encode()).hexdigest())


def check_fingerprint(config) -> None:
    """Refuse a fingerprint of other data, which a changed copy of a configuration would keep."""
    found = replace(config, fingerprint="").pinned().fingerprint
    if config.fingerprint not in ("", found):
        raise UserError(
            f"data.fingerprint: got {config.fingerprint[:12]}, but this data has {found[:12]}; "
            "allowed is that, or none"
        )


@cache
def _types(cls) -> dict[str, tuple]:
    """Field -> the types that it may have. Slow, and asked for at every configuration."""
    hints = typing.get_type_hints(cls)
    return {f.name: typing.get_args(hints[f.name]) or (hints[f.name],) for f in fields(cls)}


def _value(allowed: tuple, value, prefix: str, name: str):
    """The value as a field of these types keeps it."""
    kind = type(value)
    if kind in allowed and (kind not in BOUNDED or -BOUNDED[kind] < value < BOUNDED[kind]):
        return value or kind()  # -0.0 equals 0.0, so it is that
    name = prefix + name
    if is_dataclass(allowed[0]):
        known = isinstance(value, allowed)
        return value if known else build(_of_kind(allowed, value, name), value, name)
    value = given = _plain(value)
    if type(value) is int and (float in allowed or abs(value) >= 2**63):
        value = float(value) if abs(value) < 2**1023 else math.inf
    if type(value) not in allowed or (type(value) is float and not math.isfinite(value)):
        words = " or ".join(WORDS[kind] for kind in allowed)
        huge = type(given) is int and given.bit_length() > 99  # it can have more digits than print
        got = repr(value if huge else given).replace("\n", " ")  # numpy's arrays take lines
        raise UserError(f"{name}: got {got[:200]}, allowed is {words}")
    return value or type(value)()


def _plain(value):
    """A scalar of numpy as Python's own: a float32 of 0.8 is 0.8, as it prints."""
    if type(value).__module__ != "numpy" or getattr(value, "shape", None) != ():
        return value
    return float(str(value)) if value.dtype.kind == "f" else value.item()


def _of_kind(classes, value, name: str):
    """Which of several dataclasses a mapping means: `kind` says it; the first is the default."""
    if len(classes) == 1 or not isinstance(value, dict) or "kind" not in value:
        return classes[0]
    kinds = {cls.kind: cls for cls in classes}
    require_one_of([*kinds], f"{name}.kind", value["kind"])  # a list: some values have no hash
    return kinds[value["kind"]]
