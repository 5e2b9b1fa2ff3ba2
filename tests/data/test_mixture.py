"""Mixtures of texts: one vocabulary, parts that stay apart, and chains of thought nobody saw."""

import hashlib
import json
import math
import shutil
import sys
from collections import Counter
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import prose, refusal, strict_json
from hypothesis import given
from hypothesis import strategies as st

from gammagpt import RunConfig, frame, train
from gammagpt.data import DataConfig, arithmetic, corpora, facts, load_text, logic, stories
from gammagpt.data.batches import (
    DEPTHS,
    PROBLEMS,
    UNSEEN,
    question_sets,
    question_windows,
)
from gammagpt.data.corpora import FIVE, read_documents, split_documents
from gammagpt.data.text import FORMAT, PINNED, prepare, windows
from gammagpt.data.unigrams import own_tokens, unigram_losses
from gammagpt.gpt.model import GPT
from gammagpt.probes.geometry import cosines, group_cosines

BOTH = "logic+stories"
VOCAB = 400  # not one of the pinned sizes
LENGTH = 240  # tokens of a window; the longest problems do not fit


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cache for this file."""
    return tmp_path_factory.mktemp("mixtures")


@contextmanager
def few_documents(folder):
    """The cache of this file, and generated texts of 300 documents, not thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAMMAGPT_CACHE", str(folder))
        patch.setattr(corpora, "DOCUMENTS", 300)
        yield folder


@pytest.fixture
def cache(folder):
    with few_documents(folder):
        yield folder


@pytest.fixture(scope="module")
def mixed(folder):
    """Logic and stories."""
    with few_documents(folder):
        return load_text(DataConfig(BOTH, VOCAB))


@pytest.fixture(scope="module", params=[512, 1024])
def book(request):
    """What the book trains on, in the project's own cache, at full size."""
    return load_text(DataConfig(BOTH, request.param))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    """Three texts of different lengths, each with words of its own."""
    folder = tmp_path_factory.mktemp("texts")
    for name, size in (("a", 9000), ("b", 20_000), ("c", 5000)):
        text = prose(seed=ord(name), size=size).replace("the", f"{name}the{name}")
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return [str(folder / f"{name}.txt") for name in "abc"]


@pytest.fixture
def two(files, cache) -> DataConfig:
    return DataConfig("+".join(files[:2]), 300)


# ---- parts -------------------------------------------------------------------------------------


def test_parts_lie_where_they_are_said_to_be_and_share_one_vocabulary(mixed, cache):
    assert list(mixed.parts) == ["logic", "stories"]
    end, sides = len(mixed.ranks), (mixed.train, mixed.validation)
    for name, cuts in mixed.parts.items():
        documents = split_documents(read_documents(name))
        for tokens, cut, expected in zip(sides, cuts, documents, strict=True):
            pieces = np.split(tokens[cut], np.flatnonzero(tokens[cut] == end) + 1)[:-1]
            assert [mixed.encoding.decode(piece[:-1].tolist()) for piece in pieces] == expected
    for number, side in enumerate(sides):
        cuts = [cuts[number] for cuts in mixed.parts.values()]
        assert cuts[0].start == 0 and cuts[0].stop == cuts[1].start and cuts[1].stop == len(side)


def test_the_vocabulary_has_words_of_every_part(mixed):
    words = {token.decode("utf-8", "replace") for token in mixed.ranks}
    assert {" is", " Each", " and", " the"} <= words


def test_three_parts_are_a_mixture_too(files, cache):
    text = load_text(DataConfig("+".join(files), 300), 16)
    assert list(text.parts) == files
    starts = text.starts(seed=1, steps=40, batch_size=7, length=16)
    for place, name in enumerate((files * 3)[:7]):
        cut = text.parts[name][0]
        assert (cut.start <= starts[:, place]).all() and (starts[:, place] + 17 <= cut.stop).all()


