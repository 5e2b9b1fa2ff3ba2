"""A bundle: many records in one file, to carry from the machine that trained to another."""

import gzip
import io
import json
import lzma
import zlib
from pathlib import Path

from ..gpt.config import SEMANTICS
from ..gpt.records import Record
from ..project import UserError, write
from .store import Store

VERSION = 1  # the layout of a bundle
NAME = "gammagpt bundle"  # the first entry of a bundle's first line
XZ = b"\xfd7zXZ"  # how a bundle begins that is packed for a download (book/downloads.py)
NUMBERS = ("status", "diverged_at", "curves", "probes", "final")  # all but where and when


def pack(records, path) -> int:
    """Write records (a Store, or any iterable of them) into one file; returns how many.

    The same records give the same bytes. Those made under other SEMANTICS are left out, and of
    two records of one run the later is taken. Raises UserError if the file cannot be written.
    """
    lines = {r.key: r.to_json() for r in records if r.provenance["semantics"] == SEMANTICS}
    header = json.dumps({NAME: VERSION, "semantics": SEMANTICS, "records": len(lines)}) + "\n"
    write("bundle", Path(path), _zip(header + "".join(lines[key] for key in sorted(lines))))
    return len(lines)


def import_bundle(path, store: Store) -> dict[str, int]:
    """Read a whole bundle, then add it to a store; see `read_bundle` and `add`."""
    return add(read_bundle(path), store)


def read_bundle(path) -> list[Record]:
    """All records of a bundle; writes nothing.

    Raises UserError, with the line and the reason, unless every one of them is whole, unaltered
    and made by code whose results are ours.
    """
    header, *lines = _lines(path)
    _check_header(path, header, len(lines))
    records: dict[str, Record] = {}
    for number, line in enumerate(lines, 2):
        try:
            record = _record(line)
            if record.key in records:
                raise ValueError(f"the run {record.key} is there twice")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(f"{path}: line {number}: {_reason(error)}") from None
        records[record.key] = record
    return list(records.values())


def add(records, store: Store) -> dict[str, int]:
    """Put into a store what it lacks. Returns counts: new, already_there, kept.

    Kept are records of the store whose numbers differ from those that were to be added: runs on
    two machines differ by rounding, and what was published first stays.
    """
    counts = {"new": 0, "already_there": 0, "kept": 0}
    for record in records:
        known = store.get(record.config)
        if known is None:
            store.put(record)
        same = known and all(getattr(known, name) == getattr(record, name) for name in NUMBERS)
        counts["new" if known is None else "already_there" if same else "kept"] += 1
    return counts


def _zip(text: str) -> bytes:
    """No name and no time inside, so that the same text gives the same bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as file:
        file.write(text.encode())
    return buffer.getvalue()


def _lines(path) -> list[str]:
    try:
        packed = Path(path).read_bytes()
        unpack = lzma.decompress if packed.startswith(XZ) else gzip.decompress
        *lines, rest = unpack(packed).decode().split("\n")
    except gzip.BadGzipFile as error:
        raise UserError(f"{path}: line 1: not a bundle, or an altered one ({error})") from None
    except OSError as error:
        raise UserError(f"bundle: {path} cannot be read ({error.strerror})") from None
    except (EOFError, zlib.error, lzma.LZMAError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: line 1: truncated or altered ({error})") from None
    if rest or not lines:
        raise UserError(f"{path}: line {len(lines) + 1}: not a bundle, or a truncated one")
    return lines


def _check_header(path, line: str, count: int) -> None:
    try:
        header = json.loads(line)
        version, semantics, promised = (header[n] for n in (NAME, "semantics", "records"))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path}: line 1: not the first line of a bundle") from None
    if (version, semantics) != (VERSION, SEMANTICS):
        raise UserError(
            f"{path}: line 1: got version {version!r} with semantics {semantics!r}, "
            f"allowed is version {VERSION} with semantics {SEMANTICS}"
        )
    if promised != count:
        raise UserError(f"{path}: line 1: promises {promised!r} records, {count} are there")


def _record(line: str) -> Record:
    """The record of one line. Raises ValueError, KeyError or TypeError if it is not ours."""
    record = Record.from_json(line)
    semantics = record.provenance["semantics"]
    if semantics != SEMANTICS:
        raise ValueError(f"semantics: got {semantics!r}, {SEMANTICS} is allowed")
    if not record.config.data.fingerprint:  # its key would depend on what is on this machine
        raise ValueError("the run's data has no fingerprint")
    if (key := json.loads(line)["key"]) != record.key:
        raise ValueError(f"its key is {key!r}, that of its configuration {record.key!r}")
    return record


def _reason(error: Exception) -> str:
    return f"lacks {error}" if isinstance(error, KeyError) else str(error)
