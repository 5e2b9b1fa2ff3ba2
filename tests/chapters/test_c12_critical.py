"""The critical-gamma chapter: minima that are known, how they move, and their words."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_record

from gammagpt import InitConfig, RunConfig, frame
from gammagpt.analysis import frames, learning_rates
from gammagpt.chapters.c12_critical import numbers
from gammagpt.data import DataConfig

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


def place(loss, role="common", **changes) -> numbers.Minimum:
    return numbers.minimum(learning_rates.by_gamma(frames.of_role(runs_of(loss, **changes), role)))


# ---- every figure ------------------------------------------------------------------------------


# ---- sizes -------------------------------------------------------------------------------------


def test_the_minimum_is_found_for_each_size_with_the_others_as_usual():
    found = numbers.across_sizes(of_sizes())
    assert {column: list(places) for column, places in found.items()} == {
        "width": [32, 64, 128], "n_layer": [2, 4],
    }  # fmt: skip
    for width, place in found["width"].items():
        assert place.value == pytest.approx(numbers.of_one_std(0.8, 64, width), abs=1e-6)
    assert found["n_layer"][4].value == pytest.approx(0.8, abs=1e-6)


def test_only_gammas_that_every_size_has_are_looked_at():
    runs = of_sizes()
    fewer = runs[(runs.width == 64) | runs.gamma.between(0.5, 1.3)]
    assert numbers.across_sizes(fewer)["width"][64].ends == (0.6, 1.2)


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
    assert math.isinf(learning_rates.by_gamma(gaps[gaps.role == "common"], "unseen_gap")[0.8][1])


def test_one_seed_has_no_interval():
    runs = runs_of(bowl())
    one = runs[(runs.role == "common") & (runs.seed == 0)]
    found = numbers.minimum(learning_rates.by_gamma(one))
    assert found.kind == "one seed" and math.isnan(found.high)


def test_a_seed_that_lacks_a_gamma_is_left_out():
    runs = runs_of(bowl(), roles=["common"])
    assert list(learning_rates.by_gamma(runs.iloc[1:]).index) == [1, 2, 3]
    assert learning_rates.by_gamma(NOTHING).empty
    assert learning_rates.by_gamma(runs, "unseen_gap").empty


# ---- how they move -----------------------------------------------------------------------------


@pytest.mark.parametrize("c", [0.5, 1.0])
def test_the_exponent_is_that_of_the_trough(c):
    value, low, high = numbers.exchange(runs_of(trough(c), gammas=MANY))
    assert value == pytest.approx(c) and low == pytest.approx(c) and high == pytest.approx(c)


def test_minima_by_rate_and_by_step_are_those_of_the_runs():
    runs = runs_of(trough(), gammas=MANY)
    rates = numbers.across_rates(runs)
    assert [place.value for place in rates.values()] == pytest.approx(
        [0.8 - (i - 2) / 6 for i in range(5)]
    )
    steps = numbers.along_training(runs)
    assert list(steps) == [50, 100]
    assert [place.value for place in steps.values()] == pytest.approx([0.8 + 1 / 6] * 2)


def test_shuffled_gammas_have_wider_minima():
    table = learning_rates.by_gamma(frames.of_role(runs_of(bowl()), "common"))
    widths = numbers.shuffled_widths(table, draws=20)
    assert np.nanmedian(widths) > 0.2  # that of the bowl is zero


# ---- a balance ---------------------------------------------------------------------------------


def test_last_losses_of_tasks_are_columns():
    runs = numbers.with_tasks(both(lost=[(0.4, 0)]))
    assert runs.unseen[(runs.status == "ok")].notna().all()
    assert runs.memory[runs.status == "diverged"].isna().all()
