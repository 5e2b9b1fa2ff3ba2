"""The second edition's verdicts, against scipy, by hand, and where they must not decide."""

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import made_up_claim, made_up_runs
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gammagpt.ledger.judge import YOUNGER, judge
from gammagpt.ledger.show import badge, count
from gammagpt.ledger.statistics import holm
from gammagpt.ledger.welch import Welch

RULE = {"margin": 0.03, "confidence": 0.95, "min_runs": 6}
side = st.lists(st.floats(-5, 5), min_size=2, max_size=12).filter(lambda x: np.std(x) > 1e-6)


def noisy(mean, n=8, sd=0.01, seed=0) -> list[float]:
    return list(mean + sd * np.random.default_rng(seed).normal(size=n))


def verdict_of(
    losses, role="tuned", resolved=True, collapsed=(), rule=RULE, better="", **changes
):
    claim = made_up_claim(rule=rule, learning_rate=role, **changes)
    claim = replace(claim, comparison=claim.comparison | ({"better": better} if better else {}))
    runs = made_up_runs(losses, role=role, claim=claim, resolved=resolved)
    return judge(claim, runs.assign(collapsed=runs.key.isin(collapsed)), "laptop")


@given(side, side, st.sampled_from([0.8, 0.95, 0.99]))
def test_two_sides_are_scipys_welch_test(first, second, confidence):
    expected = stats.ttest_ind(first, second, equal_var=False)
    found = Welch.of([first, second])
    interval = expected.confidence_interval(confidence)
    assert found.interval(confidence) == pytest.approx((interval.low, interval.high), abs=1e-7)
    assert found.p_zero() == pytest.approx(expected.pvalue, abs=1e-7)


@given(side)
def test_one_side_is_the_one_sample_test(values):
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert Welch.of([values]).interval(0.95) == pytest.approx(tuple(expected), abs=1e-7)


@given(side, side, side, side)
def test_a_difference_of_differences_adds_the_variances(a, b, c, d):
    found = Welch.of([a, b, c, d])
    assert found.effect == pytest.approx(np.mean(a) - np.mean(b) - np.mean(c) + np.mean(d))
    assert found.error**2 == pytest.approx(sum(np.var(x, ddof=1) / len(x) for x in (a, b, c, d)))


@given(side, side, st.floats(0.01, 2))
def test_equivalence_is_two_one_sided_tests(first, second, margin):
    shifted = [stats.ttest_ind(np.add(first, shift), second, equal_var=False, alternative=way)
               for shift, way in ((margin, "greater"), (-margin, "less"))]
    found = Welch.of([first, second]).p_equivalent(margin)
    assert found == pytest.approx(max(test.pvalue for test in shifted), abs=1e-7)


@pytest.mark.parametrize(
    "losses, verdict",
    [
        ({"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.8, seed=1)}, "better"),
        ({"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(5.2, seed=1)}, "worse"),
        ({"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(5.005, seed=1)}, "equivalent"),
        ({"gamma 0.5": noisy(5.0, sd=0.2), "gamma 0.8": noisy(5.0, sd=0.2, seed=1)}, "undecided"),
        ({"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.8, n=5)}, "undecided"),
        ({"gamma 0.5": noisy(5.0), "gamma 0.8": [*noisy(4.8), math.nan]}, "undecided"),
        ({"gamma 0.5": noisy(5.0)}, "not run"),
    ],
)
def test_the_four_verdicts_and_not_run(losses, verdict):
    found = verdict_of(losses)
    assert found.verdict == verdict and verdict in badge(found)


def test_sides_need_not_share_a_seed_and_the_smaller_one_counts():
    losses = {"gamma 0.5": dict(enumerate(noisy(5.0, n=9))),
              "gamma 0.8": {100 + i: loss for i, loss in enumerate(noisy(4.8, n=7))}}
    found = verdict_of(losses)
    assert (found.verdict, found.n, count(found)) == ("better", 7, "7 runs a side")
    assert found.effect == pytest.approx(np.mean(noisy(5.0, n=9)) - np.mean(noisy(4.8, n=7)))


def test_a_higher_metric_turns_the_effect_and_one_setting_stands_for_itself():
    losses = {"gamma 0.5": noisy(0.2), "gamma 0.8": noisy(0.7, seed=1)}
    assert verdict_of(losses, better="higher").verdict == "better"
    alone = {"setting": "gamma 0.8", "learning_rate": "tuned"}
    claim = replace(made_up_claim(rule=RULE), comparison=alone)
    found = judge(claim, made_up_runs(losses, role="tuned", claim=claim), "laptop")
    assert found.verdict == "better" and found.effect == pytest.approx(0.7, abs=0.02)


def test_collapsed_runs_are_not_averaged_away_unless_they_are_the_question():
    losses = {"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.8, seed=1)}
    found = verdict_of(losses, collapsed=["gamma 0.8, tuned, 3"])
    assert found.verdict == "undecided" and "1 of the runs with gamma 0.8" in found.reason
    rule = RULE | {"collapse": "counts"}
    assert verdict_of(losses, collapsed=["gamma 0.8, tuned, 3"], rule=rule).verdict == "better"


def test_a_best_rate_at_the_edge_decides_nothing():
    losses = {"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.8, seed=1)}
    assert "edge" in verdict_of(losses, resolved=False).reason


def test_a_rule_that_the_runs_do_not_carry_is_flagged():
    claim = made_up_claim(rule=RULE)
    losses = {"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.8, seed=1)}
    assert judge(claim, made_up_runs(losses, claim=None), "laptop").flag == YOUNGER
    assert not judge(claim, made_up_runs(losses, claim=claim), "laptop").flag


def test_holm_corrects_the_primary_claims_alone():
    losses = {"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.99, seed=1)}
    ids = {f"primary-{i}": {"id": f"primary-{i}", "primary": True} for i in range(3)}
    found = [verdict_of(losses, rule=RULE | {"margin": 0.001}, **fields)
             for fields in (*ids.values(), {"id": "secondary"})]
    corrected = holm(found)
    assert set(corrected) == set(ids)
    assert corrected["primary-0"] == pytest.approx(min(1.0, 3 * found[0].p))
