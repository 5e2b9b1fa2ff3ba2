"""The runner, on small projects of its own: it refuses what does not fit, and hides no failure."""

import os
import subprocess
import sys

import build
import nbformat
import pytest
import runner
import yaml
from nbformat.v4 import new_code_cell, new_notebook

from gammagpt.project import UserError

PARAMETERS = "steps = 1  # how many\ngammas: list = [0.5,\n                0.8]"


def write(folder, name, *code, tag="parameters", parameters=PARAMETERS):
    """A notebook of one parameters cell and of code cells without any metadata."""
    first = new_code_cell(parameters, metadata={"tags": [tag]} if tag else {})
    notebook = new_notebook(cells=[first, *map(new_code_cell, code)])
    nbformat.write(notebook, folder / "notebooks" / f"{name}.ipynb")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project; `project(notebook={...})` says what tier smoke gives its notebooks."""
    monkeypatch.setenv("GAMMAGPT_ROOT", str(tmp_path))
    monkeypatch.delenv("GAMMAGPT_BUILD", raising=False)
    (tmp_path / "notebooks" / "tiers").mkdir(parents=True)

    def tier(**notebooks):
        (tmp_path / "notebooks" / "tiers" / "smoke.yml").write_text(yaml.safe_dump(notebooks))
        return tmp_path

    return tier


def refusal(*names) -> str:
    """The message of the runner, which must not have run anything."""
    with pytest.raises(UserError) as error:
        runner.run_notebooks("smoke", list(names))
    assert not runner.staging_folder("smoke").exists()
    return str(error.value)


# ---- refused before anything runs --------------------------------------------------------------


def test_an_unknown_parameter_is_refused(project):
    write(project(one={"step": 2}), "one")
    assert refusal() == "one: unknown parameter 'step', allowed are steps, gammas"


@pytest.mark.parametrize("name, value", [("steps", "many"), ("steps", 1.5), ("steps", True),
                                         ("gammas", 0.5), ("gammas", "[0.5]")])
def test_a_parameter_of_another_type_is_refused(project, name, value):
    write(project(one={name: value}), "one")
    own = {"steps": "1", "gammas": "[0.5, 0.8]"}[name]
    assert refusal() == f"one: {name}: got {value!r}, allowed is a value like {own}"


def test_a_whole_number_will_do_for_a_float(project):
    write(project(one={"rate": 1}), "one", parameters="rate = 0.5")
    assert runner.plan("smoke") == {"one": {"rate": 1}}


def test_defaults_are_for_all_that_know_them_and_a_notebook_s_own_go_first(project):
    folder = project(defaults={"steps": 5, "width": 8}, one={"steps": 6})
    for name, more in (("one", "tier = 'night'"), ("two", "width = 4")):
        write(folder, name, parameters=f"{PARAMETERS}\n{more}")
    gammas = {"gammas": [0.5, 0.8]}
    assert runner.plan("smoke") == {
        "one": {"steps": 6, **gammas, "tier": "smoke"}, "two": {"steps": 5, **gammas, "width": 8},
    }
    assert runner.plan("night")["two"] == {"steps": 1, **gammas, "width": 4}  # the cells
    assert runner.plan("smoke", ["two"]).keys() == {"two"}


def test_a_default_that_no_notebook_knows_or_of_another_type_is_refused(project):
    write(project(defaults={"step": 2}), "one")
    assert refusal() == "defaults: unknown parameter 'step' in tier smoke"
    project(defaults={"steps": "many"})
    assert refusal() == "one: steps: got 'many', allowed is a value like 1"


def test_a_parameter_that_is_computed_is_refused(project):
    write(project(one={"steps": 2}), "one", parameters="steps = 2 * other")
    assert refusal() == "one.ipynb: parameters cell has more than plain values"


@pytest.mark.parametrize("tag", [None, "paramaters"])
def test_a_missing_or_misspelt_parameters_tag_is_refused(project, tag):
    write(project(one={"steps": 2}), "one", tag=tag)
    assert refusal() == "one.ipynb: needs one cell tagged 'parameters', found 0"


def test_two_parameters_cells_are_refused(project):
    folder = project(one={"steps": 2})
    twice = [new_code_cell("steps = 1", metadata={"tags": ["parameters"]}) for _ in range(2)]
    nbformat.write(new_notebook(cells=twice), folder / "notebooks" / "one.ipynb")
    assert refusal() == "one.ipynb: needs one cell tagged 'parameters', found 2"


def test_a_parameters_cell_that_is_not_python_is_refused(project):
    write(project(one={"steps": 2}), "one", parameters="steps = = 1")
    assert refusal().startswith("one.ipynb: parameters cell is not Python")


def test_a_file_that_is_not_a_notebook_is_refused(project):
    (project(one={}) / "notebooks" / "one.ipynb").write_text("{")
    assert refusal() == "one.ipynb: not a notebook (not JSON)"


def test_a_tier_with_a_notebook_that_does_not_exist_is_refused(project):
    folder = project(absent={"steps": 2})
    assert refusal() == (
        f"absent: named by tier smoke, but there is no absent.ipynb in {folder / 'notebooks'}"
    )


def test_parameters_that_are_no_mapping_are_refused(project):
    write(project(one=["steps"]), "one")
    assert refusal() == "one: tier smoke gives ['steps'], expected a mapping of parameters"


def test_a_name_that_the_tier_does_not_have_is_refused(project):
    write(project(one={"steps": 2}), "one")
    assert refusal("two") == "notebook: got 'two', tier smoke has one"


def test_every_misfit_has_a_line(project):
    folder = project(one={"step": 2, "gamma": 0.5}, two={}, three={"steps": 2})
    write(folder, "one")
    write(folder, "three", tag=None)
    starts = [line.split(":")[0] for line in refusal().splitlines()]
    assert sorted(starts) == ["one", "one", "three.ipynb", "two"]


# ---- a run with good and bad notebooks ---------------------------------------------------------


@pytest.fixture(scope="module")
def mixed_run(tmp_path_factory):
    """Three notebooks, of which one fails and one loses its kernel, run by one command."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "notebooks" / "tiers").mkdir(parents=True)
    given = {"a_fails": {"steps": 2}, "b_dies": {}, "c_good": {"steps": 7, "gammas": ["é", None]}}
    (folder / "notebooks" / "tiers" / "smoke.yml").write_text(yaml.safe_dump(given))
    write(folder, "a_fails", "print('before')", "x = 1\nraise ValueError('first\\nthe cause')")
    write(folder, "b_dies", "import os\nos._exit(1)")
    write(folder, "c_good", "print('steps', steps, gammas)")
    (folder / "_build" / "stage" / "smoke" / "notebooks").mkdir(parents=True)
    (folder / "_build" / "stage" / "smoke" / "notebooks" / "stale.ipynb").write_text("{}")
    before = (folder / "notebooks" / "c_good.ipynb").read_bytes()
    command = [sys.executable, build.__file__, "--tier", "smoke"]
    environment = {**os.environ, "GAMMAGPT_ROOT": str(folder)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (folder / "notebooks" / "c_good.ipynb").read_bytes() == before
    return folder / "_build", result


def test_all_failures_are_reported_in_a_few_lines_each(mixed_run):
    _, result = mixed_run
    assert "a_fails.ipynb failed in code cell 3, which begins with: x = 1" in result.stderr
    assert "    ValueError: the cause" in result.stderr
    assert "b_dies.ipynb failed in its kernel" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) < 10


