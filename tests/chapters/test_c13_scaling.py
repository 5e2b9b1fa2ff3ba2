"""Scaling: gains, slopes and best rates along width and length, from made-up records."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_claim, made_up_record

from gammagpt import InitConfig, RunConfig, frame
from gammagpt.analysis import along_size
from gammagpt.chapters.c13_scaling import numbers
from gammagpt.data import DataConfig
from gammagpt.gpt.init import implied_gamma
from gammagpt.ledger.judge import judge

BASE = RunConfig(data=DataConfig(fingerprint="f" * 64))
STARTS = {"gamma 0.5": InitConfig(gamma=0.5), "gamma 1": InitConfig(gamma=1.0),
          "std 0.02": InitConfig(None, 0.02)}
WIDTHS, LENGTHS, RATES = (32, 64, 128), (200, 400, 800), (0.001, 0.002, 0.004, 0.008, 0.016)
QUESTIONS = {"common": ((0.002,), (0, 1, 2)), "tuned": ((0.004,), (0, 1, 2)),
         "tuning": (RATES, (1000,))}
SLOPES = {"gamma 0.5": -0.05, "gamma 1": -0.08, "std 0.02": -0.06}
GATE = {"gate": True, "norm_eps": 1e-12}


def best_rate(start, width) -> float:
    """0.004 at width 64; it falls as the standard deviation does."""
    fall = STARTS[start].gamma or 0.0
    return 0.004 * (width / 64) ** -fall


def law(start, relaxed, width, steps, role, rate, seed) -> float:
    """A power of width and of length, steeper if gamma is larger, and by 0.01 more if relaxed.

    Seeds differ in level, and by a thousandth in slope. A tuning run pays for a wrong rate.
    """
    slope = SLOPES[start] - 0.01 * (relaxed and start == "gamma 1") + 0.001 * (seed % 3)
    loss = (5 + 0.1 * (seed % 3)) * (width / 32) ** slope * (steps / 400) ** slope
    return loss + 0.05 * math.log2(rate / best_rate(start, width)) ** 2 * (role == "tuning")


def rows(widths=WIDTHS, steps=(400,), starts=tuple(STARTS), relaxed=(False,), roles=QUESTIONS,
         seeds=None, loss=law, resolved=True) -> pd.DataFrame:
    """What a study collects; a loss of inf is a diverged run."""
    parts = []
    for role in roles:
        rates, role_seeds = QUESTIONS[role]
        records, names = [], []
        for width, start, gated, count in [(w, s, g, c) for g in relaxed for c in steps
                                           for w in widths for s in starts]:
            name = f", width {width}" * (len(widths) > 1 or len(steps) == 1)
            name += ", relaxed" * gated + f", {count} steps" * (len(steps) > 1)
            for rate in rates:
                for seed in seeds if seeds is not None and role != "tuning" else role_seeds:
                    value = loss(start, gated, width, count, role, rate, seed)
                    model = replace(BASE.model, width=width, **(GATE if gated else {}))
                    config = replace(
                        BASE, model=model, init=STARTS[start], steps=count, seed=seed,
                        optim=replace(BASE.optim, learning_rate=rate),
                    )
                    curve = [[0, 7.0], [count, value]] if math.isfinite(value) else [[0, 7.0]]
                    ended = value if math.isfinite(value) else None
                    records.append(made_up_record(config, ended, curve=curve))
                    names.append(start + name)
        parts.append(frame(records).assign(setting=names, role=role, resolved=resolved))
    return pd.concat(parts, ignore_index=True)


def of_width(**changes) -> pd.DataFrame:
    return rows(**changes)


# ---- every figure ------------------------------------------------------------------------------


# ---- numbers, computed once more ---------------------------------------------------------------


@pytest.mark.parametrize("role", ["common", "tuned"])
@pytest.mark.parametrize("over", ["gamma 0.5", "std 0.02"])
def test_growth_is_what_the_ledger_judges(role, over):
    runs, sides = of_width(), [f"{over}, width 128", "gamma 1, width 128"]
    comparison = {"baseline": sides[0], "treatment": sides[1], "learning_rate": role,
                  "against": [side.replace("128", "32") for side in sides]}
    verdict = judge(made_up_claim(comparison=comparison), runs, "laptop")
    found = along_size.gains(runs, over=over)
    change = along_size.growth(found[(found.role == role) & (found.init == "gamma 1")])
    assert list(change) == pytest.approx([pair[-1] for pair in verdict.pairs])


# ---- best rates --------------------------------------------------------------------------------


def test_the_slopes_of_best_rates_stand_beside_those_of_two_ideas():
    table = numbers.rate_slopes(along_size.best_rates(of_width())).set_index("setting")
    for start, init in STARTS.items():
        row = table.loc[start]
        assert row.found == pytest.approx(-(init.gamma or 0), abs=1e-9)
        assert row["by entries"] - row["by spectrum"] == 0.5
        assert row.found == pytest.approx(row["by entries"], abs=1e-9) and row.points == 3


def test_the_two_ideas_of_a_relative_step_are_those_of_a_matrix():
    """Of a matrix of std d^-gamma, and a step whose entries are of one size and in step."""
    rng, sizes = np.random.default_rng(0), {}
    for d in (64, 512):
        matrix, step = rng.standard_normal((d, d)) * d**-0.7, np.ones((d, d))
        sizes[d] = (1 / matrix.std(), np.linalg.norm(step, 2) / np.linalg.norm(matrix, 2))
    grown = np.log(np.divide(sizes[512], sizes[64])) / math.log(8)
    best = pd.DataFrame({"init": "gamma 0.7", "relaxed": False, "gamma": 0.7, "x": [64, 512],
                         "best_lr": [0.01, 0.01], "resolved": True})
    row = numbers.rate_slopes(best).iloc[0]  # the rate falls as a relative step would grow
    assert -grown == pytest.approx([row["by entries"], row["by spectrum"]], abs=0.03)


def test_a_grid_that_is_not_whole_has_no_best_rate():
    runs = of_width(roles=["tuning"])
    runs = runs[(runs.learning_rate < 0.01) | (runs.setting != "gamma 1, width 64")]
    best = along_size.best_rates(runs)
    assert len(best) == 8 and not len(best[(best.init == "gamma 1") & (best.x == 64)])


# ---- words -------------------------------------------------------------------------------------


def test_what_can_be_known_before_any_training():
    table = numbers.at_widths((64, 1024), (0.5, 1.0), (0.02,), 1e-5).set_index("width")
    assert table.loc[64, "std 0.02 is gamma"] == pytest.approx(implied_gamma(0.02, 64))
    assert table.loc[1024, "RMS, gamma 1"] == pytest.approx(1 / math.sqrt(1 + 1e-5 * 1024**2))
    assert table["RMS, std 0.02"].nunique() == 1  # a fixed std meets epsilon alike at every width
    assert table.loc[64, "RMS, std 0.02"] == pytest.approx(0.02 / math.hypot(0.02, 1e-5**0.5))
