"""The chapter on the rule: five initializations, their valleys, a ring, and the words on them."""

import math
from dataclasses import replace
from types import SimpleNamespace
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers import made_up_record, refusal, small_anchor_run, words_of

from gammagpt import InitConfig, RunConfig, figures_rule, frame, readings_rule
from gammagpt.analysis.anchors import half_steps
from gammagpt.claims import judge, load_ledger, paired_interval
from gammagpt.data import DataConfig
from gammagpt.figures_gamma_scaling import HOLLOW
from gammagpt.plots.picture import Picture

BASE = RunConfig(data=DataConfig(fingerprint="f" * 64))
INITS = (InitConfig(gamma=0.5), InitConfig(gamma=1.0), InitConfig(None, 0.02, True),
         InitConfig(gamma=0.5, parts="embedding 2.35"),
         InitConfig(gamma=0.5, depth_scaling=True))  # fmt: skip
NAMES = [init.label for init in INITS]
MINE, USUAL = "gamma 1", "gamma 0.5"
RATES = (0.001, 0.002, 0.004, 0.008, 0.016)
QUESTIONS = {"common": ((0.002,), range(10, 14)), "tuned": ((0.004,), range(10, 14)),
         "tuning": (RATES, (1000, 1001))}  # fmt: skip


def loss_of(init, rate, seed) -> float:
    """A valley round 0.004; the usual start is 0.2 higher, and its valley twice as steep."""
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
                      for point in grid])  # fmt: skip
        resolved = ~(made.setting.isin(edge) & (role == "tuned"))
        parts.append(made.assign(role=role, resolved=resolved))
    return pd.concat(parts, ignore_index=True)


def _run(init, rate, seed, loss):
    optim = replace(BASE.optim, learning_rate=rate)
    return made_up_record(replace(BASE, init=init, optim=optim, seed=seed), loss)


RING = {"keys": "21..26", "tasks": "plain 1..6 sum, ring 51..56 modulo", "held_out": ""}


def emb(gammas=(0.3, 0.5, 0.8), roles=QUESTIONS, stuck=()) -> pd.DataFrame:
    """Plain is half learned at step 50; the ring then has gone some way, less for a large gamma.

    `stuck` gammas learn nothing at all.
    """
    parts = []
    for role in roles:
        rates, seeds = QUESTIONS[role]
        base = small_anchor_run("emb_mlp", data=RING).pinned()
        made = frame([_ring_run(base, g, rate, seed, g in stuck)
                      for g in gammas for rate in rates for seed in seeds])  # fmt: skip
        parts.append(made.assign(role=role, resolved=True))
    return pd.concat(parts, ignore_index=True)


def _ring_run(base, gamma, rate, seed, stuck):
    optim = replace(base.optim, learning_rate=rate)
    config = replace(base, init=InitConfig(gamma=gamma), optim=optim, seed=seed)
    chance = {"plain": _uncertain(), "ring": math.log(6)}
    end = {"plain": 0.0, "ring": 0.2 + 0.5 * gamma + 0.01 * gamma * (seed % 4)}
    shares = {name: [(0, 1.0), (100, 1.0 if stuck else end[name])] for name in end}
    curves = {n: [[s, v * chance[n]] for s, v in points] for n, points in shares.items()}
    record = made_up_record(config, 1.5, curve=[[0, 2.0], [100, 1.5]])
    return replace(record, curves=record.curves | curves)


def _uncertain() -> float:
    """The entropy of the sum of a key and two anchors, each uniform over six."""
    law = np.convolve(np.convolve(np.ones(6), np.ones(6)), np.ones(6)) / 6**3
    return float(-(law * np.log(law)).sum())


def ring_left(gamma, seeds=range(10, 14)) -> float:
    """Half of the way along a straight line."""
    ends = [0.2 + 0.5 * gamma + 0.01 * gamma * (seed % 4) for seed in seeds]
    return float(np.mean([(1 + end) / 2 for end in ends]))