@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 400))
def test_a_batch_takes_the_parts_in_turns_and_no_window_crosses_a_border(
    mixed, seed, batch, length
):
    starts = mixed.starts(seed, 3, batch, length)
    assert starts.shape == (3, batch) and starts.dtype == torch.int64
    cuts = [train for train, _ in mixed.parts.values()]
    for place in range(batch):
        cut, column = cuts[place % 2], starts[:, place]
        assert (column >= cut.start).all() and (column + length + 1 <= cut.stop).all()
    assert torch.equal(starts, mixed.starts(seed, 3, batch, length))


def test_a_longer_run_begins_with_the_batches_of_a_shorter_one(mixed):
    assert torch.equal(mixed.starts(5, 9, 4, 16)[:3], mixed.starts(5, 3, 4, 16))
    assert not torch.equal(mixed.starts(5, 3, 4, 16), mixed.starts(6, 3, 4, 16))


def test_every_place_of_a_part_where_a_window_fits_is_used(mixed):
    first, second = (train for train, _ in mixed.parts.values())
    length = first.stop - first.start - 3
    starts = mixed.starts(0, 100, 2, length)
    assert set(starts[:, 0].tolist()) == {0, 1, 2}
    assert starts[:, 1].min() >= second.start


@pytest.mark.parametrize("name", ["logic", "stories"])
def test_validation_windows_of_a_part_hold_only_that_part(mixed, name):
    own = mixed.validation[mixed.parts[name][1]]
    inputs, targets = mixed.validation_windows(50, 16, name)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    assert np.array_equal(inputs[0], own[:16]) and np.array_equal(targets[-1], own[-16:])
    starts = np.linspace(0, len(own) - 17, 50).astype(int)
    assert torch.equal(windows(own, starts, 16)[0], inputs)


def test_a_part_that_is_too_short_for_a_window_is_refused(files, tmp_path, cache):
    (tmp_path / "short.txt").write_text("An old silent pond\n" * 9)
    config = DataConfig(f"{files[0]}+{tmp_path / 'short.txt'}", 300)
    assert "block_size = 64" in refusal(load_text, config, 64)


# ---- fingerprints ------------------------------------------------------------------------------


def test_the_tokens_of_the_books_mixture_are_the_pinned_ones(book):
    vocab_size = len(book.ranks) + 1
    digest = hashlib.sha256(repr(sorted(book.ranks.items())).encode())
    for tokens in (book.train, book.validation):
        digest.update(tokens.tobytes())
    digest.update(repr(list(book.parts.values())).encode())
    assert digest.hexdigest() == book.fingerprint == PINNED[BOTH, vocab_size]


def test_a_study_of_the_books_mixture_needs_no_tokens(fresh_cache):
    assert DataConfig(BOTH, 1024).pinned().fingerprint == PINNED[BOTH, 1024]
    assert not fresh_cache.exists()


@pytest.mark.parametrize(
    "generator, digest",
    [
        (logic, "ab16011c325fbb4f"), (stories, "967130becd6b8100"),
        (arithmetic, "56c120f9a3986b18"), (facts, "342af8955712223d"),
    ],
    ids=["logic", "stories", "arithmetic", "facts"],
)
def test_what_is_generated_is_what_it_was_or_its_format_was_raised(generator, digest):
    """A cache keeps tokens by FORMAT; only a machine without one would notice that they moved."""
    made = "\0".join(f"{group}\0{text}" for group, text in generator.documents(5000, seed=0))
    found = hashlib.sha256(made.encode()).hexdigest()[:16]
    assert (generator.FORMAT, found) == (1, digest), "raise FORMAT, then pin both anew"


def test_prepared_twice_the_tokens_are_the_same_and_in_another_order_others(
    two, files, tmp_path, monkeypatch
):
    first = load_text(two)
    other = load_text(DataConfig("+".join(files[1::-1]), 300))
    monkeypatch.setenv("GAMMAGPT_CACHE", str(tmp_path))
    again = load_text(two)
    assert again.folder != first.folder and again.fingerprint == first.fingerprint
    assert len(other.train) == len(first.train) and other.fingerprint != first.fingerprint


