"""The bench: its counts, its choice, its turns, and a peer beside our model."""

import json
import os
import time
from types import SimpleNamespace

import pytest
import torch
from helpers import refusal, strict_json

from gammagpt import GPTConfig
from gammagpt.bench import compare as comparison
from gammagpt.bench import nanogpt as peer
from gammagpt.bench import report as bench
from gammagpt.bench import workers as timing
from gammagpt.bench.compare import ONE, RUNS, STACK, STACKS_EACH
from gammagpt.bench.workers import Contestant, Failed, Setting, Shape, Worker
from gammagpt.cli import main
from gammagpt.gpt.size import flops_per_token
from gammagpt.lab.stacking import seconds_a_step
from gammagpt.project import root

CPU = torch.device("cpu")
SMALL = GPTConfig(n_layer=1, n_head=1, width=8, block_size=8, vocab_size=11)
TINY = Shape(SMALL, batch_size=2)
# A peer of the same interface as the real one: an embedding and a head.
PEER = """
from dataclasses import dataclass
import torch
import torch.nn as nn

@dataclass
class GPTConfig:
    block_size: int = 1024
    vocab_size: int = 50304
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    dropout: float = 0.0
    bias: bool = True

class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        print("number of parameters: few")
        self.config = config
        self.table = nn.Embedding(config.vocab_size, config.n_embd)
        self.head = nn.Linear(config.n_embd, config.vocab_size, bias=config.bias)

    def forward(self, idx, targets=None):
        logits = self.head(self.table(idx))
        return logits, nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def configure_optimizers(self, weight_decay, learning_rate, betas, device_type):
        groups = [{"params": list(self.parameters()), "weight_decay": weight_decay}]
        return torch.optim.AdamW(groups, lr=learning_rate, betas=betas)
"""


@pytest.fixture
def checkout(tmp_path) -> str:
    folder = tmp_path / "peer"
    folder.mkdir()
    (folder / "model.py").write_text(PEER)
    return str(folder)


@pytest.fixture
def here(monkeypatch):
    """The ladder is one small shape, and processes are played in this one: `here.speed` says how
    fast a setting is, `here.turns` is who was timed in which order."""
    calls = SimpleNamespace(turns=[], speed=lambda setting, shape: 1000.0, compiler=True)

    class Played:
        def __init__(self, setting, shape, threads):
            self.setting, self.shape = setting, shape

        def burst(self, seconds):
            calls.turns.append(self.setting)
            return calls.speed(self.setting, self.shape)

        def close(self):
            pass

    def ask(peer_folder):
        found = bench.make_machine(peer_folder)()
        found["machine"] |= {"compiler": calls.compiler, "cores": 2}
        return found

    monkeypatch.setattr(bench, "can_compile", lambda device: True)
    monkeypatch.setattr(bench, "LONG", 1e-6)
    monkeypatch.setattr(bench, "LADDER", {"tiny": TINY})
    monkeypatch.setattr(comparison, "Contestant", Played)
    monkeypatch.setattr(bench, "ask_machine", ask)
    return calls


# ---- counts ------------------------------------------------------------------------------------


def test_the_flops_of_a_token_are_those_counted_by_hand():
    attention, mlp, head = 4 * 8 * 8, 3 * 8 * SMALL.hidden_size, 8 * 11
    assert SMALL.hidden_size == 24
    assert flops_per_token(SMALL) == 6 * (attention + mlp + head) + 12 * 1 * 8 * 8


def test_a_gate_counts_and_a_tied_head_is_still_a_product():
    gated = GPTConfig(n_layer=1, n_head=1, width=8, block_size=8, vocab_size=11, gate=True)
    tied = GPTConfig(n_layer=1, n_head=1, width=8, block_size=8, vocab_size=11, tied=True)
    assert flops_per_token(gated) == flops_per_token(SMALL) + 6 * 8 * 8
    assert flops_per_token(tied) == flops_per_token(SMALL)


