"""A slice of a GPU: what it plans, in which order it trains, and that none of it is lost."""

import math
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import nbformat
import pytest
import runner
import yaml
from helpers import made_up_record, refusal, strict_json

from gammagpt import Store, project
from gammagpt.chapters.c18_gpu import job, numbers
from gammagpt.chapters.c18_gpu.checks import run_checks
from gammagpt.chapters.c18_gpu.clock import Clock
from gammagpt.chapters.c18_gpu.grid import NOTEBOOK, flops, make_groups, parameters, runs_of, wanted
from gammagpt.chapters.c18_gpu.plan import plan
from gammagpt.cli import main
from gammagpt.lab.bundle import read_bundle

FULL = project.tier_parameters("gpu")[NOTEBOOK]


@pytest.fixture(scope="module")
def groups():
    return make_groups(parameters("gpu"))


class Memory(dict):
    """Records that nobody trained, by key."""

    def get(self, config):
        return super().get(config.key)

    def add(self, config, loss, probes=(), **final):
        record = made_up_record(config, loss, probes=probes)
        self[config.key] = replace(record, final=record.final | final)


def trained(groups, loss) -> Memory:
    """The whole grid, with `loss(run)` for each of its runs."""
    known = Memory()
    while missing := wanted(groups, known):
        for run in missing[0][1]:
            known.add(run, loss(run))
    return known


def valley(run) -> float:
    """The same best rate for all, inside of most grids."""
    return 4 + 0.05 * math.log2(run.optim.learning_rate / 5e-4) ** 2 + 0.001 * (run.seed % 7)


# ---- the plan ----------------------------------------------------------------------------------


def test_the_plan_has_the_runs_and_flops_that_the_slice_was_sized_by(groups):
    rows = {row["group"]: row for row in plan(groups, Memory())}
    names = ("G1 gain", "G1 hindrances", "G2", "G3")
    assert [rows[name]["runs"] for name in names] == [36, 24, 18, 3]
    assert flops(groups[0].settings["gamma 1"]) == pytest.approx(1.4e15, rel=0.05)
    assert flops(groups[2].settings["gamma 1"]) == pytest.approx(5.3e15, rel=0.05)
    assert groups[3].settings["gamma 1, bias"].tokens == pytest.approx(1e8, rel=0.05)
    assert not any(row["records"] for row in rows.values())


def test_the_grid_is_the_one_that_was_asked_for(groups):
    gain, hindrances, wide = (group.settings for group in groups[:3])
    assert {*gain} | {*hindrances} >= {
        "gamma 0.5", "std 0.02", "gamma 0.8", "gamma 1", "gamma 1, eps 1e-12", "gamma 0.5, gate",
        "gamma 1, gate", "gamma 0.5, bias", "std 0.02, bias", "gamma 1, bias",
    }
    assert gain["gamma 1, bias"].model.head_bias == "unigram"
    assert gain["std 0.02"].init.residual_scaling
    model = wide["gamma 1, all three"].model
    assert (model.width, model.gate, model.norm_eps) == (1024, True, 1e-12)
    assert model.head_bias == "unigram"
    assert all(run.probes.sinks and run.probes.norms for g in groups for run in g.settings.values())


def test_no_two_settings_of_the_grid_are_the_same_run(groups):
    keys = [run.key for group in groups for run in group.size() if group.name != "G3"]
    repeated = {key for key in keys if keys.count(key) > 1}
    named = {run.key for group in groups if group.name == "G4 critical" for run in group.size()}
    assert repeated <= named  # a run of the gain may be one of the critical ones


# ---- the order ---------------------------------------------------------------------------------


def test_a_group_is_tuned_before_it_is_compared_and_compared_seed_by_seed(groups):
    gain, known = groups[0], Memory()
    [(first, runs), *_] = wanted(groups, known)
    assert first is gain and {run.seed for run in runs} == {2000} and len(runs) == 18
    known = trained([gain], valley)
    compared = [run for run in runs_of(gain, groups, known) if run.seed != 2000]
    for run in compared:
        del known[run.key]
    [(_, runs)] = wanted([gain], known)
    assert [run.seed for run in runs] == [60] * 6 + [61] * 6 + [62] * 6


