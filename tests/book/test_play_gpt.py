"""The page on which a GPT trains: its computation against ours, and what it does when used."""

import re

import numpy as np
import play_gpt
import pytest
import torch

from gammagpt import project
from gammagpt.analysis.plateau import RULES, collapse_index
from gammagpt.data import stories
from gammagpt.gpt.init import gamma_init_
from gammagpt.gpt.model import GPT, GPTConfig
from gammagpt.gpt.optim import OptimConfig, learning_rate, make_adamw
from gammagpt.gpt.scores import stable_rank

STATIC = project.root() / "book" / "static"
BATCH, STEPS = 4, 40
SMALL = {"vocab_size": 44, "block_size": 8, "n_layer": 2, "n_head": 2, "width": 16}
JS_NAMES = {"vocab_size": "vocabulary", "block_size": "length", "n_layer": "layers",
            "n_head": "heads", "width": "width", "head_bias": "bias"}


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
               "G.learningRate(0.03, given[1], step, given[0]));", [steps, warmup])
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
               given_of(model))
    tokens = [5]
    while len(tokens) < 15:
        logits = model(torch.tensor([tokens[-SMALL["block_size"]:]]), last=True)
        tokens.append(logits.argmax().item())
    assert found == tokens


# ---- what the page is given ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def given():
    return play_gpt.play_gpt()


def test_the_text_is_the_stories_and_its_frequencies_are_counted_as_the_books(given):
    tokens, pieces = play_gpt.text()
    assert len(tokens) == given["count"] and tokens.max() < len(pieces) == 304
    assert len({*pieces}) == len(pieces) and len(pieces) % play_gpt.MULTIPLE == 0
    first = "".join(pieces[token] for token in tokens[:2000]).split("\n")[1]
    assert first in {text for _, text in stories.documents(20, seed=0)}
    counts = np.bincount(tokens, minlength=len(pieces)) + 1
    shares = counts / counts.sum()
    assert given["entropy"] == pytest.approx(-(shares * np.log(shares)).sum(), abs=1e-4)
    logs = np.array(given["logFrequencies"])
    np.testing.assert_allclose(np.exp(logs) / np.exp(logs).sum(), shares, rtol=1e-3)
    assert abs(logs.mean()) < 1e-4


def test_the_boundary_is_that_of_the_plateau_law(given):
    assert given["rule"]["threshold"] == RULES["x"].threshold
    assert given["rule"]["slope"] == RULES["x"].slope


# ---- the page ------------------------------------------------------------------------------------


@pytest.fixture
def page(site, browser):
    """The page, just opened from a folder; it must not have complained when the test is over."""
    made = browser.new_page(viewport={"width": 360, "height": 740})
    complaints = []
    made.on("pageerror", lambda error: complaints.append(str(error)))
    made.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    made.goto((site / "book" / "play_gpt.html").as_uri())
    drawn(made, "ready", 0)
    yield made
    made.close()
    assert complaints == []


def drawn(page, state: str, runs: int):
    """Wait until the page shows this state, and that many runs in both charts."""
    page.wait_for_function(
        "([state, runs]) => document.querySelector('#play-gpt').dataset.state === state"
        " && document.querySelectorAll('#play-gpt .run').length === 4 * runs",
        arg=[state, runs],
        timeout=900_000,
    )


def columns(page) -> list[list[str]]:
    """The columns of finished runs, from top to bottom."""
    rows = page.locator("#play-gpt table tr").evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    return [list(column) for column in zip(*rows, strict=True)][1:]


def press(page, name: str):
    page.get_by_role("button", name=name, exact=True).click()


def summary(page) -> str:
    return page.locator("#play-gpt [role=status]").inner_text()


def said_law(page) -> str:
    return page.locator("#play-gpt [data-play=law]").inner_text()


def texts(page, side: str) -> list[str]:
    return page.locator(f"#play-gpt [data-play={side}-text] span").all_inner_texts()


