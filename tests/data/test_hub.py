"""Texts read by `datasets`, which is optional: what it costs not to have it, and what it reads."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from helpers import prose, refusal

from gammagpt.data import DataConfig, hub, load_text, logic
from gammagpt.data import corpora as data_corpora
from gammagpt.data.corpora import read_documents
from gammagpt.data.text import prepare
from gammagpt.data.unigrams import own_tokens

WHY = 'needs the optional package `datasets` (pip install -e ".[datasets]")'


def rows(count: int) -> list[dict]:
    """Twice the same text, an empty one, a missing one, and `count` others."""
    texts = ["same", "same", "", None, *(prose(seed=i, size=400) for i in range(count))]
    return [{"text": text, "question": f"What is {i}?", "number": i}
            for i, text in enumerate(texts)]  # fmt: skip


@pytest.fixture
def file(tmp_path) -> str:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(60)), encoding="utf-8")
    return str(path)


@pytest.fixture
def datasets():
    """The package itself."""
    return pytest.importorskip("datasets", reason=WHY)


@pytest.fixture
def stand_in(monkeypatch):
    """What hub.py asks of `datasets`, for sets that are not files; says what it was asked for."""

    class Datasets:
        asked, splits = [], {"validation": rows(3), "train": rows(60)}

        def load_dataset(self, *source, streaming):
            assert streaming
            self.asked.append(source)
            if isinstance(self.splits, Exception):
                raise self.splits
            return self.splits

    monkeypatch.setitem(sys.modules, "datasets", Datasets())
    return sys.modules["datasets"]


# ---- names and refusals --------------------------------------------------------------------------


def test_without_datasets_the_error_says_how_to_get_it(monkeypatch, fresh_cache):
    monkeypatch.setitem(sys.modules, "datasets", None)
    message = refusal(load_text, DataConfig("hub:someone/tales", 300))
    assert message == (
        'datasets: not installed, and needed for hub:someone/tales: pip install -e ".[datasets]"'
    )


def test_the_package_never_imports_datasets_by_itself():
    code = "import sys, gammagpt.data.hub; print('datasets' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "False", result.stderr


@pytest.mark.parametrize("corpus", ["hub:", "hub::text"])
def test_a_corpus_without_a_name_is_refused(corpus, fresh_cache):
    assert refusal(load_text, DataConfig(corpus, 300)).startswith(f"corpus: got {corpus!r}")


def test_a_file_that_is_not_there_is_refused_as_any_other(tmp_path, fresh_cache):
    message = refusal(load_text, DataConfig(f"hub:{tmp_path}/none.jsonl", 300))
    assert "none.jsonl" in message and "gammagpt data prepare" in message


def test_no_network_is_one_line_that_names_the_corpus(stand_in):
    stand_in.splits = ConnectionError("Couldn't reach the Hub\nmany more lines")
    message = refusal(hub.documents, "hub:someone/tales", 9)
    assert message == "corpus: hub:someone/tales cannot be read: Couldn't reach the Hub"


def test_a_column_that_is_not_there_or_no_text_is_refused(stand_in):
    for column in ("story", "number"):
        message = refusal(hub.documents, f"hub:someone/tales:{column}", 9)
        assert f"'{column}'" in message and "['text', 'question']" in message


def test_rows_without_a_word_are_refused(stand_in):
    stand_in.splits = {"train": [{"text": " \n"}, {"text": None}]}
    assert "holds no text" in refusal(hub.documents, "hub:someone/tales", 9)


# ---- what is read --------------------------------------------------------------------------------


def test_the_first_rows_of_the_training_split_are_read(stand_in):
    found = hub.documents("hub:someone/tales", 6)
    assert [text for _, text in found] == [
        "same",
        "same",
        *(r["text"].strip() for r in rows(2)[4:]),
    ]
    assert stand_in.asked == [("someone/tales",)]
    stand_in.splits = {"test": rows(1), "validation": rows(2)}
    assert len(hub.documents("hub:someone/tales", 99)) == 3  # of the first split by name


def test_equal_texts_are_one_group_and_stay_on_one_side(stand_in):
    groups = [group for group, _ in hub.documents("hub:someone/tales", 99)]
    assert len(groups) == 62 and len(set(groups)) == 61


def test_several_columns_are_written_one_below_the_other(stand_in):
    found = hub.documents("hub:someone/tales:question,text", 2)
    assert found[0][1] == "What is 0?\nsame"


def test_a_mixture_with_a_generated_text_is_prepared_and_found_again(
    stand_in, fresh_cache, monkeypatch
):
    monkeypatch.setattr(data_corpora, "DOCUMENTS", 60)
    config = DataConfig("logic+hub:someone/tales", 300)
    text = load_text(config)
    assert list(text.parts) == ["logic", "hub:someone/tales"]
    assert all(own_tokens(text).values())
    assert read_documents("logic") == logic.documents(60, seed=0)
    for name in ("datasets", "rustbpe"):  # what was prepared needs neither
        monkeypatch.setitem(sys.modules, name, None)
    assert load_text(config.pinned()).folder == text.folder
    monkeypatch.setattr(data_corpora, "DOCUMENTS", 61)
    assert "datasets" in refusal(load_text, config)


def test_what_the_hub_has_changed_is_noticed_when_it_is_fetched_anew(
    stand_in, fresh_cache, tmp_path, monkeypatch
):
    config = DataConfig("hub:someone/tales", 300).pinned()
    stand_in.splits["train"][9]["text"] += " More."
    assert load_text(config).fingerprint == config.fingerprint  # prepared before
    monkeypatch.setenv("GAMMAGPT_CACHE", str(tmp_path / "another"))
    assert refusal(load_text, config).startswith("data.fingerprint")


def test_a_file_is_known_by_its_content_wherever_it_lies(file, tmp_path):
    copy = tmp_path / "copy.jsonl"
    shutil.copy(file, copy)
    assert hub.identity(f"hub:{file}", 9) == hub.identity(f"hub:{copy}:text", 9)
    assert hub.identity(f"hub:{file}", 9) != hub.identity(f"hub:{file}:question", 9)
    assert hub.identity(f"hub:{file}", 9) != hub.identity(f"hub:{file}", 8)
    copy.write_text("{}\n")
    assert hub.identity(f"hub:{file}", 9) != hub.identity(f"hub:{copy}", 9)


# ---- with the package itself ---------------------------------------------------------------------


def offline(code: str, *arguments: str, cache) -> str:
    """What a Python without a network prints; in a process, for `datasets` starts threads."""
    found = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(cache),
        "GAMMAGPT_CACHE": str(cache),
    }
    command = [sys.executable, "-c", code, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, env=found)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_a_file_of_ones_own_is_read_by_datasets(datasets, file, tmp_path):
    code = (
        "import sys; from gammagpt.data import hub\n"
        "for group, text in hub.documents(sys.argv[1], 7): print(text.split()[:3])"
    )
    lines = offline(code, f"hub:{file}:question", cache=tmp_path).splitlines()
    assert lines == [str(f"What is {i}?".split()) for i in range(7)]
    import pandas

    pandas.DataFrame(rows(60)).to_parquet(tmp_path / "rows.parquet")
    again = offline(code, f"hub:{tmp_path / 'rows.parquet'}:question", cache=tmp_path)
    assert again.splitlines() == lines


def test_a_file_of_ones_own_becomes_tokens(datasets, file, tmp_path):
    code = (
        "import sys; from gammagpt.data import DataConfig, load_text\n"
        "text = load_text(DataConfig(sys.argv[1], 300)); print(*text.parts, len(text.train) > 5000)"
    )
    assert offline(code, f"hub:{file}", cache=tmp_path) == f"hub:{file} True"


def test_a_set_that_cannot_be_reached_and_a_broken_file_are_refused(datasets, tmp_path):
    code = (
        "import sys; from gammagpt.data import hub; from gammagpt import UserError\n"
        "for corpus in sys.argv[1:]:\n"
        "    try: hub.documents(corpus, 9)\n"
        "    except UserError as error: print(error)"
    )
    (tmp_path / "broken.jsonl").write_text('{"text": \n')
    (tmp_path / "empty.jsonl").write_text("")
    files = [f"hub:{tmp_path}/{name}.jsonl" for name in ("broken", "empty")]
    corpora = ["hub:nobody-of-this-name/nothing", *files]
    lines = offline(code, *corpora, cache=tmp_path).splitlines()
    assert [line.split(" cannot be read: ")[0] for line in lines] == [
        f"corpus: {corpus}" for corpus in corpora
    ]


def test_tokens_of_a_file_that_is_gone_are_read_from_a_copy(stand_in, file, tmp_path, monkeypatch):
    stand_in.splits = {"train": rows(60)}
    config = DataConfig(f"hub:{file}", 300)
    here = prepare(config, tmp_path / "carried")
    os.remove(file)
    monkeypatch.setenv("GAMMAGPT_CACHE", str(tmp_path / "carried"))
    assert load_text(config).fingerprint == here.fingerprint
