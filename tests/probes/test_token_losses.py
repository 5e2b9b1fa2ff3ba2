"""Losses token by token: with the whole window, and with a few tokens of context."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gammagpt import GPT, gamma_init_
from gammagpt.data import load_text
from gammagpt.gpt.model import cross_entropy
from gammagpt.gpt.options import ProbeConfig
from gammagpt.probes.token_losses import token_losses

SHORT = ProbeConfig().short


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


@pytest.mark.parametrize("short", [1, 2])
def test_a_run_says_how_short_the_short_context_is(measured, short):
    model, config, inputs, targets, _ = measured
    losses = token_losses(model, replace(config, probes=replace(config.probes, short=short)))
    found = np.reshape(losses["short"], targets.shape)[1, 9]
    expected = loss_of(model, inputs[1, 10 - short : 10], targets[1, 9])
    assert found == pytest.approx(expected, abs=6e-4)
