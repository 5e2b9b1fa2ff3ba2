"""One run on several processes is the run of one; many runs go through any executor."""

import json
import multiprocessing
import os
import socket
import subprocess
import sys
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import TINY
from helpers import assert_same_final, refusal, small_anchor_run, strict_json

from gammagpt import InitConfig, RunConfig, Store, UserError, sweep, train
from gammagpt.cli import main
from gammagpt.data.batches import make_batches
from gammagpt.gpt.device import Policy
from gammagpt.gpt.parallel import ALONE, Group, process_group
from gammagpt.lab.training import train_stack

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
ROUNDING = 1e-5  # relative: of 12 steps in float32, in curves of six digits


def train_command(config: RunConfig, store) -> list[str]:
    """`train` for a variation of TINY, in words."""
    settings = {f"{part}.{n}" for part in ("model", "optim", "probes") for n in TINY[part]}
    settings |= {"optim.clip", "steps", "batch_size", "data.vocab_size"}
    words = ["train", "--text", config.data.corpus, "--store", str(store), "--json"]
    for setting in sorted(settings):
        value = config
        for name in setting.split("."):
            value = getattr(value, name)
        words += ["--set", f"{setting}={value}"]
    return words


def run(*command) -> subprocess.CompletedProcess:
    """A command with one thread a process, as in this one."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)


def pair(*command) -> list[tuple[int, str, str]]:
    """(exit code, stdout, stderr) of two processes of one group, started without torchrun."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    place |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "gammagpt", *command], text=True,
            env=os.environ | place | {"RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for rank in "01"
    ]
    outputs = [process.communicate(timeout=240) for process in started]
    return [(p.returncode, *output) for p, output in zip(started, outputs, strict=True)]


def outcomes(records) -> list:
    """All that runs left, but for where and when."""
    return [(r.key, r.status, r.diverged_at, r.curves, r.probes, r.final) for r in records]


def files(folder) -> dict[str, int]:
    return {path.stem: path.stat().st_mtime_ns for path in Path(folder).glob("*")}


# ---- one run, two processes --------------------------------------------------------------------


def test_two_processes_train_the_run_of_one_and_leave_one_record(tiny, tmp_path):
    config = replace(tiny, optim=replace(tiny.optim, clip=0.5))  # so that clipping matters
    alone, store = train(config), Store(tmp_path)
    result = run(*TORCHRUN, "-m", "gammagpt", *train_command(config, tmp_path))
    assert result.returncode == 0, result.stderr
    printed = strict_json(result.stdout)  # one text: one process speaks
    together = store.get(config)
    assert together.to_json() == json.dumps(printed, sort_keys=True, separators=(",", ":")) + "\n"
    assert (alone.provenance["processes"], together.provenance["processes"]) == (1, 2)
    for name, curve in alone.curves.items():
        assert together.curves[name] == [[i, pytest.approx(x, rel=ROUNDING)] for i, x in curve]
    assert_same_final(together, alone, ROUNDING)
    assert [probe["step"] for probe in together.probes] == [p["step"] for p in alone.probes]
    assert list(files(tmp_path)) == [config.key]


def test_where_a_record_is_there_all_processes_agree_not_to_train(tiny, tmp_path):
    record = train(tiny)
    Store(tmp_path).put(record)
    before = files(tmp_path)
    first, second = pair(*train_command(tiny, tmp_path))
    assert (first[0], second) == (0, (0, "", "")) and strict_json(first[1])["key"] == record.key
    assert files(tmp_path) == before


def test_a_batch_that_cannot_be_shared_equally_is_one_line(tiny, tmp_path):
    line = "error: batch_size: got 7, allowed are multiples of 2, the number of processes\n"
    outcome = pair(*train_command(replace(tiny, batch_size=7), tmp_path))
    assert outcome == [(2, "", line), (2, "", "")] and files(tmp_path) == {}


KILLED = """
import json, os, signal, sys
from gammagpt import RunConfig, train
from gammagpt.gpt.parallel import process_group

def kill(step, loss):
    if group.rank == 1 and step >= 5:
        os.kill(os.getpid(), signal.SIGKILL)

with process_group() as group:
    train(RunConfig.from_dict(json.loads(sys.argv[1])), group=group, progress=kill)
"""


def test_a_process_that_is_killed_takes_the_others_along(tiny, tmp_path):
    """The other one has a hundred thousand steps to go."""
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    config = replace(tiny, steps=100_000, probes=replace(tiny.probes, losses=10_000))
    result = run(*TORCHRUN, script, json.dumps(config.to_dict()))
    assert result.returncode != 0 and "-9" in result.stderr


