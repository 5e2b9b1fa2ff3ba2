"""A member of a stack is the run that it would be alone: by module, by step, and by run.

Tolerances: modules in float64 to 1e-10; short runs in float32 to 1e-4 of the loss (a run grows its
rounding errors, so that a long one may part from itself, whatever trains it).
"""

import warnings
from dataclasses import replace

import pytest
import torch
import torch.nn as nn
from helpers import refusal, small_anchor_run
from hypothesis import given
from hypothesis import strategies as st
from torch.func import functional_call, vmap

from gammagpt import GPT, GPTConfig, InitConfig, OptimConfig, RunConfig, gamma_init_, train
from gammagpt.gpt.device import can_compile
from gammagpt.gpt.emb_mlp import EmbMLP, EmbMLPConfig
from gammagpt.gpt.engine import BLOCKS, Stack, make_engine, shape
from gammagpt.gpt.model import (
    MLP,
    Attention,
    Block,
    RMSNorm,
    library_kernel,
    rotary_table,
    written_out,
)
from gammagpt.gpt.optim import StackedAdamW, learning_rate, make_adamw, stacked_adamw_
from gammagpt.lab.training import train_stack

CPU = torch.device("cpu")
SMALL = GPTConfig(vocab_size=50, block_size=12, n_layer=2, n_head=2, width=16)


def member_runs(tiny) -> list[RunConfig]:
    """Runs that differ in all that the members of a stack may differ in."""
    optims = [
        OptimConfig(learning_rate=0.02),
        OptimConfig(learning_rate=0.004, weight_decay=1.0, warmup=0.5, clip=0.1, eps=1e-4),
        OptimConfig(learning_rate=0.01, beta1=0.8, beta2=0.99, clip=0.0, final_ratio=1.0),
        OptimConfig(learning_rate=0.03, weight_decay=0.0, warmup=0.0),
    ]
    gpt = tiny.model.kind == "gpt"  # only a GPT has norms, and a residual stream
    inits = [InitConfig(0.5), InitConfig(1.2), InitConfig(None, 0.02, gpt), InitConfig(0.8)]
    epsilons = [1e-5, 1e-12, 1e-5, 1e-2]
    models = [replace(tiny.model, norm_eps=eps) if gpt else tiny.model for eps in epsilons]
    return [
        replace(tiny, init=init, optim=optim, seed=seed, model=model)
        for seed, (init, optim, model) in enumerate(zip(inits, optims, models, strict=True))
    ]


def assert_same_outcome(one, other, tolerance):
    assert (one.config, one.status, one.diverged_at) == (
        other.config,
        other.status,
        other.diverged_at,
    )

    def close(values, name):
        if values is None:  # it never left the unigram plateau
            return None
        # an answer more or less is rounding too
        slack = 0.04 if name.endswith("_accuracy") else 0
        return pytest.approx(values, rel=tolerance, abs=slack)

    assert one.final == {name: close(value, name) for name, value in other.final.items()}
    assert list(one.curves) == list(other.curves)
    for name in one.curves:
        steps, values = zip(*one.curves[name], strict=True)
        other_steps, other_values = zip(*other.curves[name], strict=True)
        assert steps == other_steps and values == close(other_values, name)
    assert [p["step"] for p in one.probes] == [p["step"] for p in other.probes]
    for probe, other_probe in zip(one.probes, other.probes, strict=True):
        assert list(probe) == list(other_probe)
        if "geometry" in probe:
            assert_same_numbers(probe["geometry"], other_probe["geometry"], atol=0.005)
        for name in ("tokens", "sinks"):
            assert_same_numbers(probe.get(name, {}), other_probe.get(name, {}), atol=0.005)
        for name, tensor in probe.get("tensors", {}).items():
            for what in ("norm", "stable_rank", "effective_rank", "mean_cosine"):
                expected = pytest.approx(other_probe["tensors"][name][what], rel=20 * tolerance)
                assert tensor[what] == expected, (probe["step"], name, what)


