"""A run's numbers and its key depend on nothing but its configuration, however that is made."""

from contextlib import contextmanager
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from helpers import refusal
from hypothesis import given
from hypothesis import strategies as st

from gammagpt import (
    DataConfig,
    GPTConfig,
    InitConfig,
    OptimConfig,
    ProbeConfig,
    RunConfig,
    Store,
    UserError,
    audit_init,
    sweep,
    train,
)
from gammagpt.data import AnchorConfig
from gammagpt.gpt.emb_mlp import EmbMLPConfig
from gammagpt.gpt.engine import audit, build_model

CONFIGS = (RunConfig, GPTConfig, EmbMLPConfig, InitConfig, OptimConfig, DataConfig, AnchorConfig,
           ProbeConfig)


@contextmanager
def switched(set_value, value, usual):
    set_value(value)
    try:
        yield
    finally:
        set_value(usual)


def dtype(value):
    return switched(torch.set_default_dtype, value, torch.float32)


SWITCHES = {  # what a script may have done before it asks for a run
    "float64": lambda: dtype(torch.float64),
    "bfloat16": lambda: dtype(torch.bfloat16),
    "a default device": lambda: switched(torch.set_default_device, "meta", None),
    "a device's block": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "fast products": lambda: switched(torch.set_float32_matmul_precision, "medium", "highest"),
}


@pytest.fixture(scope="module")
def plain():
    """plain(config): what came out of it with nothing switched; trained once."""
    known = {}

    def outcome(config):
        if config not in known:
            known[config] = train(config)
        record = known[config]
        return record.curves, record.probes, record.final

    return outcome


@pytest.mark.parametrize("switch", SWITCHES)
def test_what_a_script_switched_on_in_torch_changes_no_number(tiny, switch, plain, tmp_path):
    with SWITCHES[switch]():
        before = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_default_device()
        [record] = sweep([tiny], Store(tmp_path), workers=1)
        assert audit(tiny).ok.all()
        now = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_default_device()
        assert now == before  # the script's own are as they were
    assert (record.curves, record.probes, record.final) == plain(tiny)


def test_a_refusal_leaves_the_scripts_switches_as_they_were(tiny):
    with dtype(torch.float64):
        refusal(train, tiny, device="mps")
        assert torch.get_default_dtype() == torch.float64
        assert build_model(tiny).head.weight.dtype == torch.float32


# ---- numbers at the Python door -----------------------------------------------------------------


@pytest.mark.parametrize("number", [20, np.int64(20), np.uint8(20), np.arange(30)[20]])
def test_a_whole_number_of_numpy_is_that_number(tiny, number):
    run = replace(tiny, steps=number)
    assert type(run.steps) is int and run.key == replace(tiny, steps=20).key


@pytest.mark.parametrize("number", [0.8, np.float64(0.8), np.float32(0.8), np.float16(0.8)])
def test_a_number_of_numpy_is_the_one_that_it_prints(tiny, number):
    run = replace(tiny, init=InitConfig(gamma=number))
    assert type(run.init.gamma) is float and run.init.gamma == 0.8
    assert run.key == replace(tiny, init=InitConfig(gamma=0.8)).key
    assert run.init.label == "gamma 0.8"


def test_no_key_depends_on_what_was_asked_for_before(tiny):
    """-0.0 == 0.0, and what is equal shares a cache."""
    runs = [replace(tiny, init=InitConfig(gamma=zero)) for zero in (0.0, -0.0, 0)]
    assert {(run.key, run.init.label, str(run.init.gamma)) for run in runs} == {
        (runs[0].key, "gamma 0", "0.0")
    }


BAD = [
    ({"steps": 40 / 2}, "steps: got 20.0, allowed is a whole number"),
    ({"steps": "20"}, "steps: got '20', allowed is a whole number"),
    ({"steps": None}, "steps: got None, allowed is a whole number"),
    ({"steps": np.bool_(True)}, "steps: got True, allowed is a whole number"),
    ({"seed": 0.5}, "seed: got 0.5, allowed is a whole number"),
    ({"seed": np.arange(1)}, "seed: got array([0]), allowed is a whole number"),
    ({"seed": torch.tensor(0)}, "seed: got tensor(0), allowed is a whole number"),
    ({"init": None}, "init: got None, expected a mapping"),
    ({"model": 3}, "model: got 3, expected a mapping"),
    ({"model": {"kind": ["gpt"]}}, "model.kind: got ['gpt'], allowed are gpt, emb_mlp"),
    ({"data": {"corpus": None}}, "data.corpus: got None, allowed is text"),
    ({"optim": {"warmup": 10**400}}, "optim.warmup: got inf, allowed is a finite number"),
    ({"steps": 10**5000}, "steps: got inf, allowed is a whole number"),
    ({"seed": np.eye(9)}, "seed: got array([[1., 0., "),
    ({"probes": {"OPTIONAL": 1}}, "probes.OPTIONAL: unknown, allowed are losses"),
]


@pytest.mark.parametrize("given_fields, words", BAD, ids=[words for _, words in BAD])
def test_what_is_no_plain_value_is_refused_in_one_line(given_fields, words):
    assert refusal(RunConfig, **given_fields).startswith(words)


def test_each_part_is_held_to_its_types_before_it_is_part_of_a_run():
    assert refusal(InitConfig, gamma=0.5, parts=None) == "init.parts: got None, allowed is text"
    assert refusal(GPTConfig, kind="emb_mlp") == "model.kind: got 'emb_mlp', allowed are gpt"
    assert refusal(OptimConfig, learning_rate="1e-3").startswith("optim.learning_rate: got '1e-3'")


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(),
    st.just(10**5000), st.lists(st.integers(), max_size=2), st.builds(complex), st.builds(object),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
    st.sampled_from([np.float32(0.5), np.int8(3), np.bool_(True), np.str_("a"), np.zeros((9, 9)),
                     np.datetime64("2020"), torch.ones(()), Ellipsis, float("nan"), InitConfig]),
)


@given(st.sampled_from(CONFIGS), st.data())
def test_whatever_a_field_is_given_it_is_a_plain_value_or_one_clear_line(cls, data):
    field = data.draw(st.sampled_from(fields(cls)))
    value = data.draw(anything)
    whole = {"gamma": 0.5} if cls is InitConfig and field.name not in ("gamma", "std") else {}
    try:
        config = cls(**whole | {field.name: value})
    except UserError as error:
        assert str(error) and len(str(error).splitlines()) == 1
        return
    kept = getattr(config, field.name)
    assert type(kept) in (int, float, bool, str, type(None)) or type(kept) in CONFIGS
    assert kept == value or kept == pytest.approx(float(value), rel=1e-3)
    assert replace(config) == config


def test_audit_of_a_float64_script_reads_the_rule_of_the_run(tiny):
    with dtype(torch.float64):
        model = build_model(tiny)
    assert audit_init(model, gamma=0.5).ok.all()
