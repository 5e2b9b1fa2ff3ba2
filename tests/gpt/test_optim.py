"""The learning-rate schedule by hand, and AdamW against a float64 reference of our own."""

import math
from dataclasses import replace

import pytest
import torch
from helpers import refusal
from torch import nn

from gammagpt import GPT, GPTConfig, OptimConfig, RunConfig, gamma_init_, train
from gammagpt.gpt.engine import shape
from gammagpt.gpt.optim import (
    StackedAdamW,
    learning_rate,
    make_adamw,
    make_optimizers,
    stacked_adamw_,
)

# ---- the schedule ------------------------------------------------------------------------------

BY_HAND = [  # peak 1, 100 steps: ten of warm-up, then a cosine over ninety
    (0, 0.1),
    (4, 0.5),
    (9, 1.0),
    (10, 1.0),
    (40, 0.1 + 0.9 * 0.75),  # a third of the way, cos(60 degrees) = 1/2
    (55, 0.55),  # half of the way
    (70, 0.1 + 0.9 * 0.25),
    (99, 0.1 + 0.9 * 0.5 * (1 - math.cos(math.pi / 90))),
]


@pytest.mark.parametrize("step, rate", BY_HAND)
def test_the_schedule_is_a_warm_up_and_a_cosine(step, rate):
    assert learning_rate(OptimConfig(learning_rate=1.0), step, 100) == pytest.approx(rate)
    assert learning_rate(OptimConfig(learning_rate=0.02), step, 100) == pytest.approx(0.02 * rate)


def test_without_warm_up_the_first_step_is_at_the_peak():
    config = OptimConfig(learning_rate=0.3, warmup=0.0)
    assert learning_rate(config, 0, 5) == pytest.approx(0.3)


def test_warm_up_alone_ends_at_the_peak():
    config = OptimConfig(learning_rate=0.3, warmup=1.0)
    rates = [learning_rate(config, step, 6) for step in range(6)]
    assert rates == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25, 0.3])


def test_a_final_share_of_one_keeps_the_peak():
    config = OptimConfig(learning_rate=0.3, final_ratio=1.0)
    assert [learning_rate(config, step, 40) for step in (4, 20, 39)] == pytest.approx([0.3] * 3)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_the_shortest_runs_have_a_rate_too(steps):
    rates = [learning_rate(OptimConfig(learning_rate=1.0), step, steps) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates) and max(rates) == 1


# ---- AdamW -------------------------------------------------------------------------------------


def reference_adamw(start, gradients, rates, config, decay):
    """Loshchilov & Hutter's AdamW, eps 1e-8, in plain float64 arithmetic."""
    w, m, v = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        w = w * (1 - rate * decay)
        m = config.beta1 * m + (1 - config.beta1) * g
        v = config.beta2 * v + (1 - config.beta2) * g * g
        m_hat, v_hat = m / (1 - config.beta1**t), v / (1 - config.beta2**t)
        w = w - rate * m_hat / (v_hat.sqrt() + 1e-8)
    return w


@pytest.mark.parametrize("config", [OptimConfig(), OptimConfig(0.1, 0.5, beta1=0.8, beta2=0.99)])
def test_six_steps_are_those_of_the_reference(config):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.RMSNorm(7)).double()
    start = [p.detach().clone() for p in model.parameters()]
    optimizer, gradients = make_adamw(model, config), []
    rates = [learning_rate(config, step, 6) for step in range(6)]
    for rate in rates:
        gradients.append([torch.randn_like(p) for p in model.parameters()])
        for parameter, gradient in zip(model.parameters(), gradients[-1], strict=True):
            parameter.grad = gradient.clone()
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    for i, parameter in enumerate(model.parameters()):
        decay = config.weight_decay if parameter.ndim == 2 else 0
        expected = reference_adamw(start[i], [g[i] for g in gradients], rates, config, decay)
        torch.testing.assert_close(parameter.data, expected, rtol=1e-9, atol=1e-12)


def test_decay_shrinks_matrices_and_leaves_norm_gains_alone():
    model = gamma_init_(GPT(GPTConfig(vocab_size=50, width=16)), 0.5)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = make_adamw(model, OptimConfig(learning_rate=0.1, weight_decay=0.5))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        factor = 0.95 if parameter.ndim == 2 else 1.0
        torch.testing.assert_close(parameter.data, before[name] * factor)


def test_every_parameter_is_optimized_once_even_if_tied():
    model = GPT(GPTConfig(tied=True, gate=True))
    groups = make_adamw(model, OptimConfig()).param_groups
    optimized = [id(p) for group in groups for p in group["params"]]
    assert sorted(optimized) == sorted(id(p) for p in model.parameters())


# ---- impossible values -------------------------------------------------------------------------

BAD = [
    (name, value)
    for name in ("learning_rate", "weight_decay", "clip")
    for value in (-1e-9, math.inf)
]
BAD += [
    (name, value) for name in ("beta1", "beta2", "warmup", "final_ratio") for value in (-0.1, 1.1)
]
BAD += [("learning_rate", math.nan), ("warmup", math.nan)]


@pytest.mark.parametrize("name, value", BAD)
def test_an_impossible_value_is_refused_by_name(name, value):
    message = refusal(OptimConfig, **{name: value})
    assert message.startswith(f"optim.{name}: got {value}, allowed is ")


