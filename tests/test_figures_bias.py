"""Figures of anchor functions: what they say is computed, and censored runs are never dropped."""

import itertools
import math
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from helpers import made_up_claim, made_up_record, small_anchor_run, under, words_of

from gammagpt import InitConfig, figures_bias, figures_labels, frame, readings_bias
from gammagpt.analysis import anchor_figures, label_losses, levels, pictures
from gammagpt.analysis import anchors as anchor_runs
from gammagpt.data.anchors import AnchorConfig, keys, parse_tasks
from gammagpt.measures import chance_losses
from gammagpt.plots.picture import Picture

STEPS = (0, 25, 50, 75, 100)
BASE = small_anchor_run(
    "emb_mlp", steps=100, data={"held_out": "11+13, 13+11"}, optim={"learning_rate": 0.004}
).pinned()  # fmt: skip
# Shares left at each of the steps: reasoning is half learned at step 50, memory at 75 or never.
SOON = {"memory": (1, 1, 0.75, 0.5, 0.25), "reasoning": (1, 0.75, 0.5, 0.25, 0),
        "unseen": (1, 0.8, 0.6, 0.4, 0.2)}  # fmt: skip
NEVER = SOON | {"memory": (1, 1, 0.95, 0.9, 0.8)}
NOTHING = {name: (1,) * 5 for name in SOON}


def run(gamma, seed=1, shares=SOON, *, rate=0.004, loss=1.0, accuracy=0.5, in_range=None):
    """A record whose losses are these shares of guessing; shares of None diverged at once."""
    optim = replace(BASE.optim, learning_rate=rate)
    config = replace(BASE, init=InitConfig(gamma=gamma), seed=seed, optim=optim)
    if shares is None:
        return replace(made_up_record(config, None), curves={"validation": [], "train": []})
    chance, curves = chance_losses(config.data, seed), {"validation": [[0, 4.0], [100, loss]]}
    for name, values in shares.items():
        curves[name] = [[s, v * chance[name]] for s, v in zip(STEPS, values, strict=True)]
        curves[f"{name}_accuracy"] = [[s, accuracy * s / 100] for s in STEPS]
    record = made_up_record(config, loss)
    final = {f"{name}_loss": curve[-1][1] for name, curve in curves.items()}
    probes = [{"step": s, "geometry": probe(in_range)} for s in (0, 1, 10, 100)] if in_range else []
    return replace(record, curves=curves, final=record.final | final, probes=probes)


def probe(in_range) -> dict:
    """The geometry that measures.py wants, all of it the same but the answers inside a range."""
    anchors = [anchor for _, among, _ in parse_tasks(BASE.data) for anchor in among]
    tokens = [*anchors, *keys(BASE.data)]
    count = len(anchors) * (len(anchors) - 1) // 2
    return {
        "anchors": anchors, "cosine": list(np.linspace(0, 0.9, count)), "in_range": in_range,
        "pca": {"tokens": tokens, "plane": [[t, 0] for t in tokens], "shares": [1.0]},
        "used": {"stable_rank": 2.0, "effective_rank": 2.0, "pairs_alike": 0.1},
        "gradient": {"memory": 1.0},
    }  # fmt: skip


def runs(shares=None, *, seeds=(1, 2, 3), roles=("common", "tuned"), **named) -> pd.DataFrame:
    """The compared runs of gamma 0.3, which learns both, and of gamma 0.8, which only reasons."""
    shares = shares or {0.3: SOON, 0.8: NEVER}
    made = frame([run(g, seed, s, **named) for g, s in shares.items() for seed in seeds])
    return pd.concat([made.assign(role=role, resolved=True) for role in roles], ignore_index=True)


def tuning(rates=(0.002, 0.004), loss=lambda gamma, rate: gamma + rate, shares=SOON):
    records = [run(g, seed, shares, rate=rate, loss=loss(g, rate))
               for g in (0.3, 0.8) for rate in rates for seed in (1000, 1001)]  # fmt: skip
    return frame(records).assign(role="tuning", resolved=True)


def left(frames):
    return {title: (made, "memory_left_at_reasoning") for title, made in frames.items()}


