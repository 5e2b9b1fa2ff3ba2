"""The learning-rate chapter: valleys with a known best_lr, gains that are known, and their words."""

import math
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_claim, made_up_record, under, words_of

from gammagpt import InitConfig, RunConfig, figures_disguise, frame, readings_disguise
from gammagpt.claims import judge, load_ledger
from gammagpt.data import DataConfig
from gammagpt.plots.picture import Picture
from gammagpt.valleys import (
    best_lr,
    dealt_exponents,
    exponent,
    fast_side,
    losses_by_rate,
    lower_end,
    lr_range,
    slow_side,
    upper_end,
)

BASE = RunConfig(data=DataConfig(fingerprint="f" * 64))  # width 64
GAMMAS, RATES = (0.5, 0.6, 0.8, 1.0, 1.2), tuple(0.001 * 2**i for i in range(7))
PARTS = {"embedding 0.8": 0.1, "attention 0.8": 0.0, "mlp 0.8": 0.2, "head 0.8": 0.05}


def run(init, rate=0.002, seed=0, loss=5.0, relative=False):
    init = InitConfig(gamma=init) if isinstance(init, float) else init
    optim = replace(BASE.optim, learning_rate=rate, relative=relative)
    config = replace(BASE, init=init, optim=optim, seed=seed)
    record = made_up_record(config, None if math.isinf(loss) else loss)
    return record, init.label + (readings_disguise.RELATIVE if relative else "")


def table(runs, role) -> pd.DataFrame:
    made = frame([record for record, _ in runs])
    made["setting"], made["role"], made["resolved"] = [name for _, name in runs], role, True
    return made


def valley(b=0.5, curvature=0.2, gammas=GAMMAS, rates=RATES, seeds=(1000, 1001), relative=False):
    """Tuning runs whose best rate is 0.016 x (std / 64^-0.5)^b; parabolas over log2 of the rate."""
    runs = []
    for gamma in gammas:
        best = math.log2(0.016) - 6 * b * (gamma - 0.5)  # log2 of 64 is 6
        wide = curvature(gamma) if callable(curvature) else curvature
        runs += [
            run(gamma, rate, seed, 4 + wide * (math.log2(rate) - best) ** 2, relative)
            for rate in rates for seed in seeds
        ]  # fmt: skip
    return table(runs, "tuning")


def compared(plain=0.5, relative=0.1, gammas=(0.5, 0.8, 1.0), roles=("common", "tuned"), lost=None):
    """Both kinds of steps; smaller gammas gain this much over gamma 0.5, give or take a little."""
    runs = []
    for steps, gain in ((False, plain), (True, relative)):
        for gamma in gammas:
            for seed in range(4):
                loss = 4.5 - (gamma > 0.5) * (gain + 0.01 * (seed % 2))
                loss = math.inf if (gamma, steps, seed) == lost else loss
                runs.append(run(gamma, 0.002, seed, loss, steps))
    return pd.concat([table(runs, role) for role in roles], ignore_index=True)


def by_part(together=0.6, roles=("common", "tuned"), lost=None) -> pd.DataFrame:
    """Gains as in PARTS, of which the sum is 0.35; all together gain `together`."""
    gains = {"": 0.0} | PARTS
    inits = {InitConfig(gamma=0.5, parts=part): gain for part, gain in gains.items()}
    inits[InitConfig(gamma=0.8)] = together
    runs = [
        run(init, 0.002, seed, math.inf if (init.parts, seed) == lost else
            5 - gain + 0.1 * seed + 0.001 * (seed % 2) * (gain > 0))
        for init, gain in inits.items() for seed in range(4)
    ]  # fmt: skip
    return pd.concat([table(runs, role) for role in roles], ignore_index=True)


NOTHING = pd.DataFrame()
MAKE = {
    "exchange": lambda: figures_disguise.exchange({"plain steps": valley()}, "laptop"),
    "slack": lambda: figures_disguise.slack(valley(), "laptop"),
    "relative": lambda: figures_disguise.relative(compared(), "laptop"),
    "parts": lambda: figures_disguise.parts(by_part(), "laptop", 0.5),
}


