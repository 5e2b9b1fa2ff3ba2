"""Shared fixtures: a small corpus with a cache of its own, and the smallest run that learns."""

import os

import pytest
import torch
from helpers import prose
from hypothesis import settings

from gammagpt import RunConfig
from gammagpt.data import DataConfig, load_text

settings.register_profile("gammagpt", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("gammagpt")

TINY = {
    "model": {"n_layer": 1, "n_head": 2, "width": 16, "block_size": 16, "vocab_size": 300},
    "optim": {"learning_rate": 0.02},
    "probes": {"losses": 4, "windows": 8, "final_windows": 32, "spectra": 3},
    "steps": 12,
    "batch_size": 8,
}


def pytest_configure():
    """Records are compared with each other: on the CPU they are the same on every machine.

    A GPU is seen only on request: GAMMAGPT_TEST_CUDA=1 python -m pytest tests/test_cuda.py
    """
    if not os.environ.get("GAMMAGPT_TEST_CUDA"):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """As many threads as a worker of a sweep has on two cores."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> str:
    """A folder of twelve documents of pseudo-prose."""
    folder = tmp_path_factory.mktemp("corpus")
    for i in range(12):
        (folder / f"{i:02}.txt").write_text(prose(seed=i, size=16_000), encoding="utf-8")
    return str(folder)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory):
    """Where the tokens of `corpus` are, away from the checkout's cache."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def cache(shared_cache, monkeypatch):
    monkeypatch.setenv("GAMMAGPT_CACHE", str(shared_cache))
    return shared_cache


@pytest.fixture
def fresh_cache(tmp_path, monkeypatch):
    """A cache of this test alone, still empty."""
    monkeypatch.setenv("GAMMAGPT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def text(corpus, shared_cache):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAMMAGPT_CACHE", str(shared_cache))
        return load_text(DataConfig(corpus, 300))


@pytest.fixture
def tiny(text, corpus, cache) -> RunConfig:
    """One layer of width 16, and 12 steps on `corpus`: a fraction of a second."""
    data = {"corpus": corpus, "vocab_size": 300, "fingerprint": text.fingerprint}
    return RunConfig.from_dict(TINY | {"data": data, "init": {"gamma": 0.5}})
