"""Advice on gamma: a known law is found again, and what lies outside of the evidence is said."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_record, refusal

import gammagpt
from gammagpt import InitConfig, RunConfig, frame, pick_gamma
from gammagpt.analysis.advice import law
from gammagpt.chapters.c12_critical.numbers import exchange
from gammagpt.chapters.c15_rule.numbers import advice, foretold
from gammagpt.data import DataConfig

BASE = RunConfig(data=DataConfig(fingerprint="f" * 64))  # width 64, of which log2 is 6
GAMMAS, RATES = tuple(i / 5 for i in range(1, 8)), tuple(0.001 * 2**i for i in range(5))


def trough(k=1.0, noise=0.0):
    """The best std is 64^-0.8 at the rate 0.004, and goes as the rate to the power k."""

    def loss(gamma, rate, seed):
        best = 0.8 - k * math.log2(rate / 0.004) / 6 + noise * math.sin(31 * seed + 7e3 * rate)
        return 4 + (gamma - best) ** 2

    return loss


def runs_of(loss, role="tuning", rates=RATES, seeds=(1000, 1001), gammas=GAMMAS, base=BASE):
    grid = [(g, rate, seed) for g in gammas for rate in rates for seed in seeds]
    records = []
    for gamma, rate, seed in grid:
        optim = replace(base.optim, learning_rate=rate)
        config = replace(base, init=InitConfig(gamma=gamma), optim=optim, seed=seed)
        records.append(made_up_record(config, loss(gamma, rate, seed)))
    return frame(records).assign(role=role, resolved=True)


def tuned(loss=lambda gamma, seed: 4 + (gamma - 0.8) ** 2, **changes):
    return runs_of(lambda gamma, rate, seed: loss(gamma, seed), "tuned", (0.004,), range(4),
                   **changes)


# ---- a given learning rate ---------------------------------------------------------------------


@pytest.mark.parametrize("k", [0.5, 1.0])
@pytest.mark.parametrize("rate", [0.002, 0.004, 0.006])
def test_a_known_law_is_found_again(k, rate):
    found = pick_gamma(64, rate, evidence=runs_of(trough(k)))
    right = 0.8 - k * math.log2(rate / 0.004) / 6
    assert (found.gamma, found.low, found.high) == pytest.approx((right,) * 3)
    assert not found.extrapolated and f"to the power {k:.2f} [" in found.basis


def test_with_noise_the_interval_holds_the_truth():
    found = pick_gamma(64, 0.004, evidence=runs_of(trough(noise=0.06)))
    assert found.low < 0.8 < found.high and 0.005 < found.high - found.low < 0.4
    assert found.low <= found.gamma <= found.high


def test_the_exponent_is_that_of_the_chapter_on_the_critical_gamma():
    evidence = runs_of(trough(0.7, noise=0.05))
    assert law(evidence).exponent == pytest.approx(exchange(evidence))


def test_rates_whose_minimum_is_at_an_end_are_left_out():
    """At the rate 0.001 the minimum lies at 0.8 + 2 x 2/6, beyond the grid's 1.4."""
    assert list(law(runs_of(trough(2.0))).rates) == pytest.approx([0.002, 0.004, 0.008])


def test_a_diverged_run_is_worse_than_any_other_and_breaks_nothing():
    def loss(gamma, rate, seed):
        return None if gamma < 0.3 else trough()(gamma, rate, seed)

    assert pick_gamma(64, 0.004, evidence=runs_of(loss)).gamma == pytest.approx(0.8)


def test_one_tuning_seed_has_no_interval():
    found = pick_gamma(64, 0.004, evidence=runs_of(trough(), seeds=(1000,)))
    assert found.gamma == pytest.approx(0.8) and math.isnan(found.low)
    assert "nan" not in str(found)


def test_another_width_gets_the_same_standard_deviation_and_a_warning():
    evidence = runs_of(trough())
    near, far = (pick_gamma(width, 0.004, evidence=evidence) for width in (64, 512))
    assert 512**-far.gamma == pytest.approx(64**-near.gamma)
    assert far.extrapolated and "width 512 (evidence: 64; assumed" in str(far)


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"n_layer": 24}, "layers 24 (evidence: 2)"),
        ({"tokens": 1e9}, "tokens 1,000,000,000 (evidence: 819,200)"),
        ({"learning_rate": 0.0001}, "learning rate 0.0001 (evidence: 0.001 to 0.016)"),
        ({"learning_rate": 0.5}, "standard deviation 4.5 (evidence: 0.003 to 0.44)"),
    ],
)
def test_what_lies_outside_of_the_evidence_is_said(asked, words):
    given = {"learning_rate": 0.004} | asked
    found = pick_gamma(64, **given, evidence=runs_of(trough()))
    assert found.extrapolated and words in "; ".join(found.limits) and words in str(found)


def test_what_the_evidence_covers_is_no_limit():
    asked = {"n_layer": 2, "tokens": 819_200, "evidence": runs_of(trough())}
    assert pick_gamma(64, 0.004, **asked).limits == ()
    assert "70 tuning runs of width 64, 2 layers" in str(pick_gamma(64, 0.004, **asked))


