"""The ledger's rules: the interval, the verdicts, the controls, and what a rule's hash covers."""

import json
import math
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import yaml
from helpers import made_up_claim, made_up_runs, refusal, strict_json
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from gammagpt import project
from gammagpt.analysis.plateau_runs import COLLAPSE, critical_runs
from gammagpt.chapters.c17_plateau.studies import Forecasts
from gammagpt.lab.tuned import TunedStudy
from gammagpt.ledger.claims import load_ledger, rule_hashes
from gammagpt.ledger.judge import CHANGED, YOUNGER, judge, placebo_rate, standing
from gammagpt.ledger.show import meaning
from gammagpt.ledger.statistics import holm, paired_interval
from gammagpt.registry.studies import homes, study

REAL = load_ledger()
FIRST = made_up_claim(notebook="02_gamma_scaling")


def noisy(mean, n=4, sd=0.01, seed=0) -> list[float]:
    return list(mean + sd * np.random.default_rng(seed).normal(size=n))


def verdict_of(losses, tier="laptop", role="common", resolved=True, **changes):
    claim = made_up_claim(**changes)
    return judge(claim, made_up_runs(losses, role=role, claim=claim, resolved=resolved), tier)


# ---- the interval ------------------------------------------------------------------------------


@given(
    differences=st.lists(st.floats(-5, 5), min_size=2, max_size=12).filter(np.ptp),
    confidence=st.sampled_from([0.5, 0.9, 0.95, 0.99]),
)
def test_the_interval_is_that_of_scipys_t_test(differences, confidence):
    expected = stats.ttest_1samp(differences, 0).confidence_interval(confidence)
    mean, low, high = paired_interval(differences, confidence)
    assert (mean, low, high) == pytest.approx((np.mean(differences), *expected), abs=1e-9)


def test_the_interval_of_one_two_three_by_hand():
    """Mean 2, standard error 1/sqrt(3), and 4.3027 of them for two degrees of freedom."""
    half = 4.302653 / math.sqrt(3)
    assert paired_interval([1, 2, 3], 0.95) == pytest.approx((2, 2 - half, 2 + half), rel=1e-6)


def test_without_spread_the_interval_has_no_width():
    assert paired_interval([0.25, 0.25, 0.25], 0.95) == (0.25, 0.25, 0.25)


@pytest.mark.parametrize("differences", [[], [0.3], [0.3, math.inf], [math.nan, 0.3]])
def test_where_there_is_no_interval_it_is_not_a_number(differences):
    _, low, high = paired_interval(differences, 0.95)
    assert math.isnan(low) and math.isnan(high)


# ---- verdicts ----------------------------------------------------------------------------------


