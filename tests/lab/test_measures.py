"""What claims are about, on curves and geometry made by hand, and on a tiny run of each kind."""

import math
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import made_up_record, small_anchor_run
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gammagpt import RunConfig, Store, frame, sweep
from gammagpt.data import DataConfig
from gammagpt.data.anchors import training_sequences
from gammagpt.data.backcopy import least_losses
from gammagpt.lab import measures as module
from gammagpt.lab.measures import (
    HALF,
    LEAST,
    REASONING,
    ahead,
    chance_losses,
    closed_form_cosines,
    correlation,
    crossing,
    expansion,
    law_cosines,
    log_lead,
    measures,
    order,
    progress,
    rank_correlation,
    shape_of_embeddings,
)
from gammagpt.ledger.claims import load_ledger
from gammagpt.probes.geometry import upper_triangle
from gammagpt.registry.studies import homes, study

# ---- progress ----------------------------------------------------------------------------------

HALVES = {
    "at a point": ([(0, 1.0), (10, 0.5), (20, 0.2)], 10),
    "between two points": ([(0, 1.0), (10, 0.75), (20, 0.25)], 15),
    "nearer to the point nearer to a half": ([(0, 1.0), (10, 0.6), (20, 0.2)], 12.5),
    "at the start": ([(0, 0.5), (10, 0.4)], 0),
    "the first time of several": ([(0, 1.0), (10, 0.0), (20, 0.9), (30, 0.1)], 5),
    "never": ([(0, 1.0), (10, 0.51)], math.nan),
}


@pytest.mark.parametrize("curve, step", HALVES.values(), ids=HALVES)
def test_a_task_is_half_learned_where_its_curve_crosses_a_half(curve, step):
    assert crossing(np.array(curve), HALF) == pytest.approx(step, nan_ok=True)


def test_what_is_left_of_one_task_is_read_when_the_other_is_half_learned():
    curves = {
        "memory": [[0, 4.0], [10, 3.0], [20, 1.0]],  # of 4: half is left at step 15
        "reasoning": [[0, 2.0], [10, 0.0], [20, 0.0]],  # of 2: half is left at step 5
        "memory_accuracy": [[0, 0.0], [20, 1.0]],
    }
    found = progress(curves, {"memory": 4.0, "reasoning": 2.0, "unseen": 1.0})
    assert found == pytest.approx({
        "steps_to_memory": 15, "reasoning_left_at_memory": 0,
        "steps_to_reasoning": 5, "memory_left_at_reasoning": 0.875,
    })


def test_no_more_than_all_is_left_however_bad_the_start():
    curves = {"a": [[0, 90.0], [10, 9.0], [20, 0.0]], "b": [[0, 9.0], [20, 0.0]]}
    found = progress(curves, {"a": 1.0, "b": 1.0})
    assert (found["steps_to_a"], found["b_left_at_a"]) == (15, pytest.approx(0.25))


def test_what_was_never_half_learned_is_not_a_number():
    curves = {"a": [[0, 1.0], [10, 0.9]], "b": [[0, 1.0], [10, 0.0]]}
    found = progress(curves, {"a": 1.0, "b": 1.0})
    assert math.isnan(found["steps_to_a"]) and math.isnan(found["b_left_at_a"])
    assert (found["steps_to_b"], found["a_left_at_b"]) == (5, pytest.approx(0.95))


def test_a_task_with_one_label_only_has_no_progress():
    curves = {"a": [[0, 1.0], [10, 0.0]], "b": [[0, 1.0], [10, 0.0]]}
    assert progress(curves, {"a": 0.0, "b": 1.0}) == {"steps_to_b": 5.0}


@given(st.floats(0.1, 10), st.integers(2, 500))
def test_the_clock_does_not_matter(factor, steps):
    """A run that takes the same way faster has the same amount left."""
    curves = {"a": [[0, 1.0], [40, 0.6], [90, 0.2]], "b": [[0, 1.0], [40, 0.9], [90, 0.7]]}
    faster = {name: [[s * factor, v] for s, v in curve] for name, curve in curves.items()}
    one, other = (progress(c, {"a": 1.0, "b": 1.0}) for c in (curves, faster))
    assert other["b_left_at_a"] == pytest.approx(one["b_left_at_a"])
    assert other["steps_to_a"] == pytest.approx(one["steps_to_a"] * factor)


