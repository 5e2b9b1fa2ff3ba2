"""The page on which a GPT trains: its computation against ours, and what it does when used."""

import numpy as np
import pytest
import torch

from gammagpt import project
from gammagpt.init import gamma_init_
from gammagpt.model import GPT, GPTConfig
from gammagpt.optim import OptimConfig, learning_rate, make_adamw
from gammagpt.probes import stable_rank

STATIC = project.root() / "book" / "static"
BATCH, STEPS = 4, 40
SMALL = {"vocab_size": 44, "block_size": 8, "n_layer": 2, "n_head": 2, "width": 16}
JS_NAMES = {"vocab_size": "vocabulary", "block_size": "length", "n_layer": "layers",
            "n_head": "heads", "width": "width", "head_bias": "bias"}  # fmt: skip


@pytest.fixture(scope="module")
def js(browser):
    """Evaluates JavaScript with an argument, `G` being what the two scripts offer."""
    page = browser.new_page()
    for name in ("embmlp.js", "gpt.js", "gpt_train.js"):
        page.add_script_tag(path=STATIC / name)
    offered = """const E = embMLP(), M = gpt(E, given?.float32 ? Float32Array : Float64Array);
      const G = { ...M, ...gptTrainer(E, M) };"""
    yield lambda body, given=None: page.evaluate(f"(given) => {{ {offered} {body} }}", given)
    page.close()


def model_of(gamma: float, bias: str = "none", **changes) -> GPT:
    """A GPT in float64; its output bias at numbers that sum to zero, as log frequencies do."""
    config = GPTConfig(**SMALL | changes, head_bias=bias)
    model = GPT(config).double()
    half = torch.arange(0, config.head_size, 2, dtype=torch.float64) / config.head_size
    angles = torch.outer(torch.arange(8.0).double(), config.rope_base**-half).repeat(1, 2)
    model.rotary = torch.stack((angles.cos(), angles.sin()))  # as rotary_table, in float64
    gamma_init_(model, gamma, seed=3)
    if bias == "unigram":
        logs = -np.log(np.arange(1.0, SMALL["vocab_size"] + 1))
        model.head.bias.data.copy_(torch.from_numpy(logs - logs.mean()))
    return model


def given_of(model: GPT, **others) -> dict:
    """What JavaScript needs to build the same model."""
    config = {js: getattr(model.config, ours) for ours, js in JS_NAMES.items()}
    weights = {n: w.detach().flatten().tolist() for n, w in model.named_parameters()}
    return {"model": config | {"hidden": model.config.hidden_size}, "weights": weights} | others


def windows(count: int, vocab_size: int = 44, seed: int = 0):
    """(count, 2, BATCH, 8) tokens with a law that can be learned: each is near twice the last."""
    rng = np.random.default_rng(seed)
    rows = [rng.integers(0, vocab_size, (count, BATCH))]
    for _ in range(SMALL["block_size"]):
        rows.append((2 * rows[-1] + rng.integers(0, 3, (count, BATCH))) % vocab_size)
    tokens = np.stack(rows, -1)  # (count, BATCH, 9)
    return np.stack((tokens[..., :-1], tokens[..., 1:]), 1)


def flat(cut) -> list:
    """(count, 2, BATCH, T) as pairs of lists of N tokens."""
    return cut.reshape(*cut.shape[:2], -1).tolist()


WEIGHTS = """const model = { ...G.MODEL, ...given.model }, weights = G.zeros(model);
  for (const [name, list] of Object.entries(given.weights)) weights.of[name].set(list);"""


# ---- the computation -----------------------------------------------------------------------------


@pytest.mark.parametrize("bias", ["none", "zero", "unigram"])
@pytest.mark.parametrize("gamma", [0.3, 1.0])
def test_loss_and_gradient_are_those_of_autograd(js, gamma, bias):
    """In float64, of every tensor by its name in torch."""
    model, cut = model_of(gamma, bias), windows(1)
    loss = model.loss(*torch.tensor(cut[0]))
    loss.backward()
    found = js(
        f"{WEIGHTS} const {{ loss, gradients }} = G.gradient(weights, ...given.cut[0], model);"
        "return { loss, of: Object.fromEntries(Object.entries(gradients.of)"
        ".map(([name, g]) => [name, [...g]])) };",
        given_of(model, cut=flat(cut)),
    )
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-12)
    expected = {name: w.grad.flatten().numpy() for name, w in model.named_parameters()}
    assert found["of"].keys() == expected.keys()
    for name, gradient in expected.items():
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(found["of"][name], gradient, rtol=1e-8, atol=1e-10 * scale)


