"""Arithmetic: right to the last step, and what is asked at the end is in no text."""

import re
from collections import Counter

import pytest
from helpers import refusal
from hypothesis import given
from hypothesis import strategies as st

from gammagpt.data.arithmetic import (
    HELD_OUT,
    LARGEST,
    MAX_DEPTH,
    documents,
    is_held_out,
    problems,
    questions,
)
from gammagpt.data.corpora import split_documents

SEEDS = st.integers(0, 2**32)
DEPTHS = st.lists(st.integers(1, MAX_DEPTH), min_size=1, max_size=3)


def value(expression: str) -> int:
    return sum(int(number) for number in re.findall(r"[+-]?\d", expression))


@given(SEEDS, DEPTHS, st.booleans())
def test_every_result_is_that_of_what_stands_before_it(seed, depths, held_out):
    for problem, depth in zip(problems(len(depths), seed, depths, held_out), depths, strict=True):
        assert problem.depth == depth == problem.text.count("=")
        steps = re.findall(r"(?=(\d[+-]\d)=(\d))", problem.text)
        assert len(steps) == depth and all(value(sum_) == int(after) for sum_, after in steps)
        assert value(problem.expression) == problem.values[-1] == int(problem.text[-1])


@given(SEEDS, DEPTHS)
def test_all_numbers_and_results_are_digits_and_every_step_changes_the_value(seed, depths):
    for problem in problems(len(depths), seed, depths):
        assert re.fullmatch(r"\d([+-][1-9]=\d)+", problem.text)
        assert min(problem.values) >= 0 and max(problem.values) <= LARGEST


@given(SEEDS, DEPTHS)
def test_what_is_asked_are_the_results_and_nothing_else(seed, depths):
    for problem in problems(len(depths), seed, depths):
        assert "".join(problem.pieces) == problem.text
        assert problem.pieces[1::2] == tuple(map(str, problem.values[1:]))
        assert all(given_.endswith("=") for given_ in problem.pieces[::2])


@given(st.integers(1, 30), st.integers(0, 30), SEEDS)
def test_the_same_seed_gives_the_same_problems_and_a_larger_count_adds_some(count, more, seed):
    assert problems(count, seed) == problems(count + more, seed)[:count]


def expression(text: str) -> str:
    """A problem without its results."""
    return re.sub(r"=\d", "", text)


def test_no_expression_that_is_asked_is_in_a_text():
    told = {expression(text) for _, text in documents(5000, seed=0)}
    assert not any(map(is_held_out, told))
    for depth in (1, 2, 3, 4, 5):
        asked = [expression("".join(pieces)) for pieces in questions(200, 2**20, depth)]
        assert all(map(is_held_out, asked)) and not told & set(asked)
        assert len(set(asked)) == len(asked) > 20


def test_every_single_step_that_is_asked_is_told_in_some_problem():
    """What is new is the problem, and not the table of sums."""
    steps = {step for _, text in documents(5000, seed=0) for step in all_steps(text)}
    for depth in (1, 5):
        asked = {s for pieces in questions(200, 2**20, depth) for s in all_steps("".join(pieces))}
        assert asked <= steps


def all_steps(text: str) -> list[str]:
    return re.findall(r"(?=(\d[+-]\d=\d))", text)


def test_of_the_sums_of_one_step_those_that_are_not_held_out_are_all_told():
    one = [f"{a}{b:+d}" for a in range(10) for b in range(-9, 10) if b and 0 <= a + b <= LARGEST]
    told = {expression(text) for _, text in documents(5000, seed=0)}
    assert len(one) == 90 and {e for e in one if not is_held_out(e)} == told & set(one)
    assert len(one) / HELD_OUT * 0.6 < sum(map(is_held_out, one)) < len(one) / HELD_OUT * 1.4


def test_about_a_third_of_all_names_is_held_out():
    share = sum(is_held_out(f"{i}") for i in range(6000)) / 6000
    assert abs(share - 1 / HELD_OUT) < 4 * (1 / HELD_OUT / 6000) ** 0.5


def test_documents_are_the_problems_and_one_expression_is_on_one_side_of_the_split():
    made = documents(3000, seed=4)
    assert sorted(text for _, text in made) == sorted(p.text for p in problems(3000, seed=4))
    sides = [set(map(expression, side)) for side in split_documents(made)]
    assert not sides[0] & sides[1] and min(map(len, sides)) > 100


def test_all_depths_of_the_text_come_alike_and_in_an_order_that_tells_nothing():
    depths = [text.count("=") for _, text in documents(3000, seed=0)]
    assert Counter(depths) == {1: 1000, 2: 1000, 3: 1000}
    after = Counter(zip(depths, depths[1:], strict=False))
    assert all(abs(count - 333) < 4 * 333**0.5 for count in after.values()) and len(after) == 9


def test_the_answers_of_held_out_problems_are_no_single_number():
    answers = Counter(pieces[-1] for pieces in questions(500, 2**20, 3))
    assert len(answers) == 10 and max(answers.values()) < 0.25 * answers.total()


@pytest.mark.parametrize("count", [0, -1, 1.5, "3", True])
def test_an_impossible_count_is_refused(count):
    message = f"count: got {count!r}, allowed is a whole number from 1"
    assert refusal(problems, count, 0) == refusal(documents, count, 0) == message


@pytest.mark.parametrize("depths", [(), (0,), (1, -2), (1.5,), (MAX_DEPTH + 1,)])
def test_impossible_depths_are_refused(depths):
    message = f"depths: got {depths!r}, allowed are whole numbers from 1 to {MAX_DEPTH}"
    assert refusal(problems, 3, 0, depths) == message