NOTHING = pd.DataFrame()
MAKE = {
    "rule": lambda runs=None: figures_rule.rule(_or(runs, text), "laptop", MINE),
    "price": lambda runs=None: figures_rule.price(_or(runs, text), "laptop"),
    "ring": lambda runs=None: figures_rule.ring(_or(runs, emb), "laptop", "plain", "ring"),
    "cost": lambda runs=None: figures_rule.cost(_or(runs, text), "laptop"),
}
FEW = {
    "one role": lambda make: make(roles=["common"]),
    "tuning alone": lambda make: make(roles=["tuning"]),
    "tuned alone": lambda make: make(roles=["tuned"]),
}


def _or(runs, make):
    return make() if runs is None else runs


def is_drawn(picture) -> bool:
    """And no number that does not exist is told."""
    words = picture.alt.replace(";", " ").replace(",", " ").replace(".", " ").split()
    assert not {"nan", "inf", "[nan", "nan]", "+nan", "+inf", "-inf"} & set(words), picture.alt
    return ElementTree.fromstring(picture.svg()).tag.endswith("svg")


# ---- every figure ------------------------------------------------------------------------------


def test_every_public_figure_is_tested():
    functions = {name for name, thing in vars(figures_rule).items() if callable(thing)
                 and getattr(thing, "__annotations__", {}).get("return") is Picture}  # fmt: skip
    assert functions - {"nothing"} == set(MAKE)


@pytest.mark.parametrize("name", MAKE)
def test_a_figure_has_ink_for_both_grounds_words_and_provenance(name):
    words = words_of(MAKE[name])
    assert any(label in words for label in ("nats per token", "share left", "million tokens"))


def test_the_figures_of_the_claims_have_the_anchors_of_the_ledger():
    asked = {claim.figure for claim in load_ledger() if claim.notebook == "15_rule"}
    assert asked == {MAKE["rule"]().anchor, MAKE["ring"]().anchor, "fig-slow"}  # by `rule` too


@pytest.mark.parametrize("name", MAKE)
def test_without_runs_it_says_so(name):
    assert MAKE[name](NOTHING).alt.startswith("Nothing is shown")
    assert MAKE[name](pd.DataFrame({"role": []})).alt.startswith("Nothing is shown")


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("few", FEW)
def test_with_few_runs_it_is_drawn(name, few):
    make = emb if name == "ring" else text
    assert is_drawn(MAKE[name](FEW[few](make)))


@pytest.mark.parametrize("name", ["rule", "price", "cost"])
@pytest.mark.parametrize("inits", [INITS[:1], INITS[1:2]], ids=["without the rule", "rule alone"])
def test_one_initialization_is_enough(name, inits):
    assert is_drawn(MAKE[name](text(inits=inits)))


def test_one_gamma_and_runs_that_learn_nothing_can_be_drawn():
    assert is_drawn(MAKE["ring"](emb(gammas=(0.3,))))
    picture = MAKE["ring"](emb(stuck=(0.3,)))
    assert is_drawn(picture) and "not known at gamma 0.3" in picture.alt


@pytest.mark.parametrize("which", [(USUAL,), (MINE,), tuple(NAMES)])
def test_diverged_runs_are_told_and_get_no_mean(which):
    everywhere = [(n, rate, seed) for n in which for rate in RATES for seed in (11, 1000)]
    runs = text(lost=everywhere)
    for name in ("rule", "price", "cost"):
        assert is_drawn(MAKE[name](runs)) and "diverged)" in MAKE[name](runs).caption
    assert f"{which[0]} diverged on a seed" in MAKE["rule"](runs).alt
    assert "not known, a run diverged" in MAKE["rule"](runs).alt


# ---- the rule beside the others ----------------------------------------------------------------


def test_the_words_of_the_figure_are_those_of_the_runs_and_of_the_ledger():
    runs, alt = text(), MAKE["rule"]().alt
    for role in ("common", "tuned"):
        losses = runs[runs.role == role].pivot(index="seed", columns="setting", values="loss")
        for name in NAMES:
            assert f"{name} {losses[name].mean():.3f}" in alt
        mean, low, high = paired_interval(list(losses[USUAL] - losses[MINE]), 0.95)
        assert f"{USUAL} {mean:+.3f} [{low:+.3f}, {high:+.3f}]" in alt
        claim = next(c for c in load_ledger() if c.id == f"rule-usual-{role}")
        assert judge(claim, runs, "laptop").effect == pytest.approx(mean)


