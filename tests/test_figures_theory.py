"""Figures of the theory chapters, from made-up geometry: what they say, and where runs lack."""

import math
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import made_up_claim, made_up_record, small_anchor_run

from gammagpt import InitConfig, figures_attention, figures_theory, frame, readings_theory
from gammagpt.analysis.anchors import data_of
from gammagpt.analysis.frames import contrast
from gammagpt.claims import load_ledger
from gammagpt.data.anchors import keys
from gammagpt.figures_attention import INK
from gammagpt.geometry import upper_triangle
from gammagpt.measures import law_cosines
from gammagpt.plots import picture as picture_module
from gammagpt.plots.picture import Picture
from gammagpt.readings_theory import blocks, geometry_at, probed, reasoning

GAMMAS, SEEDS, STEPS = (0.3, 0.5, 0.8), (1, 2), (0, 1, 10, 100)
OTHER_TASKS = {
    "one task": "reasoning 11..14 sum",
    "no sums": "memory 11..14 random, close 1..2 near",
    "three tasks": "memory 1..4 random, reasoning 11..14 sum, range 15..17 21..25",
    "one anchor each": "memory 1..1 random, reasoning 11..11 sum",
}


def base(kind, tasks=None):
    """A run of 100 steps, of an Emb-MLP or a GPT, on two tasks with ten keys."""
    data = {"tasks": tasks or "memory 1..4 random, reasoning 11..14 sum", "held_out": ""}
    return small_anchor_run(kind, data=data, steps=100).pinned()


def cosines(data, step) -> np.ndarray:
    """Memory 0.9; reasoning falls by 0.2 a number, and at the end by 0.5; nothing in between."""
    among = [(name, anchor) for name, numbers, _, _ in blocks(data) for anchor in numbers]
    slope = 0.5 if step == 100 else 0.2
    near = {"sum": lambda i, j: 1 - slope * abs(i - j)}
    laws = {name: near.get(law, lambda i, j: 0.9) for name, _, _, law in blocks(data)}
    matrix = [[laws[a](i, j) if a == b else 0.0 for b, j in among] for a, i in among]
    np.fill_diagonal(matrix := np.array(matrix), 1)
    return matrix


def geometry(config, step) -> dict:
    """What a probe leaves: keys on a line in the plane, attention that leaves the average."""
    data = config.data
    tokens = [anchor for _, numbers, _, _ in blocks(data) for anchor in numbers] + [*keys(data)]
    plane = [[t / 60, 0.01 * (t % 2)] for t in tokens]
    used = {"stable_rank": 8.0 / (1 + step), "effective_rank": 9.0, "pairs_alike": step / 200}
    found = {
        "anchors": tokens[: len(tokens) - len(keys(data))],
        "cosine": upper_triangle(torch.from_numpy(cosines(data, step))),
        "pca": {"tokens": tokens, "plane": plane, "shares": [0.6, 0.3, 0.1]},
        "in_range": {name: 0.5 for name, *_ in blocks(data)},
        "used": used,
    }
    if config.model.kind == "emb_mlp":
        groups = [*(name for name, *_ in blocks(data)), "keys"]
        return found | {"gradient": {name: 1 - step / 100 for name in groups}}
    length, names = data.length, [name for name, *_ in blocks(data)]
    average = np.tril(np.ones((length, length))) / np.arange(1, length + 1)[:, None]
    layers = [{"key": share, "anchors": 0.5, "rest": 0.5 - share} for share in (0.1, 0.4)]
    return found | {
        "value": {"share": 0.06 + step / 200, "alignment": [0.25] * len(found["anchors"])},
        "first": average.tolist(), "average_distance": 0.04 + step / 250,
        "from_last": {name: layers for name in names},
    }  # fmt: skip


def rows(kind="emb_mlp", gammas=GAMMAS, seeds=SEEDS, role="common", tasks=None, steps=STEPS,
         loss=1.0) -> pd.DataFrame:  # fmt: skip
    made = base(kind, tasks)
    records = []
    for config in (replace(made, init=InitConfig(gamma=g), seed=s) for g in gammas for s in seeds):
        probes = [{"step": step, "geometry": geometry(config, step)} for step in steps]
        record = made_up_record(config, loss, probes=probes)
        curves = {name: [[0, 3.0], [10, 1.5], [100, 0.0]] for name, *_ in blocks(config.data)}
        final = {f"{name}_loss": 0.0 for name in curves}
        records.append(replace(record, curves=record.curves | curves, final=record.final | final))
    runs = frame(records)
    runs["role"], runs["resolved"] = role, True
    return runs


