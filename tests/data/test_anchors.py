"""Anchor functions: key and anchors alone decide the label, whatever else a sequence holds."""

import hashlib
import itertools
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from helpers import refusal
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gammagpt.data import AnchorConfig
from gammagpt.data.anchors import (
    Sequences,
    held_sequences,
    label_laws,
    tasks,
    training_sequences,
)
from gammagpt.data.fields import check_fingerprint

SMALL = AnchorConfig(
    keys="21..30", tasks="memory 1..4 random, reasoning 11..14 sum", length=6, samples=500,
    vocab_size=61,
)  # fmt: skip
PAPER = AnchorConfig(held_out="", length=3, samples=0)  # its own sets, each sequence once
LAWS = ("sum", "random", "near", "modulo", "40..45")


@st.composite
def configs(draw) -> AnchorConfig:
    """Up to three tasks of up to three anchors, of any law, with some combinations held out."""
    q, laws = draw(st.integers(1, 3)), draw(st.lists(st.sampled_from(LAWS), min_size=1, max_size=3))
    among = [range(5 * i + 1, 5 * i + 1 + draw(st.integers(2, 3))) for i in range(len(laws))]
    combinations = [c for task in among for c in itertools.product(task, repeat=q)]
    held_out = draw(st.lists(st.sampled_from(combinations), max_size=1))
    return AnchorConfig(
        keys=f"40..{40 + draw(st.integers(0, 5))}",
        tasks=", ".join(f"task{i} {a[0]}..{a[-1]} {law}"
                        for i, (a, law) in enumerate(zip(among, laws, strict=True))),
        held_out=", ".join("+".join(map(str, combination)) for combination in held_out),
        anchors=q, length=q + draw(st.integers(1, 4)), samples=draw(st.sampled_from([0, 1, 100])),
        vocab_size=90,
    )  # fmt: skip


seeds = st.integers(0, 1000)


def read(row, first_key: int) -> tuple[int, int, tuple[int, ...]]:
    """(place of the key, key, anchors) of a sequence; the anchors must stand side by side."""
    places = [i for i, token in enumerate(row) if token < first_key]
    assert places == list(range(places[0], places[0] + len(places))) and places[0] > 0
    anchors = tuple(int(row[i]) for i in places)
    return places[0] - 1, int(row[places[0] - 1]), anchors


def everything(config, seed) -> list[tuple]:
    """(place of the key, key, anchors, label) of all sequences, trained on and fresh."""
    first_key = int(config.keys.split("..")[0])
    sets = [training_sequences(config, seed), *held_sequences(config, seed, 30).values()]
    return [
        (*read(row, first_key), int(label))
        for found in sets for row, label in zip(found.tokens, found.labels, strict=True)
    ]  # fmt: skip


def held_out_of(config) -> set[tuple[int, ...]]:
    parts = filter(None, config.held_out.split(", "))
    return {tuple(map(int, part.split("+"))) for part in parts}


# ---- sequences ---------------------------------------------------------------------------------


@given(configs(), seeds)
def test_the_label_depends_on_nothing_but_key_and_anchors(config, seed):
    labels = defaultdict(set)
    for _, key, anchors, label in everything(config, seed):
        labels[key, anchors].add(label)
    assert all(len(found) == 1 for found in labels.values())


def test_the_same_key_and_anchors_really_come_at_many_places_among_other_noise():
    found = training_sequences(replace(SMALL, samples=20_000), seed=0)
    rows = defaultdict(set)
    for row in found.tokens:
        place, key, anchors = read(row, first_key=21)
        rows[key, anchors].add((place, tuple(row.tolist())))
    places = [{place for place, _ in others} for others in rows.values()]
    assert np.mean([len(p) for p in places]) > 3.9  # of four: length 6 less two anchors
    assert min(len(others) for others in rows.values()) > 30


