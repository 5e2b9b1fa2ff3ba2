"""kill -9 at random moments of a small sweep: no record is lost or altered, and it goes on.

A few moments are a test; as many as the note reports:  python tests/lab/test_killed.py 100
"""

import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from gammagpt import RunConfig, Store, sweep
from gammagpt.gpt.config import InitConfig

RUNS, LONGEST = 6, 1.5  # seconds until the kill, at most


def grid(config: RunConfig) -> list[RunConfig]:
    return [replace(config, seed=seed, init=InitConfig(gamma=0.3 + 0.1 * seed))
            for seed in range(RUNS)]  # fmt: skip


def kill_once(configs, folder: Path, rng) -> None:
    """Sweep in a fork of this process, and kill that at a random moment, if it lasts so long."""
    child = os.fork()
    if child == 0:
        tqdm.set_lock(threading.RLock())  # its own is shared by forks: one killed would keep it
        sweep(configs, Store(folder), workers=1, members=1)
        os._exit(0)
    time.sleep(rng.uniform(0, LONGEST))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.json")}


def numbers(folder: Path) -> dict:
    """What came out of each run; a damaged record is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return {r.key: (r.status, r.curves, r.probes, r.final) for r in Store(folder)}


def kills(configs, folder: Path, count: int, seed: int = 0) -> dict:
    """Kill `count` sweeps, a new store whenever one is whole; what was seen on the way."""
    rng, seen = random.Random(seed), {"kills": count, "with records before the end": 0, "stores": 1}
    sweep(configs, Store(folder / "whole"), workers=1, members=1)
    expected, store = numbers(folder / "whole"), folder / "1"
    for _ in range(count):
        before = contents(store)
        kill_once(configs, store, rng)
        after = contents(store)
        assert {name: after.get(name) for name in before} == before, "lost or altered"
        found = numbers(store)
        assert found == {key: expected[key] for key in found}, "other numbers"
        seen["with records before the end"] += 0 < len(found) < RUNS
        if len(found) == RUNS:
            seen["stores"] += 1
            store = folder / str(seen["stores"])
    sweep(configs, Store(store), workers=1, members=1)
    assert numbers(store) == expected
    return seen


def test_a_sweep_that_is_killed_at_random_moments_loses_and_alters_nothing(tiny, tmp_path):
    assert kills(grid(tiny), tmp_path, 5)["kills"] == 5


if __name__ == "__main__":
    import torch
    from conftest import TINY
    from helpers import prose

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        os.environ["GAMMAGPT_CACHE"] = f"{place}/cache"
        Path(place, "novel.txt").write_text(prose(seed=0, size=99_000), encoding="utf-8")
        data = {"corpus": f"{place}/novel.txt", "vocab_size": 300}
        base = RunConfig.from_dict(TINY | {"data": data, "init": {"gamma": 0.5}}).pinned()
        print(json.dumps(kills(grid(base), Path(place), int(sys.argv[1]))))
