"""Problems of logic: right by a reasoner that shares no code with them, and by no shorter way."""

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from helpers import refusal
from hypothesis import given
from hypothesis import strategies as st

from gammagpt.data.corpora import split_documents
from gammagpt.data.logic import CONCEPTS, MAX_DEPTH, NAMES, TRAITS, documents, problems

SEEDS = st.integers(0, 10**9)
DEPTHS = st.lists(st.integers(1, MAX_DEPTH), min_size=1, max_size=4, unique=True)
# What the sentences say, read from their form alone: (pattern, what it tells, whether it holds).
FORMS = [
    (r"(?:Every|Each|A) (\w+) is a (\w+)\.", "belongs", True),
    (r"All (\w+)s are (\w+)s\.", "belongs", True),
    (r"(?:Every|Each|A) (\w+) is (\w+)\.", "has", True),
    (r"All (\w+)s are (\w+)\.", "has", True),
    (r"No (\w+) is (\w+)\.", "has", False),
    (r"No (\w+)s are (\w+)\.", "has", False),
    (r"(?:Each|A) (\w+) is not (\w+)\.", "has", False),
    (r"(\w+) is a (\w+)\.", "fact", True),
]


def sentences(text: str) -> list[str]:
    return re.findall(r"[^.]+\.", text.replace("\n", " ").replace(". ", "."))


def read(sentence: str) -> tuple[str, str, str, bool]:
    """(what, subject, object, whether it holds) of a sentence of the context."""
    for pattern, what, holds in FORMS:
        if match := re.fullmatch(pattern, sentence):
            return what, *match.groups(), holds
    raise AssertionError(f"cannot be read: {sentence}")


def claim(sentence: str) -> tuple[str, str, bool]:
    """(name, trait, whether it has it) of a conclusion or a question."""
    pattern = r"(?:True or false: )?(\w+) is (not )?(\w+)\."
    name, no, trait = re.fullmatch(pattern, sentence).groups()
    return name, trait, no is None


def reachable(context: str, name: str) -> set[str]:
    """Every concept that the name belongs to, by forward chaining."""
    told = [read(sentence) for sentence in sentences(context)]
    found = {b for what, a, b, _ in told if what == "fact" and a == name}
    while new := {b for what, a, b, _ in told if what == "belongs" and a in found} - found:
        found |= new
    return found


def solve(context: str, question: str) -> str:
    """The answer, or "unknown" where nothing follows; fails where the context says both."""
    name, trait, asked = claim(question)
    concepts = reachable(context, name)
    told = [read(sentence) for sentence in sentences(context)]
    verdicts = {
        holds for what, a, b, holds in told if what == "has" and a in concepts and b == trait
    }
    assert len(verdicts) < 2, "the context contradicts itself"
    return str(verdicts.pop() == asked) if verdicts else "unknown"


@pytest.fixture(scope="module")
def many():
    return problems(3000, seed=0)


# ---- right answers -----------------------------------------------------------------------------


@given(SEEDS, DEPTHS)
def test_the_reasoner_finds_every_answer(seed, depths):
    for problem in problems(2 * len(depths), seed, depths):
        assert solve(problem.context, problem.question) == problem.answer


def test_the_reasoner_finds_every_answer_of_the_usual_depths(many):
    assert all(solve(p.context, p.question) == p.answer for p in many)


def test_the_reasoner_is_right_on_a_problem_made_by_hand():
    context = "Every mup is a kem. No kem is cold. Fae is a mup. Every wib is cold. Zoe is a wib."
    assert solve(context, "True or false: Fae is not cold.") == "True"
    assert solve(context, "True or false: Zoe is not cold.") == "False"
    assert solve(context, "True or false: Zoe is slow.") == "unknown"
    with pytest.raises(AssertionError, match="contradicts"):
        solve(context + " Every mup is a wib.", "True or false: Fae is cold.")


