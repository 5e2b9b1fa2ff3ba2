"""Keys that hold, records that survive, and a store that notices every kind of damage."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from helpers import made_up_record, refusal, small_anchor_run, strict_json

from gammagpt import InitConfig, OptimConfig, Record, RunConfig, Store
from gammagpt.project import root

# What a run is when nothing is said. A new field may be added with a default that changes nothing;
# a default that changes makes all old records answer another question: raise SEMANTICS then.
DEFAULTS = {
    "model": {
        "vocab_size": 1024, "block_size": 64, "n_layer": 2, "n_head": 2, "width": 64, "hidden": 0,
        "norm_eps": 1e-5, "gate": False, "tied": False, "rope_base": 10000.0, "kind": "gpt",
        "positions": "rotary",
    },
    "init": {"gamma": 0.5, "std": None, "residual_scaling": False},
    "optim": {
        "learning_rate": 2e-3, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95, "clip": 1.0,
        "warmup": 0.1, "final_ratio": 0.1,
    },
    "data": {"corpus": "sotu", "vocab_size": 1024, "fingerprint": "", "kind": "text"},
    "probes": {"losses": 12, "windows": 64, "final_windows": 512, "spectra": 0, "geometry": 0},
    "steps": 400, "batch_size": 32, "seed": 0, "precision": "float32",
}


ANCHORS = {kind: small_anchor_run(kind) for kind in ("emb_mlp", "gpt")}


def seeds(config, *numbers) -> list[RunConfig]:
    return [RunConfig.from_dict(config.to_dict() | {"seed": seed}) for seed in numbers]


def everything_in(folder) -> dict[int, float]:
    """{seed: loss} of all records of a folder, none of which may be damaged."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return {r.config.seed: r.final["validation_loss"] for r in Store(folder)}


# ---- configuration and key ---------------------------------------------------------------------


def test_no_default_has_changed():
    now = RunConfig().to_dict()
    flat = {name: now[name] | value if isinstance(value, dict) else value
            for name, value in DEFAULTS.items()}
    assert now | flat == now


def test_the_key_of_the_default_run_is_the_one_of_all_records_so_far():
    """A guard: another key here means that no committed record will be found any more."""
    assert RunConfig().key == "08857bb6752b7699"
    assert RunConfig(init=InitConfig(gamma=0.8), seed=1).key == "e86b925b55d96f13"


def test_the_keys_of_runs_on_anchors_are_those_of_all_records_so_far():
    """The same guard for the second paper's runs."""
    assert ANCHORS["emb_mlp"].key == "910d994727b32150"
    assert ANCHORS["gpt"].key == "5b253294778afd53"


def test_every_committed_record_has_the_key_that_is_its_name():
    """The guard on all of them: what is read here is what the pages are made of."""
    names = {}
    for path in sorted((root() / "results").glob("*/*.json")):
        names[path.stem] = Record.from_json(path.read_text(encoding="utf-8")).key
    assert names == {name: name for name in names} and names


def test_the_key_does_not_depend_on_the_order_of_the_mapping():
    mapping = RunConfig(init=InitConfig(std=0.02), seed=3).to_dict()
    backwards = {
        name: dict(reversed(value.items())) if isinstance(value, dict) else value
        for name, value in reversed(mapping.items())
    }
    assert RunConfig.from_dict(backwards).key == RunConfig.from_dict(mapping).key


CHANGES = [
    {"steps": 13}, {"batch_size": 9}, {"seed": 1}, {"precision": "bfloat16"},
    *({"model": {name: value}} for name, value in {
        "block_size": 8, "n_layer": 2, "n_head": 1, "width": 32, "hidden": 8, "norm_eps": 0.0,
        "gate": True, "tied": True, "rope_base": 100.0, "positions": "learned",
    }.items()),
    {"init": {"gamma": 0.6}}, {"init": {"residual_scaling": True}},
    {"init": {"depth_scaling": True}},
    {"init": {"gamma": None, "std": 0.5}},
    *({"optim": {name: 0.03}} for name in DEFAULTS["optim"]),
    *({"probes": {name: 5}} for name in DEFAULTS["probes"]),
]


def test_every_field_changes_the_key(tiny):
    base, keys = tiny.to_dict(), {tiny.key}
    for change in CHANGES:
        nested = {name: base[name] | value if isinstance(value, dict) else value
                  for name, value in change.items()}
        key = RunConfig.from_dict(base | nested).key
        assert key not in keys, change
        keys.add(key)


