"""Bundles: what is packed comes out whole, and nothing else comes in."""

import gzip
import hashlib
import json
import lzma
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import made_up_record, refusal
from hypothesis import given
from hypothesis import strategies as st

from gammagpt import Record, RunConfig, Store
from gammagpt.gpt.config import SEMANTICS
from gammagpt.gpt.records import SCHEMA
from gammagpt.lab.bundle import import_bundle, pack, read_bundle


def run(seed: int = 0, **data) -> RunConfig:
    return RunConfig.from_dict({"seed": seed, "data": {"fingerprint": "f" * 64} | data})


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def rewrite(path, change) -> None:
    """Replace the list of lines in a bundle by what `change` makes of it."""
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    path.write_bytes(gzip.compress("".join(f"{x}\n" for x in change(lines)).encode()))


def redigested(line: str, without: str = "", **changes) -> str:
    """A record's line with other entries, or without one, and the digest that fits them."""
    content = json.loads(line) | changes
    content = {name: value for name, value in content.items() if name not in ("digest", without)}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return json.dumps(content | {"digest": digest})


@pytest.fixture
def bundle(tmp_path) -> Path:
    """Five records, of seeds 0 to 4."""
    path = tmp_path / "five.bundle"
    assert pack([made_up_record(run(seed), seed / 8 + 3) for seed in range(5)], path) == 5
    return path


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "records")


# ---- there and back ----------------------------------------------------------------------------

finite = st.floats(allow_nan=False, allow_infinity=False)
curves = st.lists(st.tuples(st.integers(0, 10**6), finite).map(list), max_size=4)
made_up = st.builds(
    lambda seed, corpus, loss, curve, name, value: made_up_record(
        run(seed, corpus=corpus), loss, curve=curve,
        probes=[{"step": 0, "tensors": {name: {"stable_rank": value}}}],
    ),
    st.integers(0, 10**9), st.text(min_size=1), st.none() | finite, curves, st.text(), finite,
)


@given(st.lists(made_up, max_size=6, unique_by=lambda record: record.config.seed))
def test_what_is_packed_comes_out_byte_for_byte(records):
    with tempfile.TemporaryDirectory() as folder:
        here, there = Store(f"{folder}/here"), Store(f"{folder}/there")
        here.folder.mkdir(), there.folder.mkdir()
        for record in records:
            here.put(record)
        pack(here, f"{folder}/bundle")
        counts = import_bundle(f"{folder}/bundle", there)
        assert counts == {"new": len(records), "already_there": 0, "kept": 0}
        assert contents(there.folder) == contents(here.folder)


@given(st.permutations(range(5)))
def test_the_same_records_in_any_order_are_the_same_bytes(order):
    records = [made_up_record(run(seed), 3.0) for seed in range(5)]
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder, "one"), Path(folder, "a name of another length")
        pack(records, one)
        pack([records[i] for i in order], other)
        assert one.read_bytes() == other.read_bytes()
        assert one.read_bytes()[4:8] == bytes(4)  # gzip's time


def test_a_line_is_a_record_and_the_first_one_says_how_many(bundle):
    header, *lines = gzip.decompress(bundle.read_bytes()).decode().splitlines(keepends=True)
    assert json.loads(header) == {"gammagpt bundle": 1, "semantics": SEMANTICS, "records": 5}
    assert [Record.from_json(line).to_json() for line in lines] == lines
    keys = [json.loads(line)["key"] for line in lines]
    assert keys == sorted(run(seed).key for seed in range(5))


def test_a_bundle_that_was_packed_anew_for_a_download_is_read_and_a_damaged_one_refused(bundle):
    packed = lzma.compress(gzip.decompress(bundle.read_bytes()))
    found = read_bundle(bundle)
    bundle.write_bytes(packed)
    assert [record.key for record in read_bundle(bundle)] == [record.key for record in found]
    for damaged in (packed[:-20], packed[:50] + b"?" + packed[51:]):
        bundle.write_bytes(damaged)
        assert "line 1" in refusal(read_bundle, bundle)


def test_a_second_import_changes_no_byte(bundle, store):
    import_bundle(bundle, store)
    before = {path: path.stat().st_mtime_ns for path in store.folder.iterdir()}
    assert import_bundle(bundle, store) == {"new": 0, "already_there": 5, "kept": 0}
    assert {path: path.stat().st_mtime_ns for path in store.folder.iterdir()} == before


