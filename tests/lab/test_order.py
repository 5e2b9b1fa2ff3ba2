"""Which of two tasks is learned first, without a clock: on curves made by hand."""

import math
from collections import Counter

import numpy as np
import pytest
from helpers import small_anchor_run
from hypothesis import given
from hypothesis import strategies as st

from gammagpt.data.anchors import training_sequences
from gammagpt.lab.order import HALF, LEAST, ahead, chance_losses, crossing, progress

# ---- progress ----------------------------------------------------------------------------------

HALVES = {
    "at a point": ([(0, 1.0), (10, 0.5), (20, 0.2)], 10),
    "between two points": ([(0, 1.0), (10, 0.75), (20, 0.25)], 15),
    "nearer to the point nearer to a half": ([(0, 1.0), (10, 0.6), (20, 0.2)], 12.5),
    "at the start": ([(0, 0.5), (10, 0.4)], 0),
    "the first time of several": ([(0, 1.0), (10, 0.0), (20, 0.9), (30, 0.1)], 5),
    "never": ([(0, 1.0), (10, 0.51)], math.nan),
}


@pytest.mark.parametrize("curve, step", HALVES.values(), ids=HALVES)
def test_a_task_is_half_learned_where_its_curve_crosses_a_half(curve, step):
    assert crossing(np.array(curve), HALF) == pytest.approx(step, nan_ok=True)


def test_what_is_left_of_one_task_is_read_when_the_other_is_half_learned():
    curves = {
        "memory": [[0, 4.0], [10, 3.0], [20, 1.0]],  # of 4: half is left at step 15
        "reasoning": [[0, 2.0], [10, 0.0], [20, 0.0]],  # of 2: half is left at step 5
        "memory_accuracy": [[0, 0.0], [20, 1.0]],
    }
    found = progress(curves, {"memory": 4.0, "reasoning": 2.0, "unseen": 1.0})
    assert found == pytest.approx({
        "steps_to_memory": 15, "reasoning_left_at_memory": 0,
        "steps_to_reasoning": 5, "memory_left_at_reasoning": 0.875,
    })


def test_no_more_than_all_is_left_however_bad_the_start():
    curves = {"a": [[0, 90.0], [10, 9.0], [20, 0.0]], "b": [[0, 9.0], [20, 0.0]]}
    found = progress(curves, {"a": 1.0, "b": 1.0})
    assert (found["steps_to_a"], found["b_left_at_a"]) == (15, pytest.approx(0.25))


def test_what_was_never_half_learned_is_not_a_number():
    curves = {"a": [[0, 1.0], [10, 0.9]], "b": [[0, 1.0], [10, 0.0]]}
    found = progress(curves, {"a": 1.0, "b": 1.0})
    assert math.isnan(found["steps_to_a"]) and math.isnan(found["b_left_at_a"])
    assert (found["steps_to_b"], found["a_left_at_b"]) == (5, pytest.approx(0.95))


def test_a_task_with_one_label_only_has_no_progress():
    curves = {"a": [[0, 1.0], [10, 0.0]], "b": [[0, 1.0], [10, 0.0]]}
    assert progress(curves, {"a": 0.0, "b": 1.0}) == {"steps_to_b": 5.0}


@given(st.floats(0.1, 10), st.integers(2, 500))
def test_the_clock_does_not_matter(factor, steps):
    """A run that takes the same way faster has the same amount left."""
    curves = {"a": [[0, 1.0], [40, 0.6], [90, 0.2]], "b": [[0, 1.0], [40, 0.9], [90, 0.7]]}
    faster = {name: [[s * factor, v] for s, v in curve] for name, curve in curves.items()}
    one, other = (progress(c, {"a": 1.0, "b": 1.0}) for c in (curves, faster))
    assert other["b_left_at_a"] == pytest.approx(one["b_left_at_a"])
    assert other["steps_to_a"] == pytest.approx(one["steps_to_a"] * factor)


@pytest.mark.parametrize("law", ["sum", "random", "near", "40..49"])
def test_chance_is_the_loss_of_guessing_by_the_frequencies_of_the_labels(law):
    tasks = f"one 11..14 {law}, other 1..2 random"
    given = {"tasks": tasks, "keys": "30..39", "vocab_size": 90, "held_out": "11+13"}
    data = small_anchor_run("emb_mlp", data=given).data
    found = training_sequences(data, seed=3)
    expected = {}
    for number, name in enumerate(("one", "other")):
        counts = Counter(found.labels[found.task == number].tolist())
        shares = [count / counts.total() for count in counts.values()]
        expected[name] = -sum(share * math.log(share) for share in shares)
    chance = chance_losses(data, 3)
    assert {name: chance[name] for name in expected} == pytest.approx(expected)
    assert list(chance) == ["one", "other", "unseen"] and chance["one"] > 1


# ---- the order of two tasks ----------------------------------------------------------------------

LEFT = st.lists(st.floats(0, 1), min_size=2, max_size=12).map(
    lambda parts: np.array(sorted([1.0, *parts], reverse=True)))  # what is left only falls


@given(LEFT, LEFT)
def test_the_order_of_two_tasks_is_antisymmetric_and_within_one(one, other):
    one, other = (np.interp(np.linspace(0, 1, 15), np.linspace(0, 1, len(c)), c)
                  for c in (one, other))
    found = ahead(one, other)
    if 1 - (one[-1] + other[-1]) / 2 < LEAST:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(-ahead(other, one)) and -1 - 1e-9 <= found <= 1 + 1e-9
        assert ahead(one, one) == 0 or math.isnan(ahead(one, one))


@given(st.floats(0.25, 1), st.integers(2, 40), st.integers(2, 40))
def test_a_task_that_is_learned_entirely_first_is_one_ahead_however_long_either_takes(
    learned, slow, fast
):
    """Also where the other is never learned to the end: a run that is too short has a number."""
    one = np.concatenate([np.linspace(1, 0, slow), np.zeros(fast)])
    other = np.concatenate([np.ones(slow), np.linspace(1, 1 - learned, fast)])
    assert ahead(one, other) == pytest.approx(1)
    short = np.ones(slow)
    assert ahead(np.linspace(1, 1 - learned, slow), short) == pytest.approx(1)


def test_the_order_has_no_clock():
    one, other = np.array([1, 0.7, 0.2, 0]), np.array([1, 0.95, 0.8, 0.3])
    later = np.repeat(one, 3), np.repeat(other, 3)
    assert ahead(*later) == pytest.approx(ahead(one, other))
    # by hand: progress 0, .175, .5, .85; difference 0, .25, .6, .3; most 1 - 2 * .15^2
    area = 0.175 * 0.25 + 0.325 * 0.85 + 0.35 * 0.9
    assert ahead(one, other) == pytest.approx(area / (1 - 2 * 0.15**2))
