"""Figures of reasoning gains, from made-up records: what they say, and where runs lack."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_record

from gammagpt import InitConfig, RunConfig, frame
from gammagpt.chapters.c14_gains import figures, numbers
from gammagpt.chapters.c14_gains.numbers import answer_scores, floors, gains, sides
from gammagpt.data import DataConfig
from gammagpt.data.corpora import FIVE, corpora
from gammagpt.lab import measures
from gammagpt.ledger.claims import load_ledger
from gammagpt.ledger.judge import judge
from gammagpt.plots.picture import Picture

TEXTS = FIVE.split("+")
BASE = RunConfig(data=DataConfig(FIVE, fingerprint="f" * 64), steps=100, batch_size=10)
FLOOR = 0.5
CHANCE = 5.0
LEDGER = [claim for claim in load_ledger() if claim.notebook == "14_gains"]
# By what factor the loss is smaller with the larger gamma: reasoning gains most, logic first.
FACTORS = {"sotu": 0.95, "stories": 0.9, "logic": 0.6, "arithmetic": 0.7, "facts": 0.8}


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """The losses of guessing and the floors, without a text."""
    for module in (measures, numbers, figures):
        chance = lambda data: dict.fromkeys(corpora(data.corpus), CHANCE)  # noqa: E731
        monkeypatch.setattr(module, "unigrams", chance)
    for module in (numbers, figures):
        monkeypatch.setattr(module, "floors", lambda data: {"arithmetic": FLOOR})


def record(gamma, seed, rate=0.002, corpus=FIVE, factors=FACTORS):
    """Every text falls from 5 nats; with the larger gamma to a loss smaller by its factor."""
    names, wobble = corpus.split("+"), 1 + 0.01 * (seed % 4)
    small = gamma > 0.7
    ends = {n: 2 * wobble * (factors[n] if small else 1) for n in names}
    curves = {n: [[0, CHANCE], [50, (CHANCE + end) / 2], [100, end]] for n, end in ends.items()}
    scores = {"chain_1": 0.5, "chain_2": 0.4, "sum_1": 0.6, "sum_4": 0.2, "recall": 0.3}
    final = {f"{n}_loss": end for n, end in ends.items()}
    final |= {f"{n}_accuracy": v + 0.1 * small * n.startswith("sum") for n, v in scores.items()}
    final |= {f"{n}_exact": v / 2 for n, v in scores.items()}
    config = replace(
        BASE, init=InitConfig(gamma=gamma), seed=seed, data=replace(BASE.data, corpus=corpus),
        optim=replace(BASE.optim, learning_rate=rate),
    )
    made = made_up_record(config, sum(ends.values()) / len(ends))
    return replace(made, curves=made.curves | curves, final=made.final | final)


def rows(role, gammas=(0.5, 1.0), seeds=(1, 2, 3), **changes) -> pd.DataFrame:
    return frame([record(g, s, **changes) for g in gammas for s in seeds]).assign(
        role=role, resolved=True, collapsed=False
    )


def study(**changes) -> pd.DataFrame:
    tuning = [rows("tuning", seeds=(1000,), rate=r, **changes) for r in (0.001, 0.002, 0.004)]
    return pd.concat([*tuning, rows("tuned", rate=0.004, **changes)], ignore_index=True)


def pictures(runs) -> list[Picture]:
    return [
        figures.curves(runs, "laptop"),
        figures.text_gains(runs, "laptop"),
        figures.headroom(runs, "laptop"),
        figures.answers(runs, "laptop"),
        figures.answers(runs, "laptop", "exact", "fig-whole-answers"),
        figures.at_prose(runs, "laptop"),
    ]


# ---- pictures ------------------------------------------------------------------------------------


def test_the_figures_of_the_claims_are_there():
    anchors = {picture.anchor for picture in pictures(study())}
    assert {claim.figure for claim in LEDGER} <= anchors


# ---- numbers -------------------------------------------------------------------------------------


def test_the_gain_of_every_text_is_the_factor_that_was_put_in():
    found = gains(study())
    assert len(found) == 3 * len(TEXTS)
    for name, factor in FACTORS.items():
        mine = found[found.text == name]
        assert mine.log.tolist() == pytest.approx([-math.log(factor)] * 3)
        assert mine.left.min() == pytest.approx(2.02 / CHANCE, rel=0.02)
    sums = found[(found.text == "arithmetic") & (found.seed == 1)]
    usual, small = 2.02, 2.02 * 0.7
    assert sums.nats.tolist() == pytest.approx([usual - small])
    beyond = math.log((usual - FLOOR) / (small - FLOOR))
    assert sums.beyond.tolist() == pytest.approx([beyond])
    assert found[found.text != "arithmetic"].beyond.isna().all()


def test_the_two_settings_are_those_of_the_claims_or_else_the_outermost():
    assert sides(study()) == ["gamma 0.5", "gamma 1"]
    three = pd.concat([rows("common", gammas=(g,)) for g in (0.3, 0.5, 1.0)])
    assert sides(three) == ["gamma 0.5", "gamma 1"]
    assert sides(rows("common", gammas=(0.3, 0.8))) == ["gamma 0.3", "gamma 0.8"]
    assert sides(rows("common", gammas=(0.8,))) == ["gamma 0.8"]


def test_answers_are_read_by_kind_and_depth():
    found = answer_scores(study())
    assert set(zip(found.kind, found.depth, strict=True)) == {
        ("chain", 1), ("chain", 2), ("sum", 1), ("sum", 4), ("recall", 0),
    }
    one = found.query("kind == 'sum' and depth == 4 and score == 'accuracy' and role == 'tuned'")
    assert one.groupby("setting").value.mean().to_dict() == pytest.approx(
        {"gamma 0.5": 0.2, "gamma 1": 0.3}
    )
    assert "tuning" not in set(found.role)


def test_reasoning_is_read_where_prose_is_at_its_level_and_further_training_changes_nothing():
    """Prose falls on a line from 5 of 5 nats to its end, and logic and arithmetic to theirs."""
    for run in study().query("role == 'tuned'").itertuples():
        small, usual = run.gamma > 0.7, 2 * (1 + 0.01 * (run.seed % 4))
        end = {name: usual * (FACTORS[name] if small else 1) for name in TEXTS}
        prose = (end["sotu"] + end["stories"]) / 2
        along = (CHANCE - measures.AT_PROSE * CHANCE) / (CHANCE - prose)  # share of the way
        assert 0.5 < along < 1
        logs = [np.interp(along, [0, 0.5, 1], np.log([CHANCE, (CHANCE + end[n]) / 2, end[n]]))
                for n in ("logic", "arithmetic")]
        assert run.reasoning_at_prose == pytest.approx(np.mean(logs))


def test_without_prose_or_without_reasoning_there_is_nothing_to_compare():
    for corpus in ("logic+arithmetic+facts", "sotu+stories+facts"):
        runs = rows("tuned", corpus=corpus)
        assert "reasoning_at_prose" not in runs
        assert not figures.at_prose(runs, "laptop").alt.startswith("Loss")


# ---- claims and controls -------------------------------------------------------------------------


def test_every_claim_finds_its_metric_and_what_was_put_in_has_its_sign():
    runs = rows("tuned", seeds=range(1, 9))
    usual = [c for c in LEDGER if c.comparison["baseline"] == "gamma 0.5"]
    found = {claim.metric: judge(claim, runs, "laptop").verdict for claim in usual}
    assert found.pop("chain_accuracy") == "equivalent"  # nothing was put in
    assert {*found.values()} == {"better"}


def test_the_floor_of_a_text_is_what_chance_has_put_into_it(monkeypatch):
    """Against a count: the nats of the draws of each document, one by one."""
    monkeypatch.undo()
    text = "7+2=9-5=4"
    drawn = math.log(3) + math.log(10) + 2 * math.log(9) - math.log(3 / 2)
    assert numbers._nats_of_sum(text) == pytest.approx(drawn)
    told = math.log(64) + math.log(4 * 3 * 2) + 3 * math.log(3)
    assert numbers._nats_of_facts("") == pytest.approx(told)
    found = floors(DataConfig(FIVE, 512))
    assert set(found) == {"arithmetic", "facts"}
    assert found["arithmetic"] == pytest.approx(drawn / 10, rel=0.05)  # ten tokens a problem