@given(configs(), seeds)
def test_a_sequence_is_a_key_its_anchors_of_one_task_and_nothing_but_keys_around(config, seed):
    first, last = map(int, config.keys.split(".."))
    found = training_sequences(config, seed)
    known = tasks(config, seed)
    for row, key_at, task in zip(found.tokens, found.key_at, found.task, strict=True):
        place, key, anchors = read(row, first)
        assert place == key_at and first <= key <= last and len(anchors) == config.anchors
        assert anchors in set(map(tuple, known[task].combinations.tolist()))
        noise = [token for token in row if token >= first]
        assert len(row) == config.length and all(token <= last for token in noise)


def test_keys_places_and_noise_are_drawn_evenly():
    found = training_sequences(replace(SMALL, samples=20_000), seed=0)
    noise = [row[i] for row, at in zip(found.tokens, found.key_at, strict=True)
             for i in (0, 5) if i not in range(at, at + 3)]  # fmt: skip
    row = np.arange(len(found))
    for values, count in ((found.key_at, 4), (found.tokens[row, found.key_at], 10), (noise, 10)):
        counts = np.unique(values, return_counts=True)[1]
        assert len(counts) == count and stats.chisquare(counts).pvalue > 1e-4


@given(configs(), seeds)
def test_held_out_combinations_are_never_trained_on_and_always_the_unseen_ones(config, seed):
    out, first = held_out_of(config), int(config.keys.split("..")[0])
    trained = {read(row, first)[2] for row in training_sequences(config, seed).tokens}
    held = held_sequences(config, seed, 30)
    unseen = {read(row, first)[2] for row in held["unseen"].tokens} if out else set()
    assert not trained & out and unseen == out and ("unseen" in held) == bool(out)
    for name in held.keys() - {"unseen"}:
        assert not {read(row, first)[2] for row in held[name].tokens} & out


@given(configs(), seeds)
def test_combinations_are_balanced(config, seed):
    config = replace(config, samples=100)
    first = int(config.keys.split("..")[0])
    for found in (training_sequences(config, seed), *held_sequences(config, seed, 40).values()):
        counts = Counter(read(row, first)[2] for row in found.tokens)
        assert max(counts.values()) - min(counts.values()) <= 1


@given(configs(), seeds)
def test_exhaustive_data_has_each_anchors_and_key_exactly_once(config, seed):
    found = training_sequences(replace(config, samples=0), seed)
    first, last = map(int, config.keys.split(".."))
    pairs = Counter(read(row, first)[1:] for row in found.tokens)
    among = [part.split()[1].split("..") for part in config.tasks.split(", ")]
    combinations = {
        c
        for a, b in among
        for c in itertools.product(range(int(a), int(b) + 1), repeat=config.anchors)
    }
    expected = itertools.product(range(first, last + 1), combinations - held_out_of(config))
    assert pairs == Counter(expected)


def test_the_sizes_of_the_paper_are_its_own():
    found = training_sequences(replace(AnchorConfig(), samples=0), seed=0)
    assert found.tokens.shape == (198 * 100, 9) and len(training_sequences(PAPER, 0)) == 20_000
    known = {task.name: task for task in tasks(AnchorConfig(), seed=0)}
    assert known["memory"].labels.shape == (100, 100)
    assert known["unseen"].combinations.tolist() == [[11, 13], [13, 11]]
    assert (known["reasoning"].labels.min(), known["reasoning"].labels.max()) == (43, 160)


# ---- labels ------------------------------------------------------------------------------------


@given(configs(), seeds)
def test_labels_follow_the_law_of_their_task(config, seed):
    first, last = map(int, config.keys.split(".."))
    law_of = {anchor: part.split()[2] for part in config.tasks.split(", ")
              for anchor in range(*(int(end) + i for i, end in
                                    enumerate(part.split()[1].split(".."))))}  # fmt: skip
    for _, key, anchors, label in everything(config, seed):
        total = sum(anchors)
        allowed = {
            "sum": [key + total], "random": range(first, last + 1), "40..45": range(40, 46),
            "near": range(key - total, key + total + 1),
            "modulo": [first + (key - first + total) % (last + 1 - first)],
        }[law_of[anchors[0]]]  # fmt: skip
        assert label in allowed


