"""Restraints: what eps, gate, decay and warm-up change, from fresh models and made-up records."""

import math
from dataclasses import replace
from functools import cache

import pandas as pd
import pytest
from helpers import made_up_claim, made_up_record
from hypothesis import given
from hypothesis import strategies as st

from gammagpt import InitConfig, RunConfig, frame
from gammagpt.analysis import gains as gain_tables
from gammagpt.analysis import norms
from gammagpt.analysis.gains import changes, effects, gains
from gammagpt.analysis.norms import biting_width, first_norm
from gammagpt.chapters.c09_restraints import figures, numbers
from gammagpt.chapters.c09_restraints.numbers import left_by_decay, variants
from gammagpt.data import DataConfig
from gammagpt.gpt.size import size_of
from gammagpt.ledger.judge import judge
from gammagpt.plots.picture import Picture

BASE = RunConfig(data=DataConfig(fingerprint="f" * 64))
EPS, GATE = {"norm_eps": 1e-12}, {"gate": True}
CORNERS = {"": {}, ", eps 1e-12": EPS, ", gate": GATE, ", eps 1e-12, gate": EPS | GATE}
CONTROLS = {"": {}, ", gate": GATE, ", gate, as many weights": GATE | {"hidden": 100},
            ", gate, twice": GATE | {"gate_scale": 2.0},
            ", gate, not trained": GATE | {"gate_trained": False}}
HABITS = {"": {}, ", decay 0": {"weight_decay": 0.0}, ", decay 1": {"weight_decay": 1.0},
          ", warm-up 0": {"warmup": 0.0}, ", warm-up 0.3": {"warmup": 0.3}}
HABITS |= {f"{name}, rate 0.008": change | {"learning_rate": 0.008}
           for name, change in HABITS.items()}
LEVELS = pd.DataFrame(
    [(gamma, width, eps, norm, 0.5 if (gamma, eps) == (1.0, 1e-5) else 1.0)
     for gamma in (0.5, 1.0) for width in (64, 128) for eps in (1e-5, 1e-12)
     for norm in ("attention 1", "MLP 1", "head")],
    columns=["gamma", "width", "eps", "norm", "rms"],
)


def loss_of(gamma, variant, role, seed) -> float:
    """A gain of 0.5; eps adds 0.1 to it and the gate 0.2, by making gamma 1 better."""
    relieved = 0.1 * ("eps" in variant) + 0.2 * ("gate" in variant)
    return 4.5 - (gamma == 1.0) * (0.5 + relieved) + 0.01 * (seed % 4) * gamma


def rows(variants=CORNERS, part="model", role="common", loss=loss_of, gammas=(0.5, 1.0),
         seeds=(0, 1, 2), sinks=None) -> pd.DataFrame:
    """Made-up runs; a loss of inf is a diverged run, sinks(gamma, variant, seed) their share."""
    records, names = [], []
    for seed in seeds:
        for gamma in gammas:
            for variant, change in variants.items():
                fields = replace(getattr(BASE, part), **change)
                init = InitConfig(gamma=gamma)
                config = replace(BASE, **{part: fields}, init=init, seed=seed)
                value = loss(gamma, variant, role, seed)
                at = {"sink_rate": sinks(gamma, variant, seed), "first_token": 0.1} if sinks else {}
                probes = [{"step": 400, "sinks": at}] if sinks else []
                ended = None if value == math.inf else value
                records.append(made_up_record(config, ended, probes=probes))
                names.append(f"gamma {gamma:g}{variant}")
    return frame(records).assign(setting=names, role=role, resolved=True)


def study(**named) -> pd.DataFrame:
    parts = [rows(role=role, **named) for role in ("tuning", "common", "tuned")]
    return pd.concat(parts, ignore_index=True)


def of_habits(loss=loss_of, **named) -> pd.DataFrame:
    return rows(HABITS, "optim", loss=loss, **named)


def with_sinks(share=lambda gamma, variant, seed: 0.25) -> pd.DataFrame:
    return study(sinks=share)


def interaction(baseline, treatment, *against, role="common"):
    """A claim like those of the ledger on this chapter."""
    comparison = {"baseline": baseline, "treatment": treatment, "against": list(against)}
    return made_up_claim(comparison=comparison | {"learning_rate": role})


MAKE = {
    "norm_levels": lambda: figures.norm_levels(LEVELS, [64, 128, 256]),
    "corners": lambda: figures.corners(study(), "laptop"),
    "losses": lambda: figures.losses(study(), "laptop"),
    "controls": lambda: figures.controls(rows(CONTROLS), "laptop"),
    "curves": lambda: figures.curves(study(), "laptop"),
    "sinks": lambda: figures.sinks(with_sinks(), "laptop"),
    "habits": lambda: figures.habits(of_habits(), "laptop"),
}


@cache
def made(name: str) -> Picture:
    return MAKE[name]()


# ---- where epsilon bites -------------------------------------------------------------------------


