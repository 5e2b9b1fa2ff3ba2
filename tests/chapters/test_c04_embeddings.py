"""Figures of embeddings, from made-up geometry: what they say, and where runs lack something."""

import math

import numpy as np
import pandas as pd
import pytest
from helpers import words_of
from probed import GAMMAS, OTHER_TASKS, STEPS, base, cosines, rows

from gammagpt.analysis import probed_figures, probed_runs
from gammagpt.analysis.anchors import data_of
from gammagpt.analysis.probed_runs import at_moment, blocks, contrasted, probed, reasoning
from gammagpt.chapters.c04_embeddings import figures
from gammagpt.lab.order import chance_losses
from gammagpt.registry.studies import studies

MODELS = {"Emb-MLP": rows(), "Transformer": rows("gpt")}
EMB, GPT = MODELS.values()
TENTH = {name: 10 * 0.1 / (1 - 1.5 / chance)  # the step at which a tenth is learned
         for name, chance in chance_losses(base("emb_mlp").data, 1).items()}
FRESH = pd.DataFrame([{"gamma": g, "seed": s, "memory": 0.9, "keys": g}
                      for g in GAMMAS for s in (1, 2)])
MAKERS = {
    "fig-early": figures.early, "fig-late": figures.late, "fig-cosines": figures.cosine_matrices,
    "fig-law": figures.cosines_by_distance, "fig-pca": figures.number_plane,
    "fig-gradient": lambda models, tier: figures.gradient(models["Emb-MLP"], tier, FRESH),
    "fig-rank": lambda models, tier: figures.ranks(models["Emb-MLP"], tier),
}


# ---- the study -----------------------------------------------------------------------------------


def test_chapters_4_and_5_ask_of_the_same_runs_and_only_those_that_are_compared_are_probed():
    found = studies("04_embeddings", "night")
    assert [*found] == ["probed_emb", "probed_gpt"]
    for study in found.values():
        assert {"gamma 0.5", "gamma 0.8"} < {*study.settings}
        assert {run.probes.geometry for run in study.tuning()} == {0}
        assert {run.probes.geometry for run in study.compared()} == {17}
        assert study.at_common_rate() == []


# ---- every figure --------------------------------------------------------------------------------


@pytest.mark.parametrize("anchor", MAKERS)
def test_every_figure_is_drawn_in_both_inks_and_told(anchor):
    words = words_of(lambda: MAKERS[anchor](MODELS, "laptop"))
    assert words and MAKERS[anchor](MODELS, "laptop").anchor == anchor


@pytest.mark.parametrize("anchor", MAKERS)
def test_without_runs_a_figure_says_so(anchor):
    if anchor != "fig-gradient":  # it also shows models that are drawn just now
        none = dict.fromkeys(MODELS, pd.DataFrame())
        assert MAKERS[anchor](none, "laptop").alt.startswith("Nothing is shown")
        others = {name: runs.assign(role="tuning") for name, runs in MODELS.items()}
        assert MAKERS[anchor](others, "laptop").alt.startswith("Nothing is shown")


@pytest.mark.parametrize("tasks", OTHER_TASKS)
@pytest.mark.parametrize("anchor", MAKERS)
def test_other_tasks_than_the_books_are_drawn_as_far_as_they_can_be(anchor, tasks):
    models = {"Emb-MLP": rows(tasks=OTHER_TASKS[tasks])}
    alt = MAKERS[anchor](models, "laptop").alt
    assert "nan" not in alt.split() and alt.endswith(".")


def test_against_gamma_each_model_has_its_means_and_a_run_without_a_number_is_counted():
    alt = figures.early(MODELS, "laptop").alt
    assert "Memory anchors alike: Emb-MLP 0.90 at gamma 0.3, 0.90 at gamma 0.5" in alt
    never = pd.concat([rows(gammas=(0.5, 0.8)), rows(gammas=(0.3,), left=8.0)])
    picture = figures.early({"Emb-MLP": never}, "laptop")
    assert "not known at gamma 0.3" in picture.alt and "gamma 0.8" in picture.alt
    assert "Without a dot are 2 that never learned a tenth" in picture.caption
    assert "Without a dot" not in figures.late(MODELS, "laptop").caption
    assert "(edge)" in figures.late({"Emb-MLP": EMB.assign(resolved=False)}, "laptop").alt


def test_one_model_alone_needs_no_legend():
    panel = probed_figures.of_gamma({"Transformer": GPT}, "alike_late", "title")
    assert panel.names() == [] and not panel.empty


def test_matrices_are_of_the_early_moment_beside_their_laws():
    alt = figures.cosine_matrices(MODELS, "laptop").alt
    step = round(TENTH["reasoning"])
    assert f"Emb-MLP, gamma 0.5 at step {step}: memory 0.90 in the mean" in alt
    assert "reasoning 0.80 between neighbours and 0.40 between the farthest" in alt
    assert "gamma 0.3" not in alt and alt.count("label laws") == 2


def test_the_plane_tells_the_order_and_the_neighbours():
    alt = figures.number_plane(MODELS, "laptop").alt
    assert "Transformer, gamma 0.8: the first axis holds 60% of the variance" in alt
    assert "100% of the keys have a neighbour in number nearest" in alt


# ---- what figures are made of --------------------------------------------------------------------


