"""Whether records can be written is asked before the first step; nothing is left where not."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from helpers import made_up_record, refusal

from gammagpt import Store, UserError, project, sweep
from gammagpt.lab import sweep as sweeping
from gammagpt.lab.bundle import pack


@pytest.fixture
def untrained(monkeypatch):
    """A run that is trained after all fails the test."""
    monkeypatch.setattr(sweeping, "train_job", lambda *_: pytest.fail("it was trained"))


def closed_places(folder: Path) -> list[Path]:
    """Where even root can write nothing: under a file, behind a dangling link, in /proc."""
    (folder / "file").write_text("")
    (folder / "dangling").symlink_to("/proc/nope")
    places = [folder / "file" / "runs", folder / "dangling"]
    return places + [Path("/proc/nope")] * Path("/proc/self").exists()


def test_a_sweep_into_a_place_that_cannot_be_written_trains_nothing(tiny, tmp_path, untrained):
    for place in closed_places(tmp_path):
        message = refusal(sweep, [tiny], Store(place), workers=1)
        assert message.startswith(f"store: {place} cannot be written ("), message
    assert {path.name for path in tmp_path.iterdir()} == {"file", "dangling"}


@pytest.mark.parametrize("verb", [["train"], ["records", "import", "b"], ["gpu", "--rehearse"]])
def test_the_command_line_says_so_in_one_line(verb, tmp_path, capsys, monkeypatch):
    from gammagpt.cli import main

    monkeypatch.chdir(tmp_path)
    pack([], "b")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path / "file"))
    place = {"train": ["--store", "file/runs"], "gpu": ["--out", "file/slice"]}.get(verb[0], [])
    assert main([*verb, *place]) == 2
    errors = capsys.readouterr().err
    words = "cannot be written (" if place else "is a folder, this is a file"
    assert errors.startswith("error: ") and words in errors
    assert errors.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"b", "file"}


FULL = """
import resource, signal, sys
from gammagpt import Store, UserError, Record
record = Record.from_json(open(sys.argv[1]).read())
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))  # bytes: a disk that is full in the midst
try:
    Store(sys.argv[2]).put(record)
except UserError as error:
    print(error)
"""


def test_a_disk_that_is_full_in_the_midst_leaves_nothing_behind(tiny, tmp_path):
    (tmp_path / "r").write_text(made_up_record(tiny, 5.0).to_json())
    command = [sys.executable, "-c", FULL, str(tmp_path / "r"), str(tmp_path / "store")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.stdout.startswith("store: ") and "cannot be written" in result.stdout, result
    assert list((tmp_path / "store").iterdir()) == []


def test_what_was_there_before_is_there_if_the_new_cannot_be_written(tmp_path, monkeypatch):
    project.write("x", tmp_path / "x", b"before")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="cannot be written .No space left on device"):
        project.write("x", tmp_path / "x", b"after")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("x", b"before")]


@pytest.mark.parametrize("damage", ["truncated", "nested", "a folder"])
def test_a_damaged_record_that_cannot_be_moved_is_named_and_passed_over(
    tiny, tmp_path, damage, monkeypatch
):
    store, good = Store(tmp_path), made_up_record(tiny, 5.0)
    store.put(good)
    bad = tmp_path / "0123456789abcdef.json"
    if damage == "a folder":
        bad.mkdir()
    else:
        bad.write_text(good.to_json()[:99] if damage == "truncated" else "[" * 100_000)

    def read_only(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", read_only)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert list(store) == [good]
    [warning] = told
    words = "passed over, since it cannot be set aside (Read-only file system)"
    assert bad.name in str(warning.message) and words in str(warning.message)
    assert bad.exists()
