"""A sweep trains what is missing and nothing else, however often it was killed before."""

import json
import math
import os
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import assert_same_final, made_up_record, refusal, small_anchor_run

from gammagpt import InitConfig, RunConfig, Store, frame, load_records, sweep
from gammagpt.gpt.device import Policy
from gammagpt.lab import progress
from gammagpt.lab import stacking as plan
from gammagpt.lab.training import train_stack


def grid(config, gammas=(0.5, 0.8), seeds=(0, 1)) -> list[RunConfig]:
    return [replace(config, init=InitConfig(g), seed=seed) for seed in seeds for g in gammas]


def numbers(records) -> list:
    """All that a run left, but for its date and duration."""
    return [(r.key, r.status, r.diverged_at, r.curves, r.probes, r.final) for r in records]


def assert_close(records, others) -> None:
    """The same outcomes up to the rounding of a short run in another stack."""
    for record, other in zip(records, others, strict=True):
        assert (record.key, record.status) == (other.key, other.status)
        assert_same_final(record, other, 1e-4)


def times(folder) -> dict[str, int]:
    return {path.stem: path.stat().st_mtime_ns for path in Path(folder).glob("*.json")}


@pytest.fixture
def two_cores():
    """Two workers then have one thread each, as this process does, so that all bits agree."""
    if not hasattr(os, "sched_setaffinity"):  # macOS: matrices this small use one thread anyway
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:2])
    yield
    os.sched_setaffinity(0, before)


# ---- only what is missing ----------------------------------------------------------------------


def test_of_two_processes_with_one_store_the_second_waits_and_then_reads(tiny, tmp_path):
    """Two notebooks of one experiment may run at once; a run is not trained twice."""
    store, others = Store(tmp_path / "mine"), Store(tmp_path / "others")
    sweep([tiny], others, workers=1)
    with ThreadPoolExecutor() as pool:
        with store.lock():  # as if the first process were training
            found = pool.submit(sweep, [tiny], store, workers=1)
            with pytest.raises(TimeoutError):
                found.result(timeout=1)
            store.put(others.get(tiny))
        assert found.result(timeout=60)[0].to_json() == others.get(tiny).to_json()


def test_a_second_sweep_trains_nothing(tiny, tmp_path):
    first = sweep(grid(tiny), Store(tmp_path), workers=1)
    before = times(tmp_path)
    assert sweep(grid(tiny), Store(tmp_path), workers=1) == first
    assert times(tmp_path) == before and len(before) == 4


def test_a_larger_grid_trains_only_what_is_new(tiny, tmp_path):
    sweep(grid(tiny, seeds=(0,)), Store(tmp_path), workers=1)
    before = times(tmp_path)
    sweep(grid(tiny), Store(tmp_path), workers=1)
    after = times(tmp_path)
    assert len(after) == 4 and before.items() <= after.items()


def test_deleting_one_record_makes_exactly_that_one_again(tiny, tmp_path):
    store = Store(tmp_path)
    first = sweep(grid(tiny), store, workers=1)
    before, lost = times(tmp_path), first[2].key
    store.path(lost).unlink()
    again = sweep(grid(tiny), store, workers=1)
    after = times(tmp_path)
    assert {key for key in after if after[key] != before[key]} == {lost}
    assert numbers(again) == numbers(first)


def test_a_damaged_record_is_set_aside_and_made_again(tiny, tmp_path):
    store = Store(tmp_path)
    first = sweep(grid(tiny), store, workers=1)
    store.path(first[1].key).write_text("{")
    with pytest.warns(UserWarning, match=first[1].key):
        again = sweep(grid(tiny), store, workers=1)
    assert numbers(again) == numbers(first)


def test_records_come_in_the_order_of_the_configurations(tiny, tmp_path):
    configs = grid(tiny, seeds=(3, 1, 2))
    records = sweep(configs, Store(tmp_path), workers=1)
    assert [record.config for record in records] == configs
    backwards = sweep(configs[::-1], Store(tmp_path), workers=1)
    assert backwards == records[::-1]


def test_a_configuration_given_twice_is_trained_once_and_returned_twice(tiny, tmp_path):
    one, other = grid(tiny, seeds=(0,))
    records = sweep([one, other, one], Store(tmp_path), workers=1)
    assert [record.config for record in records] == [one, other, one]
    assert len(times(tmp_path)) == 2


def test_the_rules_in_force_are_in_every_new_record(tiny, tmp_path):
    first, other = grid(tiny, seeds=(0,))
    sweep([first], Store(tmp_path), workers=1, rules={"a-claim": "before"})
    records = sweep([first, other], Store(tmp_path), workers=1, rules={"a-claim": "after"})
    assert [r.provenance["rules"]["a-claim"] for r in records] == ["before", "after"]


