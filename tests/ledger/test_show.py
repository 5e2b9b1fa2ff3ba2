"""A verdict as people see it: never by colour alone, never a number that is not there."""

import math
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from helpers import made_up_claim, made_up_runs

from gammagpt.ledger.judge import CHANGED, Verdict, judge
from gammagpt.ledger.show import SIGNS, VerdictTable, badge, effect, sides


def verdict(name="supported", **fields) -> Verdict:
    numbers = {"effect": 0.25, "low": 0.125, "high": 0.375} | fields
    return Verdict(made_up_claim(title="a < b & c"), "laptop", name, "x < y", **numbers)


def cells(html) -> list[str]:
    """The text of each cell, as a browser would show it."""
    texts = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            if tag in ("th", "td"):
                texts.append("")

        def handle_data(self, data):
            texts[-1] += data

    Reader().feed(html)
    return texts


def test_every_verdict_has_a_sign_a_word_and_a_class_of_its_own():
    badges = {name: badge(verdict(name)) for name in SIGNS}
    assert all(f" {name}</span>" in html for name, html in badges.items())
    assert len({html.split('"')[1] for html in badges.values()}) == len(SIGNS)
    for edition in (list(SIGNS)[:4], list(SIGNS)[4:]):
        assert len({SIGNS[name] for name in (*edition, "not run")}) == 5 - ("not run" in edition)


def test_a_changed_rule_is_on_the_badge():
    assert "rule changed" in badge(verdict(flag=CHANGED))
    assert "rule changed" not in badge(verdict())


@pytest.mark.parametrize(
    "numbers, words",
    [
        ({}, "+0.250 [+0.125, +0.375]"),
        ({"effect": -0.25, "low": -0.5, "high": 0.0}, "-0.250 [-0.500, +0.000]"),
        ({"low": math.nan, "high": math.nan}, "+0.250"),
        ({"effect": math.nan}, "–"),
        ({"effect": math.inf}, "–"),
    ],
)
def test_an_effect_has_its_interval_and_no_nonsense(numbers, words):
    assert effect(verdict(**numbers)) == words


def asked(title: str, rate: str, **numbers) -> Verdict:
    claim = made_up_claim(title=title)
    claim = replace(claim, comparison=claim.comparison | {"learning_rate": rate})
    return replace(verdict(**numbers), claim=claim)


def test_the_table_has_a_row_a_question_escaped_for_html():
    once = asked("d, at one learning rate", "common", name="not run", effect=math.nan)
    both = [asked("a < b & c, at one learning rate", "common"),
            asked("a < b & c, each at its own best learning rate", "tuned")]
    rows = cells(VerdictTable([*both, once])._repr_html_())
    assert rows[:3] == ["Claim", "At one learning rate", "Each at its own best"]
    answer = "✓ supported+0.250 [+0.125, +0.375]nats per token, 0 pairs: x < y"
    assert rows[3].startswith("a < b & cgamma") and rows[4:6] == [answer] * 2
    assert rows[6].startswith("dgamma") and rows[7].startswith("… not run–nats")
    assert rows[8] == "not asked" and len(rows) == 9


def test_a_way_in_which_nothing_was_asked_has_no_column():
    assert cells(VerdictTable([verdict()])._repr_html_())[:2] == ["Claim", "At one learning rate"]
    assert len(cells(VerdictTable([])._repr_html_())) == 1


def test_the_table_says_what_is_compared():
    claim = made_up_claim()
    words = "gamma 0.8 against gamma 0.5"
    assert sides(claim) == words and words in VerdictTable([verdict()])._repr_html_()
    of_gains = {**claim.comparison, "against": ["a", "b"]}
    assert sides(replace(claim, comparison=of_gains)) == f"{words}, less b against a"
    assert sides(replace(claim, comparison={"setting": "gamma 1"})) == "gamma 1"


def test_the_table_shows_what_was_judged():
    claim = made_up_claim()
    runs = made_up_runs({"gamma 0.5": [5.0, 5.1, 5.2], "gamma 0.8": [4.5, 4.6, 4.7]}, claim=claim)
    rows = cells(VerdictTable([judge(claim, runs, "laptop")])._repr_html_())
    shown = "✓ supported+0.500 [+0.500, +0.500]nats per token, 3 pairs: the whole interval"
    assert rows[2].startswith("A title") and rows[3].startswith(shown)


def test_of_one_setting_the_number_itself_is_shown_and_the_side_that_the_rule_wants():
    """Inside, a metric that should be low is turned round: above the margin is supported."""
    base = made_up_claim(rule={"margin": -0.3, "confidence": 0.95, "min_pairs": 3})
    low = {"setting": "gamma 0.8", "learning_rate": "common", "better": "lower"}
    claim = replace(base, comparison=low)
    found = judge(claim, made_up_runs({"gamma 0.8": [0.1, 0.1, 0.1]}, claim=claim), "laptop")
    assert found.verdict == "supported" and claim.bound == "below 0.3"
    assert effect(found) == "0.100 [0.100, 0.100]" and found.reason.endswith("below 0.3")
    found = judge(claim, made_up_runs({"gamma 0.8": [0.5, 0.5, 0.5]}, claim=claim), "laptop")
    assert found.verdict == "contradicted" and found.reason.endswith("above 0.3")