def test_without_a_setting_changed_the_small_start_collapses_and_a_long_warmup_mends_it(page):
    """Two runs of two models each: more than enough for what the page says that one sees."""
    page.emulate_media(reduced_motion="reduce")
    bottom = "document.querySelector('#play-gpt').getBoundingClientRect().bottom + scrollY"
    page.evaluate("document.fonts.ready")
    before = page.evaluate(bottom)
    press(page, "Warm-up 5, then 180")
    drawn(page, "done", 2)
    fast, slow = columns(page)
    assert (fast[3], slow[3]) == ("5", "180")
    assert float(fast[12]) > float(fast[8]) + 0.1  # the collapse of gamma 1
    assert float(slow[12]) < float(slow[8])  # without it gamma 1 is ahead
    assert float(fast[14]) < 0.6 * float(slow[14])  # stable ranks of the embedding
    assert int(fast[13]) >= int(fast[9])  # it was on the plateau as long or longer
    assert re.search(r"So gamma .*1 collapsed with warm-up 5\.", summary(page))
    assert all(len(line) > 20 for side in ("first", "second") for line in texts(page, side))
    assert page.evaluate(bottom) == before  # nothing below moved
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_x_and_its_boundary_are_those_of_the_law(page):
    """For settings on both sides; the law says what it has never seen."""
    for rate, warmup, beyond in ((0.03, 5, "warm-up 5"), (0.003, 200, None), (0.03, 170, None)):
        page.get_by_label("Learning rate").select_option(str(rate))
        page.get_by_label("Warm-up").fill(str(warmup))
        x, rule = collapse_index(rate, 64, warmup), RULES["x"]
        said = said_law(page)
        assert f"= {x:.3g}," in said
        side = "above" if rule.collapses(rate, 64, warmup) else "below"
        assert f"{side} the boundary {rule.threshold}" in said
        chance = 100 * rule.probability(rate, 64, warmup)
        shown = "above 99" if chance > 99.5 else "below 1" if chance < 0.5 else f"{chance:.0f}"
        assert f"collapses: {shown} %." in said
        assert ("vocabulary 304 (it knows 1024)" in said) and (not beyond or beyond in said)


def test_the_browser_trains_as_python_does_in_the_page_itself(page):
    """The page's own text, draw and batches, taken out of it; eight steps of its default model."""
    found = page.evaluate("""async () => {
      const bytes = Uint8Array.from(atob(GG_GPT.tokens), (c) => c.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
      const tokens = new Uint16Array(await new Response(stream).arrayBuffer());
      const E = embMLP(), M = gpt(E), G = gptTrainer(E, M);
      const model = { ...M.MODEL, vocabulary: 304, bias: "unigram" };
      const { of } = M.initial(model, 1, 5, GG_GPT.logFrequencies);
      const data = { tokens, vocabulary: 304, start: 0, logFrequencies: GG_GPT.logFrequencies };
      const run = G.run({ data, gamma: 1, rate: 0.03, warmup: 5, bias: "unigram", seed: 5 });
      const draw = E.uniform("5:batches");
      return { weights: Object.fromEntries(Object.entries(of).map(([n, w]) => [n, [...w]])),
        starts: Array.from({ length: 64 }, () => Math.floor(draw() * (tokens.length - 32))),
        losses: Array.from({ length: 8 }, () => run.advance()), rank: run.rank(),
        steps: G.RUN.steps };
    }""")
    tokens, _ = play_gpt.text()
    model = GPT(GPTConfig(vocab_size=304, block_size=32, n_layer=1, head_bias="unigram")).double()
    assert sum(weight.numel() for weight in model.parameters()) - 304 == 89_280
    weights = {n: torch.tensor(w, dtype=torch.float64) for n, w in found["weights"].items()}
    for name, weight in model.named_parameters():
        weight.data.copy_(weights[name].view_as(weight))
    optim = OptimConfig(learning_rate=0.03, warmup=5 / found["steps"])
    optimizer = make_adamw(model, optim)
    windows_of = np.array(found["starts"]).reshape(8, 8)[..., None] + np.arange(33)
    for step, cut in enumerate(torch.tensor(tokens.astype(int)[windows_of])):
        loss = model.loss(cut[:, :-1], cut[:, 1:])
        assert found["losses"][step] == pytest.approx(loss.item(), rel=1e-4)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), optim.clip)
        optimizer.param_groups[0]["lr"] = optimizer.param_groups[1]["lr"] = learning_rate(
            optim, step, found["steps"]
        )
        optimizer.step()
        optimizer.zero_grad()
    assert found["rank"] == pytest.approx(stable_rank(model.embedding.weight), rel=1e-3)