@pytest.mark.parametrize("workers", [0, -1])
def test_an_impossible_number_of_workers_is_refused(tiny, tmp_path, workers):
    message = refusal(sweep, [tiny], Store(tmp_path), workers=workers)
    assert message.startswith(f"workers: got {workers}")


def test_bad_data_stops_a_sweep_with_one_line(tiny, tmp_path):
    wrong = replace(tiny, data=replace(tiny.data, fingerprint="0" * 64))
    assert refusal(sweep, [wrong], Store(tmp_path), workers=1).startswith("data.fingerprint")


# ---- stacks ------------------------------------------------------------------------------------


def test_a_stacked_sweep_leaves_the_records_of_one_run_after_another(tiny, tmp_path):
    configs = grid(tiny, seeds=(0, 1, 2))
    alone = sweep(configs, Store(tmp_path / "alone"), workers=1, members=1)
    stacked = sweep(configs, Store(tmp_path / "stacked"), workers=1, members=4)
    assert [r.provenance["members"] for r in stacked] == [3] * 6  # two equal stacks, not 4 and 2
    assert_close(stacked, alone)


def test_runs_of_different_shape_go_into_stacks_of_their_own(tiny, tmp_path):
    short = replace(tiny, steps=6)
    configs = [tiny, short, replace(tiny, seed=1), replace(short, seed=1), replace(short, seed=2)]
    records = sweep(configs, Store(tmp_path), workers=1, members=8)
    assert [r.provenance["members"] for r in records] == [2, 3, 2, 3, 3]
    assert [r.config for r in records] == configs


def test_a_stack_that_does_not_fit_into_memory_is_cut_until_it_does(tiny, tmp_path, monkeypatch):
    tried = []

    def narrow(configs, **named):
        tried.append(len(configs))
        if len(configs) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return train_stack(configs, **named)

    monkeypatch.setattr(sys.modules["gammagpt.lab.training"], "train_stack", narrow)
    configs = grid(tiny, seeds=(0, 1, 2))
    records = sweep(configs, Store(tmp_path), workers=1, members=6)
    assert tried == [6, 3, 1, 2, 3, 1, 2] and len(times(tmp_path)) == 6
    assert [r.config for r in records] == configs


def test_one_run_that_does_not_fit_into_memory_is_an_error(tiny, tmp_path, monkeypatch):
    def full(configs, **named):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(sys.modules["gammagpt.lab.training"], "train_stack", full)
    with pytest.raises(torch.OutOfMemoryError):
        sweep([tiny], Store(tmp_path), workers=1)


@pytest.mark.parametrize("members", [0, -1])
def test_an_impossible_number_of_members_is_refused(tiny, tmp_path, members):
    message = refusal(sweep, [tiny], Store(tmp_path), members=members)
    assert message.startswith(f"members: got {members}")


# ---- the plan ----------------------------------------------------------------------------------


def planned(monkeypatch, speeds, *, compiles=False, runs=64, steps=400, workers=1) -> plan.Plan:
    """The plan for a machine with these speeds: {(members, compiled): tokens per second}."""

    def measure(configs, device, compiled=False):
        speed = speeds[len(configs), compiled]
        if speed is None:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plan.Plan(len(configs), compiled, speed)

    monkeypatch.setattr(plan, "measure", measure)
    monkeypatch.setattr(plan, "policy", lambda device: Policy("float32", compiles, ""))
    configs = [replace(RunConfig(), seed=seed, steps=steps) for seed in range(runs)]
    return plan.make_plan(configs, torch.device("cpu"), workers)


def test_the_stack_that_was_measured_as_the_fastest_is_taken(monkeypatch):
    speeds = {(1, False): 1e4, (4, False): 3e4, (16, False): 9e4, (64, False): 8e4}
    assert planned(monkeypatch, speeds) == plan.Plan(16, False, 9e4)


def test_one_run_at_a_time_where_stacks_gain_nothing(monkeypatch):
    assert planned(monkeypatch, {(1, False): 1e4, (4, False): 1.05e4}).members == 1


def test_no_stack_is_larger_than_what_a_process_has_to_do(monkeypatch):
    speeds = {(1, False): 1e4, (4, False): 3e4}
    assert planned(monkeypatch, speeds, runs=6, workers=2).members == 4


def test_little_work_is_not_worth_measuring(monkeypatch):
    assert planned(monkeypatch, {(1, False): 1e5}, runs=2, steps=40).members == 1


def test_a_process_with_one_run_measures_nothing(monkeypatch):
    assert planned(monkeypatch, {}, runs=2, workers=2) == plan.Plan()


