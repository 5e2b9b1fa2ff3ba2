"""Losses token by token: the count model, the classes, and what a short context is."""

import math
from collections import Counter, defaultdict
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import made_up_record
from hypothesis import given
from hypothesis import strategies as st

from gammagpt import GPT, gamma_init_
from gammagpt.data import load_text
from gammagpt.gpt.model import cross_entropy
from gammagpt.probes import token_losses as tokens
from gammagpt.probes.token_losses import (
    CLASSES,
    CONTEXT,
    SHORT,
    TRIVIAL,
    class_losses,
    classes,
    count_losses,
    token_losses,
)

KINDS = 5  # different tokens of the small texts made here
TEXTS = st.lists(st.integers(0, KINDS - 1), min_size=3, max_size=40)
WINDOWS = st.lists(st.integers(0, KINDS - 1), min_size=2, max_size=6)


def counted(train, inputs, targets) -> np.ndarray:
    """count_losses of a text and windows that are given, in place of prepared ones."""
    with pytest.MonkeyPatch.context() as patch:
        text = SimpleNamespace(train=np.array(train), ranks=range(KINDS - 1))
        patch.setattr(tokens, "load_text", lambda data: text)
        patch.setattr(tokens, "windows", lambda config: (np.array(inputs), np.array(targets)))
        return count_losses.__wrapped__(SimpleNamespace(data=None))


def slowly_counted(train, inputs, target) -> float:
    """The probability of one target after a window's tokens: Witten & Bell, by dictionaries."""
    found = 1 / KINDS
    for order in range(3):
        if order > len(inputs):
            break
        followers = defaultdict(Counter)
        for i in range(order, len(train)):
            followers[tuple(train[i - order : i])][train[i]] += 1
        if order == 0:
            followers[()][train[0]] -= 1  # the first token follows nothing
        after = +followers[tuple(inputs[len(inputs) - order :])]
        if after:
            kinds = len(after)
            found = (after[target] + kinds * found) / (sum(after.values()) + kinds)
    return found


# ---- the count model ---------------------------------------------------------------------------


@given(TEXTS, WINDOWS)
def test_probabilities_of_all_tokens_add_up_to_one(train, window):
    inputs = np.tile(window, (KINDS, 1))
    targets = np.tile(np.arange(KINDS)[:, None], (1, len(window)))
    sums = np.exp(-counted(train, inputs, targets)).sum(0)
    assert sums == pytest.approx(np.ones(len(window)), abs=1e-12)


@given(TEXTS, WINDOWS)
def test_counting_fast_is_counting_slowly(train, window):
    inputs, targets = window[:-1], window[1:]
    expected = [slowly_counted(train, inputs[: t + 1], w) for t, w in enumerate(targets)]
    found = counted(train, [inputs], [targets])
    assert found.dtype == np.float64
    assert np.exp(-found[0]) == pytest.approx(expected, abs=1e-12)


def test_what_always_follows_is_nearly_certain_and_what_never_did_is_not_impossible():
    train = [0, 1, 2] * 50
    sure, never = counted(train, [[0, 1], [0, 1]], [[1, 2], [1, 3]])[:, 1]
    assert sure < 0.1 and 3 < never < math.inf


def test_the_count_model_knows_the_training_text_alone(text, tiny):
    config = replace(tiny, probes=replace(tiny.probes, tokens=4))
    found = count_losses(config)
    assert found.shape == (4, tiny.model.block_size)
    assert (found > 0).all() and found.mean() < math.log(len(np.unique(text.train)))


# ---- whole and short context -------------------------------------------------------------------


@pytest.fixture
def measured(tiny):
    """(model, config, inputs, targets, losses as (N, T)) of a model with random weights."""
    config = replace(tiny, probes=replace(tiny.probes, tokens=3))
    torch.manual_seed(0)
    model = GPT(config.model)
    gamma_init_(model, 0.3)
    inputs, targets = load_text(config.data).validation_windows(3, config.model.block_size)
    losses = token_losses(model, config)
    shaped = {name: np.reshape(values, targets.shape) for name, values in losses.items()}
    return model, config, inputs, targets, shaped


