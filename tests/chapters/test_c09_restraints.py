"""Restraints: where epsilon bites, and what the settings change, from made-up records."""

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import made_up_study
from hypothesis import given, settings
from hypothesis import strategies as st

from gammagpt import RunConfig, Store
from gammagpt.analysis import norms
from gammagpt.analysis.norms import biting_width, first_norm
from gammagpt.chapters.c09_restraints import figures, numbers
from gammagpt.chapters.c09_restraints.numbers import effects, left_by_decay
from gammagpt.data import DataConfig
from gammagpt.data.backcopy import least_losses
from gammagpt.gpt.size import size_of
from gammagpt.lab.recipe import expected_rate
from gammagpt.ledger.claims import load_ledger
from gammagpt.ledger.judge import judge
from gammagpt.registry.studies import study

BASE = RunConfig(data=DataConfig(fingerprint="f" * 64))
EVERY = [claim for claim in load_ledger() if claim.notebook == "09_restraints"]
CLAIMS = [claim for claim in EVERY if claim.experiment == "restraints"]
COPYING = study("sinks", "night").base
LEAST = least_losses(COPYING.data, COPYING.probes.final_windows, COPYING.model.block_size + 1)[
    "validation"]


def loss_of(name: str, seed: int) -> float:
    """A gain of 0.5; the gate adds 0.2 to it, and an epsilon of 0.001 takes 0.4 away."""
    moved = 0.2 * ("gate" in name) - 0.4 * ("eps 0.001" in name)
    return 4.5 - ("gamma 1" in name) * (0.5 + moved) + 0.003 * (seed % 5)


def excess_of(name: str, seed: int) -> float:
    """On Bigram-Backcopy gamma 1 leaves half of what gamma 0.5 does, with a gate a quarter."""
    gained = 0.5 ** (("gamma 1" in name) * (1 + ("gate" in name)))
    return LEAST + 0.02 * gained * (1 + 0.01 * (seed % 5))


def looked_at(name: str, length: int) -> dict:
    """Heads of gamma 1 without a gate are sinks; each token gives to <s> and to itself."""
    first = 0.6 if name.startswith("gamma 1, layers") else 0.1
    rows = [[1.0]] + [[first, *[0.0] * (i - 1), 1 - first] for i in range(1, length)]
    return {"sink_rate": float(first > 0.3), "first_token": first, "value_drain": 1 - first,
            "map": rows}


def made_up(experiment: str, folder, loss_of, probe_of, **losses):
    """All runs of a study at tier night, made up, those that are compared with their sinks."""

    def finish(name, record):
        sinks = [{"step": record.config.steps, "sinks": probe_of(name)}]
        return replace(record, probes=sinks, final=record.final | losses)

    return made_up_study(study(experiment, "night"), Store(folder), loss_of, finish)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return made_up("restraints", tmp_path_factory.mktemp("records"), loss_of,
                   lambda name: {"sink_rate": 0.25, "first_token": 0.1})


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    return made_up("sinks", tmp_path_factory.mktemp("records"), excess_of,
                   lambda name: looked_at(name, COPYING.model.block_size),
                   triggers_loss=0.002, others_loss=2.5)


# ---- before any training -------------------------------------------------------------------------


def test_epsilon_takes_what_the_formula_says():
    """1 / sqrt(1 + 1e-5 d^2gamma): .777 and .295 at gamma 1 and widths 256 and 1,024."""
    assert first_norm(256, 1.0, 1e-5) == pytest.approx(0.777, abs=5e-4)
    assert first_norm(1024, 1.0, 1e-5) == pytest.approx(0.295, abs=5e-4)
    assert first_norm(1024, 0.5, 1e-5) == pytest.approx(0.995, abs=5e-4)
    width = biting_width(0.8, 1e-5)
    assert first_norm(width, 0.8, 1e-5) == pytest.approx(math.sqrt(0.5))


@settings(deadline=None)
@given(st.integers(16, 4096), st.floats(1.1, 1000))
def test_with_gamma_1_an_epsilon_stands_for_a_width(width, times):
    """An epsilon `times` the usual does at a width what the usual one does at sqrt(times) of it."""
    here = first_norm(width, 1.0, 1e-5 * times)
    assert here == pytest.approx(first_norm(width * math.sqrt(times), 1.0, 1e-5))


