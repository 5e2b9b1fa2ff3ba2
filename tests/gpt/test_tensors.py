"""The rule in modules of any make: right in every layer, or refused, and nothing drawn."""

import copy
import math
from functools import partial

import numpy as np
import pytest
import torch
from helpers import refusal
from torch import nn
from torch.ao.quantization import get_default_qat_qconfig
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.nn.utils import parametrizations, parametrize, prune
from transformers.integrations.bitnet import BitLinear
from transformers.pytorch_utils import Conv1D

from gammagpt import GPT, GPTConfig, audit_figure, audit_init, gamma_, gamma_init_
from gammagpt.gpt.init import init_table

SMALL = {"vocab_size": 40, "width": 32, "n_layer": 2}


def d_ins(module, **options) -> dict[str, int]:
    return {rule.name: rule.d_in for rule in init_table(module, 0.8, **options)}


def assert_refused_and_untouched(module, *words, **options) -> str:
    """One line with these words and no number to copy; every tensor is what it was."""
    before = copy.deepcopy(module.state_dict())
    message = refusal(gamma_init_, module, 0.8, **options)
    assert all(word in message for word in words), message
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    return message


# ---- the table of layouts ------------------------------------------------------------------------

LAYERS = [
    (nn.Linear(6, 8), {"weight": 6}),
    (nn.Embedding(40, 8), {"weight": 8}),
    (nn.Conv1d(6, 8, 5), {"weight": 30}),
    (nn.Conv2d(6, 8, (3, 5), groups=2), {"weight": 45}),
    (nn.Conv3d(4, 8, 2), {"weight": 32}),
    (nn.MultiheadAttention(8, 2), {"in_proj_weight": 8, "out_proj.weight": 8}),
    (nn.MultiheadAttention(8, 2, kdim=6, vdim=4),
     {"q_proj_weight": 8, "k_proj_weight": 6, "v_proj_weight": 4, "out_proj.weight": 8}),
    (nn.LayerNorm((3, 5)), {}),
    (nn.RMSNorm((3, 5)), {}),
]


@pytest.mark.parametrize("layer, expected", LAYERS, ids=lambda x: str(x)[:40])
def test_a_known_layer_says_its_own_input_dimension(layer, expected):
    assert d_ins(layer) == expected


@pytest.mark.parametrize("layer, expected", LAYERS, ids=lambda x: str(x)[:40])
def test_a_known_layer_is_drawn_and_its_biases_are_zero(layer, expected):
    gamma_init_(layer, 0.3)
    assert audit_init(layer, 0.3).ok.all()
    biases = [p for name, p in layer.named_parameters() if "bias" in name]
    assert not any(bias.any() for bias in biases)


def test_the_standard_deviation_after_a_layer_is_what_its_d_in_says():
    """By another route: inputs of variance 1 come out with variance d_in^(1 - 2 gamma)."""
    torch.manual_seed(0)
    for layer, shape in ((nn.Linear(96, 64), (500, 96)), (nn.Conv1d(16, 64, 5), (20, 16, 60)),
                         (nn.Conv2d(12, 63, 3, groups=3), (10, 12, 20, 20))):
        gamma_init_(layer, 0.8)
        d_in = d_ins(layer)["weight"]
        assert layer(torch.randn(shape)).std().item() == pytest.approx(d_in**-0.3, rel=0.06)


def test_the_row_of_padding_stays_zero_and_the_audit_leaves_it_out():
    layer = gamma_init_(nn.Embedding(5, 8, padding_idx=3), 0.5)
    assert not layer.weight[3].any() and (layer.weight.detach()[[0, 1, 2, 4]] != 0).all()
    assert audit_init(layer, 0.5).ok.all()


class Strange(nn.Linear):
    def forward(self, x):
        return x @ self.weight


