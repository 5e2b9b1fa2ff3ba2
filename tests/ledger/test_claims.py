"""The files of claims: what a rule's hash covers, what is refused, and the claims of this book."""

import math
from dataclasses import replace
from functools import cache

import pytest
import yaml
from helpers import made_up_claim, made_up_runs, refusal

from gammagpt import project
from gammagpt.analysis.plateau_runs import COLLAPSE, critical_runs
from gammagpt.chapters.c17_plateau.studies import Forecasts
from gammagpt.lab.tuned import TunedStudy
from gammagpt.ledger.claims import load_ledger, rule_hashes
from gammagpt.ledger.judge import judge
from gammagpt.ledger.show import meaning
from gammagpt.registry.studies import homes, study

REAL = load_ledger()
RULE = made_up_claim().rule


# ---- the hash of a rule ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"margin": 0.02}, {"confidence": 0.9}, {"min_runs": 4}, {"baseline": "gamma 0.6"},
        {"treatment": "gamma 1"}, {"learning_rate": "common"}, {"metric": "seconds"},
        {"experiment": "another"}, {"tiers": ["gpu"]}, {"rule": RULE | {"collapse": "counts"}},
    ],
    ids=str,
)
def test_the_hash_changes_with_everything_that_decides(change):
    assert made_up_claim(**change).rule_hash != made_up_claim().rule_hash


@pytest.mark.parametrize("field", ["title", "statement", "place", "figure", "paper", "caveat"])
def test_the_hash_does_not_change_with_the_wording(field):
    assert made_up_claim(**{field: "in other words"}).rule_hash == made_up_claim().rule_hash


def test_the_hash_changes_with_what_is_compared_and_what_is_better():
    one = {"setting": "gamma 0.8", "learning_rate": "tuned"}
    comparisons = [one, one | {"better": "lower"}, one | {"setting": "gamma 1"},
                   made_up_claim().comparison, made_up_claim().comparison | {"better": "higher"}]
    assert len({made_up_claim(comparison=c).rule_hash for c in comparisons}) == len(comparisons)


def test_the_hashes_in_force_are_those_of_the_ledger():
    assert rule_hashes() == {claim.id: claim.rule_hash for claim in REAL}
    of_two = {c.id: c.rule_hash for c in REAL if c.experiment in ("practice", "labels_near")}
    assert rule_hashes("practice", "labels_near") == of_two
    assert 0 < len(of_two) < len(REAL) and rule_hashes("alpha_scaling") == {}


# ---- the ledger's file -------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """ledger(claim, name=claim, ...) writes a file of claims of one's own."""
    monkeypatch.setenv("GAMMAGPT_ROOT", str(tmp_path))
    (tmp_path / "claims").mkdir()

    def write(first=None, defaults=None, file="15_rule", **more):
        claims = ({"a-claim": first} if first else {}) | more
        content = {"defaults": defaults or {}, "claims": claims}
        (tmp_path / "claims" / f"{file}.yml").write_text(yaml.safe_dump(content, sort_keys=False))

    return write


COMPARISON = {"baseline": "gamma 0.5", "treatment": "gamma 0.8"}
OPTIONAL = {"id", "notebook", "means", "primary", "caveat", "would_change"}


def entry(drop=None, **changes) -> dict:
    """A made-up claim as its file has it."""
    made = made_up_claim()
    fields = {n: getattr(made, n) for n in made.__dataclass_fields__ if n not in OPTIONAL}
    fields |= {"learning_rate": "tuned", "comparison": COMPARISON} | changes
    return {name: value for name, value in fields.items() if name != drop}


def test_a_ledger_is_read_as_written(ledger):
    ledger(entry(), another=entry(learning_rate="common"))
    first, second = load_ledger()
    assert first == made_up_claim(notebook="15_rule")
    assert second == replace(
        first, id="another", comparison=COMPARISON | {"learning_rate": "common"})


def test_defaults_hold_where_a_claim_says_nothing_else(ledger):
    own = {"title": "A", "metric": "m", "learning_rate": "common"}
    ledger({"title": "T"}, defaults=entry(drop="title"), another=own)
    first, second = load_ledger()
    shown = [(c.title, c.metric, c.unit, c.comparison["learning_rate"]) for c in (first, second)]
    assert shown == [("T", "loss", "nats per token", "tuned"),
                     ("A", "m", "nats per token", "common")]


def test_files_come_in_the_order_of_the_chapters_and_give_the_notebook(ledger):
    ledger(b=entry(), file="17_plateau")
    ledger(a=entry(), c=entry())
    places = [(claim.id, claim.notebook) for claim in load_ledger()]
    assert places == [("a", "15_rule"), ("c", "15_rule"), ("b", "17_plateau")]


def test_one_file_may_be_anywhere(ledger, tmp_path):
    ledger(entry(notebook="ours"))
    (tmp_path / "claims" / "15_rule.yml").rename(tmp_path / "mine.yml")
    [claim] = load_ledger(tmp_path / "mine.yml")
    assert (claim.id, claim.notebook) == ("a-claim", "ours")


def test_what_a_verdict_would_mean_is_read_and_told(ledger):
    ledger(entry(primary=True, means={"better": "It helps.", "worse": "It hurts."}))
    [claim] = load_ledger()
    assert claim.primary and claim.rule_hash == made_up_claim().rule_hash  # wording is not hashed
    for loss, words in ((4.7, "It helps."), (5.3, "It hurts.")):
        made = {"gamma 0.5": [5.0, 5.01, 5.02], "gamma 0.8": [loss, loss + 0.01, loss]}
        found = judge(claim, made_up_runs(made, claim=claim), "laptop")
        assert meaning(found) == found.to_dict()["means"] == words
        assert found.to_dict()["primary"] is True
    nothing = judge(claim, made_up_runs({}, claim=claim), "laptop")
    assert meaning(nothing) == "" and nothing.to_dict()["means"] is None