def is_drawn(picture) -> bool:
    """And no number that does not exist is told."""
    words = picture.alt.replace(";", " ").replace(",", " ").replace(".", " ").split()
    assert not {"nan", "inf", "+nan", "+inf", "-inf"} & set(words), picture.alt
    return ElementTree.fromstring(picture.svg()).tag.endswith("svg")


# ---- every figure ------------------------------------------------------------------------------


def test_every_public_figure_is_tested():
    functions = {name for name, thing in vars(figures_disguise).items() if callable(thing)
                 and getattr(thing, "__annotations__", {}).get("return") is Picture}  # fmt: skip
    assert functions - {"nothing"} == set(MAKE)


@pytest.mark.parametrize("name", MAKE)
def test_a_figure_has_ink_for_both_grounds_words_and_provenance(name):
    words = words_of(MAKE[name])
    assert any(label in words for label in ("loss", "gain", "octaves", "learning rate"))


def test_the_figures_of_claims_have_the_anchors_of_the_ledger():
    asked = {claim.figure for claim in load_ledger() if claim.notebook == "08_disguise"}
    assert asked == {MAKE["relative"]().anchor, MAKE["parts"]().anchor}


def test_without_runs_every_figure_says_so():
    for picture in (
        figures_disguise.exchange({"plain": NOTHING}, "laptop"),
        figures_disguise.slack(NOTHING, "laptop"),
        figures_disguise.relative(NOTHING, "laptop"),
        figures_disguise.parts(NOTHING, "laptop", 0.5),
        figures_disguise.parts(by_part(), "laptop", 0.7),  # a baseline that nobody ran
    ):
        assert is_drawn(picture) and picture.alt.startswith("Nothing is shown")


@pytest.mark.parametrize("lost", [(0.5, False, 1), (0.8, True, 0)])
def test_a_diverged_run_leaves_a_gap_and_no_nonsense(lost):
    picture = figures_disguise.relative(compared(lost=lost), "laptop")
    assert is_drawn(picture) and "not known" in picture.alt and "diverged" in under(picture)
    lost = ("" if lost[0] == 0.5 else "mlp 0.8", 1)
    assert is_drawn(figures_disguise.parts(by_part(lost=lost), "laptop", 0.5))


def test_one_kind_of_steps_one_role_or_one_setting_is_enough():
    assert is_drawn(figures_disguise.relative(compared(gammas=(0.5,)), "laptop"))
    assert is_drawn(figures_disguise.relative(compared(roles=("common",)), "laptop"))
    picture = figures_disguise.exchange({"plain": valley(gammas=(0.8,))}, "smoke")
    assert is_drawn(picture) and "exponent not known" in picture.alt
    assert is_drawn(figures_disguise.parts(by_part(roles=("common",)), "laptop", 0.5))


# ---- valleys -----------------------------------------------------------------------------------


def test_a_parabola_finds_the_rate_between_the_points_of_the_grid():
    rates = np.array([0.001, 0.004, 0.008, 0.016])  # steps need not be even
    losses = 3 + 0.3 * (np.log2(rates) - math.log2(0.005)) ** 2
    assert best_lr(rates, losses) == pytest.approx(math.log2(0.005))


@pytest.mark.parametrize("losses", [[1, 2, 3], [3, 2, 1], [2, 1, math.inf], [math.inf] * 3])
def test_a_best_rate_at_the_edge_or_beside_a_diverged_run_is_none(losses):
    assert math.isnan(best_lr(np.array([1.0, 2, 4]), np.array(losses, dtype=float)))


def test_the_bottom_lies_between_two_points_that_are_equally_low():
    rates = np.array([1.0, 2, 4, 8])
    assert best_lr(rates, np.array([3.0, 2, 1, 2])) == pytest.approx(2.0)
    assert best_lr(rates, np.array([2.0, 1, 1, 1])) == pytest.approx(1.5)


def test_the_exponent_is_that_of_the_valleys():
    for b in (0.25, 1.0):
        found = losses_by_rate(valley(b, rates=tuple(1e-6 * 2**i for i in range(18))))
        value, low, high = exponent(found)
        assert value == pytest.approx(b) and low == pytest.approx(b) and high == pytest.approx(b)
        assert abs(dealt_exponents(found, 200)).mean() < b  # shuffled, it is weaker


