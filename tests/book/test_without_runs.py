"""A book that trains nothing (BUDGET=0) and has no records: pages say so, and none fails."""

import nbformat
import pytest
import runner

ALONE = {"01_gamma"}  # trains its own two runs, to show how: no study, so no budget
CHAPTERS = sorted(runner.plan("smoke").keys() - ALONE)


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_without_runs_says_that_nothing_has_been_run(name, tmp_path, monkeypatch):
    results, output = tmp_path / "results", tmp_path / "out.ipynb"
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(results))
    monkeypatch.setenv("GAMMAGPT_BUDGET", "0")
    assert runner.execute(name, runner.plan("smoke", [name])[name], output) is None
    cells = nbformat.read(output, as_version=4).cells
    told = " ".join(str(cell.get("outputs", "")) for cell in cells)
    assert "not run" in told
    assert not any(f"{name}</span>" in told for name in ("better", "equivalent", "worse"))
    assert not list(results.rglob("*.json"))