@given(st.floats(0.3, 1.5), st.sampled_from([1e-5, 1e-3, 0.02]), st.sampled_from([32, 64, 256]))
def test_an_epsilon_stands_for_the_width_where_the_usual_one_does_as_much(gamma, eps, width):
    runs = pd.DataFrame({"norm_eps": [eps], "width": [width]})
    meant = numbers.stands_for(runs, gamma, 1e-5).stands_for[0]
    here, there = norms.first_norm(width, gamma, eps), norms.first_norm(meant, gamma, 1e-5)
    assert here == pytest.approx(there, rel=1e-9)
    assert (meant == pytest.approx(width)) == (eps == 1e-5)


def test_words_that_all_settings_share_can_be_left_out():
    runs = pd.DataFrame({"setting": ["gamma 1, warm-up 0.3", "gamma 1, warm-up 0.3, eps 1e-12"]})
    shorter = numbers.renamed(runs, ", warm-up 0.3").setting
    assert list(shorter) == ["gamma 1", "gamma 1, eps 1e-12"]
    assert not len(numbers.renamed(runs[:0], ", warm-up 0.3"))


# ---- every figure --------------------------------------------------------------------------------


def test_the_anchors_are_those_that_the_ledger_names():
    assert made("corners").anchor == "fig-corners" and made("habits").anchor == "fig-habits"


# ---- before any training -------------------------------------------------------------------------


def test_epsilon_takes_what_the_formula_says():
    """1 / sqrt(1 + 1e-5 d^2gamma): .777 and .295 at gamma 1 and widths 256 and 1,024."""
    assert first_norm(256, 1.0, 1e-5) == pytest.approx(0.777, abs=5e-4)
    assert first_norm(1024, 1.0, 1e-5) == pytest.approx(0.295, abs=5e-4)
    assert first_norm(1024, 0.5, 1e-5) == pytest.approx(0.995, abs=5e-4)
    width = biting_width(0.8, 1e-5)
    assert first_norm(width, 0.8, 1e-5) == pytest.approx(math.sqrt(0.5))


def test_the_first_norm_of_a_fresh_model_does_what_the_formula_says():
    levels = norms.norm_levels(BASE, (64, 256), (0.5, 1.0), (1e-5, 1e-12))
    assert list(levels.norm.unique()) == ["attention 1", "MLP 1", "attention 2", "MLP 2", "head"]
    for row in levels[levels.norm == "attention 1"].itertuples():
        assert row.rms == pytest.approx(first_norm(row.width, row.gamma, row.eps), rel=0.02)
    assert levels[levels.eps == 1e-12].rms.between(0.999, 1.001).all()


def test_a_gate_has_a_matrix_for_each_layer():
    with_gate = replace(BASE, model=replace(BASE.model, gate=True))
    more = size_of(with_gate.model).weights - size_of(BASE.model).weights
    assert more == BASE.model.n_layer * BASE.model.width**2


def test_what_decay_leaves_is_an_exponential_of_the_summed_rate():
    flat = replace(BASE.optim, warmup=0.0, final_ratio=1.0, learning_rate=0.01, weight_decay=0.5)
    assert left_by_decay(replace(BASE, optim=flat, steps=100)) == pytest.approx(math.exp(-0.5))


# ---- gains and changes ---------------------------------------------------------------------------


def test_a_gain_is_that_of_the_largest_gamma_over_the_smallest_by_seed():
    found = gains(rows(gammas=(0.5, 0.7, 1.0)))
    usual = found[found.variant == gain_tables.PLAIN]
    assert list(usual.gain) == pytest.approx([0.5, 0.495, 0.49])
    assert list(found.variant.unique()) == ["as usual", "eps 1e-12", "gate", "eps 1e-12, gate"]


@pytest.mark.parametrize("role", ["common", "tuned"])
def test_a_change_of_the_gain_is_what_the_ledger_judges(role):
    claim = interaction("gamma 0.5, gate", "gamma 1, gate", "gamma 0.5", "gamma 1", role=role)
    found = changes(study())
    mine = found[(found.variant == "gate") & (found.role == role)].change
    assert mine.mean() == pytest.approx(judge(claim, study(), "laptop").effect)


def test_effects_tell_which_side_has_moved():
    found = effects(rows()).groupby(["init", "variant"]).effect.mean()
    assert found["gamma 0.5", "gate"] == 0 and found["gamma 1", "gate"] == pytest.approx(-0.2)
    gate = variants(rows()).set_index(["question", "variant"]).loc["at one learning rate", "gate"]
    assert gate["loss of gamma 0.5"].startswith("+0.000") and gate.gain.startswith("+0.200")


def test_a_run_of_two_settings_is_counted_once():
    twice = {"": {}, ", rate 0.002": {"learning_rate": BASE.optim.learning_rate}}
    assert len(gains(rows(twice, "optim"))) == 3


# ---- the reading ---------------------------------------------------------------------------------
