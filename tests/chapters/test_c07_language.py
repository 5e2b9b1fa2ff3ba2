"""Figures of language, from made-up records: what they say, and what they say where runs lack."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_record, refusal

from gammagpt import InitConfig, RunConfig, frame
from gammagpt.chapters.c07_language import numbers
from gammagpt.chapters.c07_language.numbers import along, at_equal_loss, chain_scores, pair
from gammagpt.data import DataConfig
from gammagpt.lab import measures

BASE = RunConfig(
    data=DataConfig("logic+stories", fingerprint="f" * 64), steps=100, batch_size=10,
)
STEPS = (0, 25, 50, 100)
PROBES = (0, 1, 10, 100)


@pytest.fixture(autouse=True)
def chance(monkeypatch):
    """The losses of guessing, without a text."""
    for module in (measures, numbers):
        monkeypatch.setattr(
            module, "unigrams", lambda data: dict(zip(data.corpus.split("+"), (4, 5), strict=True))
        )


def record(gamma, seed, rate=0.002, speed=1.0, corpus="logic+stories"):
    """Logic falls twice as fast as stories, the faster the larger `speed`; gamma does nothing."""
    one, other = corpus.split("+")
    fall = [math.exp(-speed * step / 50) for step in STEPS]
    first = [5 * f + 0.01 * (seed % 4) for f in fall]
    second = [5 * f**0.5 + 1 for f in fall]
    config = replace(
        BASE, init=InitConfig(gamma=gamma), seed=seed, data=replace(BASE.data, corpus=corpus),
        optim=replace(BASE.optim, learning_rate=rate),
    )
    probes = [{"step": s, "geometry": {"groups": {one: 0.1 * i, other: 0.2 * i}}}
              for i, s in enumerate(PROBES)]
    made = made_up_record(config, (first[-1] + second[-1]) / 2, probes=probes)
    curves = {one: [*map(list, zip(STEPS, first, strict=True))],
              other: [*map(list, zip(STEPS, second, strict=True))]}
    final = made.final | {f"{one}_loss": first[-1], f"{other}_loss": second[-1],
                          "chain_1_exact": 0.5, "chain_2_exact": 0.0}
    return replace(made, curves=made.curves | curves, final=final)


def rows(role, gammas=(0.3, 0.8), seeds=(1, 2, 3), **named) -> pd.DataFrame:
    runs = frame([record(gamma, seed, **named) for gamma in gammas for seed in seeds])
    return runs.assign(role=role, resolved=True)


def study(**named) -> pd.DataFrame:
    """Tuning at two rates, and tuned, where everything falls twice as fast."""
    return pd.concat([
        rows("tuning", seeds=(1000,), rate=0.001, speed=0.7, **named),
        rows("tuning", seeds=(1000,), rate=0.004, speed=2.0, **named),
        rows("tuned", rate=0.004, speed=2.0, **named),
    ], ignore_index=True)


def test_a_pair_is_two_texts_and_nothing_else():
    assert pair("logic+stories") == ("logic", "stories") == pair(study())
    for corpus in ("sotu", "a+b+c"):
        assert "two texts joined by +" in refusal(pair, corpus)


def test_along_a_run_everything_comes_from_its_curves():
    run = next(rows("common", gammas=(0.8,), seeds=(4,)).itertuples())
    way = along(run)
    assert list(way.tokens) == [step * 10 * 64 / 1e6 for step in STEPS]
    first, second = (np.array(run.curves[name])[:, 1] for name in ("logic", "stories"))
    assert np.allclose(way.loss, (first + second) / 2)
    assert np.allclose(way.delta, second / first - 1)
    assert np.allclose(way.delta_normalised, second / 5 - first / 4)
    assert way.logic.max() == way.stories.max() == 1 and way.logic.iloc[-1] == first[-1] / 4
    assert math.isclose(way.delta.iloc[-1], run.delta)


def test_at_equal_loss_a_faster_clock_makes_no_difference():
    """One seed at two speeds goes the same way, only faster: at one loss delta is the same."""
    fine = tuple(range(0, 101, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "STEPS", fine)
        slow, fast = (rows("common", gammas=(g,), speed=v) for g, v in ((0.3, 1.0), (0.8, 2.0)))
    runs = pd.concat([slow, fast], ignore_index=True)
    ends = runs.groupby("setting").delta.mean()
    found = at_equal_loss(runs)
    equal = found.groupby("setting").delta.mean()
    assert ends["gamma 0.8"] - ends["gamma 0.3"] > 1
    assert abs(equal["gamma 0.8"] - equal["gamma 0.3"]) < 0.02
    assert found.at_loss.nunique() == 1 and found.at_loss.iloc[0] == pytest.approx(slow.loss.max())


def test_at_equal_loss_only_what_is_compared_counts():
    assert set(at_equal_loss(study()).role) == {"tuned"}


def test_chain_scores_are_read_from_the_columns_that_are_there():
    runs = rows("common", gammas=(0.8,), seeds=(1,)).assign(chain_10_accuracy=0.25)
    found = chain_scores(runs)
    assert list(zip(found.score, found.depth, found.value, strict=True)) == [
        ("accuracy", 10, 0.25), ("exact", 1, 0.5), ("exact", 2, 0.0),
    ]
    assert len(chain_scores(runs[["setting", "gamma", "seed"]])) == 0


def test_early_is_when_a_tenth_of_logic_is_learned_at_any_speed():
    """On a line between two measurements of the loss, and of the cosines."""
    for speed in (1.0, 2.0):
        (run,) = rows("tuned", gammas=(0.8,), seeds=(4,), speed=speed).itertuples()
        steps, losses = np.array(run.curves["logic"]).T
        begun = np.interp(-0.9, -np.minimum(1, losses / 4), steps)  # 4: the loss of guessing
        cosine = np.interp(begun, PROBES, [0, 0.1, 0.2, 0.3])
        assert run.logic_cosine_early == pytest.approx(cosine)
        assert run.cosine_gap_early == pytest.approx(cosine)  # stories: twice as much


def test_how_far_logic_is_ahead_does_not_depend_on_the_speed():
    fine = tuple(range(0, 101, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "STEPS", fine)
        slow, fast = (rows("tuned", gammas=(0.8,), seeds=(4,), speed=v) for v in (4.0, 8.0))
    one, other = (float(runs.first_ahead.iloc[0]) for runs in (slow, fast))
    assert one == pytest.approx(other, abs=0.03) and one > 0.1