def fresh_gradients() -> pd.DataFrame:
    return pd.DataFrame({"gamma": [0.3, 0.3, 0.8], "seed": [1, 2, 1], "memory": [0.4, 0.6, 0.99],
                         "reasoning": [0.5, 0.5, 0.98], "keys": [0.6, 0.6, 1.0]})  # fmt: skip


def fresh_scores() -> pd.DataFrame:
    return pd.DataFrame({"gamma": [0.3, 0.8], "seed": [1, 1], "score_std": [5.0, 0.08],
                         "formula": [5.3, 0.082], "distance": [0.8, 0.04]})  # fmt: skip


def asked(metric="memory_cosine_early", **changes):
    rule = {"margin": 0.5, "confidence": 0.95, "min_pairs": 2}
    comparison = {"setting": "gamma 0.8", "learning_rate": "common"}
    return replace(made_up_claim(metric=metric, rule=rule, unit="cosine"),
                   comparison=comparison | changes)  # fmt: skip


MODELS = {"Emb-MLP": rows(), "Transformer": rows("gpt")}
EMB, GPT = MODELS.values()
MAKE = {
    "laws": lambda: figures_theory.laws(base("emb_mlp").data, 1),
    "gradient": lambda: figures_theory.gradient(EMB, "laptop", fresh_gradients()),
    "cosine_matrices": lambda: figures_theory.cosine_matrices(EMB, "laptop"),
    "cosines_by_distance": lambda: figures_theory.cosines_by_distance(MODELS, "laptop"),
    "cosines_along": lambda: figures_theory.cosines_along(MODELS, "laptop"),
    "number_plane": lambda: figures_theory.number_plane(GPT, "laptop"),
    "ranks": lambda: figures_theory.ranks(EMB, "laptop"),
    "scores": lambda: figures_attention.scores(fresh_scores()),
    "averaging": lambda: figures_attention.averaging(GPT, "laptop"),
    "first_maps": lambda: figures_attention.first_maps(GPT, "laptop"),
    "value_direction": lambda: figures_attention.value_direction(GPT, "laptop"),
    "attention_from_last": lambda: figures_attention.attention_from_last(GPT, "laptop"),
    "by_gamma": lambda: figures_theory.by_gamma([(asked(), EMB)], "laptop"),
    "nothing": lambda: picture_module.nothing("fig-x"),
}
FROM_RUNS = [name for name in MAKE if name not in ("laws", "scores", "nothing")]
OF_ONE_FRAME = {
    "gradient": lambda runs: figures_theory.gradient(runs, "smoke", fresh_gradients()),
    "cosine_matrices": lambda runs: figures_theory.cosine_matrices(runs, "smoke"),
    "cosines_by_distance": lambda runs: figures_theory.cosines_by_distance({"x": runs}, "smoke"),
    "cosines_along": lambda runs: figures_theory.cosines_along({"x": runs}, "smoke"),
    "number_plane": lambda runs: figures_theory.number_plane(runs, "smoke"),
    "ranks": lambda runs: figures_theory.ranks(runs, "smoke"),
    "averaging": lambda runs: figures_attention.averaging(runs, "smoke"),
    "first_maps": lambda runs: figures_attention.first_maps(runs, "smoke"),
    "value_direction": lambda runs: figures_attention.value_direction(runs, "smoke"),
    "attention_from_last": lambda runs: figures_attention.attention_from_last(runs, "smoke"),
    "by_gamma": lambda runs: figures_theory.by_gamma([(asked(), runs)], "smoke"),
}
OF_GPT = ("averaging", "first_maps", "value_direction", "attention_from_last")


def drawn(name, runs) -> Picture:
    """A figure of a frame, which must draw and must not say 'nan'."""
    picture, figure = OF_ONE_FRAME[name](runs), plt.figure()
    picture.draw(figure)
    plt.close(figure)
    words = picture.alt.replace(";", " ").replace(",", " ").replace(".", " ").split()
    assert not {"nan", "inf", "-inf"} & set(words), picture.alt
    return picture


def kind_of(name) -> str:
    return "gpt" if name in OF_GPT else "emb_mlp"


# ---- every figure ------------------------------------------------------------------------------


def test_every_public_figure_is_tested():
    modules = vars(figures_theory) | vars(figures_attention)
    functions = {name for name, thing in modules.items() if callable(thing)
                 and getattr(thing, "__annotations__", {}).get("return") is Picture}  # fmt: skip
    assert functions == set(MAKE)