def test_where_one_part_ends_is_part_of_the_fingerprint(two, tmp_path, monkeypatch):
    """The same tokens, cut elsewhere, are another mixture."""
    monkeypatch.setenv("GAMMAGPT_CACHE", str(tmp_path))
    config = two.pinned()
    path = load_text(config).folder / "parts.json"
    (a, b), (c, d) = json.loads(path.read_text()).values()
    path.write_text(json.dumps({"a": [a + 5, b + 5], "b": [c - 5, d - 5]}))
    assert refusal(load_text, config).startswith("data.fingerprint")


def test_the_same_texts_under_other_names_have_their_own_names(two, files, tmp_path):
    copies = [shutil.copy(file, tmp_path / f"copy-{Path(file).name}") for file in files[:2]]
    first, second = load_text(two), load_text(DataConfig("+".join(map(str, copies)), 300))
    assert first.fingerprint == second.fingerprint
    assert list(first.parts) == files[:2] and list(second.parts) == list(map(str, copies))
    assert list(first.parts.values()) == list(second.parts.values())


def test_a_single_corpus_is_as_it_was_before_there_were_mixtures(files, cache):
    """Its folder's name, its batches and its files: old records and caches stay valid."""
    text = load_text(DataConfig(files[0], 300))
    name = hashlib.sha256(f"{FORMAT}:300".encode())
    name.update(f"\0.\0{Path(files[0]).read_text()}".encode())
    assert text.folder.name == name.hexdigest()[:16]
    assert sorted(f.name for f in text.folder.iterdir()) == [
        "tokenizer.bpe", "train.bin", "validation.bin",
    ]  # fmt: skip
    generator = torch.Generator().manual_seed(3)
    draw = [torch.randint(len(text.train) - 16, (4,), generator=generator) for _ in range(5)]
    assert torch.equal(text.starts(3, 5, 4, 16), torch.stack(draw))
    assert PINNED["sotu", 1024].startswith("ee2fda95")


# ---- what is refused ---------------------------------------------------------------------------


def test_an_unknown_part_is_named(cache):
    message = refusal(load_text, DataConfig("logic+nowhere", 300))
    assert "'nowhere'" in message and "stories" in message and "sotu" in message
    assert "'logic+'" in refusal(load_text, DataConfig("logic+", 300))


@pytest.mark.parametrize("corpus", ["logic+logic", "logic+stories+logic"])
def test_a_text_that_is_named_twice_is_refused_in_one_clear_line(corpus):
    expected = f"data.corpus: got '{corpus}', allowed is each text once"
    assert refusal(DataConfig, corpus) == expected


@pytest.mark.parametrize(
    "content",
    [None, "", "{", "[]", "{}", '{"a": [1, 2]}', '{"a": 1, "b": 2}', '{"a": "x", "b": "y"}',
     '{"a": [1, 2], "b": [3, 4]}', '{"a": [1, 2, 3], "b": [3, 4, 5]}', '{"a": [1], "b": [2]}'],
)  # fmt: skip
def test_a_damaged_or_missing_list_of_parts_is_named(two, tmp_path, monkeypatch, content):
    monkeypatch.setenv("GAMMAGPT_CACHE", str(tmp_path))
    path = load_text(two).folder / "parts.json"
    path.unlink() if content is None else path.write_text(content)
    message = refusal(load_text, two)
    assert str(path.parent) in message and "damaged" in message


def test_a_path_with_a_plus_in_it_is_one_text(files, tmp_path, cache):
    odd = shutil.copy(files[0], tmp_path / "one+one.txt")
    assert list(load_text(DataConfig(str(odd), 300)).parts) == [str(odd)]


# ---- tokens carried to another machine -----------------------------------------------------------


