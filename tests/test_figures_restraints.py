"""Restraints: what eps, gate, decay and warm-up change, from fresh models and made-up records."""

import math
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from xml.etree import ElementTree

import pandas as pd
import pytest
from helpers import made_up_claim, made_up_record, under
from hypothesis import given
from hypothesis import strategies as st

from gammagpt import (
    GPTConfig,
    InitConfig,
    RunConfig,
    figures_restraints,
    frame,
    readings_restraints,
)
from gammagpt.analysis import gains as gain_tables
from gammagpt.analysis import norms
from gammagpt.analysis.along_size import gains
from gammagpt.analysis.along_size_figures import relaxed
from gammagpt.analysis.gains import changes, effects
from gammagpt.analysis.norms import after_norms, biting_width, first_norm
from gammagpt.claims import judge
from gammagpt.data import DataConfig
from gammagpt.engine import size_of
from gammagpt.figures_attention import INK
from gammagpt.plots.picture import Picture
from gammagpt.readings_gains import sides
from gammagpt.readings_restraints import habit_changes, habit_gains, left_by_decay

BASE = RunConfig(data=DataConfig(fingerprint="f" * 64))
EPS, GATE = {"norm_eps": 1e-12}, {"gate": True}
CORNERS = {"": {}, ", eps 1e-12": EPS, ", gate": GATE, ", eps 1e-12, gate": EPS | GATE}
CONTROLS = {"": {}, ", gate": GATE, ", gate, as many weights": GATE | {"hidden": 100},
            ", gate, twice": GATE | {"gate_scale": 2.0},
            ", gate, not trained": GATE | {"gate_trained": False}}  # fmt: skip
HABITS = {"": {}, ", decay 0": {"weight_decay": 0.0}, ", decay 1": {"weight_decay": 1.0},
          ", warm-up 0": {"warmup": 0.0}, ", warm-up 0.3": {"warmup": 0.3}}  # fmt: skip
HABITS |= {f"{name}, rate 0.008": change | {"learning_rate": 0.008}
           for name, change in HABITS.items()}  # fmt: skip
LEVELS = pd.DataFrame(
    [(gamma, width, eps, norm, 0.5 if (gamma, eps) == (1.0, 1e-5) else 1.0)
     for gamma in (0.5, 1.0) for width in (64, 128) for eps in (1e-5, 1e-12)
     for norm in ("attention 1", "MLP 1", "head")],
    columns=["gamma", "width", "eps", "norm", "rms"],
)  # fmt: skip


def loss_of(gamma, variant, role, seed) -> float:
    """A gain of 0.5; eps adds 0.1 to it and the gate 0.2, by making the small start better."""
    relieved = 0.1 * ("eps" in variant) + 0.2 * ("gate" in variant)
    return 4.5 - (gamma == 1.0) * (0.5 + relieved) + 0.01 * (seed % 4) * gamma


def rows(variants=CORNERS, part="model", role="common", loss=loss_of, gammas=(0.5, 1.0),
         seeds=(0, 1, 2), sinks=None) -> pd.DataFrame:  # fmt: skip
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
    "norm_levels": lambda: figures_restraints.norm_levels(LEVELS, [64, 128, 256]),
    "corners": lambda: figures_restraints.corners(study(), "laptop"),
    "losses": lambda: figures_restraints.losses(study(), "laptop"),
    "controls": lambda: figures_restraints.controls(rows(CONTROLS), "laptop"),
    "curves": lambda: figures_restraints.curves(study(), "laptop"),
    "sinks": lambda: figures_restraints.sinks(with_sinks(), "laptop"),
    "habits": lambda: figures_restraints.habits(of_habits(), "laptop"),
}
FROM_RUNS = {
    "corners": study, "losses": study, "curves": study,
    "controls": lambda **named: rows(CONTROLS, **named), "habits": of_habits,
}  # fmt: skip


@cache
def made(name: str) -> Picture:
    return MAKE[name]()


def words(picture) -> str:
    return " ".join(ElementTree.fromstring(picture.svg()).itertext())


# ---- where epsilon bites -------------------------------------------------------------------------


@given(st.floats(0.3, 1.5), st.sampled_from([1e-5, 1e-3, 0.02]), st.sampled_from([32, 64, 256]))
def test_an_epsilon_stands_for_the_width_where_the_usual_one_does_as_much(gamma, eps, width):
    runs = pd.DataFrame({"norm_eps": [eps], "width": [width]})
    meant = readings_restraints.stands_for(runs, gamma, 1e-5).stands_for[0]
    here, there = norms.first_norm(width, gamma, eps), norms.first_norm(meant, gamma, 1e-5)
    assert here == pytest.approx(there, rel=1e-9)
    assert (meant == pytest.approx(width)) == (eps == 1e-5)


