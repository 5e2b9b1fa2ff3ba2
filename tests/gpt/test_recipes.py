"""The page "The rule in your own trainer": each recipe runs, against the socket of its project."""

import math
import re
from functools import partial

import pytest
import torch
from conftest import TINY
from helpers import refusal
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from gammagpt import GPT, GPTConfig, gamma_, gamma_init_, project

draw = partial(gamma_, gamma=0.8)
PAGE = (project.root() / "book" / "recipes.md").read_text(encoding="utf-8")


def assert_drawn(weight, d_in: int) -> None:
    values = weight.detach()
    tolerance = 5 / math.sqrt(2 * values.numel())
    assert values.std().item() / d_in**-0.8 == pytest.approx(1, abs=tolerance)


def test_every_block_of_the_page_is_python():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) >= 6
    for block in blocks:
        compile(block, "recipe", "exec")


def test_torchtitan_calls_a_function_of_the_parameter_that_its_name_picks():
    """RegexInitializer: {pattern: function}, the first that fits, called with the parameter."""
    rules = {r".*norm.*\.weight": nn.init.ones_, r".*\.weight": draw, r".*\.bias": nn.init.zeros_}
    model = nn.ModuleDict({"tok_embeddings": nn.Embedding(300, 32), "norm": nn.RMSNorm(32),
                           "w1": nn.Linear(32, 80), "w2": nn.Linear(80, 32)})
    for name, parameter in model.named_parameters():
        next(f for pattern, f in rules.items() if re.fullmatch(pattern, name))(parameter)
    for layer, d_in in (("tok_embeddings", 32), ("w1", 32), ("w2", 80)):
        assert_drawn(model[layer].weight, d_in)
    assert (model["norm"].weight == 1).all() and not model["w1"].bias.any()


def test_megatron_calls_init_method_with_a_weight_that_says_how_it_is_cut():
    """A row-parallel layer cuts axis 1: there the inputs are not whole."""
    for partition, options in ((0, {}), (1, {"d_in": 160})):
        weight = nn.Parameter(torch.empty(96, 80))
        weight.tensor_model_parallel, weight.partition_dim = True, partition
        with torch.no_grad():
            draw(weight, **options)
        assert_drawn(weight, options.get("d_in", 80))
    assert refusal(draw, weight).startswith("d_in: got None")


def test_litgpt_resets_every_layer_after_its_memory_was_made():
    with torch.device("meta"):
        model = nn.Sequential(nn.Embedding(300, 32), nn.Linear(32, 80, bias=False))
    for layer in model.modules():
        if isinstance(layer, (nn.Linear, nn.Embedding)):
            layer.reset_parameters = lambda layer=layer: draw(layer.weight)
    model.to_empty(device="cpu")
    for layer in model:
        layer.reset_parameters()
        assert_drawn(layer.weight, 32)


def test_olmo_core_hands_on_a_generator():
    def apply(function, weight, *arguments, **named):  # as its _apply_init does
        function(weight, *arguments, **named)

    weight = nn.Parameter(torch.empty(80, 32))
    apply(draw, weight, generator=torch.Generator().manual_seed(3))
    again = draw(torch.empty(80, 32), generator=torch.Generator().manual_seed(3))
    assert torch.equal(weight, again)


# ---- a trainer that is not ours ------------------------------------------------------------------

SHAPE = {"vocab_size": 300, "width": 32, "n_layer": 2, "n_head": 2, "block_size": 16}
PARTS = {"embedding": "model.embed_tokens", "head": "lm_head", "norm": "model.norm"}
LAYER = {"norm1": "input_layernorm", "norm2": "post_attention_layernorm",
         "attention.query": "self_attn.q_proj", "attention.key": "self_attn.k_proj",
         "attention.value": "self_attn.v_proj", "attention.out": "self_attn.o_proj",
         "mlp.gate": "mlp.gate_proj", "mlp.up": "mlp.up_proj",
         "mlp.down": "mlp.down_proj"}


def llama(bias: bool):
    """transformers' Llama in the shape of our GPT; `bias`: of the head, as the recipe has it."""
    ours = GPT(GPTConfig(**SHAPE))
    config = AutoConfig.for_model(
        "llama", vocab_size=300, hidden_size=32, intermediate_size=ours.config.hidden_size,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, rms_norm_eps=1e-5,
        max_position_embeddings=16, pad_token_id=None, bos_token_id=1, eos_token_id=2,
    )
    model = AutoModelForCausalLM.from_config(config)
    if bias:
        model.lm_head = nn.Linear(32, 300)
    return model


def trained(model, tokens, loss_of, steps=60) -> list[float]:
    """Losses of a plain loop: AdamW, a warm-up, clipping."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, betas=(0.9, 0.95), weight_decay=0.1)
    losses = []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 4e-3 * min(1, (step + 1) / 20)
        batch = tokens[torch.arange(16)[:, None] * 17 + 5 * step + torch.arange(17)]
        loss = loss_of(model, batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def loss_of_theirs(model, batch):
    return nn.functional.cross_entropy(model(batch[:, :-1]).logits.flatten(0, 1),
                                       batch[:, 1:].flatten())


@pytest.fixture
def tokens(corpus):
    from gammagpt.data import DataConfig, load_text

    data = DataConfig(str(corpus), TINY["model"]["vocab_size"])
    return torch.as_tensor(load_text(data, 16).train[:2000].astype("int64"))


def test_a_llama_of_transformers_trains_like_the_gpt_of_this_book(tokens):
    """From the same weights the losses are the same; from another seed's, they are not."""
    ours, theirs = (gamma_init_(model, 0.8, seed=3) for model in (GPT(GPTConfig(**SHAPE)),
                                                                 llama(bias=False)))
    names = {f"{a}.weight": f"{b}.weight" for a, b in PARTS.items()}
    names |= {f"blocks.{i}.{a}.weight": f"model.layers.{i}.{b}.weight"
              for i in (0, 1) for a, b in LAYER.items()}
    own = trained(theirs, tokens, loss_of_theirs)
    for a, b in names.items():
        theirs.get_parameter(b).data.copy_(ours.get_parameter(a))
    mine = trained(ours, tokens, lambda model, batch: model.loss(batch[:, :-1], batch[:, 1:]))
    same = trained(theirs, tokens, loss_of_theirs)
    assert same == pytest.approx(mine, rel=2e-3)
    assert own[-1] != mine[-1] and own[-1] == pytest.approx(mine[-1], abs=0.2)
    assert mine[-1] < mine[0] - 0.5


def test_the_unigram_bias_starts_a_llama_at_the_unigram_entropy(tokens):
    counts = torch.bincount(tokens, minlength=300)
    model = gamma_init_(llama(bias=True), 1.2)
    assert not model.lm_head.bias.any()
    model.lm_head.bias.data.copy_(torch.log((counts + 1) / (counts + 1).sum()))
    frequency = (counts + 1) / (counts + 1).sum()
    entropy = -(counts / counts.sum() * frequency.log()).sum().item()
    batch = tokens[: 17 * 100].view(100, 17)
    assert loss_of_theirs(model, batch).item() == pytest.approx(entropy, abs=0.1)