def test_only_runs_at_their_own_best_rate_that_were_probed_are_looked_at():
    both = pd.concat([EMB, EMB.assign(role="tuning"), rows(steps=(), seeds=(3,))])
    assert len(probed(both)) == len(EMB)
    assert len(probed(rows(loss=None))) == 0


@pytest.mark.parametrize("gammas, found", [
    ((0.3, 0.5, 0.8), ["gamma 0.5", "gamma 0.8"]), ((1.0, 0.2, 0.8), ["gamma 0.2", "gamma 1"]),
    ((0.5,), ["gamma 0.5"]),
])
def test_the_claims_settings_are_contrasted_or_else_the_outermost(gammas, found):
    assert list(contrasted(rows(gammas=gammas, seeds=(1,))).setting) == found
    assert not len(contrasted(pd.DataFrame()))


def test_a_moment_is_a_probe_or_lies_between_two():
    run = next(probed(EMB).itertuples())
    assert run.begins == pytest.approx(TENTH["reasoning"])
    ranks = [at_moment(run, when, lambda at: at["used"]["stable_rank"])
             for when in ("start", "early", "late")]
    share = (run.begins - 1) / 9  # of the way from step 1 to step 10
    assert ranks == pytest.approx([8, 4 + share * (8 / 11 - 4), 8 / 101])
    arrays = at_moment(run, "late", probed_runs.cosines)
    np.testing.assert_allclose(arrays, cosines(data_of(EMB), 100), atol=1e-3)


def test_early_is_as_in_the_measures():
    run = next(probed(GPT).itertuples())
    found = at_moment(run, "early", lambda at: at["average_distance"])
    assert found == pytest.approx(run.average_distance_early)
    never = next(probed(rows(left=8.0)).itertuples())
    assert math.isnan(at_moment(never, "early", lambda at: at["used"]["stable_rank"]))
    assert not math.isnan(at_moment(never, "late", lambda at: at["used"]["stable_rank"]))


def test_the_table_of_early_moments_has_a_row_a_model_and_setting():
    some = {"Emb-MLP": rows(gammas=(0.5,)), "Transformer": rows("gpt", left=8.0, gammas=(0.8,))}
    table = probed_runs.when_early(some)
    assert list(table.model) == ["Emb-MLP", "Transformer"]
    assert list(table["early is step (runs)"]) == [f"{TENTH['reasoning']:.0f} (2 of 2)",
                                                   "nan (0 of 2)"]
    assert not len(probed_runs.when_early({"Emb-MLP": pd.DataFrame()}))


def test_a_frame_tells_its_data():
    assert data_of(GPT) == base("gpt").data
    assert [(n, list(a), b) for n, a, b, _ in blocks(data_of(GPT))] == [
        ("memory", [1, 2, 3, 4], slice(0, 4)), ("reasoning", [11, 12, 13, 14], slice(4, 8)),
    ]


@pytest.mark.parametrize("name", ["no sums", "one anchor each"])
def test_without_sums_or_pairs_of_anchors_there_is_nothing_to_reason_about(name):
    assert reasoning(base("emb_mlp", OTHER_TASKS[name]).data) is None


def test_a_line_a_bend_and_a_jumble_of_numbers_are_told_apart():
    tokens = list(range(21, 31))
    bend = [[math.cos(t / 3), math.sin(t / 3)] for t in range(10)]
    line, jumble = [[t, 0] for t in tokens], [[t * 7 % 10, 0] for t in range(10)]
    share = [probed_runs.next_in_plane({"tokens": tokens, "plane": plane}, range(21, 31))
             for plane in (line, bend, jumble)]
    assert share == [1, 1, 0]


def test_other_tokens_in_the_plane_are_nobodys_neighbours():
    pca = {"tokens": [1, 21, 22], "plane": [[0, 0], [0, 0.1], [5, 0]]}
    assert probed_runs.next_in_plane(pca, range(21, 23)) == 1


def test_the_table_of_matches_holds_the_measures_of_the_claims_and_a_line_that_knows_no_law():
    found = probed_runs.law_matches(MODELS).set_index(["model", "setting", "when"])
    assert len(found) == 2 * 2 * 2
    means = EMB.groupby("setting")[["law_match_early", "closed_form_match_late"]].mean()
    for setting in ("gamma 0.5", "gamma 0.8"):
        row = found.loc[("Emb-MLP", setting)]
        early, late = means.loc[setting]
        assert row.loc["early", "label law"] == pytest.approx(early)
        assert row.loc["late", "closed form"] == pytest.approx(late)
        assert row["minus the distance"].tolist() == pytest.approx([1, 1])  # made up so
    assert not len(probed_runs.law_matches({"Emb-MLP": rows(tasks=OTHER_TASKS["no sums"])}))


def test_a_law_less_its_tasks_mean_has_neighbours_alike_and_the_far_ends_opposed():
    matrix = probed_runs.centred_law_cosines(data_of(EMB), 1)
    assert np.diag(matrix) == pytest.approx(np.ones(4))
    assert matrix[0, 1] > 0 > matrix[0, 3]


def test_a_curve_along_training_has_a_point_a_probe():
    table = probed_runs.over_probes(EMB, lambda at: at["used"]["pairs_alike"])
    assert sorted(table.x.unique()) == list(STEPS) and len(table) == len(EMB) * len(STEPS)
