"""On a CUDA GPU runs leave the records that they leave on the CPU, alone, stacked and compiled.

Needs a GPU, and to be asked for (see conftest.py):
GAMMAGPT_TEST_CUDA=1 python -m pytest tests/gpt/test_cuda.py
"""

from dataclasses import replace

import pytest
import torch
from helpers import small_anchor_run

from gammagpt import InitConfig, OptimConfig, RunConfig, Store, sweep, train
from gammagpt.gpt.device import matmul_ceiling, pick_device, policy
from gammagpt.lab.stacking import measure
from gammagpt.lab.training import train_stack

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU is seen here")


@pytest.fixture
def runs(tiny) -> list[RunConfig]:
    """Mixed members: gamma 1.2 included, at rates that train them all."""
    rates = {0.5: 0.01, 0.8: 0.006, 1.2: 0.003}
    return [
        replace(tiny, steps=40, init=InitConfig(g), seed=s, optim=OptimConfig(learning_rate=rate))
        for g, rate in rates.items() for s in (0, 1)
    ]


def losses(records):
    assert all(record.status == "ok" for record in records)
    return torch.tensor([record.final["validation_loss"] for record in records])


def test_the_gpu_is_chosen_and_float32_there_is_that_of_the_cpu(runs):
    assert pick_device().type == "cuda"
    alone = losses([train(run) for run in runs])
    cpu = losses([train(run, device="cpu") for run in runs])
    torch.testing.assert_close(alone, cpu, rtol=1e-3, atol=0)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_a_stack_on_the_gpu_leaves_the_records_of_single_runs(runs, compiled):
    alone = losses([train(run) for run in runs])
    stacked = losses(train_stack(runs, compiled=compiled))
    torch.testing.assert_close(stacked, alone, rtol=1e-3, atol=0)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_the_fast_precision_of_the_gpu_is_near_float32(runs, compiled):
    fast = [replace(run, precision=policy(pick_device()).precision) for run in runs]
    difference = losses(train_stack(fast, compiled=compiled)) - losses(train_stack(runs))
    assert difference.abs().max() < 0.05


@pytest.mark.parametrize("kind", ["emb_mlp", "gpt"])
def test_anchors_on_the_gpu_leave_the_losses_and_the_geometry_of_the_cpu(kind):
    probes = {"losses": 4, "windows": 30, "final_windows": 60, "geometry": 3}
    config = small_anchor_run(kind, probes=probes, steps=40)
    stacked = train_stack([config, replace(config, seed=1)])[0]
    records = [train(config, device="cpu"), train(config), stacked]
    torch.testing.assert_close(losses(records), losses(records[:1] * 3), rtol=1e-3, atol=0)
    cosines = [torch.tensor(record.probes[-1]["geometry"]["cosine"]) for record in records]
    for found in cosines[1:]:
        torch.testing.assert_close(found, cosines[0], rtol=0, atol=0.01)


def test_a_sweep_on_the_gpu_is_stacked_and_resumable(runs, tmp_path):
    store = Store(tmp_path)
    first = sweep(runs[:2], store, members=4)
    records = sweep(runs, store, members=4)
    assert [r.provenance["members"] for r in records] == [2, 2, 4, 4, 4, 4]
    assert records[:2] == first


def test_speeds_are_measured_on_the_gpu(runs):
    assert matmul_ceiling(pick_device(), "bfloat16") > 1000
    assert measure(runs, pick_device(), seconds=0.1).tokens_per_second > 1000
