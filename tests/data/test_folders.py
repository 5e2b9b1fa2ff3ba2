"""What counts as data in somebody's folder: every text once, whatever lies beside it."""

import os
import warnings
from pathlib import Path

import pytest
from helpers import prose, refusal
from hypothesis import given
from hypothesis import strategies as st

from gammagpt.data import DataConfig, load_text
from gammagpt.data.corpora import read_documents, split_documents

COUNT = 11


def fill(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for n in range(COUNT):
        (folder / f"{n:02}.txt").write_text(prose(seed=n, size=900), encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path) -> Path:
    return fill(tmp_path / "mine")


def read(folder) -> tuple[list, list[str]]:
    """The documents, and what was said."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        documents = read_documents(str(folder))
    return documents, [str(warning.message) for warning in told]


def test_hidden_and_system_files_are_passed_over_in_silence(folder):
    plain = read(folder)
    for name in (".ipynb_checkpoints/00-checkpoint.txt", "._00.txt", "__MACOSX/._01.txt",
                 ".git/x.txt", "~$02.txt", "deep/.hidden/03.txt"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\x00\x05\xff Mac OS X" * 9)
    assert read(folder) == plain and len(plain[0]) == COUNT and plain[1] == []


def test_a_copy_of_a_text_counts_once_and_is_named(folder):
    plain, _ = read(folder)
    for n in range(3):
        text = (folder / f"{n:02}.txt").read_text()
        (folder / f"{n:02} (1).txt").write_text(text + "\n")
    documents, told = read(folder)
    train, validation = split_documents(documents)
    assert len(documents) == COUNT and not {*map(str.strip, train)} & {*map(str.strip, validation)}
    assert sorted(text.strip() for _, text in documents) == sorted(t.strip() for _, t in plain)
    assert told == [f"corpus: {folder}: 3 texts are there already and count once: "
                    "'00.txt', '01.txt', '02.txt'"]  # fmt: skip


def test_every_text_file_is_read_and_every_other_file_is_named(folder):
    plain, _ = read(folder)
    for n in range(COUNT - 1):
        (folder / f"{n:02}.txt").rename(folder / f"{n:02}.{'TXT' if n else 'Txt'}")
    (folder / "notes.md").write_text("# Notes")
    (folder / "b.txt").mkdir()
    documents, told = read(folder)
    assert sorted(text for _, text in documents) == sorted(text for _, text in plain)
    assert told == [f"corpus: {folder}: 1 files are passed over, since their names do not end in "
                    ".txt: 'notes.md'"]  # fmt: skip


def test_a_dangling_link_is_refused_by_name(folder):
    (folder / "gone.txt").symlink_to(folder / "nowhere")
    place = str(folder / "gone.txt")
    assert refusal(read_documents, str(folder)) == (
        f"corpus: {place!r} cannot be read (No such file or directory)"
    )


def test_what_may_never_end_is_no_text(folder):
    os.mkfifo(folder / "pipe.txt")
    for corpus in (folder, folder / "pipe.txt", "/dev/zero"):
        assert "allowed is a text file or a folder of them" in refusal(read_documents, str(corpus))


def test_a_file_name_that_is_no_utf_8_is_a_name(folder, fresh_cache):
    os.rename(os.fsencode(folder / "00.txt"), os.fsencode(folder) + b"/caf\xe9.txt")
    text = load_text(DataConfig(str(folder), 300))
    assert len(text.train) > 0
    os.rename(os.fsencode(folder) + b"/caf\xe9.txt", os.fsencode(folder) + b"/caf\xe9.dat")
    assert r"'caf\udce9.dat'" in read(folder)[1][0]


@given(st.sets(st.integers(0, COUNT - 1)), st.sampled_from(["\n", "\r\n", "\r"]))
def test_the_fingerprint_is_of_the_text_and_not_of_its_encoding(tmp_path_factory, marked, ending):
    base = tmp_path_factory.mktemp("folders")
    plain, other = fill(base / "plain"), fill(base / "other")
    for n in marked:
        text = (other / f"{n:02}.txt").read_text().replace("\n", ending)
        (other / f"{n:02}.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read(other) == read(plain)


@pytest.mark.parametrize("name", ["n" * 300, "a\0b", "~nobody-of-this-name/x"])
def test_a_name_that_no_file_can_have_is_refused(name):
    assert refusal(read_documents, name).startswith("path: got ")
