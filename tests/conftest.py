"""Shared fixtures: a small corpus, the smallest run that learns, and the site in a browser."""

import os
import subprocess
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers: what is tested needs no network

import pytest
import torch
from helpers import prose
from hypothesis import settings

from gammagpt import RunConfig, project
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
OF_THE_SITE = ("test_access", "test_agents", "test_explorer", "test_handout", "test_play_gpt",
               "test_play_train", "test_site", "test_slides", "test_tour")


def pytest_configure():
    """Records are compared with each other: on the CPU they are the same on every machine.

    A GPU is seen only on request: GAMMAGPT_TEST_CUDA=1 python -m pytest tests/gpt/test_cuda.py
    """
    if not os.environ.get("GAMMAGPT_TEST_CUDA"):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """On several processes (`make test`) the tests of a file stay together, whose fixtures they
    share, and so do all that look at the site, which is built and visited once."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "site" if Path(file).stem in OF_THE_SITE else file

    return Together(config, log)


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


# ---- the built site ----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The folder of the site: smoke notebooks trained from nothing, and rendered.

    With GAMMAGPT_SITE=folder the site that is there already is tested, of whatever tier.
    """
    if there := os.environ.get("GAMMAGPT_SITE"):
        return Path(there).resolve()
    folder = tmp_path_factory.mktemp("site")
    places = {"GAMMAGPT_RESULTS": str(folder / "results"), "GAMMAGPT_BUILD": str(folder / "build")}
    command = [sys.executable, str(project.root() / "book" / "build.py"), "--tier", "smoke"]
    result = subprocess.run(command, env={**os.environ, **places}, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "build" / "smoke" / "_build" / "html"


@pytest.fixture(scope="session")
def browser():
    """A running Chromium, through Playwright."""
    import browser as chromium
    from playwright.sync_api import sync_playwright

    try:
        path = chromium.find_or_install()
    except chromium.NoBrowser as error:
        pytest.fail(str(error), pytrace=False)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=chromium.FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def visits(site, browser):
    """Every page of the site, visited once."""
    from visits import visit

    files = [file for file in site.rglob("*.html") if "_static" not in file.parts]
    return [visit(browser, file) for file in sorted(files) if file != site / "index.html"]