@pytest.mark.parametrize("name", ["beta1", "beta2"])
def test_a_beta_of_one_which_would_never_learn_is_refused(name):
    message = refusal(RunConfig.from_dict, {"optim": {name: 1.0}})
    assert message.startswith(f"optim.{name}: got 1.0")


@pytest.mark.parametrize(
    "values",
    [{"learning_rate": 0.0}, {"weight_decay": 0.0}, {"clip": 0.0}, {"beta1": 0.0, "beta2": 0.0}],
)
def test_what_the_bounds_allow_makes_an_optimizer(values):
    config = OptimConfig(**values)
    group = make_adamw(nn.Linear(2, 2), config).param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (config.learning_rate, config.weight_decay)
    assert group["betas"] == (config.beta1, config.beta2)


# ---- relative steps ----------------------------------------------------------------------------


def test_a_relative_step_is_the_plain_one_times_the_size_of_the_matrix():
    """The size: root mean square over d_in^-0.5. Norm gains take plain steps; decay is the same."""
    torch.manual_seed(0)
    start = [torch.randn(2, 5, 7), torch.randn(2, 7)]
    gradients = [torch.randn_like(weight) for weight in start]
    optim = OptimConfig(0.1, 0.5, warmup=0.0, clip=0.0)
    moved = []
    for relative in (False, True):
        weights = [weight.clone() for weight in start]
        optims = [optim, replace(optim, relative=relative)]  # the first one is plain in both
        StackedAdamW(weights, optims, 1, stacked_adamw_).step(gradients, torch.zeros(2), 0)
        moved.append(weights)
    (plain, gain), (mixed, other_gain) = moved
    assert torch.equal(gain, other_gain) and torch.equal(plain[0], mixed[0])
    kept = start[0][1] * (1 - 0.1 * 0.5)
    size = start[0][1].square().mean().sqrt() * 7**0.5
    torch.testing.assert_close(mixed[1] - kept, (plain[1] - kept) * size, rtol=1e-4, atol=1e-6)


# ---- other updates of the hidden matrices ------------------------------------------------------


def gradients_of(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)


def hidden_of(model) -> set[str]:
    return {name for name, p in model.named_parameters() if "blocks" in name and p.ndim == 2}


@pytest.mark.parametrize("update", ["adamw", "adamh", "muon"])
def test_every_weight_has_one_optimizer_and_only_hidden_matrices_another(update):
    model = gamma_init_(GPT(GPTConfig(head_bias="zero", positions="learned")), 0.5)
    optimizers = make_optimizers(model, OptimConfig(hidden_update=update))
    names = {id(p): name for name, p in model.named_parameters()}
    held = [[names[id(p)] for g in o.param_groups for p in g["params"]] for o in optimizers]
    assert sorted(sum(held, [])) == sorted(names.values())
    assert len(held) == 1 if update == "adamw" else set(held[1]) == hidden_of(model)


def test_adamh_turns_a_matrix_by_a_fixed_share_and_keeps_its_norm():
    config = OptimConfig(0.01, weight_decay=0.5, hidden_update="adamh")
    model = gamma_init_(GPT(GPTConfig(vocab_size=50, width=16)), 1.2).double()
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    gradients_of(model)
    for optimizer in make_optimizers(model, config):
        optimizer.step()
    for name, parameter in model.named_parameters():
        if name not in hidden_of(model):
            continue
        old, norm = start[name], start[name].norm()
        adam = -parameter.grad / (parameter.grad.abs() + config.eps)  # the first step of Adam
        moved = old + adam * 0.01 * math.sqrt(old.shape[1]) * norm / adam.norm()
        torch.testing.assert_close(parameter.data, moved * norm / moved.norm(), rtol=1e-9, atol=0)


def test_muon_takes_steps_of_equal_singular_values_as_large_as_those_of_adamw():
    config = OptimConfig(0.01, weight_decay=0.0, hidden_update="muon")
    model = gamma_init_(GPT(GPTConfig(vocab_size=50, width=16)), 1.2)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    gradients_of(model)
    for optimizer in make_optimizers(model, config):
        optimizer.step()
    for name in hidden_of(model):
        move = dict(model.named_parameters())[name].detach() - start[name]
        values = torch.linalg.svdvals(move) / (0.01 * 0.2 * math.sqrt(max(move.shape)))
        assert values.max() < 1.3 and values.median() > 0.6  # five iterations leave the least short
        assert move.square().mean().sqrt() == pytest.approx(0.01 * 0.2, rel=0.25)  # AdamW's size


def test_a_run_with_another_update_shares_no_stack(tiny):
    plain, other = (replace(tiny, optim=replace(tiny.optim, hidden_update=update))
                    for update in ("adamw", "muon"))
    assert shape(other) == other and shape(plain) == shape(replace(plain, seed=7))
    assert shape(other) != shape(replace(other, seed=7))
    assert train(other).final["validation_loss"] != train(plain).final["validation_loss"]


def test_an_update_that_is_not_known_is_refused():
    assert "allowed are adamw, adamh, muon" in refusal(OptimConfig, hidden_update="sgd")
    assert "relative" in refusal(OptimConfig, hidden_update="muon", relative=True)
    assert "optim.eps: got 0" in refusal(OptimConfig, eps=0.0)