def test_only_settings_with_one_gamma_for_all_are_evidence():
    evidence = runs_of(trough())
    other = runs_of(trough(0.1)).assign(setting="gamma 0.5 with depth scaling", gamma=0.5)
    found = pick_gamma(64, 0.002, evidence=pd.concat([evidence, other], ignore_index=True))
    assert found == pick_gamma(64, 0.002, evidence=evidence)


# ---- a rate that will be tuned -----------------------------------------------------------------


def flat(gamma, seed):
    """Not told apart from 0.6 to 1, and 0.3 nats higher elsewhere."""
    inside = 0.6 <= gamma <= 1.0
    return 4 + 0.01 * math.sin(9 * gamma + 5 * seed) - 0.001 * (gamma == 0.8) + 0.3 * (not inside)


def test_the_range_that_is_not_told_apart():
    found = pick_gamma(64, evidence=tuned(flat))
    assert (found.low, found.high) == (0.6, 1.0) and 0.6 <= found.gamma <= 1.0
    assert "0.6 to 1 are not told apart from it" in found.basis and "grid ends" not in found.basis
    assert "may lose up to 0.0" in found.basis


def test_a_range_ends_where_a_gamma_is_told_apart():
    """1.2 is as good as 0.8, but 1 lies between and is worse."""
    bad = {1.0: 0.3, 1.4: 0.3}
    found = pick_gamma(64, evidence=tuned(lambda gamma, seed: flat(0.8, seed) + bad.get(gamma, 0)))
    assert found.high == 0.8 and found.low == 0.2 and "The grid ends at 0.2." in found.basis


def test_a_gamma_whose_best_rate_is_not_resolved_does_not_count():
    evidence = tuned()
    evidence.loc[evidence.gamma == 0.8, "resolved"] = False
    assert pick_gamma(64, evidence=evidence).gamma != 0.8


def test_another_width_turns_the_range_by_the_same_formula():
    found = pick_gamma(4096, evidence=tuned(flat))
    assert (found.low, found.high) == pytest.approx((0.3, 0.5)) and found.extrapolated


# ---- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"width": 1}, "width: got 1, allowed is a whole number from 2"),
        ({"width": 64.5}, "width: got 64.5"),
        ({"width": None}, "width: got None"),
        ({"width": True}, "width: got True"),
        ({"learning_rate": 0}, "learning_rate: got 0, allowed is a positive number"),
        ({"learning_rate": "fast"}, "learning_rate: got 'fast'"),
        ({"learning_rate": math.nan}, "learning_rate: got nan"),
        ({"n_layer": 0}, "n_layer: got 0"),
        ({"tokens": -1}, "tokens: got -1"),
        ({"evidence": None}, "evidence: got no runs, allowed is the frame of a study"),
        ({"evidence": pd.DataFrame()}, "evidence: got no runs"),
        ({"evidence": pd.DataFrame({"loss": [4.0]})}, "evidence: got no column setting"),
    ],
)
def test_bad_input_is_named(asked, words):
    given = {"width": 64, "learning_rate": 0.004, "evidence": runs_of(trough())} | asked
    assert words in refusal(pick_gamma, **given)


def test_evidence_that_cannot_say_is_refused():
    mixed = pd.concat([runs_of(trough()), runs_of(trough(), base=replace(BASE, steps=800))])
    assert "tokens 819200, 1.6384e+06" in refusal(pick_gamma, 64, 0.004, evidence=mixed)
    edges = runs_of(lambda gamma, rate, seed: 4 + gamma)
    assert "got 0 learning rates whose best gamma" in refusal(law, edges)
    assert "got 2 learning rates" in refusal(law, runs_of(trough(), rates=RATES[:2]))
    assert "got 0 learning rates" in refusal(law, tuned())  # tuned runs alone
    assert "no gamma with two tuned seeds" in refusal(pick_gamma, 64, evidence=runs_of(trough()))
    others = runs_of(trough()).assign(setting="std 0.02")
    assert "no run with one gamma" in refusal(pick_gamma, 64, 0.004, evidence=others)


def test_advice_in_words_never_fails():
    found, words = advice(64, 0.004, evidence=pd.DataFrame())
    assert found is None and words.startswith("No advice: evidence: got no runs")
    found, words = advice(64, 0.004, evidence=runs_of(trough()))
    assert words == str(found) and words.startswith("gamma 0.80 [0.80, 0.80]. At learning rate")


# ---- the test of the law, and the public surface -----------------------------------------------


def test_an_exact_law_foretells_a_rate_that_was_left_out():
    table = foretold(runs_of(trough(0.5)))
    assert len(table) == len(RATES) and np.allclose(table.foretold, table["best gamma"])
    assert np.allclose(table.error, 0)


def test_too_few_rates_are_not_foretold():
    for evidence in (pd.DataFrame(), runs_of(trough(), rates=RATES[1:4])):
        assert foretold(evidence).empty


def test_it_is_public():
    assert gammagpt.pick_gamma is pick_gamma and "pick_gamma" in gammagpt.__all__