def test_the_count_of_gpt2s_shape_is_about_six_times_its_parameters():
    assert flops_per_token(bench.LADDER["GPT-2 124M"].model) == pytest.approx(
        6 * 124e6 + 12 * 12 * 768 * 1024, rel=0.01
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_ceiling_is_that_of_the_fastest_product(precision, monkeypatch):
    speeds = {256: 50.0, 512: 90.0, 1024: 70.0, 2048: 60.0}  # GFLOP/s; 2048 takes long enough
    monkeypatch.setattr(bench, "matmul_ceiling", lambda device, p, size: speeds[size])
    assert bench.ceiling(CPU, precision) == 90.0


# ---- the ladder --------------------------------------------------------------------------------


def test_the_largest_shape_is_for_gpus_only():
    assert "GPT-2 124M" not in bench.chosen(None, CPU)
    assert set(bench.chosen(None, torch.device("cuda"))) == set(bench.LADDER)


@pytest.mark.parametrize("part, names", [("lap", ["laptop"]), ("WIDTH 64", ["laptop", "toy"])])
def test_shapes_are_chosen_by_a_part_of_their_name_or_size(part, names):
    assert list(bench.chosen(part, CPU)) == names


@pytest.mark.parametrize("arguments", [
    {"only": "nothing"}, {"out": "."}, {"peer": "nowhere"},
])
def test_bad_input_is_refused_before_anything_is_measured(here, arguments):
    ((name, value),) = arguments.items()
    assert repr(value) in refusal(bench.bench, **arguments) and here.turns == []


def test_a_report_that_cannot_be_written_is_noticed_before_anything_is_measured(here):
    assert "/proc/no" in refusal(bench.bench, out="/proc/no/x.json") and here.turns == []


# ---- choice and turns --------------------------------------------------------------------------


def test_the_settings_that_looked_fastest_take_turns(here):
    def speed(setting, shape):
        return 1000 * (1 + setting.compiled) * (1 + (setting.members == 8)) * setting.processes

    here.speed = speed
    shape = bench.bench(quick=True)["shapes"]["tiny"]
    assert [way["setting"] for way in shape["ways"].values()] == [
        "float32, compiled", "float32, compiled, 8 members", "float32, compiled, 2 processes",
        "float32, compiled, 8 members, 2 processes",
    ]
    rounds = here.turns[-4 * comparison.QUICK.rounds :]
    assert rounds == rounds[:4] * comparison.QUICK.rounds
    medians = {pair: ratio["median"] for pair, ratio in shape["ratios"].items()}
    assert medians == {
        f"{STACK} / {ONE}": 2, f"{RUNS} / {ONE}": 2, f"{STACKS_EACH} / {ONE}": 4,
        f"{STACK} / {RUNS}": 1, f"{STACKS_EACH} / {RUNS}": 2,
    }


def test_a_ratio_is_taken_round_by_round_and_given_with_its_range(here):
    runs = iter([10.0, 40.0, 20.0])  # one run has 10 in every round
    here.speed = lambda setting, shape: (
        next(runs) if (setting.processes, setting.members) == (2, 1) else 10.0
    )
    shape = bench.bench(quick=True)["shapes"]["tiny"]
    assert shape["ways"][RUNS]["tokens_per_second"] == {"median": 20, "low": 10, "high": 40}
    assert shape["ratios"][f"{RUNS} / {ONE}"] == {"median": 2, "low": 1, "high": 4}
    assert shape["ratios"][f"{STACKS_EACH} / {RUNS}"] == {"median": 0.5, "low": 0.25, "high": 1}


def test_without_a_compiler_everything_is_eager_and_the_report_says_so(here):
    here.compiler = False
    report = bench.bench(quick=True)
    assert not any(setting.compiled for setting in here.turns)
    assert "everything ran eager" in bench.in_words(report)


def test_a_setting_that_fails_is_named_and_ends_nothing_else(here):
    def speed(setting, shape):
        if setting.members == 24 or setting.processes == 2:
            raise Failed("no memory")
        return 1000.0

    here.speed = speed
    shape = bench.bench(quick=True)["shapes"]["tiny"]
    assert set(shape["ways"]) == {ONE, STACK}
    assert shape["failed"][f"{STACK}, float32, eager, 24 members"] == "no memory"


def test_nothing_at_all_may_work_and_there_is_still_a_report(here, checkout):
    def speed(setting, shape):
        raise Failed("no memory")

    here.speed = speed
    report = bench.bench(quick=True, peer=checkout)
    assert report["shapes"]["tiny"]["ways"] == {} and "no memory" in bench.in_words(report)


# ---- real steps --------------------------------------------------------------------------------


def really(setting, shape):
    return timing.make_burst(setting, shape)(0.01)


def test_the_share_of_the_ceiling_and_all_ratios_are_numbers_of_sense(here, checkout):
    here.compiler, here.speed = False, really
    report = bench.bench(quick=True, peer=checkout)
    shape = report["shapes"]["tiny"]
    assert list(shape["ways"]) == [ONE, STACK, RUNS, STACKS_EACH, peer.NAME]
    assert shape["failed"] == {} and len(shape["ratios"]) == 6
    shares = [way["share_of_ceiling"] for way in shape["ways"].values() if "share" in str(way)]
    assert len(shares) == 4 and all(0 < share < 1.5 for share in shares)
    assert all(0 < r["low"] <= r["median"] <= r["high"] for r in shape["ratios"].values())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_of_the_peer_trains_its_model(checkout, precision, capsys):
    inputs, targets = torch.randint(11, (2, 2, 8))
    built = []
    original, peer_build = peer.build, lambda *a: built.append(original(*a)) or built[-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peer, "build", peer_build)
        shape = Shape(SMALL, 2, precision)
        step = peer.training_step(checkout, shape, inputs, targets, CPU, False)
    ((model, optimizer),) = built
    before = model.head.weight.clone()
    step()
    assert not torch.equal(before, model.head.weight)
    assert model.config.n_embd == 8 and model.config.bias is False and optimizer.defaults["fused"]
    assert optimizer.param_groups[0]["weight_decay"] == 0.1 and capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [None, "import nowhere_at_all", "GPT = 1", "1 +"])