def loss_of(model, seen, target) -> float:
    with torch.no_grad():
        return cross_entropy(model(seen[None])[0, -1:], target[None], "sum").item()


def test_short_context_is_the_whole_one_for_the_first_tokens(measured):
    *_, losses = measured
    assert (losses["whole"][:, :SHORT] == losses["short"][:, :SHORT]).all()
    assert (losses["whole"][:, SHORT:] != losses["short"][:, SHORT:]).any()


@pytest.mark.parametrize("at", [0, SHORT - 1, SHORT, 9, 15])
def test_a_tokens_loss_is_that_of_a_model_that_sees_no_more(measured, at):
    model, _, inputs, targets, losses = measured
    for name, first in {"whole": 0, "short": max(0, at + 1 - SHORT)}.items():
        expected = loss_of(model, inputs[1, first : at + 1], targets[1, at])
        assert losses[name][1, at] == pytest.approx(expected, abs=6e-4)


def test_windows_shorter_than_the_short_context_have_one_loss(tiny):
    model = replace(tiny.model, block_size=SHORT - 1)
    config = replace(tiny, model=model, probes=replace(tiny.probes, tokens=2))
    made = GPT(model)
    gamma_init_(made, 0.5)
    losses = token_losses(made, config)
    assert losses["whole"] == losses["short"] and len(losses["whole"]) == 2 * (SHORT - 1)


def test_losses_are_kept_to_three_decimals(measured):
    *_, losses = measured
    assert (losses["whole"] == np.round(losses["whole"], 3)).all()


# ---- classes -----------------------------------------------------------------------------------


def test_each_token_has_the_first_class_whose_condition_it_meets(tiny):
    config = replace(tiny, probes=replace(tiny.probes, tokens=8))
    random = np.random.default_rng(0)
    whole, short = random.uniform(0, 5, (2, 8 * config.model.block_size))
    probe = {"step": 12, "tokens": {"whole": whole.tolist(), "short": short.tolist()}}
    found = classes(made_up_record(config, 5.0, probes=[probe]))
    inputs, targets = load_text(config.data).validation_windows(8, config.model.block_size)
    counts = count_losses(config).ravel()
    pairs = zip(inputs.tolist(), targets.tolist(), strict=True)
    earlier = [pair in [*zip(a, b, strict=True)][:t]
               for a, b in pairs for t, pair in enumerate(zip(a, b, strict=True))]
    for i, name in enumerate(CLASSES[index] for index in found):
        expected = ("trivial" if counts[i] < TRIVIAL else "copied" if earlier[i]
                    else "context" if short[i] - whole[i] > CONTEXT else "rest")
        assert name == expected
    assert {*found} == {0, 1, 2, 3}


@given(st.lists(st.tuples(st.floats(0.01, 9), st.integers(0, 3)), min_size=4, max_size=30))
def test_class_losses_are_means_that_add_up_to_the_whole(rows):
    losses, found = map(np.array, zip(*rows, strict=True))
    means = class_losses({"tokens": {"whole": losses.tolist()}}, found)
    there = [(means[f"loss_{name}"], (found == i).mean()) for i, name in enumerate(CLASSES)
             if (found == i).any()]
    assert sum(mean * share for mean, share in there) == pytest.approx(losses.mean())
    both = means["loss_context"], means["loss_trivial"]
    assert means["context_minus_trivial"] == pytest.approx(both[0] - both[1], nan_ok=True)
    assert math.exp(means["context_over_trivial"]) == pytest.approx(both[0] / both[1], nan_ok=True)


def test_a_class_without_tokens_has_no_mean():
    means = class_losses({"tokens": {"whole": [1.0, 2.0]}}, np.array([0, 3]))
    assert means["loss_trivial"] == 1 and means["loss_rest"] == 2
    assert math.isnan(means["loss_context"]) and math.isnan(means["context_minus_trivial"])