def test_a_best_rate_at_the_edge_makes_the_grid_grow_by_two_at_most(groups):
    gain = groups[0]
    known = trained([gain], lambda run: 4 + run.optim.learning_rate)  # the slower the better
    assert gain.grown("gamma 1", known) == (3.125e-5, 6.25e-5, 1.25e-4, 2.5e-4, 5e-4)
    assert gain.best("gamma 1", known) == 3.125e-5
    known = trained([gain], valley)
    assert gain.grown("std 0.02", known) == gain.rates["std 0.02"]
    assert gain.best("std 0.02", known) == 5e-4


def test_a_diverged_run_is_never_the_best(groups):
    gain = groups[0]
    known = trained([gain], lambda run: None if run.optim.learning_rate > 3e-4 else 4.0)
    assert gain.best("gamma 1", known) < 3e-4


def test_the_long_runs_take_the_best_rates_of_the_short_ones_or_the_predicted(groups):
    gain, long = groups[0], groups[3]
    rates = {run.optim.learning_rate for run in runs_of(long, groups, trained([gain], valley))}
    assert 5e-4 in rates
    [(_, runs)] = wanted([long], Memory())
    assert [run.optim.learning_rate for run in runs] == [1e-3, 5e-4, 5e-4]


# ---- the clock ---------------------------------------------------------------------------------


def test_the_clock_learns_the_speed_of_a_shape_and_refuses_what_would_not_end(groups, monkeypatch):
    clock = Clock(100, job.pick_device())
    run = groups[0].settings["gamma 1"]
    clock.learn([run], 20.0)
    assert clock.seconds([run]) == pytest.approx(20.0)
    assert clock.seconds([groups[0].settings["gamma 1, bias"]]) == pytest.approx(20.0, rel=0.01)
    assert clock.allows([run]) and not clock.allows([groups[3].settings["gamma 1, bias"]])


def test_the_checks_are_right_here():
    report = run_checks(600, say=lambda text: None)
    assert report and all(found["right"] for found in report.values())


# ---- predictions -------------------------------------------------------------------------------


def test_without_records_every_prediction_is_not_run_and_names_what_there_is(groups):
    table = numbers.beside(groups, Memory())
    assert len(table) >= 20 and set(table.outcome) == {"not run"}
    assert (table.low < table.high).all()


def test_with_the_whole_grid_every_prediction_has_an_outcome(groups):
    known = trained(groups, valley)
    for config in [r for g in groups for r in runs_of(g, groups, known)]:
        probes = [{"step": config.steps, "sinks": {"sink_rate": 0.2, "first_token": 0.1},
                   "norms": {"input": [1.0], "output": [0.97]}}]
        known.add(config, valley(config), probes, unigram_until=100)
    table = numbers.beside(groups, known).set_index("name")
    assert set(table.outcome) == {"inside", "outside"}
    assert table.found["eps-end"] == pytest.approx(0.97)
    assert table.outcome["sinks-small"] == "outside"
    assert table.found["plateau"] == 100 and table.outcome["no-collapse-slow"] == "inside"
    low, high = table.interval["gain"]
    assert low < table.found["gain"] < high


def test_a_prediction_about_nothing_is_refused(groups):
    said = {"group": "G1 gain", "measure": {"difference": ["gamma 7", "gamma 1"]}}
    runs = numbers.frame(groups, Memory())
    assert "got 'gamma 7' of G1 gain" in refusal(numbers.outcome, said, groups, runs, Memory())
    said = {"group": "G1 gain", "measure": {"colour": "gamma 1"}}
    assert "allowed are difference" in refusal(numbers.outcome, said, groups, runs, Memory())


