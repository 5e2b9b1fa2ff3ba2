"""Does mine agree? Records that are the same, shifted, fewer, and not there."""

import json
import math

import numpy as np
import pytest
from helpers import made_up_claim, made_up_runs, refusal, strict_json

from gammagpt import project
from gammagpt.cli import main
from gammagpt.ledger.judge import Verdict, judge
from gammagpt.ledger.welch import Welch
from gammagpt.registry import agreement
from gammagpt.registry.agreement import Agreement, agree, in_words, summary

LOSSES = {"gamma 0.5": [4.0, 4.1, 4.2, 4.15], "gamma 0.8": [3.5, 3.7, 3.65, 3.75]}


def verdict(shift=0.0, seeds=4, **changes):
    """A claim's verdict when every loss of the treatment is lower by `shift`."""
    claim = made_up_claim(**changes)
    losses = {"gamma 0.5": LOSSES["gamma 0.5"][:seeds],
              "gamma 0.8": [loss - shift for loss in LOSSES["gamma 0.8"][:seeds]]}
    return judge(claim, made_up_runs(losses, claim=claim), "laptop")


def row(ours, theirs):
    return agree(ours, theirs).iloc[0]


# ---- the answers -------------------------------------------------------------------------------


def test_the_same_records_agree():
    found = row([verdict()], [verdict()])
    assert found.inside is True and found.in_interval is True
    assert found.ours == found.theirs == pytest.approx(0.4625)


def test_identical_runs_agree_with_themselves():
    """No spread: an interval of no width, which holds its own mean."""
    claim = made_up_claim()
    same = judge(claim, made_up_runs({"gamma 0.5": [4.0] * 3, "gamma 0.8": [3.5] * 3}), "laptop")
    found = row([same], [same])
    assert found.prediction_low == found.prediction_high == 0.5 and found.inside is True


SHIFTS = [(0.05, True, True), (0.2, False, True), (0.5, False, False)]


@pytest.mark.parametrize("shift, in_interval, inside", SHIFTS)
def test_a_shift_leaves_the_plain_interval_before_the_predicted_one(shift, in_interval, inside):
    found = row([verdict()], [verdict(shift)])
    assert found.theirs == pytest.approx(found.ours + shift)
    assert (found.in_interval, found.inside) == (in_interval, inside)


def test_fewer_seeds_are_predicted_less_well():
    few, many = (row([verdict()], [verdict(seeds=seeds)]) for seeds in (2, 4))
    assert few.their_n == 2 and few.prediction_low < many.prediction_low


@pytest.mark.parametrize("theirs", [[], [verdict(id="another")], [verdict(seeds=0)]])
def test_what_they_do_not_have_is_not_compared(theirs):
    found = row([verdict()], theirs)
    assert found.inside is None and found.in_interval is None and found.their_n == 0
    assert math.isnan(found.theirs) and found.their_verdict == "not run"


def test_what_we_do_not_have_is_not_compared():
    found = row([verdict(seeds=0)], [verdict()])
    assert found.inside is None and found.their_n == 4


def test_one_run_of_ours_predicts_nothing():
    assert row([verdict(seeds=1)], [verdict()]).inside is None


def test_a_claim_that_wants_a_low_number_is_shown_with_the_sign_of_its_measure():
    comparison = {"setting": "gamma 0.5", "learning_rate": "tuned", "better": "lower"}
    claim = made_up_claim(comparison=comparison)
    found = judge(claim, made_up_runs(LOSSES, claim=claim), "laptop")
    both = row([found], [found])
    assert claim.turned and both.ours == pytest.approx(np.mean(LOSSES["gamma 0.5"]))
    assert both.prediction_low < both.our_low < both.ours < both.our_high < both.prediction_high
    assert both.inside is True