@pytest.mark.parametrize("name", MAKE)
def test_a_figure_is_svg_with_its_own_ink_always_the_same_and_in_words(name):
    picture = MAKE[name]()
    images = {ground: picture.svg(ground) for ground in INK}
    for ground, image in images.items():
        assert ElementTree.fromstring(image).tag == "{http://www.w3.org/2000/svg}svg"
        other = INK["dark" if ground == "light" else "light"]
        assert INK[ground].encode() in image and other.encode() not in image
    assert MAKE[name]().svg("dark") == images["dark"]
    assert len(picture.alt) > 60 and picture.alt.endswith(".") and "\n" not in picture.alt


@pytest.mark.parametrize("name", FROM_RUNS)
def test_the_caption_says_which_tier_runs_seeds_and_commit(name):
    caption = MAKE[name]().caption
    assert "Tier laptop; " in caption and "commit 01234567." in caption and "seed" in caption


def test_every_claim_of_the_two_chapters_has_its_figure():
    pictures = [make() for make in MAKE.values()]
    pictures.append(figures_theory.cosine_matrices(GPT, "laptop", anchor="fig-cosines-gpt"))
    anchors = {picture.anchor for picture in pictures}
    chapters = ("04_embeddings", "05_attention")
    assert {c.figure for c in load_ledger() if c.notebook in chapters} <= anchors


# ---- the finding in words ----------------------------------------------------------------------


def test_laws_say_how_labels_move_with_the_anchor():
    """Keys 21..30 have the mean 25.5 and the other anchor 12.5: anchor 11 leads to 49."""
    found = "reasoning: mean label 49.0, 51.0, 52.0 for anchors 11, 13, 14"
    assert found in MAKE["laws"]().alt


def test_the_gradient_is_told_by_kind_at_both_ends_and_at_the_end_of_training():
    alt = MAKE["gradient"]().alt
    assert "memory 0.500, reasoning 0.500, keys 0.600 at gamma 0.3" in alt
    assert "memory 0.990, reasoning 0.980, keys 1.000 at gamma 0.8" in alt
    assert "gamma 0.3 0.00, gamma 0.5 0.00, gamma 0.8 0.00" in alt


def test_the_matrices_say_how_alike_the_anchors_of_each_task_are():
    alt = MAKE["cosine_matrices"]().alt
    early = "memory 0.90 in the mean, reasoning 0.80 between neighbours and 0.40 between the "
    assert f"gamma 0.8 early, step 10: {early}farthest" in alt
    assert "reasoning 0.50 between neighbours and -0.50 between the farthest" in alt  # late


def test_the_distances_say_what_theory_and_training_give_at_the_far_end():
    alt, law = MAKE["cosines_by_distance"]().alt, law_cosines(data_of(EMB), 1)[4, 7]
    assert f"Emb-MLP at the largest distance: label law {law:.2f}" in alt
    assert "gamma 0.3 0.40 early and -0.50 late" in alt and "Transformer at the" in alt


def test_the_path_is_told_probe_by_probe():
    found = "Emb-MLP: 0.40 at step 0, 0.40 at step 1, 0.40 at step 10, -0.50 at step 100"
    assert found in MAKE["cosines_along"]().alt


def test_the_plane_says_how_well_the_numbers_are_in_order():
    alt = MAKE["number_plane"]().alt
    assert (
        "the first axis holds 60% of the variance" in alt
        and "reasoning anchors and keys is 1.00" in alt
    )


def test_ranks_say_start_and_end_and_the_most_that_are_alike():
    found = "gamma 0.8: stable rank 8.0 at the start and 0.1 at the end, pairs alike at most 50%"
    assert found in MAKE["ranks"]().alt


def test_scores_are_told_beside_their_formula():
    assert "0.080 (by the formula 0.082) at gamma 0.8" in MAKE["scores"]().alt


def test_averaging_is_told_at_three_moments():
    assert "gamma 0.8: 0.04 at the start, 0.08 early, 0.44 at the end" in MAKE["averaging"]().alt


def test_maps_that_are_averages_have_no_distance_from_it():
    assert "gamma 0.8 late 0.00" in MAKE["first_maps"]().alt


def test_values_are_told_with_what_chance_would_give():
    """sqrt(2 / (16 pi)) = 0.199 at width 16."""
    alt = MAKE["value_direction"]().alt
    assert "gamma 0.8: share 0.06 at the start and 0.56 at the end" in alt
    assert "0.25 with memory, 0.25 with reasoning" in alt and "By chance 0.20" in alt