@pytest.mark.parametrize("law", ["sum", "random", "near", "40..49"])
def test_chance_is_the_loss_of_guessing_by_the_frequencies_of_the_labels(law):
    tasks = f"one 11..14 {law}, other 1..2 random"
    given = {"tasks": tasks, "keys": "30..39", "vocab_size": 90, "held_out": "11+13"}
    data = small_anchor_run("emb_mlp", data=given).data
    found = training_sequences(data, seed=3)
    expected = {}
    for number, name in enumerate(("one", "other")):
        counts = Counter(found.labels[found.task == number].tolist())
        shares = [count / counts.total() for count in counts.values()]
        expected[name] = -sum(share * math.log(share) for share in shares)
    chance = chance_losses(data, 3)
    assert {name: chance[name] for name in expected} == pytest.approx(expected)
    assert list(chance) == ["one", "other", "unseen"] and chance["one"] > 1


# ---- embeddings --------------------------------------------------------------------------------

CONFIG = small_anchor_run("emb_mlp")  # memory anchors 1..4, reasoning 11..14, keys 21..30
TOKENS = [1, 2, 3, 4, 11, 12, 13, 14, *range(21, 31)]
PLANE = {"tokens": TOKENS, "plane": [[float(token), 0.0] for token in TOKENS]}


def shape(reasoning, memory=None, pca=PLANE) -> dict:
    """The measures of cosines (4, 4) between the anchors of each task."""
    cosine = np.full((8, 8), -0.9)  # between the tasks: must not count
    cosine[:4, :4] = np.eye(4) if memory is None else memory
    cosine[4:, 4:] = reasoning
    np.fill_diagonal(cosine, 1)
    geometry = {"cosine": upper_triangle(torch.tensor(cosine)), "pca": pca}
    return shape_of_embeddings(made_up_record(CONFIG, 3.0), geometry, "early")


def by_distance(*values) -> np.ndarray:
    return np.array([[values[abs(i - j)] for j in range(4)] for i in range(4)])


FALLING = by_distance(1, 0.9, 0.6, 0.3)


@pytest.mark.parametrize(
    "values, expected",
    [((1, 0.9, 0.2, -0.7), 1), ((1, -0.7, 0.2, 0.9), -1), ((1, 0.5, 0.5, 0.6), -1)],
)
def test_a_hierarchy_is_a_cosine_that_falls_with_distance(values, expected):
    found = shape(by_distance(*values))["hierarchy_early"]
    slow = stats.spearmanr([values[d] for d in (1, 2, 3, 1, 2, 1)], [-1, -2, -3, -1, -2, -1])
    assert found == pytest.approx(slow.statistic) and math.copysign(1, found) == expected


def test_a_match_with_the_label_law_is_a_correlation_with_its_cosines():
    laws = law_cosines(CONFIG.data, CONFIG.seed)
    assert shape(laws[4:, 4:])["law_match_early"] == pytest.approx(1, abs=1e-3)
    assert shape(-laws[4:, 4:])["law_match_early"] == pytest.approx(-1, abs=1e-3)
    assert abs(shape(laws[:4, :4])["law_match_early"]) < 0.9  # of memory anchors: another one


def test_law_cosines_are_those_of_a_slow_count():
    counts = defaultdict(Counter)
    found = training_sequences(CONFIG.data, CONFIG.seed)
    for row, label in zip(found.tokens.tolist(), found.labels.tolist(), strict=True):
        for token in row:
            counts[token][label] += 1
    anchors = TOKENS[:8]
    rows = [[counts[a][i] / counts[a].total() - 1 / 61 for i in range(61)] for a in anchors]
    expected = [[np.dot(p, q) / math.sqrt(np.dot(p, p) * np.dot(q, q)) for q in rows] for p in rows]
    np.testing.assert_allclose(law_cosines(CONFIG.data, CONFIG.seed), expected, atol=1e-12)


def test_the_closed_form_is_equation_14_written_out():
    def row(s):
        return [math.exp(-((i - s) ** 2) / 12) - 1 / 32 for i in range(1, 33)]

    def cosine(p, q):
        length = math.sqrt(sum(x * x for x in p) * sum(x * x for x in q))
        return sum(x * y for x, y in zip(p, q, strict=True)) / length

    expected = np.array([[cosine(row(s), row(t)) for t in range(11, 15)] for s in range(11, 15)])
    np.testing.assert_allclose(closed_form_cosines(range(11, 15), 32), expected, atol=1e-12)
    assert shape(expected)["closed_form_match_early"] == pytest.approx(1, abs=1e-3)
    assert CONFIG.model.width == 32


