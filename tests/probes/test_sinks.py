"""Attention sinks, on maps made by hand, where it is known what must be found."""

import pytest
import torch

from gammagpt import GPT, GPTConfig, RunConfig
from gammagpt.data.batches import validation_inputs
from gammagpt.gpt.engine import build_model
from gammagpt.gpt.init import gamma_init_
from gammagpt.probes.geometry import attention_maps
from gammagpt.probes.sinks import first_token, sink_rate, sinks, value_drain

T = 64
HARMONIC = sum(1 / i for i in range(1, T + 1)) / T  # what a causal average gives the first token


def sink(length=T):
    """(T, T): every token looks at the first one only."""
    return torch.eye(length, dtype=torch.float64)[0].expand(length, length)


def itself(length=T):
    return torch.eye(length, dtype=torch.float64)


def average(length=T):
    seen = torch.ones(length, length, dtype=torch.float64).tril()
    return seen / seen.sum(1, keepdim=True)


def maps(*layers):
    """Of one sequence: a map for each head of each layer."""
    return [torch.stack(heads)[None] for heads in layers]


def test_what_the_first_token_gets_is_the_mean_over_all_that_look():
    found = first_token(maps([sink(), average()], [itself(), average()]))
    assert found.shape == (2, 1, 2)
    assert found.flatten().tolist() == pytest.approx([1, HARMONIC, 1 / T, HARMONIC])


def test_the_rate_is_the_share_of_heads_above_the_threshold():
    found = maps([sink(), average()], [itself(), average()])
    assert sink_rate(found) == 0.25
    assert sink_rate(found, threshold=HARMONIC / 2) == 0.75


def test_sequences_count_alike():
    one, other = maps([sink()]), maps([itself()])
    assert sink_rate([torch.cat([one[0], other[0], other[0], other[0]])]) == 0.25


def test_in_a_context_of_nine_tokens_an_average_is_called_a_sink():
    """The mean of 1/i is above .3 up to nine tokens: shorter contexts cannot be asked."""
    assert sink_rate(maps([average(9)])) == 1 and sink_rate(maps([average(10)])) == 0


def test_a_fresh_model_with_a_small_start_averages_and_has_no_sink():
    model = gamma_init_(GPT(GPTConfig(width=64, vocab_size=97)), 1.0)
    tokens = torch.randint(97, (3, T), generator=torch.Generator().manual_seed(0))
    found = attention_maps(model, tokens)
    assert sink_rate(found) == 0
    assert first_token(found).mean().item() == pytest.approx(HARMONIC, rel=0.05)


def test_a_value_of_nothing_is_drained_and_one_like_the_others_is_not():
    """Of embeddings that point in directions of their own: the value of token 0 made short."""
    model = gamma_init_(GPT(GPTConfig(width=64, vocab_size=33, n_layer=1, n_head=2)), 0.5)
    with torch.no_grad():
        model.embedding.weight.copy_(torch.eye(33, 64))
        model.blocks[0].attention.value.weight.copy_(torch.eye(64).roll(1, 0) + torch.eye(64))
    tokens = torch.arange(32)[None]
    other = value_drain(model, 32 - tokens)  # its first token is 32
    with torch.no_grad():
        model.blocks[0].attention.value.weight[:, 0] *= 0.25
    assert value_drain(model, tokens) < 0.4 * value_drain(model, 32 - tokens)
    assert value_drain(model, 32 - tokens) == pytest.approx(other, rel=0.1)


def test_on_backcopy_the_map_is_that_of_the_head_that_gives_the_first_token_most():
    config = RunConfig.from_dict({
        "model": {"vocab_size": 64, "block_size": 16, "n_layer": 2, "n_head": 2, "width": 16},
        "data": {"kind": "backcopy"}, "probes": {"sinks": 5}, "init": {"gamma": 0.3},
    })
    model = build_model(config)
    found, tokens = sinks(model, config), validation_inputs(config, 5)
    maps = attention_maps(model, tokens)
    strongest = max((head for layer in maps for head in layer.unbind(1)),
                    key=lambda head: head[..., 0].mean().item())
    assert [len(row) for row in found["map"]] == list(range(1, 17))
    assert found["map"][9] == pytest.approx(strongest[0, 9, :10].tolist(), abs=6e-4)
    assert found["value_drain"] == pytest.approx(value_drain(model, tokens))
    assert found["sink_rate"] == sink_rate(maps)