def test_only_what_is_missing_is_added(bundle, store):
    store.put(made_up_record(run(2), 2 / 8 + 3))
    assert import_bundle(bundle, store) == {"new": 4, "already_there": 1, "kept": 0}


@pytest.mark.parametrize(
    "other",
    [
        made_up_record(run(2), 3.2500001),
        made_up_record(run(2), None),
        made_up_record(run(2), 3.25, curve=[[0, 1.0]]),
        made_up_record(run(2), 3.25, probes=[{"step": 1}]),
    ],
)
def test_of_a_run_with_other_numbers_the_one_that_was_there_is_kept(bundle, store, other):
    before = store.put(other).read_bytes()
    assert import_bundle(bundle, store) == {"new": 4, "already_there": 0, "kept": 1}
    assert store.path(run(2).key).read_bytes() == before


def test_the_same_numbers_of_another_machine_are_already_there(bundle, store):
    record = made_up_record(run(2), 3.25)
    elsewhere = record.provenance | {"device": "another", "seconds": 99.0}
    before = store.put(replace(record, provenance=elsewhere)).read_bytes()
    assert import_bundle(bundle, store)["already_there"] == 1
    assert store.path(run(2).key).read_bytes() == before


def test_a_damaged_record_of_the_store_is_replaced(bundle, store):
    path = store.put(made_up_record(run(2), 3.25))
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.warns(UserWarning, match=path.name):
        assert import_bundle(bundle, store)["new"] == 5
    assert path.read_bytes() == whole


def test_records_of_other_semantics_are_not_packed(tmp_path):
    record = made_up_record(run(0), 3.0)
    old = replace(record, provenance=record.provenance | {"semantics": SEMANTICS - 1})
    assert pack([old, made_up_record(run(1), 3.0)], tmp_path / "bundle") == 1
    assert [r.config.seed for r in read_bundle(tmp_path / "bundle")] == [1]


def test_a_bundle_of_nothing_is_a_bundle(tmp_path, store):
    assert pack([], tmp_path / "deep" / "bundle") == 0
    assert import_bundle(tmp_path / "deep" / "bundle", store)["new"] == 0


def test_packing_replaces_the_file_and_leaves_no_other(bundle):
    pack([made_up_record(run(9), 3.0)], bundle)
    assert [record.config.seed for record in read_bundle(bundle)] == [9]
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]
    assert bundle.stat().st_mode & 0o777 == 0o644


def test_a_failed_packing_leaves_the_old_file_alone(bundle):
    before = bundle.read_bytes()
    with pytest.raises(ValueError):
        pack([made_up_record(run(0), float("nan"))], bundle)
    assert bundle.read_bytes() == before and len(list(bundle.parent.iterdir())) == 1


# ---- what is refused ---------------------------------------------------------------------------


def refused(path, store) -> str:
    """The one line that refuses a bundle; it names the file, and nothing was written."""
    message = refusal(import_bundle, path, store)
    assert str(path) in message and not store.folder.exists()
    return message


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("packed") / "bundle"
    pack([made_up_record(run(seed), 3.0) for seed in range(3)], path)
    return path.read_bytes()