ANCHOR_CHANGES = {
    "emb_mlp": [{"model": {"width": 33}}, {"model": {"hidden": 49}},
                {"model": {"activation": "relu"}}],
    "gpt": [{"model": {"positions": "rotary"}}, {"data": {"samples": 0}}],
}


@pytest.mark.parametrize("kind", ANCHOR_CHANGES)
def test_every_field_of_a_run_on_anchors_changes_the_key(kind):
    base = ANCHORS[kind].to_dict()
    both = [{"data": {"keys": "21..31"}}, {"data": {"held_out": ""}}, {"seed": 1}, {"steps": 13},
            {"probes": {"geometry": 1}}, {"init": {"gamma": 0.6}}]
    keys = {ANCHORS[kind].key}
    for change in both + ANCHOR_CHANGES[kind]:
        nested = {name: base[name] | value if isinstance(value, dict) else value
                  for name, value in change.items()}
        keys.add(RunConfig.from_dict(base | nested).key)
    assert len(keys) == 1 + len(both) + len(ANCHOR_CHANGES[kind])


def test_of_the_data_only_the_fingerprint_is_in_the_key(tiny, tmp_path):
    moved = tiny.to_dict()
    moved["data"] = moved["data"] | {"corpus": str(tmp_path)}
    assert RunConfig.from_dict(moved).key == tiny.key
    moved["data"]["fingerprint"] = "0" * 64
    assert RunConfig.from_dict(moved).key != tiny.key


@pytest.mark.parametrize("gamma", [1, 1.0])
def test_a_whole_number_may_stand_for_a_float(gamma):
    config = RunConfig.from_dict({"init": {"gamma": gamma}, "optim": {"weight_decay": 0}})
    assert (
        config.key == RunConfig(init=InitConfig(gamma=1.0), optim=OptimConfig(weight_decay=0.0)).key
    )


def test_a_whole_number_may_stand_for_a_float_in_python_too(tiny, tmp_path):
    whole = RunConfig(init=InitConfig(gamma=1), data=tiny.data, model=tiny.model)
    point = RunConfig(init=InitConfig(gamma=1.0), data=tiny.data, model=tiny.model)
    assert whole.key == point.key
    Store(tmp_path).put(made_up_record(whole, 3.0))
    assert everything_in(tmp_path) == {0: 3.0}


BAD = [
    ({"stepz": 3}, "stepz: unknown, allowed are model, init"),
    ({"optim": {"learning_rat": 0.1}}, "optim.learning_rat: unknown, allowed are learning_rate"),
    ({"model": {"dropout": 0.1}}, "model.dropout: unknown"),
    ({"optim": {"learning_rate": "0.1"}}, "optim.learning_rate: got '0.1', allowed is"),
    ({"optim": {"learning_rate": float("nan")}}, "optim.learning_rate: got nan, allowed is"),
    ({"optim": {"clip": float("inf")}}, "optim.clip: got inf, allowed is"),
    ({"optim": {"clip": None}}, "optim.clip: got None, allowed is"),
    ({"steps": True}, "steps: got True, allowed is"),
    ({"steps": 10.0}, "steps: got 10.0, allowed is"),
    ({"steps": 0}, "steps: got 0, allowed is 1 to 100000000"),
    ({"batch_size": -1}, "batch_size: got -1, allowed is 1 to 1000000"),
    ({"seed": -1}, "seed: got -1, allowed is 0 or more"),
    ({"model": {"gate": 1}}, "model.gate: got 1, allowed is"),
    ({"model": {"norm_eps": float("nan")}}, "model.norm_eps: got nan, allowed is"),
    ({"init": {}}, "gamma, std: give exactly one"),
    ({"init": {"gamma": 0.5, "std": 0.1}}, "gamma, std: give exactly one"),
    ({"init": {"gamma": False}}, "init.gamma: got False, allowed is"),
    ({"precision": "float8"}, "precision: got 'float8', allowed are float32, bfloat16"),
    ({"data": {"corpus": 3}}, "data.corpus: got 3, allowed is"),
    ({"data": {"vocab_size": 512}}, "data.vocab_size: got 512, allowed is model.vocab_size = 1024"),
    ({"model": [1]}, "model: got [1], expected a mapping"),
    ({"model": {"kind": "rnn"}}, "model.kind: got 'rnn', allowed are gpt, emb_mlp"),
    ({"data": {"kind": "images"}}, "data.kind: got 'images', allowed are text, anchors"),
    ({"model": {"kind": "emb_mlp", "vocab_size": 1024}}, "model.kind: got 'emb_mlp', allowed is"),
    ({"model": {"kind": "emb_mlp", "n_layer": 2}}, "model.n_layer: unknown, allowed are kind"),
    (
        {"model": {"vocab_size": 201}, "data": {"kind": "anchors"}},
        "model.block_size: got 64, allowed is data.length = 9",
    ),
    ({"data": {"kind": "anchors", "corpus": "sotu"}}, "data.corpus: unknown, allowed are kind"),
    ({"probes": {"geometry": -1}}, "probes.geometry: got -1, allowed is 0 to 1000000"),
    ([], "config: got [], expected a mapping"),
    ({"seed": 2**70}, f"seed: got {2**70}, allowed is a whole number below 2^63"),
    ({"batch_size": 10**9}, "batch_size: got 1000000000, allowed is 1 to 1000000"),
    ({"steps": 10**12}, "steps: got 1000000000000, allowed is 1 to 100000000"),
    ({"model": {"n_layer": 10**9}}, "model.n_layer: got 1000000000, allowed is 1 to 1024"),
    ({"model": {"width": 10**9}}, "model.width: got 1000000000, allowed is 1 to 262144"),
    ({"model": {"hidden": 10**9}}, "model.hidden: got 1000000000, allowed is 0 to 262144"),
    ({"model": {"block_size": 10**9}}, "model.block_size: got 1000000000, allowed is 1 to 262144"),
    ({"model": {"kind": "emb_mlp", "width": 10**9}}, "model.width: got 1000000000, allowed is 1"),
    ({"probes": {"windows": 10**9}}, "probes.windows: got 1000000000, allowed is 1 to 1000000"),
]


