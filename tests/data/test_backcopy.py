"""Bigram-Backcopy: behind a trigger stands the token before it; all else follows the law."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import refusal
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gammagpt import RunConfig
from gammagpt.data import BackcopyConfig
from gammagpt.data.backcopy import (
    behind_trigger,
    bigram_law,
    least_losses,
    training_sequences,
    validation_sequences,
)
from gammagpt.data.batches import make_batches, validation_inputs

DATA = BackcopyConfig()
configs = st.builds(
    BackcopyConfig, vocab_size=st.integers(8, 40), triggers=st.integers(1, 5),
    concentration=st.floats(0.5, 50), law_seed=st.integers(0, 99),
)  # fmt: skip


def run(**changes) -> RunConfig:
    return RunConfig.from_dict({
        "model": {"vocab_size": 64, "block_size": 12, "n_layer": 1, "width": 16},
        "data": {"kind": "backcopy"}, "steps": 5, "batch_size": 4,
        "probes": {"windows": 3, "final_windows": 20},
    } | changes)


@given(configs, st.integers(0, 1000), st.integers(2, 30))
def test_a_trigger_copies_and_never_stands_first_or_beside_another(config, seed, length):
    for row in training_sequences(config, seed, 20, length).tolist():
        assert row[0] == 0 and 0 not in row[1:]
        triggers = [i for i, token in enumerate(row) if 1 <= token <= config.triggers]
        assert not {1, *(i + 1 for i in triggers)} & set(triggers)
        assert all(row[i + 1] == row[i - 1] for i in triggers if i + 1 < length)


@given(configs)
def test_a_law_has_shares_that_sum_to_one_but_behind_triggers(config):
    law, end = bigram_law(config), config.triggers + 1
    assert (law >= 0).all() and not law[:, 0].any() and not law[0, :end].any()
    assert law.sum(1)[1:end] == pytest.approx(0) and law.sum(1)[[0, end, -1]] == pytest.approx(1)


def test_followers_are_as_frequent_as_the_law_says():
    tokens = training_sequences(DATA, 0, 4000, 33)
    before, after = tokens[:, 1:-1].ravel(), tokens[:, 2:].ravel()
    for token in (4, 5, 6):
        counts = np.bincount(after[before == token], minlength=64)
        expected = bigram_law(DATA)[token] * counts.sum()
        kept = expected > 5
        found = [*counts[kept], counts[~kept].sum()], [*expected[kept], expected[~kept].sum()]
        assert stats.chisquare(*found).pvalue > 1e-4


@given(st.integers(0, 99), st.integers(0, 99))
def test_a_seed_draws_the_same_again_and_another_seed_others(seed, other):
    one = training_sequences(DATA, seed, 8, 20)
    assert np.array_equal(one, training_sequences(DATA, seed, 8, 20))
    assert seed == other or not np.array_equal(one, training_sequences(DATA, other, 8, 20))
    assert not np.array_equal(one, validation_sequences(DATA, 8, 20))


def test_the_least_loss_is_the_law_s_own_and_nothing_for_a_copy():
    tokens, least = validation_sequences(DATA, 50, 17), least_losses(DATA, 50, 17)
    costs = [0 if copied else -np.log(bigram_law(DATA)[one, other])
             for row, marks in zip(tokens, behind_trigger(DATA, tokens), strict=True)
             for one, other, copied in zip(row, row[1:], marks, strict=False)]
    assert least["validation"] == pytest.approx(np.mean(costs))
    assert least["others"] == pytest.approx(sum(costs) / np.count_nonzero(costs))


def test_a_law_s_seed_and_its_fields_are_the_fingerprint():
    prints = {config.pinned().fingerprint for config in
              (DATA, replace(DATA, law_seed=1), replace(DATA, triggers=2))}
    assert len(prints) == 3 and DATA.pinned().pinned() == DATA.pinned()
    wrong = run(data=vars(replace(DATA, triggers=2, fingerprint=DATA.pinned().fingerprint)))
    assert "data.fingerprint" in refusal(make_batches, [wrong], "cpu", slice(None))


@pytest.mark.parametrize("changes", [{"triggers": 0}, {"vocab_size": 5}, {"vocab_size": 257},
                                     {"concentration": 0.0}, {"law_seed": -1}])
def test_what_cannot_be_is_refused_by_name(changes):
    assert f"data.{[*changes][0]}: got" in refusal(lambda: replace(DATA, **changes))


def test_a_run_on_it_is_a_gpt_of_its_vocabulary_and_has_its_probes():
    assert "model.kind" in refusal(run, model={"kind": "emb_mlp", "vocab_size": 64})
    assert "data.vocab_size" in refusal(run, model={"vocab_size": 65})
    assert "probes.geometry" in refusal(run, probes={"geometry": 2})
    assert run(probes={"sinks": 2}).probes.sinks == 2


def test_batches_are_the_run_s_own_sequences_and_validation_is_the_same_for_all():
    configs = [run(seed=seed).pinned() for seed in (0, 1)]
    batches = make_batches(configs, torch.device("cpu"), slice(2, 4))
    inputs, targets = batches.train(3)
    assert inputs.shape == targets.shape == (2, 2, 12) and torch.equal(inputs[..., 1:],
                                                                       targets[..., :-1])
    own = training_sequences(DATA, 1, 20, 13).reshape(5, 4, 13)[3, 2:]
    assert torch.equal(inputs[1], torch.from_numpy(own[:, :-1]).long())
    assert torch.equal(batches.final["validation"][0][0], validation_inputs(configs[0], 20))


def test_the_targets_are_parted_into_copies_and_the_others():
    final = make_batches([run().pinned()], torch.device("cpu"), slice(None)).final
    whole, copies, others = (final[name][1] for name in ("validation", "triggers", "others"))
    inputs = final["validation"][0]
    assert torch.equal(copies >= 0, (inputs >= 1) & (inputs <= 3))
    assert torch.equal(torch.maximum(copies, others), whole) and not ((copies >= 0)
                                                                      & (others >= 0)).any()
