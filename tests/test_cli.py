"""The command line: JSON for machines, and for a mistake one line and exit code 2."""

import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path

import pandas as pd
import pytest
from conftest import TINY
from helpers import made_up_record, prose, strict_json
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gammagpt import InitConfig, Record, RunConfig, Store, advise, project
from gammagpt.cli import main
from gammagpt.lab.bundle import pack, read_bundle
from gammagpt.lab.study import LearningRateStudy
from gammagpt.ledger.claims import load_ledger

VERBS = ("train", "sweep", "claims", "audit", "advise", "bench", "doctor", "records import",
         "records export", "data prepare", "sample", "quiz")  # fmt: skip
SMALL = ["--set", "model.width=32", "--set", "model.n_layer=1"]


@pytest.fixture
def call(capsys):
    """call(arguments...) is (exit code, stdout, stderr) of one command, in this process."""

    def run(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse's own way out
            code = stop.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def novel(tmp_path, fresh_cache) -> Path:
    path = tmp_path / "novel.txt"
    path.write_text(prose(seed=0, size=9000))
    return path


@pytest.fixture
def tiny_train(novel, tmp_path):
    """The arguments of a training that takes a moment, with records in `records`."""
    settings = [f"{part}.{n}={v}" for part in ("model", "probes") for n, v in TINY[part].items()]
    settings += ["data.vocab_size=300", "steps=5", "batch_size=8", "optim.learning_rate=2e-2"]
    pairs = [word for setting in settings for word in ("--set", setting)]
    return ["train", "--text", novel, "--store", tmp_path / "records", *pairs]


def in_a_process(*arguments, **environment):
    command = [sys.executable, "-m", "gammagpt", *map(str, arguments)]
    environment = os.environ | {name: str(value) for name, value in environment.items()}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    return result.returncode, result.stdout, result.stderr


@pytest.fixture
def results(tmp_path, monkeypatch) -> Path:
    """A results folder of this test alone, still empty."""
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.fixture
def small_study(tmp_path, monkeypatch, results) -> None:
    """The ledger and chapter 2 as they are, and a tier `smoke` of few runs on the speeches."""
    checkout = project.root()
    monkeypatch.setenv("GAMMAGPT_ROOT", str(tmp_path))
    shutil.copytree(checkout / "claims", tmp_path / "claims")
    (tmp_path / "notebooks" / "tiers").mkdir(parents=True)
    for name in ("01_gamma", "02_gamma_scaling"):
        shutil.copy(checkout / "notebooks" / f"{name}.ipynb", tmp_path / "notebooks")
    (tmp_path / "notebooks" / "tiers" / "smoke.yml").write_text(SMALL_TIER)


SMALL_TIER = """
defaults: {corpus: sotu, vocab_size: 512}
02_gamma_scaling: {
  gammas: [0.5], widths: [16], depths: [1], longer_factors: [1.0], bias_widths: [16],
  tokens_per_parameter: 0.01, factors: [0.5, 1.0, 2.0], tuning_seeds: [1000], seeds: [0],
  n_layer: 1, n_head: 2, width: 16, block_size: 16, vocab_size: 512, corpus: sotu, batch_size: 4,
  precision: float32}
"""
SWEEP = ("sweep", "lower_loss_width", "--tier", "smoke", "--workers", 1)


@pytest.fixture
def made_up_study(small_study, monkeypatch):
    """made_up_study(n, error): its first n runs are made up, then the error comes, if any.

    Returns what the study's `run` was given, once it has run.
    """

    def set_up(count, error=None) -> dict:
        def run(self, store, **named):
            given.update(named)
            grid = self.tuning()
            lowest = {config.init.label: config.optim.learning_rate for config in reversed(grid)}
            best = pd.DataFrame(lowest.items(), columns=["setting", "learning_rate"])
            best["setting"] += ", width 16"  # all losses are equal: the first rate wins
            for config in [*grid, *self.at_best_rate(best)][:count]:
                store.put(made_up_record(config, 3.0))
            if error:
                raise error
            return self.collect(store)

        given = {}
        monkeypatch.setattr(LearningRateStudy, "run", run)
        return given

    return set_up


# ---- verbs that succeed ------------------------------------------------------------------------


def test_training_prints_its_record_and_the_second_call_trains_nothing(call, tiny_train, tmp_path):
    code, output, errors = call(*tiny_train, "--gamma", 0.8, "--json")
    assert (code, errors) == (0, "")
    content = strict_json(output)
    assert content["config"]["init"]["gamma"] == 0.8 and content["config"]["steps"] == 5
    assert content["final"]["validation_loss"] < 6
    (path,) = (tmp_path / "records").iterdir()
    assert Record.from_json(path.read_text()).key == content["key"] == path.stem
    before = path.stat().st_mtime_ns
    assert call(*tiny_train, "--gamma", 0.8, "--json") == (0, output, "")
    assert path.stat().st_mtime_ns == before and len(list(path.parent.iterdir())) == 1


def test_training_says_in_words_what_came_out_and_where_it_is(call, tiny_train, tmp_path):
    code, output, errors = call(*tiny_train)
    (path,) = (tmp_path / "records").iterdir()
    assert (code, errors) == (0, "") and "gamma 0.5" in output and str(path) in output
    loss = Record.from_json(path.read_text()).final["validation_loss"]
    assert f"validation loss {loss:.4f}" in output


def test_a_model_is_kept_and_writes_from_its_file_or_is_trained_for_it(call, tiny_train, tmp_path):
    at = tiny_train.index("--store")
    run = tiny_train[1:at] + tiny_train[at + 2 :]
    file = tmp_path / "model.safetensors"
    call(*tiny_train)
    (path,) = (tmp_path / "records").iterdir()
    before = path.read_text()
    code, output, errors = call(*tiny_train, "--save", file)  # trained again: it keeps no weights
    assert (code, errors) == (0, "") and str(file) in output and path.read_text() == before
    how = ("--prompt", "The", "--tokens", 20, "--count", 2, "--json")
    code, output, errors = call("sample", "--weights", file, *how)
    texts = strict_json(output)["texts"]
    assert (code, errors) == (0, "") and len({*texts}) == 2
    assert all(text.startswith("The") for text in texts)
    assert strict_json(call("sample", *run, *how)[1])["texts"] == texts  # the same run
    assert (project.cache_folder() / "weights").is_dir()
    code, _, errors = call("sample", "--weights", file, "--gamma", 0.8)
    assert code == 2 and "allowed is one" in errors


@pytest.mark.parametrize("words", [
    ("--tokens", -1), ("--temperature", "nan"), ("--top-k", 0), ("--count", 0), ("--seed", 10**30),
    ("--set", "data.kind=anchors", "--set", "model.vocab_size=201", "--set", "model.block_size=9"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_refused_before_training(call, tiny_train, monkeypatch, words):
    monkeypatch.setattr("gammagpt.lab.training.trained", lambda *_: pytest.fail("it trained"))
    run = [] if words[0] == "--set" else tiny_train[1 : tiny_train.index("--store")]
    code, output, errors = call("sample", *run, *words)
    assert (code, output, errors.count("\n")) == (2, "", 1) and errors.startswith("error: ")


@pytest.mark.parametrize("place, words", [("/proc/nope/a", "cannot be written"), (".", "a folder")])
def test_weights_that_cannot_be_kept_are_noticed_before_training(
    call, tiny_train, monkeypatch, place, words
):
    monkeypatch.setattr("gammagpt.lab.training.train", lambda *_, **__: pytest.fail("it trained"))
    code, output, errors = call(*tiny_train, "--save", place)
    assert (code, output) == (2, "") and "--save" in errors and words in errors


def test_a_quiz_is_printed_or_written(call, tmp_path):
    code, output, errors = call("quiz", "--chapter", 1)
    assert (code, errors) == (0, "") and output.count("::") == 2 * 3
    assert len(strict_json(call("quiz", "--chapter", "01", "--json")[1])) == 3
    for form, made in (("gift", "a.gift"), ("qti", "a.zip"), ("nbgrader", "course")):
        arguments = ("quiz", "--format", form, "--chapter", 1, "--out", tmp_path / made)
        assert call(*arguments)[0] == 0 and (tmp_path / made).exists()
    assert call(*arguments)[0] == 2  # a course is not written over
    code, _, errors = call("quiz", "--out", tmp_path / "nowhere" / "a.gift")
    assert code == 2 and "cannot be written" in errors


def test_a_run_that_diverged_says_so(call, tiny_train, tmp_path):
    wild = ("optim.learning_rate=1e6", "optim.clip=0", "optim.weight_decay=10", "steps=40",
            "probes.spectra=0")  # fmt: skip
    more = [word for setting in wild for word in ("--set", setting)]
    code, output, _ = call(*tiny_train, *more)
    assert code == 0 and "diverged" in output
    content = strict_json(call(*tiny_train, *more, "--json")[1])
    assert content["status"] == "diverged" and content["final"]["validation_loss"] is None


def test_claims_are_strict_json_with_every_id_of_the_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    code, output, errors = in_a_process("claims", "--json")
    assert (code, errors) == (0, "")
    content = strict_json(output)
    assert [entry["id"] for entry in content] == [claim.id for claim in load_ledger()]
    assert {entry["tier"] for entry in content} == {project.PAGES}
    for entry, claim in zip(content, load_ledger(), strict=True):
        said = [entry[name] for name in ("paper", "question", "primary", "unit")]
        assert said == [claim.paper or None, claim.statement, claim.primary, claim.unit]
        assert {"verdict", "effect", "low", "high", "n", "means"} <= set(entry)


def test_claims_in_words_are_one_line_each(call, tmp_path, monkeypatch):
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    code, output, _ = call("claims", "--tier", "gpu")
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()] == [c.id for c in load_ledger()]


def test_some_claims_are_asked_for_by_their_ids(call, tmp_path, monkeypatch):
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    code, output, _ = call("claims", "practice-tiny", "lower-loss")
    ids = [line.split()[0] for line in output.splitlines()]
    assert code == 0 and ids == ["practice-tiny", "lower-loss"]


def test_the_audit_measures_every_tensor(call):
    code, output, errors = call("audit", "--gamma", 0.8, *SMALL, "--json")
    rows = strict_json(output)
    assert (code, errors, len(rows)) == (0, "", 9) and all(row["ok"] is True for row in rows)
    assert {row["d_in"] for row in rows} == {32, 88}
    assert all(abs(row["gamma"] - 0.8) < 0.05 for row in rows)


def test_the_audit_in_words_and_with_residual_scaling(call):
    options = ("--set", "init.std=0.02", "--set", "init.residual_scaling=true")
    code, output, _ = call("audit", *SMALL, *options)
    assert code == 0 and "blocks.0.mlp.down.weight" in output


def test_the_audit_of_a_matrix_with_one_column_is_strict_json_too(call):
    code, output, _ = call("audit", *SMALL, "--set", "model.hidden=1", "--json")
    assert code == 0 and len(strict_json(output)) == 9


def test_advice_is_that_of_python_in_words_and_as_json(call):
    given = {"width": 64, "learning_rate": 0.008, "warmup_steps": 40, "steps": 10_000}
    arguments = [part for name, value in given.items()
                 for part in (f"--{name.replace('_', '-')}", value)]
    code, output, errors = call("advise", *arguments, "--json")
    expected = advise(**given)
    assert (code, errors) == (0, "") and strict_json(output) == {
        **asdict(expected), "safe_gammas": list(expected.safe_gammas),
        "untested": list(expected.untested)}
    words = call("advise", *arguments)[1]
    assert f"{expected.critical_gamma:.2f}" in words and "untested        steps" in words
    assert call("advise", "--width", 0, *arguments[2:])[::2] == (
        2, "error: width: got 0, allowed is a number above 1\n")


def test_a_gamma_that_nobody_tried_is_advised_as_untested():
    assert "critical gamma" in advise(64, 1.0, 40).untested
    assert "critical gamma" not in advise(64, 0.008, 40).untested


def test_the_doctor_says_what_is_here(call, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    Store(tmp_path / "smoke").put(made_up_record(tiny, 3.0))
    code, output, _ = call("doctor", "--json")
    content = strict_json(output)
    assert code == 0 and content["records"] == {"smoke": 1, "laptop": 0, "gpu": 0}
    assert content["torch"] and content["device"].startswith("cpu")
    assert "torch" in call("doctor")[1]


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_an_example(call, verb):
    code, output, _ = call(*verb.split(), "--help")
    assert code == 0 and f"example: python -m gammagpt {verb}" in output and "--json" in output


def test_help_names_every_verb(call):
    code, output, _ = call("--help")
    assert code == 0 and all(verb.split()[0] in output for verb in VERBS)
    assert all(word in call("records", "--help")[1] for word in ("import", "export"))


def test_settings_are_read_as_numbers_words_and_nothing(call, tiny_train):
    options = ("--set", "init.gamma=null", "--set", "init.std=2e-2", "--set", "model.tied=true")
    content = strict_json(call(*tiny_train, *options, "--json")[1])["config"]
    assert content["init"] == asdict(InitConfig(None, 0.02))
    assert content["model"]["tied"] is True
    assert RunConfig.from_dict(content).model.vocab_size == 300


# ---- sweeps with a budget, and bundles ---------------------------------------------------------


@pytest.mark.parametrize(
    "text, seconds", [("9m", 540), ("540s", 540), ("1.5h", 5400), ("90", 90), ("0.5", 0.5)]
)
def test_the_budget_reaches_the_study_in_seconds(call, made_up_study, text, seconds):
    given = made_up_study(0)
    assert call(*SWEEP)[0] == 0 and "budget" not in given
    code, output, errors = call(*SWEEP, "--budget", text)
    assert (code, errors, given["budget"]) == (0, "", seconds)
    assert "at least 6 missing" in output


def test_a_sweep_says_how_many_runs_are_missing(call, made_up_study):
    made_up_study(6)  # the whole tuning, so that the best rates are known
    code, output, _ = call(*SWEEP, "--budget", "1m", "--json")
    assert (code, strict_json(output)) == (0, {"runs": {"ok": 6}, "missing": 2})
    assert "6 ok, at least 2 missing" in call(*SWEEP)[1]


def test_a_finished_sweep_is_packed_and_nothing_is_missing(call, made_up_study, results, tmp_path):
    made_up_study(8)
    code, output, errors = call(*SWEEP, "--bundle", tmp_path / "b", "--json")
    assert (code, errors) == (0, f"{tmp_path / 'b'}: 8 records\n")
    assert strict_json(output) == {"runs": {"ok": 8}, "missing": 0}
    assert {r.key for r in read_bundle(tmp_path / "b")} == {r.key for r in Store(results / "smoke")}
    assert "missing" not in call(*SWEEP)[1]


@pytest.mark.parametrize("error, code", [(KeyboardInterrupt(), 130), (project.UserError("x"), 2)])
def test_a_sweep_that_is_stopped_is_packed_too(call, made_up_study, tmp_path, error, code):
    made_up_study(2, error)
    found, output, errors = call(*SWEEP, "--bundle", tmp_path / "b")
    assert (found, output) == (code, "") and f"{tmp_path / 'b'}: 2 records\n" in errors
    assert len(read_bundle(tmp_path / "b")) == 2


def test_a_bundle_holds_the_whole_tier_and_not_only_this_sweep(
    call, made_up_study, tiny, results, tmp_path
):
    Store(results / "smoke").put(made_up_record(tiny, 3.0))
    made_up_study(1)
    call(*SWEEP, "--bundle", tmp_path / "b")
    keys = {record.key for record in read_bundle(tmp_path / "b")}
    assert len(keys) == 2 and tiny.key in keys


def test_a_bundle_that_cannot_be_written_is_noticed_before_any_run(call, made_up_study, tmp_path):
    given = made_up_study(8)
    assert_is_one_clear_line(*call(*SWEEP, "--bundle", tmp_path), str(tmp_path), "folder")
    assert not given


def test_records_go_from_one_tier_to_another(call, tiny, results, tmp_path):
    path = Store(results / "laptop").put(made_up_record(tiny, 3.0))
    file = str(tmp_path / "a.bundle")
    code, output, errors = call("records", "export", file, "--tier", "laptop", "--json")
    assert (code, errors) == (0, "") and strict_json(output) == {"file": file, "records": 1}
    assert "1 records of laptop" in call("records", "export", file, "--tier", "laptop")[1]
    code, output, errors = call("records", "import", file)
    assert (code, errors) == (0, "") and f"{file}: 1 new, 0 already there, 0 there" in output
    assert (results / "gpu" / path.name).read_bytes() == path.read_bytes()


def test_several_bundles_are_counted_each(call, tiny, results, tmp_path):
    one, other = (replace(tiny, seed=seed) for seed in (1, 2))
    Store(results / "smoke").put(made_up_record(one, 2.5))
    pack([made_up_record(one, 3.0)], tmp_path / "a")
    pack([made_up_record(one, 2.5), made_up_record(other, 3.0)], tmp_path / "b")
    files = [str(tmp_path / name) for name in "ab"]
    code, output, _ = call("records", "import", *files, "--tier", "smoke", "--json")
    assert code == 0 and strict_json(output) == {
        files[0]: {"new": 0, "already_there": 0, "kept": 1},
        files[1]: {"new": 1, "already_there": 1, "kept": 0},
    }


def test_of_several_bundles_none_is_added_if_one_is_damaged(call, tiny, results, tmp_path):
    pack([made_up_record(tiny, 3.0)], tmp_path / "a")
    (tmp_path / "b").write_bytes((tmp_path / "a").read_bytes()[:-20])
    arguments = ("records", "import", tmp_path / "a", tmp_path / "b")
    assert_is_one_clear_line(*call(*arguments), str(tmp_path / "b"), "line 1")
    assert not results.exists()


# ---- tokens to carry, and a machine with torch and little else ---------------------------------


def test_tokens_are_prepared_for_a_text_of_ones_own(call, novel, tmp_path, fresh_cache):
    arguments = ("data", "prepare", "--corpus", novel, "--vocab-size", 300)
    code, output, errors = call(*arguments, "--json")
    (row,) = strict_json(output)
    assert (code, errors) == (0, "") and (row["corpus"], row["vocab_size"]) == (str(novel), 300)
    assert row["train"] > row["validation"] > 100 and len(row["fingerprint"]) == 64
    assert Path(row["folder"]).parent == fresh_cache / "data"
    novel.unlink()  # and the tokens do without it
    code, output, _ = call(*arguments)
    assert code == 0 and all(str(value) in output for value in (novel, 300, row["fingerprint"]))


def test_tokens_are_prepared_for_every_corpus_that_a_tier_names(
    call, novel, small_study, tmp_path, fresh_cache
):
    tier = tmp_path / "notebooks" / "tiers" / "smoke.yml"
    shutil.copy(tmp_path / "notebooks" / "01_gamma.ipynb", tmp_path / "notebooks" / "03.ipynb")
    tier.write_text(f"defaults: {{corpus: {novel}, vocab_size: 300}}\n"
                    "02_gamma_scaling: {vocab_size: 301}\n")  # fmt: skip
    code, output, _ = call("data", "prepare", "--tier", "smoke", "--to", tmp_path / "to", "--json")
    rows = strict_json(output)
    assert code == 0 and [row["vocab_size"] for row in rows] == [300, 301]
    assert {Path(row["folder"]).parent for row in rows} == {tmp_path / "to" / "data"}
    assert not fresh_cache.exists()


NEEDED = ("torch", "numpy", "tiktoken", "pandas", "pyyaml", "tqdm")
BARE = """
import sys
from importlib.machinery import PathFinder

class Bare(PathFinder):
    @classmethod
    def find_spec(cls, name, *rest):
        return None if name.partition(".")[0] in {refused} else super().find_spec(name, *rest)

sys.meta_path[:] = [Bare if finder is PathFinder else finder for finder in sys.meta_path]
"""


def with_dependencies(names) -> set[str]:
    """The packages of these names, and those that they need themselves."""
    found, todo = set(), set(map(canonicalize_name, names))
    while todo:
        found.add(name := todo.pop())
        needs = [Requirement(line) for line in metadata.requires(name) or ()]
        needs = [need for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
        todo |= {canonicalize_name(need.name) for need in needs} - found
    return found


@pytest.fixture
def bare(tmp_path):
    """bare(arguments...): a command where no package is found but NEEDED and what they need."""
    allowed = with_dependencies(NEEDED) | {"gammagpt"}
    refused = {
        module for module, packages in metadata.packages_distributions().items()
        if not allowed & set(map(canonicalize_name, packages))
    }  # fmt: skip
    assert {"sotu", "rustbpe", "scipy", "matplotlib", "papermill", "nbformat"} <= refused
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "sitecustomize.py").write_text(BARE.format(refused=sorted(refused)))
    path = f"{tmp_path / 'bare'}{os.pathsep}{Path(project.__file__).parents[1]}"

    def run(*arguments, **environment):
        return in_a_process(*arguments, PYTHONPATH=path, OMP_NUM_THREADS=1, **environment)

    return run


def numbers(records) -> list[Record]:
    """Records less where and when they were made."""
    return [replace(record, provenance={}) for record in records]


def test_a_bare_machine_trains_the_same_record(call, bare, novel, tiny_train, tmp_path):
    carried = tmp_path / "carried"
    call("data", "prepare", "--corpus", novel, "--vocab-size", 300, "--to", carried)
    full = call(*tiny_train, "--json")
    novel.unlink()
    tiny_train[tiny_train.index("--store") + 1] = tmp_path / "elsewhere"
    assert_is_one_clear_line(*bare(*tiny_train), "novel.txt", "data prepare")
    code, output, errors = bare(*tiny_train, "--json", GAMMAGPT_CACHE=carried)
    assert (full[0], code, errors) == (0, 0, "")
    one, other = numbers(map(Record.from_json, (full[1], output)))
    assert one == other


def test_a_bare_machine_sweeps_the_same_records(call, bare, small_study, results, tmp_path):
    carried, there = tmp_path / "carried", tmp_path / "there"
    assert call("data", "prepare", "--tier", "smoke", "--to", carried)[0] == 0
    file, places = tmp_path / "b", {"GAMMAGPT_CACHE": carried, "GAMMAGPT_RESULTS": there}
    code, output, errors = bare(*SWEEP, "--bundle", file, **places)
    assert (code, errors) == (0, f"{file}: 8 records\n"), errors
    assert call(*SWEEP)[0] == 0
    full = numbers(Store(results / "smoke"))
    assert len(full) == 8 and numbers(Store(there / "smoke")) == full == numbers(read_bundle(file))
    code, output, _ = call("records", "import", file, "--tier", "smoke", "--json")
    assert strict_json(output) == {str(file): {"new": 0, "already_there": 8, "kept": 0}}


# ---- mistakes ----------------------------------------------------------------------------------


def assert_is_one_clear_line(code, output, errors, *words):
    assert (code, output) == (2, "")
    assert errors.count("\n") == 1 and errors.startswith("error: ") and "Traceback" not in errors
    assert all(word in errors for word in words), errors


def test_a_mistake_is_one_line_for_a_shell_too():
    assert_is_one_clear_line(*in_a_process("audit", "--set", "optim.clipp=1"), "optim.clipp")


SETTINGS = [
    ("optim.clipp=1", "optim.clipp", "unknown"),
    ("model.width=63", "model.width: got 63", "n_head = 2"),
    ("model.width=wide", "model.width: got 'wide'"),
    ("steps=NaN", "steps: got nan"),
    ("steps=1.5", "steps: got 1.5"),
    ("optim.clip=-1", "optim.clip: got -1"),
    ("optim.beta1=1.0", "optim.beta1: got 1.0"),
    ("init.std=0", "std: got 0"),
    ("precision=float16", "precision: got 'float16'"),
    ("data.vocab_size=100", "data.vocab_size: got 100"),
    ("steps", "--set", "NAME=VALUE"),
    ("=3", "allowed"),
    ("data=5", "data: got 5"),
    ("model=5", "model: got 5"),
    ("steps.more=5", "steps: got"),
    ("optim.clip.more=5", "optim.clip: got"),
]


@pytest.mark.parametrize(
    "setting, words", [(s, w) for s, *w in SETTINGS], ids=[s[0] for s in SETTINGS]
)
def test_an_impossible_setting_is_one_line(call, setting, words):
    assert_is_one_clear_line(*call("audit", "--set", setting), *words)


def test_two_settings_that_do_not_fit_together_are_one_line(call):
    settings = ("--set", "steps=5", "--set", "steps.more=5")
    assert_is_one_clear_line(*call("audit", *settings), "steps")


@pytest.mark.parametrize("gamma", ["large", "nan", "inf", "1000", "-1000", ""])
def test_an_impossible_gamma_is_one_line(call, gamma):
    assert_is_one_clear_line(*call("audit", f"--gamma={gamma}"), "gamma")


COMMANDS = {
    "no verb": ([], "verb"),
    "an unknown verb": (["trane"], "trane"),
    "an unknown option": (["audit", "--gama", "0.8"], "--gama"),
    "an unknown tier": (["claims", "--tier", "desktop"], "desktop"),
    "an unknown claim": (["claims", "higher-loss"], "higher-loss"),
    "an unknown experiment": (["sweep", "alpha_scaling"], "alpha_scaling"),
    "no experiment": (["sweep"], "experiment"),
    "a worker too few": (["sweep", "lower_loss_width", "--workers", "-1"], "workers"),
    "a budget without a number": (["sweep", "lower_loss_width", "--budget"], "--budget"),
    "no action": (["records"], "action"),
    "an unknown action": (["records", "move", "a"], "move"),
    "no bundle": (["records", "import"], "FILE"),
    "a bundle that is not there": (["records", "import", "nowhere.bundle"], "nowhere.bundle"),
    "two bundles to write": (["records", "export", "a", "b"], "b"),
    "a bundle for no tier": (["records", "import", "a", "--tier", "desktop"], "desktop"),
    "a folder for a bundle": (["records", "export", "."], "folder"),
    "a corpus of no tier": (["data", "prepare", "--tier", "desktop"], "desktop"),
    "a tier and a corpus": (["data", "prepare", "--tier", "gpu", "--corpus", "sotu"], "--tier"),
    "a corpus that is not there": (["data", "prepare", "--corpus", "nowhere.txt"], "nowhere.txt"),
    "a vocabulary too small": (["data", "prepare", "--vocab-size", "7"], "data.vocab_size: got 7"),
    "a vocabulary in words": (["data", "prepare", "--vocab-size", "many"], "many"),
    "a file for a cache": (["data", "prepare", "--to", __file__], "cannot be written"),
}


@pytest.mark.parametrize("arguments, words", COMMANDS.values(), ids=COMMANDS)
def test_an_impossible_command_is_one_line(call, arguments, words, tmp_path, monkeypatch):
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    assert_is_one_clear_line(*call(*arguments), words)


BUDGETS = ["", "0", "0m", "-5", "9 m", "9d", "m", "nan", "inf", "1e3", "1.5.2", "9m30s", "٩m",
           "9" * 400]  # fmt: skip


@pytest.mark.parametrize("text", BUDGETS)
def test_an_impossible_budget_is_one_line(call, small_study, text):
    words = (f"--budget: got {text!r}", "9m")
    assert_is_one_clear_line(*call(*SWEEP, f"--budget={text}"), *words)


TEXTS = {
    "missing": (None, "novel.txt"),
    "empty": (b"", "no text"),
    "blank": (b" \n\n", "no text"),
    "too short": (b"Once upon a time.\n", "too short"),
    "not UTF-8": (b"\xff\xfe" * 5000, "UTF-8"),
}


@pytest.mark.parametrize("content, words", TEXTS.values(), ids=TEXTS)
def test_a_text_that_cannot_be_used_is_one_line(call, tiny_train, novel, content, words):
    novel.unlink()
    if content is not None:
        novel.write_bytes(content)
    assert_is_one_clear_line(*call(*tiny_train), words)


def test_a_folder_without_texts_is_one_line(call, tmp_path, fresh_cache):
    assert_is_one_clear_line(*call("train", "--text", tmp_path), str(tmp_path), "*.txt")


def test_a_store_that_is_a_file_is_one_line(call, tiny_train, novel):
    arguments = [novel if str(a).endswith("records") else a for a in tiny_train]
    assert_is_one_clear_line(*call(*arguments), str(novel))


def test_a_tier_that_gives_an_unknown_parameter_is_refused_in_one_line(
    call, made_up_study, tmp_path
):
    made_up_study(0)
    tier = SMALL_TIER.replace("precision: float32", "precison: float32")
    (tmp_path / "notebooks" / "tiers" / "smoke.yml").write_text(tier)
    code, _, error = call(*SWEEP)
    assert code == 2
    assert error.startswith("error: 02_gamma_scaling: unknown parameter 'precison', allowed are ")
    assert error.count("\n") == 1
