"""The chapter on the rule: five initializations, their valleys, a ring, and the words on them."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_record, small_anchor_run

from gammagpt import InitConfig, RunConfig, frame
from gammagpt.chapters.c15_rule import numbers
from gammagpt.data import DataConfig

BASE = RunConfig(data=DataConfig(fingerprint="f" * 64))
INITS = (InitConfig(gamma=0.5), InitConfig(gamma=1.0), InitConfig(None, 0.02, True),
         InitConfig(gamma=0.5, parts="embedding 2.35"),
         InitConfig(gamma=0.5, depth_scaling=True))
NAMES = [init.label for init in INITS]
MINE, USUAL = "gamma 1", "gamma 0.5"
RATES = (0.001, 0.002, 0.004, 0.008, 0.016)
QUESTIONS = {"common": ((0.002,), range(10, 14)), "tuned": ((0.004,), range(10, 14)),
         "tuning": (RATES, (1000, 1001))}


def loss_of(init, rate, seed) -> float:
    """A valley round 0.004; gamma 0.5 is 0.2 higher, and its valley twice as steep."""
    i = INITS.index(init)
    height, steep = (0.2, 0.2) if i == 0 else (0.1 * (i - 1), 0.1)
    return 4 + height + steep * math.log2(rate / 0.004) ** 2 + 0.01 * (seed % 7) * (1 + i)


def text(loss=loss_of, roles=QUESTIONS, inits=INITS, lost=(), edge=()) -> pd.DataFrame:
    """What a study collects; `lost` (name, rate, seed) diverged, `edge` names are not resolved."""
    parts = []
    for role in roles:
        rates, seeds = QUESTIONS[role]
        grid = [(init, rate, seed) for seed in seeds for init in inits for rate in rates]
        made = frame([_run(*point, None if (point[0].label, *point[1:]) in lost else loss(*point))
                      for point in grid])
        resolved = ~(made.setting.isin(edge) & (role == "tuned"))
        parts.append(made.assign(role=role, resolved=resolved))
    return pd.concat(parts, ignore_index=True)


def _run(init, rate, seed, loss):
    optim = replace(BASE.optim, learning_rate=rate)
    return made_up_record(replace(BASE, init=init, optim=optim, seed=seed), loss)


RING = {"keys": "21..26", "tasks": "plain 1..6 sum, ring 51..56 modulo", "held_out": ""}


def _uncertain() -> float:
    """The entropy of the sum of a key and two anchors, each uniform over six."""
    law = np.convolve(np.convolve(np.ones(6), np.ones(6)), np.ones(6)) / 6**3
    return float(-(law * np.log(law)).sum())


# ---- every figure ------------------------------------------------------------------------------


# ---- the rule beside the others ----------------------------------------------------------------


def verdict(baseline, role, said, low=0.02, high=0.05):
    comparison = {"baseline": baseline, "treatment": MINE, "learning_rate": role}
    claim = SimpleNamespace(metric="loss", comparison=comparison)
    return SimpleNamespace(claim=claim, verdict=said, effect=(low + high) / 2, low=low, high=high,
                           reason="why")


# ---- valleys -----------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [-0.4, 0.0, 0.3])
def test_the_mean_of_both_sides_does_not_depend_on_where_the_grid_lies(offset):
    rates = np.array(RATES)
    losses = 4 + 0.3 * (np.log2(rates / 0.004) - offset) ** 2
    assert numbers.either_way(rates, losses) == pytest.approx(0.3)
    assert numbers.too_fast(rates, losses) == pytest.approx(0.3 * (1 - 2 * offset))
    assert numbers.too_slow(rates, losses) == pytest.approx(0.3 * (1 + 2 * offset))


def test_beyond_the_grid_nothing_is_known_and_a_divergence_is_no_number():
    rates = np.array(RATES)
    assert math.isnan(numbers.too_slow(rates, np.array([1, 2, 3, 4, 5.0])))
    assert math.isinf(numbers.too_fast(rates, np.array([3, 2, 1, math.inf, math.inf])))
    assert numbers.too_slow(rates, np.array([3, 2, 1, math.inf, math.inf])) == 1
    assert math.isnan(numbers.too_fast(rates, np.full(5, math.inf)))
    wide = np.array([0.001, 0.004, 0.016])  # steps of four: half of the straight line
    assert numbers.too_fast(wide, np.array([3, 1, 2.0])) == pytest.approx(0.5)


def test_a_setting_whose_grid_is_not_whole_has_no_valley():
    runs = text()
    missing = (runs.setting == USUAL) & (runs.learning_rate == 0.016) & (runs.seed == 1000)
    assert list(numbers.by_rate(runs[~missing])[0]) == NAMES[1:]


# ---- cost --------------------------------------------------------------------------------------


# ---- before any training -----------------------------------------------------------------------


def test_no_token_tells_anything_of_the_ring_until_all_are_known():
    table = numbers.uncertainty(small_anchor_run("emb_mlp", data=RING).data)
    assert list(table.index) == ["plain", "ring"]
    assert table.loc["plain", "nothing"] == pytest.approx(_uncertain())
    assert table.loc["plain", "the key"] < table.loc["plain", "nothing"]
    assert table.loc["plain", "both"] == pytest.approx(math.log(6))
    ring = table.loc["ring"]
    for words in ("nothing", "an anchor", "the key", "both"):
        assert ring[words] == pytest.approx(math.log(6))
    assert (table["all of it"] == 0).all()


# ---- the ring ----------------------------------------------------------------------------------
