"""Figures of condensation, from made-up spectra: what they say, and what where runs lack."""

import math
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_record, under
from hypothesis import given
from hypothesis import strategies as st

from gammagpt import InitConfig, RunConfig, figures_condensation, frame, readings_condensation
from gammagpt.analysis import spectra as spectra_of_runs
from gammagpt.data import DataConfig
from gammagpt.figures_attention import INK
from gammagpt.plots.picture import Picture

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
            "groups": rank / 8}  # fmt: skip


def record(gamma, seed, ranks, rate=0.002, steps=STEPS):
    """The small start's ranks, of every matrix; the embedding's are twice as high."""
    probes = [
        {"step": step, "tensors": {
            name: matrix(rank * (2 if name == NAMES[0] else 1) + 0.01 * seed, step)
            for name in NAMES}}
        for step, rank in zip(steps, ranks, strict=False)
    ]  # fmt: skip
    optim = replace(BASE.optim, learning_rate=rate)
    config = replace(BASE, init=InitConfig(gamma=gamma), seed=seed, optim=optim)
    made = made_up_record(config, 5.0, curve=[[0, 8.0], [100, 5.0]], probes=probes)
    train = [[10, 7.0], [40, 6.5], [100, 4.0]]
    return replace(made, curves=made.curves | {"train": train})


def rows(role, gammas=(0.5, 0.8), seeds=(0, 1, 2), paths=None, **named) -> pd.DataFrame:
    paths = paths or {0.5: FALL}
    made = [record(g, s, paths.get(g, DIP), **named) for g in gammas for s in seeds]
    return frame(made).assign(role=role, resolved=True)


def study(**named) -> pd.DataFrame:
    tuning = rows("tuning", seeds=(1000,)).assign(probes=[[], []])
    parts = [tuning, rows("common", **named), rows("tuned", rate=0.004, **named)]
    return pd.concat(parts, ignore_index=True)


def common(runs) -> pd.DataFrame:
    return runs[runs.role == "common"]


MAKE = {
    "ranks": lambda runs: figures_condensation.ranks(common(runs), "laptop"),
    "fall_and_rise": lambda runs: figures_condensation.fall_and_rise(runs, "laptop"),
    "against_loss": lambda runs: figures_condensation.against_loss(runs, "laptop"),
    "filmstrip": lambda runs: figures_condensation.filmstrip(common(runs), "laptop"),
    "directions": lambda runs: figures_condensation.directions(common(runs), "laptop"),
}


def words(picture) -> str:
    return " ".join(ElementTree.fromstring(picture.svg()).itertext())


# ---- every figure ------------------------------------------------------------------------------


def test_every_public_figure_is_tested():
    functions = {name for name, thing in vars(figures_condensation).items() if callable(thing)
                 and getattr(thing, "__annotations__", {}).get("return") is Picture}  # fmt: skip
    assert functions - {"nothing"} == {*MAKE, "one_update"}


@pytest.mark.parametrize("name", MAKE)
def test_a_figure_is_drawn_on_both_grounds_with_words_and_origin(name):
    picture = MAKE[name](study())
    for ground, ink in INK.items():
        assert ink.encode() in picture.svg(ground)
    assert len(picture.alt) > 60 and picture.alt.endswith(".") and "nan" not in picture.alt
    assert "gamma 0.5" in picture.alt and "gamma 0.8" in picture.alt
    assert "Tier laptop; " in under(picture) and "commit 01234567." in under(picture)


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize(
    "runs",
    [
        lambda: pd.DataFrame(),
        lambda: study().assign(probes=[[] for _ in range(14)]),
        lambda: study().assign(status="diverged"),
    ],
    ids=["no runs", "no spectra", "all diverged"],
)
def test_where_there_is_nothing_to_show_a_figure_says_so(name, runs):
    runs = runs().reindex(columns=study().columns)
    assert "Nothing is shown" in MAKE[name](runs).alt


@pytest.mark.parametrize("name", MAKE)
def test_one_seed_is_drawn_without_an_interval(name):
    picture = MAKE[name](study(seeds=(0,)))
    assert b"<svg" in picture.svg() and "nan" not in picture.alt


@pytest.mark.parametrize("name", MAKE)
def test_a_run_that_diverged_is_counted_and_leaves_no_number(name):
    gone = made_up_record(replace(BASE, init=InitConfig(gamma=0.8), seed=9), None)
    gone = [frame([gone]).assign(role=role, resolved=True) for role in ("common", "tuned")]
    picture = MAKE[name](pd.concat([study(), *gone], ignore_index=True))
    assert picture.alt == MAKE[name](study()).alt
    assert "(1 diverged)" in under(picture)


@pytest.mark.parametrize("name", MAKE)
def test_without_a_tuned_comparison_the_common_one_is_shown(name):
    picture = MAKE[name](common(study()))
    assert b"<svg" in picture.svg() and "each at its own best" not in picture.alt


# ---- what they say -----------------------------------------------------------------------------


def test_ranks_tell_start_lowest_point_and_end():
    """Mean over four matrices as logarithms: the embedding's are twice as high, so 2^(1/4)."""
    picture = figures_condensation.ranks(rows("common", seeds=(0,)), "laptop")
    start, low, end = (2**0.25 * rank for rank in (8, 2, 4))
    expected = f"gamma 0.8: {start:.1f} at the start, lowest {low:.1f} at step 40, {end:.1f} at"
    assert expected in picture.alt
    assert all(kind in words(picture) for kind in ("embedding", "mlp: up", "head"))


