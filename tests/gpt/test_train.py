"""A run is a pure function of its configuration, and says honestly how it ended."""

import math
import time
from dataclasses import replace

import pytest
import torch
from helpers import refusal, small_anchor_run, strict_json

from gammagpt import GPT, InitConfig, OptimConfig, ProbeConfig, RunConfig, audit_init, train
from gammagpt.data import load_text
from gammagpt.data.anchors import training_sequences
from gammagpt.data.batches import make_batches
from gammagpt.gpt.engine import Loss, build_model


@pytest.fixture(scope="module")
def outcome():
    """outcome(config) trains, but not the same configuration twice."""
    known = {}

    def run(config):
        if config not in known:
            known[config] = train(config)
        return known[config]

    return run


def what_came_out(record):
    return record.status, record.diverged_at, record.curves, record.probes, record.final


def batches_of(config, monkeypatch) -> list[torch.Tensor]:
    """The training inputs and targets, as the model met them."""
    met, forward = [], Loss.forward

    def listen(loss, tokens, targets, measured=False):
        if not measured:
            met.append(torch.stack((tokens, targets)))
        return forward(loss, tokens, targets, measured)

    with monkeypatch.context() as patch:
        patch.setattr(Loss, "forward", listen)
        train(config)
    return met


# ---- a pure function ---------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{}, {"precision": "bfloat16"}], ids=["float32", "bfloat16"])
def test_a_run_is_repeatable_to_the_last_bit(tiny, change):
    config = replace(tiny, **change)
    torch.manual_seed(1)
    once = train(config)
    torch.manual_seed(2)
    assert what_came_out(train(config)) == what_came_out(once)
    assert once.status == "ok" and once.config == config


def test_another_seed_is_another_run(tiny, outcome):
    one, other = outcome(tiny), outcome(replace(tiny, seed=1))
    assert one.final != other.final
    assert one.curves["train"][0] != other.curves["train"][0]


def test_two_gammas_of_one_seed_see_the_same_batches(tiny, monkeypatch):
    usual = batches_of(tiny, monkeypatch)
    small = batches_of(replace(tiny, init=InitConfig(gamma=1.2)), monkeypatch)
    assert len(usual) == tiny.steps
    assert all(torch.equal(one, other) for one, other in zip(usual, small, strict=True))


def test_two_seeds_see_other_batches(tiny, monkeypatch):
    one, other = batches_of(tiny, monkeypatch), batches_of(replace(tiny, seed=1), monkeypatch)
    assert not torch.equal(one[0], other[0])


def test_training_needs_no_progress_and_writes_nothing(tiny, cache, outcome):
    before = sorted(cache.rglob("*"))
    calls = []
    record = train(tiny, progress=lambda step, loss: calls.append((step, loss)))
    assert [step for step, _ in calls] == list(range(12))
    assert what_came_out(record) == what_came_out(outcome(tiny))
    assert sorted(cache.rglob("*")) == before


def test_the_model_of_a_run_starts_as_its_gamma_says(tiny):
    config = replace(tiny, init=InitConfig(std=0.1, residual_scaling=True), seed=5)
    model = build_model(config)
    assert audit_init(model, std=0.1, residual_scaling=True).ok.all()
    assert not audit_init(model, std=0.1).ok.all()
    assert torch.equal(model.head.weight, build_model(config).head.weight)


# ---- what a record holds -----------------------------------------------------------------------


def test_the_loss_falls(tiny, outcome):
    record = outcome(tiny)
    first, last = (record.curves["validation"][i][1] for i in (0, -1))
    assert abs(first - math.log(300)) < 0.7 and last < first - 0.5


def test_the_first_loss_of_a_small_initialization_is_that_of_guessing(tiny, outcome):
    record = outcome(replace(tiny, init=InitConfig(gamma=3.0)))
    assert record.curves["train"][0] == [1, pytest.approx(math.log(300), abs=1e-3)]
    assert record.curves["validation"][0] == [0, pytest.approx(math.log(300), abs=1e-3)]


