"""What claims on anchor functions are about, on geometry made by hand, and on tiny runs."""

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

from gammagpt import Store, frame, sweep
from gammagpt.data.anchors import training_sequences
from gammagpt.lab.anchor_measures import (
    begins,
    closed_form_cosines,
    correlation,
    law_cosines,
    of_embeddings,
    of_probes,
    order,
    rank_correlation,
    right_at_law,
)
from gammagpt.lab.measures import measures
from gammagpt.lab.order import chance_losses
from gammagpt.ledger.claims import load_ledger
from gammagpt.probes.geometry import upper_triangle
from gammagpt.registry.studies import homes, study

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
    return of_embeddings(CONFIG, geometry)


def by_distance(*values) -> np.ndarray:
    return np.array([[values[abs(i - j)] for j in range(4)] for i in range(4)])


FALLING = by_distance(1, 0.9, 0.6, 0.3)


@pytest.mark.parametrize(
    "values, expected",
    [((1, 0.9, 0.2, -0.7), 1), ((1, -0.7, 0.2, 0.9), -1), ((1, 0.5, 0.5, 0.6), -1)],
)
def test_a_hierarchy_is_a_cosine_that_falls_with_distance(values, expected):
    found = shape(by_distance(*values))["hierarchy"]
    slow = stats.spearmanr([values[d] for d in (1, 2, 3, 1, 2, 1)], [-1, -2, -3, -1, -2, -1])
    assert found == pytest.approx(slow.statistic) and math.copysign(1, found) == expected


def test_a_match_with_the_label_law_is_a_correlation_with_its_cosines():
    laws = law_cosines(CONFIG.data, CONFIG.seed)
    assert shape(laws[4:, 4:])["law_match"] == pytest.approx(1, abs=1e-3)
    assert shape(-laws[4:, 4:])["law_match"] == pytest.approx(-1, abs=1e-3)
    assert abs(shape(laws[:4, :4])["law_match"]) < 0.9  # of memory anchors: another one


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
    assert shape(expected)["closed_form_match"] == pytest.approx(1, abs=1e-3)
    assert CONFIG.model.width == 32


def test_the_closed_form_falls_as_steeply_as_the_papers():
    found = closed_form_cosines(range(11, 21), 200)[0, :6]
    assert found == pytest.approx([1, 0.959, 0.844, 0.683, 0.507, 0.344], abs=0.002)


def test_memory_anchors_count_by_the_mean_of_their_cosines():
    found = shape(-FALLING, memory=FALLING)
    assert found["memory_cosine"] == pytest.approx((3 * 0.9 + 2 * 0.6 + 0.3) / 6)
    assert found["reasoning_cosine"] == -found["memory_cosine"]


@pytest.mark.parametrize("sign", [1, -1])
def test_order_is_that_of_the_numbers_along_the_first_axis_in_either_direction(sign):
    assert order({"tokens": [3, 1, 2], "plane": [[sign * 9.0, 0], [0.0, 0], [0, 5.0]]}, [1, 2, 3]) \
        == pytest.approx(stats.spearmanr([1, 2, 3], [0, 0, 9]).statistic)
    plane = [[sign * token**3, 0.0] for token in TOKENS]
    plane[:4] = [[1e6, 0.0], [-1e6, 0.0], [0.0, 0.0], [5.0, 0.0]]  # memory anchors do not count
    found = shape(FALLING, pca={"tokens": TOKENS, "plane": plane})
    assert found["order"] == pytest.approx(1)


def test_without_order_there_is_none():
    plane = [[math.sin(100.0 * token), 0.0] for token in TOKENS]
    assert shape(FALLING, pca={"tokens": TOKENS, "plane": plane})["order"] < 0.5


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=20))
def test_correlations_are_those_of_scipy(pairs):
    one, other = map(list, zip(*pairs, strict=True))
    if len(set(one)) > 1 < len(set(other)):
        assert correlation(one, other) == pytest.approx(stats.pearsonr(one, other).statistic)
        expected = stats.spearmanr(one, other).statistic
        assert rank_correlation(one, other) == pytest.approx(expected)


# ---- when early is -------------------------------------------------------------------------------

CHANCE = chance_losses(CONFIG.data, CONFIG.seed)


