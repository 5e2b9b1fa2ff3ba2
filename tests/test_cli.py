"""The command line: JSON for machines, and for a mistake one line and exit code 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY
from helpers import made_up_record, prose, strict_json

from gammagpt import Record, RunConfig, Store
from gammagpt.claims import load_ledger
from gammagpt.cli import main

VERBS = ("train", "sweep", "claims", "audit", "bench", "doctor")
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


def in_a_process(*arguments):
    command = [sys.executable, "-m", "gammagpt", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    return result.returncode, result.stdout, result.stderr


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
    assert {entry["tier"] for entry in content} == {"laptop"}


def test_claims_in_words_are_one_line_each(call, tmp_path, monkeypatch):
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    code, output, _ = call("claims", "--tier", "gpu")
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()] == [c.id for c in load_ledger()]


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
    code, output, _ = call(verb, "--help")
    assert code == 0 and f"example: python -m gammagpt {verb}" in output and "--json" in output


def test_help_names_every_verb(call):
    code, output, _ = call("--help")
    assert code == 0 and all(verb in output for verb in VERBS)


def test_settings_are_read_as_numbers_words_and_nothing(call, tiny_train):
    options = ("--set", "init.gamma=null", "--set", "init.std=2e-2", "--set", "model.tied=true")
    content = strict_json(call(*tiny_train, *options, "--json")[1])["config"]
    assert content["init"] == {"gamma": None, "std": 0.02, "residual_scaling": False}
    assert content["model"]["tied"] is True
    assert RunConfig.from_dict(content).model.vocab_size == 300


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
    "an unknown experiment": (["sweep", "alpha_scaling"], "alpha_scaling"),
    "no experiment": (["sweep"], "experiment"),
    "a worker too few": (["sweep", "gamma_scaling", "--workers", "-1"], "workers"),
}


@pytest.mark.parametrize("arguments, words", COMMANDS.values(), ids=COMMANDS)
def test_an_impossible_command_is_one_line(call, arguments, words, tmp_path, monkeypatch):
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    assert_is_one_clear_line(*call(*arguments), words)


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