def assert_same_numbers(one, other, atol):
    """Of two trees with numbers of three decimals; an axis may point in either direction."""
    if isinstance(one, dict):
        assert list(one) == list(other)
        for name in one:
            assert_same_numbers(one[name], other[name], atol)
    elif isinstance(one, list):
        for part, other_part in zip(one, other, strict=True):
            assert_same_numbers(part, other_part, atol)
    else:
        assert abs(one) == pytest.approx(abs(other), abs=atol, rel=1e-4)


# ---- runs --------------------------------------------------------------------------------------


MODELS = [
    {},
    {"gate": True, "tied": True},
    {"gate": True, "gate_scale": 2.0, "gate_trained": False},
    {"head_bias": "unigram", "qk_norm": True},
    {"head_bias": "zero"},
]


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_every_member_leaves_the_record_that_it_leaves_alone(tiny, model):
    probes = replace(tiny.probes, tokens=3, sinks=3)
    tiny = replace(tiny, steps=24, model=replace(tiny.model, **model), probes=probes)
    runs = member_runs(tiny)
    stacked = train_stack(runs)
    assert len({record.final["validation_loss"] for record in stacked}) == len(runs)
    for run, record in zip(runs, stacked, strict=True):
        assert_same_outcome(record, train(run), tolerance=1e-4)
        assert record.provenance["members"] == len(runs)


@pytest.mark.parametrize(
    "kind, model",
    [
        ("emb_mlp", {}), ("emb_mlp", {"activation": "relu"}),
        ("gpt", {}), ("gpt", {"positions": "rotary", "gate": True}),
    ],
    ids=str,
)
def test_every_member_that_learns_anchors_leaves_the_record_that_it_leaves_alone(kind, model):
    probes = {"losses": 4, "windows": 30, "final_windows": 60, "spectra": 3, "geometry": 3}
    runs = member_runs(small_anchor_run(kind, model=model, probes=probes, steps=16))
    stacked = train_stack(runs)
    assert len({record.final["validation_loss"] for record in stacked}) == len(runs)
    assert len(stacked[0].probes) == 3 and {"geometry", "tensors"} <= set(stacked[0].probes[-1])
    for run, record in zip(runs, stacked, strict=True):
        assert_same_outcome(record, train(run), tolerance=1e-4)
        assert record.provenance["members"] == len(runs)


def test_members_that_learn_anchors_have_each_the_sequences_of_their_seed():
    base = small_anchor_run("emb_mlp", steps=3, init={"gamma": 3.0})
    twins = [replace(base, seed=seed) for seed in (0, 0, 1)]
    one, same, other = (record.curves for record in train_stack(twins))
    assert one == same != other


@pytest.mark.parametrize(
    "change", [{"samples": 100}, {"keys": "22..31"}, {"held_out": ""}], ids=str
)
def test_runs_on_other_anchors_do_not_stack(change):
    one, other = small_anchor_run("gpt"), small_anchor_run("gpt", data=change)
    assert refusal(train_stack, [one, other]).startswith("stack: its runs may")


@pytest.mark.parametrize("kind", ["emb_mlp", "gpt"])
def test_a_run_whose_geometry_is_beyond_all_numbers_has_diverged_and_the_others_go_on(kind):
    probes = {"losses": 2, "windows": 8, "final_windows": 8, "geometry": 40}
    calm = small_anchor_run(kind, probes=probes, steps=20)
    optim = OptimConfig(learning_rate=1e6, clip=0.0, warmup=0.0, weight_decay=10.0)
    wild = replace(calm, optim=optim)
    stacked = train_stack([calm, wild])
    assert [record.status for record in stacked] == ["ok", "diverged"]
    alone = train(wild)
    assert (alone.status, alone.diverged_at) == ("diverged", stacked[1].diverged_at)
    for record in (*stacked, alone):
        assert "NaN" not in record.to_json() and len(record.probes) >= 1