def learning(shares, config=CONFIG, probes=(), **more):
    """A record whose tasks have these shares left: {name: [(step, share), ...]}."""
    chance = chance_losses(config.data, config.seed)
    curves = {name: [[step, share * chance[name]] for step, share in left]
              for name, left in shares.items()}
    record = made_up_record(config, 3.0, probes=probes)
    return replace(record, curves=record.curves | curves | more)


def test_early_begins_when_a_tenth_of_reasoning_is_learned_whatever_memory_does():
    record = learning({"memory": [(0, 1), (100, 0)], "reasoning": [(0, 1), (20, 0.8), (40, 0)]})
    assert begins(record, CHANCE) == pytest.approx(10)
    assert begins(learning({"reasoning": [(0, 0.9), (5, 0.5)]}), CHANCE) == 0
    assert math.isnan(begins(learning({"reasoning": [(0, 1), (40, 0.91)]}), CHANCE))


def test_without_reasoning_early_is_that_of_labels_near_the_key_or_of_the_first_task():
    for tasks, name in {"far 11..14 random, close 1..4 near": "close",
                        "far 1..4 random, other 11..14 random": "far"}.items():
        config = small_anchor_run("emb_mlp", data={"tasks": tasks, "held_out": ""})
        names = [part.split()[0] for part in tasks.split(", ")]
        shares = {n: [(0, 1), (10, 0.8 if n == name else 1)] for n in names}
        found = begins(learning(shares, config), chance_losses(config.data, config.seed))
        assert found == pytest.approx(5), tasks


def probe(step, memory: float, rank: float, alike: float) -> dict:
    """Cosines `memory` between memory anchors, and what the embeddings in use are like."""
    cosine = np.eye(8)
    cosine[:4, :4] = memory
    cosine[4:, 4:] = FALLING
    np.fill_diagonal(cosine, 1)
    return {"step": step, "geometry": {
        "cosine": upper_triangle(torch.tensor(cosine)), "pca": PLANE,
        "used": {"stable_rank": rank, "pairs_alike": alike},
        "in_range": {"memory": 0.5}, "gradient": {"memory": 1.0, "keys": 0.5},
    }}


PROBES = [probe(0, 0.0, 8.0, 0.0), probe(8, 0.8, 2.0, 0.4), probe(40, 0.1, 4.0, 0.0)]


def test_numbers_of_probes_are_those_of_the_start_of_a_line_between_two_and_of_the_end():
    record = learning({"reasoning": [(0, 1), (10, 0.5), (40, 0)]}, probes=PROBES)  # a tenth: step 2
    found = of_probes(record, CHANCE)
    assert found["begins"] == pytest.approx(2)
    moments = {name: [found[f"{name}_{when}"] for when in ("start", "early", "late")]
               for name in ("memory_cosine", "alike", "log_rank", "gradient")}
    assert moments["memory_cosine"] == pytest.approx([0, 0.2, 0.1])
    assert moments["alike"] == pytest.approx([0, 0.1, 0])
    logs = np.log([8, 2, 4])
    assert moments["log_rank"] == pytest.approx([logs[0], logs[:2] @ [0.75, 0.25], logs[2]])
    assert moments["gradient"] == pytest.approx([0.75] * 3)
    assert found["in_range_memory_late"] == 0.5


def test_a_run_that_never_begins_has_nothing_early_and_one_without_geometry_no_such_number():
    never = learning({"reasoning": [(0, 1), (40, 0.95)]}, probes=PROBES)
    found = of_probes(never, CHANCE)
    assert math.isnan(found["memory_cosine_early"]) and math.isnan(found["begins"])
    assert found["memory_cosine_late"] == pytest.approx(0.1)
    assert of_probes(learning({"reasoning": [(0, 1)]}, probes=[{"step": 0}]), CHANCE) == {}


@given(st.floats(0.1, 10))
def test_early_has_no_clock(factor):
    """A run that takes the same way at another pace has the same numbers."""
    shares = [(0, 1), (10, 0.5), (40, 0)]
    later = [(step * factor, share) for step, share in shares]
    paced = [found | {"step": found["step"] * factor} for found in PROBES]
    one, other = (of_probes(learning({"reasoning": way}, probes=probes), CHANCE)
                  for way, probes in ((shares, PROBES), (later, paced)))
    assert other.pop("begins") == pytest.approx(one.pop("begins") * factor)
    assert other == pytest.approx(one)


# ---- the range of labels, or labels --------------------------------------------------------------

RANGES = small_anchor_run("emb_mlp", data={
    "tasks": "low 1..4 30..39, high 11..14 40..44", "held_out": ""})


