"""Facts: one table, told over and over; nothing about a person follows from anything else."""

from collections import Counter
from itertools import combinations

import pytest
from helpers import refusal
from hypothesis import given
from hypothesis import strategies as st

from gammagpt.data.corpora import split_documents
from gammagpt.data.facts import PEOPLE, TOLD, VALUES, WORDINGS, documents, people, questions

SEEDS = st.integers(0, 2**32)
WHAT = {value: what for what, values in VALUES.items() for value in values}


def told(text: str) -> tuple[str, dict[str, str]]:
    """(name, facts) that a document tells, read back from its words."""
    sentences = text.removesuffix(".").split(". ")
    facts = {WHAT[sentence.split()[-1]]: sentence.split()[-1] for sentence in sentences}
    assert len(facts) == len(sentences) == TOLD
    return sentences[0].split()[0].removesuffix("'s"), facts


@given(SEEDS, st.integers(1, 100))
def test_a_document_tells_what_the_table_says(seed, count):
    table = {person.name: person.facts for person in people(seed)}
    for _, text in documents(count, seed):
        name, facts = told(text)
        assert facts.items() <= table[name].items()


@given(st.integers(1, 30), st.integers(0, 30), SEEDS)
def test_the_same_seed_gives_the_same_documents_and_a_larger_count_adds_some(count, more, seed):
    assert documents(count, seed) == documents(count + more, seed)[:count]


def test_names_differ_and_another_seed_has_another_table():
    one, other = people(0), people(1)
    assert len({person.name for person in one}) == PEOPLE == len(one)
    assert one == people(0) and {p.name for p in one} != {p.name for p in other}


def test_no_value_has_two_meanings_and_every_article_is_right():
    assert len(WHAT) == sum(map(len, VALUES.values()))
    ends = {what: {way.endswith(" a {2}") for way in ways} for what, ways in WORDINGS.items()}
    with_article = {what for what, found in ends.items() if True in found}
    assert with_article == {"job", "pet"}
    assert not any(value[0] in "aeiou" for what in with_article for value in VALUES[what])


def test_values_are_drawn_evenly_and_one_says_nothing_of_another():
    many = [person.facts for seed in range(60) for person in people(seed)]
    for what, values in VALUES.items():
        counts = Counter(facts[what] for facts in many)
        assert set(counts) == set(values)
        assert max(abs(n - len(many) / 16) for n in counts.values()) < 5 * (len(many) / 16) ** 0.5
    for one, other in combinations(VALUES, 2):
        pairs = Counter((facts[one], facts[other]) for facts in many)
        assert max(pairs.values()) < len(many) / 256 * 3


def test_training_tells_every_fact_that_is_asked_and_most_in_those_words():
    training, _ = split_documents(documents(5000, seed=0))
    known = Counter((name, *fact) for name, facts in map(told, training) for fact in facts.items())
    table = [(p.name, *fact) for p in people(0) for fact in p.facts.items()]
    assert len(questions(0)) == len(table) == PEOPLE * len(VALUES)
    assert min(known[fact] for fact in table) > 20
    openings = {text.split(". ")[0].removesuffix(".") for text in training}
    asked = {prompt + value for prompt, value in questions(0)}
    assert len(asked & openings) > 0.95 * len(asked)  # of the others only the wording is new


def test_validation_tells_the_same_facts_otherwise():
    training, validation = split_documents(documents(5000, seed=0))
    assert not set(training) & set(validation) and len(validation) > 300
    facts = {(name, *fact) for name, found in map(told, training) for fact in found.items()}
    later = {(name, *fact) for name, found in map(told, validation) for fact in found.items()}
    assert later <= facts


def test_a_question_ends_before_the_value():
    facts = [(person.name, *fact) for person in people(7) for fact in person.facts.items()]
    for (prompt, asked), (name, what, value) in zip(questions(7), facts, strict=True):
        assert prompt.startswith(name) and not prompt.endswith(" ") and asked == f" {value}"
        assert value in VALUES[what] and value not in prompt.split()


@pytest.mark.parametrize("count", [0, -1, 1.5, "3", True])
def test_an_impossible_count_is_refused(count):
    assert refusal(documents, count, 0) == f"count: got {count!r}, allowed is a whole number from 1"