def test_a_fall_and_a_rise_are_told_apart():
    alt = figures_condensation.fall_and_rise(study(seeds=(0,)), "laptop").alt
    assert "gamma 0.5 fell 1.60 and rose 1.00 times" in alt
    assert "gamma 0.8 fell 4.00 and rose 2.00 times" in alt


def test_the_lowest_point_is_placed_on_the_loss_of_the_same_run():
    alt = figures_condensation.against_loss(study(), "laptop").alt
    assert "gamma 0.5 at step 100 and loss 4.00, gamma 0.8 at step 40 and loss 6.50" in alt
    assert "6.00 nats" in figures_condensation.against_loss(study(), "laptop").caption


def test_a_film_tells_how_far_the_second_value_is_behind():
    """s1^2 is 10 / rank and s2 is 0.5: at rank 4 of the embedding, 0.5 / sqrt(2.5) = 0.32."""
    alt = figures_condensation.filmstrip(rows("common", (0.8,), seeds=(0,)), "laptop").alt
    assert "0.32 at step 40" in alt and "0.63 at the start" in alt


def test_the_first_value_by_norm_is_one_over_the_stable_rank_of_an_undamaged_record():
    probes = [{"step": 0, "tensors": {NAMES[0]: matrix(5.0, 0)}}] * 2
    runs = rows("common", (0.8,), seeds=(0,)).assign(probes=[probes])
    assert "the first holds 0.20 at the start" in figures_condensation.filmstrip(runs, "x", by="norm").alt


def test_a_matrix_that_is_not_there_is_no_film():
    picture = figures_condensation.filmstrip(rows("common"), "laptop", "blocks.9.mlp.up.weight")
    assert "Nothing is shown" in picture.alt


def test_directions_tell_the_mean_cosine_of_neurons():
    alt = figures_condensation.directions(rows("common", (0.8,), seeds=(0,)), "laptop").alt
    assert "mean |cosine| 0.12 at the start, highest 0.50 at step 40, 0.25 at the end" in alt


def test_one_update_halves_the_rank_in_proportion_to_the_draw():
    """At (1 + sqrt 2) s / sqrt d for large d, with s = d^-gamma; see the exercise of chapter 10."""
    picture = figures_condensation.one_update(100, [0.5, 1.0], 0.002)
    halved = [float(part.split(" ")[0].strip(",.")) for part in picture.alt.split(" at ")[1:]]
    expected = [(1 + math.sqrt(2)) * 100**-gamma / 10 for gamma in (0.5, 1.0)]
    assert halved == pytest.approx(expected, rel=0.25)
    assert "no training" in under(picture) and picture.svg("dark")


def test_what_lies_beyond_the_picture_is_not_made_up():
    assert "gamma 0 beyond the picture" in figures_condensation.one_update(16, [0.0, 0.5], 0.002).alt


# ---- numbers -----------------------------------------------------------------------------------


@given(st.lists(st.floats(1, 60), min_size=3, max_size=6))
def test_changes_are_the_measures_that_claims_are_about(ranks):
    steps = range(len(ranks))
    runs = frame([record(0.8, 0, ranks, steps=steps)]).assign(role="common")
    found = readings_condensation.changes(runs).set_index("kind")
    assert found.fell["all"] == pytest.approx(runs.condensed.iloc[0])
    assert found.rose["all"] == pytest.approx(runs.expanded.iloc[0])
    assert found.fell["embedding"] == pytest.approx(runs.embedding_condensed.iloc[0])
    assert (found[["fell", "rose"]] >= 0).all(axis=None)


def test_kinds_go_from_the_embedding_to_the_head_and_hold_all_layers():
    found = spectra_of_runs.kinds(rows("common"))
    assert list(found) == ["embedding", "mlp: up", "head"] and found["mlp: up"] == [UP, DOWN]
    assert spectra_of_runs.kinds(pd.DataFrame()) == {}


def test_the_timing_says_how_much_is_learned_and_how_far_weights_have_grown():
    found = readings_condensation.timing(rows("common", (0.8,), seeds=(0,))).iloc[0]
    assert found.step == 40 and found.loss == 6.5
    assert found.done == pytest.approx((8 - 6.5) / (8 - 4)) and found.grown == pytest.approx(1.4)


def test_the_loss_is_read_between_the_points_of_the_curve():
    run = next(rows("common", (0.8,), seeds=(0,)).itertuples())
    assert spectra_of_runs.loss_at(run, [0, 5, 10, 25, 100]) == pytest.approx([8, 7.5, 7, 6.75, 4])


def test_the_matrix_for_the_film_is_one_that_both_fell_and_rose():
    runs = rows("common", (0.8,), seeds=(0,))
    for probe, rank in zip(runs.probes[0], (8.0, 4.0, 1.0, 1.0), strict=True):
        probe["tensors"]["head.weight"]["stable_rank"] = rank  # fell most, and stayed there
    for probe, rank in zip(runs.probes[0], (8.0, 2.0, 1.5, 8.0), strict=True):
        probe["tensors"][DOWN]["stable_rank"] = rank
    assert readings_condensation.most_changed(runs) == DOWN
    assert readings_condensation.most_changed(pd.DataFrame()) == "embedding.weight"


def test_averages_of_ranks_are_those_of_logarithms_and_of_cosines_plain():
    run = next(rows("common", (0.8,), seeds=(0,)).itertuples())
    steps, ranks = spectra_of_runs.path(run, "stable_rank", ["embedding.weight", UP])
    assert list(steps) == list(STEPS) and ranks == pytest.approx(np.sqrt(2) * np.array(DIP))
    _, cosines = spectra_of_runs.path(run, "mean_cosine", ["embedding.weight", UP])
    assert cosines == pytest.approx(0.75 / np.array(DIP))