def test_words_that_all_settings_share_can_be_left_out():
    runs = pd.DataFrame({"setting": ["gamma 1, warm-up 0.3", "gamma 1, warm-up 0.3, eps 1e-12"]})
    shorter = readings_restraints.renamed(runs, ", warm-up 0.3").setting
    assert list(shorter) == ["gamma 1", "gamma 1, eps 1e-12"]
    assert not len(readings_restraints.renamed(runs[:0], ", warm-up 0.3"))


# ---- every figure --------------------------------------------------------------------------------


def test_every_public_figure_is_tested():
    functions = {name for name, thing in vars(figures_restraints).items() if callable(thing)
                 and getattr(thing, "__annotations__", {}).get("return") is Picture}  # fmt: skip
    assert functions - {"nothing"} == set(MAKE)


@pytest.mark.parametrize("name", MAKE)
def test_a_figure_is_drawn_on_both_grounds_with_words_and_origin(name):
    picture = made(name)
    for ground, ink in INK.items():
        assert ink.encode() in picture.svg(ground)
    assert len(picture.alt) > 60 and picture.alt.endswith(".") and "nan" not in picture.alt
    assert any(word in words(picture) for word in ("nats per token", "RMS", "share of heads"))
    if name != "norm_levels":
        assert "Tier laptop; " in under(picture) and "commit 01234567." in under(picture)


@pytest.mark.parametrize("name", FROM_RUNS)
@pytest.mark.parametrize("gammas", [(0.5,), (0.5, 0.7, 1.0)], ids=["one gamma", "three gammas"])
def test_any_number_of_gammas_and_one_seed_can_be_drawn(name, gammas):
    picture = getattr(figures_restraints, name)(FROM_RUNS[name](gammas=gammas, seeds=(0,)), "smoke")
    assert b"<svg" in picture.svg() and "nan" not in picture.alt


@pytest.mark.parametrize("name", [*FROM_RUNS, "sinks"])
def test_without_runs_a_figure_says_that_nothing_is_shown(name):
    assert "Nothing is shown" in getattr(figures_restraints, name)(pd.DataFrame(), "smoke").alt


@pytest.mark.parametrize("name", FROM_RUNS)
@pytest.mark.parametrize("which", [(0.5,), (1.0,), (0.5, 1.0)])
def test_diverged_runs_are_counted_and_never_called_a_number(name, which):
    def loss(gamma, variant, role, seed):
        return math.inf if gamma in which and seed == 1 else loss_of(gamma, variant, role, seed)

    picture = getattr(figures_restraints, name)(FROM_RUNS[name](loss=loss), "laptop")
    assert b"<svg" in picture.svg() and "diverged)" in under(picture)
    spoken = picture.alt.replace(";", " ").replace(".", " ").replace(",", " ").split()
    assert not {"nan", "inf", "+inf", "-inf", "+nan"} & set(spoken)
    assert "diverged" in picture.alt


def test_the_anchors_are_those_that_the_ledger_names():
    assert made("corners").anchor == "fig-corners" and made("habits").anchor == "fig-habits"


def test_a_figure_says_what_is_to_be_seen_in_it():
    alt = made("corners").alt
    assert "as usual +0.495" in alt and "eps 1e-12 +0.100 [+0.100, +0.100]" in alt
    assert "gate: gamma 0.5 4.505, gamma 1 3.810" in made("losses").alt
    assert "gate: gamma 0.5 4.50 to 4.51, gamma 1 3.80 to 3.82" in made("curves").alt
    assert "gamma 1, eps 1e-05: 0.50 to 0.50" in made("norm_levels").alt
    assert "as usual: gamma 0.5 25%, gamma 1 25%" in made("sinks").alt


# ---- before any training -------------------------------------------------------------------------


def test_epsilon_takes_what_the_formula_says():
    """1 / sqrt(1 + 1e-5 d^2gamma): .777 and .295 at gamma 1 and widths 256 and 1,024."""
    assert first_norm(256, 1.0, 1e-5) == pytest.approx(0.777, abs=5e-4)
    assert first_norm(1024, 1.0, 1e-5) == pytest.approx(0.295, abs=5e-4)
    assert first_norm(1024, 0.5, 1e-5) == pytest.approx(0.995, abs=5e-4)
    width = biting_width(0.8, 1e-5)
    assert first_norm(width, 0.8, 1e-5) == pytest.approx(math.sqrt(0.5))


def test_the_first_norm_of_a_fresh_model_does_what_the_formula_says():
    levels = figures_restraints.norm_levels(BASE, (64, 256), (0.5, 1.0), (1e-5, 1e-12))
    assert list(levels.norm.unique()) == ["attention 1", "MLP 1", "attention 2", "MLP 2", "head"]
    for row in levels[levels.norm == "attention 1"].itertuples():
        assert row.rms == pytest.approx(first_norm(row.width, row.gamma, row.eps), rel=0.02)
    assert levels[levels.eps == 1e-12].rms.between(0.999, 1.001).all()