@pytest.mark.parametrize("mapping, words", BAD, ids=[words for _, words in BAD])
def test_what_does_not_fit_is_refused_by_name_and_value(mapping, words):
    assert refusal(RunConfig.from_dict, mapping).startswith(words)


@pytest.mark.parametrize("kind", ["emb_mlp", "gpt"])
def test_a_run_on_anchors_comes_back_from_its_mapping_and_its_record(kind, tmp_path):
    config = ANCHORS[kind].pinned()
    assert RunConfig.from_dict(config.to_dict()) == config == config.pinned()
    record = made_up_record(config, 3.0)
    Store(tmp_path).put(record)
    assert Store(tmp_path).get(ANCHORS[kind]) == record and type(config.model).kind == kind


def test_a_configuration_comes_back_from_its_mapping(tiny):
    assert RunConfig.from_dict(tiny.to_dict()) == tiny
    assert RunConfig.from_dict(json.loads(json.dumps(tiny.to_dict()))).key == tiny.key


# ---- records -----------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [3.25, None])
def test_a_record_comes_back_from_its_strict_json(tiny, loss):
    probes = [{"step": 0, "tensors": {"head.weight": {"stable_rank": 1 / 3}}}]
    record = made_up_record(tiny, loss, probes=probes, rules={"a": "b"})
    content = strict_json(record.to_json())
    assert (content["key"], content["final"]["validation_loss"]) == (tiny.key, loss)
    assert Record.from_json(record.to_json()) == record


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_record_with_a_number_that_json_lacks_is_never_written(tiny, tmp_path, value):
    with pytest.raises(ValueError):
        Store(tmp_path / "new").put(made_up_record(tiny, value))
    assert list(Store(tmp_path / "new")) == []


# ---- the store ---------------------------------------------------------------------------------


def test_what_is_put_is_what_is_got(tiny, tmp_path):
    store, (one, other) = Store(tmp_path / "not" / "yet"), seeds(tiny, 1, 2)
    assert store.get(one) is None and list(store) == []
    path = store.put(made_up_record(one, 3.0))
    assert path.name == f"{one.key}.json"
    assert store.get(one) == made_up_record(one, 3.0) and store.get(other) is None
    store.put(made_up_record(one, 2.0))
    assert [record.final["validation_loss"] for record in store] == [2.0]


def truncate(path, other):
    path.write_bytes(path.read_bytes()[:-200])


def edit_a_number(path, other):
    path.write_text(path.read_text().replace('"validation_loss":3.0', '"validation_loss":2.0'))


def edit_the_configuration(path, other):
    path.write_text(path.read_text().replace('"seed":1', '"seed":2'))


def rename_another(path, other):
    other.rename(path)


