"""How a model sees its tokens: on models made by hand, where it is known what must be found."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import small_anchor_run
from hypothesis import given
from hypothesis import strategies as st

from gammagpt import GPT, GPTConfig
from gammagpt.data.anchors import held_sequences, tasks, training_sequences
from gammagpt.gpt.emb_mlp import EmbMLP
from gammagpt.gpt.engine import build_model
from gammagpt.gpt.init import gamma_init_
from gammagpt.gpt.model import library_kernel, written_out
from gammagpt.probes.geometry import (
    _from_last,
    anchors,
    attention,
    attention_maps,
    cosines,
    geometry,
    gradient_agreement,
    group_cosines,
    in_range,
    measured_gradient,
    predicted_gradient,
    principal_plane,
    rows_in_use,
    upper_triangle,
    value_direction,
)
from gammagpt.probes.triangle import full_matrix

ANCHORS = [1, 2, 3, 4, 11, 12, 13, 14]  # of small_anchor_run: memory, then reasoning


def run(kind="gpt", gamma=0.8, seed=0, **changes):
    """(model at step 0, its configuration)."""
    config = small_anchor_run(kind, init={"gamma": gamma}, seed=seed, **changes)
    return build_model(config), config


def with_embedding(rows) -> SimpleNamespace:
    """What has an embedding and nothing else."""
    return SimpleNamespace(embedding=SimpleNamespace(weight=torch.tensor(rows)))


# ---- embeddings --------------------------------------------------------------------------------


@given(st.integers(1, 12), st.integers(0, 10**6))
def test_a_matrix_comes_back_from_its_upper_triangle(size, seed):
    values = np.random.default_rng(seed).uniform(-1, 1, (size, size)).round(3)
    matrix = np.triu(values, 1) + np.triu(values, 1).T + np.eye(size)
    upper = upper_triangle(torch.tensor(matrix))
    assert len(upper) == size * (size - 1) // 2 and (size < 9 or min(upper) < 0)
    np.testing.assert_array_equal(full_matrix(upper), matrix)


def test_cosines_are_those_of_numpy_whatever_the_lengths():
    rows = np.random.default_rng(0).normal(size=(9, 5)) * np.logspace(-9, 3, 9)[:, None]
    tokens = [7, 2, 4]
    unit = rows[tokens] / np.linalg.norm(rows[tokens], axis=1, keepdims=True)
    np.testing.assert_allclose(cosines(with_embedding(rows), tokens), unit @ unit.T, atol=1e-12)


def test_the_anchors_are_listed_task_by_task():
    assert anchors(small_anchor_run("gpt").data) == ANCHORS
    turned = {"tasks": "reasoning 11..12 sum, memory 1..2 random", "held_out": ""}
    assert anchors(small_anchor_run("gpt", data=turned).data) == [11, 12, 1, 2]


def test_principal_plane_finds_a_planted_number_line():
    """Rows along a bent line and noise in the other directions, far from the origin."""
    rng = np.random.default_rng(0)
    number = np.arange(20.0)
    line, bend = np.linalg.qr(rng.normal(size=(16, 2)))[0].T
    rows = np.outer(number, line) + np.outer((number - 11) ** 2 / 20, bend)
    rows += 100 + 0.001 * rng.normal(size=rows.shape)
    found = principal_plane(with_embedding(rows), list(range(3, 20)))
    first = np.array(found["plane"])[:, 0]
    steps = np.diff(first)
    assert found["tokens"] == list(range(3, 20)) and np.abs(found["plane"]).max() == 1
    assert np.all(steps > 0) or np.all(steps < 0)
    assert np.abs(steps).std() < 0.01 * np.abs(steps).mean() + 1e-3  # rounded to three decimals
    exact = np.linalg.svd(rows[3:] - rows[3:].mean(0), compute_uv=False) ** 2
    assert found["shares"] == pytest.approx(exact[:8] / exact.sum(), abs=6e-4)
    assert found["shares"][0] > 0.9


def test_rows_in_use_are_only_those_of_anchors_and_keys():
    rows = np.eye(40)
    rows[:20] = 1.0  # all alike, but not asked for
    rows[35] = rows[36]
    found = rows_in_use(with_embedding(rows), list(range(30, 40)))
    assert set(found) == {"stable_rank", "effective_rank", "pairs_alike"}
    assert found["pairs_alike"] == pytest.approx(2 / 90)
    assert found["stable_rank"] == pytest.approx(10 / 2)


def test_groups_of_tokens_have_the_mean_cosine_of_their_pairs():
    rows = [[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [1.0, 1.0], [-1.0, -1.0]]
    groups = {"one": [0, 1, 2], "two": [3, 4], "none": [0]}
    found = group_cosines(with_embedding(rows), groups)
    assert found.items() >= {"one": pytest.approx(1 / 3), "two": pytest.approx(-1)}.items()


# ---- answers -----------------------------------------------------------------------------------


class Answers(torch.nn.Module):
    """Answers with the same label, whatever it is asked."""

    def __init__(self, label: int):
        super().__init__()
        self.embedding, self.label = torch.nn.Embedding(61, 4), label

    def forward(self, tokens, last=False):
        assert last
        return torch.nn.functional.one_hot(torch.full(tokens.shape[:1], self.label), 61).float()


@pytest.mark.parametrize("label", [25, 45, 60])
def test_an_answer_is_in_the_range_of_a_task_if_the_task_has_such_a_label(label):
    config = small_anchor_run("gpt")
    expected = {task.name: float(label in task.labels) for task in tasks(config.data, 0)}
    assert in_range(Answers(label), config) == expected


def test_in_range_is_a_share_of_the_answers():
    """Half of the labels of `low` are those of `high` too, and the model answers with the key."""

    class Key(Answers):
        def forward(self, tokens, last=False):
            return torch.nn.functional.one_hot(tokens[:, 0], 61).float()

    data = {"tasks": "low 1..2 21..25, all 3..4 random", "held_out": "", "length": 3}
    config = small_anchor_run("gpt", data=data)
    held = held_sequences(config.data, 0, 256)["low"].tokens[:, 0]
    found = in_range(Key(0), config)
    assert found == {"low": pytest.approx((held <= 25).mean(), abs=1e-4), "all": 1.0}
    assert 0.3 < found["low"] < 0.7


# ---- the first gradient ------------------------------------------------------------------------


def test_the_measured_gradient_is_that_of_finite_differences():
    model, config = run("emb_mlp", gamma=0.5)
    model, found = model.double(), training_sequences(config.data, 0)
    tokens, labels = (torch.from_numpy(x).long() for x in (found.tokens, found.labels))

    def loss():
        with torch.no_grad():
            return -model(tokens).log_softmax(1)[torch.arange(len(labels)), labels].mean().item()

    gradient, weight = measured_gradient(model, found), model.embedding.weight.data
    for place in ((11, 3), (25, 0), (2, 7)):
        before = weight[place].item()
        sides = []
        for step in (1e-5, -1e-5):
            weight[place] = before + step
            sides.append(loss())
        weight[place] = before
        assert gradient[place].item() == pytest.approx(-(sides[0] - sides[1]) / 2e-5, rel=1e-5)


def agreement(gamma, activation="tanh", seed=0) -> dict:
    shape = {"activation": activation, "width": 64, "hidden": 96}
    return gradient_agreement(*run("emb_mlp", gamma, seed, model=shape))


@pytest.mark.parametrize("activation", ["tanh", "linear"])
def test_the_first_gradient_is_proposition_1_for_a_very_small_initialization(activation):
    found = agreement(1.5, activation)
    assert list(found) == ["memory", "reasoning", "keys"] and min(found.values()) > 0.99999


@pytest.mark.parametrize("seed", [0, 1])
def test_it_clearly_is_not_for_a_large_one(seed):
    assert max(agreement(0.3, seed=seed).values()) < 0.95
    assert max(agreement(0.1, seed=seed).values()) < 0.7


def test_not_only_the_direction_but_the_size_of_the_gradient_is_predicted():
    model, config = run("emb_mlp", gamma=1.5)
    found = training_sequences(config.data, 0)
    predicted, measured = predicted_gradient(model, found), measured_gradient(model, found)
    torch.testing.assert_close(measured, predicted, rtol=1e-3, atol=1e-3 * predicted.abs().max())
    assert measured[ANCHORS].norm(dim=1).min() > 0 == measured[50].norm()  # 50 is no token


def test_without_a_slope_of_one_at_zero_the_proposition_is_not_exact():
    """sigma'(0) = 1 is what the theory asks for; a ReLU has no slope there."""
    assert max(agreement(1.5, "relu").values()) < 0.99


