"""The table of probes: all that a ProbeConfig can ask for, and what happens without a row."""

import subprocess
import sys
from dataclasses import replace

import pytest
from helpers import refusal

from gammagpt import ProbeConfig
from gammagpt.gpt import train as loop
from gammagpt.lab.training import train, train_stack
from gammagpt.probes.table import PROBES


def test_every_probe_that_can_be_asked_for_has_a_row_and_a_time():
    assert set(PROBES) == set(ProbeConfig.OPTIONAL)
    assert {when for when, _ in PROBES.values()} == {"along", "end"}


def test_a_probe_without_a_row_is_refused_in_one_line(tiny):
    message = refusal(loop.train, tiny)
    assert message.startswith("probes.spectra: got 3, allowed is 0")


def test_the_loop_alone_trains_what_asks_for_no_probe(tiny):
    bare = replace(tiny, probes=replace(tiny.probes, spectra=0))
    record = loop.train(bare)
    assert record.status == "ok" and record.probes == []
    assert record.curves == train(bare).curves


@pytest.mark.parametrize("last", [{}, {"tokens": 2}, {"sinks": 2}, {"tokens": 2, "sinks": 2}])
def test_each_probe_is_recorded_when_it_is_due(tiny, last):
    asked = replace(tiny, probes=replace(tiny.probes, spectra=3, neurons=2, **last))
    for record in [train(asked), *train_stack([asked, replace(asked, seed=1)])]:
        assert {"tensors", "neurons", *last} == set(record.probes[-1]) - {"step"}
        assert set(record.probes[0]) == {"step", "tensors", "neurons"}
        assert [found["step"] for found in record.probes] == sorted({0, 1, asked.steps})


def test_a_row_of_ones_own_is_measured_on_the_plain_model(tiny):
    table = PROBES | {"spectra": ("along", lambda model, config: {"seed": config.seed})}
    record = loop.train(tiny, probes=table)
    assert {found["tensors"]["seed"] for found in record.probes} == {tiny.seed}


def test_what_is_not_finite_ends_the_run(tiny):
    table = {"spectra": ("along", lambda model, config: {"norm": float("nan")})}
    assert loop.train(tiny, probes=table).diverged_at == 0


def test_the_loop_needs_no_probe_to_be_imported():
    code = "import sys, gammagpt.gpt.train; print([m for m in sys.modules if 'probes' in m])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
