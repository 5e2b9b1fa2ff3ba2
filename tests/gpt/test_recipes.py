"""The page "The rule in your own trainer": the socket of each project takes what we give it.

Where a project is installed its own code builds and draws a model by the page's lines; everywhere
its socket is imitated: what it is called with, and what it does with what comes back.
"""

import math
import re

import pytest
import torch
from helpers import refusal
from torch import nn

import gammagpt as gg

PAGE = (gg.project.root() / "book" / "recipes.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def recipe(title: str, **given) -> dict:
    """The names that are there after the first block below a title has run."""
    names = {"gg": gg} | given
    exec(BLOCK.search(PAGE, PAGE.index(f"\n{title}\n"))[1], names)
    return names


SOCKETS = recipe("## Where another project takes a function")
draw = SOCKETS["draw"]


def there(package: str):
    return pytest.importorskip(
        package, reason=f"{package} is no requirement of ours, and wants other versions of some; "
        "in an environment of its own this test runs its code (CONTRIBUTING.md)")


def assert_drawn(weight, d_in: int) -> None:
    values = weight.detach()
    tolerance = 5 / math.sqrt(2 * values.numel())
    assert values.std().item() / d_in**-0.8 == pytest.approx(1, abs=tolerance)


def assert_all_drawn(model, least: int) -> None:
    """Every tensor, whose last axis holds its inputs; vectors are gains of 1, and zeros."""
    tensors = dict(model.named_parameters())
    matrices = {name: tensor for name, tensor in tensors.items() if tensor.ndim > 1}
    assert len(matrices) >= least
    for tensor in matrices.values():
        assert_drawn(tensor, tensor.shape[-1])
    vectors = [tensor for name, tensor in tensors.items() if name not in matrices]
    assert all((tensor == tensor[0]).all() and tensor[0] in (0, 1) for tensor in vectors)


def test_every_block_of_the_page_is_python():
    blocks = BLOCK.findall(PAGE)
    assert len(blocks) >= 9
    for block in blocks:
        compile(block, "recipe", "exec")


# ---- torchtitan: {name of a parameter: function}, in the configuration of each part --------------


def test_torchtitan_draws_its_own_models_by_the_recipe():
    there("torchtitan.models.common")
    from torchtitan.models.deepseek_v3 import deepseekv3_configs
    from torchtitan.models.llama3 import llama3_configs

    for config in (llama3_configs["debugmodel"](attn_backend="flex"),
                   deepseekv3_configs["debugmodel"]("flex", moe_comm_backend="standard")):
        recipe("### torchtitan", **SOCKETS | {"config": config})
        with torch.device("meta"):
            model = config.build()
        with torch.no_grad():
            model.to_empty(device="cpu").init_states(buffer_device=torch.device("cpu"))
        assert_all_drawn(model, least=30)


def test_torchtitan_calls_a_function_with_the_parameter_that_its_name_picks():
    shapes = {"weight": ((80, 32), draw, 32), "bias": ((80,), nn.init.zeros_, None),
              "w2_EDF": ((3, 32, 80), SOCKETS["partial"](draw, d_in=80), 80)}
    for shape, function, d_in in shapes.values():
        parameter = nn.Parameter(torch.full(shape, math.nan))
        with torch.no_grad():
            function(parameter)
        if d_in:
            assert_drawn(parameter, d_in)
        else:
            assert not parameter.any()


# ---- Megatron: a function of a weight, which may say how it is cut -------------------------------


def config_of_megatron(kind, size):
    sizes = {"num_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "ffn_hidden_size": 80,
             "use_cpu_initialization": True}
    return recipe("### Megatron", **SOCKETS | {"TransformerConfig": kind, "sizes": sizes,
                                               "tensor_parallel_size": size})


def test_megatron_draws_its_own_model_by_the_recipe(tmp_path):
    there("megatron.core.models.gpt")
    from megatron.core import parallel_state
    from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
    from megatron.core.models.gpt.gpt_model import GPTModel
    from megatron.core.transformer.transformer_config import TransformerConfig

    store = f"file://{tmp_path}/store"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    try:
        parallel_state.initialize_model_parallel(1)
        config = config_of_megatron(TransformerConfig, 1)["config"]
        model = GPTModel(config, get_gpt_layer_local_spec(), 300, 16)
    finally:
        parallel_state.destroy_model_parallel()
        torch.distributed.destroy_process_group()
    assert_all_drawn(model, least=11)


def test_megatron_calls_init_method_with_a_weight_that_says_how_it_is_cut():
    """A row-parallel layer cuts axis 1: there the inputs are not whole."""
    config = config_of_megatron(lambda **settings: settings, 2)["config"]
    for partition, d_in in ((0, 80), (1, 160)):
        weight = nn.Parameter(torch.empty(96, 80))
        weight.tensor_model_parallel, weight.partition_dim = True, partition
        for method in ("init_method", "output_layer_init_method"):
            with torch.no_grad():
                config[method](weight)
            assert_drawn(weight, d_in)
    assert refusal(draw, weight).startswith("d_in: got None")


# ---- litgpt: reset_parameters of every layer, after its memory was made --------------------------


def test_litgpt_draws_its_own_model_by_the_recipe():
    litgpt = there("litgpt")
    from litgpt.utils import reset_parameters

    with torch.device("meta"):
        model = litgpt.GPT(litgpt.Config(
            n_layer=2, n_embd=32, n_head=4, intermediate_size=80, padded_vocab_size=300,
            block_size=16, bias=True, mlp_class_name="LLaMAMLP", norm_class_name="RMSNorm"))
    recipe("### litgpt", **SOCKETS | {"model": model})
    reset_parameters(model.to_empty(device="cpu"))
    assert_all_drawn(model, least=12)


def test_litgpt_resets_every_layer():
    with torch.device("meta"):
        model = nn.Sequential(nn.Embedding(300, 32), nn.Linear(32, 80), nn.RMSNorm(80))
    recipe("### litgpt", **SOCKETS | {"model": model})
    model.to_empty(device="cpu")
    for layer in model:
        layer.reset_parameters()
    assert_all_drawn(model, least=2)


# ---- OLMo-core: a method that is chosen; ours comes after it -------------------------------------


def test_olmo_core_draws_its_own_model_by_the_recipe():
    transformer = there("olmo_core.nn.transformer")
    config = transformer.TransformerConfig.llama_like(
        d_model=64, vocab_size=300, n_layers=2, n_heads=4)
    model = config.build(init_device="meta").to_empty(device="cpu")
    recipe("### OLMo-core", **SOCKETS | {"model": model})
    assert_all_drawn(model, least=16)
    assert gg.audit_init(model, 0.8).ok.all()


def test_olmo_core_draws_first_and_we_after_it():
    """Its init_weights takes a device, and leaves every weight drawn: none of that is left."""
    model = nn.Sequential(nn.Embedding(300, 32), nn.Linear(32, 80))
    model.init_weights = lambda *, device: [nn.init.ones_(p) for p in model.parameters()]
    recipe("### OLMo-core", **SOCKETS | {"model": model})
    assert_all_drawn(model, least=2)


def test_a_generator_that_is_handed_on_makes_the_same_draw():
    one, other = (draw(torch.empty(80, 32), generator=torch.Generator().manual_seed(3))
                  for _ in range(2))
    assert torch.equal(one, other)