@given(SEEDS, DEPTHS)
def test_the_chain_is_quoted_from_the_context_and_every_step_follows(seed, depths):
    for problem in problems(len(depths), seed, depths):
        *steps, conclusion = sentences(problem.chain)
        assert set(steps) <= set(sentences(problem.context)) and len(steps) == problem.depth + 2
        told = [read(step) for step in steps]
        assert [what for what, *_ in told] == ["fact", *["belongs"] * problem.depth, "has"]
        assert all(reached == start for (*_, reached, _), (_, start, *_) in pairwise(told))
        name, trait, holds = claim(conclusion)
        assert (told[0][1], *told[-1][2:]) == (name, trait, holds)
        assert problem.answer == str(claim(problem.question) == claim(conclusion))


@given(SEEDS)
def test_no_step_of_the_chain_can_be_left_out(seed):
    for problem in problems(3, seed):
        steps = sentences(problem.chain)[:-1]
        assert solve(" ".join(steps), problem.question) == problem.answer
        for step in steps:
            rest = " ".join(s for s in sentences(problem.context) if s != step)
            assert solve(rest, problem.question) == "unknown"


def test_the_name_is_as_many_steps_from_the_end_as_the_depth_says(many):
    for problem in many[:300]:
        *steps, conclusion = sentences(problem.chain)
        assert len(reachable(" ".join(steps), claim(conclusion)[0])) == problem.depth + 1


@given(SEEDS, DEPTHS)
def test_a_rival_line_of_the_same_length_says_the_opposite(seed, depths):
    for problem in problems(len(depths), seed, depths):
        told = [read(sentence) for sentence in sentences(problem.context)]
        assert Counter(what for what, *_ in told) == {
            "fact": 1, "belongs": 2 * problem.depth + 1, "has": 2,
        }  # fmt: skip
        name, trait, _ = claim(problem.question)
        ends = {concept: holds for what, concept, b, holds in told if what == "has" and b == trait}
        assert sorted(ends.values()) == [False, True]
        (rival,) = set(ends) - reachable(problem.context, name)
        start, length = rival, 0
        while below := [a for what, a, b, _ in told if what == "belongs" and b == start]:
            (start,), length = below, length + 1
        assert length == problem.depth


# ---- no shorter way to the answer ----------------------------------------------------------------


@given(st.integers(1, 60), SEEDS, DEPTHS)
def test_half_of_the_answers_of_every_depth_are_true(count, seed, depths):
    made = problems(count, seed, depths)
    for depth in depths:
        answers = Counter(p.answer for p in made if p.depth == depth)
        assert abs(answers["True"] - answers["False"]) <= 1


def rules(problem):
    """The two sentences on the trait, in the order of the text."""
    return [s for s in sentences(problem.context) if read(s)[0] == "has"]


def nearest(problem):
    """The sentence on the trait that is nearest to the fact about the name."""
    said = sentences(problem.context)
    fact = next(i for i, sentence in enumerate(said) if read(sentence)[0] == "fact")
    return min(rules(problem), key=lambda rule: (abs(said.index(rule) - fact), said.index(rule)))


def agrees(rule: str, problem) -> bool:
    return read(rule)[3] == claim(problem.question)[2]


def mentions(problem) -> list[int]:
    """How often the concept of each sentence on the trait occurs in the context."""
    return [len(re.findall(rf"\b{read(r)[1]}s?\b", problem.context)) for r in rules(problem)]


SHORTCUTS = {
    "no not in the question": lambda p: " not " not in p.question,
    "a not in the context": lambda p: " not " in p.context,
    "the last rule": lambda p: agrees(rules(p)[-1], p),
    "the first rule": lambda p: agrees(rules(p)[0], p),
    "the rule nearest to the fact": lambda p: agrees(nearest(p), p),
    "the concept named more often": lambda p: agrees(rules(p)[int(np.argmax(mentions(p)))], p),
    "the last sentence negates": lambda p: sentences(p.context)[-1].startswith("No "),
    "the length": lambda p: len(p.prompt) % 2 == 0,
    "the depth": lambda p: p.depth > 1,
    "the name": lambda p: p.chain < "Jo",
}


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_a_shortcut_is_no_better_than_a_coin(many, shortcut):
    right = [SHORTCUTS[shortcut](p) == (p.answer == "True") for p in many]
    assert abs(np.mean(right) - 0.5) < 4 * 0.5 / len(many) ** 0.5