def test_the_training_curve_is_the_mean_since_the_last_point(tiny):
    losses = []
    config = replace(tiny, steps=302, probes=ProbeConfig(losses=2, windows=1, final_windows=1))
    record = train(config, progress=lambda step, loss: losses.append(loss))
    expected = [[i, sum(losses[i - 3 : i]) / 3] for i in range(3, 301, 3)]
    assert len(losses) == 302
    assert record.curves["train"] == [[i, pytest.approx(loss, rel=1e-5)] for i, loss in expected]


def test_validation_and_spectra_are_measured_at_both_ends(tiny, outcome):
    record = outcome(tiny)
    assert [step for step, _ in record.curves["validation"]] == [0, 4, 8, 12]
    assert [probe["step"] for probe in record.probes] == [0, 1, 12]
    names = [name for name, p in GPT(tiny.model).named_parameters() if p.ndim == 2]
    assert all(list(probe["tensors"]) == names for probe in record.probes)


def test_the_final_loss_is_over_its_own_larger_set_of_windows(tiny, outcome):
    same = outcome(replace(tiny, probes=replace(tiny.probes, final_windows=8)))
    assert same.final["validation_loss"] == pytest.approx(
        same.curves["validation"][-1][1], rel=1e-5
    )
    assert outcome(tiny).curves == same.curves and outcome(tiny).final != same.final


def test_probes_change_nothing_of_the_training(tiny, outcome):
    bare = outcome(replace(tiny, probes=ProbeConfig(losses=2, windows=1, final_windows=32)))
    assert bare.curves["train"] == outcome(tiny).curves["train"] and bare.probes == []
    assert bare.final == outcome(tiny).final


def test_clipping_bounds_what_a_step_can_do(tiny, outcome):
    def gain(clip):
        curve = outcome(replace(tiny, optim=replace(tiny.optim, clip=clip))).curves["validation"]
        return curve[0][1] - curve[-1][1]

    assert gain(0.0) > 0.5 and abs(gain(1e-12)) < 0.1


def test_provenance_says_where_when_and_under_which_rules(tiny):
    provenance = train(tiny, rules={"a-claim": "0123"}).provenance
    assert provenance["rules"] == {"a-claim": "0123"}
    assert provenance["torch"] == torch.__version__
    assert provenance["device"] == "cpu, 1 thread(s)" and provenance["seconds"] > 0
    date = time.strptime(provenance["date"], "%Y-%m-%dT%H:%M:%SZ")
    assert abs(time.mktime(date) - time.mktime(time.gmtime())) < 60
    assert provenance["commit"] and len(provenance["source"]) == 12


# ---- anchors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["emb_mlp", "gpt"])
def test_a_run_on_anchors_records_loss_and_accuracy_of_every_task_and_the_unseen(kind, outcome):
    record = outcome(small_anchor_run(kind))
    names = ["memory", "reasoning", "unseen"]
    losses = {name: record.final[f"{name}_loss"] for name in names}
    assert record.final["validation_loss"] == pytest.approx(
        (losses["memory"] + losses["reasoning"]) / 2  # what was held out does not count
    )
    assert all(0 <= record.final[f"{name}_accuracy"] <= 1 for name in names)
    curves = {"train", "validation", *names, *(f"{name}_accuracy" for name in names)}
    assert set(record.curves) == curves and len(record.final) == 7
    assert [step for step, _ in record.curves["unseen"]] == [0, 4, 8, 12]
    assert (
        len(record.curves["train"]) == 12
        and record.config.tokens == 12 * 32 * record.config.data.length
    )
    strict_json(record.to_json())


def test_the_first_losses_on_anchors_are_those_of_guessing_among_all_tokens(outcome):
    record = outcome(small_anchor_run("gpt", init={"gamma": 3.0}))
    for name in ("train", "validation", "memory", "reasoning", "unseen"):
        assert record.curves[name][0][1] == pytest.approx(math.log(61), abs=1e-3)