INSIDE = {"memory": 0.75, "reasoning": 1.0, "unseen": 0.5}
BOTH = {"Emb-MLP": runs(), "Transformer": runs({0.3: NEVER})}
MAKE = {
    "task_curves": lambda: anchor_figures.task_curves(runs(roles=["common"]), "laptop"),
    "time_gap": lambda: figures_bias.time_gap(BOTH, "laptop"),
    "paths": lambda: anchor_figures.paths(BOTH, "laptop", known=0.7),
    "against_gamma": lambda: pictures.against_gamma(
        left(BOTH), "laptop", "memory left", "fig-left", line=(0.5, "both alike")
    ),
    "rate_planes": lambda: pictures.rate_planes(
        left({"Emb-MLP": tuning()}), "laptop", "memory left", "fig-left-plane"
    ),
    "range_shares": lambda: figures_labels.range_shares(
        runs({0.8: NEVER}, roles=["common"], in_range=INSIDE), "laptop"
    ),
}


def is_drawn(picture) -> bool:
    """And no number that does not exist is told."""
    words = picture.alt.replace(";", " ").replace(",", " ").replace(".", " ").split()
    assert not {"nan", "inf", "-inf"} & set(words), picture.alt
    return ElementTree.fromstring(picture.svg()).tag.endswith("svg")


# ---- every figure ------------------------------------------------------------------------------


def test_every_public_figure_is_tested():
    functions = {name for name, thing in vars(figures_bias).items() if callable(thing)
                 and getattr(thing, "__annotations__", {}).get("return") is Picture}  # fmt: skip
    assert functions - {"nothing"} == set(MAKE)


@pytest.mark.parametrize("name", MAKE)
def test_a_figure_has_ink_for_both_grounds_words_and_provenance(name):
    words = words_of(MAKE[name])  # as can be searched
    assert any(label in words for label in ("step", "gamma (std", "left", "learning rate"))


def test_runs_that_only_tuned_are_not_counted_where_they_are_not_shown():
    both = pd.concat([runs(), tuning()])
    for picture in (anchor_figures.paths({"Emb-MLP": both}, "laptop"),
                    figures_bias.time_gap({"Emb-MLP": both}, "laptop")):  # fmt: skip
        assert "6 runs, seeds 1, 2, 3;" in under(picture)


# ---- the finding in words ------------------------------------------------------------------------


def test_task_curves_say_where_each_task_ends():
    chance = chance_losses(BASE.data, 1)["memory"]  # of ten keys, drawn at random
    alt = anchor_figures.task_curves(runs({0.3: SOON}, seeds=[1], roles=["common"]), "laptop").alt
    assert f"gamma 0.3: memory {0.25 * chance:.2f}, reasoning 0.00" in alt
    alt = anchor_figures.task_curves(runs(roles=["common"]), "laptop", "accuracy").alt
    assert "accuracy" in alt and "gamma 0.8: memory 0.50, reasoning 0.50, unseen 0.50" in alt


def test_the_gap_in_time_is_a_ratio_and_never_half_learned_is_a_bound():
    """Memory at step 75 against reasoning at 50 is 1.5; never within 100 steps is at least 2."""
    picture = figures_bias.time_gap({"Emb-MLP": runs(roles=["common"])}, "laptop")
    assert "1.5 at gamma 0.3, at least 2.0 at gamma 0.8" in picture.alt
    assert "bounds, 3 of 6 dots, where" in under(picture)
    other_way = figures_bias.time_gap({"Emb-MLP": runs()}, "laptop", "reasoning", "memory")
    assert "0.7 at gamma 0.3, at most 0.5 at gamma 0.8" in other_way.alt


def test_a_bound_among_numbers_makes_their_mean_a_bound():
    mixed = pd.concat([runs({0.8: SOON}, seeds=[1, 2]), runs({0.8: NEVER}, seeds=[3])])
    assert "at least 1.7 at gamma 0.8" in figures_bias.time_gap({"a": mixed}, "laptop").alt


def test_a_run_that_half_learned_nothing_has_no_gap():
    picture = figures_bias.time_gap({"a": runs({0.8: NOTHING, 0.3: SOON})}, "laptop")
    assert "gamma 0.3" in picture.alt and "gamma 0.8" not in picture.alt
    assert is_drawn(picture)


def test_what_is_left_of_memory_is_told_by_model_and_learning_rate():
    """When half of reasoning is left, at step 50, 0.75 or 0.95 of memory is."""
    for picture in (MAKE["paths"](), MAKE["against_gamma"]()):
        assert "Emb-MLP, at one learning rate: 0.75 at gamma 0.3, 0.95 at gamma 0.8" \
            in picture.alt  # fmt: skip
        assert "Transformer, each at its own best: 0.95 at gamma 0.3" in picture.alt


