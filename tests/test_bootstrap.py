"""The first cell of every notebook, run as on a hosted machine that has torch but not us."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import nbformat
import pytest
import runner

import bootstrap
from gammagpt import project

ROOT = project.root()
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LACKING = "tqdm"  # what the host does not have: light, pure Python, without dependencies
VERSIONS = """
import json, numpy, torch
print(json.dumps([m.__version__ for m in (torch, numpy)] + [m.__file__ for m in (torch, numpy)]))
"""


def bootstrap_cells(path: Path) -> list:
    cells = nbformat.read(path, as_version=4).cells
    return [cell for cell in cells if runner.tagged(cell, "bootstrap")]


# ---- the cell ----------------------------------------------------------------------------------


def test_every_notebook_begins_with_the_same_cell_which_no_page_shows():
    cells = {path.stem: bootstrap_cells(path) for path in NOTEBOOKS}
    assert {name: len(found) for name, found in cells.items()} == dict.fromkeys(cells, 1)
    assert len({found[0].source for found in cells.values()}) == 1
    assert all(runner.tagged(found[0], "remove-cell") for found in cells.values())
    for path in NOTEBOOKS:
        code = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        assert runner.tagged(code[0], "bootstrap"), path.name


def test_the_cell_names_the_one_address_of_the_project():
    config = project.read_yaml(ROOT / "_config.yml")
    assert f'"{config["repository"]["url"]}"' in bootstrap_cells(NOTEBOOKS[0])[0].source


def test_where_the_package_is_installed_the_cell_does_nothing(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("something was run"))
    before = list(sys.path)
    exec(bootstrap_cells(NOTEBOOKS[0])[0].source, {})
    assert sys.path == before and list(tmp_path.iterdir()) == []


# ---- what it runs ------------------------------------------------------------------------------


def test_nothing_heavy_is_ever_asked_for_when_it_is_there(monkeypatch):
    calls = []
    monkeypatch.setattr(bootstrap, "_pip", lambda *arguments: calls.append(arguments))
    assert bootstrap.main() == 0
    assert calls == [("--no-deps", "-e", str(ROOT))]  # here nothing is missing


def test_without_torch_there_is_one_clear_line(monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "distributions", lambda: [])
    monkeypatch.setattr(bootstrap, "_pip", lambda *_: pytest.fail("pip was run"))
    assert bootstrap.main() == 2 and "no torch and no numpy" in capsys.readouterr().out


@pytest.mark.parametrize("text, name", [("PyYAML>=6.0", "pyyaml"), ("a_b.c==1", "a-b-c")])
def test_names_of_packages_are_compared_as_pip_does(text, name):
    assert bootstrap._plain(text) == name


# ---- a host ------------------------------------------------------------------------------------


@pytest.fixture
def host(tmp_path) -> Path:
    """A Python that sees what is installed here, but neither us nor LACKING."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "host"], check=True)
    packages, runtime = Path(sysconfig.get_path("purelib")), tmp_path / "runtime"
    runtime.mkdir()
    for item in packages.iterdir():
        hidden = ("gammagpt" in item.name, item.name.split("-")[0] == LACKING,
                  item.suffix == ".pth")
        if not any(hidden):
            (runtime / item.name).symlink_to(item)
    [own] = (tmp_path / "host").glob("lib/python*/site-packages")
    (own / "host.pth").write_text(f"{runtime}\n")
    return tmp_path / "host" / "bin" / "python"


@pytest.fixture
def repository(tmp_path) -> Path:
    """What one clones: the checkout as it is now, less records."""
    origin = tmp_path / "origin"
    (origin / "results" / "laptop").mkdir(parents=True)
    for name in ("src", "notebooks", "claims"):
        no_ballast = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, origin / name, ignore=no_ballast)
    for name in ("pyproject.toml", "README.md", "LICENSE", "bootstrap.py"):
        shutil.copy(ROOT / name, origin)
    who = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    for command in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "all")):
        subprocess.run(["git", *command], cwd=origin, check=True)
    return origin


def wheel(name: str, folder: Path) -> None:
    """The installed package as a wheel, so that pip needs no network."""
    found = distribution(name)
    folder.mkdir()
    with zipfile.ZipFile(folder / f"{name}-{found.version}-py3-none-any.whl", "w") as file:
        for path in found.files:
            if ".." not in path.parts and "__pycache__" not in path.parts:
                file.write(path.locate(), str(path))


def test_a_notebook_runs_on_a_host_that_has_torch_and_keeps_it(host, repository, tmp_path):
    wheel(LACKING, tmp_path / "wheels")
    work = tmp_path / "content"
    work.mkdir()
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("PYTHON", "GAMMAGPT"))}
    environment |= {
        "GAMMAGPT_REPOSITORY": repository.as_uri(), "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "wheels"), "PIP_NO_BUILD_ISOLATION": "0",
        "GAMMAGPT_CACHE": str(project.cache_folder()), "MPLBACKEND": "agg",
        "GAMMAGPT_RESULTS": str(tmp_path / "results"),
    }

    def run(code: str) -> str:
        result = subprocess.run([host, "-c", code], cwd=work, env=environment,
                                capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout

    before = json.loads(run(VERSIONS))
    assert run("import importlib.util as u; print(u.find_spec('tqdm'), u.find_spec('gammagpt'))"
               ).split() == ["None", "None"]
    told = "import gammagpt; print(gammagpt.__file__)"
    said = run(f"from IPython.display import display\n{chapter('01_gamma')}\n{told}")
    assert str(work) in said.splitlines()[-1]
    assert json.loads(run(VERSIONS)) == before
    assert list((tmp_path / "results" / "smoke").glob("*.json"))  # it has really trained
    assert "gammagpt" in run("import gammagpt, tqdm; print(gammagpt.__name__)")  # a new kernel


def chapter(name: str) -> str:
    """A notebook's code as one program, with the parameters of the smoke tier."""
    given = project.tier_parameters("smoke")[name]
    lines = []
    for cell in nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            lines.append(cell.source)
            if runner.tagged(cell, "parameters"):
                lines += [f"{key} = {value!r}" for key, value in given.items()]
    return "\n".join(lines)
