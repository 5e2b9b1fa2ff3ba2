"""Published architectures, shrunk and built from transformers' own classes, without a network.

d_in is confirmed by another route: what the forward pass really contracts with each weight.
"""

import math
from functools import cache

import pytest
import torch
import transformers
from torch import nn
from torch.overrides import TorchFunctionMode
from transformers import AutoConfig, AutoModelForCausalLM

from gammagpt import audit_init, gamma_init_
from gammagpt.gpt.init import init_table

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
VOCABULARY, LAYERS = 90, 2
SIZES = {"vocab_size": VOCABULARY, "hidden_size": 48, "intermediate_size": 80,
         "num_hidden_layers": LAYERS, "num_attention_heads": 4, "num_key_value_heads": 2,
         "max_position_embeddings": 32, "pad_token_id": None, "bos_token_id": 1,
         "eos_token_id": 2}
LATENT = {"q_lora_rank": 20, "kv_lora_rank": 12, "qk_rope_head_dim": 8, "qk_nope_head_dim": 6,
          "v_head_dim": 10, "n_routed_experts": 4, "n_group": 2, "topk_group": 1,
          "num_experts_per_tok": 2, "moe_intermediate_size": 28, "first_k_dense_replace": 1,
          "num_key_value_heads": 4}
HEAD = {"head_dim": 12}
ARCHITECTURES = {
    "gpt2": {"n_embd": 48, "n_layer": LAYERS, "n_head": 4, "n_inner": 80, "n_positions": 32},
    "gpt_neox": {},
    "gptj": {"n_embd": 48, "n_layer": LAYERS, "n_head": 4, "n_inner": 80, "rotary_dim": 8},
    "llama": {},
    "mistral": HEAD,
    "qwen2": {},
    "qwen3": HEAD,
    "olmo": {},
    "olmo2": {},
    "gemma": HEAD,
    "gemma2": HEAD | {"query_pre_attn_scalar": 12},
    "gemma3_text": HEAD,
    "phi": {},
    "phi3": {},
    "opt": {"ffn_dim": 80, "word_embed_proj_dim": 48},
    "bloom": {"n_layer": LAYERS, "n_head": 4},
    "falcon": {"ffn_hidden_size": 80},
    "starcoder2": {},
    "stablelm": {"num_attention_heads": 2},
    "cohere": {},
    "mixtral": {"num_local_experts": 4},
    "qwen3_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 28} | HEAD,
    "gpt_oss": {"num_local_experts": 4, "num_experts_per_tok": 2} | HEAD,
    "deepseek_v3": LATENT,
}