def knowing(low: float, high: float):
    """Both fall to a loss of guessing in their range at step 10; these are right just then."""
    chance = chance_losses(RANGES.data, RANGES.seed)
    above = {name: [(0, 1.5), (20, 0.5)] for name in ("low", "high")}
    accuracies = {f"{name}_accuracy": [[0, 0.0], [10, right], [20, 1.0]]
                  for name, right in (("low", low), ("high", high))}
    assert chance["low"] > chance["high"]
    return learning(above, RANGES, **accuracies)


def test_who_guesses_in_the_range_knows_nothing_by_heart():
    assert right_at_law(knowing(0.1, 0.2)) == {"by_heart": pytest.approx(0)}
    assert right_at_law(knowing(0.4, 0.3))["by_heart"] == pytest.approx((0.3 + 0.1) / 2)


def test_who_never_gets_to_the_range_has_no_number_and_other_tasks_have_no_range():
    never = knowing(0.1, 0.2)
    never = replace(never, curves=never.curves | {"high": [[0, 9.0], [20, 8.0]]})
    assert math.isnan(right_at_law(never)["by_heart"])
    assert right_at_law(learning({"memory": [(0, 1)], "reasoning": [(0, 1)]})) == {}


# ---- records -----------------------------------------------------------------------------------


def test_a_record_of_text_or_of_a_diverged_run_has_no_measures(tiny):
    assert measures(made_up_record(tiny, 3.0)) == {}
    assert measures(made_up_record(CONFIG, None)) == {}


def test_without_geometry_there_is_progress_only():
    record = made_up_record(CONFIG, 3.0)
    curves = record.curves | {"memory": [[0, 4.0], [12, 3.9]], "reasoning": [[0, 4.0], [12, 0.0]]}
    final = {"validation_loss": 3.0, "reasoning_loss": 0.25}
    found = measures(replace(record, curves=curves, final=final))
    names = {"steps_to_memory", "steps_to_reasoning", "reasoning_left_at_memory",
             "memory_left_at_reasoning", "reasoning_first"}
    assert set(found) == names
    assert found["memory_left_at_reasoning"] == 1 and math.isnan(found["steps_to_memory"])


ON_ANCHORS = [name for name in homes() if study(name, "smoke").base.data.kind == "anchors"]
LEDGER = [claim for claim in load_ledger() if claim.experiment in ON_ANCHORS]


@pytest.mark.parametrize("experiment", sorted({claim.experiment for claim in LEDGER}))
def test_every_metric_of_the_ledger_is_measured_in_the_runs_of_its_experiment(experiment, tmp_path):
    """What is asked early, or of an order, may not be reached in so few steps."""
    planned = study(experiment, "smoke").compared()[:2]  # two settings of one seed
    sweep([replace(config, steps=20, probes=replace(config.probes, losses=3, windows=50,
                                                    final_windows=100)) for config in planned],
          Store(tmp_path), workers=1)
    runs = frame(list(Store(tmp_path)))
    metrics = {claim.metric for claim in LEDGER if claim.experiment == experiment}
    assert len(runs) == 2 and metrics <= set(runs.columns)
    reached = [name for name in metrics if name.endswith(("_start", "_late"))]
    assert runs[reached].notna().all().all()


def test_a_run_with_attention_is_measured_at_its_probes(tmp_path):
    config = small_anchor_run("gpt", steps=200, probes={"losses": 9, "windows": 8, "geometry": 6})
    [record] = sweep([config], Store(tmp_path), workers=1)
    steps = {probe["step"]: probe["geometry"] for probe in record.probes}
    found, [first, *_, last] = measures(record), steps.values()
    assert sorted(steps) == [0, 1, 4, 14, 53, 200]
    assert found["average_distance_start"] == first["average_distance"]
    assert found["value_share_late"] == last["value"]["share"]
    between = np.interp(found["begins"], list(steps),
                        [at["average_distance"] for at in steps.values()])
    assert found["average_distance_early"] == pytest.approx(between)
    assert found["key_from_last_memory_late"] == last["from_last"]["memory"][-1]["key"]
    means = [np.mean(last["value"]["alignment"][part]) for part in (slice(0, 4), slice(4, 8))]
    assert found["value_alignment_memory_late"] == pytest.approx(means[0])
    assert found["value_preference_late"] == pytest.approx(means[1] - means[0])
