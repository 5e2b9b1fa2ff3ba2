"""Texts of others, by the optional package `datasets`: from the Hugging Face Hub, or a file.

    hub:roneneldan/TinyStories             the column "text" of its training split
    hub:somebody/proofs:question,chain     two columns, one below the other
    hub:/home/me/proofs.jsonl:chain        a file, .jsonl or .parquet

The Hub may change: the fingerprint in every record says which tokens it was.
"""

import hashlib
from itertools import islice
from pathlib import Path

from ..project import UserError

PREFIX, FILES = "hub:", {".jsonl": "json", ".parquet": "parquet"}


def local_file(corpus: str) -> Path | None:
    """The file that a corpus names, whether it is there or not; None for one of the Hub."""
    path = Path(_parts(corpus)[0]).expanduser()
    return path if path.suffix in FILES else None


def identity(corpus: str, count: int) -> str:
    """What a corpus is, without `datasets`: its name, or what is in its file; and how much."""
    name, columns = _parts(corpus)
    if path := local_file(corpus):
        name = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{name}:{','.join(columns)}:{count}"


def documents(corpus: str, count: int) -> list[tuple[str, str]]:
    """(group, text) of the first `count` rows that are not empty; equal texts are one group."""
    texts = [text for row in _rows(corpus, count) if (text := _text(corpus, row))]
    if not texts:
        raise UserError(f"corpus: {corpus} holds no text")
    return [(text, text) for text in texts]


def _rows(corpus: str, count: int) -> list[dict]:
    try:
        from datasets import load_dataset
    except ImportError:
        need = f'needed for {corpus}: pip install -e ".[datasets]"'
        raise UserError(f"datasets: not installed, and {need}") from None
    file = local_file(corpus)
    source = (FILES[file.suffix], None, None, str(file)) if file else _parts(corpus)[:1]
    try:
        splits = load_dataset(*source, streaming=True)
        return list(islice(splits["train" if "train" in splits else min(splits)], count))
    except Exception as error:  # no network, no such set, a broken file: the error says which
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"corpus: {corpus} cannot be read: {reason}") from None


def _text(corpus: str, row: dict) -> str:
    texts = {n: value or "" for n, value in row.items() if isinstance(value, str | None)}
    columns = _parts(corpus)[1]
    if missing := [column for column in columns if column not in texts]:
        raise UserError(f"corpus: {corpus} has no text in {missing[0]!r}, but in {list(texts)}")
    return "\n".join(texts[column] for column in columns).strip()


def _parts(corpus: str) -> tuple[str, list[str]]:
    name, _, columns = corpus.removeprefix(PREFIX).partition(":")
    if not name:
        raise UserError(f"corpus: got {corpus!r}, allowed is hub:NAME or hub:NAME:COLUMN")
    return name, (columns or "text").split(",")