# ---- a slice -----------------------------------------------------------------------------------


@pytest.fixture
def rehearsed(tmp_path, corpus, monkeypatch):
    """A project whose rehearsal trains on a small corpus; its folder."""
    root = tmp_path / "project"
    tiers = root / "notebooks" / "tiers"
    tiers.mkdir(parents=True)
    tiny = project.tier_parameters("smoke")[NOTEBOOK]
    tiny |= {"corpus": corpus, "vocab_size": 300, "block_size": 16, "steps": 6}
    (tiers / "smoke.yml").write_text(yaml.safe_dump({NOTEBOOK: tiny}))
    shutil.copy(project.root() / "notebooks" / f"{NOTEBOOK}.ipynb", root / "notebooks")
    (root / "predictions").mkdir()
    predicted = (project.root() / "predictions" / "gpu.yml").read_text(encoding="utf-8")
    (root / "predictions" / "gpu.yml").write_text(predicted, encoding="utf-8")
    monkeypatch.setenv("GAMMAGPT_ROOT", str(root))
    monkeypatch.setenv("GAMMAGPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path / "results"))
    return root


def command(budget: int, out) -> list[str]:
    return [sys.executable, "-m", "gammagpt", "gpu", "--rehearse", "--budget", f"{budget}s",
            "--out", str(out)]


def test_the_rehearsal_keeps_its_budget_survives_a_kill_and_ends_on_the_page(
    rehearsed, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    process = subprocess.Popen(command(300, out), stdout=subprocess.PIPE, text=True)
    for line in process.stdout:  # of the fifth run
        if "seed 2000" in line and line.count("0.032"):
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    kept = {record.key for record in read_bundle(out / "records.bundle")}
    assert len(kept) >= 2

    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path / "another machine"))
    start, budget = time.monotonic(), 40
    done = subprocess.run(command(budget, out), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - start < 1.1 * budget + 3
    report = strict_json((out / "slice.json").read_text())
    assert report["seconds"] < 1.1 * budget
    keys = [key for run in report["runs"] for key in run["keys"]]
    assert len(keys) == len(set(keys))  # nothing was trained twice
    records = read_bundle(out / "records.bundle")
    assert kept < {record.key for record in records} and len(list(out.iterdir())) <= 8
    predicted = {record.provenance["rules"]["gpu"] for record in records}
    assert predicted == {job.predictions_hash()} != {"none"}

    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path / "the book's"))
    assert main(["records", "import", str(out / "records.bundle"), "--tier", "smoke"]) == 0
    page = tmp_path / "page.ipynb"
    assert runner.execute(NOTEBOOK, runner.plan("smoke", [NOTEBOOK])[NOTEBOOK], page) is None
    shown = str([cell.get("outputs") for cell in nbformat.read(page, as_version=4).cells])
    assert "runs have records in `results/smoke`" in shown and "fig-gpu-losses" in shown
    assert f"{len(records)} runs, " in shown


def test_a_run_that_fails_ends_nothing_and_is_left_out(rehearsed, tmp_path, monkeypatch):
    def fail(*arguments, **named):
        raise RuntimeError("no memory")

    monkeypatch.setattr(job, "train_stack", fail)
    monkeypatch.setattr(job, "measure", lambda *given: {})
    monkeypatch.setattr(job, "run_checks", lambda *given: {})
    heard = []
    report = job.run_slice("smoke", 6.0, str(tmp_path / "out"), say=heard.append)
    assert len(report["failed"]) >= 3
    assert "failed: RuntimeError: no memory" in "\n".join(heard)
    assert not list(Store(tmp_path / "results" / "smoke"))


def test_what_a_slice_cannot_use_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert "--from: got" in refusal(job.run_slice, "smoke", 9.0, "x", str(tmp_path / "absent"))
    assert "--out: " in refusal(job.run_slice, "smoke", 9.0, str(tmp_path / "file"))