def test_the_key_is_told_with_what_equal_attention_would_give():
    """Sequences have five tokens."""
    alt = MAKE["attention_from_last"]().alt
    assert "gamma 0.8: 0.10 in layer 1, memory, 0.10 in layer 1, reasoning, 0.40 in layer 2" in alt
    assert "Equal attention would give it 0.20." in alt


def test_a_claims_measure_is_told_for_every_gamma():
    assert "A title: 0.90 at 0.3, 0.90 at 0.5, 0.90 at 0.8" in MAKE["by_gamma"]().alt


# ---- runs that lack something ------------------------------------------------------------------


def lacking() -> dict:
    return {
        "no runs": lambda kind: rows(kind)[:0],
        "no frame": lambda kind: pd.DataFrame(),
        "no probes": lambda kind: rows(kind, steps=()),
        "another role": lambda kind: rows(kind, role="tuning"),
        "all diverged": lambda kind: rows(kind, loss=None),
    }


@pytest.mark.parametrize("make", lacking().values(), ids=lacking())
@pytest.mark.parametrize("name", [name for name in OF_ONE_FRAME if name != "gradient"])
def test_without_runs_a_figure_says_so_in_place_of_failing(name, make):
    runs = make(kind_of(name))
    assert drawn(name, runs).alt.startswith("Nothing is shown")


@pytest.mark.parametrize("make", lacking().values(), ids=lacking())
def test_fresh_gradients_need_no_runs(make):
    runs = make("emb_mlp")
    if len(runs.columns):
        assert "At the end of training: no run." in drawn("gradient", runs).alt


def test_what_diverged_is_left_out_and_the_rest_is_shown():
    runs = pd.concat([rows(gammas=(0.3,)), rows(gammas=(0.8,), loss=None)])
    assert "gamma 0.3" in drawn("ranks", runs).alt and "gamma 0.8" not in drawn("ranks", runs).alt


# ---- other parameters than the book's ----------------------------------------------------------


