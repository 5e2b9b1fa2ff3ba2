"""The critical-gamma chapter: minima that are known, how they move, and their words."""

import math
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_record, words_of

from gammagpt import InitConfig, RunConfig, figures_critical, frame, readings_critical
from gammagpt.analysis import frames
from gammagpt.claims import load_ledger
from gammagpt.data import DataConfig
from gammagpt.plots.picture import Picture

BASE = RunConfig(data=DataConfig(fingerprint="f" * 64))  # width 64: log2 is 6
GAMMAS, RATES = (0.4, 0.6, 0.8, 1.0, 1.2), tuple(0.001 * 2**i for i in range(5))
MANY = tuple(i / 5 for i in range(9))
QUESTIONS = {"common": ((0.002,), range(4)), "tuned": ((0.004,), range(4)),
         "tuning": (RATES, (1000, 1001))}  # fmt: skip


def bowl(at=0.83, depth=2.0):
    """A loss with its minimum at a gamma, whatever the rate; seeds shift all gammas alike."""
    return lambda gamma, rate, seed: 4 + depth * (gamma - at) ** 2 + 0.1 * (seed % 4)


def trough(c=1.0):
    """The minimum is at gamma 0.8 for rate 0.004 and falls by c/6 an octave."""
    return lambda gamma, rate, seed: 4 + (gamma - 0.8 + c * math.log2(rate / 0.004) / 6) ** 2


def flat(gamma, rate, seed):
    """Every seed has its least loss at another gamma."""
    return 4 + abs(gamma - GAMMAS[seed % 4])


def runs_of(loss, roles=QUESTIONS, gammas=GAMMAS, gap=None, lost=()) -> pd.DataFrame:
    """What a study collects. Curves go from ln V straight down to the final loss in 100 steps."""
    parts = []
    for role in roles:
        rates, seeds = QUESTIONS[role]
        grid = [(g, rate, seed) for g in gammas for rate in rates for seed in seeds]
        made = frame([_record(*point, None if point[::2] in lost else loss(*point))
                      for point in grid])  # fmt: skip
        parts.append(made.assign(role=role, resolved=True))
    runs = pd.concat(parts, ignore_index=True)
    values = zip(runs.gamma, runs.learning_rate, runs.seed, runs.status, strict=True)
    return runs.assign(unseen_gap=[gap(*v) if s == "ok" else math.nan for *v, s in values]) if gap \
        else runs  # fmt: skip


def _record(gamma, rate, seed, loss):
    optim = replace(BASE.optim, learning_rate=rate)
    config = replace(BASE, init=InitConfig(gamma=gamma), optim=optim, seed=seed)
    top = math.log(config.model.vocab_size)
    curve = [[s, top + (loss - top) * s / 100] for s in (0, 50, 100)] if loss else [[0, 9.0]]
    record = made_up_record(config, loss, curve=curve)
    names = ("memory", "reasoning", "unseen")
    return replace(record, curves=record.curves | {n: curve for n in names if loss})


def both(gap=1.1, loss=0.5, **changes):
    """Reasoning is best at one gamma, training at another."""
    return runs_of(bowl(loss), gap=bowl(gap), **changes)


STD = 64**-0.8  # the best one, whatever the size


def of_sizes(sizes=((64, 2, 400), (32, 2, 400), (128, 2, 400), (64, 4, 400)), best=None):
    """Runs at one learning rate of several sizes (width, layers, steps), the usual one first.

    The best gamma is that of one standard deviation, or `best(width, layers, steps)`.
    """
    best = best or (lambda width, *_: -math.log(STD) / math.log(width))
    parts = []
    for width, layers, steps in sizes:
        at = best(width, layers, steps)
        runs = runs_of(bowl(at), roles=["common"], gammas=MANY)
        parts.append(runs.assign(width=width, n_layer=layers, steps=steps))
    return pd.concat(parts, ignore_index=True)


