"""A verdict as people see it: never by colour alone, never a number that is not there."""

import math
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from helpers import made_up_claim, made_up_runs

from gammagpt.ledger.claims import VERDICTS
from gammagpt.ledger.judge import CHANGED, Verdict, judge
from gammagpt.ledger.show import SIGNS, VerdictTable, badge, effect, sides


def verdict(name="better", **fields) -> Verdict:
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
    assert tuple(SIGNS) == VERDICTS and len(set(SIGNS.values())) == len(SIGNS)


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


def test_the_table_has_a_row_a_claim_escaped_for_html():
    means = {"better": "It is > all.", "worse": "It hurts."}
    claim = made_up_claim(title="a < b & c", means=means, caveat="At width 64 & below.")
    told = [replace(verdict(), claim=claim), verdict("not run", effect=math.nan)]
    head, answer, *rows = cells(VerdictTable(told)._repr_html_())
    assert (head, answer) == ("Claim", "Answer") and len(rows) == 4
    assert rows[0].startswith("a < b & cgamma") and rows[1] == (
        "✓ better+0.250 [+0.125, +0.375]nats per token, 0 runs a side: x < y"
        "It is > all.At width 64 & below.")
    assert rows[3] == "… not run–nats per token, 0 runs a side: x < y"


def test_a_table_of_nothing_is_a_head():
    assert cells(VerdictTable([])._repr_html_()) == ["Claim", "Answer"]


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
    found = judge(claim, runs, "laptop")
    rows = cells(VerdictTable([found])._repr_html_())
    shown = f"✓ better{effect(found)}nats per token, 3 runs a side: the whole interval is above 0"
    assert rows[2].startswith("A title") and rows[3] == shown


def test_of_one_setting_the_number_itself_is_shown_even_where_it_should_be_low():
    """Inside, a metric that should be low is turned round: what lies below zero is better."""
    low = {"setting": "gamma 0.8", "learning_rate": "tuned", "better": "lower"}
    claim = made_up_claim(comparison=low)
    for metric, word in ((-0.5, "better"), (0.5, "worse")):
        runs = made_up_runs({"gamma 0.8": [metric] * 3}, claim=claim)
        found = judge(claim, runs, "laptop")
        assert found.verdict == word and found.effect == -metric
        assert effect(found) == f"{metric:.3f} [{metric:.3f}, {metric:.3f}]"
