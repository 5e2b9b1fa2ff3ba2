"""What is measured along a run, against numpy and scipy."""

import math

import numpy as np
import pytest
import torch
from helpers import refusal
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import sparse

from gammagpt import GPT, GPTConfig, ProbeConfig, gamma_init_
from gammagpt.probes import (
    condensation,
    even_steps,
    log_steps,
    mean_losses,
    spectra,
    spectrum,
)


def random_matrix(seed, rows, columns) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def clustered(seed, rows, columns, clusters, spread) -> np.ndarray:
    """Rows scattered around a few directions, of various lengths and signs."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, columns))
    matrix = centres[rng.integers(clusters, size=rows)] + spread * rng.normal(size=(rows, columns))
    return matrix * rng.choice([-2.0, 0.1, 1.0], size=(rows, 1))


# ---- spectrum ----------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12))
def test_ranks_and_singular_values_are_those_of_numpy(seed, rows, columns):
    matrix = random_matrix(seed, rows, columns)
    values = np.linalg.svd(matrix, compute_uv=False)
    shares = values / values.sum()
    found = spectrum(torch.tensor(matrix))
    assert found["stable_rank"] == pytest.approx(
        np.linalg.norm(matrix, "fro") ** 2 / np.linalg.norm(matrix, 2) ** 2
    )
    assert found["effective_rank"] == pytest.approx(math.exp(-(shares * np.log(shares)).sum()))
    assert found["norm"] == pytest.approx(np.linalg.norm(matrix, "fro"))
    assert found["singular_values"] == pytest.approx(values[:8])


@pytest.mark.parametrize("size", [1, 5, 30])
def test_an_identity_has_full_rank_and_an_outer_product_rank_one(size):
    identity = spectrum(torch.eye(size))
    assert (identity["stable_rank"], identity["effective_rank"]) == pytest.approx((size, size))
    outer = spectrum(torch.ones(size, 4) * 3)
    assert (outer["stable_rank"], outer["effective_rank"]) == pytest.approx((1, 1))
    assert outer["norm"] == pytest.approx(3 * math.sqrt(4 * size))


def test_ranks_do_not_depend_on_scale():
    small, large = (spectrum(s * torch.tensor(random_matrix(0, 9, 7))) for s in (1e-12, 1e12))
    for name in ("stable_rank", "effective_rank"):
        assert small[name] == pytest.approx(large[name])


# ---- condensation ------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 10**6), rows=st.integers(2, 60), columns=st.integers(2, 12),
    clusters=st.integers(1, 6), spread=st.sampled_from([0.01, 0.2, 0.6]),
)  # fmt: skip
def test_groups_are_the_connected_components_of_alike_rows(seed, rows, columns, clusters, spread):
    matrix = clustered(seed, rows, columns, clusters, spread)
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    cosine = unit @ unit.T
    components, _ = sparse.csgraph.connected_components(sparse.csr_array(cosine > 0.7))
    pairs = ~np.eye(rows, dtype=bool)
    found = condensation(torch.tensor(matrix))
    assert found["groups"] * rows == pytest.approx(components)
    assert found["mean_cosine"] == pytest.approx(np.abs(cosine[pairs]).mean())
    assert found["pairs_alike"] == pytest.approx((cosine[pairs] > 0.7).mean())


@pytest.mark.parametrize("length", [2, 3, 9, 60])
def test_a_chain_of_neighbours_is_one_group(length):
    """Each row is 5 degrees from the next, so the ends are far apart; shuffled, to be fair."""
    angle = torch.deg2rad(5.0 * torch.arange(length, dtype=torch.float64))
    chain = torch.stack((angle.cos(), angle.sin()), dim=1)
    chain = chain[torch.randperm(length, generator=torch.Generator().manual_seed(0))]
    assert condensation(chain)["groups"] == pytest.approx(1 / length)


def test_opposite_rows_are_parallel_but_not_alike():
    found = condensation(torch.tensor([[1.0, 2.0], [-2.0, -4.0]]))
    assert found["mean_cosine"] == pytest.approx(1)
    assert (found["pairs_alike"], found["groups"]) == (0, 1)


def test_a_single_neuron_is_its_own_group():
    found = condensation(torch.tensor([[1.0, 2.0]]))
    assert found["groups"] == 1 and found["pairs_alike"] == 0


def test_of_a_large_matrix_the_first_1024_rows_are_compared():
    matrix = torch.cat((torch.ones(1024, 3), torch.tensor(random_matrix(0, 500, 3)))).float()
    assert condensation(matrix)["groups"] == pytest.approx(1 / 1024)


def test_spectra_measure_every_matrix_by_name_and_no_vector():
    model = gamma_init_(GPT(GPTConfig(vocab_size=40, width=8, n_layer=1)), 0.5)
    found = spectra(dict(model.named_parameters()))
    assert list(found) == [name for name, p in model.named_parameters() if p.ndim == 2]
    head = model.head.weight.detach().double().numpy()
    assert found["head.weight"]["norm"] == pytest.approx(np.linalg.norm(head))
    assert {"stable_rank", "effective_rank", "groups"} <= found["head.weight"].keys()


def test_a_matrix_of_zeros_has_finite_numbers():
    found = spectrum(torch.zeros(3, 4)) | condensation(torch.zeros(3, 4))
    found.pop("singular_values")
    assert all(math.isfinite(value) for value in found.values())


# ---- when ---------------------------------------------------------------------------------------


@given(count=st.integers(2, 60), last=st.integers(1, 5000))
def test_even_steps_are_evenly_spaced_from_end_to_end(count, last):
    steps = sorted(even_steps(count, last))
    assert (steps[0], steps[-1]) == (0, last)
    assert len(steps) == min(count, last + 1)
    if count <= last:
        gaps = np.diff(steps)
        assert gaps.max() - gaps.min() <= 1


@example(count=2, last=100)
@given(count=st.integers(1, 60), last=st.integers(1, 5000))
def test_log_steps_are_at_most_as_many_as_asked_for_and_include_both_ends(count, last):
    steps = sorted(log_steps(count, last))
    assert (steps[0], steps[-1]) == (0, last)
    assert len(steps) <= max(2, count)


@given(count=st.integers(4, 40), last=st.integers(1000, 5000))
def test_log_steps_grow_by_one_factor(count, last):
    steps = [step for step in sorted(log_steps(count, last)) if step >= 50]
    ratios = [b / a for a, b in zip(steps, steps[1:], strict=False)]
    assert all(ratio == pytest.approx(last ** (1 / (count - 2)), rel=0.05) for ratio in ratios)


def test_no_spectra_are_measured_unless_asked_for():
    assert log_steps(0, 100) == set() and ProbeConfig().spectra == 0


# ---- validation loss ---------------------------------------------------------------------------


@pytest.mark.parametrize("windows", [1, 64, 65, 150])
def test_validation_loss_is_the_mean_over_all_tokens(windows):
    model = gamma_init_(GPT(GPTConfig(vocab_size=40, block_size=8, width=8, n_layer=1)), 0.3)
    tokens = torch.randint(40, (windows, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = torch.cat([model(row[None, :-1]) for row in tokens]).double().numpy()
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    right = np.take_along_axis(shares, tokens[:, 1:, None].numpy(), axis=-1)

    def sums(inputs, targets):  # of two models, the second being twice as bad
        return model.loss(inputs, targets, "sum") * torch.tensor([1, 2])

    found = mean_losses(sums, tokens[:, :-1], tokens[:, 1:])
    expected = -np.log(right).mean()
    assert found == pytest.approx([expected, 2 * expected], rel=1e-6)
    assert found == pytest.approx(mean_losses(sums, tokens[:, :-1], tokens[:, 1:], batch=7))


@pytest.mark.parametrize(
    "name, value", [("losses", 0), ("windows", 0), ("final_windows", -1), ("spectra", -1)]
)
def test_an_impossible_number_of_probes_is_refused(name, value):
    message = refusal(ProbeConfig, **{name: value})
    assert message.startswith(f"probes.{name}: got {value}, allowed is ")
