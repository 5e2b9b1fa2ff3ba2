"""The gamma rule, measured on what was really drawn."""

import math

import numpy as np
import pytest
import torch
from helpers import refusal
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from gammagpt import GPT, GPTConfig, audit_init, gamma_init_, implied_gamma
from gammagpt.gpt.options import PARTS

SHAPES = {
    "default": {},
    "gate": {"gate": True},
    "tied": {"tied": True},
    "deep and narrow": {"n_layer": 4, "width": 32, "hidden": 50},
}
SMALL = {"vocab_size": 200, "width": 32, "n_layer": 2}


def drawn(shape=None, seed=0, **scale) -> dict[str, torch.Tensor]:
    """The parameters of a GPT after `gamma_init_`."""
    model = gamma_init_(GPT(GPTConfig(**(shape or SMALL))), seed=seed, **scale)
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def matrices(parameters) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in parameters.items() if tensor.ndim == 2}


def assert_has_std(tensor, std: float, name=""):
    """Mean zero and this std, within five standard errors of a normal sample."""
    values = tensor.double().numpy().ravel()
    assert abs(values.mean()) < 5 * std / math.sqrt(values.size), name
    assert abs(values.std() / std - 1) < 5 / math.sqrt(2 * values.size), name


# ---- the rule, tensor by tensor ----------------------------------------------------------------


@pytest.mark.parametrize("gamma", [0.35, 0.5, 0.8, 1.2])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_matrix_has_the_std_of_its_input_dimension(shape, gamma):
    for name, tensor in matrices(drawn(shape, gamma=gamma)).items():
        d_in = tensor.shape[1]  # (out, in) of a Linear; (V, d) of the embedding, where d counts
        assert_has_std(tensor, d_in**-gamma, name)


def test_the_way_down_takes_its_own_input_dimension_not_the_width():
    down = drawn({"width": 32, "hidden": 512}, gamma=0.8)["blocks.0.mlp.down.weight"]
    assert_has_std(down, 512**-0.8)


def test_a_fixed_std_is_that_of_every_matrix():
    for name, tensor in matrices(drawn(std=0.02)).items():
        assert_has_std(tensor, 0.02, name)


def test_weights_are_normally_distributed():
    weights = torch.cat(
        [t.flatten() * t.shape[1] ** 0.5 for t in matrices(drawn(gamma=0.5)).values()]
    )
    assert stats.kstest(weights.numpy(), "norm").pvalue > 1e-4


def test_norm_gains_stay_as_built():
    gains = [tensor for tensor in drawn(gamma=0.8).values() if tensor.ndim == 1]
    assert len(gains) == 5 and all(torch.equal(gain, torch.ones(32)) for gain in gains)


@pytest.mark.parametrize("n_layer", [1, 3])
def test_residual_scaling_divides_exactly_the_residual_writers(n_layer):
    shape = SMALL | {"n_layer": n_layer, "gate": True}
    plain, scaled = (drawn(shape, std=0.02, residual_scaling=on) for on in (False, True))
    writers = {
        f"blocks.{i}.{name}.weight"
        for i in range(n_layer)
        for name in ("attention.out", "mlp.down")
    }
    for name in plain:
        factor = 1 / math.sqrt(2 * n_layer) if name in writers else 1
        torch.testing.assert_close(scaled[name], plain[name] * factor, rtol=1e-6, atol=0)


def test_depth_scaling_divides_the_matrices_of_block_l_by_sqrt_l():
    shape = SMALL | {"n_layer": 3}
    plain, scaled = (drawn(shape, gamma=0.5, depth_scaling=on) for on in (False, True))
    for name in plain:
        block = int(name.split(".")[1]) + 1 if name.startswith("blocks") else 1
        factor = 1 / math.sqrt(block) if plain[name].ndim > 1 else 1
        torch.testing.assert_close(scaled[name], plain[name] * factor, rtol=1e-6, atol=0)
    message = refusal(gamma_init_, nn.Linear(8, 8), 0.5, depth_scaling=True)
    assert message.startswith("depth_scaling")


def test_a_part_can_have_a_gamma_of_its_own_and_no_other_weight_changes():
    plain = drawn(SMALL, gamma=0.5)
    for part in PARTS:
        own = matrices(drawn(SMALL, gamma=0.5, parts=f"{part} 1"))
        changed = {name for name, weight in own.items() if not torch.equal(weight, plain[name])}
        assert changed and all(name.split(".")[0] in (part, "blocks") for name in changed)
        assert part in ("embedding", "head") or all(f".{part}." in name for name in changed)
        for name in changed:
            torch.testing.assert_close(own[name], plain[name] * plain[name].shape[1] ** -0.5)