def test_a_member_does_not_depend_on_its_company(tiny):
    runs = member_runs(tiny)
    together, pairs = train_stack(runs), train_stack(runs[:2]) + train_stack(runs[:1:-1])[::-1]
    for one, other in zip(together, pairs, strict=True):
        assert_same_outcome(one, other, tolerance=1e-5)


def test_a_diverged_member_is_recorded_and_the_others_go_on(tiny):
    tiny = replace(tiny, steps=40)
    optim = OptimConfig(learning_rate=1e6, clip=0.0, warmup=0.0, weight_decay=10.0)
    wild = replace(tiny, optim=optim)
    calm = member_runs(tiny)[:2]
    stacked = train_stack([calm[0], wild, calm[1]])
    assert [record.status for record in stacked] == ["ok", "diverged", "ok"]
    assert stacked[1].diverged_at == train(wild).diverged_at
    for record, run in ((stacked[0], calm[0]), (stacked[2], calm[1])):
        assert_same_outcome(record, train(run), tolerance=1e-4)


def test_a_stack_of_which_all_diverge_ends_early(tiny):
    runs = [replace(tiny, init=InitConfig(std=1e30), seed=seed) for seed in (0, 1)]
    assert [record.status for record in train_stack(runs)] == ["diverged"] * 2


def test_a_frozen_member_keeps_its_weights(tiny):
    stack = Stack(member_runs(tiny)[:2], CPU, compiled=False)
    before = {name: weight.clone() for name, weight in stack.weights(1).items()}
    with torch.no_grad():
        gradients = [torch.ones_like(weight) for weight in stack.optimizer.weights]
        stack.optimizer.step(gradients, torch.tensor([1.0, float("nan")]), 0)
        stack.optimizer.step(gradients, torch.tensor([1.0, 1.0]), 1)  # once frozen, for good
    assert all(torch.equal(before[name], weight) for name, weight in stack.weights(1).items())
    assert not torch.equal(before["head.weight"], stack.weights(0)["head.weight"])


def test_the_progress_of_a_stack_is_the_mean_over_its_members(tiny):
    runs, stacked, alone = member_runs(tiny)[:2], [], [[], []]
    train_stack(runs, progress=lambda step, loss: stacked.append(loss))
    for run, losses in zip(runs, alone, strict=True):
        train(run, progress=lambda step, loss, losses=losses: losses.append(loss))
    means = [sum(pair) / 2 for pair in zip(*alone, strict=True)]
    assert len(stacked) == tiny.steps and stacked == pytest.approx(means, rel=1e-4)


@pytest.mark.parametrize(
    "change", [{"steps": 13}, {"batch_size": 4}, {"precision": "bfloat16"}], ids=str
)
def test_runs_of_different_shape_do_not_stack(tiny, change):
    assert refusal(train_stack, [tiny, replace(tiny, **change)]).startswith("stack: its runs may")
    assert shape(tiny) != shape(replace(tiny, **change))


# ---- precision and compilation -----------------------------------------------------------------


def test_bfloat16_is_used_in_a_stack_as_alone(tiny):
    runs = [replace(run, precision="bfloat16") for run in member_runs(tiny)]
    for record, run in zip(train_stack(runs), runs, strict=True):
        assert_same_outcome(record, train(run), tolerance=0.01)
        reference = train(replace(run, precision="float32"))
        assert record.final != reference.final


def test_bfloat16_moves_a_gamma_sweep_less_than_a_seed_does(tiny):
    """What precision does to the science: gamma 1.2 included, at a rate that trains them all."""
    optim = OptimConfig(learning_rate=0.01)
    runs = [
        replace(tiny, steps=40, optim=optim, init=InitConfig(gamma), seed=seed)
        for gamma in (0.5, 0.8, 1.2) for seed in (0, 1, 2)
    ]
    losses = {}
    for precision in ("float32", "bfloat16"):
        records = train_stack([replace(run, precision=precision) for run in runs])
        found = torch.tensor([record.final["validation_loss"] for record in records])
        losses[precision] = found.view(3, 3)  # gamma, seed
    spread = losses["float32"].std(dim=1)
    shift = (losses["bfloat16"] - losses["float32"]).mean(dim=1).abs()
    assert (shift < spread).all() and (shift < 0.02).all(), (shift, spread)