def test_looking_at_the_gradient_leaves_the_model_as_it_was_and_where_it_is(monkeypatch):
    model, config = run("emb_mlp")
    moved = []  # to the CPU, where all of it is computed; the model itself goes on training
    monkeypatch.setattr(EmbMLP, "to", lambda self, device: moved.append(self) or self)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    gradient_agreement(model, config)
    assert all(torch.equal(before[name], w) for name, w in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert len(moved) == 1 and moved[0] is not model


# ---- attention ---------------------------------------------------------------------------------


@pytest.mark.parametrize("positions", ["learned", "rotary"])
@pytest.mark.parametrize("attend", [library_kernel, written_out])
def test_attention_maps_are_causal_shares_and_leave_the_model_as_it_was(positions, attend):
    shape = {"n_layer": 3, "n_head": 2, "width": 16, "block_size": 7, "vocab_size": 50}
    model = gamma_init_(GPT(GPTConfig(**shape, positions=positions)), 0.2)
    model.blocks[1].attention.attend = attend
    tokens = torch.randint(50, (4, 7), generator=torch.Generator().manual_seed(0))
    before, kept = model(tokens), [block.attention.attend for block in model.blocks]
    maps = attention_maps(model, tokens)
    assert [tuple(found.shape) for found in maps] == [(4, 2, 7, 7)] * 3
    for found in maps:
        torch.testing.assert_close(found.sum(-1), torch.ones(4, 2, 7))
        assert found.triu(1).abs().max() == 0 and found.min() >= 0
        assert found[..., -1, :].std() > 0.01  # they are no averages
    assert [block.attention.attend for block in model.blocks] == kept
    assert torch.equal(model(tokens), before)


def test_attention_maps_leave_the_model_as_it_was_even_if_it_fails():
    model, _ = run()
    kept = [block.attention.attend for block in model.blocks]
    with pytest.raises(IndexError):
        attention_maps(model, torch.full((1, 5), 1000))
    assert [block.attention.attend for block in model.blocks] == kept


def test_attention_maps_are_what_the_model_does():
    """The output of the first layer's attention, made again from its map."""
    model, config = run(gamma=0.2)
    tokens = torch.from_numpy(held_sequences(config.data, 0, 6)["memory"].tokens).long()
    layer = model.blocks[0].attention
    seen = []
    layer.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0], output)))
    [first, _] = attention_maps(model, tokens)
    [(x, output)] = seen
    torch.testing.assert_close(output, layer.out(first[:, 0] @ layer.value(x)))