def test_the_epsilon_that_bites_is_the_one_that_the_claim_says():
    assert first_norm(64, 1.0, 0.001) == pytest.approx(first_norm(640, 1.0, 1e-5))
    assert first_norm(64, 1.0, 0.001) < 0.5 < 0.95 < first_norm(64, 1.0, 1e-5)


def test_the_first_norm_of_a_fresh_model_does_what_the_formula_says():
    levels = norms.norm_levels(BASE, (64, 256), (0.5, 1.0), (1e-5, 1e-12))
    assert list(levels.norm.unique()) == ["attention 1", "MLP 1", "attention 2", "MLP 2", "head"]
    for row in levels[levels.norm == "attention 1"].itertuples():
        assert row.rms == pytest.approx(first_norm(row.width, row.gamma, row.eps), rel=0.02)
    assert levels[levels.eps == 1e-12].rms.between(0.999, 1.001).all()
    assert figures.norm_levels(levels, [64, 128, 256]).anchor == "fig-norms"


def test_a_gate_has_a_matrix_for_each_layer():
    with_gate = replace(BASE, model=replace(BASE.model, gate=True))
    more = size_of(with_gate.model).weights - size_of(BASE.model).weights
    assert more == BASE.model.n_layer * BASE.model.width**2


def test_what_decay_leaves_is_an_exponential_of_the_summed_rate():
    flat = replace(BASE.optim, warmup=0.0, final_ratio=1.0, learning_rate=0.01, weight_decay=0.5)
    assert left_by_decay(replace(BASE, optim=flat, steps=100)) == pytest.approx(math.exp(-0.5))


# ---- the study -----------------------------------------------------------------------------------


def test_a_setting_changes_what_its_name_says_and_its_rate():
    every = study("restraints", "night").settings
    for name, fields in {", gate": {"gate": True}, ", eps 0.001": {"norm_eps": 0.001}}.items():
        base, other = every["gamma 1"], every[f"gamma 1{name}"]
        assert other.model == replace(base.model, **fields)
        assert replace(other, model=base.model, optim=base.optim) == base
        assert other.optim.learning_rate != base.optim.learning_rate
    slow = every["gamma 1, decay 0"]
    assert slow.optim == replace(every["gamma 1"].optim, weight_decay=0.0)


def test_the_plain_settings_are_tuned_in_chapter_19():
    known = {run.key for run in study("lower_loss_width", "night").tuning()}
    plain = study("restraints", "night").only(["gamma 0.5", "gamma 1"])
    assert {run.key for run in plain.tuning()} <= known


@settings(deadline=None)
@given(st.sampled_from([0.5, 1.0]), st.floats(0.05, 0.6), st.floats(1.1, 4))
def test_a_longer_warm_up_lets_only_a_small_initialization_go_faster(gamma, warmup, times):
    short = replace(BASE, init=replace(BASE.init, gamma=gamma),
                    optim=replace(BASE.optim, warmup=warmup / 4))
    long = replace(short, optim=replace(short.optim, warmup=warmup / 4 * times))
    ratio = expected_rate(long) / expected_rate(short)
    assert ratio == pytest.approx(times**0.54 if gamma == 1 else 1)


# ---- gains and their changes ---------------------------------------------------------------------


def test_every_claim_is_judged_by_the_change_that_the_page_shows(runs):
    shown = effects(runs).set_index(["variant", "what"]).effect
    found = {claim.id: judge(claim, runs, "night") for claim in CLAIMS}
    assert found["hides-eps"].effect == pytest.approx(-shown["eps 0.001", "change"])
    assert found["hides-sinks"].effect == pytest.approx(shown["gate", "change"])
    assert found["hides-eps-usual"].effect == pytest.approx(shown["eps 1e-12", "change"])
    assert shown["as usual", "gain"] == pytest.approx(0.5)


def test_verdicts_follow_the_losses(runs):
    found = {claim.id: judge(claim, runs, "night").verdict for claim in CLAIMS}
    assert found == {
        "hides-eps": "better", "hides-sinks": "better",
        "hides-decay": "equivalent", "hides-warmup": "equivalent",
        "hides-eps-usual": "equivalent", "hides-sinks-loss": "better",
    }


def test_a_setting_without_one_of_the_gammas_has_no_gain(runs):
    lost = runs[runs.setting != "gamma 1, gate"]
    assert "gate" in set(effects(runs).variant) and "gate" not in set(effects(lost).variant)
    assert not len(effects(runs[:0]))


