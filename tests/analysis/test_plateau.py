"""The laws of the unigram plateau: their shape, their constants, their forecasts, their advice."""

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import made_up_record, refusal
from hypothesis import given
from hypothesis import strategies as st

import gammagpt
from gammagpt import InitConfig, RunConfig
from gammagpt.analysis import plateau, plateau_fit, plateau_runs
from gammagpt.analysis.plateau import RULES, advise
from gammagpt.data import DataConfig, load_text
from gammagpt.lab.collapse import MARGIN

RATES = st.floats(1e-5, 0.1)
WIDTHS = st.integers(8, 4096)
STEPS = st.integers(1, 5000)
BASE = RunConfig(init=InitConfig(gamma=1.0), data=DataConfig(fingerprint="f" * 64))


@pytest.fixture(scope="module")
def records():
    return plateau_fit.all_records()


@given(RATES, WIDTHS, STEPS)
def test_all_rules_agree_on_what_makes_a_collapse_no_less_likely(rate, width, steps):
    for rule in RULES.values():
        here = rule.probability(rate, width, steps)
        assert 0 <= here <= rule.probability(2 * rate, width, steps) <= 1
        assert here >= rule.probability(rate, width, 2 * steps)
        assert here <= rule.probability(rate, 2 * width, steps)
        assert here <= rule.probability(rate, width, steps, 2048)
        assert rule.collapses(rate, width, steps) == (here >= 0.5) or abs(here - 0.5) < 1e-9


@given(RATES, WIDTHS, STEPS)
def test_the_collapse_index_has_no_units_of_its_own(rate, width, steps):
    x = plateau.collapse_index(rate, width, steps)
    assert x == pytest.approx(plateau.collapse_index(rate, 2 * width, 4 * steps))
    assert x == pytest.approx(RULES["x"].index(rate, width, steps))


def test_only_the_second_hypothesis_knows_the_vocabulary():
    for name, rule in RULES.items():
        larger = rule.probability(0.008, 64, 40, 4096) > rule.probability(0.008, 64, 40)
        assert larger == (name == "x_vocabulary"), name
    assert RULES["x"].probability(0.008, 64, 40) == RULES["x_vocabulary"].probability(0.008, 64, 40)


@given(RATES, st.integers(16, 4096), STEPS)
def test_a_critical_gamma_falls_with_the_rate_and_is_there_above_the_small_branch(rate, width, n):
    found = plateau.critical_gamma(width, rate, n)
    assert (found is None) == (rate < 0.8 * plateau.small_branch(width, n))
    if found is not None:
        assert plateau.critical_gamma(width, 2 * rate, n) < found
        std = width**-found
        assert std == pytest.approx(rate * width**0.5 / plateau.CRITICAL)


@given(st.floats(0.3, 1.3), st.integers(16, 4096), STEPS)
def test_the_highest_good_rate_is_at_least_each_branch(gamma, width, n):
    top = plateau.highest_good_rate(width**-gamma, width, n)
    assert plateau.small_branch(width, n) <= top * (1 + 1e-9)
    assert top <= plateau.highest_good_rate(width**-gamma, width, 2 * n)


@given(RATES, WIDTHS, STEPS)
def test_the_plateau_ends_where_the_sum_of_rates_says(rate, width, n):
    for steps, path in zip(plateau.plateau_length(width, rate, n), (1.475, 4.045), strict=True):
        risen = rate * (steps**2 / (2 * n) if steps <= n else steps - n / 2)
        assert width * risen == pytest.approx(path)


@given(RATES, st.integers(16, 4096), STEPS)
def test_safe_gammas_are_those_whose_highest_good_rate_is_not_passed(rate, width, n):
    found = plateau.safe_gammas(width, rate, n)
    low, high = found or (plateau.TRIED[0], plateau.TRIED[0])
    if found:
        assert rate <= plateau.highest_good_rate(width**-high, width, n) * (1 + 1e-9)
    if high < plateau.TRIED[1]:
        assert rate >= plateau.highest_good_rate(width ** -(high + 1e-3), width, n)


def test_a_run_has_collapsed_if_a_slower_one_is_better_by_the_margin():
    rates, losses = [1, 1, 2, 2, 4, 0.5], [4.0, 3.92, 4.05, 3.95, 3.5, 5.0]
    assert plateau_fit.collapsed(rates, losses).tolist() == [0, 0, 1, 0, 0, 0]
    assert plateau_fit.collapsed([1, 2], [4.0, math.inf]).tolist() == [0, 1]


def test_the_vertex_of_a_trough_and_where_there_is_none():
    gammas = np.array([0.25, 0.4, 0.55, 0.7, 0.85, 1.0])
    assert plateau_fit.grid_minimum(gammas, (gammas - 0.62) ** 2) == pytest.approx(0.62)
    assert plateau_fit.grid_minimum(gammas, -gammas) is None
    assert plateau_fit.grid_minimum(gammas, gammas) == 0.25
    flat = np.array([1, 1, 1, 0, 1, plateau_fit.NONE_MARGIN - 0.001])
    assert plateau_fit.grid_minimum(gammas, flat) is None