@pytest.mark.parametrize("gamma, low, high", [(3.0, 0.0, 0.001), (-0.5, 0.6, 1.0)])
def test_attention_is_an_average_for_a_very_small_initialization_only(gamma, low, high):
    found = attention(*run(gamma=gamma))
    assert low <= found["average_distance"] <= high
    average = np.tril(np.ones((5, 5))) / np.arange(1, 6)[:, None]
    assert (np.abs(np.array(found["first"]) - average).max() < 0.001) == (gamma == 3.0)


def test_the_distance_to_the_average_shrinks_with_gamma():
    found = [attention(*run(gamma=g))["average_distance"] for g in (0.1, 0.4, 0.8, 1.2)]
    assert found == sorted(found, reverse=True) and found[0] > 2 * found[2]


def test_shares_of_the_last_tokens_attention_go_to_key_anchors_and_rest():
    row = torch.tensor([[0.1, 0.5, 0.2, 0.15, 0.05], [0.3, 0.3, 0.2, 0.1, 0.1]])
    found = _from_last(row, np.array([1, 0]), anchors=2)
    assert found == {"key": 0.4, "anchors": 0.425, "rest": 0.175}
    one = _from_last(row[:1], np.array([2]), anchors=1)
    assert one == {"key": 0.2, "anchors": 0.15, "rest": 0.65}