@pytest.mark.parametrize("which, hollow", [(USUAL, 2), (MINE, len(NAMES))])
def test_what_is_not_resolved_is_hollow(which, hollow):
    """Its own loss and its difference; all differences, if it is the rule's own rate."""
    assert _hollow(MAKE["rule"](text(edge=[which]))) == hollow
    assert _hollow(MAKE["rule"]()) == 0 and "not resolved" in MAKE["rule"]().caption


def _hollow(picture) -> int:
    """How many means have a marker without a face."""
    figure = plt.figure()
    picture.draw(figure)
    lines = [line for axes in figure.axes for line in axes.lines if line.get_marker() in "P^"]
    plt.close(figure)
    return sum(line.get_markerfacecolor() == HOLLOW for line in lines)


def test_a_lead_parts_exactly_into_price_and_rest():
    runs = text()
    price, one = readings_rule.price_of_common(runs), readings_rule.leads(runs, "common", MINE)
    own = readings_rule.leads(runs, "tuned", MINE)
    more = price[USUAL] - price[MINE]
    assert np.allclose(one[USUAL], own[USUAL] + more) and more.mean() == pytest.approx(0.1)
    words = readings.parted_in_words(runs, MINE, USUAL)
    assert f"by {one[USUAL].mean():+.3f}" in words and "+0.100 [+0.100, +0.100] is how" in words


def test_without_both_comparisons_a_lead_is_not_parted():
    for runs in (NOTHING, text(roles=["common"]), text(inits=INITS[:1])):
        assert "not both been run" in readings.parted_in_words(runs, MINE, USUAL)


def verdict(baseline, role, said, low=0.02, high=0.05):
    comparison = {"baseline": baseline, "treatment": MINE, "learning_rate": role}
    claim = SimpleNamespace(metric="loss", comparison=comparison)
    return SimpleNamespace(claim=claim, verdict=said, effect=(low + high) / 2, low=low, high=high,
                           reason="why")  # fmt: skip


@pytest.mark.parametrize(
    "said, words",
    [
        (("supported", "supported"), "over all of these**: gamma 1 ends lower than *a*, *b*."),
        (("supported", "inconclusive"), "some of these**: gamma 1 ends lower than *a*; is und"),
        (("supported", "contradicted"), "over some of these**"),
        (("contradicted", "contradicted"), "over none of these**: gamma 1 gains nothing"),
        (("supported", "worse"), "not the best of these, once rates are tuned**"),
        (("inconclusive", "not run"), "Nothing is decided here"),
    ],
)
def test_the_answer_is_given_by_the_tuned_verdicts(said, words):
    ends = {"worse": (-0.05, -0.02), "contradicted": (-0.005, 0.005)}
    found = [verdict(name, "common", "supported") for name in "ab"]
    for name, s in zip("ab", said, strict=True):
        own = "contradicted" if s == "worse" else s
        found.append(verdict(name, "tuned", own, *ends.get(s, (0.02, 0.05))))
    assert words in readings.answer(found, MINE)


def test_each_rival_has_a_line_with_both_verdicts():
    found = [verdict("a", "common", "supported"), verdict("a", "tuned", "inconclusive")]
    lines = readings.rivals_in_words(found, MINE)
    assert "holds at one learning rate (+0.035 [+0.020, +0.050]; why)" in lines
    assert "is not decided each at its own best" in lines and "nan" not in lines
    assert readings.rivals_in_words([], MINE) == "No claim compares them."
    of_gains = verdict("c", "tuned", "supported")  # a claim on a difference of gains: no rival
    of_gains.claim.comparison["against"] = ["a", "b"]
    assert readings.rivals_in_words([*found, of_gains], MINE) == lines