def test_the_highest_good_rate_of_a_grid_lies_where_the_loss_crosses_the_margin():
    rates, losses = [0.001, 0.002, 0.004, 0.008], [4.2, 4.0, 4.05, 4.15]
    assert plateau_fit.highest_good_rate(rates, losses) == pytest.approx(0.004 * 2**0.5)
    assert plateau_fit.highest_good_rate(rates[:3], losses[:3]) is None


def test_rules_are_those_of_the_first_editions_records(records):
    found = plateau_fit.fit_rules(records)
    for name, rule in RULES.items():
        for value in ("width", "warmup", "threshold", "slope", "vocabulary"):
            expected = pytest.approx(getattr(rule, value), rel=6e-4)
            assert getattr(found[name], value) == expected, (name, value)


def test_all_other_constants_are_those_of_the_first_editions_records(records):
    large, small, octaves = plateau_fit.fit_highest(records)
    assert (large, small) == pytest.approx((plateau.LARGE, plateau.SMALL), rel=2e-3)
    assert octaves == pytest.approx(0.245, abs=0.001)
    assert plateau_fit.fit_critical(records) == pytest.approx(plateau.CRITICAL, rel=1e-3)
    assert plateau_fit.fit_paths(records, -0.3)[0] == pytest.approx(plateau.REACHED, rel=1e-3)
    assert plateau_fit.fit_paths(records, 0.1)[0] == pytest.approx(plateau.LEFT, rel=1e-3)
    expected = (plateau.PACE, plateau.TURN, plateau.EARLY_SLOPE)
    assert plateau_fit.fit_early(records) == pytest.approx(expected, rel=1e-3)


def test_what_was_trained_later_changes_no_constant(records):
    """Nor do runs with another recipe."""
    first = plateau_fit.first_edition(records)
    later = replace(first[0], provenance=first[0].provenance | {"date": "2026-11-27T00:00:00Z"})
    assert plateau_fit.first_edition([later]) == []
    gate = replace(first[0].config, model=replace(first[0].config.model, gate=True))
    assert plateau_fit.first_edition([replace(first[0], config=gate)]) == []


def test_the_numbers_that_the_records_gave_before(records):
    """Shares of collapsed runs by x, and how well x and the rate alone rank them."""
    found = plateau_fit.outcomes(plateau_fit.small_starts(records))
    bad = np.array([is_bad for _, is_bad in found])
    places = plateau_fit.coordinates(run.config for run, _ in found)
    x = plateau.collapse_index(*places[:3])
    shares = [(int(bad[part].sum()), int(part.sum())) for part in
              (x < 0.3, (x >= 0.4) & (x < 0.5), (x >= 0.8) & (x < 1), x > 1.5)]  # fmt: skip
    assert shares == [(0, 301), (4, 97), (33, 56), (64, 64)]
    assert plateau_runs.auc(x[bad], x[~bad]) == pytest.approx(0.980, abs=0.001)
    assert plateau_runs.auc(places[0][bad], places[0][~bad]) == pytest.approx(0.851, abs=0.001)


def test_entropies_are_those_of_the_texts():
    text = load_text(DataConfig("sotu", 1024)).train
    shares = np.bincount(text) / len(text)
    shares = shares[shares > 0]
    found = -(shares * np.log(shares)).sum()
    assert found == pytest.approx(plateau.ENTROPIES["sotu", 1024], abs=1e-4)


def test_a_fifth_of_the_way_tells_most_of_the_collapsed_runs(records):
    found = plateau_fit.outcomes(plateau_fit.small_starts(records))
    chance = [plateau.early_probability(loss, plateau_fit.entropy(run.config), path)
              for run, _ in found for loss, path in [plateau_fit.early(run)]]  # fmt: skip
    bad = np.array([is_bad for _, is_bad in found])
    assert ((np.array(chance) >= 0.5) == bad).mean() > 0.96


def test_forecasts_in_the_files_are_those_of_the_laws():
    folder = gammagpt.project.root() / "predictions"
    for name, table in (("collapse", plateau_runs.collapse_table()),
                        ("critical", plateau_runs.critical_table())):  # fmt: skip
        assert (folder / f"{name}.csv").read_text(encoding="utf-8") == plateau_runs.as_csv(table)


def test_no_fit_has_seen_a_width_depth_warm_up_or_length_of_a_forecast(records):
    first = [record.config for record in plateau_fit.first_edition(records)]
    runs = [run for name, run in plateau_runs.collapse_runs() if name != "one layer"]
    assert len(runs) >= 45 and len(plateau_runs.critical_runs()) >= 14
    for of in (lambda c: c.model.width, lambda c: c.model.n_layer, lambda c: c.optim.warmup,
               plateau_fit.warmup_steps, lambda c: c.steps):  # fmt: skip
        seen = {of(config) for config in first}
        assert not seen & {of(run) for run in [*runs, *plateau_runs.critical_runs()]}