def test_no_weighing_of_words_beats_a_coin(many):
    """Least squares on the counts of all words, alone and together with the question's "not"."""
    counters = [Counter(re.findall(r"\w+", p.prompt)) for p in many]
    words = sorted(set().union(*counters))
    counts = np.array([[counter[word] for word in words] for counter in counters])
    signs = np.array([[1 if claim(p.question)[2] else -1] for p in many])
    features = np.hstack([counts, counts * signs]).astype(float)
    answers = np.array([1.0 if p.answer == "True" else -1.0 for p in many])
    weights = np.linalg.lstsq(features[:2000], answers[:2000], rcond=1e-6)[0]
    right = np.sign(features[2000:] @ weights) == answers[2000:]
    assert abs(right.mean() - 0.5) < 4 * 0.5 / 1000**0.5


def test_the_search_for_shortcuts_finds_a_planted_one(many):
    """With the proof written first, the first rule on the trait gives every answer away."""
    for problem in many[:300]:
        steps = sentences(problem.chain)[:-1]
        rest = [s for s in sentences(problem.context) if s not in steps]
        planted = replace(problem, context=" ".join(steps + rest))
        assert SHORTCUTS["the first rule"](planted) == (problem.answer == "True")


# ---- the list and the documents ------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(0, 30), SEEDS, DEPTHS)
def test_the_same_seed_gives_the_same_problems_and_a_larger_count_adds_some(
    count, more, seed, depths
):
    longer = problems(count + more, seed, depths)
    assert problems(count, seed, depths) == longer[:count]
    assert [p.depth for p in longer[: len(depths)]] == depths[: count + more]


def test_another_seed_gives_other_problems():
    texts = [{p.text for p in problems(200, seed)} for seed in (0, 1)]
    assert not texts[0] & texts[1]


def test_the_text_is_the_prompt_the_chain_and_the_answer(many):
    for problem in many[:100]:
        assert problem.text == f"{problem.prompt}{problem.chain}\n{problem.answer}"
        assert problem.prompt == f"{problem.context}\n{problem.question}\n"


def test_no_ontology_of_the_validation_part_is_in_the_training_part():
    made = documents(4000, seed=0)
    assert len({group for group, _ in made}) == len(made)
    said = [{ontology(text) for text in part} for part in split_documents(made)]
    assert sum(map(len, said)) == len(made) and not said[0] & said[1]


def ontology(text: str) -> frozenset:
    """What the context says, whatever its wording and order, and whoever it is about."""
    told = [read(sentence) for sentence in sentences(text.splitlines()[0])]
    return frozenset((a, b, holds) for what, a, b, holds in told if what != "fact")


def test_documents_are_the_problems_in_an_order_that_tells_nothing():
    texts = [text for _, text in documents(2000, seed=3)]
    assert sorted(texts) == sorted(p.text for p in problems(2000, seed=3))
    assert documents(2000, seed=3) == documents(2000, seed=3)
    answers = np.array([text.endswith("True") for text in texts])
    for distance in range(1, 7):  # in the list itself, answers six apart differ more often
        same = answers[distance:] == answers[:-distance]
        assert abs(same.mean() - 0.5) < 4 * 0.5 / len(same) ** 0.5


def test_words_are_of_one_kind_only_and_can_be_read_with_a_plural():
    words = [*CONCEPTS, *NAMES, *TRAITS]
    assert len(set(map(str.lower, words))) == len(words)
    assert not any(word[0] in "aeiou" or word.endswith("s") for word in CONCEPTS)
    assert not any(word.endswith("s") for word in TRAITS)


@pytest.mark.parametrize("count", [0, -1, 1.5, "3", True])
def test_an_impossible_count_is_refused(count):
    message = f"count: got {count!r}, allowed is a whole number from 1"
    assert refusal(problems, count, 0) == refusal(documents, count, 0) == message


@pytest.mark.parametrize("depths", [(), (0,), (1, -2), (1.5,), (MAX_DEPTH + 1,)])
def test_impossible_depths_are_refused(depths):
    message = f"depths: got {depths!r}, allowed are whole numbers from 1 to {MAX_DEPTH}"
    assert refusal(problems, 3, 0, depths) == message
