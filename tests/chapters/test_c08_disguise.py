"""The learning-rate chapter: losses by rate with a known best rate, and known gains."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_record

from gammagpt import InitConfig, RunConfig, frame
from gammagpt.analysis.learning_rates import (
    best_lr,
    dealt_exponents,
    exponent,
    fast_side,
    losses_by_rate,
    lower_end,
    lr_range,
    slow_side,
    upper_end,
)
from gammagpt.chapters.c08_disguise import numbers
from gammagpt.data import DataConfig

BASE = RunConfig(data=DataConfig(fingerprint="f" * 64))  # width 64
GAMMAS, RATES = (0.5, 0.6, 0.8, 1.0, 1.2), tuple(0.001 * 2**i for i in range(7))


def run(init, rate=0.002, seed=0, loss=5.0, relative=False):
    init = InitConfig(gamma=init) if isinstance(init, float) else init
    optim = replace(BASE.optim, learning_rate=rate, relative=relative)
    config = replace(BASE, init=init, optim=optim, seed=seed)
    record = made_up_record(config, None if math.isinf(loss) else loss)
    return record, init.label + (numbers.RELATIVE if relative else "")


def table(runs, role) -> pd.DataFrame:
    made = frame([record for record, _ in runs])
    made["setting"], made["role"], made["resolved"] = [name for _, name in runs], role, True
    return made


def valley(b=0.5, curvature=0.2, gammas=GAMMAS, rates=RATES, seeds=(1000, 1001), relative=False):
    """Tuning runs whose best rate is 0.016 x (std / 64^-0.5)^b; parabolas over log2 of the rate."""
    runs = []
    for gamma in gammas:
        best = math.log2(0.016) - 6 * b * (gamma - 0.5)  # log2 of 64 is 6
        wide = curvature(gamma) if callable(curvature) else curvature
        runs += [
            run(gamma, rate, seed, 4 + wide * (math.log2(rate) - best) ** 2, relative)
            for rate in rates for seed in seeds
        ]
    return table(runs, "tuning")


NOTHING = pd.DataFrame()


# ---- every figure ------------------------------------------------------------------------------


# ---- valleys -----------------------------------------------------------------------------------


def test_a_parabola_finds_the_rate_between_the_points_of_the_grid():
    rates = np.array([0.001, 0.004, 0.008, 0.016])  # steps need not be even
    losses = 3 + 0.3 * (np.log2(rates) - math.log2(0.005)) ** 2
    assert best_lr(rates, losses) == pytest.approx(math.log2(0.005))


@pytest.mark.parametrize("losses", [[1, 2, 3], [3, 2, 1], [2, 1, math.inf], [math.inf] * 3])
def test_a_best_rate_at_the_edge_or_beside_a_diverged_run_is_none(losses):
    assert math.isnan(best_lr(np.array([1.0, 2, 4]), np.array(losses, dtype=float)))


def test_the_bottom_lies_between_two_points_that_are_equally_low():
    rates = np.array([1.0, 2, 4, 8])
    assert best_lr(rates, np.array([3.0, 2, 1, 2])) == pytest.approx(2.0)
    assert best_lr(rates, np.array([2.0, 1, 1, 1])) == pytest.approx(1.5)


def test_the_exponent_is_that_of_the_valleys():
    for b in (0.25, 1.0):
        found = losses_by_rate(valley(b, rates=tuple(1e-6 * 2**i for i in range(18))))
        value, low, high = exponent(found)
        assert value == pytest.approx(b) and low == pytest.approx(b) and high == pytest.approx(b)
        assert abs(dealt_exponents(found, 200)).mean() < b  # shuffled, it is weaker


def test_few_settings_or_one_seed_give_no_interval():
    for runs in (valley(gammas=(0.5, 0.8, 1.0)), valley(seeds=(1000,))):
        value, low, high = exponent(losses_by_rate(runs))
        assert value == pytest.approx(0.5) and math.isnan(low) and math.isnan(high)


def test_fixed_stds_parts_and_unfinished_grids_are_no_valleys_of_a_gamma():
    runs = valley()
    fixed = table([run(InitConfig(std=0.02), rate, 1000) for rate in RATES], "tuning")
    part = table([run(InitConfig(gamma=0.5, parts="head 1"), r, 1000) for r in RATES], "tuning")
    found = losses_by_rate(pd.concat([runs.iloc[1:], fixed, part], ignore_index=True))
    assert list(found.gammas) == list(GAMMAS[1:])
    assert found.stds == pytest.approx(64.0 ** -np.array(GAMMAS[1:]))
    assert len(losses_by_rate(NOTHING)) == len(losses_by_rate(fixed)) == 0


def test_the_sides_of_a_valley_are_where_the_loss_has_risen():
    """Lowest at 4; 0.2 per octave below it, 0.4 above: 0.1 nats are half and a quarter octave."""
    rates, losses = np.array([1.0, 2, 4, 8, 16]), np.array([5.4, 5.2, 5, 5.4, 5.8])
    assert lower_end(rates, losses) == pytest.approx(1.5)
    assert upper_end(rates, losses) == pytest.approx(2.25)
    assert lr_range(rates, losses) == pytest.approx(0.75)
    at = best_lr(rates, losses)
    assert slow_side(rates, losses) == pytest.approx(at - 1.5)
    assert fast_side(rates, losses) == pytest.approx(2.25 - at)


# ---- scales ------------------------------------------------------------------------------------


def test_relative_steps_are_the_rate_over_the_deviation():
    found = numbers.relative_steps(losses_by_rate(valley(1.0, gammas=(0.5, 0.6))), 0.002)
    assert list(found["step / std at the common rate"]) == pytest.approx([0.016, 0.002 * 64**0.6])
    assert list(found["step / std at the best rate"]) == pytest.approx([0.128, 0.128])
    assert len(numbers.relative_steps(losses_by_rate(NOTHING), 0.002)) == 0


# ---- gains -------------------------------------------------------------------------------------


# ---- the story ---------------------------------------------------------------------------------


EXACT, NONE = (1.0, 0.8, 1.2), (0.0, -0.2, 0.2)