def test_generated_texts_are_found_in_a_copied_cache_without_the_trainer(
    mixed, cache, tmp_path, monkeypatch
):
    shutil.copytree(cache, tmp_path / "copy")
    monkeypatch.setenv("GAMMAGPT_CACHE", str(tmp_path / "copy"))
    monkeypatch.setitem(sys.modules, "rustbpe", None)
    text = load_text(DataConfig(BOTH, VOCAB))
    assert text.folder.is_relative_to(tmp_path) and text.fingerprint == mixed.fingerprint
    assert "pip install rustbpe" in refusal(load_text, DataConfig(BOTH, VOCAB + 1))


def test_a_mixture_whose_files_are_gone_is_read_from_prepared_tokens(files, tmp_path, monkeypatch):
    copies = [str(shutil.copy(file, tmp_path)) for file in files[:2]]
    config = DataConfig("+".join(copies), 300)
    here = prepare(config, tmp_path / "carried")
    monkeypatch.setenv("GAMMAGPT_CACHE", str(tmp_path / "carried"))
    monkeypatch.setitem(sys.modules, "rustbpe", None)
    for copy in copies:
        Path(copy).unlink()
    there = load_text(config)
    assert there.fingerprint == here.fingerprint and there.parts == here.parts
    assert copies[0] in refusal(load_text, DataConfig(config.corpus, 301))


# ---- tokens of one's own, and guessing by frequency --------------------------------------------


@pytest.mark.parametrize("least, share", [(20, 0.9), (1, 0.9), (5, 0.6)])
def test_own_tokens_are_those_that_counting_finds(mixed, least, share):
    counts = {name: Counter(mixed.train[cut].tolist()) for name, (cut, _) in mixed.parts.items()}
    sizes = {name: cut.stop - cut.start for name, (cut, _) in mixed.parts.items()}
    found = own_tokens(mixed, least, share)
    for name, count in counts.items():
        expected = []
        for token in range(VOCAB):
            rates = {other: counts[other][token] / sizes[other] for other in counts}
            if count[token] >= least and rates[name] >= share * sum(rates.values()):
                expected.append(token)
        assert found[name] == expected
    assert not set(found["logic"]) & set(found["stories"])


def test_own_tokens_of_a_part_are_words_that_the_other_lacks(mixed):
    words = {
        name: {mixed.encoding.decode([token]) for token in tokens}
        for name, tokens in own_tokens(mixed).items()
    }
    assert {"True", " Each"} <= words["logic"] and {"!", " and"} <= words["stories"]


def test_the_unigram_loss_is_the_entropy_of_the_validation_tokens(mixed):
    for name, found in unigram_losses(mixed).items():
        tokens = mixed.validation[mixed.parts[name][1]].tolist()
        shares = [count / len(tokens) for count in Counter(tokens).values()]
        assert math.isclose(found, -sum(p * math.log(p) for p in shares), rel_tol=1e-9)


def test_group_cosines_are_means_over_pairs(mixed):
    model = GPT(RunConfig.from_dict(small(mixed)).model)
    groups = {name: tokens[:6] for name, tokens in own_tokens(mixed).items()}
    found = group_cosines(model, groups | {"one": [5], "none": []})
    assert set(found) == set(groups)  # a single token is like no other
    for name, tokens in groups.items():
        matrix = cosines(model, tokens)
        pairs = [matrix[i, j].item() for i, j in combinations(range(len(tokens)), 2)]
        assert math.isclose(found[name], sum(pairs) / len(pairs), abs_tol=1e-9)


# ---- chains of thought ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chains(mixed):
    return question_windows(mixed, LENGTH)


def shown(depth: int):
    """The problems of a depth, as `question_windows` takes them."""
    return logic.problems(PROBLEMS, seed=UNSEEN, depths=(depth,))