def empty(path, other):
    path.write_text("")


def fill_with_rubbish(path, other):
    path.write_bytes(bytes(range(256)) * 3)


def write_other_json(path, other):
    path.write_text("[1, 2]")


DAMAGES = [
    truncate, edit_a_number, edit_the_configuration, rename_another, empty, fill_with_rubbish,
    write_other_json,
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("read", ["get", "iterate"])
def test_damage_is_named_set_aside_and_never_used(tiny, tmp_path, damage, read):
    store, (config, another) = Store(tmp_path), seeds(tiny, 1, 2)
    path, other = store.put(made_up_record(config, 3.0)), store.put(made_up_record(another, 4.0))
    whole = path.read_bytes()
    damage(path, other)
    damaged = path.read_bytes()
    assert damaged != whole
    with pytest.warns(UserWarning, match=path.name):
        found = store.get(config) if read == "get" else [r for r in store if r.key == config.key]
    assert not found and not path.exists()
    aside = [file for file in tmp_path.iterdir() if file.suffix != ".json"]
    assert [file.read_bytes() for file in aside] == [damaged]
    assert aside[0].name.startswith(path.name)
    store.put(made_up_record(config, 3.0))
    assert path.read_bytes() == whole and 1 in everything_in(tmp_path)


def test_a_second_damaged_file_does_not_replace_the_first(tiny, tmp_path):
    store, path = Store(tmp_path), Store(tmp_path).path(tiny.key)
    for content in ("first damage", "second damage"):
        path.write_text(content)
        with pytest.warns(UserWarning):
            store.get(tiny)
    assert {file.read_text() for file in tmp_path.iterdir()} == {"first damage", "second damage"}


def test_other_files_in_the_folder_are_left_alone(tiny, tmp_path):
    Store(tmp_path).put(made_up_record(tiny, 3.0))
    (tmp_path / ".half-written.tmp").write_text('{"key": ')
    (tmp_path / "README.md").write_text("records")
    assert everything_in(tmp_path) == {0: 3.0}
    assert len(list(tmp_path.iterdir())) == 3


def test_everyone_may_read_a_record(tiny, tmp_path):
    assert Store(tmp_path).put(made_up_record(tiny, 3.0)).stat().st_mode & 0o777 == 0o644


# ---- several processes, and kill -9 ------------------------------------------------------------

WRITER = """
import sys
from helpers import made_up_record
from gammagpt import RunConfig, Store
from test_config import seeds

folder, data, first, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
base = RunConfig.from_dict({"data": {"fingerprint": data}})
print(RunConfig.from_dict({"seed": 7, "init": {"std": 0.02}}).key, flush=True)
long = [{"step": i, "tensors": {"w": {"stable_rank": 1 / (i + 1)}}} for i in range(1000)]
for round in range(int(sys.argv[5])):
    for config in seeds(base, *range(first, last)):
        Store(folder).put(made_up_record(config, config.seed / 8, probes=long))
"""


def start_writer(folder, data, first, last, rounds, hash_seed="0"):
    command = [sys.executable, "-c", WRITER, *map(str, (folder, data, first, last, rounds))]
    folders = [*map(str, Path(__file__).resolve().parents[:2]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(folders)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.fixture(scope="module")
def two_writers(tmp_path_factory):
    """(folder, first lines) of two processes that wrote at once, ten of the records both."""
    folder = tmp_path_factory.mktemp("records")
    both = [start_writer(folder, "f" * 64, i, i + 20, 2, str(i + 1)) for i in (0, 10)]
    return folder, [process.communicate()[0].strip() for process in both]


def test_two_processes_writing_at_once_leave_whole_records(two_writers):
    folder, _ = two_writers
    assert everything_in(folder) == {seed: seed / 8 for seed in range(30)}
    assert len(list(folder.iterdir())) == 30


def test_the_key_is_the_same_in_every_process(two_writers):
    here = RunConfig(init=InitConfig(std=0.02), seed=7).key
    assert two_writers[1] == [here, here]


def test_kill_9_in_the_middle_of_writing_leaves_only_whole_records(tmp_path):
    writer = start_writer(tmp_path, "f" * 64, 0, 10, 10**6)
    writer.stdout.readline()
    time.sleep(0.5)
    writer.send_signal(signal.SIGKILL)
    assert writer.wait() == -signal.SIGKILL
    found = everything_in(tmp_path)
    assert found and found == {seed: seed / 8 for seed in found}
