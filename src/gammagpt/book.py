"""Runs the notebooks of a tier, then renders the book from the copies that ran.

    notebooks/*.ipynb --papermill--> _build/stage/<tier>/ --jupyter-book--> _build/<tier>/

Every page comes from a notebook that ran a moment ago, in a folder that starts out empty, so no
page can be stale; the notebooks in git are only read. One bad notebook does not hide the next:
all of them run, every failure is reported, and nothing is rendered.
"""

import ast
import hashlib
import os
import re
import runpy
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from gammagpt import project
from gammagpt.project import UserError

# MathJax 3.2.2 comes out of a package on PyPI; these are the sums of the files that the MathJax
# project itself published, the fonts one after another in order of their names.
MATHJAX_PACKAGE = "sphinx-mathjax-offline"
MATHJAX_SCRIPT = "tex-mml-chtml.js"
MATHJAX_SCRIPT_SHA256 = "300480069078b5892d2363a2b65e2dfbbf30fe5c80f83edbfecf4610fd093862"
MATHJAX_FONTS_SHA256 = "142f8a69d97768d841847e71af896961da33ffa0a500fe6b950c7f31c6334a92"


@dataclass(frozen=True)
class Failure:
    """A notebook that did not run to its end."""

    notebook: str
    cell: str
    error: str

    def __str__(self) -> str:
        return f"{self.notebook}.ipynb failed in {self.cell}\n    {self.error}"


def build_folder() -> Path:
    """Where everything that is built goes: $GAMMAGPT_BUILD, or `_build` of the checkout."""
    return Path(os.environ.get("GAMMAGPT_BUILD") or project.root() / "_build").resolve()


def build(tier: str) -> Path:
    """Run all notebooks of a tier and render the book. Returns the path of its first page."""
    if run_notebooks(tier):
        raise SystemExit(1)  # the failures are on the screen already
    index = render(stage(tier), build_folder() / tier)
    print(f"The book: {index}", flush=True)
    return index


# ---- run -----------------------------------------------------------------------------------


def run_notebooks(
    tier: str, names: list[str] | None = None, staging: Path | None = None
) -> list[Failure]:
    """Run the notebooks of a tier (or those in `names`) into `staging`; report all failures.

    Raises UserError, before anything runs, if a notebook and the tier's parameters do not fit.
    """
    jobs = plan(tier, names)
    folder = empty_folder((staging or staging_folder(tier)) / "notebooks")
    failures = []
    for number, (name, parameters) in enumerate(jobs.items(), 1):
        head = f"[{number}/{len(jobs)}] {name} (tier {tier})"
        print(f"{head} runs ...", flush=True)
        start = time.perf_counter()
        failure = run_one(name, parameters, folder / f"{name}.ipynb")
        failures += [failure] if failure else []
        outcome = "FAILED after" if failure else "done in"
        print(f"{head} {outcome} {time.perf_counter() - start:.1f} s", flush=True)
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr, flush=True)
    return failures