class Tokens(nn.Module):
    """A tied head, and a vector."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(30, 8), nn.Linear(8, 30, bias=False)
        self.head.weight = self.embedding.weight


def with_parameter(module, **tensors):
    for name, tensor in tensors.items():
        module.register_parameter(name, nn.Parameter(tensor))
    return module


def clashing():
    module = nn.ModuleList([nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)])
    module[1].weight = nn.Parameter(module[0].weight.data.t())
    return module


def frozen_positions():
    return nn.Embedding.from_pretrained(torch.randn(5, 8))


def flat():
    layer = nn.Linear(6, 8)
    layer.weight = nn.Parameter(layer.weight.data.flatten())
    return layer


def shared(kind):
    module = nn.Module()
    module.a, module.b = nn.Linear(6, 6, bias=False), kind
    return with_parameter(module, b=module.a.weight.data)


UNKNOWN = {
    "a bare matrix": (with_parameter(nn.Module(), table=torch.zeros(4, 6)), "table", "(4, 6)"),
    "a bilinear layer": (nn.Bilinear(4, 5, 6), "weight", "Bilinear"),
    "a transposed convolution": (nn.ConvTranspose1d(4, 6, 3), "weight", "ConvTranspose1d"),
    "a recurrent layer": (nn.LSTM(4, 6), "weight_ih_l0", "LSTM"),
    "a layer of one's own": (Strange(4, 6), "weight", "Strange"),
    "keys that attention adds": (nn.MultiheadAttention(8, 2, add_bias_kv=True), "bias_k"),
    "a frozen embedding": (frozen_positions(), "weight", "frozen"),
}


@pytest.mark.parametrize("module, words", [(m, w) for m, *w in UNKNOWN.values()], ids=UNKNOWN)
def test_what_is_not_in_the_table_is_refused_without_a_number_to_copy(module, words):
    message = assert_refused_and_untouched(module, *words)
    assert message.startswith("rules: ") and "d_in" in message and "'axis N'" in message
    assert "rules={" not in message


HOPELESS = {
    "no shape yet": (nn.LazyLinear(4), "no shape yet"),
    "a flat shard": (flat(), "not of its layer's shape"),
    "one memory, two parameters": (clashing(), "1.weight", "memory with 0.weight"),
    "spectral norm": (parametrizations.spectral_norm(nn.Linear(6, 8)), "_SpectralNorm"),
    "orthogonal": (parametrizations.orthogonal(nn.Linear(6, 6)), "_Orthogonal"),
    "whole numbers": (nn.ParameterDict({"w": nn.Parameter(torch.ones(4, 4, dtype=torch.int8),
                                                          requires_grad=False)}), "int8"),
    "complex numbers": (nn.Linear(4, 4, dtype=torch.complex64), "complex64"),
    "a pruned layer": (prune.random_unstructured(nn.Linear(6, 8), "weight", 0.5), "weight"),
}


@pytest.mark.parametrize("module, words", [(m, w) for m, *w in HOPELESS.values()], ids=HOPELESS)
def test_what_cannot_be_drawn_is_refused_whatever_the_rules_say(module, words):
    for options in ({}, {"rules": {"*": "axis 1"}}) if "no shape" not in words[0] else ({},):
        message = refusal(gamma_init_, module, 0.8, **options)
        assert any(word in message for word in words) or "axis" in message, message


def quantized(*layers):
    """As torch quantizes while it runs: numbers that are packed, in no parameter at all."""
    return torch.ao.quantization.quantize_dynamic(nn.Sequential(*layers), {type(layers[0])})


def kept_as_buffer():
    layer = nn.Module()
    layer.register_buffer("qweight", torch.zeros(4, 6, dtype=torch.uint8))
    return nn.Sequential(nn.Linear(4, 4), layer)


def inferred():
    with torch.inference_mode():
        return nn.Linear(4, 4)


SILENT = {  # which nothing is drawn in, or not what was asked for
    "packed": (quantized(nn.Linear(4, 6)), "0._packed_params", "torch.ao.nn.quantized"),
    "packed, recurrent": (quantized(nn.LSTM(4, 6)), "torch.ao.nn.quantized"),
    "a convolution": (torch.ao.nn.quantized.Conv2d(3, 4, 3), "_packed_params", "quantized"),
    "trained quantized": (torch.ao.nn.qat.Linear(4, 6, qconfig=get_default_qat_qconfig("fbgemm")),
                          "weight", "torch.ao.nn.qat"),
    "an integer buffer": (kept_as_buffer(), "1.qweight", "uint8"),
    "transformers' own": (BitLinear(4, 8, False), "weight", "transformers.integrations.bitnet"),
    "padding with a norm": (parametrizations.weight_norm(nn.Embedding(5, 4, padding_idx=1)),
                            "row of zeros"),
    "made for inference": (nn.Sequential(nn.Linear(4, 4), inferred()), "1.weight", "inference"),
}


@pytest.mark.parametrize("module, words", [(m, w) for m, *w in SILENT.values()], ids=SILENT)
def test_numbers_that_are_no_parameters_or_cannot_be_changed_are_refused(module, words):
    before = [parameter.numpy(force=True).copy() for parameter in module.parameters()]
    message = refusal(gamma_init_, module, 0.8)
    assert message.startswith("rules: ") and all(word in message for word in words), message
    after = [parameter.numpy(force=True) for parameter in module.parameters()]
    assert all(np.array_equal(a, b, True) for a, b in zip(before, after, strict=True))
    assert (audit_init(module).warning != "").any()


def test_what_is_packed_can_be_left_and_the_rest_drawn():
    module = nn.ModuleList([quantized(nn.Linear(4, 6)), nn.Linear(4, 6)])
    gamma_init_(module, 0.8, rules={"*_packed_params": "leave"})
    assert audit_init(module, 0.8, rules={"*_packed_params": "leave"}).ok.all()


def test_a_mask_or_a_table_that_is_a_buffer_is_no_weight():
    module = nn.Linear(4, 6)
    module.register_buffer("weight_mask", torch.ones(6, 4, dtype=torch.bool))
    module.register_buffer("weights", torch.ones(9, 4))
    assert d_ins(module) == {"weight": 4}


def test_a_std_whose_squares_vanish_is_no_norm_of_a_weight():
    layer = parametrizations.weight_norm(nn.Linear(64, 8))
    message = refusal(gamma_init_, layer, 5, rules={"weight": 10**5})
    assert message.startswith("std of weight") and not layer.weight.isnan().any()


def test_a_subclass_of_transformers_conv1d_may_do_anything():
    class Other(Conv1D):
        def forward(self, x):
            return x @ self.weight.T

    assert d_ins(Conv1D(6, 8)) == {"weight": 8}
    assert_refused_and_untouched(Other(6, 8), "weight", "Other")


@pytest.mark.parametrize("package", ["peft.tuners.lora", "bitsandbytes.nn", "torchao.float8"])
def test_adapters_and_quantized_layers_are_refused_by_name(package):
    own = type("Wrapped", (nn.Module,), {"__module__": package})()
    own.inner = nn.Linear(4, 4)  # as peft keeps both the base layer and its adapters
    module = nn.Sequential(nn.Linear(4, 4), own)
    assert_refused_and_untouched(module, "1.inner.weight", package.split(".")[0])


def test_an_embedding_whose_head_is_another_matrix_of_the_same_tensor_is_drawn_once():
    assert d_ins(Tokens()) == {"embedding.weight": 8}


def test_a_tensor_that_two_layers_read_in_two_ways_is_refused():
    module = nn.ModuleDict({"matrix": nn.Linear(6, 8, bias=False), "kernel": nn.Conv1d(6, 8, 1)})
    module["kernel"].weight = nn.Parameter(torch.zeros(8, 6, 1))
    assert d_ins(module) == {"matrix.weight": 6, "kernel.weight": 6}
    module = nn.ModuleDict({"matrix": nn.Linear(6, 8, bias=False), "strange": Strange(6, 8, False)})
    module["strange"].weight = module["matrix"].weight
    assert_refused_and_untouched(module, "matrix.weight", "shared", "strange.weight")


def test_a_bias_that_the_model_keeps_too_becomes_zero():
    """As the heads of BERT and its kin have it."""
    module = nn.ModuleDict({"decoder": nn.Linear(6, 8)})
    module.register_parameter("bias", module["decoder"].bias)
    nn.init.ones_(module.bias)
    gamma_init_(module, 0.8)
    assert not module.bias.any() and audit_init(module, 0.8).ok.all()


# ---- rules ---------------------------------------------------------------------------------------


def test_a_rule_names_a_dimension_an_axis_or_what_is_left_alone():
    module = with_parameter(nn.Module(), a=torch.zeros(4, 6), b=torch.zeros(4, 6, 2),
                            c=torch.ones(3, 3))
    rules = {"a": np.int64(24), "b": "axis 1", "c": "leave"}
    assert d_ins(module, rules=rules) == {"a": 24, "b": 6}
    gamma_init_(module, 0.2, rules=rules)
    assert torch.equal(module.c, torch.ones(3, 3)) and audit_init(module, 0.2, rules=rules).ok.all()


@pytest.mark.parametrize("value", [True, 0, 1.0, "axis", "axis -1", "axis 2", "half", None, [1]])
def test_an_impossible_rule_is_refused(value):
    module = with_parameter(nn.Module(), a=torch.zeros(4, 6))
    assert repr(value) in assert_refused_and_untouched(module, "rules: ", rules={"a": value})


def test_a_rule_for_no_tensor_is_refused():
    assert_refused_and_untouched(nn.Linear(4, 4), "rules: ", "'wieght'", rules={"wieght": 4})


# ---- the same draw, whatever wraps the model -----------------------------------------------------


def gpt():
    return GPT(GPTConfig(**SMALL))


def same_tensors(one, other) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def wrapped_blocks(wrap):
    model = gpt()
    for i, block in enumerate(model.blocks):
        model.blocks[i] = wrap(block)
    return model


WRAPPED = {
    "compiled": lambda: torch.compile(gpt()),
    "compiled blocks": lambda: wrapped_blocks(torch.compile),
    "data parallel": lambda: nn.DataParallel(gpt()),
    "averaged": lambda: torch.optim.swa_utils.AveragedModel(gpt()),
    "checkpointed blocks": lambda: wrapped_blocks(checkpoint_wrapper),
    "both": lambda: torch.compile(wrapped_blocks(checkpoint_wrapper)),
}


@pytest.mark.parametrize("make", WRAPPED.values(), ids=WRAPPED)
def test_a_wrapper_changes_no_draw(make):
    plain, other = gamma_init_(gpt(), 0.8, seed=3), gamma_init_(make(), 0.8, seed=3)
    assert same_tensors(plain, other)
    options = {"residual_scaling": True, "depth_scaling": True, "parts": "embedding 1"}
    assert init_table(plain, 0.8, **options) == init_table(make(), 0.8, **options)


def test_a_module_that_is_called_module_keeps_its_name_where_it_has_siblings():
    """Or two tensors would have one name and one draw."""
    model = nn.ModuleDict({"weight": nn.Linear(4, 4, False), "module": nn.Linear(4, 4, False)})
    assert list(d_ins(model)) == ["weight.weight", "module.weight"]
    gamma_init_(model, 0.5)
    assert not torch.equal(model["weight"].weight, model["module"].weight)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_default_dtype_changes_no_draw(dtype):
    plain = gamma_init_(gpt(), 0.8)
    torch.set_default_dtype(dtype)
    try:
        other = gamma_init_(gpt(), 0.8)
    finally:
        torch.set_default_dtype(torch.float32)
    for a, b in zip(plain.parameters(), other.parameters(), strict=True):
        assert b.dtype == dtype and torch.equal(a.to(dtype), b)


def test_a_default_device_changes_no_draw():
    plain, other = gamma_init_(nn.Linear(4, 4), 0.8), nn.Linear(4, 4)
    with torch.device("meta"):
        gamma_init_(other, 0.8)
    assert torch.equal(plain.weight, other.weight)


def test_a_std_that_the_dtype_does_not_hold_is_refused():
    assert_refused_and_untouched(nn.Linear(64, 64, dtype=torch.float16), "std", "float16",
                                 rules={"weight": 10**6})


@pytest.mark.parametrize("wrap", [parametrizations.weight_norm], ids=["weight_norm"])
def test_a_parametrized_weight_is_drawn_as_the_layer_sees_it(wrap):
    plain, other = gamma_init_(nn.Linear(6, 8), 0.8), wrap(nn.Linear(6, 8))
    state = torch.get_rng_state()
    with torch.device("meta"):  # where a default device would put what is tried
        gamma_init_(other, 0.8)
    assert torch.equal(state, torch.get_rng_state())
    torch.testing.assert_close(plain.weight, other.weight)
    assert not other.bias.any() and audit_init(other, 0.8).ok.all()


def test_an_adapter_as_a_parametrization_is_refused():
    class LowRank(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Parameter(torch.zeros(8, 2)), nn.Parameter(torch.zeros(2, 6))

        def forward(self, weight):
            return weight + self.a @ self.b

        def right_inverse(self, weight):
            return weight

    layer = nn.Linear(6, 8)
    parametrize.register_parametrization(layer, "weight", LowRank())
    assert_refused_and_untouched(layer, "LowRank", "need not give any wanted value")


# ---- the device meta -----------------------------------------------------------------------------


def on_meta():
    with torch.device("meta"):
        return gpt()


def test_the_device_meta_is_refused_with_its_remedy():
    message = refusal(gamma_init_, on_meta(), 0.8)
    assert "meta" in message and "to_empty" in message


def test_after_to_empty_reset_gives_the_model_that_was_never_on_meta():
    model = on_meta().to_empty(device="cpu")
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data.fill_(math.nan)  # what the memory happened to hold
    gamma_init_(model, 0.8, reset=True)
    plain = gamma_init_(gpt(), 0.8)
    assert same_tensors(plain, model)
    tokens = torch.arange(20)[None]
    assert torch.equal(plain(tokens), model(tokens))


def test_reset_refuses_a_module_that_cannot_reset_itself():
    module = nn.Sequential(nn.Linear(4, 4), with_parameter(nn.Module(), gain=torch.ones(4)))
    assert_refused_and_untouched(module, "reset: got '1 (", "reset_parameters", reset=True)


# ---- other people's names ------------------------------------------------------------------------


def nano(attention="attn", mlp="mlp", out="c_proj", down="c_proj", lists=("h",)):
    """A decoder with the given names: (width 8, two blocks)."""

    def block():
        return nn.ModuleDict({
            attention: nn.ModuleDict({"qkv": nn.Linear(8, 24), out: nn.Linear(8, 8)}),
            mlp: nn.ModuleDict({"up": nn.Linear(8, 32), down: nn.Linear(32, 8)}),
        })

    stacks = {name: nn.ModuleList([block(), block()]) for name in lists}
    return nn.ModuleDict({"wte": nn.Embedding(20, 8), **stacks, "lm_head": nn.Linear(8, 20)})


@pytest.mark.parametrize("names", [
    {}, {"attention": "self_attn", "out": "o_proj", "down": "down_proj"},
    {"attention": "attention", "mlp": "feed_forward", "out": "wo", "down": "w2"},
    {"attention": "attention", "out": "dense", "down": "dense_4h_to_h"},
])
def test_scalings_and_parts_find_what_writes_in_the_usual_names(names):
    model = nano(**names)
    options = {"residual_scaling": True, "depth_scaling": True, "parts": "mlp 1, head 0.5"}
    table = {rule.name: rule.std for rule in init_table(model, 0.8, **options)}
    attention, mlp = names.get("attention", "attn"), names.get("mlp", "mlp")
    out, down = names.get("out", "c_proj"), names.get("down", "c_proj")
    for block in (0, 1):
        by = math.sqrt(block + 1)
        assert table[f"h.{block}.{attention}.qkv.weight"] == pytest.approx(8**-0.8 / by)
        assert table[f"h.{block}.{attention}.{out}.weight"] == pytest.approx(8**-0.8 / by / 2)
        assert table[f"h.{block}.{mlp}.up.weight"] == pytest.approx(8**-1 / by)
        assert table[f"h.{block}.{mlp}.{down}.weight"] == pytest.approx(32**-1 / by / 2)
    assert table["wte.weight"] == 8**-0.8 and table["lm_head.weight"] == 8**-0.5


def test_names_that_are_not_known_are_asked_for_and_taken():
    model = nano(attention="look", mlp="think", out="say", down="tell")
    message = refusal(init_table, model, 0.8, depth_scaling=True)
    assert message.startswith("depth_scaling: ")
    names = {"block": "h.*", "attention": "*.look.*", "mlp": "*.think.*",
             "writer": ["*.say.weight", "*.tell.weight"]}
    options = {"residual_scaling": True, "depth_scaling": True, "parts": "mlp 1"}
    told = {r.name: r.std for r in init_table(model, 0.8, names=names, **options)}
    known = {r.name: r.std for r in init_table(nano(), 0.8, **options)}
    assert list(told.values()) == list(known.values())


@pytest.mark.parametrize("model, words", [
    (lambda: nano(out="say"), ("attention of block 1", "writer")),
    (lambda: nano(mlp="think"), ("h.0.think.up.weight", "'mlp'")),
    (lambda: nano(lists=("encoder", "decoder")), ("['encoder', 'decoder']", "'block'")),
])
def test_a_structure_that_is_not_clear_is_asked_for(model, words):
    assert_refused_and_untouched(model(), "names: ", *words, residual_scaling=True)


@pytest.mark.parametrize("names", [{"tail": "x"}, {"mlp": 3}, {"mlp": [3]}])
def test_impossible_names_are_refused(names):
    message = refusal(init_table, nano(), 0.8, names=names, depth_scaling=True)
    assert message.startswith("names: got ")


# ---- one tensor at a time ------------------------------------------------------------------------


def test_gamma_fills_a_tensor_like_torch_nn_init():
    torch.manual_seed(0)
    tensor = torch.empty(400, 64)
    assert gamma_(tensor, 0.8) is tensor
    wide = gamma_(nn.Parameter(torch.empty(64, 400)), 0.8, d_in=np.int64(64))
    assert wide.requires_grad
    for filled in (tensor, wide.detach()):
        assert filled.std().item() == pytest.approx(64**-0.8, rel=0.02)


def test_gamma_uses_the_generator_that_it_is_given_or_the_global_one():
    def draw():
        return gamma_(torch.empty(3, 4), 0.5, generator=torch.Generator().manual_seed(1))

    assert torch.equal(draw(), draw())
    torch.manual_seed(5)
    mine = gamma_(torch.empty(3, 4), 0.5)
    torch.manual_seed(5)
    assert torch.equal(mine, torch.nn.init.normal_(torch.empty(3, 4), 0, 0.5))


@pytest.mark.parametrize("tensor, options, word", [
    (torch.empty(4), {}, "d_in"), (torch.empty(2, 3, 4), {}, "d_in"),
    (torch.empty(4, 4), {"d_in": 0}, "d_in"), (torch.empty(4, 4), {"d_in": 4.0}, "d_in"),
    (torch.empty(4, 4, device="meta"), {}, "meta"), (torch.ones(4, 4).int(), {}, "int32"),
    (torch.empty(4, 4), {"gamma": "0.8"}, "gamma"), (torch.empty(4, 4), {"gamma": 9}, "gamma"),
])
def test_gamma_refuses_what_it_cannot_fill(tensor, options, word):
    assert word in refusal(partial(gamma_, tensor), **{"gamma": 0.8} | options)


# ---- numbers of numpy ----------------------------------------------------------------------------


def test_numpy_numbers_are_numbers():
    plain = gamma_init_(nn.Linear(8, 8), 0.5, seed=3).weight
    for gamma in (np.float64(0.5), np.float32(0.5)):
        assert torch.equal(gamma_init_(nn.Linear(8, 8), gamma, seed=np.int64(3)).weight, plain)
    assert audit_init(gamma_init_(nn.Linear(8, 8), std=np.float32(1)), std=np.int64(1)).ok.all()


@pytest.mark.parametrize("value", [np.array([0.5]), np.bool_(True), torch.tensor(0.5), 1j, None])
def test_what_is_no_number_is_refused(value):
    if value is not None:
        assert "gamma" in refusal(gamma_init_, nn.Linear(4, 4), value)
    assert "seed" in refusal(gamma_init_, nn.Linear(4, 4), 0.5, seed=value)


# ---- the audit -----------------------------------------------------------------------------------


def test_the_audit_needs_no_rule_and_says_where_two_layouts_are_possible():
    module = nn.ModuleDict({"known": nn.Linear(16, 32), "bare": Strange(16, 64)})
    nn.init.normal_(module["bare"].weight, 0, 0.1)
    table = audit_init(module).set_index("tensor")
    assert table.d_in["known.weight"] == 16 and table.warning["known.weight"] == ""
    row = table.loc["bare.weight"]
    assert math.isnan(row.d_in) and row["std"] == pytest.approx(0.1, rel=0.1)
    low, high = (f"gamma {-math.log(row['std']) / math.log(n):.2f} if axis {axis} of {n}"
                 for axis, n in ((0, 64), (1, 16)))
    assert low in row.warning and high in row.warning


def test_what_the_audit_cannot_tell_is_not_ok():
    module = nn.ModuleDict({"known": nn.Linear(16, 32), "bare": Strange(16, 64)})
    gamma_init_(module, 0.8, rules={"bare.weight": "axis 0"})
    assert list(audit_init(module, 0.8).ok) == [True, False]
    assert audit_init(module, 0.8, rules={"bare.weight": "axis 0"}).ok.all()


def test_the_audit_of_a_model_on_meta_says_so():
    table = audit_init(on_meta(), 0.8)
    assert table["std"].isna().all() and not table.ok.any()
    assert table.warning.str.contains("to_empty").all() and table.d_in.notna().all()


def test_the_picture_of_an_audit_has_every_tensor_that_has_a_gamma():
    module = nn.ModuleDict({"known": nn.Linear(16, 32), "bare": Strange(16, 64)})
    picture = audit_figure(audit_init(module.requires_grad_(False)))
    assert "nown.weight" in picture.alt and "bare" not in picture.alt
    assert b"known.weight" in picture.svg() and "Not known of 1 more" in picture.caption
