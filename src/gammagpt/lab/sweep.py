"""A list of runs -> those missing from the store -> stacks -> records. Killed, it goes on."""

import math
import os
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import current_process, get_context
from pathlib import Path

from ..gpt.config import RunConfig
from ..gpt.records import Record
from ..project import UserError, whole
from .store import Store

WORTH_PROCESSES = 2e11  # FLOPs, some seconds of a core: less is done before a pool has started
GUARD = "a script that trains must do so below `if __name__ == '__main__':`"
QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of each period, or "max"
FEW = 8  # runs at once where there is so little to do that measuring would take longer


def sweep(
    configs, store: Store, *, workers: int | None = None, members: int | None = None,
    executor: Executor | None = None, budget: float = math.inf, rules=None,
) -> list[Record | None]:
    """The records of all `configs`, in their order; only those missing from `store` are trained.

    Runs of one shape train as stacks (train_stack), `members` at once (default: measured).
    `workers` stacks go on at once, each in a process of its own with an equal share of the cores
    (default: one a core on a CPU, where small models gain most from it, and one on a GPU, or where
    all is done in seconds); or
    give an `executor`, any of concurrent.futures, and say how many `workers` it has. Many machines:

        client = dask.distributed.Client("scheduler:8786")  # workers that can import gammagpt
        sweep(configs, store, executor=client.get_executor(), workers=16)

    Each record is written as soon as its stack ends: a kill loses at most what is in flight.
    Of several processes with one store, one trains at a time; the others wait for its records.
    If a run cannot be trained, those that go on are waited for before its error is raised.
    With a `budget` in seconds no stack is started that would not end in time; a record that is
    then still missing is None.
    """
    for name, value in (("workers", workers), ("members", members)):
        whole(name, 1 if value is None else value)
    if getattr(current_process(), "_inheriting", False):  # it would wait for the one that waits
        raise UserError(f"sweep: got a call from a process that is being started; {GUARD}")
    configs = [config.pinned() for config in configs]
    wanted = {config.key: config for config in configs}
    missing = [config for config in wanted.values() if store.get(config) is None]
    if missing and budget > 0:
        store.check()
        with store.lock():  # another process may train, with all cores, what is missing here
            missing = [config for config in missing if store.get(config) is None]
            if missing:
                _train_missing(missing, store, workers, members, executor, budget, rules)
    return [store.get(config) for config in configs]


def _train_missing(missing, store, workers, members, executor, budget, rules) -> None:
    from .progress import progress_bar

    clock = _Clock(time.monotonic() + budget)
    if workers is None and executor is None and _work(missing) < WORTH_PROCESSES:
        workers, members = 1, members or FEW
    workers = min(workers or _default_workers(), len(missing))
    stacks = _stacks(missing, workers, members, measured=executor is None)
    with progress_bar(missing) as bar, _running(executor, workers, bar) as submit:

        def start(runs, plan) -> Future:
            return submit(train_job, runs, plan.compiled, rules)

        for records in _outcomes(stacks, start, workers, clock):
            for record in records:
                store.put(record)
                bar.done(record)


def _outcomes(stacks, start, workers: int, clock):
    """The records of each stack as soon as it ends; at most `workers` stacks go on at once.

    If one fails, no other is started, those that go on are waited for, and then its error is
    raised: what has been computed is kept.
    """
    flying: dict[Future, tuple] = {}
    failed = None
    try:
        while True:
            while stacks and len(flying) < workers and not failed and clock.allows(stacks[0]):
                runs, plan = stacks.pop(0)
                flying[start(runs, plan)] = runs, time.monotonic()
            if not flying:
                break  # all is done, or the budget is spent
            for future in wait_for(flying, return_when=FIRST_COMPLETED).done:
                clock.learn(*flying.pop(future))
                if future.exception():
                    failed = failed or future.exception()
                else:
                    yield future.result()
    finally:
        for future in flying:  # Ctrl-C: an executor of the caller's would go on with them
            future.cancel()
    if failed:
        raise failed