@pytest.mark.parametrize("law, size", [("random", 100), ("30..69", 40), ("near", None)])
def test_random_labels_are_uniform_over_all_that_their_law_allows(law, size):
    data = replace(PAPER, tasks=f"memory 1..10 {law}")
    [task] = tasks(data, seed=0)
    if law == "near":  # where in its range, from 0 to 1
        sums = task.combinations.sum(1, keepdims=True)
        place = (task.labels - np.arange(21, 121) + sums + 0.5) / (2 * sums + 1)
        values = np.floor(10 * place[sums[:, 0] >= 10])  # wide ranges, in ten parts
        size = 10
    else:
        values = task.labels
    counts = np.unique(values, return_counts=True)[1]
    assert len(counts) == size
    tolerance = 5 / np.sqrt(counts.mean()) + (0.05 if law == "near" else 0)
    assert np.abs(counts / counts.mean() - 1).max() < tolerance


def test_around_a_ring_no_single_token_tells_the_label():
    """With as many anchors in a row as keys. Of a sum each token tells something."""
    data = AnchorConfig(keys="21..30", tasks="ring 51..60 modulo", held_out="", length=3,
                        samples=0, vocab_size=61)  # fmt: skip
    laws, _ = label_laws(training_sequences(data, 0), 61)
    for token in (*range(21, 31), *range(51, 61)):
        np.testing.assert_allclose(laws[token, 21:31], 0.1)
    laws, _ = label_laws(training_sequences(replace(data, tasks="line 1..10 sum"), 0), 61)
    assert all(np.argmax(laws[token]) > 21 and laws[token, 21] == 0 for token in (1, 10, 21, 30))


def test_the_memory_table_is_fixed_for_a_seed_and_another_one_for_another():
    one, again, other = (tasks(SMALL, seed)[0].labels for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert 0.01 < (one == other).mean() < 0.25  # a tenth by chance
    longer = replace(SMALL, samples=7, length=9)
    assert np.array_equal(tasks(longer, 0)[0].labels, one)  # whatever is drawn from it


def test_two_tasks_of_one_law_have_tables_of_their_own():
    one, other = tasks(replace(SMALL, tasks="a 1..4 random, b 5..8 random", held_out=""), 0)
    assert (one.labels == other.labels).mean() < 0.25


# ---- seeds -------------------------------------------------------------------------------------


def content(sequences: Sequences) -> list:
    return [getattr(sequences, n).tolist() for n in ("tokens", "labels", "key_at", "task")]


@given(configs(), seeds)
def test_a_seed_gives_the_same_sequences_every_time(config, seed):
    assert content(training_sequences(config, seed)) == content(training_sequences(config, seed))
    one, again = (held_sequences(config, seed, 20) for _ in range(2))
    assert list(one) == list(again)
    assert all(content(one[name]) == content(again[name]) for name in one)


def test_other_seeds_and_other_purposes_give_other_sequences():
    trained, other = (training_sequences(SMALL, seed).tokens for seed in (0, 1))
    held = held_sequences(SMALL, 0, 250)
    assert not np.array_equal(trained, other)
    assert not np.array_equal(held["memory"].tokens, trained[:250])
    assert not np.array_equal(held["memory"].key_at, held["reasoning"].key_at)


def test_the_sequences_of_a_configuration_have_not_changed():
    """A guard: other sequences of the same configuration make old records answer something else.

    If they have to change, raise FORMAT, which is part of every fingerprint.
    """
    digest = hashlib.sha256()
    config = replace(AnchorConfig(), samples=500)
    for found in (training_sequences(config, 0), *held_sequences(config, 0, 50).values()):
        for part in (found.tokens, found.labels):
            digest.update(np.ascontiguousarray(part, dtype="<i8").tobytes())
    assert digest.hexdigest()[:16] == "bcf7b6bd0a990208"
    assert AnchorConfig().pinned().fingerprint[:16] == "238be63fcedd97a3"


# ---- fingerprints ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"keys": "21..31"}, {"tasks": "memory 1..4 near, reasoning 11..14 sum"},
        {"held_out": ""}, {"length": 7}, {"samples": 0}, {"vocab_size": 62},
        {"anchors": 1, "held_out": ""},
    ],
    ids=str,
)  # fmt: skip
def test_every_field_changes_the_fingerprint(change):
    assert replace(SMALL, **change).pinned().fingerprint != SMALL.pinned().fingerprint