NOTHING = pd.DataFrame()
MAKE = {
    "critical": lambda runs=None: figures_critical.critical(_or(runs, bowl()), "laptop"),
    "moves": lambda runs=None: figures_critical.moves(_or(runs, trough()), "laptop"),
    "plateau": lambda runs=None: figures_critical.plateau(_or(runs, trough()), "laptop"),
    "balance": lambda runs=None: figures_critical.balance(both() if runs is None else runs, "laptop"),
    "sizes": lambda runs=None: figures_critical.sizes(of_sizes() if runs is None else runs, "laptop"),
    "trade": lambda runs=None: figures_critical.trade(both() if runs is None else runs, "laptop"),
}


def _or(runs, loss):
    return runs_of(loss) if runs is None else runs


def place(loss, role="common", **changes) -> readings_critical.Minimum:
    return readings_critical.minimum(readings_critical.by_gamma(frames.of_role(runs_of(loss, **changes), role)))


def is_drawn(picture) -> bool:
    """And no number that does not exist is told."""
    words = picture.alt.replace(";", " ").replace(",", " ").replace(".", " ").split()
    assert not {"nan", "inf", "[nan", "nan]"} & set(words), picture.alt
    return ElementTree.fromstring(picture.svg()).tag.endswith("svg")


# ---- every figure ------------------------------------------------------------------------------


def test_every_public_figure_is_tested():
    functions = {name for name, thing in vars(figures_critical).items() if callable(thing)
                 and getattr(thing, "__annotations__", {}).get("return") is Picture}  # fmt: skip
    assert {name for name in functions if name[0] != "_"} - {"nothing"} == set(MAKE)


@pytest.mark.parametrize("name", MAKE)
def test_a_figure_has_ink_for_both_grounds_words_and_provenance(name):
    words = words_of(MAKE[name])
    assert any(label in words for label in ("loss", "steps to half"))


def test_the_figure_of_the_claims_has_the_anchor_of_the_ledger():
    asked = {claim.figure for claim in load_ledger() if claim.notebook == "12_critical"}
    assert asked == {MAKE["balance"]().anchor}


@pytest.mark.parametrize("name", MAKE)
def test_a_figure_without_runs_says_so_and_one_with_few_is_drawn(name):
    assert MAKE[name](NOTHING).alt.startswith("Nothing is shown")
    lost = [(gamma, seed) for gamma in GAMMAS[2:] for seed in (0, 1000)]
    for changes in ({"roles": ["common"]}, {"roles": ["tuning"]}, {"gammas": (0.5,)},
                    {"gammas": (0.5, 0.8)}, {"lost": lost}):  # fmt: skip
        assert is_drawn(MAKE[name](both(**changes)))


def test_all_runs_diverged_is_no_minimum():
    lost = [(gamma, seed) for gamma in GAMMAS for seed in (*range(4), 1000, 1001)]
    runs = both(lost=lost)
    assert all(is_drawn(make(runs)) for make in MAKE.values())
    assert readings_critical.minimum(readings_critical.by_gamma(runs[runs.role == "common"])).kind == "not run"
    assert "not run" in critical.balance_in_words(runs, "common")
    assert critical.waits_in_words(readings_critical.waiting(runs)) == "Not run."


# ---- sizes -------------------------------------------------------------------------------------


def test_the_minimum_is_found_for_each_size_with_the_others_as_usual():
    found = readings_critical.across_sizes(of_sizes())
    assert {column: list(places) for column, places in found.items()} == {
        "width": [32, 64, 128], "n_layer": [2, 4],
    }  # fmt: skip
    for width, place in found["width"].items():
        assert place.value == pytest.approx(readings_critical.of_one_std(0.8, 64, width), abs=1e-6)
    assert found["n_layer"][4].value == pytest.approx(0.8, abs=1e-6)


def test_only_gammas_that_every_size_has_are_looked_at():
    runs = of_sizes()
    fewer = runs[(runs.width == 64) | runs.gamma.between(0.5, 1.3)]
    assert readings_critical.across_sizes(fewer)["width"][64].ends == (0.6, 1.2)


def test_the_words_say_whether_it_moves_and_what_one_std_would_do():
    said = critical.sizes_in_words(of_sizes(best=lambda width, layers, *_: 0.4 + 0.1 * layers))
    width, layers = said.splitlines()
    assert "not told apart" in width and "0.96 at 32" not in width and " at 128" in width
    assert "**It moves**" in layers and "layers" in layers
    assert critical.sizes_in_words(NOTHING) == "No other size was trained."
    assert critical.sizes_in_words(of_sizes(sizes=[(64, 2, 400)])) == "No other size was trained."