def test_few_settings_or_one_seed_give_no_interval():
    for runs in (valley(gammas=(0.5, 0.8, 1.0)), valley(seeds=(1000,))):
        value, low, high = exponent(losses_by_rate(runs))
        assert value == pytest.approx(0.5) and math.isnan(low) and math.isnan(high)


def test_fixed_stds_parts_and_unfinished_grids_are_no_valleys_of_a_gamma():
    runs = valley()
    fixed = table([run(InitConfig(std=0.02), rate, 1000) for rate in RATES], "tuning")
    part = table([run(InitConfig(gamma=0.5, parts="head 1"), r, 1000) for r in RATES], "tuning")
    found = losses_by_rate(pd.concat([runs.iloc[1:], fixed, part], ignore_index=True))
    assert list(found.gammas) == list(GAMMAS[1:])
    assert found.stds == pytest.approx(64.0 ** -np.array(GAMMAS[1:]))
    assert len(losses_by_rate(NOTHING)) == len(losses_by_rate(fixed)) == 0


def test_the_sides_of_a_valley_are_where_the_loss_has_risen():
    """Lowest at 4; 0.2 per octave below it, 0.4 above: 0.1 nats are half and a quarter octave."""
    rates, losses = np.array([1.0, 2, 4, 8, 16]), np.array([5.4, 5.2, 5, 5.4, 5.8])
    assert lower_end(rates, losses) == pytest.approx(1.5)
    assert upper_end(rates, losses) == pytest.approx(2.25)
    assert lr_range(rates, losses) == pytest.approx(0.75)
    at = best_lr(rates, losses)
    assert slow_side(rates, losses) == pytest.approx(at - 1.5)
    assert fast_side(rates, losses) == pytest.approx(2.25 - at)


def test_a_valley_that_the_grid_cuts_off_has_no_side_and_a_divergence_is_a_wall():
    rates = np.array([1.0, 2, 4])
    assert math.isnan(upper_end(rates, np.array([6, 5, 5.05])))
    assert upper_end(rates, np.array([6, 5, math.inf])) == 1.0
    assert math.isnan(lr_range(rates, np.full(3, math.inf)))
    picture = figures_disguise.slack(valley(curvature=0.01), "laptop")
    assert is_drawn(picture) and "the grid ends before" in picture.alt


def test_words_say_which_way_the_width_of_valleys_goes():
    def words(curvature):
        return readings.tolerance_in_words(losses_by_rate(valley(0.3, curvature)))

    assert "more sensitive" in words(lambda gamma: 0.04 * 2 ** (5 * gamma - 2.5))
    assert "less sensitive" in words(lambda gamma: 0.5 * 2 ** (2.5 - 5 * gamma))
    assert "cannot be compared" in words(0.001)
    assert readings.tolerance_in_words(losses_by_rate(NOTHING)) == "No valley is known here."


@pytest.mark.parametrize(
    "b, words",
    [
        ((0.5, 0.3, 0.7), "not exact"),
        ((0.9, 0.7, 1.1), "exact exchange is not excluded"),
        ((1.5, 1.2, 1.8), "more than the size"),
        ((0.2, -0.1, 0.4), "no exchange at all is not excluded"),
        ((0.5, -0.1, 1.4), "nor is an exact one"),
        ((-0.5, -0.7, -0.2), "larger"),
        ((0.5, math.nan, math.nan), "no more is said"),
    ],
)
def test_words_on_the_exponent_fit_whatever_it_is(b, words):
    assert words in readings._sort(b)


def test_the_exchange_law_in_words():
    words = readings.exchange_in_words(losses_by_rate(valley(0.5)))
    assert "falls 18.4 times and the best rate 4.3 times" in words  # 64^0.7, and its root
    assert "b = 0.50 [0.50, 0.50]" in words and "not exact" in words
    edge = readings.exchange_in_words(losses_by_rate(valley(2.0)))  # the last leave the grid
    assert "Left out, not resolved: " in edge and "gamma 1.2" in edge
    assert "no exchange law" in readings.exchange_in_words(losses_by_rate(NOTHING))


# ---- scales ------------------------------------------------------------------------------------


