"""Classes of tokens: the model that counts, the third model's word, and frequencies."""

import math
from collections import Counter, defaultdict
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import made_up_record
from hypothesis import given
from hypothesis import strategies as st

from gammagpt.data import load_text
from gammagpt.probes import token_classes as tokens
from gammagpt.probes.token_classes import (
    CLASSES,
    CONSTRAINED,
    TRIVIAL,
    class_losses,
    classes,
    copied,
    count_losses,
    deciles,
    matched,
)

KINDS = 5  # different tokens of the small texts made here
TEXTS = st.lists(st.integers(0, KINDS - 1), min_size=3, max_size=40)
WINDOWS = st.lists(st.integers(0, KINDS - 1), min_size=2, max_size=6)
ROWS = st.lists(st.tuples(st.floats(0.01, 9), st.integers(0, 2), st.integers(0, 9)), min_size=4,
                max_size=40)


def counted(train, inputs, targets, strength=2.0) -> np.ndarray:
    """count_losses of a text and windows that are given, in place of prepared ones."""
    with pytest.MonkeyPatch.context() as patch:
        text = SimpleNamespace(train=np.array(train), ranks=range(KINDS - 1))
        patch.setattr(tokens, "load_text", lambda data: text)
        patch.setattr(tokens, "windows", lambda config: (np.array(inputs), np.array(targets)))
        patch.setattr(tokens, "STRENGTHS", [strength])
        return count_losses.__wrapped__(SimpleNamespace(data=None))


def slowly_counted(train, inputs, target, strength=2.0) -> float:
    """The probability of one target after a window's tokens, by dictionaries."""
    found = 1 / KINDS
    for order in range(2):
        followers = defaultdict(Counter)
        for i in range(1, len(train)):
            followers[tuple(train[i - order : i])][train[i]] += 1
        if after := followers[tuple(inputs[len(inputs) - order :])]:
            found = (after[target] + len(after) * found) / (sum(after.values()) + len(after))
    copies = [inputs[i + 1] for i in range(len(inputs) - 1) if inputs[i] == inputs[-1]]
    return (copies.count(target) + strength * found) / (len(copies) + strength)


@given(TEXTS, WINDOWS)
def test_probabilities_of_all_tokens_add_up_to_one(train, window):
    """Of the last place: what stood before it is the same for every target."""
    last = np.arange(KINDS)[:, None]
    inputs = np.tile(window, (KINDS, 1))
    targets = np.concatenate([inputs[:, 1:], last], 1)
    assert np.exp(-counted(train, inputs, targets))[:, -1].sum() == pytest.approx(1, abs=1e-12)


@given(TEXTS, WINDOWS)
def test_counting_fast_is_counting_slowly(train, window):
    inputs, targets = window[:-1], window[1:]
    expected = [slowly_counted(train, inputs[: t + 1], w) for t, w in enumerate(targets)]
    found = counted(train, [inputs], [targets])
    assert np.exp(-found[0]) == pytest.approx(expected, abs=1e-12)


def test_what_always_follows_is_nearly_certain_and_what_never_did_is_not_impossible():
    train = [0, 1, 2] * 50
    sure, never = counted(train, [[0, 1], [0, 1]], [[1, 2], [1, 3]])[:, 1]
    assert sure < 0.1 and 3 < never < math.inf


def test_a_copy_in_the_window_makes_a_target_likelier():
    inputs, targets = [[0, 3, 0], [0, 1, 0]], [[3, 0, 3], [1, 0, 3]]
    copy, none = counted([0, 1, 2, 3] * 9, inputs, targets)[:, 2]
    assert copy < none - 1
    seen, followed = copied(np.array(inputs), np.array(targets))
    assert seen[:, 2].tolist() == [1, 1] and followed[:, 2].tolist() == [1, 0]


def test_how_much_copying_counts_is_what_predicts_best(tiny, monkeypatch):
    config = replace(tiny, probes=replace(tiny.probes, tokens=4))
    best, losses = count_losses(config).mean(), []
    for strength in tokens.STRENGTHS:
        monkeypatch.setattr(tokens, "STRENGTHS", [strength])
        losses.append(count_losses.__wrapped__(config).mean())
    assert best == min(losses) < max(losses)


def test_each_token_has_the_first_class_whose_condition_it_meets(tiny):
    config = replace(tiny, probes=replace(tiny.probes, tokens=8))
    whole, short = np.random.default_rng(0).uniform(0, 5, (2, 8 * config.model.block_size))
    probe = {"step": 12, "tokens": {"whole": whole.tolist(), "short": short.tolist()}}
    record = made_up_record(config, 5.0, probes=[probe])
    counts = count_losses(config).ravel()
    for trivial, constrained in ((TRIVIAL, CONSTRAINED), (3.0, 1.5)):
        found = classes(record, trivial, constrained)
        expected = ["trivial" if count < trivial else "constrained" if gain > constrained else
                    "rest" for count, gain in zip(counts, short - whole, strict=True)]
        assert [CLASSES[i] for i in found] == expected and {*found} == {0, 1, 2}


def test_tenths_go_from_rare_to_frequent_and_part_no_token(tiny):
    config = replace(tiny, probes=replace(tiny.probes, tokens=8))
    text = load_text(config.data)
    targets = text.validation_windows(8, config.model.block_size)[1].numpy().ravel()
    often, tenths = np.bincount(text.train, minlength=512)[targets], deciles(config)
    assert (np.diff(tenths[np.argsort(often, kind="stable")]) >= 0).all()
    assert all(len({*tenths[targets == token]}) == 1 for token in {*targets})
    assert tenths.min() < 2 and tenths.max() == 9


@given(ROWS)
def test_class_losses_are_means_that_add_up_to_the_whole(rows):
    losses, kinds, tenths = map(np.array, zip(*rows, strict=True))
    means = class_losses({"tokens": {"whole": losses.tolist()}}, kinds, tenths)
    there = [(means[f"loss_{name}"], (kinds == i).mean()) for i, name in enumerate(CLASSES)
             if (kinds == i).any()]
    assert sum(mean * share for mean, share in there) == pytest.approx(losses.mean())
    own = [means[f"loss_{name}"] for name in CLASSES]
    assert means["constrained_minus_trivial"] == pytest.approx(own[1] - own[0], nan_ok=True)
    assert means["constrained_minus_rest"] == pytest.approx(own[1] - own[2], nan_ok=True)
    assert math.exp(means["constrained_over_trivial"]) == pytest.approx(own[1] / own[0],
                                                                        nan_ok=True)


def test_matching_takes_rarity_out_of_the_difference():
    """The loss depends on the frequency alone, and constrained tokens are mostly rare."""
    tenths = np.repeat([0, 9], 100)
    kinds = np.concatenate([[1] * 90 + [0] * 10, [1] * 10 + [0] * 90])
    losses = np.where(tenths == 0, 6.0, 2.0)
    found = class_losses({"tokens": {"whole": losses}}, kinds, tenths)
    assert found["constrained_minus_trivial"] == pytest.approx(3.2)
    assert found["constrained_minus_trivial_matched"] == pytest.approx(0)
    assert found["rare_minus_frequent"] == pytest.approx(4)
    assert matched(losses + (kinds == 1), kinds, tenths) == pytest.approx(1)


def test_a_class_without_tokens_has_no_mean():
    means = class_losses({"tokens": {"whole": [1.0, 2.0]}}, np.array([0, 2]), np.array([4, 5]))
    assert means["loss_trivial"] == 1 and means["loss_rest"] == 2
    for name in ("loss_constrained", "constrained_minus_trivial_matched", "rare_minus_frequent"):
        assert math.isnan(means[name])