def test_looking_at_norms_leaves_no_hook_behind():
    model = readings.build_model(replace(BASE, model=GPTConfig(width=16, n_head=2)))
    assert after_norms(model, 1e-5) == after_norms(model, 1e-5)
    assert not any(module._forward_hooks for module in model.modules())


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
    found = effects(rows()).groupby(["start", "variant"]).effect.mean()
    assert found["gamma 0.5", "gate"] == 0 and found["gamma 1", "gate"] == pytest.approx(-0.2)
    lines = sides(rows(), "common")
    assert "gamma 0.5 by +0.000" in lines[1] and "gain by **+0.200" in lines[1]


def test_a_run_of_two_settings_is_counted_once():
    twice = {"": {}, ", rate 0.002": {"learning_rate": BASE.optim.learning_rate}}
    assert len(gains(rows(twice, "optim"))) == 3


def test_a_habit_changes_the_gain_at_each_rate():
    def loss(gamma, variant, role, seed):
        return loss_of(gamma, "", role, seed) - 0.3 * (gamma == 1 and variant == ", decay 0")

    runs = of_habits(loss)
    found = habit_changes(runs, "weight_decay")
    assert list(found) == [0.002, 0.008]
    assert found[0.002].mean() == pytest.approx(0.3) and found[0.008].mean() == pytest.approx(0)
    claim = interaction(*(f"gamma {gamma}, decay {d}" for d in (0, 1) for gamma in ("0.5", "1")))
    assert judge(claim, runs, "laptop").effect == pytest.approx(found[0.002].mean())
    assert set(habit_gains(runs, "warmup").warmup) == {0.0, 0.1, 0.3}
    assert readings.usual_gains(runs).startswith("+0.495 [")
    assert len(readings.habit_lines(runs)) == 4


# ---- the reading ---------------------------------------------------------------------------------


def controlled(**gain_of) -> pd.DataFrame:
    """The controls, with what each adds to the gain: gate=0.2, twice=-0.1, ..."""

    def loss(gamma, variant, role, seed):
        added = gain_of.get(variant.rpartition(", ")[2].replace(" ", "_"), 0)
        return 4.5 - gamma * added * 2 * (gamma == 1) / 2 + 0.01 * seed * (gamma + len(variant) % 2)

    return rows(CONTROLS, loss=loss)


def test_the_gate_is_read_with_its_controls():
    told = gate_reading(controlled(gate=0.2, as_many_weights=0.2, twice=-0.2))
    assert "raises the gain" in told
    assert "*gate, as many weights*: +0.2" in told
    assert "stays, so it is not all due to the weights that a gate adds" in told
    assert "turns round, so the halved branch at the start made it" in told
    assert "lowers the gain" in gate_reading(controlled(gate=-0.2))


def test_where_the_gate_does_nothing_no_cause_is_sought():
    def loss(gamma, variant, role, seed):
        return 4.5 + (gamma == 1) * ("gate" in variant) * 0.1 * (seed - 1)

    assert "no effect whose cause" in gate_reading(rows(CONTROLS, loss=loss))
    assert "nothing to control" in gate_reading(rows({"": {}}))


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (lambda gamma, variant, seed: 0.0, "next to nothing to release"),
        (lambda gamma, variant, seed: 0.0 if variant else 0.4 * gamma, "removes more than half"),
        (lambda gamma, variant, seed: 0.4 * gamma, "leaves at least half"),
        (lambda gamma, variant, seed: 0.4 / gamma, "The small start has fewer"),
        (lambda gamma, variant, seed: 0.4 * gamma, "The small start has more"),
        (lambda gamma, variant, seed: 0.4 + 0.1 * (seed - 1) * gamma, "No difference"),
    ],
)  # fmt: skip
def test_sinks_are_read_whichever_way_they_came_out(share, expected):
    assert expected in sink_reading(with_sinks(share), "common")


def test_where_no_sinks_were_measured_it_is_said():
    assert "no sinks were measured" in sink_reading(study(), "common")
    one = with_sinks().query("gamma == 0.5")
    assert "no pair of gammas" in sink_reading(one, "common")
    assert "Nothing is shown" in figures_restraints.sinks(study(), "laptop").alt


@pytest.mark.parametrize(
    ("verdict", "high", "expected"),
    [
        ("supported", 0.3, "lets the gain"),
        ("contradicted", -0.1, "makes the gain smaller"),
        ("contradicted", 0.005, "not let the gain grow by as much"),
        ("inconclusive", 0.1, "not decided (why)"),
        ("not run", math.nan, "not judged here (why)"),
    ],
)
def test_verdicts_are_worded_both_ways(verdict, high, expected):
    assert expected in relaxed(SimpleNamespace(verdict=verdict, high=high, reason="why"))


def test_an_interval_says_why_there_is_none():
    assert readings.interval([]) == "(no runs)"
    assert readings.interval([0.1, math.inf]) == "(a run diverged)"
    assert readings.interval([-0.0001]) == "+0.000"
    assert readings.bite(64, 1.0, 1e-5).endswith("equal at width 316.")