def test_a_clear_gain_is_supported():
    verdict = verdict_of({"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.7, seed=1)})
    assert verdict.verdict == "supported" and verdict.n == 4
    assert 0.01 < verdict.low < verdict.effect < verdict.high
    assert verdict.effect == pytest.approx(0.3, abs=0.03)


def test_a_clear_loss_and_a_gain_below_the_margin_are_contradicted():
    for treatment in (5.3, 4.995):
        losses = {"gamma 0.5": noisy(5.0, sd=1e-4), "gamma 0.8": noisy(treatment, sd=1e-4, seed=1)}
        verdict = verdict_of(losses)
        assert verdict.verdict == "contradicted" and verdict.high < 0.01


def test_an_interval_that_holds_the_margin_is_inconclusive():
    verdict = verdict_of({"gamma 0.5": noisy(5.0, sd=0.3), "gamma 0.8": noisy(4.9, sd=0.3, seed=1)})
    assert verdict.verdict == "inconclusive" and verdict.low < 0.01 < verdict.high


def test_the_same_effect_can_pass_one_margin_and_fail_another():
    losses = {"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.7, seed=1)}
    found = [verdict_of(losses, margin=margin).verdict for margin in (0.0, 0.3, 0.6)]
    assert found == ["supported", "inconclusive", "contradicted"]


def test_more_confidence_asks_for_more():
    losses = {"gamma 0.5": [5.0, 5.2, 5.1], "gamma 0.8": [4.9, 5.0, 4.85]}
    found = [verdict_of(losses, confidence=c).verdict for c in (0.9, 0.9999)]
    assert found == ["supported", "inconclusive"]


@pytest.mark.parametrize(
    "losses",
    [{}, {"gamma 0.5": noisy(5.0)}, {"gamma 0.5": {0: 5.0}, "gamma 0.8": {1: 4.7}}],
    ids=["no runs", "one side", "no common seed"],
)
def test_without_pairs_a_claim_is_not_run(losses):
    verdict = verdict_of(losses)
    assert (verdict.verdict, verdict.n) == ("not run", 0) and math.isnan(verdict.effect)


def test_a_tier_that_is_too_small_shows_the_effect_without_a_verdict():
    losses = {"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.7, seed=1)}
    verdict = verdict_of(losses, tier="smoke")
    assert verdict.verdict == "not run" and "smoke" in verdict.reason
    assert verdict.effect == pytest.approx(0.3, abs=0.03)


def test_too_few_pairs_are_inconclusive():
    losses = {"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.7, seed=1)}
    verdict = verdict_of(losses, min_pairs=5)
    assert verdict.verdict == "inconclusive" and "4 pairs" in verdict.reason


def test_an_optimum_at_the_edge_of_the_grid_is_inconclusive_and_named():
    claim = made_up_claim(learning_rate="tuned")
    runs = pd.concat([
        made_up_runs({"gamma 0.5": noisy(5.0)}, role="tuned", claim=claim),
        made_up_runs({"gamma 0.8": noisy(4.7, seed=1)}, role="tuned", claim=claim, resolved=False),
    ])
    verdict = judge(claim, runs, "laptop")
    assert verdict.verdict == "inconclusive"
    assert "edge" in verdict.reason and "gamma 0.8" in verdict.reason
    assert "gamma 0.5" not in verdict.reason


@pytest.mark.parametrize("diverged", [["gamma 0.5"], ["gamma 0.8"], ["gamma 0.5", "gamma 0.8"]])
def test_a_diverged_run_on_any_side_is_inconclusive(diverged):
    losses = {"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.7, seed=1)}
    for setting in diverged:
        losses[setting][2] = math.inf
    verdict = verdict_of(losses)
    assert verdict.verdict == "inconclusive" and "diverged" in verdict.reason
    assert strict_json(json.dumps(verdict.to_dict()))["effect"] is None


@pytest.mark.parametrize("missing", ["a value", "the column"])
@pytest.mark.parametrize("comparison", ["two settings", "one setting"])
def test_a_metric_that_a_run_did_not_reach_is_inconclusive_and_says_so(missing, comparison):
    sides = {} if comparison == "two settings" else {"comparison": ONE}
    claim = made_up_claim(metric="loss" if missing == "a value" else "no_such_column", **sides)
    losses = {"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.7, seed=1)}
    losses["gamma 0.8"][2] = math.nan
    verdict = judge(claim, made_up_runs(losses, claim=claim), "laptop")
    assert (verdict.verdict, verdict.n) == ("inconclusive", 4)
    assert "did not get that far" in verdict.reason
    assert strict_json(json.dumps(verdict.to_dict()))["effect"] is None


def test_only_the_role_of_the_claim_counts():
    claim = made_up_claim()
    runs = pd.concat([
        made_up_runs({"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.7, seed=1)}, claim=claim),
        made_up_runs({"gamma 0.5": noisy(4.0), "gamma 0.8": noisy(9.0)}, role="tuned", claim=claim),
        made_up_runs({"gamma 0.5": noisy(4.0), "gamma 0.8": noisy(9.0)}, role="tuning"),
    ])
    verdict = judge(claim, runs, "laptop")
    assert verdict.verdict == "supported" and not verdict.rule_changed


def test_seeds_without_a_partner_are_ignored():
    base, treatment = noisy(5.0), noisy(4.7, seed=1)
    paired = verdict_of({"gamma 0.5": base, "gamma 0.8": treatment})
    more = verdict_of({"gamma 0.5": [*base, 99.0], "gamma 0.8": treatment, "gamma 1": [1.0] * 9})
    assert (more.effect, more.low, more.high) == (paired.effect, paired.low, paired.high)


def test_pairs_name_their_seed_and_both_runs():
    verdict = verdict_of({"gamma 0.5": {3: 5.0, 1: 5.5}, "gamma 0.8": {1: 5.0, 3: 4.75}})
    assert verdict.pairs == (
        (1, "gamma 0.5, common, 1", "gamma 0.8, common, 1", 0.5),
        (3, "gamma 0.5, common, 3", "gamma 0.8, common, 3", 0.25),
    )


@given(
    losses=st.lists(st.tuples(st.floats(3, 6), st.floats(3, 6)), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False), learning_rate=st.sampled_from(["common", "tuned"]),
)
def test_neither_the_order_of_rows_nor_the_names_of_the_sides_matter(losses, order, learning_rate):
    base, treatment = zip(*losses, strict=True)
    claim = made_up_claim(margin=0.0, learning_rate=learning_rate)
    runs = made_up_runs(
        {"gamma 0.5": base, "gamma 0.8": treatment}, role=learning_rate, claim=claim
    )
    verdict = judge(claim, runs, "laptop")

    rows = list(range(len(runs)))
    order.shuffle(rows)
    assert judge(claim, runs.iloc[rows], "laptop") == verdict or math.isnan(verdict.low)

    swapped = made_up_claim(
        margin=0.0, learning_rate=learning_rate, baseline="gamma 0.8", treatment="gamma 0.5"
    )
    other = judge(swapped, runs, "laptop")
    opposite = {"supported": "contradicted", "contradicted": "supported"}
    assert other.verdict == opposite.get(verdict.verdict, verdict.verdict)
    assert other.effect == pytest.approx(-verdict.effect)
    assert [other.low, other.high] == pytest.approx([-verdict.high, -verdict.low], nan_ok=True)


def test_a_verdict_is_strict_json_with_all_that_decided_it():
    losses = {"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.7, seed=1)}
    content = strict_json(json.dumps(verdict_of(losses).to_dict(), allow_nan=False))
    assert (content["id"], content["tier"], content["verdict"]) == (
        "a-claim",
        "laptop",
        "supported",
    )
    assert content["rule"] == {"margin": 0.01, "confidence": 0.95, "min_pairs": 3}
    assert content["rule_hash"] == made_up_claim().rule_hash and content["n"] == 4
    assert content["runs"][0] == [0, "gamma 0.5, common, 0", "gamma 0.8, common, 0"]
    nothing = strict_json(json.dumps(verdict_of({}).to_dict(), allow_nan=False))
    assert nothing["effect"] is nothing["low"] is nothing["as_expected"] is None


@pytest.mark.parametrize("expected, answer", [([0.1, 0.6], True), ([0.4, 0.6], False)])
def test_the_expectation_is_compared_and_decides_nothing(expected, answer):
    losses = {"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.7, seed=1)}
    verdict = verdict_of(losses, expected={"laptop": expected})
    assert verdict.to_dict()["as_expected"] is answer and verdict.verdict == "supported"


# ---- other comparisons -------------------------------------------------------------------------

ONE = {"setting": "gamma 0.8", "learning_rate": "common"}
LOWER = ONE | {"better": "lower"}


@pytest.mark.parametrize(
    "comparison, values, margin, expected",
    [
        (ONE, 0.9, 0.7, "supported"), (ONE, 0.9, 0.95, "contradicted"),
        (ONE, 0.9, 0.9, "inconclusive"), (ONE | {"better": "higher"}, 0.9, 0.7, "supported"),
        (LOWER, 0.1, -0.3, "supported"), (LOWER, 0.5, -0.3, "contradicted"),
    ],
    ids=str,
)
def test_a_claim_about_one_setting_is_judged_by_its_own_metric(
    comparison, values, margin, expected
):
    losses = {"gamma 0.8": noisy(values), "gamma 0.5": noisy(77.0), "gamma 1": [math.nan] * 4}
    verdict = verdict_of(losses, comparison=comparison, margin=margin)
    assert verdict.verdict == expected
    sign = -1 if comparison == LOWER else 1
    assert verdict.effect == pytest.approx(sign * np.mean(losses["gamma 0.8"]))
    assert verdict.low <= verdict.effect <= verdict.high


def test_the_runs_of_one_setting_have_no_partners():
    verdict = verdict_of({"gamma 0.8": {3: 0.5, 1: 0.25}}, comparison=ONE)
    assert verdict.pairs == (
        (1, None, "gamma 0.8, common, 1", 0.25), (3, None, "gamma 0.8, common, 3", 0.5),
    )
    assert verdict.reason == "2 runs, the rule needs 3"
    content = strict_json(json.dumps(verdict.to_dict(), allow_nan=False))
    assert content["runs"] == [[1, None, "gamma 0.8, common, 1"], [3, None, "gamma 0.8, common, 3"]]


def test_without_runs_of_the_setting_its_claim_is_not_run():
    for losses in ({}, {"gamma 0.5": noisy(5.0)}):
        verdict = verdict_of(losses, comparison=ONE)
        assert (verdict.verdict, verdict.reason) == ("not run", "no records of the setting")


def test_an_optimum_of_the_one_setting_at_the_edge_is_inconclusive():
    tuned = ONE | {"learning_rate": "tuned"}
    verdict = verdict_of({"gamma 0.8": noisy(0.9)}, "laptop", "tuned", False, comparison=tuned)
    assert verdict.verdict == "inconclusive" and "edge for gamma 0.8" in verdict.reason


@pytest.mark.parametrize(
    "better, verdict, effect",
    [({}, "contradicted", -0.3), ({"better": "lower"}, "contradicted", -0.3),
     ({"better": "higher"}, "supported", 0.3)],
)
def test_of_two_settings_the_lower_one_is_better_unless_the_claim_says_higher(
    better, verdict, effect
):
    comparison = made_up_claim().comparison | better
    found = verdict_of(
        {"gamma 0.5": noisy(0.5), "gamma 0.8": noisy(0.8, seed=1)}, comparison=comparison
    )
    assert found.verdict == verdict and found.effect == pytest.approx(effect, abs=0.03)


AGAINST = made_up_claim().comparison | {"against": ["std 1", "std 2"]}


@pytest.mark.parametrize("better, sign", [({}, 1), ({"better": "higher"}, -1)], ids=str)
def test_a_gain_can_be_compared_with_another_gain(better, sign):
    losses = {"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.0, seed=1),
              "std 1": noisy(3.0, seed=2), "std 2": noisy(2.7, seed=3)}
    verdict = verdict_of(losses, comparison=AGAINST | better)
    gain = np.subtract(losses["gamma 0.5"], losses["gamma 0.8"])
    other = np.subtract(losses["std 1"], losses["std 2"])
    assert [pair[-1] for pair in verdict.pairs] == pytest.approx(list(sign * (gain - other)))
    assert verdict.verdict == ("supported" if sign > 0 else "contradicted")
    assert verdict.pairs[0][1:-1] == tuple(f"{name}, common, 0" for name in losses)


@pytest.mark.parametrize("absent", ["gamma 0.5", "gamma 0.8", "std 1", "std 2"])
def test_a_comparison_of_gains_needs_all_four_settings(absent):
    losses = {name: noisy(4.0) for name in made_up_claim(comparison=AGAINST).settings}
    assert verdict_of(losses | {absent: []}, comparison=AGAINST).verdict == "not run"
    edge = judge(
        made_up_claim(comparison=AGAINST | {"learning_rate": "tuned"}),
        made_up_runs(losses, role="tuned").assign(resolved=lambda r: r.setting != absent),
        "laptop",
    )
    assert edge.verdict == "inconclusive" and absent in edge.reason


# ---- p-values ----------------------------------------------------------------------------------


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=9).filter(np.ptp))
def test_a_verdict_is_decided_exactly_where_its_p_value_is_below_what_confidence_leaves(effects):
    losses = {"gamma 0.5": effects, "gamma 0.8": [0.0] * len(effects)}
    verdict = verdict_of(losses)
    assert verdict.p == pytest.approx(stats.ttest_1samp(effects, 0.01).pvalue)
    assume(abs(verdict.p - 0.05) > 1e-6)
    assert (verdict.p < 0.05) == (verdict.verdict in ("supported", "contradicted"))


def test_what_was_not_asked_has_no_p_value():
    assert math.isnan(verdict_of({}).p)
    assert math.isnan(verdict_of({"gamma 0.5": noisy(5), "gamma 0.8": noisy(4)}, "smoke").p)


def with_p(**values) -> list:
    made = verdict_of({"gamma 0.5": noisy(5), "gamma 0.8": noisy(4)})
    return [replace(made, claim=replace(made.claim, id=name), p=p) for name, p in values.items()]


def test_holm_by_hand():
    found = holm(with_p(a=0.04, b=0.01, c=math.nan, d=0.03))
    assert found == pytest.approx({"b": 0.03, "d": 0.06, "a": 0.06})
    assert holm([]) == {}


def test_of_each_verdict_those_are_counted_that_the_correction_leaves():
    """Of three p-values 0.01 is taken three times, and 0.03 twice."""
    found = with_p(a=0.04, b=0.01, c=math.nan, d=0.03)
    name = found[0].verdict
    assert standing(found)[name] == (4, 1)
    assert all(count == (0, 0) for word, count in standing(found).items() if word != name)


def test_holm_counts_each_paper_by_itself():
    one, other = with_p(a=0.01), with_p(b=0.02)
    other = [replace(other[0], claim=replace(other[0].claim, paper="another"))]
    assert holm(one + other) == {"a": 0.01, "b": 0.02}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_keeps_the_order_and_lies_between_the_value_and_bonferroni(values):
    found = list(holm(with_p(**{f"c{i}": p for i, p in enumerate(values)})).values())
    assert sorted(found) == found  # it returns them in the order of the p-values
    for p, corrected in zip(sorted(values), found, strict=True):
        assert p <= corrected <= min(1, p * len(values)) + 1e-12 or corrected == max(found)


def test_the_hash_changes_with_what_is_compared_and_what_is_better():
    comparisons = [ONE, LOWER, ONE | {"setting": "gamma 1"}, made_up_claim().comparison,
                   made_up_claim().comparison | {"better": "higher"}]
    assert len({made_up_claim(comparison=c).rule_hash for c in comparisons}) == len(comparisons)


# ---- negative controls -------------------------------------------------------------------------


@pytest.mark.parametrize("effect", [0.0, 0.3], ids=["without an effect", "with a real effect"])
def test_shuffled_labels_are_rarely_supported(effect):
    means = {"gamma 0.5": 5.0, "gamma 0.6": 4.9, "gamma 0.8": 5.0 - effect, "gamma 1": 4.95}
    losses = {s: noisy(mean, n=8, sd=0.05, seed=i) for i, (s, mean) in enumerate(means.items())}
    claim = made_up_claim()
    runs = made_up_runs(losses, claim=claim)
    assert (judge(claim, runs, "laptop").verdict == "supported") == (effect > 0)
    assert placebo_rate(claim, runs, "laptop", draws=100) <= 0.1


def test_shuffled_labels_of_two_settings_are_rarely_supported_with_eight_pairs():
    claim = made_up_claim()
    losses = {"gamma 0.5": noisy(5.0, n=8), "gamma 0.8": noisy(4.5, n=8, seed=1)}
    runs = made_up_runs(losses, claim=claim)
    assert judge(claim, runs, "laptop").verdict == "supported"
    assert placebo_rate(claim, runs, "laptop", draws=100) <= 0.1


def test_the_placebo_notices_a_rule_that_would_support_anything():
    losses = {"gamma 0.5": noisy(5.0, n=8), "gamma 0.8": noisy(5.0, n=8, seed=1)}
    claim = made_up_claim(margin=-1.0)
    assert placebo_rate(claim, made_up_runs(losses, claim=claim), "laptop", draws=20) == 1


def test_the_placebo_is_the_same_each_time_and_leaves_the_runs_alone():
    claim = made_up_claim()
    losses = {"gamma 0.5": noisy(5.0, sd=0.3), "gamma 0.8": noisy(4.7, sd=0.3, seed=1)}
    runs = made_up_runs(losses, claim=claim)
    before = runs.copy(deep=True)
    rates = [placebo_rate(claim, runs, "laptop", draws=40) for _ in range(2)]
    assert rates[0] == rates[1]
    pd.testing.assert_frame_equal(runs, before)


# ---- the hash of a rule ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"margin": 0.02}, {"confidence": 0.9}, {"min_pairs": 4}, {"baseline": "gamma 0.6"},
        {"treatment": "gamma 1"}, {"learning_rate": "tuned"}, {"metric": "seconds"},
        {"experiment": "another"}, {"tiers": ["gpu"]},
    ],
    ids=str,
)
def test_the_hash_changes_with_everything_that_decides(change):
    assert made_up_claim(**change).rule_hash != made_up_claim().rule_hash


@pytest.mark.parametrize("field", ["title", "statement", "place", "figure", "paper", "caveat"])
def test_the_hash_does_not_change_with_the_wording(field):
    assert made_up_claim(**{field: "in other words"}).rule_hash == made_up_claim().rule_hash


def test_a_rule_changed_after_the_runs_is_flagged():
    then, now = made_up_claim(), made_up_claim(margin=0.0)
    losses = {"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.7, seed=1)}
    runs = made_up_runs(losses, claim=then)
    assert judge(then, runs, "laptop").flag == ""
    flagged = judge(now, runs, "laptop")
    assert flagged.rule_changed and flagged.to_dict()["rule_changed"]


def test_one_run_made_under_another_rule_is_enough_to_flag():
    claim = made_up_claim()
    losses = {"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(4.7, seed=1)}
    runs = made_up_runs(losses, claim=claim)
    runs["rules"] = [*runs.rules[:-1], {}]
    assert judge(claim, runs, "laptop").flag == YOUNGER
    runs["rules"] = [*runs.rules[:-2], {}, {claim.id: "another"}]
    assert judge(claim, runs, "laptop").flag == CHANGED


def test_the_hashes_in_force_are_those_of_the_ledger():
    assert rule_hashes() == {claim.id: claim.rule_hash for claim in REAL}
    of_two = {c.id: c.rule_hash for c in REAL if c.experiment in ("first_gpt", "first_emb")}
    assert rule_hashes("first_gpt", "first_emb") == of_two
    assert 0 < len(of_two) < len(REAL) and rule_hashes("alpha_scaling") == {}


# ---- the ledger's file -------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """ledger(question, name=question, ...) writes a file of claims of one's own."""
    monkeypatch.setenv("GAMMAGPT_ROOT", str(tmp_path))
    (tmp_path / "claims").mkdir()

    def write(first=None, defaults=None, file="02_gamma_scaling", **more):
        questions = ({"lower-loss": first} if first else {}) | more
        content = {"defaults": defaults or {}, "claims": questions}
        (tmp_path / "claims" / f"{file}.yml").write_text(yaml.safe_dump(content, sort_keys=False))

    return write


OURS = {"id", "notebook", "means", "primary"}  # of the file, or optional
COMPARISON = {"baseline": "gamma 0.5", "treatment": "gamma 0.8"}


def question(drop=None, **changes) -> dict:
    """A claim by the first edition's rules, as a question that is asked in one way."""
    fields = {n: getattr(FIRST, n) for n in FIRST.__dataclass_fields__ if n not in OURS}
    fields |= {"asked": ["common"], "comparison": COMPARISON} | changes
    return {name: value for name, value in fields.items() if name != drop}


def test_a_ledger_is_read_as_written(ledger):
    ledger(question(), another=question())
    first, second = load_ledger()
    assert first == replace(FIRST, id="lower-loss") and second == replace(first, id="another")


def test_defaults_hold_where_a_question_says_nothing_else(ledger):
    ledger({"title": "T"}, defaults=question(drop="title"), another={"title": "A", "metric": "m"})
    first, second = load_ledger()
    assert (first.title, first.metric, first.unit) == ("T", "loss", FIRST.unit)
    assert (second.title, second.metric, second.unit) == ("A", "m", FIRST.unit)


def test_a_question_that_is_asked_in_two_ways_is_two_claims(ledger):
    ways = ["common", "tuned"]
    expected = {"common": {"gpu": [0, 1]}, "tuned": {"gpu": [2, 3]}}
    words = "B is lower than A; all at one learning rate, on text."
    ledger(question(asked=ways, title="T", statement=words, expected=expected, metric="m"))
    common, tuned = load_ledger()
    assert (common.id, tuned.id) == ("lower-loss-common", "lower-loss-tuned")
    assert [c.comparison["learning_rate"] for c in (common, tuned)] == ways
    assert (common.title, tuned.title) == ("T, at one learning rate", "T, each at its own best")
    assert common.question == tuned.question == "T" and common.metric == tuned.metric == "m"
    assert common.statement == words
    assert tuned.statement == "B is lower than A; each at its own best learning rate, on text."
    assert (common.expected, tuned.expected) == ({"gpu": [0, 1]}, {"gpu": [2, 3]})


def test_a_question_may_say_what_its_titles_add(ledger):
    ledger(question(title="T", asked={"common": "", "tuned": ", tuned"}))
    assert [claim.title for claim in load_ledger()] == ["T", "T, tuned"]


def test_a_block_is_asked_at_one_rate_first_and_then_tuned(ledger):
    both = question(asked=["common", "tuned"])
    ledger(a=both | {"block": "x"}, b=both | {"block": "x"}, c=both)
    order = ["a-common", "b-common", "a-tuned", "b-tuned", "c-common", "c-tuned"]
    assert [claim.id for claim in load_ledger()] == order


def test_files_come_in_the_order_of_the_chapters_and_give_the_notebook(ledger):
    ledger(b=question(), file="03_bias")
    ledger(a=question())
    places = [(claim.id, claim.notebook) for claim in load_ledger()]
    assert places == [("a", "02_gamma_scaling"), ("b", "03_bias")]


def test_one_file_may_be_anywhere(ledger, tmp_path):
    ledger(question(notebook="ours"))
    (tmp_path / "claims" / "02_gamma_scaling.yml").rename(tmp_path / "mine.yml")
    [claim] = load_ledger(tmp_path / "mine.yml")
    assert (claim.id, claim.notebook) == ("lower-loss", "ours")


def test_what_a_verdict_would_mean_is_read_and_told(ledger):
    ledger(question(primary=True, means={"supported": "It helps.", "contradicted": "It hurts."}))
    [claim] = load_ledger()
    assert claim.primary and claim.rule_hash == FIRST.rule_hash  # wording is not hashed
    for losses, words in ((4.7, "It helps."), (5.3, "It hurts.")):
        made = {"gamma 0.5": noisy(5.0), "gamma 0.8": noisy(losses, seed=1)}
        found = judge(claim, made_up_runs(made, claim=claim), "laptop")
        assert meaning(found) == found.to_dict()["means"] == words
        assert found.to_dict()["primary"] is True
    undecided = judge(claim, made_up_runs({}, claim=claim), "laptop")
    assert meaning(undecided) == "" and undecided.to_dict()["means"] is None


def test_what_a_verdict_means_may_differ_with_how_it_is_asked(ledger):
    means = {"common": {"supported": "At one."}, "tuned": {"supported": "At its best."}}
    ledger(question(asked=["common", "tuned"], means=means))
    assert [claim.means["supported"] for claim in load_ledger()] == ["At one.", "At its best."]


RULE = FIRST.rule
BAD = {
    "a missing field": (question(drop="title"), "title"),
    "no statement": (question(drop="statement"), "statement"),
    "an unknown field": (question(verdict="supported"), "verdict"),
    "text instead of a claim": ("lower-loss", "lower-loss"),
    "asked in no way": (question(drop="asked"), "asked must be common, tuned or both, got None"),
    "asked in an empty list": (question(asked=[]), "asked must be common, tuned or both, got []"),
    "an unknown learning rate": (question(asked=["best"]), "tuned or both, got ['best']"),
    "asked as text": (question(asked="common"), "tuned or both, got 'common'"),
    "asked twice": (question(asked=["common", "common"]), "asked must be common, tuned or both"),
    "no treatment": (question(comparison={"baseline": "gamma 0.5"}), "comparison"),
    "no comparison": (question(comparison=None), "comparison"),
    "one setting and another": (
        question(comparison=COMPARISON | {"setting": "gamma 0.8"}), "comparison needs either",
    ),
    "no setting at all": (
        question(comparison={}), "either setting, or baseline and treatment",
    ),
    "an unknown word in the comparison": (
        question(comparison=COMPARISON | {"best": "seed"}), "comparison needs either",
    ),
    "better than what": (
        question(comparison=COMPARISON | {"better": "more"}), "better must be higher or lower",
    ),
    "against one": (question(comparison=COMPARISON | {"against": ["a"]}), "against must be two"),
    "a meaning of no verdict": (question(means={"proven": "So."}), "means must give a sentence"),
    "a meaning without words": (question(means={"supported": ""}), "means must give a sentence"),
    "meanings in a list": (question(means=["So."]), "means must give a sentence"),
    "primary in words": (question(primary="very"), "primary must be true or false"),
    "a rule without margin": (question(rule={"confidence": 0.95, "min_pairs": 3}), "rule"),
    "a rule with more": (question(rule=RULE | {"best_seed": True}), "rule"),
    "certainty": (question(rule=RULE | {"confidence": 1}), "confidence"),
    "confidence in words": (question(rule=RULE | {"confidence": "high"}), "confidence"),
    "a margin in words": (question(rule=RULE | {"margin": "small"}), "margin"),
    "a margin of infinity": (question(rule=RULE | {"margin": math.inf}), "margin"),
    "no pairs": (question(rule=RULE | {"min_pairs": 0}), "min_pairs"),
    "an unknown tier": (question(tiers=["laptop", "phone"]), "phone"),
    "tiers as text": (question(tiers="laptop"), "tiers"),
}


@pytest.mark.parametrize("bad, words", BAD.values(), ids=BAD)
def test_an_impossible_claim_is_refused_in_one_line(ledger, bad, words):
    ledger(bad)
    message = refusal(load_ledger)
    assert message.startswith("02_gamma_scaling.yml: claim 'lower-loss': ") and words in message


def test_an_id_used_twice_is_refused(ledger, tmp_path):
    ledger(**{"a-tuned": question(), "a": question(asked=["common", "tuned"])})
    assert refusal(load_ledger) == "claims: the id 'a-tuned' is used 2 times"
    text = "claims:\n  a: {title: one}\n  a: {title: two}\n"
    (tmp_path / "claims" / "02_gamma_scaling.yml").write_text(text)
    assert refusal(load_ledger) == "02_gamma_scaling.yml: not YAML ('a' is used twice)"


def test_a_missing_or_broken_file_is_refused(ledger, tmp_path):
    assert refusal(load_ledger).startswith("claims: got no *.yml in ")
    assert "mine.yml: no such file" in refusal(load_ledger, tmp_path / "mine.yml")
    path = tmp_path / "claims" / "02_gamma_scaling.yml"
    for text, words in {
        "claims: [a, {b": "not YAML", "- a list": "expected a mapping",
        "claims: [a]": "claims: expected a mapping, got ['a']",
        "claims: {a: b}": "claim 'a': expected a mapping, got 'b'",
        "defaults: [a]": "defaults: expected a mapping, got ['a']",
    }.items():
        path.write_text(text)
        message = refusal(load_ledger)
        assert message.startswith("02_gamma_scaling.yml: ") and words in message


def test_what_has_no_number_is_named_and_counted():
    losses = {"gamma 0.5": [5.0, 5.1, 5.2], "gamma 0.8": [4.5, math.inf, math.inf]}
    claim = made_up_claim()
    found = judge(claim, made_up_runs(losses, claim=claim), "laptop")
    assert found.verdict == "inconclusive" and found.reason.endswith("2 of 3 with gamma 0.8")


@pytest.mark.parametrize(
    "place, ours", [("abstract, first claim", False), ("section 4; here on tasks of ours", False),
                    ("abstract; the length is ours", True), ("not in the paper", True)]
)
def test_a_question_of_ours_is_told_from_a_claim_of_the_paper(place, ours):
    assert replace(made_up_claim(), place=place).ours is ours


# ---- the real ledger ---------------------------------------------------------------------------


planned = cache(study)


@pytest.mark.parametrize("tier", project.TIERS)
@pytest.mark.parametrize("claim", REAL, ids=lambda claim: claim.id)
def test_every_tier_can_decide_every_claim_that_it_must(claim, tier):
    found = planned(claim.experiment, tier)
    tuned = claim.comparison["learning_rate"] == "tuned"
    if left_to_the_night(claim, found, tier):
        return
    if isinstance(found, Forecasts):  # a row a group, or a grid
        rows = {"x": COLLAPSE, "critical": critical_runs()}
        assert len(rows[claim.comparison["setting"]]) >= claim.fewest
        return
    common = 1.0 if isinstance(found, TunedStudy) else found.base.optim.learning_rate
    assert common in found.learning_rates or not tuned
    if claim.judged_at(tier):
        assert set(claim.settings) <= set(found.settings)
        assert len(found.seeds) >= claim.fewest
        assert len(found.learning_rates) >= 3 or not tuned  # else no optimum could be an inner one


def left_to_the_night(claim, found, tier) -> bool:
    """Optional studies, which have no seeds then, and sizes that only the night has, of the second
    edition."""
    lacking = not (claim.first_edition or set(claim.settings) <= set(found.settings))
    return tier == "laptop" and (not found.seeds or lacking)


def test_a_night_judges_what_two_hours_of_the_same_machine_judge():
    claim = made_up_claim(tiers=["laptop"], expected={"laptop": [0, 1]})
    assert [claim.judged_at(tier) for tier in project.TIERS] == [False, True, True, False]
    assert claim.expected_at("night") == [0, 1] and claim.expected_at("gpu") is None
    at_night = made_up_claim(tiers=["night"], expected={"night": [0, 1]})
    assert [at_night.judged_at(tier) for tier in project.TIERS] == [False, False, True, False]
    assert at_night.expected_at("laptop") is None


@pytest.mark.parametrize("tier", project.TIERS)
def test_the_notebook_of_a_claim_has_the_parameters_of_its_experiment(tier):
    """A notebook may look at the runs of another one; then it is of the same size."""
    given = project.tier_parameters(tier)
    for claim in REAL:
        assert given[claim.notebook] == given[homes()[claim.experiment]], claim.id


@pytest.mark.parametrize("claim", REAL, ids=lambda claim: claim.id)
def test_every_claim_leads_to_its_notebook_its_paper_and_its_expectations(claim):
    assert (project.root() / "notebooks" / f"{claim.notebook}.ipynb").exists()
    assert f"{{{claim.paper}," in (project.root() / "book" / "references.bib").read_text()
    assert set(claim.tiers) <= set(project.TIERS)
    assert all(low <= high for low, high in claim.expected.values())