# ---- minima ------------------------------------------------------------------------------------


def test_the_parabola_finds_the_gamma_between_those_of_the_grid():
    found = place(bowl(0.83))
    assert found.least == 0.8 and found.kind == "inside"
    assert (found.value, found.low, found.high) == pytest.approx((0.83,) * 3)


@pytest.mark.parametrize("at, end", [(1.5, 1.2), (0.1, 0.4)])
def test_a_minimum_beyond_the_grid_is_called_an_end_of_it(at, end):
    found = place(bowl(at))
    assert found.value == end and found.kind == "edge" and "the end of the grid" in str(found)


def test_seeds_that_disagree_make_a_flat_bottom():
    found = place(flat)
    assert found.kind == "flat" and found.share > 0.5


def test_an_interval_that_reaches_the_end_is_not_resolved():
    found = place(lambda gamma, rate, seed: bowl(1.12 if seed else 0.98)(gamma, rate, 0))
    assert found.kind == "open" and found.high == 1.2 > found.value


def test_a_diverged_run_is_worse_than_any_other():
    found = place(bowl(0.83), lost=[(0.8, 1)])
    assert found.least == 1.0 and math.isfinite(found.value)  # 0.8 is the mean of one infinite
    gaps = both(gap=0.8, lost=[(0.8, 1)])
    assert math.isinf(readings_critical.by_gamma(gaps[gaps.role == "common"], "unseen_gap")[0.8][1])


def test_one_seed_has_no_interval():
    runs = runs_of(bowl())
    found = readings_critical.minimum(readings_critical.by_gamma(runs[(runs.role == "common") & (runs.seed == 0)]))
    assert found.kind == "one seed" and math.isnan(found.high)


def test_a_seed_that_lacks_a_gamma_is_left_out():
    runs = runs_of(bowl(), roles=["common"])
    assert list(readings_critical.by_gamma(runs.iloc[1:]).index) == [1, 2, 3]
    assert readings_critical.by_gamma(NOTHING).empty and readings_critical.by_gamma(runs, "unseen_gap").empty


@pytest.mark.parametrize(
    "loss, words",
    [
        (bowl(), "inside the grid"),
        (bowl(1.5), "No turn is seen"),
        (flat, "the best_lr is flat"),
    ],
)
def test_words_say_what_kind_of_minimum_it_is(loss, words):
    table = readings_critical.by_gamma(frames.of_role(runs_of(loss), "common"))
    said = critical.minimum_in_words(table, "at one learning rate")
    assert words in said and "nan" not in said
    rivals = "no other gamma" if loss is not flat else "gamma 0.4"
    assert f"seed by seed: {rivals}" in said


def test_words_without_runs():
    assert critical.minimum_in_words(NOTHING, "tuned") == "- Tuned: not run."
    assert "Too few" in critical.moves_in_words(NOTHING)
    assert critical.along_in_words(NOTHING) == "No curves are there yet."
    assert critical.waits_in_words(readings_critical.waiting(NOTHING)) == "Not run."
    assert critical.balance_in_words(NOTHING, "tuned").endswith("not run.")
    assert "No critical gamma is resolved" in critical.answer(NOTHING)


# ---- how they move -----------------------------------------------------------------------------


@pytest.mark.parametrize("c", [0.5, 1.0])
def test_the_exponent_is_that_of_the_trough(c):
    value, low, high = readings_critical.exchange(runs_of(trough(c), gammas=MANY))
    assert value == pytest.approx(c) and low == pytest.approx(c) and high == pytest.approx(c)


def test_minima_by_rate_and_by_step_are_those_of_the_runs():
    runs = runs_of(trough(), gammas=MANY)
    rates = readings_critical.across_rates(runs)
    assert [place.value for place in rates.values()] == pytest.approx(
        [0.8 - (i - 2) / 6 for i in range(5)]
    )
    steps = readings_critical.along_training(runs)
    assert list(steps) == [50, 100]
    assert [place.value for place in steps.values()] == pytest.approx([0.8 + 1 / 6] * 2)


