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
from gammagpt.gpt.model import cross_entropy
from gammagpt.gpt.scores import even_steps, log_steps, mean_scores, score_sums
from gammagpt.probes.spectra import condensation, spectra, spectrum


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
)
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


# ---- scores ------------------------------------------------------------------------------------


def answers(seed, sequences, length, left_out, met=0.8):
    """(logits, targets): a share `met` of the targets are the likeliest token; some are -100."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(sequences, length, 7, generator=generator, dtype=torch.float64)
    other = torch.randint(7, (sequences, length), generator=generator)
    share = torch.rand(sequences, length, generator=generator)
    targets = torch.where(share < met, logits.argmax(-1), other)
    share = torch.rand(sequences, length, generator=generator)
    return logits, targets.masked_fill(share < left_out, -100)


def slow_scores(logits, targets) -> tuple[float, int, int, int]:
    """(summed loss, targets met, sequences met whole, targets), one after another."""
    loss, met, whole, count = 0.0, 0, 0, 0
    for rows, wanted in zip(logits.tolist(), targets.tolist(), strict=True):
        right = []
        for row, target in zip(rows, wanted, strict=True):
            if target != -100:
                loss += math.log(sum(map(math.exp, row))) - row[target]
                right.append(row.index(max(row)) == target)
        met, whole, count = met + sum(right), whole + all(right), count + len(right)
    return loss, met, whole, count


@given(
    seed=st.integers(0, 10**6), sequences=st.integers(1, 9), length=st.integers(1, 5),
    left_out=st.sampled_from([0.0, 0.3, 0.9]),
)
def test_scores_are_those_of_a_slow_count(seed, sequences, length, left_out):
    logits, targets = answers(seed, sequences, length, left_out)
    found = score_sums(logits, targets)
    loss, met, whole, count = slow_scores(logits, targets)
    assert found.tolist() == pytest.approx([loss, met, whole])
    if count:
        assert cross_entropy(logits, targets).item() == pytest.approx(loss / count)


def test_slow_counts_meet_some_sequences_whole_and_some_not():
    _, met, whole, count = slow_scores(*answers(0, 50, 4, 0.3))
    assert 0 < whole < 50 and 0 < met < count < 200


def test_of_one_target_a_sequence_the_scores_are_those_of_sequences_of_one_token():
    logits, targets = answers(0, 30, 1, left_out=0.0)
    found = score_sums(logits[:, 0], targets[:, 0])
    assert found.tolist() == score_sums(logits, targets).tolist() and found[1] == found[2] > 0


def test_what_is_left_out_leaves_no_trace():
    logits, targets = answers(0, 20, 6, left_out=0.5)
    other = torch.where((targets < 0)[..., None], torch.randn_like(logits), logits)
    assert torch.equal(score_sums(logits, targets), score_sums(other, targets))
    assert cross_entropy(logits, targets) == cross_entropy(other, targets)


@pytest.mark.parametrize("windows", [1, 64, 65, 150])
@pytest.mark.parametrize("left_out", [0.0, 0.4])
def test_mean_scores_are_over_all_targets_and_all_sequences(windows, left_out):
    model = gamma_init_(GPT(GPTConfig(vocab_size=7, block_size=8, width=8, n_layer=1)), 0.3)
    tokens = torch.randint(7, (windows, 8), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = torch.cat([model(row[None]) for row in tokens])
        targets = answers(1, windows, 8, left_out)[1]
        targets = torch.where(targets == 3, logits.argmax(-1), targets)

    def sums(inputs, targets):  # of two models, the second being twice as bad
        scores = score_sums(model(inputs[0]), targets[0])
        return torch.stack((scores, scores * torch.tensor([2, 0, 0])))

    both = [z.expand(2, -1, -1) for z in (tokens, targets)]
    found = mean_scores(sums, *both)
    loss, met, whole, count = slow_scores(logits, targets)
    one = {"loss": loss / count, "accuracy": met / count, "exact": whole / windows}
    other = {"loss": 2 * loss / count, "accuracy": 0, "exact": 0}
    assert found == [pytest.approx(one, rel=1e-5), pytest.approx(other, rel=1e-5)]
    again = mean_scores(sums, *both, batch=7)
    assert again == [pytest.approx(scores, rel=1e-6) for scores in found]


@pytest.mark.parametrize(
    "name, value",
    [("losses", 0), ("windows", 0), ("final_windows", -1), ("spectra", -1), ("geometry", -1)],
)
def test_an_impossible_number_of_probes_is_refused(name, value):
    message = refusal(ProbeConfig, **{name: value})
    assert message.startswith(f"probes.{name}: got {value}, allowed is ")
