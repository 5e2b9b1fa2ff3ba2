"""Devices and precisions, the fastest matrix product, and where the project's files are."""

import pytest
import torch
from helpers import refusal

from gammagpt import project
from gammagpt.gpt.device import autocast, describe, matmul_ceiling, pick_device


@pytest.mark.parametrize("name", [None, "auto", "cpu"])
def test_without_a_gpu_the_cpu_is_chosen(name):
    assert pick_device(name) == torch.device("cpu")
    assert describe(torch.device("cpu")) == "cpu, 1 thread(s)"


@pytest.mark.parametrize("name", ["cuda", "gpu", ""])
def test_a_device_that_is_not_here_is_refused(name):
    assert refusal(pick_device, name) == f"device: got {name!r}, available here: cpu"


def test_an_apple_gpu_is_refused_with_the_reason():
    assert refusal(pick_device, "mps") == (
        "device: got 'mps', which was never tried; allowed is cpu on an Apple"
    )


@pytest.mark.parametrize(
    "precision, dtype", [("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_precision_is_that_of_the_matrix_products(precision, dtype):
    a = torch.ones(4, 4)
    with autocast(torch.device("cpu"), precision):
        assert (a @ a).dtype == dtype
    assert (a @ a).dtype == torch.float32


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_ceiling_is_a_speed(precision):
    assert 0.1 < matmul_ceiling(torch.device("cpu"), precision, size=128) < 1e6


def test_the_projects_folders_follow_their_variables(tmp_path, monkeypatch):
    for name in ("ROOT", "CACHE", "RESULTS"):
        monkeypatch.delenv(f"GAMMAGPT_{name}", raising=False)
    assert (project.root() / "claims").is_dir()
    assert project.cache_folder() == project.root() / ".cache"
    assert project.results_folder("gpu") == project.root() / "results" / "gpu"
    assert project.results_folder("night") == project.results_folder("laptop")  # one machine
    for name in ("ROOT", "CACHE", "RESULTS"):
        monkeypatch.setenv(f"GAMMAGPT_{name}", str(tmp_path / name))
    assert project.root() == tmp_path / "ROOT" and project.cache_folder() == tmp_path / "CACHE"
    assert project.results_folder("gpu") == tmp_path / "RESULTS" / "gpu"
    committed = project.results_folder("gpu", committed=True)
    assert committed == tmp_path / "ROOT" / "results" / "gpu"