@pytest.mark.parametrize("kind", ["emb_mlp", "gpt"])
def test_a_run_on_anchors_is_repeatable_to_the_last_bit(kind, outcome):
    probes = {"losses": 4, "windows": 30, "final_windows": 60, "geometry": 3}
    config = small_anchor_run(kind, probes=probes)
    assert what_came_out(train(config)) == what_came_out(outcome(config))
    bare = outcome(small_anchor_run(kind))  # geometry changes nothing of the training
    assert (bare.curves, bare.final) == (outcome(config).curves, outcome(config).final)


def test_batches_of_anchors_are_sequences_of_the_training_set_with_their_labels(monkeypatch):
    config = small_anchor_run("gpt")
    found = training_sequences(config.data, config.seed)
    known = {
        (*row, label)
        for row, label in zip(found.tokens.tolist(), found.labels.tolist(), strict=True)
    }
    batches = make_batches([config], torch.device("cpu"), slice(None))
    met = set()
    for step in range(config.steps):
        [tokens], [labels] = batches.train(step)
        met |= {(*row, label) for row, label in zip(tokens.tolist(), labels.tolist(), strict=True)}
    assert met <= known and len(met) > 12 * 32 * 0.8


def test_two_gammas_of_one_seed_see_the_same_anchors_and_two_seeds_others():
    configs = [
        small_anchor_run("gpt", init={"gamma": g}, seed=s)
        for g, s in ((0.3, 0), (0.8, 0), (0.8, 1))
    ]
    batches = make_batches(configs, torch.device("cpu"), slice(None))
    for part in (*batches.train(5), *batches.along["memory"]):
        assert torch.equal(part[0], part[1]) and not torch.equal(part[1], part[2])


def test_data_that_was_changed_after_its_fingerprint_is_refused():
    config = small_anchor_run("emb_mlp").pinned()
    stale = replace(
        config, data=replace(config.data, tasks="memory 1..3 random, reasoning 11..14 sum")
    )
    assert stale.key == config.key  # which is why
    assert refusal(train, stale).startswith("data.fingerprint: got ")


# ---- divergence --------------------------------------------------------------------------------


def wild(config, **probes) -> RunConfig:
    optim = OptimConfig(learning_rate=1e6, clip=0.0, warmup=0.0, weight_decay=10.0)
    return replace(config, optim=optim, probes=replace(config.probes, **probes), steps=40)


@pytest.mark.parametrize("spectra", [0, 40], ids=["losses only", "with spectra at every step"])
def test_a_diverging_run_is_recorded_as_diverged(tiny, outcome, spectra):
    record = outcome(wild(tiny, spectra=spectra))
    assert record.status == "diverged" and 0 < record.diverged_at <= 40
    assert record.final == {"validation_loss": None}
    content = strict_json(record.to_json())
    assert (content["status"], content["diverged_at"]) == ("diverged", record.diverged_at)
    assert all(step <= record.diverged_at for curve in record.curves.values() for step, _ in curve)


def test_an_initialization_that_starts_beyond_all_numbers_is_recorded_as_diverged(tiny, outcome):
    record = outcome(replace(tiny, init=InitConfig(std=1e30)))
    assert record.status == "diverged" and record.diverged_at <= 1
    strict_json(record.to_json())


def test_a_bad_rate_that_stays_finite_is_no_divergence(tiny, outcome):
    record = outcome(replace(tiny, optim=OptimConfig(learning_rate=3.0)))
    assert record.status == "ok"
    assert record.final["validation_loss"] > outcome(tiny).final["validation_loss"] + 0.1


# ---- bad input ---------------------------------------------------------------------------------


def test_a_device_that_is_not_here_is_refused(tiny):
    assert "got 'tpu'" in refusal(train, tiny, device="tpu")
    assert "available here: cpu" in refusal(train, tiny, device="cuda")


def test_a_text_that_is_too_short_is_refused_before_any_training(tiny):
    length = len(load_text(tiny.data).validation)
    config = replace(tiny, model=replace(tiny.model, block_size=length))
    calls = []
    message = refusal(train, config, progress=lambda step, loss: calls.append(step))
    assert f"block_size = {length}" in message and calls == []