@cache
def built(name: str):
    """A tiny model of the architecture, drawn with gamma 0.8; its tests change nothing in it."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(name, **SIZES | ARCHITECTURES[name])
    config._attn_implementation = config._experts_implementation = "eager"
    return gamma_init_(AutoModelForCausalLM.from_config(config).eval(), 0.8)


class Contractions(TorchFunctionMode):
    """Of each parameter, the number of values that products of the forward pass sum over."""

    def __init__(self, model):
        super().__init__()
        self.seen, self.owners = {}, {}
        for name, parameter in model.named_parameters():
            self.owners[parameter.untyped_storage().data_ptr()] = name

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name, result = function.__name__, function(*args, **kwargs or {})
        if name in ("linear", "matmul", "__matmul__", "mm", "bmm"):
            self.note(args[1], args[0].shape[-1])
        if name in ("addmm", "baddbmm") and len(args) == 3:
            self.note(args[2], args[1].shape[-1])
        if name == "embedding":
            self.note(args[1], result.shape[-1])
        return result

    def note(self, tensor, count: int) -> None:
        owner = self.owners.get(tensor.untyped_storage().data_ptr())
        if owner:
            self.seen.setdefault(owner, set()).add(count)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_weight_has_the_std_of_the_dimension_that_the_forward_pass_contracts(name):
    model = built(name)
    with torch.no_grad(), Contractions(model) as contractions:
        model(torch.arange(24)[None])
    matrices = {n: p for n, p in model.named_parameters() if p.ndim > 1 and "bias" not in n}
    table = audit_init(model).set_index("tensor")
    assert set(table.index) == set(matrices) == set(contractions.seen)
    for tensor, row in table.iterrows():
        assert contractions.seen[tensor] == {row.d_in}, tensor
        values = matrices[tensor].detach().double()
        tolerance = 5 / math.sqrt(2 * values.numel())
        assert values.std().item() / row.d_in**-0.8 == pytest.approx(1, abs=tolerance), tensor
    assert audit_init(model, 0.8).ok.all() and not audit_init(model, 0.5).ok.any()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_biases_are_zero_and_norm_gains_as_built(name):
    vectors = {n: p for n, p in built(name).named_parameters() if n.endswith("bias") or p.ndim < 2}
    assert all(not p.any() or torch.equal(p, torch.ones_like(p)) for n, p in vectors.items()
               if "sinks" not in n)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_scalings_and_parts_know_the_names_of_the_architecture(name):
    """The writers are those whose result is added to the stream: 2 a block, 4 here."""
    plain = {rule.name: rule.std for rule in init_table(built(name), 0.5)}
    options = {"residual_scaling": True, "depth_scaling": True, "parts": "attention 1"}
    scaled = {rule.name: rule for rule in init_table(built(name), 0.5, **options)}
    writers = {"o_proj", "out_proj", "dense", "dense_4h_to_h", "down_proj", "c_proj", "fc2",
               "fc_out"}
    for tensor, before in plain.items():
        words = tensor.removesuffix(".weight").split(".")
        block = next((int(word) + 1 for word in words if word.isdigit()), 1)
        attention = any("attn" in word or "attention" in word for word in words)
        writer = words[-1] in writers and block > 0 and any(w.isdigit() for w in words)
        rule = scaled[tensor]
        factor = rule.d_in**-0.5 if attention else 1
        factor /= math.sqrt(block) * (math.sqrt(2 * LAYERS) if writer else 1)
        assert rule.std == pytest.approx(before * factor), tensor


def test_gpt2_of_transformers_comes_out_right_to_the_last_layer():
    model = built("gpt2").transformer.h[1]
    for layer, inputs in ((model.mlp.c_fc, 48), (model.mlp.c_proj, 80), (model.attn.c_attn, 48)):
        assert isinstance(layer, transformers.pytorch_utils.Conv1D)
        assert layer.weight.std().item() == pytest.approx(inputs**-0.8, rel=0.05)


def test_a_shrunk_model_with_its_own_initialization_is_audited_without_a_rule():
    config = AutoConfig.for_model("llama", **SIZES)
    table = audit_init(AutoModelForCausalLM.from_config(config)).set_index("tensor")
    assert table["std"].to_numpy() == pytest.approx(0.02, rel=0.1)
    assert table.gamma["model.layers.0.mlp.down_proj.weight"] == pytest.approx(
        -math.log(0.02) / math.log(80), abs=0.02
    )


def test_weights_that_are_no_parameters_of_a_known_layer_are_refused_in_mamba():
    config = AutoConfig.for_model("mamba", vocab_size=VOCABULARY, hidden_size=48, state_size=8,
                                  num_hidden_layers=1)
    model = AutoModelForCausalLM.from_config(config)
    refused = audit_init(model).query("warning != ''").tensor
    assert list(refused) == ["backbone.layers.0.mixer.A_log"]
    gamma_init_(model, 0.8, rules={"*.A_log": "leave"})
    assert audit_init(model, 0.8, rules={"*.A_log": "leave"}).ok.all()
    assert isinstance(model.backbone.layers[0].mixer.conv1d, nn.Conv1d)  # depthwise: 4 inputs