def test_a_fingerprint_that_a_changed_copy_has_kept_is_refused():
    pinned = SMALL.pinned()
    check_fingerprint(pinned), check_fingerprint(SMALL)
    message = refusal(check_fingerprint, replace(pinned, length=7))
    assert message.startswith(f"data.fingerprint: got {pinned.fingerprint[:12]}, but this data has")


# ---- label laws --------------------------------------------------------------------------------


@given(configs(), seeds)
def test_label_laws_are_those_of_a_slow_count(config, seed):
    found = training_sequences(config, seed)
    counts = np.zeros((90, 90))
    for row, label in zip(found.tokens, found.labels, strict=True):
        for token in row:
            counts[token, label] += 1
    laws, shares = label_laws(found, 90)
    np.testing.assert_allclose(shares, counts.sum(1) / len(found))
    for token in range(90):
        total = counts[token].sum()
        np.testing.assert_allclose(laws[token], counts[token] / total if total else 0)


def law_cosines(config, tokens) -> np.ndarray:
    laws, _ = label_laws(training_sequences(config, 0), config.vocab_size)
    rows = laws[list(tokens)] - 1 / config.vocab_size
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows @ rows.T


def test_label_laws_of_reasoning_anchors_are_equation_8_and_their_cosines_fall_gently():
    """P(Z + A = i - s) with independent Z and A, counted out; and the cosines, by distance."""
    laws, _ = label_laws(training_sequences(PAPER, 0), 201)
    for s in range(11, 21):
        labels = [s + z + a for z in range(21, 121) for a in range(11, 21)]
        np.testing.assert_allclose(laws[s], np.bincount(labels, minlength=201) / 1000, atol=1e-12)
    cosine = law_cosines(PAPER, range(11, 21))
    expected = [1, 0.998, 0.992, 0.983, 0.970, 0.955, 0.938, 0.919, 0.899, 0.879]
    for distance, value in enumerate(expected):
        assert cosine.diagonal(distance) == pytest.approx(value, abs=5.1e-4)


def test_label_laws_of_memory_anchors_are_the_same_for_all_the_more_labels_are_drawn():
    """Equation 7 holds in the mean over tables: each has its own chance deviations."""
    near = law_cosines(PAPER, range(1, 11))
    more = law_cosines(replace(PAPER, anchors=3, length=4), range(1, 11))
    assert near.min() > 0.85 and more.min() > 0.98


# ---- bad input ---------------------------------------------------------------------------------