def test_a_stack_too_large_for_the_memory_is_not_planned(monkeypatch):
    speeds = {(1, False): 1e4, (4, False): 3e4, (16, False): None}
    with pytest.warns(UserWarning, match="16 runs at once do not fit"):
        assert planned(monkeypatch, speeds).members == 4


def test_compiling_is_tried_where_the_policy_says_so_and_there_is_much_to_do(monkeypatch):
    speeds = {(1, False): 1e4, (4, False): 3e4, (16, False): 3e4, (4, True): 6e4}
    assert planned(monkeypatch, speeds, compiles=True) == plan.Plan(4, True, 6e4)
    speeds[4, True] = 3.1e4  # gains too little
    assert planned(monkeypatch, speeds, compiles=True) == plan.Plan(4, False, 3e4)
    assert planned(monkeypatch, speeds, compiles=True, runs=5) == plan.Plan(4, False, 3e4)


@pytest.mark.parametrize("kind", ["text", "gpt", "emb_mlp"])
def test_a_measured_speed_is_a_speed(tiny, kind):
    config = tiny if kind == "text" else small_anchor_run(kind)
    found = plan.measure([config, replace(config, seed=1)], torch.device("cpu"), seconds=0.05)
    assert (found.members, found.compiled) == (2, False) and found.tokens_per_second > 100


# ---- budgets -----------------------------------------------------------------------------------


def test_without_time_nothing_is_trained(tiny, tmp_path):
    assert sweep(grid(tiny), Store(tmp_path), workers=1, budget=-1) == [None] * 4
    assert times(tmp_path) == {}


def test_a_budget_does_the_first_runs_and_a_later_sweep_the_rest(tiny, tmp_path, monkeypatch):
    configs, store = grid(tiny, seeds=(0, 1, 2)), Store(tmp_path)
    clock = iter(range(1000))  # every look at the clock takes a second
    with monkeypatch.context() as patch:
        ticking = SimpleNamespace(monotonic=lambda: next(clock))
        patch.setattr(sys.modules["gammagpt.lab.sweep"], "time", ticking)
        records = sweep(configs, store, workers=1, members=2, budget=6)
    done = sum(record is not None for record in records)
    assert 0 < done < 6 and all(records[:done]) and not any(records[done:])
    before = times(tmp_path)
    assert all(sweep(configs, store, workers=1, members=2))
    assert before.items() <= times(tmp_path).items()


# ---- progress ----------------------------------------------------------------------------------


def bar_of(configs, monkeypatch):
    """A bar that somebody sees, and a clock of our own for its estimate."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(progress, "_unseen", lambda: False)
    bar = progress.Progress(configs)
    bar.bar._time = lambda: clock.now
    return bar, clock


def test_the_time_left_is_right_after_the_first_tenth(tiny, monkeypatch):
    """Runs of two processes, in bursts, after a start that took longer than all the rest."""
    configs = grid(replace(tiny, steps=100), seeds=range(5))
    bar, clock = bar_of(configs, monkeypatch)
    bar.bar.start_t = bar.bar.last_print_t = clock.now
    clock.now += 500  # starting the processes
    total, step = sum(c.tokens for c in configs), 100 * 8 * 16 // 100
    for tick in range(100 * len(configs) // 2):
        clock.now += 1.0
        for config in configs[2 * (tick // 100) : 2 * (tick // 100) + 2]:
            bar.steps([config.key], step, 3.0)
        if tick == 100 * len(configs) // 20:
            numbers = bar.bar.format_dict
            rate = numbers["n"] / (clock.now - bar.bar.start_t)
            assert (total - numbers["n"]) / rate == pytest.approx(450, rel=0.2)
    assert bar.bar.n == total


def test_the_bar_names_runs_loss_and_members_and_counts_every_run_once(tiny, monkeypatch):
    configs = grid(tiny)
    bar, _ = bar_of(configs, monkeypatch)
    bar.steps([c.key for c in configs[:2]], 500, 3.25)
    bar.steps([c.key for c in configs[:2]], 10**9, 3.25)  # never more than a run has
    for config in configs:
        bar.done(made_up_record(config, 3.0))
    assert bar.bar.n == sum(c.tokens for c in configs)
    last = str(bar.bar)
    assert "4 of 4 runs" in last and "loss 3.250, 2 members" in last and "tok/s" in last


def test_a_sweep_that_nobody_watches_prints_nothing(tiny, tmp_path, capfd):
    import ipykernel.iostream  # noqa: F401  imported is not watched: this is no kernel

    sweep(grid(tiny), Store(tmp_path), workers=2)
    assert capfd.readouterr() == ("", "")


def test_a_notebook_shows_the_bar():
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    cell = new_code_cell("from gammagpt.lab import progress; print(progress._unseen())")
    notebook = NotebookClient(new_notebook(cells=[cell]), kernel_name="python3").execute()
    assert notebook.cells[0].outputs[0].text == "False\n"


# ---- several processes, and kill -9 ------------------------------------------------------------


SWEEP = """
import json, multiprocessing, sys, threading, time
from gammagpt import RunConfig, Store, sweep