def trained(model: GPT, optim: OptimConfig, cut) -> tuple[list[float], list[float]]:
    """Train in Python; the losses, and the norms of the gradients before clipping."""
    optimizer, losses, norms = make_adamw(model, optim), [], []
    for step in range(STEPS):
        loss = model.loss(*torch.tensor(cut[step % len(cut)]))
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), optim.clip).item())
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(optim, step, STEPS)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses, norms


TRAINED = f"""{WEIGHTS}
  const moments = {{ means: G.zeros(model), squares: G.zeros(model) }}, losses = [];
  for (let step = 0; step < given.steps; step++) {{
    const cut = given.cut[step % given.cut.length];
    const {{ loss, gradients }} = G.gradient(weights, ...cut, model);
    const rate = G.learningRate(given.rate, given.warmup, step, given.steps);
    G.adamw(weights, gradients, moments, step, rate, model);
    losses.push(loss);
  }}
  return {{ losses, weights: [...weights.all] }};"""


# float32: rounding grows along the run; ours against float64 in torch.
@pytest.mark.parametrize("kind, tolerance", [("float64", 1e-7), ("float32", 1e-3)])
@pytest.mark.parametrize("gamma, bias", [(0.3, "none"), (0.5, "unigram"), (1.0, "zero")])
def test_forty_steps_are_those_of_the_python_optimizer(js, gamma, bias, kind, tolerance):
    """Losses to this relative tolerance, weights to it times the learning rate's path."""
    model, cut = model_of(gamma, bias), windows(4)
    optim = OptimConfig(learning_rate=0.02, warmup=0.2)
    given = given_of(model, cut=flat(cut), steps=STEPS, rate=0.02, warmup=0.2 * STEPS)
    losses, norms = trained(model, optim, cut)
    found = js(TRAINED, given | {"float32": kind == "float32"})
    assert losses[-1] < losses[0] - 1 and (gamma > 0.3 or min(norms) < optim.clip < max(norms))
    np.testing.assert_allclose(found["losses"], losses, rtol=tolerance)
    decayed = [w for w in model.parameters() if w.ndim > 1]
    ours = torch.cat([w.flatten() for w in decayed]).detach().numpy()
    np.testing.assert_allclose(found["weights"][: len(ours)], ours, atol=10 * tolerance)


@pytest.mark.parametrize("steps, warmup", [(1, 0), (10, 3), (200, 2), (200, 200)])
def test_the_schedule_is_that_of_the_book(js, steps, warmup):
    optim = OptimConfig(learning_rate=0.03, warmup=warmup / steps)
    expected = [learning_rate(optim, step, steps) for step in range(steps)]
    found = js("return Array.from({ length: given[0] }, (_, step) =>"
               "G.learningRate(0.03, given[1], step, given[0]));", [steps, warmup])  # fmt: skip
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_stable_rank_is_that_of_the_probes(js):
    for seed, decay in enumerate((0.0, 0.3, 2.0)):
        rng = np.random.default_rng(seed)
        matrix = rng.normal(size=(44, 16)) * np.exp(-decay * np.arange(16))
        found = js("return G.stableRank(Float64Array.from(given), 16);", matrix.ravel().tolist())
        assert found == pytest.approx(stable_rank(torch.tensor(matrix)), rel=1e-3)


def test_weights_start_by_the_gamma_rule_and_gammas_share_a_draw(js):
    """Every matrix is the same standard-normal draw times d_in^-gamma; gains are 1."""
    found = js("""return [1, 0.5].map((gamma) => {
      const model = { ...G.MODEL, vocabulary: 304, bias: "unigram" };
      const { of } = G.initial(model, gamma, 7, Float64Array.from({ length: 304 }, (_, i) => i));
      return G.tensors(model).map(([name, , inputs]) => [name, inputs ?? 0, [...of[name]]]);
    });""")
    for (name, d_in, small), (_, _, large) in zip(*found, strict=True):
        if name == "head.bias":
            assert small == large == list(range(304))
        elif not d_in:
            assert {*small} == {*large} == {1}
        else:
            draws = [np.array(w) * d_in**gamma for w, gamma in ((small, 1), (large, 0.5))]
            np.testing.assert_allclose(*draws, rtol=1e-12)
            assert abs(draws[0].std() - 1) < 5 / np.sqrt(2 * len(small))


def test_a_sample_is_drawn_by_the_models_own_shares(js):
    """At a temperature near zero it is the likeliest token, of a window that slides."""
    model = model_of(0.3)
    found = js(f"{WEIGHTS} return G.sample(weights, 5, 14, () => 0.5, 1e-3, model);",
               given_of(model))  # fmt: skip
    tokens = [5]
    while len(tokens) < 15:
        logits = model(torch.tensor([tokens[-SMALL["block_size"]:]]), last=True)
        tokens.append(logits.argmax().item())
    assert found == tokens
