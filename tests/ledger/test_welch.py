"""The statistics under every verdict, against scipy and by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gammagpt.ledger.statistics import holm, mean_interval
from gammagpt.ledger.welch import Welch, decide

side = st.lists(st.floats(-5, 5), min_size=2, max_size=12).filter(lambda x: np.std(x) > 1e-6)


@given(side, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_interval_of_a_mean_is_that_of_scipys_t_test(values, confidence):
    expected = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    found = mean_interval(values, confidence)
    assert found == pytest.approx((np.mean(values), *expected), abs=1e-7)
    assert Welch.of([values]).interval(confidence) == pytest.approx(found[1:], abs=1e-7)


def test_the_interval_of_one_two_three_by_hand():
    """Mean 2, standard error 1/sqrt(3), and 4.3027 of them for two degrees of freedom."""
    half = 4.302653 / math.sqrt(3)
    assert mean_interval([1, 2, 3], 0.95) == pytest.approx((2, 2 - half, 2 + half), rel=1e-6)


def test_without_spread_an_interval_has_no_width():
    assert mean_interval([0.25, 0.25, 0.25], 0.95) == (0.25, 0.25, 0.25)
    assert Welch.of([[0.5, 0.5], [0.25, 0.25]]).interval(0.95) == (0.25, 0.25)


@pytest.mark.parametrize("values", [[], [0.3], [0.3, math.inf], [math.nan, 0.3]])
def test_where_there_is_no_interval_it_is_not_a_number(values):
    assert all(map(math.isnan, mean_interval(values, 0.95)[1:]))
    if values:
        assert all(map(math.isnan, Welch.of([[1.0, 2.0], values]).interval(0.95)))


@given(side, side, st.sampled_from([0.8, 0.95, 0.99]))
def test_two_sides_are_scipys_welch_test(first, second, confidence):
    expected = stats.ttest_ind(first, second, equal_var=False)
    found = Welch.of([first, second])
    interval = expected.confidence_interval(confidence)
    assert found.interval(confidence) == pytest.approx((interval.low, interval.high), abs=1e-7)
    assert found.p_zero() == pytest.approx(expected.pvalue, abs=1e-7)


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


@given(side, side, st.floats(0.01, 2), st.sampled_from([0.9, 0.95, 0.99]))
def test_a_verdict_is_decided_where_its_p_value_is_below_what_confidence_leaves(
    first, second, margin, confidence
):
    found = Welch.of([first, second])
    verdict, _ = decide(found, margin, confidence)
    near = [found.p_equivalent(margin) - (1 - confidence), found.p_zero() - (1 - confidence)]
    if min(map(abs, near)) > 1e-6:
        side_of_zero = "better" if found.effect > 0 else "worse"
        assert verdict == ("equivalent" if near[0] < 0 else side_of_zero if near[1] < 0
                           else "undecided")


# ---- Holm's correction -------------------------------------------------------------------------


def with_p(paper="key", primary=True, **values) -> list:
    return [SimpleNamespace(claim=SimpleNamespace(id=name, primary=primary, paper=paper), p=p)
            for name, p in values.items()]


def test_holm_by_hand():
    found = holm(with_p(a=0.04, b=0.01, c=math.nan, d=0.03))
    assert found == pytest.approx({"b": 0.03, "d": 0.06, "a": 0.06})
    assert holm([]) == {}


def test_holm_counts_each_paper_by_itself_and_primary_claims_alone():
    one, other = with_p(a=0.01), with_p("another", b=0.02)
    assert holm(one + other + with_p(primary=False, c=0.01)) == {"a": 0.01, "b": 0.02}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_keeps_the_order_and_lies_between_the_value_and_bonferroni(values):
    found = list(holm(with_p(**{f"c{i}": p for i, p in enumerate(values)})).values())
    assert sorted(found) == found  # it returns them in the order of the p-values
    for p, corrected in zip(sorted(values), found, strict=True):
        assert p <= corrected <= min(1, p * len(values)) + 1e-12 or corrected == max(found)
