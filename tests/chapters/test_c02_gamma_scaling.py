"""Does it train better: gains by size from made-up records, and the landing page's figure."""

import math
from dataclasses import replace

import pytest
from helpers import made_up_study, refusal

from gammagpt import Store
from gammagpt.chapters.c02_gamma_scaling import figures, numbers
from gammagpt.lab.recipe import expected_rate
from gammagpt.ledger.claims import load_ledger
from gammagpt.ledger.judge import judge
from gammagpt.registry.studies import studies, study

CLAIMS = {c.id: c for c in load_ledger() if c.notebook == "02_gamma_scaling"}


def loss_of(name: str, seed: int) -> float:
    """gamma 1 gains 0.2 over gamma 0.5, whatever the size, and nothing over std 0.02."""
    return 3.8 - 0.2 * ("gamma 0.5" not in name) + 0.003 * (seed % 5)


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """All studies of tier laptop, made up; every best rate is the expected one."""
    store = Store(tmp_path_factory.mktemp("records"))
    return {name: made_up_study(planned, store, loss_of)
            for name, planned in studies("02_gamma_scaling", "laptop").items()}


def test_a_gain_is_what_its_claim_is_judged_by(frames):
    runs = frames["lower_loss_width"]
    shown = numbers.gains(runs, "width", "gamma 1").set_index(["size", "baseline"])
    judged = judge(CLAIMS["lower-loss"], runs, "laptop")
    row = shown.loc[(64, "gamma 0.5")]
    assert (row.effect, row.low, row.high) == pytest.approx(judged.shown)
    assert judged.verdict == "better" and row.effect == pytest.approx(0.2)
    assert judge(CLAIMS["lower-loss-gpt2"], runs, "laptop").verdict == "equivalent"


@pytest.mark.parametrize("side", ["gamma 0.5, width 64", "gamma 1, width 64"])
def test_a_collapse_or_an_edge_on_either_side_makes_a_gain_hollow(frames, side):
    runs = frames["lower_loss_width"]
    of_side = (runs.setting == side) & (runs.role == "tuned")
    one = of_side & (runs.seed == runs.seed[of_side].min())
    for marked in (runs.assign(collapsed=runs.collapsed | one),
                   runs.assign(resolved=runs.resolved & ~of_side)):
        hollow = numbers.gains(marked, "width", "gamma 1").set_index(["size", "baseline"]).resolved
        assert not hollow[64, "gamma 0.5"] and hollow[32, "gamma 0.5"]


def test_the_landing_pages_figure_has_all_rates_and_both_gains(frames):
    picture = figures.answer(frames, "laptop", "gamma 1")
    assert picture.anchor == "fig-answer"
    for words in ("warm-up 0.05", "warm-up 0.3", "tuned, by width", "tuned, by layers", "+0.200"):
        assert words in picture.alt.lower(), words
    none = {name: runs[:0] for name, runs in frames.items()}
    assert "Nothing is shown" in figures.answer(none, "laptop", "gamma 1").alt


def test_without_a_warm_up_there_is_a_rate_to_expect():
    run = study("lower_loss_width", "night").settings["gamma 1, width 64"]
    cold = replace(run, optim=replace(run.optim, warmup=0.0))
    assert 0 < expected_rate(cold) < expected_rate(run)


@pytest.mark.parametrize("name, value", [
    ("tokens_per_parameter", math.nan), ("tokens_per_parameter", math.inf),
    ("tokens_per_parameter", 10**40), ("tokens_per_parameter", -1.0),
    ("tokens_per_parameter", 0.0), ("longer_factors", [math.nan]), ("longer_factors", [-1.0]),
])  # fmt: skip
def test_tokens_that_no_run_can_have_are_refused(name, value):
    message = refusal(studies, "02_gamma_scaling", "smoke", **{name: value})
    assert message.startswith("tokens_per_parameter: got") and "allowed is above 0" in message


def test_a_bias_is_asked_for_only_at_a_width_that_is_there():
    message = refusal(studies, "02_gamma_scaling", "smoke", bias_widths=[24])
    assert message == "bias_widths: got [24], allowed are among [16, 32]"