def test_a_run_whose_blocks_are_compiled_gives_the_same_record_whatever_its_head_and_epsilon(tiny):
    """One program for both: neither the bias nor the epsilon is compiled again."""
    model = replace(tiny.model, norm_eps=1e-12, head_bias="zero")
    runs = [tiny, replace(tiny, model=model)]
    torch._dynamo.reset()
    for run in runs:
        assert_same_outcome(train(run, compiled=BLOCKS), train(run), tolerance=1e-4)
    frames = torch._dynamo.utils.counters["frames"]
    before = frames["total"]
    train(replace(runs[1], seed=5), compiled=BLOCKS)
    assert frames["total"] == before


def test_a_compiled_run_or_stack_gives_the_same_records(tiny):
    if not can_compile(CPU):
        pytest.skip("torch.compile cannot run here: there is no C++ compiler")
    runs = member_runs(tiny)[:2]
    plain = train_stack(runs)
    assert_same_outcome(train(runs[0], compiled=True), plain[0], tolerance=1e-4)
    for one, other in zip(train_stack(runs, compiled=True), plain, strict=True):
        assert_same_outcome(one, other, tolerance=1e-4)


def test_without_a_compiler_training_goes_on_with_one_line_of_warning(tiny, monkeypatch):
    def no_compiler(function, **named):
        raise RuntimeError("no C++ compiler\nand a long story")

    can_compile.cache_clear()
    monkeypatch.setattr(torch, "compile", no_compiler)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        record = train(tiny, compiled=True)
        train(replace(tiny, seed=1), compiled=True)
    can_compile.cache_clear()
    found = [str(w.message) for w in caught if "compile" in str(w.message)]
    expected = "compile: not possible here, training goes on without it (no C++ compiler)"
    assert found == [expected] and record.status == "ok"


# ---- module by module --------------------------------------------------------------------------


def assert_maps(modules, *inputs):
    """vmap over the stacked weights of the modules gives what each gives alone, and its gradient.

    inputs: one tensor a member, or one for all (the rotary table).
    """
    modules = [module.double() for module in modules]
    weights = {
        name: torch.stack([dict(m.named_parameters())[name].detach() for m in modules])
        for name, _ in modules[0].named_parameters()
    }
    in_dims = tuple(0 if len(x) == len(modules) else None for x in inputs)

    def call(weights, *inputs):
        return functional_call(modules[0], weights, inputs)

    def total(weights):
        return vmap(call, in_dims=(0, *in_dims))(weights, *inputs).sin().sum()

    stacked = vmap(call, in_dims=(0, *in_dims))(weights, *inputs)
    gradients = torch.func.grad(total)(weights)
    for i, module in enumerate(modules):
        own = [x[i] if dim == 0 else x for x, dim in zip(inputs, in_dims, strict=True)]
        alone = module(*own)
        torch.testing.assert_close(stacked[i], alone, rtol=1e-10, atol=1e-12)
        alone.sin().sum().backward()
        for name, weight in module.named_parameters():
            torch.testing.assert_close(gradients[name][i], weight.grad, rtol=1e-8, atol=1e-10)


def drawn(make, count=3) -> list[nn.Module]:
    return [gamma_init_(make(), 0.3 + 0.2 * i, seed=i) for i in range(count)]


