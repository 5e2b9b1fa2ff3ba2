"""What a class needs of its machines: a row a notebook, and a dash where nothing was measured."""

import json

import needs

from gammagpt import project

REPORT = {"machine": "m, 2 cores", "network": False, "notebooks": {
    "01_gamma": {"night": {"memory_mb": 313}}, "02_gamma_scaling": {}}}


def test_a_row_has_what_was_measured_of_its_notebook():
    table = needs.needs_table(REPORT, {"01_gamma": (2, 130.0)}, 7.0)
    *_, first, second, _, machine = table.splitlines()
    assert first == "| [](../notebooks/01_gamma.ipynb) | 313 | 14 | 2 | none |"
    assert second == "| [](../notebooks/02_gamma_scaling.ipynb) | – | 0 | 0 | none |"
    assert "m, 2 cores" in machine
    assert "| not tried without |" in needs.needs_table(REPORT | {"network": True}, {}, 7.0)


def test_the_committed_numbers_are_of_notebooks_that_there_are_and_fit_a_hub():
    path = project.root() / "benchmarks" / "needs.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    names = {path.stem for path in (project.root() / "notebooks").glob("*.ipynb")}
    assert report["notebooks"].keys() <= names
    pages = [t["night"]["memory_mb"] for t in report["notebooks"].values() if "night" in t]
    assert pages and max(pages) < 1000  # book/machines.md promises a hub with 1 GB for each