class _Clock:
    """Whether a stack still ends before the deadline, judged by those before it."""

    def __init__(self, deadline: float):
        self.deadline, self.seconds_per_token = deadline, 0.0

    def allows(self, stack) -> bool:
        runs, plan = stack
        tokens = sum(config.tokens for config in runs)
        pace = self.seconds_per_token or (
            1 / plan.tokens_per_second if plan.tokens_per_second else 0.0
        )
        return time.monotonic() + tokens * pace <= self.deadline

    def learn(self, runs, start: float) -> None:
        """The slowest pace so far, start-up and all: better to stop early than to be cut off."""
        pace = (time.monotonic() - start) / sum(config.tokens for config in runs)
        self.seconds_per_token = max(self.seconds_per_token, pace)


def _stacks(missing, workers, members, measured: bool) -> list[tuple[list[RunConfig], object]]:
    """(runs, plan) of each stack: runs of one shape, in about equal numbers."""
    from ..gpt.device import pick_device
    from ..gpt.engine import shape
    from .stacking import Plan, make_plan

    groups: dict[RunConfig, list[RunConfig]] = {}
    for config in missing:
        groups.setdefault(shape(config), []).append(config)
    stacks = []
    for runs in groups.values():
        plan = Plan(members or 1)
        if members is None and measured:
            with _threads(workers):
                plan = make_plan(runs, pick_device(), workers)
        size = min(plan.members, math.ceil(len(runs) / workers))
        count = math.ceil(len(runs) / size)
        cuts = [round(i * len(runs) / count) for i in range(count + 1)]
        stacks += [(runs[a:b], plan) for a, b in zip(cuts, cuts[1:], strict=False)]
    return stacks


def train_job(configs, compiled: bool, rules, report=None) -> list[Record]:
    """The records of one stack, which is cut in two if it does not fit into memory.

    What an executor gets: it needs nothing but its arguments, and it writes nothing.
    """
    from .progress import every_percent
    from .stacking import out_of_memory
    from .training import train_stack

    progress = every_percent(configs, report or _report) if report or _report else None
    try:
        return train_stack(configs, compiled=compiled, rules=rules, progress=progress)
    except (RuntimeError, MemoryError) as error:
        if len(configs) == 1 or not out_of_memory(error):
            raise
    half = len(configs) // 2  # outside of the except clause, which would keep the memory alive
    return [
        record
        for part in (configs[:half], configs[half:])
        for record in train_job(part, compiled, rules, report)
    ]


@contextmanager
def _running(executor, workers: int, bar):
    """A `submit(function, *arguments)` that returns a Future."""
    if executor is not None:
        yield executor.submit
    elif workers == 1:
        yield lambda function, *arguments: _now(function, *arguments, bar.steps)
    else:
        with _processes(workers, bar) as pool:
            yield pool.submit


@contextmanager
def _processes(workers: int, bar):
    """A pool of processes that share the cores and report to the bar."""
    from .progress import listening

    context = get_context("spawn")
    queue = context.Queue()
    threads = max(1, cores() // workers)
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(threads, queue)
    )
    with pool, listening(bar, queue):
        try:
            yield pool
        except BrokenProcessPool as error:
            words = "sweep: a process ended before its runs did. Was it killed, or out of memory?"
            raise UserError(f"{words} Or perhaps {GUARD}") from error
        except BaseException:  # Ctrl-C too: start no further run, keep what is written
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _now(function, *arguments) -> Future:
    """The future of what is done here and now."""
    future = Future()
    future.set_result(function(*arguments))
    return future


_report = None  # in a worker process: hands progress to the process that started it


def _start_worker(threads: int, queue) -> None:
    """A worker has its share of the cores, and ends when the process that started it is gone."""
    import torch

    global _report
    _report = lambda *message: queue.put(message)  # noqa: E731
    torch.set_num_threads(threads)
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _threads(workers: int):
    """Measure with as many threads as a worker will have."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, cores() // workers) if workers > 1 else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _work(configs) -> float:
    """The FLOPs of training all of them."""
    from ..gpt.size import flops_per_token

    return sum(config.tokens * flops_per_token(config.model) for config in configs)


def _default_workers() -> int:
    import torch

    return 1 if torch.cuda.is_available() else cores()


def cores() -> int:
    """The cores that this process may use: a machine, or a container's quota, may grant fewer."""
    affinity = hasattr(os, "sched_getaffinity")
    count = len(os.sched_getaffinity(0)) if affinity else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = QUOTA.read_text().split()
        count = min(count, max(1, math.ceil(int(quota) / int(period))))
    return count
