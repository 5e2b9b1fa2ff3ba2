"""Figures of condensation, from made-up spectra: what they say, and what where runs lack."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_record
from hypothesis import given
from hypothesis import strategies as st

from gammagpt import InitConfig, RunConfig, frame
from gammagpt.analysis import spectra as spectra_of_runs
from gammagpt.chapters.c10_condensation import numbers
from gammagpt.data import DataConfig

BASE = RunConfig(data=DataConfig(fingerprint="f" * 64), steps=100)
STEPS = (0, 10, 40, 100)
UP, DOWN = "blocks.0.mlp.up.weight", "blocks.1.mlp.up.weight"
NAMES = ("embedding.weight", "head.weight", UP, DOWN)
DIP, FALL = (8.0, 4.0, 2.0, 4.0), (8.0, 7.0, 6.0, 5.0)


@pytest.fixture(autouse=True)
def frequency(monkeypatch):
    """The loss of guessing, without a text."""
    monkeypatch.setattr(spectra_of_runs, "unigrams", lambda data: {"sotu": 6.0})


def matrix(rank: float, step: int) -> dict:
    values = [math.sqrt(10 / rank), *([0.5] * 7)]
    return {"stable_rank": rank, "effective_rank": rank, "norm": math.sqrt(10) * (1 + step / 100),
            "singular_values": values, "mean_cosine": 1 / rank, "pairs_alike": 0.1,
            "groups": rank / 8}


def record(gamma, seed, ranks, rate=0.002, steps=STEPS):
    """The small initialization's ranks, of every matrix; the embedding's are twice as high."""
    probes = [
        {"step": step, "tensors": {
            name: matrix(rank * (2 if name == NAMES[0] else 1) + 0.01 * seed, step)
            for name in NAMES}}
        for step, rank in zip(steps, ranks, strict=False)
    ]
    optim = replace(BASE.optim, learning_rate=rate)
    config = replace(BASE, init=InitConfig(gamma=gamma), seed=seed, optim=optim)
    made = made_up_record(config, 5.0, curve=[[0, 8.0], [100, 5.0]], probes=probes)
    train = [[10, 7.0], [40, 6.5], [100, 4.0]]
    return replace(made, curves=made.curves | {"train": train})


def rows(role, gammas=(0.5, 0.8), seeds=(0, 1, 2), paths=None, **named) -> pd.DataFrame:
    paths = paths or {0.5: FALL}
    made = [record(g, s, paths.get(g, DIP), **named) for g in gammas for s in seeds]
    return frame(made).assign(role=role, resolved=True)


def common(runs) -> pd.DataFrame:
    return runs[runs.role == "common"]


# ---- every figure ------------------------------------------------------------------------------


# ---- what they say -----------------------------------------------------------------------------


# ---- numbers -----------------------------------------------------------------------------------


@given(st.lists(st.floats(1, 60), min_size=3, max_size=6))
def test_changes_are_the_measures_that_claims_are_about(ranks):
    steps = range(len(ranks))
    runs = frame([record(0.8, 0, ranks, steps=steps)]).assign(role="common")
    found = numbers.changes(runs).set_index("kind")
    assert found.fell["all"] == pytest.approx(runs.condensed.iloc[0])
    assert found.rose["all"] == pytest.approx(runs.expanded.iloc[0])
    assert found.fell["embedding"] == pytest.approx(runs.embedding_condensed.iloc[0])
    assert (found[["fell", "rose"]] >= 0).all(axis=None)


def test_kinds_go_from_the_embedding_to_the_head_and_hold_all_layers():
    found = spectra_of_runs.kinds(rows("common"))
    assert list(found) == ["embedding", "mlp: up", "head"] and found["mlp: up"] == [UP, DOWN]
    assert spectra_of_runs.kinds(pd.DataFrame()) == {}


def test_the_timing_says_how_much_is_learned_and_how_far_weights_have_grown():
    found = numbers.timing(rows("common", (0.8,), seeds=(0,))).iloc[0]
    assert found.step == 40 and found.loss == 6.5
    assert found.done == pytest.approx((8 - 6.5) / (8 - 4)) and found.grown == pytest.approx(1.4)


def test_the_loss_is_read_between_the_points_of_the_curve():
    run = next(rows("common", (0.8,), seeds=(0,)).itertuples())
    assert spectra_of_runs.loss_at(run, [0, 5, 10, 25, 100]) == pytest.approx([8, 7.5, 7, 6.75, 4])


def test_variants_are_apart_and_named_by_their_initialization_alone():
    runs = rows("tuned", (0.8,), seeds=(0, 1))
    runs = runs.assign(setting=["gamma 0.8", "gamma 0.8, unigram bias"])
    found = numbers.by_variant(runs)
    assert list(found) == ["as usual", "unigram bias"]
    assert all(list(part.setting) == ["gamma 0.8"] for part in found.values())
    assert numbers.by_variant(runs[:0]) == {}


def test_the_table_of_changes_has_the_factors_of_all_and_of_the_outer_matrices():
    row = numbers.changes_table(rows("tuned", (0.8,), seeds=(0,))).iloc[0]
    assert row["setting"] == "gamma 0.8"
    for kind in ("all", "embedding", "head"):
        assert row[f"{kind} fell"] == pytest.approx(DIP[0] / min(DIP))
        assert row[f"{kind} rose"] == pytest.approx(DIP[-1] / min(DIP))


def test_averages_of_ranks_are_those_of_logarithms_and_of_cosines_plain():
    run = next(rows("common", (0.8,), seeds=(0,)).itertuples())
    steps, ranks = spectra_of_runs.path(run, "stable_rank", ["embedding.weight", UP])
    assert list(steps) == list(STEPS) and ranks == pytest.approx(np.sqrt(2) * np.array(DIP))
    _, cosines = spectra_of_runs.path(run, "mean_cosine", ["embedding.weight", UP])
    assert cosines == pytest.approx(0.75 / np.array(DIP))