def test_every_forecast_has_its_runs_each_once():
    runs = plateau_runs.prediction_runs()
    assert len(set(runs)) == len(runs)
    wanted = [run for _, run in plateau_runs.collapse_runs()]
    wanted += [replace(run, init=InitConfig(gamma=gamma))
               for run in plateau_runs.critical_runs() for gamma in plateau_runs.GAMMAS]
    assert set(runs) == {replace(run, seed=s) for run in wanted for s in plateau_runs.SEEDS}


def outcome(run, collapse_at=0.751):
    """A record as the law x has it: a loss that falls with the rate, until it collapses."""
    rate, width, steps, _ = (values[0] for values in plateau_fit.coordinates([run]))
    bad = plateau.collapse_index(rate, width, steps) >= collapse_at and run.init.gamma != 0.25
    loss = 4 - 100 * rate / width + bad + abs((run.init.gamma or 1) - 0.55) * 1e-3
    return made_up_record(run, loss)


def test_a_world_where_x_is_right_gives_it_full_marks():
    pinned = {run: replace(run, data=replace(run.data, fingerprint="f" * 64))
              for run in plateau_runs.prediction_runs()}  # fmt: skip
    found = plateau_runs.score([outcome(run) for run in pinned.values()])
    marks = found["rules"].set_index("rule")
    assert marks.loc["x", "accuracy"] == 1 and marks.loc["x", "auc"] == 1
    assert marks.loc["rate", "accuracy"] < 0.9
    assert marks.loc["x_vocabulary", "other_vocabulary_accuracy"] < 1
    assert len(found["collapse"]) == 2 * len(plateau_runs.collapse_runs())
    assert found["summary"]["settings"] == len(plateau_runs.critical_runs())


def test_what_is_not_whole_is_not_scored():
    """A group without its lowest rate has no reference: that seed is left out of it."""
    first, *runs = plateau_runs.prediction_runs()
    found = plateau_runs.score([outcome(run) for run in runs])["collapse"]
    (other,) = set(found[found.group == "short warm-up"].seed)
    assert other != first.seed and found[found.group == "medium warm-up"].seed.nunique() == 2
    assert plateau_runs.score([])["summary"] == {"settings": 0}


def test_altered_forecasts_are_refused(tmp_path):
    plateau_runs.write(tmp_path)
    path = tmp_path / "collapse.csv"
    path.write_text(path.read_text().replace("warm-up,sotu,1024,48", "warm-up,sotu,1024,50"))
    assert "collapse.csv" in refusal(plateau_runs.score, [], tmp_path)


def test_advice_says_what_is_untested():
    found = advise(64, 0.008, 40)
    assert found.untested == () and "1366 records" in found.evidence
    assert found.least_warmup_steps == math.ceil(0.008 * 64**2 / 0.3)
    assert found.critical_gamma == pytest.approx(0.69, abs=0.02)
    assert found.safe_gammas[0] < found.critical_gamma < found.safe_gammas[1]
    far = advise(768, 6e-4, 700, n_layer=12, vocab_size=50257)
    assert far.untested == ("width", "warmup_steps", "n_layer", "vocab_size")


def test_advice_refuses_what_is_no_size_in_one_line():
    for wrong in ((1, 0.1, 40), (64, 0, 40), (64, math.nan, 40), (64, 0.1, "40"), (True, 0.1, 4)):
        refusal(advise, *wrong)
    assert "heads" in refusal(advise, 64, 0.1, 40, heads=2)


def test_advice_agrees_with_the_records(records):
    """Is a rate good for a start? Advice, against mean losses beside the lowest mean so far."""
    agree = []
    for setting, runs in plateau_fit.ladders(plateau_fit.first_edition(records)).items():
        gamma, rates = setting.init.gamma, [run.config.optim.learning_rate for run in runs]
        if gamma is None:
            continue
        losses = np.array([plateau_fit.loss(run) for run in runs])
        grid = np.unique(rates)
        means = np.array([losses[rates == rate].mean() for rate in grid])
        good = means - np.minimum.accumulate(means) <= MARGIN
        width, steps = setting.model.width, plateau_fit.warmup_steps(setting)
        for rate, is_good in zip(grid, good, strict=True):
            safe = plateau.safe_gammas(width, float(rate), steps)
            agree.append(bool(safe and gamma <= safe[1]) == is_good)
    assert len(agree) > 200 and np.mean(agree) > 0.9, (len(agree), np.mean(agree))


def test_the_records_cover_what_the_advice_says(records):
    found = [run.config for run, _ in plateau_fit.outcomes(plateau_fit.first_edition(records))]
    assert len(found) == plateau.RECORDS
    values = {
        "width": [c.model.width for c in found], "n_layer": [c.model.n_layer for c in found],
        "learning_rate": [c.optim.learning_rate for c in found], "steps": [c.steps for c in found],
        "warmup_steps": [plateau_fit.warmup_steps(c) for c in found],
        "vocab_size": [c.model.vocab_size for c in found],
    }  # fmt: skip
    assert {name: (min(v), max(v)) for name, v in values.items()} == plateau.RANGES
