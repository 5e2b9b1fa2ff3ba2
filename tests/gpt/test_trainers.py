"""Trainers that are not ours, by the recipes of the page: Hugging Face's and nanoGPT's."""

import re
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

import gammagpt as gg
from gammagpt.data import load_text, unigrams
from gammagpt.gpt.engine import build_model
from gammagpt.gpt.optim import learning_rate, make_adamw
from gammagpt.gpt.train import train

VOCABULARY, LENGTH, STEPS, WARMUP, RATE = 300, 16, 60, 20, 4e-3
PAGE = (gg.project.root() / "book" / "recipes.md").read_text(encoding="utf-8")
SETTINGS = {  # of one of our runs: those that the recipe has, in a small model
    "model": {"vocab_size": VOCABULARY, "width": 32, "n_layer": 2, "n_head": 2,
              "block_size": LENGTH, "head_bias": "unigram"},
    "init": {"gamma": 0.8}, "optim": {"learning_rate": RATE, "warmup": WARMUP / STEPS},
    "probes": {"final_windows": 128}, "steps": STEPS, "batch_size": 16, "seed": 3,
}


@pytest.fixture
def run(text, corpus, cache):
    data = {"corpus": corpus, "vocab_size": VOCABULARY, "fingerprint": text.fingerprint}
    return gg.RunConfig.from_dict(SETTINGS | {"data": data})


@pytest.fixture
def noise(run):
    """How far apart two seeds of ours end, in nats per token: the largest of three."""
    losses = [final_loss(train(replace(run, seed=seed))) for seed in (3, 4, 5)]
    return max(losses) - min(losses)


def recipe(title: str, **tested: str) -> str:
    """The first block of Python below a title of the page, with what a test must say otherwise."""
    code = re.search(rf"## {title}\n.*?```python\n(.*?)```", PAGE, re.DOTALL)[1]
    for said, instead in tested.items():
        assert f"{said}=" in code, said
        code = re.sub(rf"{said}=[^,]*", f"{said}={instead}", code)
    return code


def final_loss(record) -> float:
    return record.final["validation_loss"]


def measured(loss_of, run) -> float:
    """The validation loss of any model, on the windows on which ours is measured."""
    windows = load_text(run.data, LENGTH).validation_windows(run.probes.final_windows, LENGTH)
    with torch.no_grad():
        return loss_of(*windows).item()


def tokens_of(run):
    return torch.from_numpy(load_text(run.data).train.astype("int64"))


def batches(run):
    """The windows that our run is trained on, (steps, batch, length + 1)."""
    text = load_text(run.data, LENGTH)
    starts = text.starts(run.seed, run.steps, run.batch_size, LENGTH)
    return tokens_of(run)[starts[..., None] + torch.arange(LENGTH + 1)]


# ---- Hugging Face's Trainer ----------------------------------------------------------------------

SIZES = {"vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 88,
         "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2,
         "rms_norm_eps": 1e-5, "max_position_embeddings": LENGTH + 1, "pad_token_id": None,
         "bos_token_id": 1, "eos_token_id": 2}
OURS = {"model.embed_tokens": "embedding", "model.norm": "norm", "lm_head": "head",
        "model.layers": "blocks", "input_layernorm": "norm1", "post_attention_layernorm": "norm2",
        "self_attn": "attention", "q_proj": "query", "k_proj": "key", "v_proj": "value",
        "o_proj": "out", "gate_proj": "gate", "up_proj": "up", "down_proj": "down"}


@pytest.fixture
def recipes(run, tmp_path, monkeypatch):
    """What the recipe has made before its last line, the one that trains; and that line."""
    monkeypatch.chdir(tmp_path)
    code = recipe("Hugging Face's Trainer", learning_rate=RATE, warmup_steps=WARMUP)
    batch = {"max_steps": STEPS, "per_device_train_batch_size": run.batch_size, "use_cpu": True,
             "train_sampling_strategy": "sequential", "logging_steps": 1, "disable_tqdm": True}
    code = code.replace('"out",', '"out", **batch,')
    windows = batches(run).flatten(0, 1)
    made = {"gg": gg, "sizes": SIZES, "batch": batch,
            "tokens": tokens_of(run),
            "texts": [{"input_ids": window, "labels": window} for window in windows]}
    *building, training = code.strip().split("\n")
    exec("\n".join(building), made)
    exec(recipe("The unigram bias"), made)
    return made | {"training": training}


def loss_of_theirs(model):
    return lambda inputs, targets: F.cross_entropy(model(inputs).logits.flatten(0, 1),
                                                   targets.flatten())