def test_a_folder_that_is_no_checkout_is_refused(tmp_path, content):
    if content:
        (tmp_path / "model.py").write_text(content)
    assert f"got {str(tmp_path)!r}" in refusal(peer.load, tmp_path)


def test_the_first_steps_are_not_counted_and_at_least_three_are():
    taken = []
    seconds = seconds_a_step(lambda: taken.append(time.sleep(0.02)), CPU, 0.0, uncounted=2)
    assert len(taken) == 5 and 0.02 <= seconds < 0.2


# ---- processes ---------------------------------------------------------------------------------


def breaking(at_once: bool):
    """What a Worker makes; at module level, so that its process finds it."""
    if at_once:
        raise FileNotFoundError("no file")
    return lambda way: os._exit(1) if way == "die" else 1 / 0


@pytest.fixture
def worker():
    """worker(at_once) is a Worker that breaks in many ways."""
    made = []
    yield lambda at_once: made.append(Worker(1, breaking, at_once)) or made[0]
    made[0].close()


def test_a_process_that_cannot_be_made_ready_says_why(worker):
    with pytest.raises(Failed, match="FileNotFoundError: no file"):
        worker(True).answer()


def test_a_process_survives_an_error_and_its_death_is_noticed(worker):
    broken = worker(False)
    broken.answer()
    for way, reason in (("raise", "division"), ("raise", "division"), ("die", "was ended")):
        broken.ask(way)
        with pytest.raises(Failed, match=reason):
            broken.answer()


def test_contestants_are_timed_in_processes_of_their_own():
    contestant = Contestant(Setting(members=2, processes=2), TINY, threads=1)
    try:
        assert contestant.burst(0.05) > 0 and contestant.burst(0.05) > 0
    finally:
        contestant.close()


# ---- the command -------------------------------------------------------------------------------


def test_the_command_prints_and_writes_one_and_the_same_report(here, checkout, tmp_path, capsys):
    out = tmp_path / "report.json"
    assert main(["bench", "--quick", "--json", "--peer", checkout, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert strict_json(text) == strict_json(out.read_text())
    assert checkout not in text and str(root()) not in text
    assert list(strict_json(text)) == ["quick", "peer", "machine", "ceilings", "shapes"]


def test_the_command_prints_a_table(here, checkout, capsys):
    assert main(["bench", "--quick", "--peer", checkout]) == 0
    output, errors = capsys.readouterr()
    assert errors == "" and all(f"\n  {way} " in output for way in (ONE, STACK, RUNS, peer.NAME))
    assert "% of the ceiling" in output and f"{ONE} / {peer.NAME}" in output


def test_a_wrong_argument_is_one_line_and_exit_code_2(here, capsys):
    assert main(["bench", "--peer", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith("error: peer: got 'nowhere', allowed is")


def test_the_committed_reports_are_whole():
    for path in (root() / "benchmarks").glob("ladder*.json"):
        assert {"machine", "ceilings", "shapes"} <= json.loads(path.read_text()).keys()


def test_a_report_of_the_same_machine_is_added_to_and_any_other_is_not(tmp_path):
    machine = dict.fromkeys(bench.SAME, "x")
    report = {"quick": False, "peer": None, "machine": machine, "shapes": {"toy": {"ways": {}}}}
    out = tmp_path / "ladder.json"
    out.write_text(json.dumps(report))
    assert bench.shapes_so_far(report, str(out)) == report["shapes"]
    others = [report | {"quick": True}, report | {"peer": "else"}]
    others += [report | {"machine": machine | {name: "y"}} for name in bench.SAME]
    assert all(bench.shapes_so_far(other, str(out)) == {} for other in others)
    for content in ("", "[]", "{}", "{half"):
        out.write_text(content)
        assert bench.shapes_so_far(report, str(out)) == {}
    assert bench.shapes_so_far(report, None) == {} == bench.shapes_so_far(report, str(tmp_path))
