"""What an exercise says of its cost is what its chapter's own studies would train."""

import efforts
import handout
import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from gammagpt import project
from gammagpt.registry.studies import study

WIDE = '2. `papermill notebooks/03_bias.ipynb out.ipynb -p emb_gammas "[0.5, 0.8]" -p steps 3000`'


def test_a_task_without_parameters_or_without_a_study_says_nothing():
    assert efforts.words("1. **On paper.** What is `gamma`?", "07_language", "night") == ""
    assert efforts.words('1. Run it: `-p gammas "[0.5]"`', "01_gamma", "night") == ""


def test_a_text_of_the_readers_costs_what_the_page_would_cost_from_nothing():
    task = "1. Run it: `-p corpus my_novel.txt`"
    of_the_page = efforts.effort("1. Run it: `-p corpus sotu`", "11_tokens", "night")
    runs, seconds = efforts.effort(task, "11_tokens", "night")
    assert of_the_page[0] == 0 and runs > 40 and seconds > runs / 2
    assert efforts.words(task, "01_gamma", "night").endswith("as much as the page's own runs.)*")


def test_a_number_that_the_reader_has_to_find_is_one_that_has_no_record():
    """Another rate of the third model is one run: it is compared with nothing."""
    task = "1. Give it: `-p reference_rate`"
    assert efforts.effort(task, "11_tokens", "night")[0] == 1
    assert "at most 1 run, about " in efforts.words(task, "11_tokens", "night")


def test_what_has_records_is_not_trained_again():
    task = '2. **Only two.** `-p gammas "[0.5, 0.8]"` uses the records that are there.'
    assert efforts.words(task, "07_language", "night") == " *(Training: none.)*"
    assert efforts.effort(WIDE, "07_language", "night")[0] == 0  # of the chapter it names


def test_what_has_none_is_counted_and_timed(tmp_path, monkeypatch):
    """On an empty store the whole study: the grid, and as many tuned runs."""
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    asked = study("logic_and_stories", "night").only(["gamma 0.5", "gamma 0.8"])
    runs = {run.key for run in asked.tuning()}
    tuned = len(asked.settings) * len(asked.seeds)
    task = '1. `-p gammas "[0.5, 0.8]"`'
    count, seconds = efforts.effort(task, "07_language", "night")
    assert count == len(runs) + tuned and seconds > count
    words = efforts.words(task, "07_language", "night")
    minutes = round(seconds / 60)
    assert words == f" *(Training: {count} runs, about {minutes} minutes on two cores.)*"
    assert handout.minutes(words) == f" ({minutes} min)"


def test_staged_twice_a_task_says_it_once(tmp_path):
    (tmp_path / "notebooks").mkdir()
    path = tmp_path / "notebooks" / "07_language.ipynb"
    tasks = '## Exercises\n\n1. **One.** On paper.\n2. **Two.** `-p gammas "[0.5, 0.8]"`: so?'
    nbformat.write(new_notebook(cells=[new_markdown_cell(tasks)]), path)
    for _ in range(2):
        efforts.write_efforts(tmp_path, "night")
        staged = nbformat.read(path, as_version=4).cells[0].source
        assert staged == f"{tasks} *(Training: none.)*"


def test_a_task_that_need_not_be_run_says_if(tmp_path, monkeypatch):
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    task = '3. `-p gammas "[0.5]"` Answer before any run; you need not run it.'
    note = efforts.words(task, "07_language", "night")
    assert note.startswith(" *(If you run it: ") and efforts.NOTE.sub("", task + note) == task


@pytest.mark.parametrize("text, value", [("3", 3), ("0.5", 0.5), ("[1]", "[1]"), ("", "")])
def test_parameters_are_read_as_papermill_reads_them(text, value):
    from papermill.cli import _resolve_type

    assert efforts._value(text) == value == _resolve_type(text)


def test_every_exercise_that_makes_a_page_again_can_be_priced():
    silent = []
    for path in sorted((project.root() / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        lists = "\n".join(cell.source for cell in cells if "## Exercises" in cell.source)
        for task in efforts.TASK.findall(lists):
            if efforts.ASKED.search(task) and not efforts.words(task, path.stem, "night"):
                silent.append(task)
    assert silent == []
