"""A sweep trains what is missing and nothing else, however often it was killed before."""

import json
import math
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import made_up_record, refusal

from gammagpt import InitConfig, RunConfig, Store, frame, load_records, sweep


def grid(config, gammas=(0.5, 0.8), seeds=(0, 1)) -> list[RunConfig]:
    return [replace(config, init=InitConfig(g), seed=seed) for seed in seeds for g in gammas]


def numbers(records) -> list:
    """All that a run left, but for its date and duration."""
    return [(r.key, r.status, r.diverged_at, r.curves, r.probes, r.final) for r in records]


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
sweep(configs, Store(sys.argv[1]), workers=2)
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


def test_a_killed_sweep_takes_its_workers_along_and_goes_on_to_the_same_numbers(
    tiny, tmp_path, two_cores
):
    configs = grid(replace(tiny, steps=60), seeds=(0, 1, 2, 3))
    folder, mappings = tmp_path / "killed", json.dumps([c.to_dict() for c in configs])
    process = subprocess.Popen(
        [sys.executable, "-c", SWEEP, str(folder), mappings], stdout=subprocess.PIPE, text=True
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
        resumed = sweep(configs, Store(folder), workers=2)
    assert kept.items() <= times(folder).items()
    assert numbers(resumed) == numbers(sweep(configs, Store(tmp_path / "alone"), workers=1))


# ---- frames ------------------------------------------------------------------------------------


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
    assert row.curve == [[0, 5.75], [2, 5.25]]


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
