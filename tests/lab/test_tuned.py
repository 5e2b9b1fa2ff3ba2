"""Tuned studies: whose rate is chosen, and which runs have collapsed."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import made_up_record, refusal
from hypothesis import given
from hypothesis import strategies as st

from gammagpt import InitConfig, RunConfig, Store
from gammagpt.lab.collapse import MARGIN, collapsed
from gammagpt.lab.tuned import OneRateStudy, TunedStudy

FACTORS = (0.5, 1.0, 2.0)
BASE = RunConfig.from_dict({"model": {"n_layer": 1, "n_head": 2, "width": 16, "block_size": 16,
                                      "vocab_size": 300}, "steps": 12,
                            "data": {"corpus": "sotu", "vocab_size": 300}})


def with_rate(gamma: float, rate: float) -> RunConfig:
    return replace(BASE, init=InitConfig(gamma=gamma),
                   optim=replace(BASE.optim, learning_rate=rate))


def planned(kind=TunedStudy, factors=FACTORS):
    settings = {"gamma 0.5": with_rate(0.5, 0.01), "gamma 1": with_rate(1.0, 0.003)}
    return kind(settings, factors, (1, 2, 3), (7, 8))


def collected(folder, study, loss):
    """The study's frame when every run ends at loss(rate, seed)."""
    store = Store(folder)

    def train(configs):
        for config in configs:
            store.put(made_up_record(config, loss(config.optim.learning_rate, config.seed)))

    train(study.tuning() + study.at_common_rate())
    train(study.at_best_rate(study.best_rates(study.collect(store))))
    return study.collect(store)


def test_every_setting_has_a_grid_of_its_own_around_its_expected_rate():
    rates = {c.init.gamma: set() for c in planned().settings.values()}
    for config in planned().tuning():
        rates[config.init.gamma].add(config.optim.learning_rate)
    assert rates == {0.5: {0.005, 0.01, 0.02}, 1.0: {0.0015, 0.003, 0.006}}
    assert planned().at_common_rate() == [] and len(planned().compared()) == 4


@pytest.mark.parametrize("factors", [(0.0,), (-1.0, 1.0), (1.0, 1.00001), (0.5, 1e-330)])
def test_a_grid_has_positive_rates_of_which_no_two_are_one(factors):
    assert refusal(planned, factors=factors).startswith(f"factors: got {[*factors]}, allowed are")


def test_the_median_chooses_so_that_one_bad_seed_does_not(tmp_path):
    def loss(rate, seed):  # the middle rate is best but for one seed, which does not collapse
        return 5.0 + (0.02 if rate in (0.01, 0.003) and seed == 2 else
                      0.0 if rate in (0.01, 0.003) else 0.01)

    best = planned().best_rates(collected(tmp_path, planned(), loss))
    assert dict(zip(best.setting, best.learning_rate, strict=True)) == {
        "gamma 0.5": 0.01, "gamma 1": 0.003}
    assert best.resolved.all()


def test_a_rate_with_a_collapsed_seed_is_no_candidate_and_an_edge_is_no_optimum(tmp_path):
    def loss(rate, seed):  # faster is better, but one seed of the fastest collapses
        return 5.0 - 10 * rate + (2.0 if rate in (0.02, 0.006) and seed == 3 else 0.0)

    runs = collected(tmp_path, planned(), loss)
    best = planned().best_rates(runs)
    assert set(best.learning_rate) == {0.01, 0.003} and best.resolved.all()
    assert set(runs[runs.collapsed].seed) == {3} and set(runs[runs.collapsed].role) == {"tuning"}
    edge = planned().best_rates(collected(tmp_path / "edge", planned(), lambda r, _: 5 - 10 * r))
    assert not edge.resolved.any()


def test_a_diverged_run_has_collapsed(tmp_path):
    runs = collected(tmp_path, planned(), lambda rate, seed: None if seed == 3 else 5.0)
    assert set(runs[runs.collapsed].seed) == {3}
    assert not len(planned().best_rates(runs))  # no rate is left


def test_at_one_rate_the_reference_is_half_of_it_and_nothing_is_tuned(tmp_path):
    study = planned(OneRateStudy, ())
    assert {c.optim.learning_rate for c in study.tuning()} == {0.005, 0.0015}

    def loss(rate, seed):
        return 4.0 if rate in (0.005, 0.0015) else 4.05 + MARGIN * (seed == 8)

    runs = collected(tmp_path, study, loss)
    assert set(runs.role) == {"tuning", "common"}
    assert set(runs[runs.collapsed].seed) == {8}


@given(st.lists(st.tuples(st.sampled_from([0.001, 0.002, 0.004]), st.floats(3, 6)), min_size=1))
def test_collapsed_is_far_above_the_best_at_that_rate_or_slower(runs):
    rates, losses = map(np.array, zip(*runs, strict=True))
    expected = [loss > losses[rates <= rate].min() + MARGIN for rate, loss in runs]
    near = [abs(loss - losses[rates <= rate].min() - MARGIN) < 1e-9 for rate, loss in runs]
    found = collapsed(rates, losses)
    assert all(a == b or close for a, b, close in zip(found, expected, near, strict=True))
    assert not found[losses.argmin()]


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_the_order_of_runs_does_not_matter(order):
    rates, losses = np.array([1, 2, 2, 4]), np.array([4.0, 3.5, 3.8, 3.7])
    assert list(collapsed(rates[order], losses[order])[order]) == [False, False, True, True]
