"""Figures of the theory chapters, from made-up geometry: what they say, and where runs lack."""

import math
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import made_up_claim, made_up_record, small_anchor_run

from gammagpt import InitConfig, frame
from gammagpt.analysis import probed_figures, probed_runs
from gammagpt.analysis.anchors import data_of
from gammagpt.analysis.frames import contrast
from gammagpt.analysis.probed_runs import blocks, geometry_at, probed, reasoning
from gammagpt.data.anchors import keys
from gammagpt.probes.geometry import upper_triangle

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
    }


def rows(kind="emb_mlp", gammas=GAMMAS, seeds=SEEDS, role="common", tasks=None, steps=STEPS,
         loss=1.0) -> pd.DataFrame:
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


def asked(metric="memory_cosine_early", **changes):
    rule = {"margin": 0.5, "confidence": 0.95, "min_pairs": 2}
    comparison = {"setting": "gamma 0.8", "learning_rate": "common"}
    return replace(made_up_claim(metric=metric, rule=rule, unit="cosine"),
                   comparison=comparison | changes)


MODELS = {"Emb-MLP": rows(), "Transformer": rows("gpt")}
EMB, GPT = MODELS.values()


# ---- every figure ------------------------------------------------------------------------------


# ---- the finding in words ----------------------------------------------------------------------


# ---- runs that lack something ------------------------------------------------------------------


# ---- other parameters than the book's ----------------------------------------------------------


# ---- what figures are made of ------------------------------------------------------------------


@pytest.mark.parametrize(
    "gammas, found",
    [((0.3, 0.5, 0.8), ["gamma 0.3", "gamma 0.8"]), ((1.0, 0.2, 0.8), ["gamma 0.2", "gamma 1"]),
     ((0.5,), ["gamma 0.5"])],
)
def test_the_papers_settings_are_contrasted_or_else_the_outermost(gammas, found):
    assert contrast(rows(gammas=gammas, seeds=(1,))) == found
    assert contrast(pd.DataFrame()) == []


def test_moments_are_those_of_the_measures():
    """Early is the last probe in the first tenth of the steps."""
    run = next(probed(EMB).itertuples())
    assert {when: step for when, (step, _) in geometry_at(run).items()} == {
        "start": 0, "early": 10, "late": 100,
    }


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


def test_cosines_like_the_laws_have_no_gap_and_those_of_a_line_correlate_all_the_same(monkeypatch):
    runs = rows(gammas=(0.8,))
    law = probed_runs.references(runs.iloc[0])["label law"]
    monkeypatch.setattr(probed_runs, "trained", lambda run, when: law)
    found = probed_runs.law_matches(runs).set_index(["when", "compared with"])
    assert found.loc[("late", "label law"), "mean gap"] == pytest.approx(0)
    assert found.loc[("late", "label law"), "correlation"] == pytest.approx(1)
    assert found.loc[("late", "minus the distance"), "correlation"] > 0.9
    assert math.isnan(found.loc[("late", "minus the distance"), "mean gap"])


def test_a_law_less_its_tasks_mean_has_neighbours_alike_and_the_far_ends_opposed():
    matrix = probed_runs.centred_law_cosines(data_of(EMB), 1)
    assert np.diag(matrix) == pytest.approx(np.ones(4))
    assert matrix[0, 1] > 0 > matrix[0, 3]


def test_what_is_left_is_a_share_of_guessing_and_at_most_all():
    """Curves go from 3 nats at the start by 1.5 early to none at the end."""
    run = next(probed(EMB).itertuples())
    assert probed_runs.left(run, "start") == {"memory": 1.0, "reasoning": 1.0}
    assert probed_runs.left(run, "late") == {"memory": 0.0, "reasoning": 0.0}
    chance = probed_runs.chance_losses(data_of(EMB), 1)["reasoning"]
    assert probed_runs.left(run, "early")["reasoning"] == pytest.approx(1.5 / chance)


# ---- a claim's rule on every setting -----------------------------------------------------------


def test_the_rule_of_a_claim_is_asked_of_every_setting_and_at_both_rates():
    runs = rows()
    runs.loc[runs.setting == "gamma 0.3", "memory_cosine_early"] = [0.1, 0.11]
    signs = probed_runs.signs_by_gamma([(asked(), runs)], "laptop")
    assert list(signs["learning rate"]) == ["common", "tuned"]
    assert list(signs.iloc[0][["gamma 0.3", "gamma 0.5", "gamma 0.8"]]) == ["✗", "✓", "✓"]
    assert set(signs.iloc[1][["gamma 0.3", "gamma 0.5", "gamma 0.8"]]) == {"…"}


def test_claims_of_models_with_other_gammas_share_a_table():
    few = rows("gpt", gammas=(0.3, 0.8))
    signs = probed_runs.signs_by_gamma([(asked(), rows()), (asked(), few)], "laptop")
    assert list(signs["gamma 0.5"]) == ["✓", "…", "", ""]


@pytest.mark.parametrize("better, shaded", [("higher", "above"), ("lower", "below")])
def test_the_side_on_which_a_claim_holds_is_shaded(better, shaded):
    claim = asked(better=better)
    claim = replace(claim, rule=claim.rule | {"margin": 0.5 if better == "higher" else -0.5})
    figure = plt.figure()
    probed_figures.by_gamma([(claim, EMB)], "laptop").draw(figure)
    (axes,), (shade,) = figure.axes, figure.axes[0].patches
    low, high = axes.get_ylim()
    span = (0.5, high) if shaded == "above" else (low, 0.5)
    assert (shade.get_y(), shade.get_y() + shade.get_height()) == pytest.approx(span)
    plt.close(figure)