# ---- valleys -----------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [-0.4, 0.0, 0.3])
def test_the_mean_of_both_sides_does_not_depend_on_where_the_grid_lies(offset):
    rates = np.array(RATES)
    losses = 4 + 0.3 * (np.log2(rates / 0.004) - offset) ** 2
    assert readings_rule.either_way(rates, losses) == pytest.approx(0.3)
    assert readings_rule.too_fast(rates, losses) == pytest.approx(0.3 * (1 - 2 * offset))
    assert readings_rule.too_slow(rates, losses) == pytest.approx(0.3 * (1 + 2 * offset))


def test_beyond_the_grid_nothing_is_known_and_a_divergence_is_no_number():
    rates = np.array(RATES)
    assert math.isnan(readings_rule.too_slow(rates, np.array([1, 2, 3, 4, 5.0])))
    assert math.isinf(readings_rule.too_fast(rates, np.array([3, 2, 1, math.inf, math.inf])))
    assert readings_rule.too_slow(rates, np.array([3, 2, 1, math.inf, math.inf])) == 1
    assert math.isnan(readings_rule.too_fast(rates, np.full(5, math.inf)))
    wide = np.array([0.001, 0.004, 0.016])  # steps of four: half of the straight line
    assert readings_rule.too_fast(wide, np.array([3, 1, 2.0])) == pytest.approx(0.5)


def test_the_price_of_a_factor_of_two_is_that_of_the_valley():
    table = readings_rule.factor_of_two(text())
    assert list(table.index) == NAMES and (table["best rate"] == 0.004).all()
    assert table["mean of both"][USUAL] == pytest.approx(0.2)
    assert table["mean of both"][MINE] == pytest.approx(0.1)
    assert f"{USUAL} 0.200 and 0.200" in MAKE["price"]().alt
    assert readings_rule.factor_of_two(NOTHING).empty


def test_a_setting_whose_grid_is_not_whole_has_no_valley():
    runs = text()
    missing = (runs.setting == USUAL) & (runs.learning_rate == 0.016) & (runs.seed == 1000)
    assert list(readings_rule.by_rate(runs[~missing])[0]) == NAMES[1:]


def test_words_say_which_valley_forgives_more():
    words = readings.sensitive_in_words(text(), MINE, USUAL)
    assert "0.100 nats with gamma 1 and 0.200 with gamma 0.5" in words
    assert f"**{MINE} is less sensitive**" in words
    assert f"**{USUAL} is more sensitive**" in readings.sensitive_in_words(text(), USUAL, MINE)

    def torn(init, rate, seed):
        steep = 0.1 + 0.05 * (init == INITS[0]) * (-1 if seed == 1000 else 1)
        return 4 + steep * math.log2(rate / 0.004) ** 2

    assert "do not agree" in readings.sensitive_in_words(text(torn), MINE, USUAL)
    edges = text(lambda init, rate, seed: 4 + rate)
    assert "cannot be compared" in readings.sensitive_in_words(edges, MINE, USUAL)
    assert "not both been run" in readings.sensitive_in_words(NOTHING, MINE, USUAL)


# ---- cost --------------------------------------------------------------------------------------


def test_the_cost_is_seconds_for_a_million_tokens_of_each_run_once():
    """A made-up run takes 1.5 seconds for 819,200 tokens."""
    runs = text()
    assert readings_rule.pace(pd.concat([runs, runs])).pace.to_numpy() == pytest.approx(1.5 / 0.8192)
    assert len(readings_rule.pace(pd.concat([runs, runs]))) == runs.key.nunique()
    assert f"{USUAL} {1.5 / 0.8192:.1f}" in MAKE["cost"]().alt
    assert "a factor of 1.00; runs of one" in readings.pace_in_words(runs)
    assert readings.pace_in_words(NOTHING) == "No run is there yet."


# ---- before any training -----------------------------------------------------------------------