def test_the_plane_tells_the_ends_of_each_row_and_frames_the_rate_with_the_lowest_loss():
    def shares(rate):
        return SOON if rate == 0.002 else NEVER

    parts = [tuning([rate], shares=shares(rate)) for rate in (0.002, 0.004)]
    picture = pictures.rate_planes(left({"Emb-MLP": pd.concat(parts)}), "laptop", "left", "a")
    assert "gamma 0.3 0.75 at 0.002 to 0.95 at 0.004" in picture.alt
    assert picture.svg().count(b"#c1121f") == 2  # one frame a row, at the lowest loss


def test_answers_in_range_are_told_at_a_tenth_of_the_steps_beside_the_right_ones():
    """At step 10 of 100 an accuracy that grows to a half is 0.05."""
    alt = MAKE["range_shares"]().alt
    assert "memory 0.75 at step 10, where 0.05 are right" in alt


# ---- runs that lack something --------------------------------------------------------------------


CASES = {
    "a setting diverged": lambda: runs({0.3: SOON, 0.8: None}),
    "all diverged": lambda: runs({0.3: None, 0.8: None}),
    "one setting": lambda: runs({0.8: NEVER}),
    "one seed": lambda: runs(seeds=[1]),
    "nothing learned": lambda: runs({0.3: NOTHING, 0.8: NOTHING}),
    "nothing held out, nothing tuned": lambda: runs(
        {0.3: {name: shares for name, shares in SOON.items() if name != "unseen"}}, roles=["common"]
    ),
    "eight gammas": lambda: runs(dict.fromkeys((0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0), SOON)),
}


