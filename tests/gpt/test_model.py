"""The GPT against an independent float64 implementation, and what each part promises."""

import math

import pytest
import torch
from helpers import refusal

from gammagpt import GPT, GPTConfig, RunConfig, gamma_init_
from gammagpt.gpt.model import RMSNorm, cross_entropy, rotary_table, rotate

SMALL = {"vocab_size": 50, "block_size": 16, "n_layer": 2, "n_head": 2, "width": 16}
VARIANTS = {
    "default": {},
    "gate": {"gate": True},
    "tied": {"tied": True},
    "large eps, other base": {"norm_eps": 0.5, "rope_base": 100.0},
    "own hidden width, four heads": {"hidden": 20, "n_head": 4},
    "learned positions": {"positions": "learned"},
    "normed queries and keys": {"qk_norm": True},
    "output bias": {"head_bias": "zero"},
}


def build(seed=0, gamma=0.5, **variant) -> GPT:
    model = gamma_init_(GPT(GPTConfig(**SMALL | variant)), gamma, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "norm" in name or "bias" in name:  # gains other than one, so that they are tested too
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


def some_tokens(batch=3, length=16, seed=0):
    return torch.randint(50, (batch, length), generator=torch.Generator().manual_seed(seed))


# ---- an implementation of our own, one sequence and one head at a time, in float64 -------------


def reference_norm(x, gain, eps):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * gain


def reference_turn(x, base):
    """(T, D): the pair (x_j, x_{j+D/2}) is a complex number, turned by t * base^(-2j/D)."""
    T, D = x.shape
    angle = torch.outer(
        torch.arange(T, dtype=torch.float64),
        torch.tensor([base ** (-2 * j / D) for j in range(D // 2)], dtype=torch.float64),
    )
    turned = torch.complex(x[:, : D // 2], x[:, D // 2 :]) * torch.polar(
        torch.ones_like(angle), angle
    )
    return torch.cat((turned.real, turned.imag), dim=1)


def reference_attention(x, w, prefix, config):
    """(T, C): softmax of the scaled scores of each head over the tokens up to one's own."""
    heads = []
    for chunk in torch.arange(config.width).chunk(config.n_head):
        q, k, v = (x @ w[f"{prefix}{part}.weight"][chunk].T for part in ("query", "key", "value"))
        if config.qk_norm:
            q, k = (reference_norm(y, w[f"{prefix}{part}_norm.weight"], config.norm_eps)
                    for y, part in ((q, "query"), (k, "key")))
        if config.positions == "rotary":
            q, k = reference_turn(q, config.rope_base), reference_turn(k, config.rope_base)
        scores = q @ k.T / math.sqrt(len(chunk))
        future = torch.ones_like(scores).triu(1).bool()
        heads.append(torch.softmax(scores.masked_fill(future, -math.inf), dim=-1) @ v)
    y = torch.cat(heads, dim=1)
    if config.gate:
        y = y / (1 + torch.exp(-x @ w[f"{prefix}gate.weight"].T))
    return y @ w[f"{prefix}out.weight"].T


def reference_mlp(x, w, prefix):
    gate = x @ w[f"{prefix}gate.weight"].T
    up = x @ w[f"{prefix}up.weight"].T
    return (gate / (1 + torch.exp(-gate)) * up) @ w[f"{prefix}down.weight"].T


def reference_logits(w, tokens, config):
    x, eps = w["embedding.weight"][tokens], config.norm_eps
    if config.positions == "learned":
        x = x + w["positions.weight"]
    for i in range(config.n_layer):
        b = f"blocks.{i}."
        normed = reference_norm(x, w[f"{b}norm1.weight"], eps)
        x = x + reference_attention(normed, w, f"{b}attention.", config)
        x = x + reference_mlp(reference_norm(x, w[f"{b}norm2.weight"], eps), w, f"{b}mlp.")
    head = w["embedding.weight"] if config.tied else w["head.weight"]
    return reference_norm(x, w["norm.weight"], eps) @ head.T + w.get("head.bias", 0)


def reference_loss(logits, targets):
    shares = torch.exp(logits) / torch.exp(logits).sum(-1, keepdim=True)
    return -torch.log(shares.gather(-1, targets[..., None])).mean()


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS)
def both(request):
    """(model, reference weights) of one variant, with the same float64 values."""
    model = build(**request.param).double()
    weights = {n: p.detach().clone().requires_grad_() for n, p in model.named_parameters()}
    return model, weights


def test_logits_are_those_of_the_reference(both):
    model, weights = both
    expected = torch.stack([reference_logits(weights, row, model.config) for row in some_tokens()])
    torch.testing.assert_close(model(some_tokens()), expected, rtol=1e-5, atol=1e-6)


def test_loss_and_all_gradients_are_those_of_the_reference(both):
    model, weights = both
    tokens, targets = some_tokens(), some_tokens(seed=1)
    loss = cross_entropy(model(tokens), targets)
    loss.backward()
    logits = torch.stack([reference_logits(weights, row, model.config) for row in tokens])
    expected = reference_loss(logits, targets)
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().max() > 0, name
        torch.testing.assert_close(parameter.grad, weights[name].grad, rtol=1e-4, atol=1e-7)


def test_a_summed_loss_is_the_mean_times_the_number_of_tokens():
    logits, targets = build()(some_tokens()), some_tokens(seed=1)
    total = cross_entropy(logits, targets, reduction="sum")
    torch.testing.assert_close(total, cross_entropy(logits, targets) * 48)


def test_logits_of_the_last_token_alone_are_the_last_row_of_all(both):
    model, _ = both
    found = model(some_tokens(), last=True)
    assert found.shape == (3, 50)
    torch.testing.assert_close(found, model(some_tokens())[:, -1], rtol=1e-12, atol=1e-14)


# ---- attention and positions -------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 7, 15])
def test_future_tokens_do_not_change_past_logits(cut):
    model, tokens = build(gate=True), some_tokens()
    other = torch.cat((tokens[:, :cut], (tokens[:, cut:] + 1) % 50), dim=1)
    before, after = model(tokens), model(other)
    torch.testing.assert_close(before[:, :cut], after[:, :cut], rtol=0, atol=1e-6)
    assert (before[:, cut:] - after[:, cut:]).abs().amax(-1).min() > 1e-3


def test_past_tokens_change_the_logits_of_every_later_one():
    model, tokens = build(), some_tokens()
    other = tokens.clone()
    other[:, 0] = (other[:, 0] + 1) % 50
    assert (model(tokens) - model(other)).abs().amax(-1).min() > 1e-6


def test_rows_of_a_batch_do_not_see_each_other():
    model, tokens = build(), some_tokens()
    alone = torch.cat([model(tokens[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(model(tokens), alone, rtol=1e-5, atol=1e-6)


def test_scores_depend_only_on_the_distance_of_two_positions():
    config = GPTConfig(**SMALL)
    q, k = torch.randn(2, 1, 1, 1, config.head_size, generator=torch.Generator().manual_seed(0))
    table = rotary_table(config)
    q, k = (rotate(x.expand(1, 1, 16, -1), table)[0, 0] for x in (q, k))
    scores = q @ k.T
    diagonals = [scores.diagonal(offset) for offset in range(-15, 16)]
    assert max((d - d[0]).abs().max() for d in diagonals) < 1e-5
    assert len({round(d[0].item(), 3) for d in diagonals}) > 15  # and they do depend on it


def test_the_first_position_is_not_turned():
    x = torch.randn(1, 2, 3, 8, generator=torch.Generator().manual_seed(0))
    turned = rotate(x, rotary_table(GPTConfig(**SMALL)))
    torch.testing.assert_close(turned[:, :, 0], x[:, :, 0])
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_the_order_of_the_tokens_matters(positions):
    """One layer, so that without positions the last token would see no order at all."""
    model, tokens = build(gamma=0.2, positions=positions, n_layer=1).double(), some_tokens()
    turned = torch.cat((tokens[:, :-1].flip(1), tokens[:, -1:]), dim=1)
    assert (model(turned, last=True) - model(tokens, last=True)).abs().min(1).values.max() > 1e-4
    if positions == "learned":
        torch.nn.init.zeros_(model.positions.weight)
        torch.testing.assert_close(model(turned, last=True), model(tokens, last=True))


def test_learned_positions_are_a_part_of_the_model_and_rotary_ones_are_not():
    learned, rotary = build(positions="learned"), build()
    assert learned.positions.weight.shape == (16, 16) and rotary.positions is None
    names = [name for name, _ in learned.named_parameters()]
    assert set(names) - {"positions.weight"} == {name for name, _ in rotary.named_parameters()}
    shorter = some_tokens()[:, :5]
    torch.testing.assert_close(learned(shorter), learned(some_tokens())[:, :5])


def test_an_odd_head_size_is_for_learned_positions_only():
    assert build(positions="learned", width=18, n_head=2)(some_tokens()).shape == (3, 16, 50)
    assert "even head size" in refusal(build, positions="rotary", width=18, n_head=2)


def test_a_gate_at_small_initialization_is_a_half():
    shape = {"width": 64, "n_head": 4}
    x = torch.randn(2, 16, 64, generator=torch.Generator().manual_seed(0))  # as after a norm
    outputs = []
    for gate in (True, False):
        model = gamma_init_(GPT(GPTConfig(**SMALL | shape | {"gate": gate})), gamma=1.2)
        outputs.append(model.blocks[0].attention(x, model.rotary))
    gated, plain = outputs
    assert (gated - plain / 2).norm() / (plain / 2).norm() < 0.1


def test_a_gate_that_is_doubled_is_one_at_small_initialization():
    x = torch.randn(2, 16, 64, generator=torch.Generator().manual_seed(0))
    outputs = []
    for change in ({"gate": True, "gate_scale": 2.0}, {}):
        model = GPT(GPTConfig(**SMALL | {"width": 64, "n_head": 4} | change))
        gamma_init_(model, gamma=1.2)
        outputs.append(model.blocks[0].attention(x, model.rotary))
    doubled, plain = outputs
    assert (doubled - plain).norm() / plain.norm() < 0.1


def test_a_gate_that_is_not_trained_has_no_gradient_and_all_else_has():
    model = build(gate=True, gate_trained=False)
    tokens = some_tokens()
    model.loss(tokens[:, :-1], tokens[:, 1:]).backward()
    still = {name for name, weight in model.named_parameters() if weight.grad is None}
    assert still == {f"blocks.{i}.attention.gate.weight" for i in range(model.config.n_layer)}


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_a_text_longer_than_the_context_is_refused(positions):
    model = build(positions=positions)
    model(some_tokens(length=16))
    message = refusal(model, some_tokens(length=17))
    assert "17" in message and "16" in message


# ---- the norm and its eps ----------------------------------------------------------------------


@pytest.mark.parametrize("eps", [1e-5, 1e-12, 0.0])
@pytest.mark.parametrize("std", [1.0, 64**-0.8, 64**-1.2, 1e-5])
def test_eps_shrinks_the_norm_of_an_embedding_as_its_formula_says(std, eps):
    x = std * torch.randn(200, 64, generator=torch.Generator().manual_seed(0))
    x = x / x.square().mean(-1, keepdim=True).sqrt() * std  # every row has exactly this RMS
    rms = RMSNorm(64, eps)(x).square().mean(-1).sqrt()
    expected = std / math.sqrt(std**2 + eps)
    torch.testing.assert_close(rms, torch.full((200,), expected), rtol=1e-5, atol=0)


def test_the_norm_of_bfloat16_input_is_computed_in_float32():
    x = torch.randn(500, 64, generator=torch.Generator().manual_seed(0)).bfloat16() * 0.01
    wide = x.double()
    expected = (wide / (wide.square().mean(-1, keepdim=True) + 1e-5).sqrt()).bfloat16()
    assert (RMSNorm(64, 1e-5)(x) == expected).double().mean() > 0.999  # the same rounding


def test_a_norm_in_float64_stays_in_float64():
    x = torch.randn(5, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    out = RMSNorm(64, 1e-5).double()(x)
    torch.testing.assert_close(out, reference_norm(x, 1.0, 1e-5), rtol=1e-14, atol=0)


# ---- shapes and their limits -------------------------------------------------------------------


def test_the_head_is_untied_unless_asked_for():
    assert build().head.weight is not build().embedding.weight
    tied = build(tied=True)
    assert tied.head.weight is tied.embedding.weight
    assert sum(p.numel() for p in build().parameters()) == 50 * 16 + sum(
        p.numel() for p in tied.parameters()
    )


@pytest.mark.parametrize("width, hidden", [(64, 176), (48, 128), (2, 8)])
def test_the_mlp_is_as_wide_as_eight_thirds_rounded_up_to_eights(width, hidden):
    assert build(width=width, n_head=1).blocks[0].mlp.up.weight.shape == (hidden, width)


@pytest.mark.parametrize(
    "field, value, allowed",
    [
        ("vocab_size", 0, "1 to "),
        ("block_size", -1, "1 to "),
        ("n_layer", 0, "1 to "),
        ("n_head", 0, "1 to "),
        ("width", 0, "1 to "),
        ("width", 17, "multiples of n_head = 2"),
        ("width", 18, "even head size"),
        ("hidden", -1, "0 to 262144"),
        ("norm_eps", -1e-5, "0 or more"),
        ("positions", "none", "rotary, learned"),
        ("rope_base", 0.0, "above 0"),
        ("rope_base", -1.0, "above 0"),
    ],
)
def test_an_impossible_shape_is_refused_by_field_and_value(field, value, allowed):
    message = refusal(GPTConfig, **SMALL | {field: value})
    assert message.startswith(f"model.{field}: got {value!r}") and allowed in message
    as_run = {"model": SMALL | {field: value}, "data": {"vocab_size": 300}}
    assert refusal(RunConfig.from_dict, as_run) == message