@pytest.mark.parametrize("depth", DEPTHS)
def test_targets_are_the_chain_and_the_answer_and_nothing_else(mixed, chains, depth):
    encoding = mixed.encoding
    fitting = [p for p in shown(depth) if len(encoding.encode_ordinary(p.text)) <= LENGTH + 1]
    if len(fitting) <= PROBLEMS // 2:
        assert f"chain_{depth}" not in chains
        return
    inputs, targets = chains[f"chain_{depth}"]
    assert inputs.shape == targets.shape == (len(fitting), LENGTH)
    for problem, row, asked in zip(fitting, inputs.tolist(), targets.tolist(), strict=True):
        tokens = [token for token in asked if token >= 0]
        assert encoding.decode(tokens) == f"{problem.chain}\n{problem.answer}"
        first = asked.index(tokens[0])  # what is known before the first target is the prompt
        assert encoding.decode(row[: first + 1]) == problem.prompt
        assert asked[first : first + len(tokens)] == tokens  # in one piece
        assert row[first + 1 : first + len(tokens)] == tokens[:-1]
        end = len(mixed.ranks)
        assert set(row[first + len(tokens) + 1 :]) <= {end} and -100 in asked


def test_the_deepest_problems_are_left_out_of_a_short_window(mixed):
    assert set(question_windows(mixed, 100)) < {f"chain_{depth}" for depth in DEPTHS}
    assert set(question_windows(mixed, 600)) == {f"chain_{depth}" for depth in DEPTHS}


def test_the_tokens_of_a_prompt_begin_the_tokens_of_its_problem(mixed, book):
    """Else the border between what is given and what is asked would lie inside a token."""
    for encoding in (mixed.encoding, book.encoding):
        for problem in (problem for depth in DEPTHS for problem in shown(depth)):
            prompt, whole = map(encoding.encode_ordinary, (problem.prompt, problem.text))
            assert whole[: len(prompt)] == prompt


def test_no_problem_that_is_asked_is_in_the_text():
    seen = {text for _, text in logic.documents(5000, seed=0)}
    contexts = {text.split("\n")[0] for text in seen}
    for problem in (problem for depth in DEPTHS for problem in shown(depth)):
        assert problem.text not in seen and problem.context not in contexts


# ---- five texts ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def five(folder):
    """Texts of every generator and a prose of our own."""
    own = folder / "prose.txt"
    own.write_text(prose(seed=3, size=20_000), encoding="utf-8")
    with few_documents(folder):
        return load_text(DataConfig(f"{own}+stories+logic+arithmetic+facts", VOCAB))


def test_every_generated_text_brings_its_own_questions(five, mixed):
    sums, chains = ({f"{name}_{depth}" for depth in DEPTHS} for name in ("sum", "chain"))
    assert set(question_sets(five.parts)) == sums | chains | {"recall"}
    assert set(question_sets(mixed.parts)) == chains
    assert question_sets(["stories", "somewhere/logic.txt"]) == {}


def test_what_is_asked_is_the_solution_or_the_value_and_nothing_else(five):
    encoding, found = five.encoding, question_windows(five, LENGTH)
    for name in ("sum_1", "sum_5", "recall"):
        questions, (inputs, targets) = question_sets(five.parts)[name], found[name]
        assert inputs.shape == targets.shape == (len(questions), LENGTH)
        for pieces, row, wanted in zip(questions, inputs.tolist(), targets.tolist(), strict=True):
            whole = encoding.encode_ordinary("".join(pieces))
            assert row[: len(whole) - 1] == whole[:-1]
            assert set(row[len(whole) :]) <= {len(five.ranks)}
            asked = [token for token in wanted if token >= 0]
            assert encoding.decode(asked) == "".join(pieces[1::2])
            places = [i for i, token in enumerate(wanted) if token >= 0]
            assert asked == [whole[place + 1] for place in places]
            before = encoding.decode(whole[: places[0] + 1])
            assert before == pieces[0]  # all that is known before the first of them


def test_a_digit_is_a_token_wherever_it_stands(five):
    for pieces in question_sets(five.parts)["sum_5"]:
        text = "".join(pieces)
        assert len(five.encoding.encode_ordinary(text)) == len(text)