def test_the_closed_form_falls_as_steeply_as_the_papers():
    found = closed_form_cosines(range(11, 21), 200)[0, :6]
    assert found == pytest.approx([1, 0.959, 0.844, 0.683, 0.507, 0.344], abs=0.002)


def test_memory_anchors_count_by_the_mean_of_their_cosines():
    found = shape(-FALLING, memory=FALLING)
    assert found["memory_cosine_early"] == pytest.approx((3 * 0.9 + 2 * 0.6 + 0.3) / 6)
    assert found["reasoning_cosine_early"] == -found["memory_cosine_early"]


@pytest.mark.parametrize("sign", [1, -1])
def test_order_is_that_of_the_numbers_along_the_first_axis_in_either_direction(sign):
    assert order({"tokens": [3, 1, 2], "plane": [[sign * 9.0, 0], [0.0, 0], [0, 5.0]]}, [1, 2, 3]) \
        == pytest.approx(stats.spearmanr([1, 2, 3], [0, 0, 9]).statistic)
    plane = [[sign * token**3, 0.0] for token in TOKENS]
    plane[:4] = [[1e6, 0.0], [-1e6, 0.0], [0.0, 0.0], [5.0, 0.0]]  # memory anchors do not count
    found = shape(FALLING, pca={"tokens": TOKENS, "plane": plane})
    assert found["order_early"] == pytest.approx(1)


def test_without_order_there_is_none():
    plane = [[math.sin(100.0 * token), 0.0] for token in TOKENS]
    assert shape(FALLING, pca={"tokens": TOKENS, "plane": plane})["order_early"] < 0.5


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=20))
def test_correlations_are_those_of_scipy(pairs):
    one, other = map(list, zip(*pairs, strict=True))
    if len(set(one)) > 1 < len(set(other)):
        assert correlation(one, other) == pytest.approx(stats.pearsonr(one, other).statistic)
        expected = stats.spearmanr(one, other).statistic
        assert rank_correlation(one, other) == pytest.approx(expected)


# ---- records -----------------------------------------------------------------------------------


def test_a_record_of_text_or_of_a_diverged_run_has_no_measures(tiny):
    assert measures(made_up_record(tiny, 3.0)) == {}
    assert measures(made_up_record(CONFIG, None)) == {}


def test_without_geometry_there_is_progress_only():
    record = made_up_record(CONFIG, 3.0)
    curves = record.curves | {"memory": [[0, 4.0], [12, 3.9]], "reasoning": [[0, 4.0], [12, 0.0]]}
    final = {"validation_loss": 3.0}
    found = measures(replace(record, curves=curves, final=final))
    names = {"steps_to_memory", "steps_to_reasoning", "reasoning_left_at_memory",
             "memory_left_at_reasoning", "reasoning_first"}
    assert set(found) == names
    assert found["memory_left_at_reasoning"] == 1 and math.isnan(found["steps_to_memory"])


# ---- mixtures of several texts -------------------------------------------------------------------

LOSSES = {"sotu": 4.0, "stories": 2.0, "logic": 1.0, "arithmetic": 0.5, "facts": 1.5}
ANSWERS = {"chain_1": 0.5, "chain_2": 0.3, "sum_1": 0.9, "sum_4": 0.7, "recall": 0.25}


def of_many(monkeypatch, losses, answers=ANSWERS) -> dict:
    """The measures of a made-up run on some texts, with a loss of guessing of 5 nats in each."""
    monkeypatch.setattr(module, "unigrams", lambda data: dict.fromkeys(losses, 5.0))
    config = RunConfig(data=DataConfig("+".join(losses), fingerprint="f" * 64))
    final = {f"{name}_loss": loss for name, loss in losses.items()}
    final |= {f"{name}_accuracy": score for name, score in answers.items()}
    final |= {f"{name}_exact": score / 2 for name, score in answers.items()}
    made = made_up_record(config, 1.0)
    return measures(replace(made, final=made.final | final))


def test_of_five_texts_the_lead_of_reasoning_is_a_difference_of_mean_logs(monkeypatch):
    found = of_many(monkeypatch, LOSSES)
    expected = math.log(4 * 2 * 1.5) / 3 - math.log(1.0 * 0.5) / 2
    assert found["reasoning_log_lead"] == pytest.approx(expected)
    assert found["arithmetic_log_loss"] == pytest.approx(math.log(0.5))
    assert {n: found[f"{n}_share"] for n in LOSSES} == pytest.approx(
        {name: loss / 5 for name, loss in LOSSES.items()}
    )


