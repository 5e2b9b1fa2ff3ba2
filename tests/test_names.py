"""What fits nothing is refused by its name, before any work: parameters, settings, variables."""

import subprocess
import sys
from pathlib import Path

import papermill
import pytest
from helpers import made_up_record, refusal
from hypothesis import assume, given
from hypothesis import strategies as st

from gammagpt import DataConfig, Store, parameters, project
from gammagpt.ledger.claims import load_ledger
from gammagpt.registry.studies import study, verdicts

ROOT = project.root()
CELL = 'tier = "night"  # which records\nretrain = False\nsteps = 400\nrate = 0.004\ngammas = [0.5]'
DEFAULTS = {"tier": "night", "retrain": False, "steps": 400, "rate": 0.004, "gammas": [0.5]}


def page(**given) -> dict:
    """What a kernel knows after a notebook's parameters cell, and papermill's after it."""
    told = "# Parameters\n" + "".join(f"{name} = {value!r}\n" for name, value in given.items())
    return {"In": ["", "import os", CELL, told]} | DEFAULTS | given


# ---- parameters of a notebook -------------------------------------------------------------------


def test_what_papermill_is_given_is_read():
    given = {"retrain": True, "steps": 2, "rate": 1, "gammas": "[0.8]"}
    assert vars(parameters(page(**given))) == DEFAULTS | given | {"gammas": [0.8]}
    assert vars(parameters(page())) == DEFAULTS


@pytest.mark.parametrize(
    "name, value", [("retrain", "false"), ("retrain", 0), ("steps", 20.0), ("steps", "20"),
                    ("rate", "fast"), ("tier", 3), ("gammas", 0.5), ("steps", None)],
)
def test_a_parameter_of_another_kind_is_refused(name, value):
    message = refusal(parameters, page(**{name: value}))
    assert message.startswith(f"{name}: got {value!r}, allowed is a ")


@given(st.from_regex(r"[a-z][a-z_]{0,9}", fullmatch=True))
def test_a_misspelt_parameter_is_refused(name):
    assume(name not in DEFAULTS)
    message = refusal(parameters, page(**{name: 1}))
    assert message == f"{name}: unknown parameter, allowed are {', '.join(DEFAULTS)}"


@pytest.mark.parametrize(
    "parameter, words",
    [({"retain": True}, "retain: unknown parameter"), ({"retrain": "false"}, "got 'false'")],
)
def test_plain_papermill_ends_with_the_line_before_anything_is_trained(parameter, words, tmp_path):
    with pytest.raises(papermill.PapermillExecutionError) as error:
        papermill.execute_notebook(
            str(ROOT / "notebooks" / "01_gamma.ipynb"), str(tmp_path / "out.ipynb"),
            parameters={"tier": "smoke"} | parameter, kernel_name="python3", progress_bar=False,
        )
    assert error.value.ename == "UserError" and words in error.value.evalue
    assert error.value.exec_count < 6


# ---- settings, metrics, variables ---------------------------------------------------------------


def test_a_setting_that_a_study_has_not_is_refused():
    asked = study("lower_loss_width", "smoke")
    [first, *_] = asked.settings
    assert list(asked.only([first]).settings) == [first]
    assert refusal(asked.only, ["gama 0.8"]).startswith("setting: got 'gama 0.8', allowed are gamm")


def test_a_misspelt_metric_is_refused_and_one_that_no_run_could_reach_is_not(tmp_path):
    from dataclasses import replace

    real = next(c for c in load_ledger() if c.experiment == "lower_loss_width")
    tier = real.tiers[0]
    claim = replace(real, metric="los")
    assert verdicts(tier, tmp_path, [claim])  # without a run nothing is known of its columns
    asked, store = study("lower_loss_width", tier), Store(tmp_path)
    for stage in (asked.tuning, lambda: asked.at_best_rate(asked.best_rates(asked.collect(store)))):
        for n, config in enumerate(stage()):
            store.put(made_up_record(config, 4 + n / 1000))
    assert verdicts(tier, tmp_path, [real])
    message = refusal(verdicts, tier, tmp_path, [claim])
    assert message.startswith(f"claim {claim.id}: metric: got 'los'") and "like loss" in message


def test_a_variable_that_means_nothing_is_refused(monkeypatch):
    monkeypatch.setenv("GAMMAGPT_RESULT", "mine")
    message = refusal(project.results_folder, "smoke")
    assert message.startswith("GAMMAGPT_RESULT: unknown, allowed are GAMMAGPT_ with ROOT, CACHE")


def test_an_empty_text_is_not_the_default_text():
    assert refusal(DataConfig, "").startswith("data.corpus: got '', allowed is a name")


@pytest.mark.parametrize("arguments", [["--text", ""], ["--store", ""], ["--gam", "0.8"]], ids=str)
def test_an_empty_or_shortened_argument_is_refused(arguments, capsys):
    from gammagpt.cli import main

    try:
        code = main(["train", *arguments])
    except SystemExit as stop:
        code = stop.code
    errors = capsys.readouterr().err
    assert code == 2 and errors.startswith("error: ") and errors.count("\n") == 1


# ---- one folder, wherever one stands ------------------------------------------------------------

FOLDERS = "from gammagpt.project import *; print(results_folder('smoke'), cache_folder(), sep='|')"


def folders(stands: Path, **variables) -> subprocess.CompletedProcess:
    import os

    environment = os.environ | {f"GAMMAGPT_{name}": value for name, value in variables.items()}
    return subprocess.run([sys.executable, "-c", FOLDERS], cwd=stands, env=environment,
                          capture_output=True, text=True)


@pytest.mark.parametrize("stands", [ROOT, ROOT / "notebooks", Path("/")], ids=str)
def test_a_relative_folder_is_in_the_checkout_wherever_one_stands(stands):
    found = folders(stands, RESULTS="mine", CACHE="~/its cache")
    assert found.stdout == f"{ROOT}/mine/smoke|{Path.home()}/its cache\n", found.stderr


def test_a_relative_root_is_refused_since_it_is_another_one_elsewhere():
    lines = folders(ROOT, ROOT="..").stderr.strip().splitlines()
    assert lines[-1].endswith("GAMMAGPT_ROOT: got '..', allowed is a whole path, or ~/...")


def test_a_home_is_a_home_also_where_no_shell_has_seen_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Store("~/x").folder == tmp_path / "x"
    assert refusal(Store, "~nobody-of-this-name/x").startswith("path: got '~nobody-of")
    assert refusal(Store, "n" * 300).endswith("nnn', which cannot be used (File name too long)")
    assert refusal(Store, "a\0b").startswith("path: got 'a\\x00b', allowed is")