def test_an_average_gives_the_key_one_share_and_its_anchors_two():
    found = attention(*run(gamma=3.0))["from_last"]
    assert list(found) == ["memory", "reasoning", "unseen"]
    for layers in found.values():
        assert layers == [{"key": 0.2, "anchors": 0.4, "rest": 0.4}] * 2


# ---- values ------------------------------------------------------------------------------------


def test_the_direction_of_a_rank_one_value_matrix_is_found():
    """Embeddings of reasoning anchors lie along its input, up to sign; of memory, across it."""
    model, config = run()
    into, out = torch.eye(16)[3], torch.linspace(1, 2, 16)
    with torch.no_grad():
        model.blocks[0].attention.value.weight.copy_(torch.outer(out, into))
        model.embedding.weight[1:5] = torch.eye(16)[5:9]
        model.embedding.weight[11:15] = torch.outer(torch.tensor([1.0, -2.0, 3.0, 0.1]), into)
        model.embedding.weight[14] += 0.1 * torch.eye(16)[7]  # at 45 degrees
    found = value_direction(model, config.data)
    assert found["share"] == 1
    assert found["alignment"] == [0, 0, 0, 0, 1, 1, 1, pytest.approx(math.sqrt(0.5), abs=1e-3)]


def test_gains_of_the_norm_are_part_of_what_the_layer_sees():
    model, config = run()
    with torch.no_grad():
        model.blocks[0].attention.value.weight.copy_(torch.outer(torch.ones(16), torch.eye(16)[3]))
        model.embedding.weight[ANCHORS] = torch.eye(16)[3] + torch.eye(16)[4]
        model.blocks[0].norm1.weight[4] = 0.0
    assert value_direction(model, config.data)["alignment"] == [1] * 8


def test_the_share_of_a_direction_is_that_of_the_squares():
    model, config = run()
    axes = torch.eye(16)
    with torch.no_grad():
        weight = 2 * torch.outer(axes[0], axes[3]) + torch.outer(axes[1], axes[5])
        model.blocks[0].attention.value.weight.copy_(weight)
        model.embedding.weight[ANCHORS] = axes[3]
    assert value_direction(model, config.data) == {"share": 0.8, "alignment": [1] * 8}


def test_without_structure_no_direction_dominates():
    model, config = run(model={"width": 64})
    found = value_direction(model, config.data)
    assert found["share"] < 0.1 and max(found["alignment"]) < 0.5


# ---- all together ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, own", [
    ("emb_mlp", {"gradient"}), ("gpt", {"value", "first", "average_distance", "from_last"}),
])
def test_every_kind_of_model_has_its_own_geometry(kind, own):
    found = geometry(*run(kind))
    assert set(found) == {"anchors", "cosine", "pca", "in_range", "used"} | own
    assert found["anchors"] == ANCHORS and len(found["cosine"]) == 28
    assert found["pca"]["tokens"] == [*ANCHORS, *range(21, 31)]