def test_all_parts_together_are_all_matrices():
    every = ", ".join(f"{part} 0.8" for part in PARTS)
    one, other = drawn(SMALL, gamma=0.3, parts=every), drawn(SMALL, gamma=0.8)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "parts", ["tail 0.8", "embedding", "embedding x", "head 1, head 2", "head 0.8 0.9", "head 9"]
)
def test_a_part_that_is_unknown_or_has_no_gamma_is_refused(parts):
    assert refusal(drawn, SMALL, gamma=0.5, parts=parts).split(":")[0] in ("init.parts", "gamma")
    assert refusal(drawn, SMALL | {"tied": True}, gamma=0.5, parts="head 1") == (
        "init.parts: head is no part of this model"
    )


def test_residual_scaling_without_residual_writers_is_refused():
    message = refusal(gamma_init_, nn.Linear(8, 8), 0.5, residual_scaling=True)
    assert message.startswith("residual_scaling")


# ---- pairing: what a draw depends on -----------------------------------------------------------


@pytest.mark.parametrize("change", [{"gate": True}, {"tied": True}, {"n_layer": 5}])
def test_a_module_switched_on_changes_no_other_weight(change):
    before, after = drawn(SMALL, gamma=0.8), drawn(SMALL | change, gamma=0.8)
    shared = before.keys() & after.keys()
    assert len(shared) >= len(before) - 1  # tying removes the head
    assert all(torch.equal(before[name], after[name]) for name in shared)


def test_the_order_of_construction_does_not_matter():
    def module(names):
        return gamma_init_(
            nn.ModuleDict({name: nn.Linear(8, 8) for name in names}), 0.5
        ).state_dict()

    there, back = module("abc"), module("cba")
    assert all(torch.equal(there[name], back[name]) for name in there)


def test_the_global_generator_is_neither_used_nor_moved():
    torch.manual_seed(1)
    one = drawn(gamma=0.5)
    torch.manual_seed(2)
    other, module = drawn(gamma=0.5), nn.Linear(4, 4)
    state = torch.get_rng_state()
    gamma_init_(module, 0.5)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_two_gammas_share_one_draw_up_to_scale():
    usual, small = matrices(drawn(gamma=0.5)), matrices(drawn(gamma=1.2))
    for name in usual:
        ratio = usual[name].shape[1] ** -(1.2 - 0.5)
        torch.testing.assert_close(small[name], usual[name] * ratio, rtol=1e-5, atol=0)


def test_different_seeds_and_different_tensors_are_unrelated():
    one, other = drawn(gamma=0.5, seed=0), drawn(gamma=0.5, seed=1)
    names = [f"blocks.0.attention.{part}.weight" for part in ("query", "key", "value", "out")]
    square = [tensor.flatten() for tensors in (one, other) for tensor in map(tensors.get, names)]
    correlation = np.corrcoef(torch.stack(square)) - np.eye(8)
    assert abs(correlation).max() < 5 / math.sqrt(square[0].numel())


def test_the_same_seed_draws_the_same_bits():
    one, other = drawn(gamma=0.5, seed=3), drawn(gamma=0.5, seed=3)
    assert all(torch.equal(one[name], other[name]) for name in one)


# ---- modules of one's own ----------------------------------------------------------------------


def test_any_torch_module_can_be_drawn_and_biases_become_zero():
    module = nn.Sequential(
        nn.Embedding(90, 64), nn.LayerNorm(64), nn.Linear(64, 128), nn.Linear(128, 5)
    )
    assert gamma_init_(module, 0.8) is module
    for layer, d_in in ((0, 64), (2, 64), (3, 128)):
        assert_has_std(module[layer].weight.detach(), d_in**-0.8)
    assert not module[2].bias.any() and not module[3].bias.any()
    assert torch.equal(module[1].weight, torch.ones(64))


class Bare(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(40, 60))


def test_a_bare_matrix_needs_a_rule_and_the_error_names_it():
    message = refusal(gamma_init_, Bare(), 0.5)
    assert message.startswith("rules") and "table" in message and "(40, 60)" in message


def test_a_rule_gives_a_bare_matrix_its_input_dimension():
    assert_has_std(gamma_init_(Bare(), 0.5, rules={"tab*": 40}).table.detach(), 40**-0.5)


def test_multihead_attention_is_drawn_as_it_is_and_with_a_rule_for_its_packed_matrix():
    for rules in (None, {"in_proj_weight": 64}):
        attention = gamma_init_(nn.MultiheadAttention(64, 4), 0.7, rules=rules)
        assert_has_std(attention.in_proj_weight.detach(), 64**-0.7)
        assert_has_std(attention.out_proj.weight.detach(), 64**-0.7)
        assert audit_init(attention, 0.7, rules=rules).ok.all()


