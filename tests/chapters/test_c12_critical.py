"""How small is too small: tuned losses by gamma, the law's rates, and the map."""

import math

import pandas as pd
import pytest

from gammagpt import Store, advise
from gammagpt.analysis import plateau, tuned
from gammagpt.chapters.c12_critical import figures, numbers
from gammagpt.ledger.claims import load_ledger
from gammagpt.registry.studies import study


def runs_of(loss, collapsed=(), edge=()) -> pd.DataFrame:
    """Tuned runs of a few gammas, six seeds each."""
    rows = [{"setting": f"gamma {gamma:g}", "gamma": gamma, "role": "tuned", "seed": seed,
             "key": f"{gamma}{seed}", "loss": loss(gamma) + 0.001 * seed, "learning_rate": 0.01,
             "width": 64, "warmup": 0.3, "steps": 453, "resolved": gamma not in edge,
             "collapsed": (gamma, seed) in collapsed}
            for gamma in (0.5, 0.8, 1.0, 1.5) for seed in range(6)]
    return pd.DataFrame(rows)


def bowl(gamma) -> float:
    return 3.5 + (gamma - 1) ** 2


def test_a_setting_with_a_collapsed_run_or_at_an_edge_is_hollow_and_no_other_is():
    found = tuned.sound(runs_of(bowl, collapsed={(1.5, 3)}, edge={0.5}))
    hollow = set(found.gamma[~found.resolved])
    assert hollow == {0.5, 1.5} and len(found) == 24
    assert numbers.lowest(runs_of(bowl)) == pytest.approx(3.5 + 0.0025)


@pytest.mark.parametrize("width", [32, 64, 128])
def test_at_its_critical_rate_a_gamma_is_the_critical_one(width):
    for gamma in (0.4, 0.6, 0.8):
        rate = numbers.critical_rate(gamma, width)
        found = plateau.critical_gamma(width, rate, warmup_steps=1)  # so few that there is one
        assert found == pytest.approx(gamma)
    assert advise(width, 1e-5, 1000).critical_gamma is None


def test_the_map_is_empty_without_records_and_the_figures_say_so(tmp_path):
    found = numbers.on_map(Store(tmp_path))
    assert not len(found) and "Nothing is shown" in figures.collapse_map(found, "night").alt
    none = study("critical_text", "night").collect(Store(tmp_path))
    assert "Nothing is shown" in figures.critical(none, "night").alt
    assert "Nothing is shown" in figures.rates(none, "night").alt


def test_no_claim_compares_two_settings_whose_runs_were_there_before():
    """gamma 0.5 and 1 of the text, 0.5, 0.8 and 1 of the Emb-MLP are other chapters' runs."""
    known = {"critical_text": {"gamma 0.5", "gamma 1"},
             "critical_balance": {"gamma 0.5", "gamma 0.8", "gamma 1"}}
    claims = [claim for claim in load_ledger() if claim.notebook == "12_critical"]
    assert len(claims) >= 5
    for claim in claims:
        assert not set(claim.settings) <= known[claim.experiment], claim.id


def test_the_expected_rate_of_a_large_initialization_goes_with_its_std():
    settings = study("critical_text", "night").settings
    rates = {name: run.optim.learning_rate for name, run in settings.items()}
    assert rates["gamma 0.3"] / rates["gamma 0.5"] == pytest.approx(64**0.2, rel=1e-3)
    assert rates["gamma 1"] == rates["gamma 1.5"] and math.isfinite(rates["gamma 0.65"])