# ---- the statistics ----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [4, 7])
def test_the_predicted_interval_holds_the_next_effect_as_often_as_it_says(n):
    """And the plain one does not: why there are two."""
    rng, held, plain, draws = np.random.default_rng(0), 0, 0, 1000
    for _ in range(draws):
        ours, theirs = made_of(rng.normal(0, 1, (2, 4))), made_of(rng.normal(0, 1, (2, n)))
        low, high = agreement._predicted(ours, n)
        held += low <= theirs.effect <= high
        plain += ours.low <= theirs.effect <= ours.high
    assert held / draws == pytest.approx(0.95, abs=0.025)
    assert plain < held - 0.03 * draws


def made_of(sides) -> Verdict:
    """A verdict on these runs of a baseline and a treatment, without the rest."""
    found, claim = Welch.of([list(side) for side in sides]), made_up_claim()
    compared = tuple((name, seed, "key", value)
                     for name, side in zip(claim.settings, sides, strict=True)
                     for seed, value in enumerate(side))
    return Verdict(claim, "laptop", "better", "x", found.effect, *found.interval(0.95), compared)


# ---- the cell, and the command -----------------------------------------------------------------


def test_the_words_count_what_lies_inside():
    ours = [verdict(), verdict(id="other")]
    table = agree(ours, [verdict(), verdict(0.5, id="other")])
    lines = in_words(table, "laptop").splitlines()
    assert ["inside" in lines[0], "outside" in lines[1]] == [True, True]
    assert lines[2] == summary(table) and lines[2].startswith("1 of 2 effects")


def test_claims_without_runs_on_one_side_are_counted_and_none_at_all_is_an_error():
    ours, mine = [verdict(), verdict(id="other")], [verdict(), verdict(seeds=0, id="other")]
    lines = in_words(agree(ours, mine), "laptop").splitlines()
    assert len(lines) == 3 and lines[1].startswith("1 claim lacks runs in ")
    nothing = agree([verdict()], [verdict(seeds=0)])
    assert summary(nothing).startswith("No effect is there on both sides")
    assert "1 claim lacks runs in " in refusal(in_words, nothing, "laptop")


def test_on_the_committed_records_the_cell_says_how_to_compare(monkeypatch):
    monkeypatch.delenv("GAMMAGPT_RESULTS", raising=False)
    words = Agreement([verdict()], "laptop")._repr_html_()
    assert "FRESH=1" in words and "<table" not in words


def test_without_committed_records_of_a_tier_the_cell_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    monkeypatch.setenv("GAMMAGPT_ROOT", str(tmp_path / "checkout"))
    assert "no records of tier laptop" in Agreement([verdict()], "laptop")._repr_html_()


def test_in_a_folder_of_ones_own_the_cell_compares(monkeypatch, tmp_path):
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    ours, asked = [verdict()], []

    def committed(tier, folder, claims):
        asked.append((tier, folder, [claim.id for claim in claims]))
        return ours

    monkeypatch.setattr("gammagpt.registry.studies.verdicts", committed)
    shown = Agreement([verdict(0.5)], "laptop")._repr_html_()
    assert asked == [("laptop", project.root() / "results" / "laptop", ["a-claim"])]
    assert "<td>outside</td>" in shown and "0 of 1 effects" in shown


def test_claims_against_an_empty_folder_compare_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path / "mine"))
    (tmp_path / "ours").mkdir()
    assert main(["claims", "--against", str(tmp_path / "ours"), "--json"]) == 0
    rows = strict_json(capsys.readouterr().out)
    assert rows and {row["inside"] for row in rows} == {None}
    assert {row["our_n"] for row in rows} == {row["their_n"] for row in rows} == {0}
    assert json.dumps(rows[0]["ours"]) == "null"


def test_a_folder_that_cannot_be_compared_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    assert "nowhere" in refusal(agreement.against, tmp_path / "nowhere", "laptop")
    (tmp_path / "laptop").mkdir()
    assert "GAMMAGPT_RESULTS" in refusal(agreement.against, tmp_path / "laptop", "laptop")
