"""What claims about texts are about, on made-up records, and on a tiny run on Bigram-Backcopy."""

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import made_up_record
from hypothesis import given
from hypothesis import strategies as st

from gammagpt import RunConfig, Store, sweep
from gammagpt.data import DataConfig
from gammagpt.data.backcopy import least_losses
from gammagpt.lab import measures as module
from gammagpt.lab.measures import REASONING, expansion, log_lead, measures
from gammagpt.lab.order import ahead

# ---- a mixture of two texts ----------------------------------------------------------------------

FALLING = {"logic": [[0, 4.0], [10, 3.0], [20, 1.0], [30, 0.4]],  # of 4 nats: a tenth at step 4
           "stories": [[0, 8.0], [10, 8.0], [20, 6.0], [30, 4.0]]}  # of 8


def of_two(monkeypatch, curves=FALLING, groups=()) -> dict:
    """The measures of a made-up run on logic and stories; `groups` (step, cosines of each)."""
    monkeypatch.setattr(module, "unigrams", lambda data: {"logic": 4.0, "stories": 8.0})
    config = RunConfig(data=DataConfig("logic+stories", fingerprint="f" * 64))
    probes = [{"step": step, "geometry": {"groups": found}} for step, found in groups]
    made = made_up_record(config, 1.0, probes=probes)
    final = {f"{name}_loss": curve[-1][1] for name, curve in curves.items()}
    return measures(replace(made, curves=made.curves | curves, final=made.final | final))


def test_how_far_the_first_text_is_ahead_is_the_order_of_what_is_left_of_both(monkeypatch):
    found = of_two(monkeypatch)
    left = [np.array([1, 0.75, 0.25, 0.1]), np.array([1, 1, 0.75, 0.5])]
    assert found["first_ahead"] == pytest.approx(ahead(*left)) and found["first_ahead"] > 0
    other = {"logic": FALLING["stories"], "stories": FALLING["logic"]}
    assert of_two(monkeypatch, other)["first_ahead"] < 0
    assert found["delta"] == pytest.approx((4 - 0.4) / 0.4)
    assert found["delta_normalised"] == pytest.approx(4 / 8 - 0.4 / 4)


def test_cosines_of_a_texts_own_tokens_are_read_when_a_tenth_of_the_first_is_learned(monkeypatch):
    """Step 4, where 3.6 of 4 nats are left: two fifths of the way between two probes."""
    probes = [(0, {"logic": 0.0, "stories": 0.0}), (10, {"logic": 0.5, "stories": 0.2})]
    found = of_two(monkeypatch, groups=probes)
    assert found["logic_cosine_early"] == pytest.approx(0.2)
    assert found["stories_cosine_early"] == pytest.approx(0.08)
    assert found["cosine_gap_early"] == pytest.approx(0.08 - 0.2)
    never = FALLING | {"logic": [[step, 3.7] for step in (0, 10, 20, 30)]}
    assert math.isnan(of_two(monkeypatch, never, probes)["cosine_gap_early"])
    assert "cosine_gap_early" not in of_two(monkeypatch)  # without a probe


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