DRAW = {
    "task_curves": lambda made: anchor_figures.task_curves(made, "smoke"),
    "time_gap": lambda made: figures_bias.time_gap({"a": made}, "smoke"),
    "paths": lambda made: anchor_figures.paths({"a": made}, "smoke", left="unseen"),
    "against_gamma": lambda made: pictures.against_gamma(
        left({"a": made}) | {"b": (made, "no_such_measure")}, "smoke", "m", "x"
    ),
    "range_shares": lambda made: figures_labels.range_shares(made, "smoke"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", DRAW)
def test_a_figure_survives_what_is_missing_and_says_no_nonsense(name, case):
    assert is_drawn(DRAW[name](CASES[case]()))


def test_a_run_without_the_number_is_counted_and_its_setting_has_no_mean():
    part = pd.concat([runs(), runs({0.8: NOTHING}, seeds=[4])])
    picture = pictures.against_gamma(left({"a": part}), "laptop", "left", "x")
    assert "2 runs have no such number" in under(picture)  # one, in both roles
    assert "gamma 0.3" in picture.alt and "gamma 0.8" not in picture.alt


def test_a_diverged_cell_is_named_in_a_plane_of_losses():
    made = pd.concat([tuning([0.002]), tuning([0.004], shares=None)])
    picture = pictures.rate_planes({"a": (made, "loss")}, "laptop", "final loss", "x")
    words = " ".join(ElementTree.fromstring(picture.svg()).itertext())
    assert words.count("diverged") == 2 and is_drawn(picture)
    lacking = pictures.rate_planes(left({"a": tuning(shares=NOTHING)}), "laptop", "m", "x")
    assert "gamma 0.3 never" in lacking.alt and is_drawn(lacking)


# ---- numbers for pages ---------------------------------------------------------------------------


def entropy(values) -> float:
    _, counts = np.unique(list(values), return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def test_what_could_be_known_of_a_sum_and_of_a_random_table():
    data = AnchorConfig(keys="21..30", tasks="memory 1..3 random, reasoning 11..13 sum",
                        held_out="", length=3, samples=0, vocab_size=61)  # fmt: skip
    told = label_losses.told_losses(data)
    assert told.loc["memory", "the task":].tolist() == pytest.approx([math.log(10)] * 4)
    pairs = list(itertools.product((11, 12, 13), repeat=2))
    sums = [key + one + two for key in range(21, 31) for one, two in pairs]
    assert told.loc["reasoning", "the task"] == pytest.approx(entropy(sums))
    assert told.loc["reasoning", "and the key"] == pytest.approx(entropy(a + b for a, b in pairs))
    with_an_anchor = entropy(key + two for key in range(21, 31) for two in (11, 12, 13))
    assert told.loc["reasoning", "and an anchor"] == pytest.approx(with_an_anchor)
    assert told.loc["reasoning", "and all of it"] == pytest.approx(0)
    assert (told["nothing"] > told["the task"]).all()


def test_what_could_be_known_of_ranges_and_of_labels_near_the_key():
    tasks = "a 1..2 30..39, b 3..4 30..49, near 5..6 near"
    data = AnchorConfig(keys="21..30", tasks=tasks, held_out="", length=3, samples=0)
    told = label_losses.told_losses(data)
    assert told.loc["a", "the task":].tolist() == pytest.approx([math.log(10)] * 4)
    assert told.loc["b", "and all of it"] == pytest.approx(math.log(20))
    sums = [5 + 5, 5 + 6, 6 + 5, 6 + 6]
    law = np.mean([math.log(2 * total + 1) for total in sums])
    assert told.loc["near", "and all of it"] == pytest.approx(law)
    assert told.loc["near", "the task"] > told.loc["near", "and the key"] > law


def test_who_does_not_see_the_order_cannot_learn_a_table_of_pairs():
    """Of nine pairs, six are two by two the same without their order: at most log 2 nats each."""
    data = AnchorConfig(keys="21..60", tasks="memory 1..3 random, reasoning 11..13 sum",
                        held_out="", length=3, samples=0, vocab_size=101)  # fmt: skip
    blind = label_losses.blind_losses(data, seed=1)
    most = 6 / 9 * math.log(2)
    assert 0.9 * most < blind["memory"] <= most + 1e-9 and blind["reasoning"] == 0
    one = replace(data, anchors=1, length=2)
    assert label_losses.blind_losses(one, seed=1).tolist() == [0, 0]


@pytest.mark.parametrize("tasks, names", [
    ("memory 1..4 random, reasoning 11..14 sum", ("memory", "reasoning")),
    ("adds 1..4 sum, learns 11..14 30..39", ("learns", "adds")),
    ("one 1..4 random, two 11..14 random", ("two", "one")),
    ("one 1..4 sum, two 11..14 sum", ("two", "one")),
    ("only 1..4 sum", ("only", "only")),
])  # fmt: skip
def test_rivals_are_found_whatever_the_tasks_are_called(tasks, names):
    assert readings_bias.rivals(AnchorConfig(tasks=tasks, held_out="")) == names


def test_a_level_is_crossed_on_the_line_between_two_points_or_never():
    points = np.array([[0, 4.0], [10, 2.0], [20, 3.0], [30, 1.0]])
    assert levels.crossing(points, 3.0) == 5
    assert levels.crossing(points, 5.0) == 0
    assert math.isnan(levels.crossing(points, 0.5))
    assert math.isnan(levels.crossing(np.empty((0, 2)), 0.5))


def test_left_at_a_half_is_the_measure_that_the_rules_use():
    made = runs(seeds=[1, 2], roles=["common"])
    for row in made.itertuples():
        at_half = anchor_runs.left_at(row, "reasoning", "memory", 0.5)
        assert at_half == pytest.approx(row.memory_left_at_reasoning)
    assert math.isnan(anchor_runs.left_at(row, "memory", "reasoning", 0.5))


def test_when_a_level_is_passed_the_accuracy_just_then_is_told():
    made = runs({0.3: SOON, 0.8: NEVER}, seeds=[1], roles=["common"])
    level = 0.5 * chance_losses(BASE.data, 1)["memory"]
    passed = anchor_runs.when_passed(made, "memory", level).set_index("setting")
    assert passed.loc["gamma 0.3", ["step", "accuracy"]].tolist() == pytest.approx([75, 0.375])
    assert passed.loc["gamma 0.8", ["step", "accuracy"]].isna().all()


def test_steps_to_half_say_how_many_runs_got_there():
    made = pd.concat([runs(roles=["common"]), runs({0.8: None}, seeds=[4], roles=["common"])])
    table = anchor_runs.half_steps(made, ("reasoning", "memory")).set_index("setting")
    assert table.loc["gamma 0.3", "steps to memory"] == "75 (3 of 3)"
    assert table.loc["gamma 0.8", "steps to memory"] == "(0 of 4)"
    assert table.loc["gamma 0.8", "steps to reasoning"] == "50 (3 of 4)"
    assert anchor_runs.half_steps(pd.DataFrame(), ("reasoning", "memory")).empty


def test_the_lead_is_paired_by_seed_and_missing_where_a_run_did_not_get_there():
    made = runs(roles=["common"])
    lead = readings_bias.lead_by_level(made, "reasoning", "memory", ("gamma 0.3", "gamma 0.8"))
    assert lead == {
        "70% left": "+0.04 [+0.04, +0.04]", "50% left": "+0.20 [+0.20, +0.20]",
        "30% left": "+0.36 [+0.36, +0.36]",
    }  # fmt: skip
    sides = ("gamma 0.3", "gamma 1.2")
    assert set(readings_bias.lead_by_level(made, "reasoning", "memory", sides).values()) == {"–"}


def test_a_cell_of_the_tuning_plane_is_missing_if_one_of_its_runs_lacks_the_measure():
    mixed = pd.concat([tuning([0.002]), tuning([0.004]).assign(memory_left_at_reasoning=[
        0.5, math.nan, 0.25, 0.75])])  # fmt: skip
    plane = pictures.tuning_plane(mixed, "memory_left_at_reasoning")
    assert plane.loc["gamma 0.3"].tolist() == pytest.approx([0.75, math.nan], nan_ok=True)
    assert plane.loc["gamma 0.8", 0.004] == 0.5


def test_exchanged_rates_tell_an_effect_of_the_initialization_from_one_of_the_rate():
    """Here the rate alone decides how much is left, and each setting has a best rate of its own."""
    made = tuning(loss=lambda gamma, rate: abs(rate - (0.002 if gamma == 0.3 else 0.004)))
    made["share"] = made.learning_rate.map({0.002: 0.5, 0.004: 0.9})
    found = anchor_runs.exchanged_rates(made, "share", ("gamma 0.3", "gamma 0.8"))
    assert found == pytest.approx({"each at its own": 0.4, "both at that of gamma 0.3": 0.0,
                                   "both at that of gamma 0.8": 0.0})  # fmt: skip
    assert anchor_runs.exchanged_rates(made, "share", ("gamma 0.3", "gamma 1.2")) == {}


def test_where_all_settings_end_alike_the_start_is_forgotten():
    made = tuning(loss=lambda gamma, rate: gamma if rate == 0.002 else 1.25)
    words = readings_bias.forgotten(made)
    assert "most at 0.002, by 0.50 nats" in words and "least at 0.004, by 0.00" in words
    assert readings_bias.forgotten(made[made.setting == "gamma 0.3"]) == ""
    assert readings_bias.forgotten(tuning(shares=None)) == ""


def test_a_change_of_steps_says_where_a_task_is_not_learned_within_the_run():
    made = runs(roles=["common"])
    sides = ("gamma 0.3", "gamma 0.8")
    assert readings_bias.change_of_steps(made, "reasoning", sides) == "50 and 50"
    assert readings_bias.change_of_steps(made, "memory", sides) == "75 and never"


def test_the_lead_is_counted_over_the_learning_rates():
    measure, sides = "memory_left_at_reasoning", ("gamma 0.3", "gamma 0.8")
    made = pd.concat([tuning([0.002]), tuning([0.004], shares=NEVER)])
    made.loc[(made.setting == "gamma 0.8") & (made.learning_rate == 0.002), measure] = 0.9
    words = readings_bias.lead_by_rate(made, measure, sides)
    assert "at 1 of 2 learning rates" in words and "from +0.00 to +0.15" in words
    assert "from 0.75 to 0.95" in words  # what the learning rate does to gamma 0.3
    nowhere = readings_bias.lead_by_rate(tuning(shares=NOTHING), measure, sides)
    assert "cannot be compared" in nowhere
    assert "not both" in readings_bias.lead_by_rate(made, measure, ("gamma 0.3", "gamma 1.2"))


@pytest.mark.parametrize("shares, words", [
    (SOON, ""), (NOTHING, "3 of 3 runs with gamma 0.3"),
    (SOON | {"memory": (1, 1, 0.99, 0.5, 0.2)}, "already 0.990 is left"),
])  # fmt: skip
def test_a_claim_of_more_left_has_a_caveat_where_there_is_no_room_or_no_run(shares, words):
    claim = made_up_claim(metric="memory_left_at_reasoning", margin=0.02, baseline="gamma 0.3")
    found = readings_bias.caveat(claim, runs({0.3: shares, 0.8: NEVER}), "Emb-MLP")
    assert words in found and bool(found) == bool(words)
