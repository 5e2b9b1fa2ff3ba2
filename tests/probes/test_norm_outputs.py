"""Where a norm's epsilon bites, on models whose norms are known to give what they must."""

from dataclasses import replace

import pytest
import torch

from gammagpt import train
from gammagpt.gpt.engine import build_model
from gammagpt.probes.norm_outputs import norm_outputs


def measured(config, eps):
    model = replace(config.model, norm_eps=eps)
    config = replace(config, model=model, probes=replace(config.probes, norms=4))
    return norm_outputs(build_model(config), config)


def test_without_epsilon_every_norm_gives_a_root_mean_square_of_one(tiny):
    found = measured(tiny, 0.0)
    assert len(found["output"]) == 2 * tiny.model.n_layer + 1
    assert found["output"] == pytest.approx([1.0] * len(found["output"]), abs=1e-5)


def test_the_first_norm_gives_less_where_epsilon_is_like_the_square_of_the_embedding(tiny):
    variance = tiny.model.width ** (-2 * tiny.init.gamma)
    found = measured(tiny, variance)
    assert found["input"][0] == pytest.approx(variance**0.5, rel=0.2)
    assert found["output"][0] == pytest.approx(0.5**0.5, rel=0.1)


def test_the_gain_is_left_out(tiny):
    config = replace(tiny, probes=replace(tiny.probes, norms=4))
    model = build_model(config)
    plain = norm_outputs(model, config)
    with torch.no_grad():
        model.norm.weight.mul_(3)  # of the last norm: no other one sees it
    assert norm_outputs(model, config) == plain


def test_a_record_has_them_at_its_end_and_only_if_asked_for(tiny):
    asked = replace(tiny, steps=2, probes=replace(tiny.probes, norms=4, spectra=0))
    assert set(train(asked).probes[-1]["norms"]) == {"input", "output"}
    assert not train(replace(asked, probes=replace(asked.probes, norms=0))).probes
