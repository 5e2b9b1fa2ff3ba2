"""The unigram plateau in the code: frequencies, an output bias that holds them, and its probes."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import refusal, small_anchor_run
from hypothesis import given
from hypothesis import strategies as st

from gammagpt import RunConfig, gamma_init_, train
from gammagpt.data import DataConfig, unigrams
from gammagpt.gpt.engine import audit, build_model
from gammagpt.gpt.model import GPT, GPTConfig
from gammagpt.gpt.scores import plateau_end, stable_rank
from gammagpt.probes.spectra import spectrum

# ---- frequencies -------------------------------------------------------------------------------


def test_frequencies_are_counts_plus_one(text, tiny):
    counts = Counter(text.train.tolist())
    total = len(text.train) + 300
    expected = [(counts[token] + 1) / total for token in range(300)]
    assert unigrams.frequencies(tiny.data) == pytest.approx(expected, rel=1e-12)
    entropy = -sum(share * math.log(share) for share in expected)
    assert unigrams.entropy(tiny.data) == pytest.approx(entropy, rel=1e-12)


def test_the_parts_of_a_mixture_count_equally():
    parts = [DataConfig(name, 512) for name in ("logic+stories",)]
    found = unigrams.frequencies(parts[0])
    assert found.sum() == pytest.approx(1) and found.min() > 0


# ---- the bias ----------------------------------------------------------------------------------


def with_bias(run: RunConfig, bias: str) -> RunConfig:
    return replace(run, model=replace(run.model, head_bias=bias))


def test_a_unigram_bias_starts_at_the_log_frequencies_and_a_zero_one_at_zero(tiny):
    start = build_model(with_bias(tiny, "unigram")).head.bias.detach().double().numpy()
    shares = np.exp(start) / np.exp(start).sum()
    assert shares == pytest.approx(unigrams.frequencies(tiny.data), rel=1e-5)
    assert abs(start.mean()) < 1e-6
    assert not build_model(with_bias(tiny, "zero")).head.bias.any()
    assert build_model(tiny).head.bias is None


def test_a_bias_changes_no_other_weight(tiny):
    plain, biased = (dict(build_model(with_bias(tiny, b)).named_parameters())
                     for b in ("none", "unigram"))  # fmt: skip
    assert set(biased) - set(plain) == {"head.bias"}
    assert all(torch.equal(weight, biased[name]) for name, weight in plain.items())


def test_a_small_initialization_with_a_unigram_bias_starts_at_the_unigram_level(tiny):
    tiny = replace(tiny, init=replace(tiny.init, gamma=3.0))
    losses = {b: train(with_bias(tiny, b)).curves["validation"][0][1] for b in ("none", "unigram")}
    assert losses["none"] == pytest.approx(math.log(300), abs=0.01)
    assert losses["unigram"] == pytest.approx(unigrams.entropy(tiny.data), abs=0.1)
    assert losses["unigram"] < losses["none"] - 0.5


def test_the_first_gradient_of_a_unigram_bias_is_sampling_noise_of_the_batch(tiny):
    """Its expectation is zero: softmax(log frequencies) less the frequencies."""
    model = build_model(with_bias(replace(tiny, init=replace(tiny.init, gamma=4.0)), "unigram"))
    shares = torch.from_numpy(unigrams.frequencies(tiny.data).copy()).float()
    tokens = torch.multinomial(shares, 40_000, True, generator=torch.Generator().manual_seed(0))
    model.loss(tokens.view(-1, 16), tokens.view(-1, 16).roll(1, 0)).backward()
    noise = (shares * (1 - shares) / 40_000).sqrt()
    assert (model.head.bias.grad.abs() < 5 * noise + 1e-4).all()


@pytest.mark.parametrize("bias", ["zero", "unigram"])
def test_the_audit_has_a_row_for_the_bias(tiny, bias):
    table = audit(with_bias(tiny, bias))
    row = table.iloc[-1]
    assert (row.tensor, row["shape"], row.d_in, row.ok) == ("head.bias", "300", 1, True)
    assert (row.expected == 0) == (bias == "zero") and table.ok.all()
    assert "head.bias" not in set(audit(tiny).tensor)


def test_biases_that_cannot_be_are_refused():
    assert "head_bias: got 'one', allowed are" in refusal(GPTConfig, head_bias="one")
    assert "allowed is none when tied" in refusal(GPTConfig, head_bias="zero", tied=True)
    anchors = small_anchor_run("gpt", model={"head_bias": "zero"})
    assert build_model(anchors).head.bias is not None
    assert "without a text" in refusal(small_anchor_run, "gpt", model={"head_bias": "unigram"})


def test_a_bias_is_another_run_and_none_is_the_run_that_it_was(tiny):
    assert len({with_bias(tiny, bias).key for bias in ("none", "zero", "unigram")}) == 3
    assert with_bias(tiny, "none").key == tiny.key


# ---- probes that are always on -----------------------------------------------------------------


def test_every_run_on_text_says_when_it_left_the_plateau_and_with_which_ranks(tiny):
    record = train(replace(tiny, steps=60))
    level = unigrams.entropy(tiny.data)
    assert record.final["unigram_entropy"] == pytest.approx(level, rel=1e-5)
    below = [step for step, loss in record.curves["train"] if loss < level - 0.1]
    assert record.final["unigram_until"] == below[0] and 1 < below[0] < 60
    for name in ("embedding", "head"):
        assert 1 <= record.final[f"{name}_stable_rank"] <= 16


def test_a_run_that_learns_nothing_never_leaves_the_plateau(tiny):
    still = replace(tiny, optim=replace(tiny.optim, learning_rate=0.0))
    assert train(still).final["unigram_until"] is None


@given(st.lists(st.floats(0, 10), min_size=1, max_size=20), st.floats(0, 10))
def test_the_plateau_ends_at_the_first_point_below_it(losses, level):
    curve = [[step, loss] for step, loss in enumerate(losses, 1)]
    found = plateau_end(curve, level)
    before = losses if found is None else losses[: found - 1]
    assert all(loss >= level - 0.1 for loss in before)
    assert found is None or losses[found - 1] < level - 0.1


@pytest.mark.parametrize("shape", [(30, 8), (8, 30), (12, 12), (5, 1)])
def test_the_stable_rank_is_that_of_the_singular_values(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    assert stable_rank(matrix) == pytest.approx(spectrum(matrix)["stable_rank"], rel=1e-9)
    assert stable_rank(torch.zeros(shape)) == 0


def test_a_drawn_model_with_a_bias_has_it_at_zero():
    model = GPT(GPTConfig(head_bias="zero"))
    model.head.bias.data.fill_(3.0)
    assert not gamma_init_(model, 0.8).head.bias.any()