def test_a_rule_for_everything_leaves_nothing_that_the_audit_rejects():
    rules = {"*": 64}
    module = gamma_init_(nn.Linear(64, 64), 0.5, rules=rules)
    assert audit_init(module, 0.5, rules=rules).ok.all()


# ---- the audit ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(
    "scale",
    [{"gamma": 0.8}, {"std": 0.02}, {"std": 0.02, "residual_scaling": True},
     {"gamma": 0.5, "depth_scaling": True}],
)
def test_the_audit_passes_an_honest_draw(shape, scale):
    table = audit_init(gamma_init_(GPT(GPTConfig(**shape)), **scale), **scale)
    assert len(table) == len(matrices(drawn(shape, **scale))) and table.ok.all()


@pytest.mark.parametrize("tamper", ["scaled by 1.2", "scaled by 0.8", "shifted", "zero"])
def test_the_audit_flags_exactly_the_tensor_that_was_tampered_with(tamper):
    names = list(matrices(drawn(gamma=0.8)))
    for name in names:
        model = gamma_init_(GPT(GPTConfig(**SMALL)), 0.8)
        weight = model.get_parameter(name).data
        if tamper == "shifted":
            weight += weight.std() / 2
        else:
            weight *= {"scaled by 1.2": 1.2, "scaled by 0.8": 0.8, "zero": 0}[tamper]
        table = audit_init(model, gamma=0.8)
        assert list(table[~table.ok].tensor) == [name]


def test_the_audit_reports_what_it_measures():
    weight = drawn(gamma=0.8)["head.weight"].double()
    model = gamma_init_(GPT(GPTConfig(**SMALL)), 0.8)
    row = audit_init(model, 0.8).set_index("tensor").loc["head.weight"]
    rms = weight.pow(2).mean().sqrt().item()
    assert row["std"] == pytest.approx(rms)
    assert row.gamma == pytest.approx(-math.log(rms) / math.log(32))
    assert (row["shape"], row.d_in) == ("200x32", 32)
    assert (row.expected, row.tolerance) == pytest.approx((32**-0.8, 5 / math.sqrt(2 * 200 * 32)))


def test_the_audit_without_a_rule_only_measures():
    table = audit_init(GPT(GPTConfig(**SMALL)))
    assert list(table.columns) == ["tensor", "shape", "d_in", "std", "gamma", "warning"]
    assert not table.warning.any() and set(table.d_in) == {32, 88}


@given(
    width=st.integers(8, 96), out=st.integers(8, 96), gamma=st.floats(-0.5, 2),
    seed=st.integers(0, 2**40),
)  # fmt: skip
def test_the_audit_passes_at_any_width_gamma_and_seed(width, out, gamma, seed):
    module = nn.Sequential(nn.Linear(width, out), nn.Embedding(out, width))
    assert audit_init(gamma_init_(module, gamma, seed=seed), gamma).ok.all()


@given(gamma=st.floats(-2, 4), width=st.integers(2, 100_000))
def test_implied_gamma_inverts_the_rule(gamma, width):
    assert implied_gamma(width**-gamma, width) == pytest.approx(gamma, abs=1e-9)


# ---- impossible input --------------------------------------------------------------------------

BAD = [{"gamma": value} for value in (math.nan, math.inf, -math.inf, "0.5", True, [0.5])]
BAD += [{"std": value} for value in (math.nan, math.inf, "0.02", False, -0.02, 0, 0.0)]


@pytest.mark.parametrize("scale", BAD, ids=str)
def test_an_impossible_scale_is_refused_by_name_and_value(scale):
    ((name, value),) = scale.items()
    for function in (gamma_init_, audit_init):
        message = refusal(function, nn.Linear(4, 4), **scale)
        assert message.startswith(f"{name}: got {value!r}, allowed is ")


@pytest.mark.parametrize("scale", [{}, {"gamma": 0.5, "std": 0.02}], ids=["neither", "both"])
def test_exactly_one_of_gamma_and_std_is_needed(scale):
    assert refusal(gamma_init_, nn.Linear(4, 4), **scale).startswith("gamma, std: give exactly one")


@pytest.mark.parametrize("gamma", [1000.0, -1000.0])
def test_a_gamma_whose_std_no_float_can_hold_is_refused(gamma):
    assert "gamma" in refusal(gamma_init_, nn.Linear(64, 64), gamma)


@pytest.mark.parametrize("d_in", [0, -4, "64"])
def test_an_impossible_input_dimension_is_refused(d_in):
    assert refusal(gamma_init_, Bare(), 0.5, rules={"table": d_in}).startswith("rules")