@given(st.lists(st.floats(0.1, 5), min_size=5, max_size=5), st.floats(0.1, 0.99))
def test_the_lead_grows_only_if_reasoning_falls_by_the_larger_factor(losses, factor):
    names = dict(zip(LOSSES, losses, strict=True))
    logs = {f"{name}_log_loss": math.log(loss) for name, loss in names.items()}
    all_fall = {name: log + math.log(factor) for name, log in logs.items()}
    some = {n: log + math.log(factor) * n.startswith(REASONING) for n, log in logs.items()}
    before = log_lead(logs, LOSSES)
    assert log_lead(all_fall, LOSSES) == pytest.approx(before)
    assert log_lead(some, LOSSES) == pytest.approx(before - math.log(factor))
    assert log_lead(logs, LOSSES, ahead=("sotu", "stories", "facts")) == pytest.approx(-before)


def test_answers_are_means_over_depths_and_each_kind_of_reasoning_counts_alike(monkeypatch):
    found = of_many(monkeypatch, LOSSES)
    assert (found["chain_accuracy"], found["sum_accuracy"]) == pytest.approx((0.4, 0.8))
    assert (found["chain_exact"], found["sum_exact"]) == pytest.approx((0.2, 0.4))
    assert found["answers_lead"] == pytest.approx(0.6 - 0.25)
    assert found["sum_4_exact"] == 0.35 and found["recall_accuracy"] == 0.25


def test_three_texts_have_the_measures_that_they_can_have(monkeypatch):
    some = {name: LOSSES[name] for name in ("sotu", "stories", "arithmetic")}
    found = of_many(monkeypatch, some, {"sum_1": 0.5})
    assert found["reasoning_log_lead"] == pytest.approx(math.log(8) / 2 - math.log(0.5))
    assert found["sum_accuracy"] == 0.5 and not {"answers_lead", "chain_accuracy"} & set(found)
    none = of_many(monkeypatch, {"a": 1.0, "b": 2.0, "c": 3.0}, {})
    assert math.isnan(none["reasoning_log_lead"])


LEDGER = [claim for claim in load_ledger() if homes()[claim.experiment] == "06_labels"]


@pytest.mark.parametrize("experiment", sorted({claim.experiment for claim in LEDGER}))
def test_every_metric_of_the_ledger_is_measured_in_the_runs_of_its_experiment(experiment, tmp_path):
    planned = study(experiment, "smoke").at_common_rate()[:2]  # both gammas of one seed
    probes = replace(planned[0].probes, losses=3, windows=50, final_windows=100)
    sweep([replace(c, steps=20, probes=probes) for c in planned], Store(tmp_path), workers=1)
    runs = frame(list(Store(tmp_path)))
    metrics = {claim.metric for claim in LEDGER if claim.experiment == experiment}
    assert list(runs.gamma.sort_values()) == [0.3, 0.8] and metrics <= set(runs.columns)
    reached = [name for name in metrics if "_left_at_" not in name]  # the others: perhaps not yet
    assert runs[reached].notna().all().all()


def test_early_is_the_last_probe_at_or_before_a_tenth_and_late_is_the_last(tmp_path):
    config = small_anchor_run("gpt", steps=50, probes={"losses": 2, "windows": 8, "geometry": 6})
    [record] = sweep([config], Store(tmp_path), workers=1)
    steps = {probe["step"]: probe["geometry"] for probe in record.probes}
    found = measures(record)
    assert sorted(steps) == [0, 1, 3, 7, 19, 50]
    assert found["average_distance_start"] == steps[0]["average_distance"]
    assert found["average_distance_early"] == steps[3]["average_distance"]
    assert found["value_share"] == steps[3]["value"]["share"]
    assert found["in_range_memory"] == steps[3]["in_range"]["memory"]
    assert found["key_from_last_memory"] == steps[50]["from_last"]["memory"][-1]["key"]
    kept = steps[50]["used"]["stable_rank"] / steps[0]["used"]["stable_rank"]
    assert (found["rank_kept"], found["rows_alike"]) == (kept, steps[50]["used"]["pairs_alike"])
    for name, part in (("memory", slice(0, 4)), ("reasoning", slice(4, 8))):
        alignment = np.mean(steps[3]["value"]["alignment"][part])
        assert found[f"value_alignment_{name}"] == pytest.approx(alignment)


# ---- condensation and expansion ----------------------------------------------------------------


def spectra_probes(**paths) -> list[dict]:
    steps = range(len(next(iter(paths.values()))))
    return [{"step": s, "tensors": {name: {"stable_rank": path[s]} for name, path in paths.items()}}
            for s in steps]