def test_fresh_models_are_measured_and_each_is_what_its_rule_says():
    table = readings_rule.drawn({init.label: replace(BASE, init=init) for init in INITS})
    assert table[MINE]["head.weight"] == pytest.approx(1 / 64, rel=0.05)
    assert table[NAMES[2]]["blocks.0.mlp.down.weight"] == pytest.approx(0.01, rel=0.05)
    assert table[NAMES[3]]["embedding.weight"] == pytest.approx(64**-2.35, rel=0.05)
    deeper = table[NAMES[4]]["blocks.1.mlp.gate.weight"]
    assert deeper == pytest.approx(table[USUAL]["blocks.1.mlp.gate.weight"] / 2**0.5)
    first = table.loc["RMS after the first norm"]
    assert first[USUAL] == pytest.approx(1, abs=0.01) and first[NAMES[3]] < 0.1


def test_a_model_that_is_not_drawn_as_it_should_be_is_refused(monkeypatch):
    wrong = replace(BASE, init=InitConfig(gamma=0.6))
    build = readings.build_model
    monkeypatch.setattr(readings, "build_model", lambda config: build(wrong))
    assert "embedding.weight is not drawn as" in refusal(readings_rule.drawn, {USUAL: BASE})


def test_no_token_tells_anything_of_the_ring_until_all_are_known():
    table = readings_rule.uncertainty(small_anchor_run("emb_mlp", data=RING).data)
    assert list(table.index) == ["plain", "ring"]
    assert table.loc["plain", "nothing"] == pytest.approx(_uncertain())
    assert table.loc["plain", "the key"] < table.loc["plain", "nothing"]
    assert table.loc["plain", "both"] == pytest.approx(math.log(6))
    ring = table.loc["ring"]
    for words in ("nothing", "an anchor", "the key", "both"):
        assert ring[words] == pytest.approx(math.log(6))
    assert (table["all of it"] == 0).all()


# ---- the ring ----------------------------------------------------------------------------------


def test_the_words_on_the_ring_are_those_of_the_runs():
    runs, alt = emb(), MAKE["ring"]().alt
    for gamma in (0.3, 0.5, 0.8):
        assert f"{ring_left(gamma):.2f} at gamma {gamma:g}" in alt
    claim = next(c for c in load_ledger() if c.id == "uninformative-common")
    effect = judge(claim, runs, "laptop").effect
    assert effect == pytest.approx(ring_left(0.8) - ring_left(0.3))
    words = readings.ring_in_words(runs, "ring_left_at_plain", ("gamma 0.3", "gamma 0.8"))
    assert f"the difference is {effect:+.3f}" in words
    assert f"room for {1 - ring_left(0.3):.2f}" in words


@pytest.mark.parametrize("runs", [NOTHING, pd.DataFrame({"role": []})])
def test_without_runs_the_ring_is_not_run(runs):
    words = readings.ring_in_words(runs, "ring_left_at_plain", ("gamma 0.3", "gamma 0.8"))
    assert words.count("not run") == 2


def test_a_seed_that_lacks_a_side_is_left_out():
    runs = emb()
    sides = "gamma 0.3", "gamma 0.8"
    lacking = (runs.setting == sides[1]) & (runs.seed != 10) & (runs.role == "common")
    words = readings.ring_in_words(runs[~lacking], "ring_left_at_plain", sides)
    assert f"{ring_left(0.3, [10]):.2f} is left with gamma 0.3" in words
    assert f"the difference is {ring_left(0.8, [10]) - ring_left(0.3, [10]):+.3f}, and" in words


def test_runs_that_did_not_get_that_far_are_no_number():
    words = readings.ring_in_words(emb(stuck=(0.3,)), "ring_left_at_plain",
                                   ("gamma 0.3", "gamma 0.8"))  # fmt: skip
    assert "an unknown share is left with gamma 0.3" in words and "nan" not in words


def test_the_steps_to_half_are_told_by_what_chapter_3_uses():
    runs = emb(roles=["common"])
    assert change_of_steps(runs, "plain", ("gamma 0.3", "gamma 0.8")) == "50 and 50"
    assert list(half_steps(runs, ("plain", "ring")).setting) == ["gamma 0.3", "gamma 0.5",
                                                                 "gamma 0.8"]  # fmt: skip
