"""Runs the notebooks of a tier by papermill, into a staging folder; the ones in git are only read.

As many run at once as this process may use cores: what trains waits for its turn (sweep.py), what
only draws does not. One bad notebook does not hide the next: all of them run, and every failure is
reported. A thread waits for each kernel, and kernels end with the process: stopped or killed, it
leaves none behind.
"""

import os
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from gammagpt import project
from gammagpt.lab.sweep import cores
from gammagpt.project import UserError, assignments, require


@dataclass(frozen=True)
class Failure:
    """A notebook that did not run to its end."""

    notebook: str
    cell: str
    error: str

    def __str__(self) -> str:
        return f"{self.notebook}.ipynb failed in {self.cell}\n    {self.error}"


def run_notebooks(
    tier: str, names: list[str] | None = None, staging: Path | None = None, at_once: int = 0
) -> list[Failure]:
    """Run the notebooks of a tier (or those in `names`) into `staging`; report all failures.

    `at_once`: how many (0: as many as this process may use cores). Raises UserError, before
    anything runs, if a notebook and the tier's parameters do not fit, or a time makes no sense.
    """
    require(at_once >= 0, "--jobs", at_once, "is 0 or more")
    jobs = plan(tier, names)
    folder = empty_folder((staging or staging_folder(tier)) / "notebooks")
    workers = max(1, min(at_once or cores(), len(jobs)))
    # kernels with more threads than cores in all would be slower
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // workers)))
    pool = ThreadPoolExecutor(workers)
    try:
        runs = []
        for number, (name, parameters) in enumerate(jobs.items(), 1):
            head = f"[{number}/{len(jobs)}] {name} (tier {tier})"
            runs.append(pool.submit(run_one, name, parameters, folder / f"{name}.ipynb", head))
        failures = [failure for run in runs if (failure := run.result())]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # stopped: no further notebook starts
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr, flush=True)
    return failures


def run_one(name: str, parameters: dict, output: Path, head: str) -> Failure | None:
    """Run one notebook into `output`, and say so. Returns what went wrong."""
    print(f"{head} runs ...", flush=True)
    start = time.perf_counter()
    failure = execute(name, parameters, output)
    outcome = "FAILED after" if failure else "done in"
    print(f"{head} {outcome} {time.perf_counter() - start:.1f} s", flush=True)
    return failure


def execute(name: str, parameters: dict, output: Path) -> Failure | None:
    """Run one notebook into `output`, in a kernel of this Python. Returns what went wrong."""
    on_a_terminal = sys.stderr.isatty()
    try:
        papermill.execute_notebook(
            nbformat.read(notebook_path(name), as_version=4),
            output,
            parameters=parameters,
            kernel_name="python3",
            language="python",
            # as in Jupyter, which starts where the notebook is; `cwd` would move all threads
            resources={"metadata": {"path": str(notebook_path(name).parent)}},
            progress_bar=False,  # the bars of the training loops say more: show those instead
            stderr_file=sys.stderr if on_a_terminal else None,
            # a kernel on one machine, for one reader: no need to warn that it is not encrypted
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        )
    except PapermillExecutionError as error:
        number = (error.exec_count or 0) - bool(parameters)  # less papermill's cell of overrides
        first_line = (error.source.strip().splitlines() or [""])[0]
        cell = f"code cell {number}, which begins with: {first_line}"
        return Failure(name, cell, f"{error.ename}: {last_line(error.evalue)}")
    except Exception as error:  # a kernel that died or never started: the other notebooks still run
        return Failure(name, "its kernel", f"{type(error).__name__}: {last_line(str(error))}")
    tidy(output, parameters)
    return None


def tidy(path: Path, parameters: dict) -> None:
    """Make the copy that ran fit to be read, and to be run again by who downloads it.

    Its parameters cell gets the values that were used, in place of papermill's cell of overrides;
    papermill's notes, which hold paths of this machine, go; the seconds that it took stay.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["seconds"] = notebook.metadata.pop("papermill", {}).get("duration")
    notebook.cells = [cell for cell in notebook.cells if not tagged(cell, "injected-parameters")]
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        if tagged(cell, "parameters"):
            cell.source = with_values(cell.source, parameters)
    nbformat.write(notebook, path)


def with_values(source: str, parameters: dict) -> str:
    """A parameters cell with other values; names, order and comments stay."""
    code = source.encode()  # ast counts columns in bytes
    starts = [0, *(match.end() for match in re.finditer(rb"\n", code))]
    for name, statement in reversed(assignments(source).items()):  # from the end: offsets stay true
        if name in parameters:
            value = statement.value
            first = starts[value.lineno - 1] + value.col_offset
            last = starts[value.end_lineno - 1] + value.end_col_offset
            code = code[:first] + repr(parameters[name]).encode() + code[last:]
    return code.decode()


def tagged(cell, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def last_line(text: str) -> str:
    """The line of an error message that names the cause, without the stack above it."""
    return (text.strip().splitlines() or ["no message"])[-1].strip()


# ---- check before running ------------------------------------------------------------------


def plan(tier: str, names: list[str] | None = None) -> dict[str, dict]:
    """The parameters of each notebook to run.

    Raises UserError with a line for each misfit: papermill itself takes unknown parameters
    silently, and only warns if there is no place for them.
    """
    project.training_budget()
    jobs = project.tier_parameters(tier)
    for name in names or []:
        if name not in jobs:
            raise UserError(f"notebook: got {name!r}, tier {tier} has {', '.join(jobs)}")
    return {name: given for name, given in jobs.items() if not names or name in names}


# ---- folders -------------------------------------------------------------------------------


def build_folder() -> Path:
    """Where everything that is built goes: $GAMMAGPT_BUILD, or `_build` of the checkout."""
    return project.folder("BUILD", "_build").resolve()


@contextmanager
def alone(tier: str):
    """A context that one build of a tier at a time is in; UserError names the one that is."""
    from filelock import FileLock, Timeout

    folder = build_folder()
    project.writable("build", folder)
    builder = folder / f"{tier}.pid"
    try:
        with FileLock(folder / f"{tier}.lock", timeout=0):
            builder.write_text(f"{os.getpid()}\n")
            yield
    except Timeout:
        raise UserError(f"build: process {builder.read_text().strip()} builds tier {tier} in "
                        f"{folder}; wait for it, or set GAMMAGPT_BUILD") from None  # fmt: skip


def notebook_path(name: str) -> Path:
    return project.root() / "notebooks" / f"{name}.ipynb"


def staging_folder(tier: str) -> Path:
    return build_folder() / "stage" / tier


def empty_folder(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path
