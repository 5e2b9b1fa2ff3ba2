"""Text that a model writes, and models in files: what is drawn, what comes back, what is not."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import refusal

from gammagpt import GPT, GPTConfig, gamma_init_, load_model, save_model, train
from gammagpt.gpt.engine import build_model


@pytest.fixture
def model() -> GPT:
    shape = GPTConfig(vocab_size=50, block_size=8, n_layer=1, n_head=2, width=16)
    return gamma_init_(GPT(shape), 0.3, seed=0)


def draw(model, count=12, seed=0, **how):
    start = torch.tensor([[3], [4]])
    return model.generate(start, count, generator=torch.Generator().manual_seed(seed), **how)


def test_the_likeliest_tokens_follow_of_a_window_that_slides(model):
    found = draw(model, temperature=0)
    for at in range(1, 13):
        window = found[:, max(0, at - 8) : at]
        assert found[:, at].tolist() == model(window, last=True).argmax(-1).tolist()
    assert found.equal(draw(model, top_k=1)) and found.shape == (2, 13)


def test_one_seed_draws_one_text_and_few_candidates_draw_no_other_token(model):
    assert draw(model).equal(draw(model)) and not draw(model).equal(draw(model, seed=1))
    likely = model(torch.tensor([[3]]), last=True)[0].topk(3).indices.tolist()
    drawn = {draw(model, 1, seed, top_k=3)[0, 1].item() for seed in range(60)}
    assert drawn == set(likely)


def test_tokens_are_drawn_with_the_models_own_shares_at_a_temperature(model):
    start = torch.full((4000, 1), 3)
    found = model.generate(start, 1, 1.5, generator=torch.Generator().manual_seed(0))[:, 1]
    shares = (model(start[:1], last=True)[0] / 1.5).softmax(-1).detach()
    counted = torch.bincount(found, minlength=50) / 4000
    assert (counted - shares).abs().max() < 4 * (shares.max() / 4000).sqrt()


@pytest.mark.parametrize("how, told", [
    ({"temperature": -1.0}, "temperature: got -1.0"), ({"top_k": 0}, "top_k: got 0"),
    ({"count": -1}, "tokens: got -1"), ({"temperature": float("inf")}, "temperature: got inf"),
])
def test_a_text_that_cannot_be_drawn_is_refused(model, how, told):
    assert told in refusal(draw, model, **how)


# ---- in a file -----------------------------------------------------------------------------------


def same(model, other) -> bool:
    """The same weights, bit for bit."""
    one, two = model.state_dict(), other.state_dict()
    return one.keys() == two.keys() and all(one[name].equal(two[name]) for name in one)


def test_a_trained_model_comes_back_with_its_run_and_scores_what_its_record_says(tiny, tmp_path):
    kept = {}
    record = train(tiny, keep=lambda model, config: kept.update(model=model, config=config))
    path = save_model(tmp_path / "a.safetensors", **kept)
    found = load_model(path)
    assert same(found.model, kept["model"]) and found.config == record.config
    assert record == replace(train(tiny), provenance=record.provenance)  # keeping changes nothing
    assert not same(found.model, build_model(tiny))
    assert found.write("The", 5, seed=2) == found.write("The", 5, seed=2)
    assert found.write("The", 5).startswith("The") and len(found.write("", 30)) > 10


@pytest.mark.parametrize("variant", [{"tied": True}, {"head_bias": "zero"}, {"gate": True}])
def test_variants_of_the_model_come_back_too(tiny, tmp_path, variant):
    config = replace(tiny, model=replace(tiny.model, **variant))
    path = save_model(tmp_path / "a.safetensors", build_model(config), config)
    assert same(load_model(path).model, build_model(config))


def test_the_file_is_one_that_other_readers_of_the_format_take(tiny, tmp_path):
    """By its specification: length, header with ends that meet, numbers, and nothing behind."""
    model = build_model(tiny)
    content = save_model(tmp_path / "a.safetensors", model, tiny).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, numbers = json.loads(content[8 : 8 + length]), content[8 + length :]
    assert length % 8 == 0 and content[8:9] == b"{"
    assert all(isinstance(note, str) for note in header.pop("__metadata__").values())
    end = 0
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        array = np.frombuffer(numbers[first:last], "<f4").reshape(entry["shape"])
        assert first == end and entry["dtype"] == "F32"
        np.testing.assert_array_equal(array, dict(model.named_parameters())[name].detach())
        end = last
    assert end == len(numbers)


def test_a_run_that_diverged_keeps_nothing(tiny):
    wild = replace(tiny.optim, learning_rate=1e6, clip=0.0, weight_decay=10.0)
    kept = []
    record = train(replace(tiny, optim=wild, steps=60), keep=lambda *given: kept.append(given))
    assert record.status == "diverged" and kept == []


def test_what_is_no_such_file_is_refused_in_a_line(tiny, tmp_path):
    path = tmp_path / "a.safetensors"
    assert "cannot be read" in refusal(load_model, path)
    whole = save_model(path, build_model(tiny), tiny).read_bytes()
    for content in (b"", b"hello", whole[:100], whole[:-8], whole.replace(b'"F32"', b'"I32"')):
        path.write_bytes(content)
        assert "is no file of train --save" in refusal(load_model, path)
    below_a_file = path / "b.safetensors"
    assert "cannot be written" in refusal(save_model, below_a_file, build_model(tiny), tiny)
    assert "is a folder" in refusal(save_model, tmp_path, build_model(tiny), tiny)
    assert sorted(tmp_path.iterdir()) == [path]  # nothing is left behind


def test_a_model_that_reads_no_text_writes_none(tiny, tmp_path):
    found = load_model(save_model(tmp_path / "a.safetensors", build_model(tiny), tiny))
    assert "allowed is one on text" in refusal(replace(found, ranks=None).write, "The")