def test_the_books_five_texts_have_the_pinned_tokens():
    text = load_text(DataConfig(FIVE, 512), 128)
    assert text.fingerprint == PINNED[FIVE, 512] != PINNED[FIVE, 1024]
    encode = text.encoding.encode_ordinary
    for pieces in (p for questions in question_sets(text.parts).values() for p in questions):
        parts = [encode("".join(pieces[:i])) for i in range(len(pieces) + 1)]
        assert all(parts[-1][: len(part)] == part for part in parts)  # no border inside a token


# ---- training ------------------------------------------------------------------------------------


def small(mixed, **changes) -> dict:
    """One layer of width 16 on the mixture, three steps."""
    return {
        "model": {"n_layer": 1, "n_head": 2, "width": 16, "block_size": 128, "vocab_size": VOCAB},
        "optim": {"learning_rate": 0.02}, "init": {"gamma": 0.8},
        "probes": {"losses": 3, "windows": 8, "final_windows": 16, "geometry": 3},
        "data": {"corpus": BOTH, "vocab_size": VOCAB, "fingerprint": mixed.fingerprint},
        "steps": 4, "batch_size": 4,
    } | changes  # fmt: skip


@pytest.fixture(scope="module")
def record(mixed, folder):
    with few_documents(folder):
        return train(RunConfig.from_dict(small(mixed)))


def test_a_training_records_both_texts_the_chains_and_the_groups(record, mixed):
    assert record.status == "ok"
    assert set(record.curves) == {"train", "validation", "logic", "stories"}
    losses = record.final["logic_loss"], record.final["stories_loss"]
    assert record.final["validation_loss"] == pytest.approx(sum(losses) / 2)
    both = zip(record.curves["logic"], record.curves["stories"], strict=True)
    means = [(step, (one + other) / 2) for (step, one), (_, other) in both]
    assert np.allclose(record.curves["validation"], means, rtol=1e-5)
    scores = {name for name in record.final if name.startswith("chain_")}
    depths = [name.split("_")[1] for name in question_windows(mixed, 128)]
    kinds = ("loss", "accuracy", "exact")
    assert depths and scores == {f"chain_{depth}_{kind}" for depth in depths for kind in kinds}
    groups = [probe["geometry"]["groups"] for probe in record.probes]
    assert len(groups) == 3 and all(set(group) == {"logic", "stories"} for group in groups)


def test_a_training_on_five_texts_records_and_measures_all_questions(five, folder):
    data = {"corpus": "+".join(five.parts), "vocab_size": VOCAB, "fingerprint": five.fingerprint}
    run = RunConfig.from_dict(small(five, data=data, probes={"losses": 2, "windows": 4,
                                                             "final_windows": 8}))  # fmt: skip
    with few_documents(folder):
        record = train(run)
        found = frame([record]).iloc[0]
    sets = question_windows(five, 128)
    kinds = ("loss", "accuracy", "exact")
    recorded = {name for name in record.final if name.startswith(("chain_", "sum_", "recall_"))}
    assert recorded == {f"{name}_{kind}" for name in sets for kind in kinds}
    assert {"sum_1", "sum_5", "recall"} <= set(sets)
    logs = {name: math.log(record.final[f"{name}_loss"]) for name in five.parts}
    assert {name: found[f"{name}_log_loss"] for name in logs} == pytest.approx(logs)
    first, *rest = logs.values()
    lead = (first + rest[0] + rest[3]) / 3 - (rest[1] + rest[2]) / 2
    assert found.reasoning_log_lead == pytest.approx(lead)
    assert found.sum_accuracy == pytest.approx(
        np.mean([record.final[f"sum_{depth}_accuracy"] for depth in DEPTHS])
    )


def test_a_record_of_a_mixture_comes_back_from_strict_json(record):
    strict_json(record.to_json())
