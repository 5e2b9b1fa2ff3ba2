"""A list of runs -> those missing from the store -> records. Killed and restarted, it goes on."""

import math
import os
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context

from .project import UserError, results_folder
from .runs import Record, RunConfig, Store
from .train import train


def sweep(configs, store: Store, *, workers: int | None = None, rules=None) -> list[Record]:
    """The records of all `configs`, in their order; only those missing from `store` are trained.

    `workers` runs go on at once, each in a process of its own with an equal share of the cores
    (default: one a core on a CPU, where small models gain most from it, and one on a GPU).
    Each record is written as soon as its run ends: a kill loses at most the runs in flight.
    """
    if workers is not None and workers < 1:
        raise UserError(f"workers: got {workers}, allowed is 1 or more")
    configs = [config.pinned() for config in configs]
    wanted = {config.key: config for config in configs}
    missing = [config for config in wanted.values() if store.get(config) is None]
    if missing:
        _train_missing(missing, store, workers or _default_workers(), rules)
    return [store.get(config) for config in configs]


def load_records(tier: str = "laptop") -> list[Record]:
    """All records of a tier, in the order of their keys. Damaged ones are named and set aside."""
    return list(Store(results_folder(tier)))


def frame(records):
    """A pandas frame, a row a run: every field of its configuration, what came out, its origin.

    Added columns: setting, status, loss (final validation loss, nats per token), curve, probes,
    seconds, commit, rules (hashes in force), tokens (trained on), key.

    The final loss of a diverged run is infinite: worse than any other, and never hidden.
    """
    import pandas as pd

    return pd.DataFrame([_row(record) for record in records])


def _row(record: Record) -> dict:
    flat = {}
    for name, value in record.config.to_dict().items():
        flat.update(value if isinstance(value, dict) else {name: value})
    loss = record.final["validation_loss"]
    return flat | {
        "setting": record.config.init.label,
        "status": record.status,
        "loss": math.inf if loss is None else loss,
        "curve": record.curves["validation"],
        "probes": record.probes,
        "seconds": record.provenance["seconds"],
        "commit": record.provenance["commit"],
        "rules": record.provenance["rules"],
        "tokens": record.config.tokens,
        "key": record.key,
    }


def _train_missing(missing, store, workers, rules) -> None:
    workers = min(workers, len(missing))
    if workers == 1:
        for number, config in enumerate(missing, 1):
            with step_bar(config.steps, f"run {number} of {len(missing)}") as progress:
                store.put(train(config, rules=rules, progress=progress))
        return
    threads = max(1, _cores() // workers)
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(threads,)
    )
    with pool, run_bar(missing) as done:
        futures = {pool.submit(_train_one, c, store, rules): c for c in missing}
        try:
            for future in as_completed(futures):
                done(futures[future], future.result())
        except BaseException:  # Ctrl-C too: start no further run, keep what is written
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _train_one(config: RunConfig, store: Store, rules) -> float | None:
    record = train(config, rules=rules)
    store.put(record)
    return record.final["validation_loss"]


def _start_worker(threads: int) -> None:
    """A worker has its share of the cores, and ends when the process that started it is gone."""
    import torch

    torch.set_num_threads(threads)
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _default_workers() -> int:
    import torch

    return 1 if torch.cuda.is_available() else _cores()


def _cores() -> int:
    """The cores that this process may use (a container may grant fewer than there are)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def step_bar(steps: int, name: str):
    """A progress bar over the steps of one run; quiet where nobody looks."""
    from tqdm import tqdm

    with tqdm(total=steps, desc=name, unit="step", disable=_nobody_looks()) as bar:

        def progress(step: int, loss: float) -> None:
            bar.update()
            if step % 10 == 0:
                bar.set_postfix_str(f"loss {loss:.3f}")

        yield progress


@contextmanager
def run_bar(configs):
    """A progress bar over the tokens of many runs, with tokens/s and the time left."""
    from tqdm import tqdm

    total = sum(config.tokens for config in configs)
    with tqdm(total=total, unit="tok", unit_scale=True, disable=_nobody_looks()) as bar:
        count = 0

        def done(config, loss) -> None:
            nonlocal count
            count += 1
            words = "diverged" if loss is None else f"loss {loss:.3f}"
            bar.set_description(f"{count} of {len(configs)} runs")
            bar.set_postfix_str(f"{config.init.label}, {words}")
            bar.update(config.tokens)

        yield done


def _nobody_looks() -> bool:
    return not (sys.stderr.isatty() or "ipykernel" in sys.modules)
