"""A claim and its runs: which verdict, by which runs, and where they must not decide."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_claim, made_up_runs, strict_json
from hypothesis import given
from hypothesis import strategies as st

from gammagpt.ledger.judge import CHANGED, YOUNGER, judge, standing
from gammagpt.ledger.show import badge, count

TWO = made_up_claim().comparison
ONE = {"setting": "gamma 0.8", "learning_rate": "tuned"}
LOWER = ONE | {"better": "lower"}
AGAINST = TWO | {"against": ["std 1", "std 2"]}


def noisy(mean, n=4, sd=0.01, seed=0) -> list[float]:
    return list(mean + sd * np.random.default_rng(seed).normal(size=n))


def gain(of=0.3, sd=0.01) -> dict:
    """The losses of two settings, of which the treatment is better by so much."""
    return {"gamma 0.5": noisy(5.0, sd=sd), "gamma 0.8": noisy(5.0 - of, sd=sd, seed=1)}


def verdict_of(losses, tier="laptop", role="tuned", resolved=True, collapsed=(), **changes):
    claim = made_up_claim(learning_rate=role, **changes)
    runs = made_up_runs(losses, role=role, claim=claim, resolved=resolved)
    if len(runs):
        runs = runs.assign(collapsed=runs.key.isin(collapsed))
    return judge(claim, runs, tier)


# ---- verdicts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "losses, verdict",
    [
        (gain(0.3), "better"), (gain(-0.3), "worse"), (gain(0.005, sd=1e-3), "equivalent"),
        (gain(0.0, sd=0.3), "undecided"), (gain(0.02, sd=0.02), "undecided"),
        ({}, "not run"), ({"gamma 0.5": noisy(5.0)}, "not run"),
    ],
)
def test_the_four_verdicts_and_not_run(losses, verdict):
    found = verdict_of(losses)
    assert found.verdict == verdict and verdict in badge(found)
    assert (found.n == 0) == math.isnan(found.effect) == (verdict == "not run")


def test_the_effect_lies_in_its_interval():
    found = verdict_of(gain(0.3))
    assert 0 < found.low < found.effect < found.high
    assert found.effect == pytest.approx(0.3, abs=0.03)


def test_a_difference_that_is_sure_but_smaller_than_the_margin_is_equivalent():
    found = [verdict_of(gain(0.01, sd=1e-4), margin=margin) for margin in (0.03, 0.001)]
    assert [v.verdict for v in found] == ["equivalent", "better"] and found[0].low > 0
    assert found[0].reason == "the 90% interval lies within ±0.03"


def test_more_confidence_asks_for_more():
    losses = {"gamma 0.5": [5.0, 5.2, 5.1], "gamma 0.8": [4.7, 4.8, 4.65]}
    assert [verdict_of(losses, confidence=c).verdict for c in (0.9, 0.9999)] == [
        "better", "undecided"]


def test_a_tier_that_is_too_small_shows_the_effect_without_a_verdict():
    found = verdict_of(gain(), tier="smoke")
    assert (found.verdict, found.reason) == ("not run", "not asked at tier smoke")
    assert found.effect == pytest.approx(0.3, abs=0.03)


def test_too_few_runs_decide_nothing():
    found = verdict_of(gain(), min_runs=5)
    assert (found.verdict, found.reason) == ("undecided", "4 runs a side, the rule needs 5")
    fewer = gain() | {"gamma 0.8": noisy(4.7, n=2)}
    assert verdict_of(fewer).reason == "2 runs a side, the rule needs 3"


def test_a_best_rate_at_the_edge_of_the_grid_decides_nothing_and_is_named():
    claim, losses = made_up_claim(), gain()
    runs = made_up_runs(losses, claim=claim).assign(resolved=lambda r: r.setting != "gamma 0.8")
    found = judge(claim, runs, "laptop")
    assert found.verdict == "undecided" and found.reason.endswith("edge for gamma 0.8")
    both = verdict_of(losses, resolved=False)
    assert both.reason.endswith("edge for gamma 0.5 and gamma 0.8")


def test_collapsed_runs_are_not_averaged_away_unless_they_are_the_question():
    bad = ["gamma 0.8, tuned, 2", "gamma 0.8, tuned, 3", "gamma 0.5, tuned, 0"]
    found = verdict_of(gain(), collapsed=bad)
    assert found.verdict == "undecided"
    assert found.reason == (
        "collapsed: 1 of the runs with gamma 0.5 and 2 of the runs with gamma 0.8")
    rule = made_up_claim().rule | {"collapse": "counts"}
    assert verdict_of(gain(), collapsed=bad, rule=rule).verdict == "better"


@pytest.mark.parametrize("diverged", [["gamma 0.5"], ["gamma 0.8"], ["gamma 0.5", "gamma 0.8"]])
def test_a_diverged_run_on_any_side_decides_nothing(diverged):
    losses = gain()
    for setting in diverged:
        losses[setting][2] = math.inf
    found = verdict_of(losses)
    assert found.verdict == "undecided" and "diverged" in found.reason
    assert strict_json(json.dumps(found.to_dict()))["effect"] is None


@pytest.mark.parametrize("missing", ["a value", "the column"])
@pytest.mark.parametrize("comparison", [TWO, ONE], ids=["two settings", "one setting"])
def test_a_metric_that_a_run_did_not_reach_decides_nothing_and_says_so(missing, comparison):
    losses = gain()
    losses["gamma 0.8"][2] = math.nan
    metric = "loss" if missing == "a value" else "no_such_column"
    found = verdict_of(losses, metric=metric, comparison=comparison)
    assert (found.verdict, found.n) == ("undecided", 4)
    assert "did not get that far" in found.reason and math.isnan(found.p)
    assert strict_json(json.dumps(found.to_dict()))["effect"] is None


# ---- which runs count --------------------------------------------------------------------------


def test_only_the_role_of_the_claim_counts():
    claim = made_up_claim()
    wrong = {"gamma 0.5": noisy(4.0), "gamma 0.8": noisy(9.0)}
    others = [made_up_runs(wrong, role=role, claim=claim) for role in ("common", "tuning")]
    found = judge(claim, pd.concat([made_up_runs(gain(), claim=claim), *others]), "laptop")
    assert found.verdict == "better" and not found.rule_changed
    at_one = verdict_of(wrong, role="common")
    assert at_one.verdict == "worse" and at_one.compared[0][2] == "gamma 0.5, common, 0"


def test_sides_need_not_share_a_seed_and_the_smaller_one_counts():
    losses = {"gamma 0.5": dict(enumerate(noisy(5.0, n=9))),
              "gamma 0.8": {100 + i: loss for i, loss in enumerate(noisy(4.8, n=7))}}
    found = verdict_of(losses | {"gamma 1": [1.0] * 9})
    assert (found.verdict, found.n, count(found)) == ("better", 7, "7 runs a side")
    assert found.effect == pytest.approx(np.mean(noisy(5.0, n=9)) - np.mean(noisy(4.8, n=7)))
    assert found.sides() == [noisy(5.0, n=9), noisy(4.8, n=7)]


def test_every_run_that_is_compared_is_named():
    found = verdict_of({"gamma 0.5": {3: 5.0}, "gamma 0.8": {1: 5.0, 4: 4.75}})
    assert found.compared == (
        ("gamma 0.5", 3, "gamma 0.5, tuned, 3", 5.0), ("gamma 0.8", 1, "gamma 0.8, tuned, 1", 5.0),
        ("gamma 0.8", 4, "gamma 0.8, tuned, 4", 4.75),
    )


@given(
    losses=st.lists(st.tuples(st.floats(3, 6), st.floats(3, 6)), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_neither_the_order_of_rows_nor_the_names_of_the_sides_matter(losses, order):
    base, treatment = zip(*losses, strict=True)
    claim = made_up_claim()
    runs = made_up_runs({"gamma 0.5": base, "gamma 0.8": treatment}, claim=claim)
    verdict, rows = judge(claim, runs, "laptop"), list(range(len(runs)))
    order.shuffle(rows)
    shuffled = judge(claim, runs.iloc[rows], "laptop")
    assert set(shuffled.compared) == set(verdict.compared)

    swapped = made_up_claim(baseline="gamma 0.8", treatment="gamma 0.5")
    other = judge(swapped, runs, "laptop")
    opposite = {"better": "worse", "worse": "better"}
    assert other.verdict == opposite.get(verdict.verdict, verdict.verdict)
    for found, sign in ((shuffled, 1), (other, -1)):
        ends = sorted([sign * verdict.low, sign * verdict.high])
        assert found.effect == pytest.approx(sign * verdict.effect)
        assert sorted([found.low, found.high]) == pytest.approx(ends, nan_ok=True, abs=1e-9)


# ---- what is compared --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "comparison, values, verdict",
    [
        (ONE, 0.9, "better"), (ONE, -0.9, "worse"), (ONE, 0.0, "equivalent"),
        (ONE | {"better": "higher"}, 0.9, "better"), (LOWER, 0.9, "worse"),
        (LOWER, -0.9, "better"),
    ],
    ids=str,
)
def test_a_claim_about_one_setting_is_judged_by_its_own_metric(comparison, values, verdict):
    losses = {"gamma 0.8": noisy(values), "gamma 0.5": noisy(77.0), "gamma 1": [math.nan] * 4}
    found = verdict_of(losses, comparison=comparison)
    sign, own = (-1 if comparison == LOWER else 1), np.mean(losses["gamma 0.8"])
    assert (found.verdict, found.n, count(found)) == (verdict, 4, "4 runs")
    assert found.low <= found.effect <= found.high and found.shown[0] == pytest.approx(own)
    assert found.effect == pytest.approx(sign * own)
    assert found.shown[1] < found.shown[0] < found.shown[2]


def test_without_runs_of_the_setting_its_claim_is_not_run():
    for losses in ({}, {"gamma 0.5": noisy(5.0)}):
        found = verdict_of(losses, comparison=ONE)
        assert (found.verdict, found.reason) == ("not run", "no records of the setting")


@pytest.mark.parametrize(
    "better, verdict, effect",
    [({}, "worse", -0.3), ({"better": "lower"}, "worse", -0.3),
     ({"better": "higher"}, "better", 0.3)],
)
def test_of_two_settings_the_lower_one_is_better_unless_the_claim_says_higher(
    better, verdict, effect
):
    found = verdict_of(gain(-0.3), comparison=TWO | better)
    assert found.verdict == verdict and found.effect == pytest.approx(effect, abs=0.03)


@pytest.mark.parametrize("better, sign", [({}, 1), ({"better": "higher"}, -1)], ids=str)
def test_a_gain_can_be_compared_with_another_gain(better, sign):
    losses = {"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.0, seed=1),
              "std 1": noisy(3.0, seed=2), "std 2": noisy(2.7, seed=3)}
    found = verdict_of(losses, comparison=AGAINST | better)
    a, b, c, d = map(np.mean, losses.values())
    assert found.effect == pytest.approx(sign * ((a - b) - (c - d)))
    assert found.verdict == ("better" if sign > 0 else "worse")
    assert [name for name, *_ in found.compared[::4]] == list(losses)


@pytest.mark.parametrize("absent", ["gamma 0.5", "gamma 0.8", "std 1", "std 2"])
def test_a_comparison_of_gains_needs_all_four_settings(absent):
    claim = made_up_claim(comparison=AGAINST)
    losses = {name: noisy(4.0) for name in claim.settings}
    assert verdict_of(losses | {absent: []}, comparison=AGAINST).verdict == "not run"
    runs = made_up_runs(losses).assign(resolved=lambda r: r.setting != absent)
    edge = judge(claim, runs, "laptop")
    assert edge.verdict == "undecided" and absent in edge.reason


# ---- what a verdict says of itself -------------------------------------------------------------


def test_a_verdict_is_strict_json_with_all_that_decided_it():
    found = strict_json(json.dumps(verdict_of(gain()).to_dict(), allow_nan=False))
    assert (found["id"], found["tier"], found["verdict"]) == ("a-claim", "laptop", "better")
    assert found["rule"] == {"margin": 0.03, "confidence": 0.95, "min_runs": 3}
    assert found["rule_hash"] == made_up_claim().rule_hash and found["n"] == 4
    assert found["runs"][0] == ["gamma 0.5", 0, "gamma 0.5, tuned, 0"] and len(found["runs"]) == 8
    nothing = strict_json(json.dumps(verdict_of({}).to_dict(), allow_nan=False))
    assert nothing["effect"] is nothing["low"] is nothing["as_expected"] is None
    assert set(nothing) == set(found)


@pytest.mark.parametrize("expected, answer", [([0.1, 0.6], True), ([0.4, 0.6], False)])
def test_the_expectation_is_compared_and_decides_nothing(expected, answer):
    found = verdict_of(gain(), expected={"laptop": expected})
    assert found.to_dict()["as_expected"] is answer and found.verdict == "better"


def test_a_p_value_is_that_of_what_the_verdict_rests_on():
    same, better = verdict_of(gain(0.005, sd=1e-3)), verdict_of(gain())
    assert same.verdict == "equivalent" and same.p < 0.05 > better.p
    assert math.isnan(verdict_of({}).p)


def test_of_each_verdict_those_are_counted_that_the_correction_leaves():
    """Of three p-values of primary claims 0.01 is taken three times, and 0.03 twice."""
    made = verdict_of(gain(), primary=True)
    found = [replace(made, claim=replace(made.claim, id=name), p=p)
             for name, p in {"a": 0.04, "b": 0.01, "c": math.nan, "d": 0.03}.items()]
    assert standing(found) == {
        "better": (4, 1), "equivalent": (0, 0), "worse": (0, 0), "undecided": (0, 0),
        "not run": (0, 0)}


def test_a_rule_changed_after_the_runs_is_flagged():
    then, now = made_up_claim(), made_up_claim(margin=0.02)
    runs = made_up_runs(gain(), claim=then)
    assert judge(then, runs, "laptop").flag == ""
    flagged = judge(now, runs, "laptop")
    assert flagged.flag == CHANGED and flagged.to_dict()["rule_changed"] is True


def test_one_run_made_under_another_rule_is_enough_to_flag():
    claim = made_up_claim()
    runs = made_up_runs(gain(), claim=claim)
    runs["rules"] = [*runs.rules[:-1], {}]
    assert judge(claim, runs, "laptop").flag == YOUNGER
    runs["rules"] = [*runs.rules[:-2], {}, {claim.id: "another"}]
    assert judge(claim, runs, "laptop").flag == CHANGED
