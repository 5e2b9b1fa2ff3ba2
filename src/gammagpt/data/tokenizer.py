"""Byte-level BPE: trained by `rustbpe` on a corpus's training text, run by `tiktoken`."""

import base64
from pathlib import Path

import numpy as np

from ..project import UserError
from .corpora import CARRY

# GPT-2's cutting of text into words, digits in threes, and punctuation.
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)


def train_tokenizer(texts, size: int) -> dict[bytes, int]:
    """{token: rank} of `size` tokens, the 256 bytes first.

    Raises UserError without `rustbpe`.
    """
    try:
        import rustbpe
    except ImportError:
        raise UserError(
            f"rustbpe: not installed, and needed to prepare a corpus: pip install rustbpe{CARRY}"
        ) from None
    tokenizer = rustbpe.Tokenizer()
    tokenizer.train_from_iterator(iter(texts), size, pattern=PATTERN)
    ranks = {bytes(token): rank for token, rank in tokenizer.get_mergeable_ranks()}
    # A very short text runs out of merges; unused ids keep the vocabulary's size as asked.
    for rank in range(len(ranks), size):
        ranks[b"\xff\xfe" + rank.to_bytes(2, "big")] = rank
    return ranks


def make_encoding(ranks: dict[bytes, int]):
    """A tiktoken Encoding of {token: rank}, and one more id, the end of a text."""
    import tiktoken

    special = {"<|endoftext|>": len(ranks)}
    return tiktoken.Encoding(
        "gammagpt", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=special
    )


def encode_bytes(encoding, data: bytes) -> list[int]:
    """Tokens of any bytes: words as UTF-8 text, or else byte by byte (ids 0-255 are the bytes)."""
    try:
        return encoding.encode_ordinary(data.decode("utf-8"))
    except UnicodeDecodeError:
        return list(data)


def encode_documents(encoding, texts, end_of_text: int) -> np.ndarray:
    """All documents one after another, each followed by the end-of-text token."""
    pieces = encoding.encode_ordinary_batch(texts, num_threads=2)
    return np.concatenate([np.array(p + [end_of_text], dtype=np.uint16) for p in pieces])


def write_ranks(ranks: dict[bytes, int], path: Path) -> None:
    """One line a token, `base64 rank`: tiktoken's own format."""
    lines = [f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items()]
    path.write_text("".join(lines), encoding="ascii")


def read_ranks(path: Path) -> dict[bytes, int]:
    """{token: rank} of a file that `write_ranks` wrote."""
    lines = path.read_text(encoding="ascii").splitlines()
    return {base64.b64decode(token): int(rank) for token, rank in map(str.split, lines)}
