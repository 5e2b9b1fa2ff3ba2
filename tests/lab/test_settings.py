"""Parameters by name, and settings by what is varied."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from helpers import refusal

from gammagpt import InitConfig, RunConfig, parameters
from gammagpt.lab.settings import Settings, gpt_on_text, on_anchors, over_inits, study

TEXT = SimpleNamespace(
    n_layer=1, n_head=2, width=16, block_size=16, vocab_size=512,
    corpus="sotu", steps=12, batch_size=8, precision="float32",
)
BASE = RunConfig()


# ---- parameters --------------------------------------------------------------------------------


def test_parameters_are_plain_values_under_lowercase_names():
    names = {"width": 64, "tier": "night", "gammas": [0.5], "retrain": False, "nothing": None,
             "In": ["x"], "_1": 2, "study": study, "np": pytest, "TIERS": ["a"]}
    read = vars(parameters(names))
    expected = ("width", "tier", "gammas", "retrain", "nothing")
    assert read == {name: names[name] for name in expected}


def test_lists_may_be_text_and_hold_numbers_of_their_kind():
    read = parameters({"emb_gammas": "[1, 0.5]", "tuning_seeds": "[3]", "copy_layers": "[10]",
                       "keys": "21..60", "steps": 10, "norm_eps": 1e-5})
    assert (read.emb_gammas, read.tuning_seeds, read.copy_layers) == ([1.0, 0.5], [3], [10])
    assert type(read.emb_gammas[0]) is float and (read.keys, read.steps) == ("21..60", 10)


@pytest.mark.parametrize(
    "name, value",
    [("ring_gammas", 0.5), ("curve_warmups", []), ("slow_tuning_seeds", []), ("widths", [64.5]),
     ("epsilons", "1e-5"), ("depths", [1, 1]), ("copy_layers", None), ("epsilons", "none"),
     ("gammas", [0.3, 0.1 + 0.2]), ("warmups", [0.25, 0.2500001])],
)
def test_a_list_of_anything_else_is_refused_by_its_name(name, value):
    message = refusal(parameters, {name: value})
    assert message.startswith(f"{name}: got {value!r}, allowed is a list of distinct numbers")


def test_some_lists_may_be_empty():
    names = ("fixed_stds", "wide_learning_rates", "seeds", "wide_seeds", "warmups")
    assert vars(parameters(dict.fromkeys(names, []))) == dict.fromkeys(names, [])


# ---- settings ----------------------------------------------------------------------------------


def test_starts_are_named_by_their_initialization_gammas_first():
    made = over_inits(BASE, InitConfig(None, 0.02), gammas=[1, 0.5])
    assert list(made) == ["gamma 1", "gamma 0.5", "std 0.02"]
    assert made["std 0.02"] == replace(BASE, init=InitConfig(None, 0.02))


@pytest.mark.parametrize(
    "part, field, values, words",
    [
        ("model", "width", [32, 64], ["width 32", "width 64"]),
        ("model", "n_layer", [3], ["layers 3"]), ("model", "norm_eps", [1e-12], ["eps 1e-12"]),
        ("optim", "warmup", [0.3], ["warm-up 0.3"]), (None, "steps", [10, 20],
        ["10 steps", "20 steps"]), ("optim", "weight_decay", [0.0], ["decay 0"]),
    ],
)
def test_a_field_that_is_varied_is_in_the_name_and_nothing_else_changes(part, field, values, words):
    made = over_inits(BASE, gammas=[0.5, 0.8]).over(part, **{field: values})
    assert list(made) == [f"gamma {g}, {w}" for w in words for g in (0.5, 0.8)]
    for config, value in zip(list(made.values())[::2], values, strict=True):
        place = getattr(config, part) if part else config
        assert getattr(place, field) == value
        plain = getattr(getattr(BASE, part) if part else BASE, field)
        back = replace(place, **{field: plain})
        back = replace(config, **{part: back}) if part else back
        assert replace(back, init=BASE.init) == BASE


def test_several_fields_at_once_have_words_of_their_own():
    ways = {"": {}, ", small": {"norm_eps": 1e-12, "gate": True}}
    small = replace(BASE, model=replace(BASE.model, **ways[", small"]))
    assert Settings(a=BASE).over("model", ways) == {"a": BASE, "a, small": small}


def test_what_is_set_for_all_is_in_no_name():
    made = Settings(a=BASE).set("optim", learning_rate=0.5).set(steps=7)
    assert list(made) == ["a"] and (made["a"].optim.learning_rate, made["a"].steps) == (0.5, 7)


# ---- runs and studies --------------------------------------------------------------------------


def test_no_count_of_a_probe_is_finer_than_the_run_is_long():
    short, long = gpt_on_text(TEXT, losses=50, sinks=9), gpt_on_text(TEXT, steps=400, losses=50)
    assert (short.probes.losses, short.probes.sinks) == (2 + 12 // 4, 9)
    assert (long.probes.losses, long.steps) == (50, 400)


def test_text_is_pinned_and_has_the_sizes_of_the_page():
    run = gpt_on_text(TEXT)
    assert run.data == run.data.pinned() and run.data.fingerprint
    assert (run.model.width, run.model.vocab_size, run.data.vocab_size) == (16, 512, 512)
    assert (run.optim.learning_rate, run.batch_size) == (0.002, 8)


def test_an_emb_mlp_sees_key_and_anchors_unless_the_data_say_more():
    p = SimpleNamespace(keys="21..30", anchors=2, precision="float32", tuning_seeds=[9])
    shape = {"kind": "emb_mlp", "width": 8, "hidden": 8}
    tasks = {"tasks": "memory 1..4 random", "vocab_size": 61}
    rest = {"gammas": [0.5], "rates": [0.1, 0.01], "rate": 0.1, "steps": 5, "batch_size": 4}
    made = on_anchors(p, shape, tasks, **rest, seeds=[0])
    assert (made.base.data.length, made.base.data.samples, made.base.data.held_out) == (3, 0, "")
    assert made.learning_rates == (0.01, 0.1) and made.base.model.block_size == 3


def test_what_a_page_says_of_its_data_is_refused_by_that_name():
    p = SimpleNamespace(keys="21..30", anchors=-1, precision="float32", tuning_seeds=[9])
    rest = {"gammas": [0.5], "rates": [], "rate": 0.1, "steps": 5, "batch_size": 4, "seeds": [0]}
    data = {"tasks": "memory 1..4 random", "vocab_size": 61}
    assert refusal(on_anchors, p, {}, data, **rest).startswith("data.anchors: got -1, allowed is 1")


def test_no_initialization_is_lost_because_another_has_its_name():
    wanted = "gammas: got ['gamma 0.5', 'gamma 0.5'], allowed are initializations that differ"
    assert refusal(over_inits, BASE, gammas=[0.5, 0.5 + 1e-9]) == wanted


def test_without_seeds_no_study_is_planned():
    settings = over_inits(BASE, gammas=[0.5])
    assert refusal(study, settings, [0.1], [1], []).startswith("seeds: got []")
