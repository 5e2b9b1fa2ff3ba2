"""One press ends a build: one line, no process left, and a later one goes on; two do not mix."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import build
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

SECONDS = 5  # within which no process may be left
BUSY = """
import subprocess, sys, time
open(f"started-{n}", "w").close()
subprocess.run([sys.executable, "-c", "import time; time.sleep(0.1)"])
while not fast:
    time.sleep(0.01)
"""


@pytest.fixture
def project(tmp_path):
    """Four notebooks that go on until somebody writes `fast`."""
    (tmp_path / "notebooks" / "tiers").mkdir(parents=True)
    (tmp_path / "notebooks" / "tiers" / "smoke.yml").write_text("defaults: {}\n")
    for n in range(4):
        first = new_code_cell(f"n = {n}\nfast = False", metadata={"tags": ["parameters"]})
        notebook = new_notebook(cells=[first, new_code_cell(BUSY)])
        nbformat.write(notebook, tmp_path / "notebooks" / f"n{n}.ipynb")
    return tmp_path


def start(project, *arguments) -> subprocess.Popen:
    command = [sys.executable, build.__file__, "--tier", "smoke", "--only-run", *arguments]
    environment = {**os.environ, "GAMMAGPT_ROOT": str(project), "GAMMAGPT_BUILD": "out"}
    return subprocess.Popen(command, env=environment, text=True, start_new_session=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def started(project) -> set[str]:
    return {path.name for path in (project / "notebooks").glob("started-*")}


def wait_until(condition, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def left(project) -> list[int]:
    """The processes that belong to builds of this project."""
    mark, found = f"GAMMAGPT_ROOT={project}\0".encode(), []
    for place in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in place.read_bytes() and int(place.parent.name) != os.getpid():
                found.append(int(place.parent.name))
        except (OSError, ValueError):
            pass
    return found


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_build_that_is_stopped_leaves_no_process_and_the_next_one_goes_on(project, sent):
    running = start(project, "--jobs", "2")
    assert wait_until(lambda: len(started(project)) == 2, 120)
    if sent == signal.SIGTERM:
        second = start(project)
        errors = second.communicate(timeout=120)[1]
        assert second.returncode == 2 and errors.startswith(f"error: build: process {running.pid} ")
        assert "builds tier smoke in" in errors and errors.count("\n") == 1
    time.sleep(random.random())
    (os.killpg if sent == signal.SIGINT else os.kill)(running.pid, sent)  # a terminal tells all
    errors = running.communicate(timeout=SECONDS)[1]
    assert wait_until(lambda: not left(project), SECONDS), left(project)
    assert len(started(project)) == 2  # no further notebook was begun
    if sent != signal.SIGKILL:
        words = "stopped: finished runs are kept; the same command goes on from here\n"
        assert (running.returncode, errors) == (130, words)
    again = start(project, "n3")  # nothing that was left bars the way
    assert wait_until(lambda: "started-3" in started(project), 120)
    os.kill(again.pid, signal.SIGKILL)
    again.communicate()


def test_as_many_notebooks_run_at_once_as_the_switch_says(project, monkeypatch):
    running = start(project, "--jobs", "1")
    assert wait_until(lambda: started(project), 120)
    time.sleep(0.5)
    assert started(project) == {"started-0"}
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    refused = start(project, "--jobs", "-1")
    assert refused.communicate()[1] == "error: --jobs: got -1, allowed is 0 or more\n"
    assert refused.returncode == 2
