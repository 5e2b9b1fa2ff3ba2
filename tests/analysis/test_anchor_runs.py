"""Runs on anchor functions, and what could be known of these without a run."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_record, small_anchor_run

from gammagpt import InitConfig, frame
from gammagpt.analysis import anchors as anchor_runs
from gammagpt.analysis import label_losses, pictures
from gammagpt.data.anchors import AnchorConfig
from gammagpt.lab.order import chance_losses, crossing

STEPS = (0, 25, 50, 75, 100)
BASE = small_anchor_run(
    "emb_mlp", steps=100, data={"held_out": "11+13, 13+11"}, optim={"learning_rate": 0.004}
).pinned()
# Shares left at each of the steps: reasoning is half learned at step 50, memory at 75 or never.
SOON = {"memory": (1, 1, 0.75, 0.5, 0.25), "reasoning": (1, 0.75, 0.5, 0.25, 0),
        "unseen": (1, 0.8, 0.6, 0.4, 0.2)}
NEVER = SOON | {"memory": (1, 1, 0.95, 0.9, 0.8)}


def run(gamma, seed=1, shares=SOON, *, rate=0.004, loss=1.0):
    """A record whose losses are these shares of guessing; shares of None diverged at once."""
    optim = replace(BASE.optim, learning_rate=rate)
    config = replace(BASE, init=InitConfig(gamma=gamma), seed=seed, optim=optim)
    if shares is None:
        return replace(made_up_record(config, None), curves={"validation": [], "train": []})
    chance, curves = chance_losses(config.data, seed), {"validation": [[0, 4.0], [100, loss]]}
    for name, values in shares.items():
        curves[name] = [[s, v * chance[name]] for s, v in zip(STEPS, values, strict=True)]
        curves[f"{name}_accuracy"] = [[s, 0.5 * s / 100] for s in STEPS]
    record = made_up_record(config, loss)
    final = {f"{name}_loss": curve[-1][1] for name, curve in curves.items()}
    return replace(record, curves=curves, final=record.final | final)


def runs(shares=None, seeds=(1, 2, 3)) -> pd.DataFrame:
    """The compared runs of gamma 0.3, which learns both, and of gamma 0.8, which only reasons."""
    shares = shares or {0.3: SOON, 0.8: NEVER}
    made = frame([run(g, seed, s) for g, s in shares.items() for seed in seeds])
    return made.assign(role="common", resolved=True)


def tuning(rate) -> pd.DataFrame:
    records = [run(g, seed, rate=rate) for g in (0.3, 0.8) for seed in (1000, 1001)]
    return frame(records).assign(role="tuning", resolved=True)


def entropy(values) -> float:
    _, counts = np.unique(list(values), return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def test_what_could_be_known_of_a_sum_and_of_a_random_table():
    data = AnchorConfig(keys="21..30", tasks="memory 1..3 random, reasoning 11..13 sum",
                        held_out="", length=3, samples=0, vocab_size=61)
    told = label_losses.told_losses(data)
    assert told.loc["memory", "the task":].tolist() == pytest.approx([math.log(10)] * 4)
    pairs = list(itertools.product((11, 12, 13), repeat=2))
    sums = [key + one + two for key in range(21, 31) for one, two in pairs]
    assert told.loc["reasoning", "the task"] == pytest.approx(entropy(sums))
    assert told.loc["reasoning", "and the key"] == pytest.approx(entropy(a + b for a, b in pairs))
    with_an_anchor = entropy(key + two for key in range(21, 31) for two in (11, 12, 13))
    assert told.loc["reasoning", "and an anchor"] == pytest.approx(with_an_anchor)
    assert told.loc["reasoning", "and all of it"] == pytest.approx(0)
    assert (told["nothing"] > told["the task"]).all()


def test_what_could_be_known_of_ranges_and_of_labels_near_the_key():
    tasks = "a 1..2 30..39, b 3..4 30..49, near 5..6 near"
    data = AnchorConfig(keys="21..30", tasks=tasks, held_out="", length=3, samples=0)
    told = label_losses.told_losses(data)
    assert told.loc["a", "the task":].tolist() == pytest.approx([math.log(10)] * 4)
    assert told.loc["b", "and all of it"] == pytest.approx(math.log(20))
    sums = [5 + 5, 5 + 6, 6 + 5, 6 + 6]
    law = np.mean([math.log(2 * total + 1) for total in sums])
    assert told.loc["near", "and all of it"] == pytest.approx(law)
    assert told.loc["near", "the task"] > told.loc["near", "and the key"] > law


def test_who_does_not_see_the_order_cannot_learn_a_table_of_pairs():
    """Of nine pairs, six are two by two the same without their order: at most log 2 nats each."""
    data = AnchorConfig(keys="21..60", tasks="memory 1..3 random, reasoning 11..13 sum",
                        held_out="", length=3, samples=0, vocab_size=101)
    blind = label_losses.blind_losses(data, seed=1)
    most = 6 / 9 * math.log(2)
    assert 0.9 * most < blind["memory"] <= most + 1e-9 and blind["reasoning"] == 0
    one = replace(data, anchors=1, length=2)
    assert label_losses.blind_losses(one, seed=1).tolist() == [0, 0]


def test_a_level_is_crossed_on_the_line_between_two_points_or_never():
    points = np.array([[0, 4.0], [10, 2.0], [20, 3.0], [30, 1.0]])
    assert crossing(points, 3.0) == 5
    assert crossing(points, 5.0) == 0
    assert math.isnan(crossing(points, 0.5))
    assert math.isnan(crossing(np.empty((0, 2)), 0.5))


def test_left_at_a_half_is_the_measure_that_the_rules_use():
    made = runs(seeds=[1, 2])
    for row in made.itertuples():
        at_half = anchor_runs.left_at(row, "reasoning", "memory", 0.5)
        assert at_half == pytest.approx(row.memory_left_at_reasoning)
    assert math.isnan(anchor_runs.left_at(row, "memory", "reasoning", 0.5))


def test_a_cell_of_the_tuning_plane_is_missing_if_one_of_its_runs_lacks_the_measure():
    mixed = pd.concat([tuning(0.002), tuning(0.004).assign(memory_left_at_reasoning=[
        0.5, math.nan, 0.25, 0.75])])
    plane = pictures.tuning_plane(mixed, "memory_left_at_reasoning")
    assert plane.loc["gamma 0.3"].tolist() == pytest.approx([0.75, math.nan], nan_ok=True)
    assert plane.loc["gamma 0.8", 0.004] == 0.5