def test_a_scale_that_all_writers_share_cancels_and_that_of_the_head_does_not(tiny):
    config = replace(tiny, model=replace(tiny.model, norm_eps=0.0))
    found = readings_disguise.scaled(config, (0.25, 1, 4), windows=2)
    changed = found.set_index(["matrices", "factor"]).changed
    assert (changed.xs(1, level="factor") < 1e-12).all()
    assert changed[readings_disguise.TOGETHER].max() < 1e-12 < 1e-3 < changed["head"].max()
    same = found[found.matrices == readings_disguise.TOGETHER].loss
    assert same.max() - same.min() < 1e-12
    words = readings.scale_in_words(found)
    assert "over a range of factors of 16" in words and "nan" not in words


def test_relative_steps_are_the_rate_over_the_deviation():
    found = readings_disguise.relative_steps(losses_by_rate(valley(1.0, gammas=(0.5, 0.6))), 0.002)
    assert list(found["step / std at one learning rate"]) == pytest.approx([0.016, 0.002 * 64**0.6])
    assert list(found["step / std at the best rate"]) == pytest.approx([0.128, 0.128])
    assert len(readings_disguise.relative_steps(losses_by_rate(NOTHING), 0.002)) == 0


# ---- gains -------------------------------------------------------------------------------------


def test_gains_are_paired_and_each_kind_of_steps_has_its_own_baseline():
    alt = figures_disguise.relative(compared(plain=0.5, relative=0.1), "laptop").alt
    assert "plain steps, at one learning rate: gamma 0.8 +0.505" in alt
    assert "relative steps, each at its own best: gamma 0.8 +0.105" in alt
    lines = readings.gains_in_words(compared(roles=("common",)), "gamma 0.5")
    assert "gamma 1 +0.505 [" in lines[0] and lines[-1].endswith("own best rate: not run.")


def test_what_relative_steps_take_away_is_a_share_of_the_gap():
    words = readings.shrinking_in_words(compared(0.495, 0.095), "gamma 0.5")
    assert "80% of the gap of gamma 0.8, 80% of the gap of gamma 1" in words
    assert "no gap" in readings.shrinking_in_words(compared(-0.1, 0.1), "gamma 0.5")
    assert "not been run" in readings.shrinking_in_words(NOTHING, "gamma 0.5")


def test_what_relative_steps_do_at_the_usual_gamma_is_told():
    words = readings.by_itself_in_words(compared(), "gamma 0.5")
    assert "gain +0.000 [+0.000, +0.000] nats at one learning rate" in words
    assert "not been run" in readings.by_itself_in_words(NOTHING, "gamma 0.5")


def test_parts_have_a_sum_that_is_computed_seed_by_seed():
    table = readings_disguise.part_gains(by_part(), "common", 0.5)
    assert list(table) == ["embedding", "attention", "mlp", "head", "all", "sum"]
    assert table["sum"].mean() == pytest.approx(0.35, abs=0.01)
    assert "mlp +0.2" in figures_disguise.parts(by_part(), "laptop", 0.5).alt


def test_a_gain_hangs_on_both_best_rates():
    def edge(setting):
        runs = by_part()
        runs["resolved"] = (runs.role == "common") | (runs.setting != setting)
        assert is_drawn(figures_disguise.parts(runs, "laptop", 0.5))
        return readings_disguise.unresolved_parts(runs, 0.5)

    assert edge("gamma 0.5, mlp 0.8") == {"mlp", "sum"}
    assert edge("gamma 0.8") == {"all"}
    assert edge("gamma 0.5") == {"embedding", "attention", "mlp", "head", "all", "sum"}
    assert edge("none") == set()


@pytest.mark.parametrize(
    "together, words", [(0.6, "more than the sum"), (0.1, "less than the sum"), (None, "not run")]
)
def test_words_say_whether_parts_add_up(together, words):
    runs = by_part(together) if together else NOTHING
    assert words in readings.parts_in_words(readings_disguise.part_gains(runs, "common", 0.5), "common")