def test_a_collapsed_run_makes_a_gain_hollow(runs):
    one = runs.index[(runs.setting == "gamma 1, gate") & (runs.role == "tuned")][0]
    marked = runs.assign(collapsed=runs.collapsed | (runs.index == one))
    hollow = effects(marked).groupby("variant").resolved.all()
    assert not hollow["gate"] and hollow["decay 0"]


def test_a_collapse_as_usual_makes_every_change_hollow_and_no_other_gain(runs):
    one = runs.index[(runs.setting == "gamma 1") & (runs.role == "tuned")][0]
    marked = runs.assign(collapsed=runs.collapsed | (runs.index == one))
    found = effects(marked).set_index(["what", "variant"]).resolved
    assert not found["change"].any() and found["gain", "gate"]


def test_the_figures_name_every_setting_and_count_sinks(runs):
    picture = figures.restraints(runs, "night")
    assert picture.anchor == "fig-restraints"
    assert all(variant in picture.alt for variant in ("gate", "eps 0.001", "warm-up 0.05"))
    assert "25%" in figures.sinks(runs, "night").alt
    assert not len(numbers.sinks(runs.drop(columns="sink_rate")))


# ---- where sinks form ----------------------------------------------------------------------------


def test_at_most_four_claims_of_the_chapter_are_primary():
    assert sum(claim.primary for claim in EVERY) <= 4
    assert {c.id for c in EVERY if c.primary and c.experiment == "sinks"} == {"hides-sinks-formed"}


def test_a_gate_and_a_depth_are_all_that_settings_on_backcopy_differ_in():
    every = study("sinks", "night").settings
    gated, plain = every["gamma 1, gate, layers 2"], every["gamma 1, layers 2"]
    assert gated.model == replace(plain.model, gate=True, n_layer=2)
    assert replace(gated, model=plain.model, optim=plain.optim) == plain
    assert {run.data for run in every.values()} == {COPYING.data}


def test_a_gain_where_the_least_loss_is_known_is_the_ln_of_a_factor(copied):
    found = effects(copied, "log_excess").set_index("variant").effect
    assert found.to_dict() == pytest.approx({
        "layers 1": math.log(2), "gate, layers 1": math.log(4),
        "layers 2": math.log(2), "gate, layers 2": math.log(4),
    })


def test_claims_where_sinks_form_follow_losses_and_attention(copied):
    found = {claim.id: judge(claim, copied, "night") for claim in EVERY
             if claim.experiment == "sinks"}
    assert {name: verdict.verdict for name, verdict in found.items()} == {
        "hides-sinks-formed": "better", "hides-sinks-formed-two": "better",
        "sinks-form-large": "equivalent", "sinks-form-small": "better",
        "sinks-intensify": "better", "sinks-released": "better",
    }
    assert found["hides-sinks-formed"].effect == pytest.approx(math.log(2))


def test_a_map_is_that_of_the_first_compared_run_and_nobody_looks_ahead(copied):
    found = numbers.attention_map(copied, "gamma 1, layers 1")
    assert found.shape == (32, 32) and found[5, 0] == 0.6 and found[5, 5] == pytest.approx(0.4)
    assert np.isnan(found[np.triu_indices(32, 1)]).all() and np.nansum(found[7]) == 1
    assert numbers.attention_map(copied[:0], "gamma 1, layers 1") is None


def test_the_figures_of_sinks_say_what_is_looked_at_and_gained(copied):
    picture = figures.attention(copied, study("sinks", "night"), "night")
    assert "gamma 1, layers 1: 0.60, and 0.60 from triggers" in picture.alt
    assert "gamma 1, gate, layers 1: 0.10" in picture.alt and "layers 2" not in picture.alt
    picture = figures.formed(copied, "night")
    assert picture.anchor == "fig-formed" and "+0.69" in picture.alt and "+1.39" in picture.alt
    table = numbers.formed(copied).to_html()
    assert "100%" in table and "0.0020" in table


def test_without_runs_the_pictures_of_sinks_are_empty(copied):
    planned = study("sinks", "night")
    for picture in (figures.attention(copied[:0], planned, "night"),
                    figures.formed(copied[:0], "night")):
        assert picture.alt.startswith("Nothing is shown")