def test_expansion_is_the_way_down_and_up_again_of_the_stable_rank():
    probes = spectra_probes(**{"embedding.weight": [8, 2, 4], "head.weight": [4, 2, 1]})
    assert expansion(probes) == pytest.approx({
        "condensed": math.log(4), "expanded": math.log(2) / 2,
        "embedding_condensed": math.log(4), "embedding_expanded": math.log(2),
    })
    assert expansion([*probes, {"step": 9, "tokens": {}}]) == expansion(probes)


@given(st.lists(st.floats(1, 60), min_size=3, max_size=8))
def test_what_fell_and_rose_is_what_lies_between_start_and_end(ranks):
    found = expansion(spectra_probes(**{"embedding.weight": ranks}))
    assert found["condensed"] >= 0 and found["expanded"] >= 0
    change = math.log(ranks[-1] / ranks[0])
    assert found["expanded"] - found["condensed"] == pytest.approx(change, abs=1e-9)


def test_without_enough_spectra_there_is_no_expansion():
    assert expansion([]) == {} == expansion(spectra_probes(**{"embedding.weight": [3, 2]}))


# ---- the order of two tasks ----------------------------------------------------------------------

LEFT = st.lists(st.floats(0, 1), min_size=2, max_size=12).map(
    lambda parts: np.array(sorted([1.0, *parts], reverse=True)))  # what is left only falls


@given(LEFT, LEFT)
def test_the_order_of_two_tasks_is_antisymmetric_and_within_one(one, other):
    one, other = (np.interp(np.linspace(0, 1, 15), np.linspace(0, 1, len(c)), c)
                  for c in (one, other))
    found = ahead(one, other)
    if 1 - (one[-1] + other[-1]) / 2 < LEAST:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(-ahead(other, one)) and -1 - 1e-9 <= found <= 1 + 1e-9
        assert ahead(one, one) == 0 or math.isnan(ahead(one, one))


@given(st.floats(0.25, 1), st.integers(2, 40), st.integers(2, 40))
def test_a_task_that_is_learned_entirely_first_is_one_ahead_however_long_either_takes(
    learned, slow, fast
):
    """Also where the other is never learned to the end: a run that is too short has a number."""
    one = np.concatenate([np.linspace(1, 0, slow), np.zeros(fast)])
    other = np.concatenate([np.ones(slow), np.linspace(1, 1 - learned, fast)])
    assert ahead(one, other) == pytest.approx(1)
    short = np.ones(slow)
    assert ahead(np.linspace(1, 1 - learned, slow), short) == pytest.approx(1)


def test_the_order_has_no_clock():
    one, other = np.array([1, 0.7, 0.2, 0]), np.array([1, 0.95, 0.8, 0.3])
    later = np.repeat(one, 3), np.repeat(other, 3)
    assert ahead(*later) == pytest.approx(ahead(one, other))
    # by hand: progress 0, .175, .5, .85; difference 0, .25, .6, .3; most 1 - 2 * .15^2
    area = 0.175 * 0.25 + 0.325 * 0.85 + 0.35 * 0.9
    assert ahead(one, other) == pytest.approx(area / (1 - 2 * 0.15**2))


# ---- Bigram-Backcopy ---------------------------------------------------------------------------


def test_a_run_on_backcopy_has_its_excess_over_the_least_loss_and_its_sinks(tmp_path):
    config = RunConfig.from_dict({
        "model": {"vocab_size": 64, "block_size": 12, "n_layer": 1, "width": 16},
        "data": {"kind": "backcopy"}, "steps": 4, "batch_size": 4,
        "probes": {"losses": 2, "windows": 4, "final_windows": 30, "sinks": 3},
    })
    [record] = sweep([config], Store(tmp_path))
    found, least = measures(record), least_losses(config.data, 30, 13)
    assert found["excess"] == record.final["validation_loss"] - least["validation"] > 0
    assert found["log_excess"] == pytest.approx(math.log(found["excess"]))
    assert found["others_excess"] == record.final["others_loss"] - least["others"] > 0
    assert found["triggers_loss"] > 3 and len(found["map"]) == 12
    assert {"sink_rate", "first_token", "value_drain"} <= set(found)
    assert len(record.curves["triggers"]) == 2


def test_a_loss_below_the_least_one_has_no_logarithm():
    config = RunConfig.from_dict({"model": {"vocab_size": 64}, "data": {"kind": "backcopy"}})
    assert math.isnan(measures(made_up_record(config.pinned(), 0.5))["log_excess"])
