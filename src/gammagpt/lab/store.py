"""The store: a folder of records, one JSON file a run."""

import itertools
import os
import tempfile
import warnings
from functools import lru_cache
from pathlib import Path

from ..gpt.config import SEMANTICS, RunConfig, _digest
from ..gpt.records import Record
from ..project import UserError, expanded, writable, write


class Store:
    """A folder of records, one `<key>.json` a run. Safe under kill -9 and several processes."""

    def __init__(self, folder: Path):
        self.folder = expanded(folder)
        if self.folder.is_file():
            raise UserError(f"store: {folder} is a file, allowed is a folder")

    def path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def get(self, config: RunConfig) -> Record | None:
        """The record of a configuration, or None. A damaged one is named and set aside."""
        return self._read(self.path(config.key), config)

    def put(self, record: Record) -> Path:
        """Write atomically: a reader sees the whole record or none."""
        write("store", self.path(record.key), record.to_json().encode())
        return self.path(record.key)

    def check(self) -> None:
        """Raise UserError unless records can be written: before the runs, not after them."""
        writable("store", self.folder)

    def lock(self):
        """A context that one process at a time is in; a process that is killed has left it.

        Its file is no record, so it lies elsewhere: one for each user and folder.
        """
        from filelock import FileLock

        name = _digest([str(self.folder.resolve()), str(Path.home())])[:16]
        return FileLock(Path(tempfile.gettempdir()) / f"gammagpt-{name}.lock")

    def __iter__(self):
        for path in sorted(self.folder.glob("*.json")):
            record = self._read(path)
            if record is not None:
                yield record

    def _read(self, path: Path, config: RunConfig | None = None) -> Record | None:
        try:
            state = path.stat()
            record = _parsed(path, state.st_ino, state.st_mtime_ns, state.st_size)
            if record.key != path.stem and record.provenance["semantics"] == SEMANTICS:
                raise ValueError(f"it is the record of run {record.key}")
            same = config in (None, record.config)
            if not same and record.config.content() != config.content():
                raise ValueError("it was made under other defaults")
            return record
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            reason = str(error) or type(error).__name__
            warnings.warn(f"{path.name}: {reason}; {_set_aside(path)}", stacklevel=2)
            return None


def _set_aside(path: Path) -> str:
    """Move a damaged record out of the way, and say so; where that cannot be, it is passed over."""
    aside = _free_name(path.with_name(f"{path.name}.set-aside"))
    try:
        os.replace(path, aside)
    except FileNotFoundError:  # another process has set it aside just now
        pass
    except OSError as error:
        return f"passed over, since it cannot be set aside ({error.strerror})"
    return f"set aside as {aside.name}"


@lru_cache(maxsize=4096)
def _parsed(path: Path, *state: int) -> Record:
    """The record in a file; read again only when the file's state on disk is another."""
    return Record.from_json(path.read_text(encoding="utf-8"))


def _free_name(path: Path) -> Path:
    """The path itself, or with a number: what was set aside before is kept."""
    others = (path.with_name(f"{path.name}-{number}") for number in itertools.count(2))
    return next(p for p in itertools.chain([path], others) if not p.exists())