def test_one_failure_is_enough_for_a_bad_exit_code_and_no_book(mixed_run):
    folder, result = mixed_run
    assert result.returncode == 1
    assert not (folder / "smoke").exists()


def test_a_failure_does_not_keep_the_next_notebook_from_running(mixed_run):
    folder, result = mixed_run
    outputs = [cell.outputs for cell in staged(folder).cells]
    assert outputs[1][0].text == "steps 7 ['é', None]\n"
    assert "[3/3] c_good (tier smoke) done in" in result.stdout
    assert "[1/3] a_fails (tier smoke) FAILED after" in result.stdout


def test_the_page_shows_the_values_that_were_used_and_none_of_papermills_notes(mixed_run):
    folder, _ = mixed_run
    notebook = staged(folder)
    assert notebook.cells[0].source == "steps = 7  # how many\ngammas: list = ['é', None]"
    assert len(notebook.cells) == 2
    assert "papermill" not in str(notebook.metadata) + str([c.metadata for c in notebook.cells])


def test_nothing_of_an_earlier_run_is_left(mixed_run):
    folder, _ = mixed_run
    names = {path.stem for path in (folder / "stage" / "smoke" / "notebooks").iterdir()}
    assert "stale" not in names


def staged(folder):
    path = folder / "stage" / "smoke" / "notebooks" / "c_good.ipynb"
    return nbformat.read(path, as_version=4)


# ---- MathJax -----------------------------------------------------------------------------------


def test_mathjax_is_a_script_and_its_fonts_and_no_more(tmp_path):
    build.vendor_mathjax(tmp_path / "mathjax")
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert sorted({file.suffix for file in files}) == [".js", ".woff"]
    assert sum(file.stat().st_size for file in files) < 1_700_000


@pytest.mark.parametrize("which", ["script", "font"])
def test_an_altered_mathjax_is_refused(tmp_path, monkeypatch, which):
    script, fonts = build.mathjax_files()
    altered = tmp_path / "altered"
    altered.write_bytes((script if which == "script" else fonts[0]).read_bytes() + b" ")
    files = (altered, fonts) if which == "script" else (script, [altered, *fonts[1:]])
    monkeypatch.setattr(build, "mathjax_files", lambda: files)
    with pytest.raises(UserError, match="SHA-256"):
        build.vendor_mathjax(tmp_path / "mathjax")
    assert not (tmp_path / "mathjax").exists()
