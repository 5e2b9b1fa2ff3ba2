"""The Emb-MLP against numpy, under the gamma rule, and on the task that it is for."""

import numpy as np
import pytest
import torch
from helpers import refusal, small_anchor_run
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf

from gammagpt import RunConfig, audit_init, gamma_init_, train
from gammagpt.gpt.emb_mlp import ACTIVATIONS, EmbMLP, EmbMLPConfig
from gammagpt.gpt.init import init_table

SMALL = {"vocab_size": 40, "block_size": 4, "width": 12, "hidden": 20}
REFERENCE = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "linear": lambda x: x,
}


def build(gamma=0.3, seed=0, **changes) -> EmbMLP:
    return gamma_init_(EmbMLP(EmbMLPConfig(**SMALL | changes)), gamma, seed=seed)


def some_tokens(batch=5, length=4, seed=0):
    return torch.randint(40, (batch, length), generator=torch.Generator().manual_seed(seed))


MODEL = build().double()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_logits_are_those_of_the_definition(activation):
    model, tokens = build(activation=activation), some_tokens()
    embedding, hidden, head = (p.detach().double().numpy() for p in model.parameters())
    summed = np.array([sum(embedding[token] for token in row) for row in tokens.tolist()])
    expected = REFERENCE[activation](summed @ hidden.T) @ head.T
    found = model.double()(tokens).detach().numpy()
    assert found.shape == (5, 40) and np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_every_activation_is_another_model():
    outputs = [build(activation=name)(some_tokens()) for name in ACTIVATIONS]
    gaps = [(a - b).abs().max().item() for i, a in enumerate(outputs) for b in outputs[:i]]
    assert min(gaps) > 1e-3


@given(st.permutations(range(4)), st.integers(0, 100))
def test_the_order_of_the_tokens_changes_nothing(order, seed):
    tokens = some_tokens(seed=seed)
    torch.testing.assert_close(MODEL(tokens[:, order]), MODEL(tokens), rtol=1e-12, atol=1e-13)


def test_a_token_that_is_there_twice_counts_twice():
    model = build(activation="linear").double()
    once, both, twice = (model(torch.tensor([row])) for row in ([3], [3, 7], [3, 3, 7]))
    torch.testing.assert_close(twice, once + both)
    assert (twice - both).abs().max() > 1e-3


def test_it_starts_as_the_gamma_rule_says_without_biases_or_gains():
    model = build(gamma=0.8, width=64, hidden=100, vocab_size=300)
    assert audit_init(model, 0.8).ok.all() and not audit_init(model, 0.7).ok.any()
    d_in = {rule.name: rule.d_in for rule in init_table(model, 0.8)}
    assert d_in == {"embedding.weight": 64, "hidden.weight": 64, "head.weight": 100}
    assert list(d_in) == [name for name, _ in model.named_parameters()]


def test_it_learns_to_reason_also_about_what_it_never_saw():
    record = train(small_anchor_run("emb_mlp", steps=300))
    assert record.curves["reasoning_accuracy"][0][1] < 0.2
    assert record.final["reasoning_accuracy"] > 0.9 and record.final["unseen_accuracy"] > 0.5


@pytest.mark.parametrize(
    "field, value, allowed",
    [
        ("vocab_size", 0, "1 to 262144"),
        ("block_size", 0, "1 to 262144"),
        ("width", -1, "1 to 262144"),
        ("hidden", 0, "1 to 262144"),
        ("activation", "sigmoid", "tanh, relu, gelu, linear"),
    ],
)
def test_an_impossible_shape_is_refused_by_field_and_value(field, value, allowed):
    message = refusal(EmbMLPConfig, **SMALL | {field: value})
    assert message.startswith(f"model.{field}: got {value!r}, allowed ") and allowed in message
    as_run = {"model": {"kind": "emb_mlp"} | SMALL | {field: value}, "data": {"kind": "anchors"}}
    assert refusal(RunConfig.from_dict, as_run) == message


def test_text_is_nothing_for_it():
    message = refusal(RunConfig.from_dict, {"model": {"kind": "emb_mlp", "vocab_size": 1024}})
    assert message.startswith("model.kind: got 'emb_mlp', allowed is 'gpt' for a text")