BAD = {
    "keys backwards": ({"keys": "30..21"}, "data.keys: got '30..21', allowed is a range"),
    "keys without a range": ({"keys": "21-30"}, "data.keys: got '21-30', allowed is a range"),
    "no keys": ({"keys": ""}, "data.keys: got '', allowed is a range"),
    "anchors without a range": (
        {"tasks": "memory 1-4 random"}, "data.tasks: got '1-4', allowed is a range"),
    "anchors backwards": (
        {"tasks": "memory 4..1 random"}, "data.tasks: got '4..1', allowed is a range"),
    "an unknown law": (
        {"tasks": "memory 1..4 guess"}, "data.tasks: got 'memory 1..4 guess', allowed is a name"),
    "a law of labels backwards": (
        {"tasks": "memory 1..4 9..7"}, "data.tasks: got '9..7', allowed is a range"),
    "no law": ({"tasks": "memory 1..4"}, "data.tasks: got 'memory 1..4', allowed is a name"),
    "no tasks": ({"tasks": ""}, "data.tasks: got '', allowed is a name"),
    "a name that is a number": (
        {"tasks": "1 1..4 random"}, "data.tasks: got '1 1..4 random', allowed is a name"),
    "a task called unseen": (
        {"tasks": "unseen 1..4 random"}, "data.tasks: the name 'unseen' is taken, allowed is"),
    "a task called as a curve": (
        {"tasks": "train 1..4 random"}, "data.tasks: the name 'train' is taken, allowed is"),
    "a task called keys": (
        {"tasks": "keys 1..4 random"}, "data.tasks: the name 'keys' is taken, allowed is"),
    "a name given twice": (
        {"tasks": "a 1..4 random, a 5..8 sum"}, "data.tasks: the name 'a' is taken, allowed is"),
    "anchors of two tasks": (
        {"tasks": "a 1..4 random, b 4..8 sum"}, "data.tasks: b shares tokens with a, allowed"),
    "anchors that are keys": (
        {"tasks": "a 1..21 random"}, "data.tasks: a shares tokens with keys, allowed are none"),
    "too many combinations": (
        {"tasks": "a 1..9 random", "anchors": 6, "length": 8},
        "data.tasks: a has 9^6 combinations of anchors, allowed are at most 4000000"),
    "a sum outside of the vocabulary": (
        {"tasks": "a 11..20 sum"},
        "data.tasks: labels of a go from 43 to 70, allowed is 0 to vocab_size - 1 = 60"),
    "a label range outside of the vocabulary": (
        {"tasks": "a 11..14 40..61"},
        "data.tasks: labels of a go from 40 to 61, allowed is 0 to vocab_size - 1 = 60"),
    "near the key and below zero": (
        {"tasks": "a 11..14 near", "vocab_size": 99},
        "data.tasks: labels of a go from -7 to 58, allowed is 0 to vocab_size - 1 = 98"),
    "a token outside of the vocabulary": (
        {"tasks": "a 1..2 1..2", "vocab_size": 30},
        "data.vocab_size: got 30, token 30 needs more"),
    "a vocabulary without bounds": (
        {"vocab_size": 40_000}, "data.vocab_size: got 40000, allowed is 1 to 4096"),
    "no vocabulary": ({"vocab_size": 0}, "data.vocab_size: got 0, allowed is 1 to 4096"),
    "held out too long": ({"held_out": "11+12+13"}, "data.held_out: got '11+12+13', allowed are 2"),
    "held out too short": ({"held_out": "11+12, 13"}, "data.held_out: got '13', allowed are 2"),
    "held out of two tasks": ({"held_out": "1+11"}, "data.held_out: got '1+11', allowed are 2"),
    "held out of no task": ({"held_out": "15+16"}, "data.held_out: got '15+16', allowed are 2"),
    "held out in words": ({"held_out": "all"}, "data.held_out: got 'all', allowed are 2"),
    "all of a task held out": (
        {"tasks": "a 1..4 random, b 11..11 sum", "held_out": "11+11"},
        "data.held_out: got '11+11', which is all of b; allowed is to hold out less"),
    "a length without room for the key": ({"length": 2}, "data.length: got 2, allowed is 3 to"),
    "no anchors": ({"anchors": 0}, "data.anchors: got 0, allowed is 1 to 20"),
    "anchors that no time would do for": (
        {"anchors": 10**9}, "data.anchors: got 1000000000, allowed is 1 to 20"),
    "samples that no memory holds": (
        {"samples": 10**9}, "data.samples: got 1000000000, allowed is 0 to 4000000"),
    "a length that no memory holds": (
        {"length": 10**9}, "data.length: got 1000000000, allowed is 3 to 4096"),
    "keys that no memory holds": (
        {"keys": "21..10000000000"}, "data.keys: got '21..10000000000', allowed is a range"),
    "more digits than Python reads": (
        {"held_out": "1" * 5000 + "+11"}, "data.held_out: got '111"),
    "a digit that is no number": ({"held_out": "1\u00b2+11"}, "data.held_out: got '1\u00b2+11'"),
    "fewer samples than none": ({"samples": -1}, "data.samples: got -1, allowed is 0 to 4000000"),
}  # fmt: skip


@pytest.mark.parametrize("change, words", BAD.values(), ids=BAD)
def test_what_cannot_be_is_refused_by_name_and_value(change, words):
    change = change if "held_out" in change or "tasks" not in change else change | {"held_out": ""}
    assert refusal(replace, SMALL, **change).startswith(words)