def batch(config, group) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets of one step, (1, B, T) each; of anchors the targets are (1, B)."""
    made = make_batches([config], torch.device("cpu"), group.share(config.batch_size))
    return made.train(3)


@pytest.mark.parametrize("kind", ["text", "anchors"])
def test_each_process_takes_its_part_of_every_batch(tiny, kind):
    config = tiny if kind == "text" else small_anchor_run("gpt", batch_size=8)
    parts = [batch(config, Group(rank, 4)) for rank in range(4)]
    length = config.model.block_size
    assert [inputs.shape for inputs, _ in parts] == [(1, 2, length)] * 4
    for part, whole in zip(zip(*parts, strict=True), batch(config, ALONE), strict=True):
        assert torch.equal(torch.cat(part, dim=1), whole)


def test_a_group_of_one_is_the_plain_engine(monkeypatch):
    module, values = torch.nn.Linear(2, 2), torch.ones(3)
    assert ALONE.wrapped(module) is module and ALONE.mean(values) is values
    assert ALONE.agreed(lambda: 3) == 3 and ALONE.share(7) == slice(0, 7)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with process_group() as group:
        assert group is ALONE and not torch.distributed.is_initialized()


def test_several_processes_train_no_stack(tiny):
    message = refusal(train_stack, [tiny, replace(tiny, seed=1)], group=Group(0, 2))
    assert message.startswith("stack: got 2 runs")


# ---- fast --------------------------------------------------------------------------------------


@pytest.fixture
def trained(tiny, tmp_path, monkeypatch):
    """trained(words...) is what `train` is called with on a machine with units for bfloat16."""
    calls = []

    def listen(config, *, compiled, **named):
        calls.append((config.precision, compiled))
        return train(config, **named)

    def call(*words):
        assert main([*train_command(tiny, tmp_path / "".join(words)), *words]) == 0
        return calls.pop()

    monkeypatch.setattr(sys.modules["gammagpt.lab.training"], "train", listen)
    monkeypatch.setattr("gammagpt.gpt.device.policy", lambda device: Policy("bfloat16", True, ""))
    return call


def test_fast_is_the_precision_of_the_hardware_and_compiled(trained):
    assert trained("--fast") == ("bfloat16", True)
    assert trained() == ("float32", False)
    assert trained("--fast", "--set", "precision=float32") == ("float32", True)


# ---- executors ---------------------------------------------------------------------------------


@contextmanager
def threads():
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as executor:
        yield executor


@contextmanager
def processes():
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, spawn, torch.set_num_threads, (1,)) as executor:
        yield executor


@contextmanager
def dask_cluster():
    distributed = pytest.importorskip("distributed")
    named = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(processes=True, **named) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client.get_executor()


@pytest.fixture(scope="module", params=[threads, processes, dask_cluster], ids=lambda f: f.__name__)
def executor(request, shared_cache):
    """Each with one thread a run, as this process has, so that all bits agree."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAMMAGPT_CACHE", str(shared_cache))  # processes that start later have it
        before = multiprocessing.active_children()
        with request.param() as executor:
            yield executor
        assert multiprocessing.active_children() == before


def grid(config) -> list[RunConfig]:
    return [replace(config, init=InitConfig(g), seed=s) for s in (0, 1) for g in (0.5, 0.8)]


@pytest.mark.parametrize("members", [1, 2], ids=["one at a time", "stacked"])
def test_an_executor_leaves_the_records_of_one_run_after_another(tiny, tmp_path, executor, members):
    there, here = Store(tmp_path / "there"), Store(tmp_path / "here")
    records = sweep(grid(tiny), there, executor=executor, workers=2, members=members)
    assert [record.provenance["members"] for record in records] == [members] * 4
    assert outcomes(records) == outcomes(sweep(grid(tiny), here, workers=1, members=members))
    before = files(there.folder)
    assert sweep(grid(tiny), there, executor=executor, workers=2) == records
    assert files(there.folder) == before


def test_bad_data_in_one_job_is_one_line_and_the_others_are_kept(tiny, tmp_path, executor):
    wrong = replace(tiny, data=replace(tiny.data, fingerprint="0" * 64))
    slow = replace(tiny, steps=60)
    named = {"executor": executor, "workers": 2}
    message = refusal(sweep, [wrong, slow], Store(tmp_path), **named)
    assert message.startswith("data.fingerprint")
    assert list(files(tmp_path)) == [slow.key]


def test_after_a_failure_no_other_run_is_started(tiny, tmp_path):
    wrong = replace(tiny, data=replace(tiny.data, fingerprint="0" * 64))
    with threads() as executor, pytest.raises(UserError):
        sweep([wrong, tiny], Store(tmp_path), executor=executor, workers=1)
    assert files(tmp_path) == {}


def test_each_record_is_written_as_soon_as_its_run_ends(tiny, tmp_path):
    seen = []

    class Watched(ThreadPoolExecutor):
        def submit(self, *arguments):
            seen.append(len(files(tmp_path)))
            return super().submit(*arguments)

    with Watched(1) as executor:
        sweep(grid(tiny), Store(tmp_path), executor=executor, workers=1)
    assert seen == [0, 1, 2, 3]


def test_ctrl_c_calls_back_what_an_executor_has_not_begun(tiny, tmp_path, monkeypatch):
    class Idle:
        futures = []

        def submit(self, *arguments):
            self.futures.append(Future())
            return self.futures[-1]

    def interrupted(futures, return_when):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["gammagpt.lab.sweep"], "wait_for", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep(grid(tiny), Store(tmp_path), executor=Idle(), workers=3)
    assert [future.cancelled() for future in Idle.futures] == [True] * 3