@pytest.mark.parametrize(
    "c, words",
    [
        ((0.5, 0.3, 0.7), "by less"),
        ((1.0, 0.8, 1.3), "as the relative step asks"),
        ((2.0, 1.5, 2.5), "by more"),
        ((0.1, -0.2, 1.2), "no movement is not excluded"),
        ((-0.5, -0.8, -0.1), "smaller"),
        ((0.5, math.nan, math.nan), "no more is said"),
        ((math.nan,) * 3, "Too few minima"),
    ],
)
def test_words_on_the_movement_fit_whatever_it_is(monkeypatch, c, words):
    monkeypatch.setattr(readings, "exchange", lambda runs: c)
    said = critical.moves_in_words(runs_of(trough()))
    assert words in said and "nan" not in said


def test_a_minimum_that_wanders_along_training_is_told():
    assert "not told apart" in critical.along_in_words(runs_of(bowl()))
    runs = runs_of(bowl(), roles=["common"])
    runs["curve"] = [[[0, 7.0], [50, 6 + abs(run.gamma - 0.6)], [100, run.loss]]
                     for run in runs.itertuples()]  # fmt: skip
    assert "**It moves**" in critical.along_in_words(runs)


def test_the_plateau_ends_half_way_to_the_best_run():
    """From ln V straight down in 100 steps, the best run is half-way at step 50."""
    runs = runs_of(bowl(0.8, depth=0.5), lost=[(1.2, 1000)])
    waited = readings_critical.waiting(runs).set_index(["gamma", "learning_rate", "seed"]).waited
    assert waited[0.8, 0.002, 1000] == pytest.approx(50)
    assert waited[0.4, 0.002, 1000] > 50 and math.isnan(waited[1.2, 0.002, 1000])
    words = critical.waits_in_words(readings_critical.waiting(runs))
    assert "0.002: gamma 0.8, " in words and "5 diverged" in words  # at each of five rates


def test_a_run_that_stays_on_its_plateau_is_counted():
    runs = runs_of(lambda gamma, rate, seed: 4 if gamma < 1.2 else 6.5)
    words = critical.waits_in_words(readings_critical.waiting(runs))
    assert "10 did not get there (gamma 1.2), and 0 diverged" in words


def test_shuffled_gammas_have_wider_minima():
    table = readings_critical.by_gamma(frames.of_role(runs_of(bowl()), "common"))
    widths = readings_critical.shuffled_widths(table, draws=20)
    assert np.nanmedian(widths) > 0.2  # that of the bowl is zero


# ---- a balance ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "gap, loss, words",
    [
        (1.1, 0.5, "**a balance**"),
        (0.5, 1.1, "**the other way round**"),
        (0.8, 0.8, "**both turn at the same place**"),
        (1.5, 1.5, "**neither turns**"),
    ],
)
def test_words_say_whether_there_is_a_balance(gap, loss, words):
    said = critical.balance_in_words(both(gap, loss), "tuned")
    assert words in said and "nan" not in said


def test_a_flat_gap_is_not_told_apart_and_an_edge_is_mentioned():
    runs = runs_of(bowl(), gap=flat).assign(resolved=False)
    said = critical.balance_in_words(runs, "common")
    assert "not told apart" in said and "edge of their grid" in said


@pytest.mark.parametrize(
    "loss, words",
    [
        (bowl(), "also with tuned rates"),
        (lambda g, rate, seed: trough()(g, rate, 0) if seed > 999 else flat(g, rate, seed),
         "learning rates the least loss lies inside"),
        (flat, "No critical gamma is resolved"),
    ],
)  # fmt: skip
def test_the_answer_is_given_by_the_tuned_minimum_and_the_movement(loss, words):
    assert words in critical.answer(runs_of(loss, gammas=GAMMAS))


def test_a_tuned_minimum_that_is_not_resolved_is_no_answer():
    runs = runs_of(bowl())
    runs.loc[(runs.role == "tuned") & (runs.gamma == 0.4), "resolved"] = False
    assert "No critical gamma is resolved" in critical.answer(runs)


def test_last_losses_of_tasks_are_columns():
    runs = readings_critical.with_tasks(both(lost=[(0.4, 0)]))
    assert runs.unseen[(runs.status == "ok")].notna().all()
    assert runs.memory[runs.status == "diverged"].isna().all()