BAD = {
    "a missing field": (entry(drop="title"), "title"),
    "no statement": (entry(drop="statement"), "statement"),
    "an unknown field": (entry(verdict="better"), "verdict"),
    "text instead of a claim": ("lower-loss", "lower-loss"),
    "no learning rate": (
        entry(drop="learning_rate"), "learning_rate must be common or tuned, got None"),
    "an unknown learning rate": (entry(learning_rate="best"), "common or tuned, got 'best'"),
    "a list of learning rates": (entry(learning_rate=["tuned"]), "tuned, got ['tuned']"),
    "asked in two ways": (entry(asked=["tuned"]), "asked"),
    "no treatment": (entry(comparison={"baseline": "gamma 0.5"}), "comparison"),
    "no comparison": (entry(comparison=None), "comparison"),
    "one setting and another": (
        entry(comparison=COMPARISON | {"setting": "gamma 0.8"}), "comparison needs either"),
    "no setting at all": (entry(comparison={}), "either setting, or baseline and treatment"),
    "an unknown word in the comparison": (
        entry(comparison=COMPARISON | {"best": "seed"}), "comparison needs either"),
    "better than what": (
        entry(comparison=COMPARISON | {"better": "more"}), "better must be higher or lower"),
    "against one": (entry(comparison=COMPARISON | {"against": ["a"]}), "against must be two"),
    "a meaning of no verdict": (entry(means={"proven": "So."}), "means must give a sentence"),
    "a meaning of an old verdict": (
        entry(means={"supported": "So."}), "better, equivalent, worse, undecided, not run"),
    "a meaning without words": (entry(means={"better": ""}), "means must give a sentence"),
    "meanings in a list": (entry(means=["So."]), "means must give a sentence"),
    "primary in words": (entry(primary="very"), "primary must be true or false"),
    "a rule without margin": (entry(rule={"confidence": 0.95, "min_runs": 3}), "rule needs"),
    "a rule of the first edition": (
        entry(rule={"margin": 0.01, "confidence": 0.95, "min_pairs": 3}), "rule needs exactly"),
    "a rule with more": (entry(rule=RULE | {"best_seed": True}), "rule needs"),
    "a rule in words": (entry(rule="better"), "rule needs"),
    "certainty": (entry(rule=RULE | {"confidence": 1}), "confidence"),
    "confidence in words": (entry(rule=RULE | {"confidence": "high"}), "confidence"),
    "a margin in words": (entry(rule=RULE | {"margin": "small"}), "margin must be a number above"),
    "a margin of infinity": (
        entry(rule=RULE | {"margin": math.inf}), "margin must be a number above"),
    "no margin": (entry(rule=RULE | {"margin": 0}), "margin must be a number above"),
    "a margin below zero": (entry(rule=RULE | {"margin": -0.1}), "margin must be a number above"),
    "one run": (entry(rule=RULE | {"min_runs": 1}), "min_runs must be a whole number from 2"),
    "half a run": (entry(rule=RULE | {"min_runs": 2.5}), "min_runs must be a whole number"),
    "collapse in other words": (
        entry(rule=RULE | {"collapse": "ignored"}), "collapse must be counts"),
    "an unknown tier": (entry(tiers=["laptop", "phone"]), "phone"),
    "tiers as text": (entry(tiers="laptop"), "tiers"),
}


@pytest.mark.parametrize("bad, words", BAD.values(), ids=BAD)
def test_an_impossible_claim_is_refused_in_one_line(ledger, bad, words):
    ledger(bad)
    message = refusal(load_ledger)
    assert message.startswith("15_rule.yml: claim 'a-claim': ") and words in message


def test_an_id_used_twice_is_refused(ledger, tmp_path):
    ledger(a=entry())
    ledger(a=entry(), file="17_plateau")
    assert refusal(load_ledger) == "claims: the id 'a' is used 2 times"
    text = "claims:\n  a: {title: one}\n  a: {title: two}\n"
    (tmp_path / "claims" / "15_rule.yml").write_text(text)
    assert refusal(load_ledger) == "15_rule.yml: not YAML ('a' is used twice)"


def test_a_missing_or_broken_file_is_refused(ledger, tmp_path):
    assert refusal(load_ledger).startswith("claims: got no *.yml in ")
    assert "mine.yml: no such file" in refusal(load_ledger, tmp_path / "mine.yml")
    path = tmp_path / "claims" / "15_rule.yml"
    for text, words in {
        "claims: [a, {b": "not YAML", "- a list": "expected a mapping",
        "claims: [a]": "claims: expected a mapping, got ['a']",
        "claims: {a: b}": "claim 'a': expected a mapping, got 'b'",
        "defaults: [a]": "defaults: expected a mapping, got ['a']",
    }.items():
        path.write_text(text)
        message = refusal(load_ledger)
        assert message.startswith("15_rule.yml: ") and words in message


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
        assert len(rows[claim.comparison["setting"]]) >= claim.rule["min_runs"]
        return
    common = 1.0 if isinstance(found, TunedStudy) else found.base.optim.learning_rate
    assert common in found.learning_rates or not tuned
    if claim.judged_at(tier):
        assert set(claim.settings) <= set(found.settings)
        assert len(found.seeds) >= claim.rule["min_runs"]
        assert len(found.learning_rates) >= 3 or not tuned  # else no optimum could be an inner one


def left_to_the_night(claim, found, tier) -> bool:
    """Optional studies, which have no seeds then, and sizes that only the night has."""
    lacking = not set(claim.settings) <= set(found.settings)
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

