"""The page "The rule in your own trainer": each recipe runs, against the socket of its project."""

import math
import re
from functools import partial

import pytest
import torch
from helpers import refusal
from torch import nn

from gammagpt import gamma_, project

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