@pytest.mark.parametrize("tasks", OTHER_TASKS.values(), ids=OTHER_TASKS)
@pytest.mark.parametrize("name", [name for name in OF_ONE_FRAME if name != "by_gamma"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning:gammagpt.measures", "ignore::RuntimeWarning")
def test_a_figure_draws_whatever_tasks_there_are(name, tasks):
    drawn(name, rows(kind_of(name), tasks=tasks, gammas=(0.3, 0.8), seeds=(1,)))


@pytest.mark.parametrize("name", OF_ONE_FRAME)
@pytest.mark.parametrize("gammas", [(0.65,), tuple(i / 10 for i in range(1, 9))], ids=["1", "8"])
def test_any_number_of_gammas_can_be_drawn(name, gammas):
    drawn(name, rows(kind_of(name), gammas=gammas, seeds=(7,)))


@pytest.mark.parametrize("name", OF_ONE_FRAME)
def test_two_probes_are_enough(name):
    drawn(name, rows(kind_of(name), steps=(0, 100)))


def test_laws_draw_a_task_of_one_anchor():
    assert figures_theory.laws(base("emb_mlp", OTHER_TASKS["one anchor each"]).data, 1).svg()


# ---- what figures are made of ------------------------------------------------------------------


@pytest.mark.parametrize(
    "gammas, found",
    [((0.3, 0.5, 0.8), ["gamma 0.3", "gamma 0.8"]), ((1.0, 0.2, 0.8), ["gamma 0.2", "gamma 1"]),
     ((0.5,), ["gamma 0.5"])],
)  # fmt: skip
def test_the_papers_settings_are_contrasted_or_else_the_outermost(gammas, found):
    assert contrast(rows(gammas=gammas, seeds=(1,))) == found
    assert contrast(pd.DataFrame()) == []


def test_moments_are_those_of_the_measures():
    """Early is the last probe in the first tenth of the steps."""
    run = next(probed(EMB).itertuples())
    assert {when: step for when, (step, _) in geometry_at(run).items()} == {
        "start": 0, "early": 10, "late": 100,
    }  # fmt: skip


def test_a_frame_tells_its_data():
    assert data_of(GPT) == base("gpt").data
    assert [(n, list(a), b) for n, a, b, _ in blocks(data_of(GPT))] == [
        ("memory", [1, 2, 3, 4], slice(0, 4)), ("reasoning", [11, 12, 13, 14], slice(4, 8)),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["no sums", "one anchor each"])
def test_without_sums_or_pairs_of_anchors_there_is_nothing_to_reason_about(name):
    assert reasoning(base("emb_mlp", OTHER_TASKS[name]).data) is None


def test_a_line_a_bend_and_a_jumble_of_numbers_are_told_apart():
    tokens = list(range(21, 31))
    bend = [[math.cos(t / 3), math.sin(t / 3)] for t in range(10)]
    line, jumble = [[t, 0] for t in tokens], [[t * 7 % 10, 0] for t in range(10)]
    share = [readings_theory.next_in_plane({"tokens": tokens, "plane": plane}, range(21, 31))
             for plane in (line, bend, jumble)]  # fmt: skip
    assert share == [1, 1, 0]


def test_other_tokens_in_the_plane_are_nobodys_neighbours():
    pca = {"tokens": [1, 21, 22], "plane": [[0, 0], [0, 0.1], [5, 0]]}
    assert readings_theory.next_in_plane(pca, range(21, 23)) == 1


def test_cosines_like_the_laws_have_no_gap_and_those_of_a_line_correlate_all_the_same(monkeypatch):
    runs = rows(gammas=(0.8,))
    law = readings_theory.references(runs.iloc[0])["label law"]
    monkeypatch.setattr(readings_theory, "trained", lambda run, when: law)
    found = readings_theory.law_matches(runs).set_index(["when", "compared with"])
    assert found.loc[("late", "label law"), "mean gap"] == pytest.approx(0)
    assert found.loc[("late", "label law"), "correlation"] == pytest.approx(1)
    assert found.loc[("late", "minus the distance"), "correlation"] > 0.9
    assert math.isnan(found.loc[("late", "minus the distance"), "mean gap"])


def test_a_law_less_its_tasks_mean_has_neighbours_alike_and_the_far_ends_opposed():
    matrix = readings_theory.centred_law_cosines(data_of(EMB), 1)
    assert np.diag(matrix) == pytest.approx(np.ones(4))
    assert matrix[0, 1] > 0 > matrix[0, 3]


def test_what_is_left_is_a_share_of_guessing_and_at_most_all():
    """Curves go from 3 nats at the start by 1.5 early to none at the end."""
    run = next(probed(EMB).itertuples())
    assert readings_theory.left(run, "start") == {"memory": 1.0, "reasoning": 1.0}
    assert readings_theory.left(run, "late") == {"memory": 0.0, "reasoning": 0.0}
    chance = readings_theory.chance_losses(data_of(EMB), 1)["reasoning"]
    assert readings_theory.left(run, "early")["reasoning"] == pytest.approx(1.5 / chance)


# ---- a claim's rule on every setting -----------------------------------------------------------


def test_the_rule_of_a_claim_is_asked_of_every_setting_and_at_both_rates():
    runs = rows()
    runs.loc[runs.setting == "gamma 0.3", "memory_cosine_early"] = [0.1, 0.11]
    signs = readings_theory.signs_by_gamma([(asked(), runs)], "laptop")
    assert list(signs["learning rate"]) == ["common", "tuned"]
    assert list(signs.iloc[0][["gamma 0.3", "gamma 0.5", "gamma 0.8"]]) == ["✗", "✓", "✓"]
    assert set(signs.iloc[1][["gamma 0.3", "gamma 0.5", "gamma 0.8"]]) == {"…"}


def test_claims_of_models_with_other_gammas_share_a_table():
    few = rows("gpt", gammas=(0.3, 0.8))
    signs = readings_theory.signs_by_gamma([(asked(), rows()), (asked(), few)], "laptop")
    assert list(signs["gamma 0.5"]) == ["✓", "…", "", ""]


@pytest.mark.parametrize("better, shaded", [("higher", "above"), ("lower", "below")])
def test_the_side_on_which_a_claim_holds_is_shaded(better, shaded):
    claim = asked(better=better)
    claim = replace(claim, rule=claim.rule | {"margin": 0.5 if better == "higher" else -0.5})
    figure = plt.figure()
    figures_theory.by_gamma([(claim, EMB)], "laptop").draw(figure)
    (axes,), (shade,) = figure.axes, figure.axes[0].patches
    low, high = axes.get_ylim()
    span = (0.5, high) if shaded == "above" else (low, 0.5)
    assert (shade.get_y(), shade.get_y() + shade.get_height()) == pytest.approx(span)
    plt.close(figure)


def test_a_claim_without_its_measure_is_left_out():
    judged = [(asked("unknown"), EMB), (asked(), EMB)]
    assert figures_theory.by_gamma(judged, "laptop").alt.count("A title") == 1