def run_one(name: str, parameters: dict, output: Path) -> Failure | None:
    """Run one notebook into `output`, in a kernel of this Python. Returns what went wrong."""
    on_a_terminal = sys.stderr.isatty()
    try:
        papermill.execute_notebook(
            nbformat.read(notebook_path(name), as_version=4),
            output,
            parameters=parameters,
            kernel_name="python3",
            language="python",
            cwd=notebook_path(name).parent,  # as in Jupyter, which starts where the notebook is
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
    papermill's notes, which hold paths of this machine, go.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("papermill", None)
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


def assignments(source: str) -> dict[str, ast.Assign | ast.AnnAssign]:
    """The statements `name = value` of a cell, by name."""
    found = {}
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value:
            target = getattr(statement, "targets", [getattr(statement, "target", None)])[0]
            if isinstance(target, ast.Name):
                found[target.id] = statement
    return found


def tagged(cell, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def last_line(text: str) -> str:
    """The line of an error message that names the cause, without the stack above it."""
    return (text.strip().splitlines() or ["no message"])[-1].strip()


# ---- check before running ------------------------------------------------------------------


def plan(tier: str, names: list[str] | None = None) -> dict[str, dict]:
    """The parameters of each notebook to run. Raises UserError with a line for each misfit."""
    jobs = {name: given or {} for name, given in project.tier_parameters(tier).items()}
    for name in names or []:
        if name not in jobs:
            raise UserError(f"notebook: got {name!r}, tier {tier} has {', '.join(jobs)}")
    jobs = {name: given for name, given in jobs.items() if not names or name in names}
    if problems := [line for name, given in jobs.items() for line in misfits(name, given, tier)]:
        raise UserError("\n".join(problems))
    return jobs


def misfits(name: str, given: dict, tier: str) -> list[str]:
    """One line for each reason why a notebook cannot take the tier's parameters.

    Papermill itself takes unknown parameters silently and only warns if there is no place for them.
    """
    path = notebook_path(name)
    if not path.exists():
        return [f"{name}: named by tier {tier}, but there is no {path.name} in {path.parent}"]
    if not isinstance(given, dict):
        return [f"{name}: tier {tier} gives {given!r}, expected a mapping of parameters"]
    try:
        defined = parameters_of(path)
    except UserError as error:
        return [str(error)]
    unknown = [key for key in given if key not in defined]
    allowed = ", ".join(defined) or "none"
    return [f"{name}: unknown parameter {key!r}, allowed are {allowed}" for key in unknown]


def parameters_of(path: Path) -> list[str]:
    """The names that the notebook's `parameters` cell defines, in their order."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except ValueError:
        raise UserError(f"{path.name}: not a notebook (not JSON)") from None
    cells = [cell for cell in notebook.cells if tagged(cell, "parameters")]
    if len(cells) != 1:
        raise UserError(f"{path.name}: needs one cell tagged 'parameters', found {len(cells)}")
    try:
        return list(assignments(cells[0].source))
    except SyntaxError as error:
        raise UserError(f"{path.name}: parameters cell is not Python ({error.msg})") from None


# ---- render --------------------------------------------------------------------------------


def stage(tier: str) -> Path:
    """Lay out the book's sources around the notebooks that ran. Returns the staging folder."""
    staging = staging_folder(tier)
    for item in staging.iterdir():
        if item.name != "notebooks":
            shutil.rmtree(item) if item.is_dir() else item.unlink()
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(project.root() / name, staging)
    no_code = shutil.ignore_patterns("*.py", "__pycache__")
    shutil.copytree(project.root() / "book", staging / "book", ignore=no_code)
    vendor_mathjax(staging / "vendor" / "mathjax")
    copy_records(tier, staging / "extra" / "records" / tier)
    pages = runpy.run_path(str(project.root() / "book" / "generated.py"))
    pages["write_generated"](staging, tier)  # what pages say of verdicts and records
    return staging


def render(staging: Path, output: Path) -> Path:
    """Jupyter Book from a staging folder, from nothing; a warning is an error."""
    empty_folder(output)
    jupyter_book = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    strict = ["-n", "-W", "--keep-going", "-q"]  # -n: also for links that point nowhere
    command = [*jupyter_book, "build", str(staging), "--path-output", str(output), *strict]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)  # warnings are on stderr
    if result.returncode:
        raise SystemExit(f"{result.stdout}\nThe book was not built: see the warnings above.")
    drop_font_hints(output / "_build" / "html")
    return output / "_build" / "html" / "index.html"


def drop_font_hints(site: Path) -> None:
    """Remove the theme's requests for early fonts: from file:// a browser refuses them, loudly.

    The style sheets load the same fonts without a complaint.
    """
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        text = re.sub(r'<link rel="preload" as="font"[^>]*>\s*', "", text)
        page.write_text(text, encoding="utf-8")


def copy_records(tier: str, destination: Path) -> None:
    """The run records go into the site, so that the ledger can link to its evidence."""
    destination.mkdir(parents=True)
    for record in project.results_folder(tier).glob("*.json"):
        shutil.copy(record, destination)


def vendor_mathjax(destination: Path) -> None:
    """Put MathJax's script and fonts, 1.6 MB, where the pages find them without a network."""
    script, fonts = mathjax_files()
    verify_sha256(MATHJAX_SCRIPT, [script], MATHJAX_SCRIPT_SHA256)
    verify_sha256("MathJax fonts", fonts, MATHJAX_FONTS_SHA256)
    font_folder = destination / "output" / "chtml" / "fonts" / "woff-v2"  # where the script looks
    font_folder.mkdir(parents=True)
    shutil.copy(script, destination)
    for font in fonts:
        shutil.copy(font, font_folder)


def mathjax_files() -> tuple[Path, list[Path]]:
    """The script and the fonts, in order of their names, in the installed package."""
    try:
        files = distribution(MATHJAX_PACKAGE).files or []
    except PackageNotFoundError:
        raise UserError(f"{MATHJAX_PACKAGE} is not installed: run `make setup`") from None
    scripts = [Path(file.locate()) for file in files if file.name == MATHJAX_SCRIPT]
    fonts = [Path(file.locate()) for file in files if file.suffix == ".woff"]
    if len(scripts) != 1:
        raise UserError(f"{MATHJAX_PACKAGE}: expected one {MATHJAX_SCRIPT}, found {len(scripts)}")
    return scripts[0], sorted(fonts, key=lambda font: font.name)


def verify_sha256(name: str, files: list[Path], expected: str) -> None:
    found = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    if found != expected:
        raise UserError(f"{name}: SHA-256 is {found}, expected {expected} ({MATHJAX_PACKAGE})")


# ---- folders -------------------------------------------------------------------------------


def notebook_path(name: str) -> Path:
    return project.root() / "notebooks" / f"{name}.ipynb"


def staging_folder(tier: str) -> Path:
    return build_folder() / "stage" / tier


def empty_folder(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path