def test_parts_add_up_where_the_interval_holds_nothing_more():
    table = pd.DataFrame({"mlp": [0.1, 0.2], "sum": [0.3, 0.5], "all": [0.4, 0.4]})
    assert "**the parts add up**" in readings.parts_in_words(table, "tuned")
    lost = table.assign(sum=[0.3, math.nan])
    assert "not judged" in readings.parts_in_words(lost, "tuned")


def test_the_luck_of_tuning_is_the_worst_gap():
    tuned = compared(roles=("tuned",))
    runs = pd.concat([tuned, tuned.assign(role="tuning", loss=tuned.loss - 0.2)])
    words = readings.luck_in_words(runs)
    assert "+0.200 nats on average, and by +0.200 at worst" in words
    for runs in (NOTHING, tuned, tuned.assign(loss=math.inf)):
        assert readings.luck_in_words(runs) == "No tuned runs are there yet."


# ---- the story ---------------------------------------------------------------------------------


def judged(**said):
    """Verdicts of the chapter's claims, as in (effect, interval) +0.2 [0.1, 0.3]."""
    verdict = judge(made_up_claim(), compared(), "laptop")
    return {name.replace("_", "-"): replace(verdict, verdict=words, effect=0.2, low=0.1, high=0.3)
            for name, words in said.items()}  # fmt: skip


EXACT, NONE = (1.0, 0.8, 1.2), (0.0, -0.2, 0.2)
CLOCK = {"lower_loss_tuned": "contradicted", "relative_common": "supported",
         "relative_gain_tuned": "contradicted"}  # fmt: skip
MORE = {"lower_loss_tuned": "supported", "relative_common": "contradicted",
        "relative_gain_tuned": "supported"}  # fmt: skip


@pytest.mark.parametrize(
    "said, gain, b, answer",
    [
        (CLOCK, 0.0, EXACT, "sides with the clock"),
        (MORE, 0.0, NONE, "more than a learning rate"),
        (CLOCK, 0.5, EXACT, "Neither story is the whole one"),  # gamma 1 keeps a gain, unasked
        (CLOCK | {"lower_loss_tuned": "supported"}, 0.0, NONE, "Neither story"),
        (CLOCK | {"rule_usual_tuned": "supported"}, 0.0, EXACT, "Neither story"),
        ({}, 0.0, NONE, "Nothing is decided"),
        (dict.fromkeys(CLOCK, "inconclusive"), -0.1, (math.nan,) * 3, "Nothing is decided"),
    ],
)
def test_the_story_is_told_by_the_verdicts_whichever_way_they_went(said, gain, b, answer):
    runs = compared(gain, gain)
    runs["loss"] += 0.01 * (runs.seed % 2) * (runs.gamma > 0.5)  # the gain alone is left
    words = readings.story(readings.evidence(judged(**said), runs, b, "gamma 0.5"))
    assert answer in words and "nan" not in words


def test_a_gain_at_an_unresolved_rate_is_no_evidence():
    runs = compared(0.5, 0.5)
    edge = runs.assign(resolved=runs.gamma != 1.0)
    known = [readings.evidence({}, frame, NONE, "gamma 0.5")["against"] for frame in (runs, edge)]
    assert len(known[0]) == 2 and not known[1]


def test_evidence_that_is_missing_is_called_so():
    found = readings.evidence(judged(relative_common="supported"), NOTHING, NONE, "gamma 0.5")
    assert found["for"] == [
        "relative steps shrink the gap at one rate (+0.200 [+0.100, +0.300] nats)"
    ]
    assert "whether gamma 0.8 keeps a gain when tuned (not run)" in found["undecided"]
    assert not found["against"]


def test_a_flag_is_explained_by_the_runs_that_carry_another_rule_or_none():
    claim = made_up_claim(baseline="gamma 0.5", treatment="gamma 0.8", learning_rate="common")
    runs = compared()
    verdict = judge(claim, runs, "laptop")
    assert verdict.rule_changed
    frames = {claim.experiment: runs}
    assert "older than the rule" in readings.flags_in_words([verdict], frames)
    other = runs.assign(rules=[{claim.id: "another"}] * len(runs))
    words = readings.flags_in_words([verdict], {claim.experiment: other})
    assert "under another rule" in words and "older" not in words
    assert readings.flags_in_words([replace(verdict, flag="")], frames) == ""