def noise(*size):
    return torch.randn(*size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("attend", [library_kernel, written_out])
@pytest.mark.parametrize("gate", [False, True], ids=["no gate", "gate"])
def test_attention_maps(gate, attend):
    config = replace(SMALL, gate=gate)
    modules = drawn(lambda: Attention(config))
    for module in modules:
        module.attend = attend
    assert_maps(modules, noise(3, 2, 12, 16), rotary_table(config).double())


def test_a_norm_maps():
    modules = [RMSNorm(16, 1e-5) for _ in range(3)]
    for i, module in enumerate(modules):
        nn.init.constant_(module.weight, 1 + i)
    assert_maps(modules, noise(3, 2, 12, 16))


def test_an_mlp_maps():
    assert_maps(drawn(lambda: MLP(SMALL)), noise(3, 2, 12, 16))


def test_a_block_maps():
    assert_maps(drawn(lambda: Block(SMALL)), noise(3, 2, 12, 16), rotary_table(SMALL).double())


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_the_whole_model_maps(tied):
    config = replace(SMALL, tied=tied)
    tokens = torch.randint(50, (3, 2, 12), generator=torch.Generator().manual_seed(0))
    assert_maps(drawn(lambda: GPT(config)), tokens)


@pytest.mark.parametrize("last", [False, True], ids=["every token", "the last token"])
def test_a_model_with_learned_positions_maps(last):
    class Last(GPT):
        def forward(self, tokens):
            return super().forward(tokens, last=last)

    config = replace(SMALL, positions="learned")
    tokens = torch.randint(50, (3, 2, 12), generator=torch.Generator().manual_seed(0))
    assert_maps(drawn(lambda: Last(config)), tokens)


def test_an_emb_mlp_maps():
    config = EmbMLPConfig(vocab_size=50, block_size=4, width=16, hidden=24)
    tokens = torch.randint(50, (3, 2, 4), generator=torch.Generator().manual_seed(0))
    assert_maps(drawn(lambda: EmbMLP(config)), tokens)


@given(st.integers(1, 3), st.integers(1, 9), st.sampled_from([2, 4]), st.floats(0.1, 30))
def test_attention_written_out_is_the_librarys(batch, length, size, scale):
    q, k, v = scale * noise(3, batch, 2, length, size)
    torch.testing.assert_close(written_out(q, k, v), library_kernel(q, k, v))


def test_attention_written_out_never_looks_ahead():
    q, k, v = noise(3, 1, 2, 9, 4)
    before = written_out(q, k, v)
    k[..., 5:, :], v[..., 5:, :] = 1e3, 1e3
    assert torch.equal(written_out(q, k, v)[..., :5, :], before[..., :5, :])


# ---- the optimizer -----------------------------------------------------------------------------


def test_the_stacked_optimizer_is_torchs_member_by_member(tiny):
    optims = [run.optim for run in member_runs(tiny)]
    steps, generator = 10, torch.Generator().manual_seed(0)
    layers = [nn.Sequential(nn.Linear(5, 4), RMSNorm(4, 1e-5)) for _ in optims]
    weights = [torch.stack(ps).detach() for ps in zip(*(m.parameters() for m in layers))]  # noqa: B905
    stacked = StackedAdamW(weights, optims, steps, stacked_adamw_)
    alone = [make_adamw(layer, optim) for layer, optim in zip(layers, optims, strict=True)]
    for step in range(steps):
        gradients = [3 * torch.randn(w.shape, generator=generator) for w in weights]
        stacked.step(gradients, torch.zeros(len(optims)), step)
        for i, (layer, optim, adamw) in enumerate(zip(layers, optims, alone, strict=True)):
            for parameter, gradient in zip(layer.parameters(), gradients, strict=True):
                parameter.grad = gradient[i].clone()
            if optim.clip:
                nn.utils.clip_grad_norm_(layer.parameters(), optim.clip)
            for group in adamw.param_groups:
                group["lr"] = learning_rate(optim, step, steps)
            adamw.step()
            for weight, parameter in zip(weights, layer.parameters(), strict=True):
                torch.testing.assert_close(weight[i], parameter.detach(), rtol=1e-5, atol=1e-7)


def test_one_run_is_the_plain_model_and_several_are_a_stack(tiny):
    single, stack = (make_engine([tiny] * n, CPU, compiled=False) for n in (1, 2))
    assert isinstance(single.model, GPT) and isinstance(stack, Stack)
    assert list(single.weights(0)) == list(stack.weights(1))