def name_the_workers():
    while len(multiprocessing.active_children()) < 2:
        time.sleep(0.01)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)

threading.Thread(target=name_the_workers, daemon=True).start()
configs = [RunConfig.from_dict(mapping) for mapping in json.loads(sys.argv[2])]
sweep(configs, Store(sys.argv[1]), workers=2, members=int(sys.argv[3]))
"""


def is_alive(pid: int) -> bool:
    """Whether a process still runs; one that ended and that nobody waited for does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return state.stdout.strip() != "" and not state.stdout.strip().startswith("Z")


def wait_until(condition, seconds=60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.mark.parametrize("members", [1, 2], ids=["one at a time", "stacked"])
def test_a_killed_sweep_takes_its_workers_along_and_goes_on_to_the_same_numbers(
    tiny, tmp_path, two_cores, members
):
    configs = grid(replace(tiny, steps=60), seeds=(0, 1, 2, 3))
    folder, mappings = tmp_path / "killed", json.dumps([c.to_dict() for c in configs])
    process = subprocess.Popen(
        [sys.executable, "-c", SWEEP, str(folder), mappings, str(members)],
        stdout=subprocess.PIPE, text=True,
    )
    workers = [int(pid) for pid in process.stdout.readline().split()]
    try:
        wait_until(lambda: times(folder))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL and len(workers) == 2
        wait_until(lambda: not any(map(is_alive, workers)), seconds=15)
    finally:  # nothing is left behind, whatever failed
        for pid in filter(is_alive, [process.pid, *workers]):
            os.kill(pid, signal.SIGKILL)

    kept = times(folder)
    assert 0 < len(kept) < len(configs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resumed = sweep(configs, Store(folder), workers=2, members=members)
    assert kept.items() <= times(folder).items()
    alone = sweep(configs, Store(tmp_path / "alone"), workers=1, members=1)
    if members == 1:
        assert numbers(resumed) == numbers(alone)
    assert_close(resumed, alone)


# ---- frames ------------------------------------------------------------------------------------


def test_a_script_without_a_guard_is_told_so_and_does_not_wait_for_itself(tmp_path):
    """Each process that a sweep starts reads the script that started it, and would sweep again."""
    script = tmp_path / "mine.py"
    script.write_text(
        "from gammagpt import RunConfig, Store, sweep\n"
        "configs = [RunConfig(steps=1, seed=seed) for seed in (0, 1)]\n"
        "sweep(configs, Store('runs'), workers=2, members=1)\n"
    )
    found = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    last = found.stderr.splitlines()[-1]
    assert found.returncode and "below `if __name__ == '__main__':`" in last


def test_a_frame_has_a_row_a_run_with_every_field(tiny):
    configs = grid(tiny) + [replace(tiny, init=InitConfig(std=0.02, residual_scaling=True))]
    runs = frame([made_up_record(c, 3.0 + c.seed, rules={"a": "b"}) for c in configs])
    assert list(runs.seed) == [0, 0, 1, 1, 0] and list(runs.loss) == [3, 3, 4, 4, 3]
    assert list(runs.setting[:2]) == ["gamma 0.5", "gamma 0.8"]
    assert runs.setting[4] == "std 0.02 with residual scaling"
    assert list(runs.key) == [config.key for config in configs]
    row = runs.iloc[0]
    assert (row.width, row.learning_rate, row.steps, row.gamma) == (16, 0.02, 12, 0.5)
    assert (row.status, row.commit, row.seconds) == ("ok", "0123456789ab", 1.5)
    assert (row.tokens, row.rules) == (12 * 8 * 16, {"a": "b"})
    assert row.curve == row.curves["validation"] == [[0, 5.75], [2, 5.25]]
    assert list(row.curves) == ["train", "validation"] and row.probes == []


def test_the_loss_of_a_diverged_run_is_infinite(tiny):
    runs = frame([made_up_record(tiny, 3.0), made_up_record(tiny, None)])
    assert list(runs.loss) == [3.0, math.inf]
    assert list(runs.status) == ["ok", "diverged"]


def test_the_records_of_a_tier_are_those_of_its_folder(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    assert load_records("smoke") == []
    Store(tmp_path / "smoke").put(made_up_record(tiny, 3.0))
    assert load_records("smoke") == [made_up_record(tiny, 3.0)] and load_records("gpu") == []
    assert refusal(load_records, "desktop").startswith("tier: got 'desktop', allowed are smoke")