@given(st.data())
def test_a_byte_that_was_altered_never_alters_a_record(packed, data):
    """A few bytes of gzip's own (the time, unused bits) say nothing of the content."""
    position = data.draw(st.integers(0, len(packed) - 1))
    flipped = packed[position] ^ data.draw(st.integers(1, 255))
    altered = packed[:position] + bytes([flipped]) + packed[position + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        whole, path, store = Path(folder, "whole"), Path(folder, "x"), Store(f"{folder}/records")
        whole.write_bytes(packed), path.write_bytes(altered)
        try:
            assert read_bundle(path) == read_bundle(whole)
        except ValueError:
            refused(path, store)


@given(st.data())
def test_a_truncated_file_is_refused_wherever_it_ends(packed, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x")
        path.write_bytes(packed[: data.draw(st.integers(0, len(packed) - 1))])
        refused(path, Store(f"{folder}/records"))


@given(st.data())
def test_a_character_that_was_altered_in_a_record_is_refused(data):
    line = made_up_record(run(0), 3.0).to_json().rstrip("\n")
    position = data.draw(st.integers(0, len(line) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c != line[position]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x")
        pack([made_up_record(run(0), 3.0)], path)
        rewrite(path, lambda lines: [lines[0], line[:position] + other + line[position + 1 :]])
        assert "line " in refused(path, Store(f"{folder}/records"))


def header(**changes):
    return lambda lines: [json.dumps(json.loads(lines[0]) | changes), *lines[1:]]


def third(**changes):
    """The third line is another record, with a digest that fits."""
    return lambda lines: [*lines[:2], redigested(lines[2], **changes), *lines[3:]]


def foreign(lines):
    origin = json.loads(lines[2])["provenance"] | {"semantics": SEMANTICS + 1}
    return third(provenance=origin)(lines)


def unpinned(lines):
    config = json.loads(lines[2])["config"]
    return third(config=config | {"data": config["data"] | {"fingerprint": ""}})(lines)


def another_run(lines):
    return third(config=json.loads(lines[2])["config"] | {"seed": 77})(lines)


ALTERED = {
    "another version": (header(**{"gammagpt bundle": 2}), "line 1: got version 2"),
    "other semantics": (header(semantics=SEMANTICS + 1), f"with semantics {SEMANTICS + 1}"),
    "a header that promises more": (header(records=6), "line 1: promises 6 records, 5 are"),
    "a header that promises no number": (header(records=None), "promises None records"),
    "no header": (lambda lines: lines[1:], "line 1: not the first line"),
    "a header that is a list": (lambda lines: ["[]", *lines[1:]], "line 1: not the first line"),
    "a record missing": (lambda lines: lines[:-1], "promises 5 records, 4 are there"),
    "a record too many": (lambda lines: [*lines, lines[1]], "promises 5 records, 6 are there"),
    "a record twice": (lambda lines: [*lines[:-1], lines[1]], "line 6: the run"),
    "half a record": (lambda lines: [*lines[:-1], lines[-1][:-30]], "line 6: "),
    "an altered number": (
        lambda lines: (
            [*lines[:3], lines[3].replace('"step', '"stop').replace("5.25", "5.26")] + lines[4:]
        ),
        "line 4: its content does not match its digest",
    ),
    "a blank line": (lambda lines: [*lines[:2], "", *lines[3:]], "line 3: "),
    "a number for a record": (lambda lines: [*lines[:2], "7", *lines[3:]], "line 3: not a record"),
    "brackets without end": (lambda lines: [*lines[:2], "[" * 10**5, *lines[3:]], "line 3: "),
    "another schema": (third(schema=SCHEMA + 1), f"line 3: not a record of schema {SCHEMA}"),
    "a record of other semantics": (foreign, "line 3: semantics: got"),
    "a key that is not its own": (third(key="0" * 16), "line 3: its key is '0000"),
    "the configuration of another run": (another_run, "line 3: its key is"),
    "no key": (third(without="key"), "line 3: lacks 'key'"),
    "no provenance": (third(without="provenance"), "line 3: lacks 'provenance'"),
    "provenance that is a text": (third(provenance="here"), "line 3: "),
    "an impossible configuration": (third(config={"steps": 0}), "line 3: steps: got 0"),
    "data without a fingerprint": (unpinned, "line 3: the run's data has no fingerprint"),
}


@pytest.mark.parametrize("change, words", ALTERED.values(), ids=ALTERED)
def test_what_was_altered_is_refused_with_its_line_and_the_reason(bundle, store, change, words):
    rewrite(bundle, change)
    message = refused(bundle, store)
    assert message.startswith(f"{bundle}: line ") and words in message, message


def test_an_unfinished_last_line_is_refused(bundle, store):
    text = gzip.decompress(bundle.read_bytes()).rstrip(b"\n")
    bundle.write_bytes(gzip.compress(text))
    assert "truncated" in refused(bundle, store)


NO_BUNDLES = {
    "empty": b"", "text": b"hello\n", "a record": made_up_record(run(0), 3.0).to_json().encode(),
    "an empty gzip": gzip.compress(b""), "rubbish in gzip": gzip.compress(bytes(range(256))),
    "something after it": None,
}


@pytest.mark.parametrize("content", NO_BUNDLES.values(), ids=NO_BUNDLES)
def test_a_file_that_is_no_bundle_is_refused(bundle, store, content):
    bundle.write_bytes(bundle.read_bytes() + b"more" if content is None else content)
    assert "line 1: " in refused(bundle, store)


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path, store):
    assert "No such file" in refused(tmp_path / "nowhere", store)
    assert "directory" in refused(tmp_path, store)


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert "is a folder" in refusal(pack, [], tmp_path)
    assert "cannot be written" in refusal(pack, [], tmp_path / "file" / "bundle")