def test_the_trainer_of_hugging_face_ends_where_ours_does(run, recipes, noise):
    """By the recipe as it stands: its own weights, its own warm-up."""
    loss = loss_of_theirs(recipes["model"].eval())
    before = measured(loss, run)
    assert before == pytest.approx(unigrams.entropy(run.data), abs=0.1)
    exec(recipes["training"], recipes)
    assert measured(loss, run) == pytest.approx(final_loss(train(run)), abs=noise)
    assert measured(loss, run) < before - 10 * noise


def test_from_the_same_weights_it_has_the_same_loss_at_every_step(run, recipes):
    """And with our schedule, whose warm-up begins one step later: the first rate is not zero."""
    from transformers import Trainer

    model, ours = recipes["model"], build_model(run)
    weights = {name: name for name, _ in model.named_parameters()}
    for theirs, own in OURS.items():
        weights = {name: path.replace(theirs, own) for name, path in weights.items()}
    for name, path in weights.items():
        model.get_parameter(name).data.copy_(ours.get_parameter(path))
    trainer = Trainer(model, recipes["arguments"], train_dataset=recipes["texts"])
    trainer.lr_scheduler = LambdaLR(trainer.create_optimizer(),
                                    lambda step: learning_rate(run.optim, step, STEPS) / RATE)
    trainer.train()
    same = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    losses = []
    record = train(run, progress=lambda _, loss: losses.append(loss))
    assert same == pytest.approx(losses, abs=1e-4)
    assert measured(loss_of_theirs(model), run) == pytest.approx(final_loss(record), abs=1e-4)


# ---- nanoGPT -------------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.c_attn = nn.Linear(width, 3 * width, bias=False)
        self.attn.c_proj = nn.Linear(width, width, bias=False)
        self.mlp.c_fc = nn.Linear(width, 4 * width, bias=False)
        self.mlp.c_proj = nn.Linear(4 * width, width, bias=False)

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
                   for part in self.attn.c_attn(self.ln_1(x)).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + self.attn.c_proj(y)
        return x + self.mlp.c_proj(F.gelu(self.mlp.c_fc(self.ln_2(x))))


class NanoGPT(nn.Module):
    """What nanoGPT's train.py sees of a model, in the names and shapes of its own, in our words."""

    def __init__(self, vocab_size, block_size, n_layer, n_head, n_embd):
        super().__init__()
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(vocab_size, n_embd), "wpe": nn.Embedding(block_size, n_embd),
            "h": nn.ModuleList([Block(n_embd, n_head) for _ in range(n_layer)]),
            "ln_f": nn.LayerNorm(n_embd, bias=False)})
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        self.transformer.wte.weight = self.lm_head.weight

    def forward(self, idx, targets):
        of = self.transformer
        x = of.wte(idx) + of.wpe(torch.arange(idx.shape[1]))
        for block in of.h:
            x = block(x)
        logits = self.lm_head(of.ln_f(x))
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def nano(run, *recipes):
    """The validation losses before and after its train.py, with the recipes' lines, has trained."""
    model = NanoGPT(VOCABULARY, LENGTH, 2, 2, 32)
    made = {"model": model, "tokens": tokens_of(run)}
    for title in recipes:
        exec(recipe(title), made)
    before = measured(lambda x, y: model(x, y)[1], run)
    optimizer = make_adamw(model, run.optim)  # as its configure_optimizers: only matrices decay
    for step, windows in enumerate(batches(run)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(run.optim, step, run.steps)
        model(windows[:, :-1].contiguous(), windows[:, 1:].contiguous())[1].backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return before, measured(lambda x, y: model(x, y)[1], run)


def test_nanogpt_by_the_recipe_ends_where_ours_does(run):
    """Ours with a tied head and learned positions; its MLP and norms are of another kind."""
    model = replace(run.model, tied=True, positions="learned", head_bias="none")
    init = gg.RunConfig.from_dict({"init": {"gamma": 0.8, "residual_scaling": True}}).init
    alike = replace(run, model=model, init=init, steps=150)
    ours = [final_loss(train(replace(alike, seed=seed))) for seed in (3, 4, 5)]
    noise = max(ours) - min(ours)
    before, after = nano(alike, "nanoGPT")
    assert after == pytest.approx(sum(ours) / 3, abs=noise) and after < before - 10 * noise
    before, biased = nano(alike, "nanoGPT", "The unigram bias")
    assert before == pytest.approx(unigrams.entropy(run.data), abs=0.1) and biased < after
