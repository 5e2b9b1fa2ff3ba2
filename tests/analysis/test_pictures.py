"""Pictures that many chapters show: what they say of made-up runs."""

import math
from dataclasses import replace

import pandas as pd
import pytest
from helpers import made_up_record

from gammagpt import RunConfig, frame
from gammagpt.analysis import pictures


def tuned(**orders) -> pd.DataFrame:
    """Two seeds a rate that tune, and one that is compared at the second of the rates."""
    parts = []
    for setting, values in orders.items():
        for rate, value in zip((0.01, 0.02, 0.04), values, strict=True):
            parts += [(setting, "tuning", rate, seed, value + 0.2 * seed) for seed in (0, 1)]
        parts.append((setting, "tuned", 0.02, 2, 0.0))
    runs = frame([record(rate, seed) for _, _, rate, seed, _ in parts])
    names = ["setting", "role", "learning_rate", "seed", "order"]
    return runs.assign(**dict(zip(names, zip(*parts, strict=True), strict=True)))


def record(rate, seed):
    config = RunConfig(seed=seed)
    return made_up_record(replace(config, optim=replace(config.optim, learning_rate=rate)), 4.0)


def along(runs):
    rows = {"reasoning first": {"Emb-MLP": (runs, "order")}}
    return pictures.along_rates(rows, "laptop", "fig-x", "Which is first")


def test_a_measure_along_the_rates_is_told_at_the_chosen_one_with_its_range():
    words = along(tuned(small=(0.1, 0.3, 0.5), usual=(0.2, 0.2, 0.2))).alt
    assert "Emb-MLP, reasoning first: small 0.40 (0.20 to 0.60), usual 0.30 (0.30 to 0.30)" in words


def test_where_a_run_has_no_such_number_a_rate_has_no_mean():
    words = along(tuned(small=(math.nan, 0.3, 0.5))).alt
    assert "small 0.40 (0.40 to 0.60)" in words


@pytest.mark.parametrize("runs", [tuned(small=(0.1, 0.3, 0.5)).iloc[:0]])
def test_without_runs_nothing_is_shown(runs):
    assert along(runs).alt.startswith("Nothing is shown")