def test_the_keyboard_is_enough_and_a_run_can_be_paused_stepped_and_reset(page):
    first = page.get_by_label("First gamma")
    first.focus()
    page.keyboard.press("ArrowRight")
    assert first.input_value() == "0.55" and "0.55" in first.get_attribute("aria-valuetext")
    for _ in range(8):  # second gamma, rate, warm-up, bias, seed, both, train, step
        page.keyboard.press("Tab")
    clock = page.locator("#play-gpt .play-clock span")
    for step in (1, 2):
        page.keyboard.press("Enter")
        clock.filter(has_text=f"step {step} of").wait_for()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")  # Continue
    page.get_by_role("button", name="Pause").wait_for()
    clock.filter(has_text="step 5 of").wait_for()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Continue").wait_for()
    assert "Paused near step" in summary(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # Reset
    assert summary(page) == "Back at step 0." and clock.inner_text() == "step 0 of 200"
    drawn(page, "ready", 0)


def test_a_changed_setting_gives_an_unfinished_run_up_and_a_wrong_one_is_refused(page):
    press(page, "One step")
    page.get_by_label("Output bias").select_option("unigram")
    assert "was given up" in summary(page)
    page.get_by_label("Warm-up").fill("0")
    press(page, "Train both")
    assert page.evaluate("document.activeElement.name") == "warmup"
    drawn(page, "ready", 0)


def test_it_trains_without_a_worker_too(page):
    page.add_init_script("window.Worker = class { constructor() { throw new Error('none'); } };")
    page.reload()
    drawn(page, "ready", 0)
    press(page, "One step")
    drawn(page, "paused", 1)
    assert page.locator("#play-gpt .play-clock span").inner_text() == "step 1 of 200"


def test_the_page_is_light_and_soon_ready(site, browser):
    """What it has of its own is below 400 kB on disk; it can be used within two seconds."""
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "book" / "play_gpt.html").as_uri())
    drawn(page, "ready", 0)
    own = ("play.css", "play_gpt.css", "play_gpt-data.js", "play.js", "embmlp.js", "gpt.js",
           "gpt_train.js", "play_gpt.js")
    names = {url.rsplit("/", 1)[-1].split("?")[0] for url in asked}
    assert names.issuperset(own)
    files = [site / "book" / "play_gpt.html", *(site / "_static" / name for name in own)]
    assert sum(file.stat().st_size for file in files) < 400_000
    ready = []
    for _ in range(3):  # the machine may be busy with other things
        page.reload()
        drawn(page, "ready", 0)
        ready.append(page.evaluate("performance.getEntriesByName('ready')[0].startTime"))
    assert min(ready) < 2000  # ms
    page.close()


def test_without_javascript_the_page_says_what_there_would_be_to_see(site, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "book" / "play_gpt.html").as_uri())
    assert "needs JavaScript" in page.locator("noscript p").inner_text()
    assert not page.locator("#play-gpt").is_visible()
    context.close()


def test_all_scripts_of_the_book_stay_small():
    lines = [len(file.read_text(encoding="utf-8").splitlines()) for file in STATIC.glob("*.js")]
    assert sum(lines) < 2200
