"""The page on which a reader trains: its computation against ours, and what it does when used."""

import numpy as np
import pytest
import torch

from gammagpt import RunConfig, project
from gammagpt.analysis.label_losses import blind_losses
from gammagpt.data.anchors import AnchorConfig, tasks
from gammagpt.gpt.engine import Loss, build_model
from gammagpt.gpt.optim import OptimConfig, learning_rate, make_adamw
from gammagpt.lab.order import chance_losses

SCRIPT = project.root() / "book" / "static" / "embmlp.js"
DATA = AnchorConfig(keys="21..40", tasks="memory 1..4 random, reasoning 11..14 sum",
                    vocab_size=72, length=3, samples=0)
NAMES = {"embedding.weight": "embedding", "hidden.weight": "hidden", "head.weight": "head"}


@pytest.fixture(scope="module")
def js(browser):
    """Evaluates JavaScript with an argument, `E` being what embmlp.js offers."""
    page = browser.new_page()
    page.add_script_tag(path=SCRIPT)
    yield lambda body, given=None: page.evaluate(f"(given) => {{ const E = embMLP(); {body} }}",
                                                 given)
    page.close()


def config(**changes) -> RunConfig:
    return RunConfig.from_dict({
        "model": {"kind": "emb_mlp", "vocab_size": 72, "block_size": 3, "width": 64, "hidden": 64,
                  "activation": changes.pop("activation", "tanh")},
        "data": {"kind": "anchors", "keys": DATA.keys, "tasks": DATA.tasks, "vocab_size": 72,
                 "length": 3, "samples": 0},
        "init": {"gamma": 0.8}, "optim": {"learning_rate": 0.03}, "steps": 50, "batch_size": 64,
    } | changes)


def batches(count: int, seed=0):
    """(count, 64, 3) tokens and (count, 64) labels, any of them."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 72, (count, 64, 3)), rng.integers(0, 72, (count, 64))


def as_lists(model) -> dict:
    return {NAMES[name]: p.detach().flatten().tolist() for name, p in model.named_parameters()}


FROM_LISTS = """const weights = Object.fromEntries(Object.entries(given.weights)
  .map(([name, list]) => [name, Float64Array.from(list)]));
  const model = { ...E.MODEL, activation: given.activation };"""


# ---- the computation -----------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["tanh", "relu", "linear"])
def test_loss_and_gradient_are_those_of_autograd(js, activation):
    model = build_model(config(activation=activation, init={"gamma": 0.3})).double()
    tokens, labels = (x[0] for x in batches(1))
    loss = Loss(model)(torch.tensor(tokens), torch.tensor(labels))
    loss.backward()
    given = {"weights": as_lists(model), "activation": activation,
             "tokens": tokens.tolist(), "labels": labels.tolist()}
    found = js(
        f"{FROM_LISTS} const {{ loss, gradients }} = "
        "E.gradient(weights, given.tokens, given.labels, model);"
        "return { loss, gradients: Object.values(gradients).map((g) => [...g]) };",
        given,
    )
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-12)
    for ours, theirs in zip(model.parameters(), found["gradients"], strict=True):
        expected = ours.grad.flatten().numpy()
        assert np.abs(expected).max() > 1e-4
        np.testing.assert_allclose(theirs, expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("gamma", [0.3, 0.8])
def test_fifty_steps_have_the_losses_of_the_python_optimizer(js, gamma):
    """In float64, to a relative 1e-9; some of the steps are clipped, and some are not."""
    run = config(init={"gamma": gamma})
    model = build_model(run).double()
    given = {"weights": as_lists(model), "activation": "tanh", "rate": run.optim.learning_rate}
    tokens, labels = batches(4)
    order = [step % 4 for step in range(run.steps)]
    given |= {"tokens": tokens.tolist(), "labels": labels.tolist(), "order": order}
    optimizer, expected, norms = make_adamw(model, run.optim), [], []
    for step, which in enumerate(order):
        loss = Loss(model)(torch.tensor(tokens[which]), torch.tensor(labels[which]))
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), run.optim.clip).item())
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(run.optim, step, run.steps)
        optimizer.step()
        optimizer.zero_grad()
        expected.append(loss.item())
    found = js(
        f"""{FROM_LISTS} const moments = E.freshMoments(weights), n = given.order.length;
        return given.order.map((which, step) => {{
          const {{ loss, gradients }} =
            E.gradient(weights, given.tokens[which], given.labels[which], model);
          E.clip(gradients);
          E.adamw(weights, gradients, moments, step, E.learningRate(given.rate, step, n));
          return loss;
        }});""",
        given,
    )
    assert expected[-1] < expected[0] - 0.5
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert gamma == 0.8 or min(norms) < run.optim.clip < max(norms)


@pytest.mark.parametrize("largest", [0.5, 100.0])
def test_clipping_is_torchs(js, largest):
    parameter = torch.nn.Parameter(torch.zeros(6, dtype=torch.float64))
    values = [0.1, -2.0, 3.0, 0.0, 1e-9, 0.7]
    parameter.grad = torch.tensor(values, dtype=torch.float64)
    torch.nn.utils.clip_grad_norm_([parameter], largest)
    found = js("const g = { a: Float64Array.from(given[0]), b: Float64Array.from(given[1]) };"
               "E.clip(g, given[2]); return [...g.a, ...g.b];",
               [values[:2], values[2:], largest])
    np.testing.assert_allclose(found, parameter.grad.numpy(), rtol=1e-14)


@pytest.mark.parametrize("steps", [1, 10, 50, 500])
def test_the_schedule_is_that_of_the_book(js, steps):
    expected = [learning_rate(OptimConfig(learning_rate=0.03), s, steps) for s in range(steps)]
    found = js("return Array.from({ length: given }, (_, s) => E.learningRate(0.03, s, given));",
               steps)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_sequences_are_those_of_the_anchor_functions(js):
    """All but the random labels, which lie in the range of the keys, and stay with a seed."""
    found, again, other = js("return [E.makeData(1), E.makeData(1), E.makeData(2)];")
    assert found == again and found["memory"] != other["memory"]
    assert found["train"]["tokens"] == found["memory"]["tokens"] + found["reasoning"]["tokens"]
    for task in tasks(DATA, seed=0):
        expected = {
            (key, *pair.tolist()): label
            for pair, row in zip(task.combinations, task.labels, strict=True)
            for key, label in zip(range(21, 41), row.tolist(), strict=True)
        }
        mine = dict(zip(map(tuple, found[task.name]["tokens"]), found[task.name]["labels"],
                        strict=True))
        assert mine.keys() == expected.keys()
        assert len(found[task.name]["labels"]) == len(expected)
        assert task.name == "memory" or mine == expected
    assert {*found["memory"]["labels"]} == {*range(21, 41)}


def test_guessing_and_what_order_hides_are_the_chapters_measures(js):
    """On the Python's own table of labels."""
    given = {}
    for task in tasks(DATA, seed=3):
        rows = [[k, *pair] for pair in task.combinations.tolist() for k in range(21, 41)]
        given[task.name] = {"tokens": rows, "labels": task.labels.ravel().tolist()}
    found = js("return Object.fromEntries(Object.entries(given).map(([name, set]) =>"
               "[name, [E.guessing(set), E.guessing(set, E.unordered)]]));", given)
    for name, (guess, blind) in found.items():
        assert guess == pytest.approx(chance_losses(DATA, 3)[name], rel=1e-12)
        assert blind == pytest.approx(blind_losses(DATA, 3)[name], rel=1e-12, abs=1e-12)


def test_weights_start_by_the_gamma_rule_and_gammas_share_a_draw(js):
    small, large = js("return [0.8, 0.3].map((g) => Object.values(E.initial(g, 7))"
                      ".map((w) => [...w]));")
    for a, b in zip(small, large, strict=True):
        a, b = np.array(a) / 64**-0.8, np.array(b) / 64**-0.3
        np.testing.assert_allclose(a, b, rtol=1e-12)
        assert abs(a.std() - 1) < 5 / np.sqrt(2 * len(a)) and abs(a.mean()) < 5 / np.sqrt(len(a))
        assert abs((a**4).mean() - 3) < 5 * np.sqrt(96 / len(a))  # as normal numbers have it
        assert abs((a[1:] * a[:-1]).mean()) < 5 / np.sqrt(len(a))
    assert abs(np.corrcoef(small[1], small[1][::-1])[0, 1]) < 0.1
    assert abs(np.corrcoef(small[0], small[2])[0, 1]) < 0.1  # tensors have draws of their own


def test_the_generator_is_xorshift128(js):
    """Against Marsaglia's recurrence in plain integers, from the seeds of his paper."""
    x, y, z, w = seeds = [123456789, 362436069, 521288629, 88675123]
    expected = []
    for _ in range(20):
        t = (x ^ (x << 11)) & 0xFFFFFFFF
        x, y, z, w = y, z, w, w ^ (w >> 19) ^ t ^ (t >> 8)
        expected.append(w)
    found = js("const draw = E.uniform('', Uint32Array.from(given));"
               "return Array.from({ length: 20 }, () => draw() * 2 ** 32);", seeds)
    assert found == expected


# ---- the page ------------------------------------------------------------------------------------


@pytest.fixture
def page(site, browser):
    """The page, just opened; it must not have complained when the test is over."""
    made = browser.new_page(viewport={"width": 360, "height": 740})
    complaints = []
    made.on("pageerror", lambda error: complaints.append(str(error)))
    made.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    made.goto((site / "book" / "play_train.html").as_uri())
    made.wait_for_selector("#play svg")
    yield made
    made.close()
    assert complaints == []


def drawn(page, state: str, runs: int):
    """Wait until the page shows this state, and that many runs in its chart."""
    page.wait_for_function(
        "([state, runs]) => document.querySelector('#play').dataset.state === state"
        " && document.querySelectorAll('#play .run').length === 3 * runs",
        arg=[state, runs],
        timeout=240_000,
    )


def finished(page, runs=1) -> list[dict[str, str]]:
    """Wait for that many runs in all; their columns of the table, as text by the names of rows."""
    drawn(page, "done", runs)
    return columns(page)


def columns(page) -> list[dict[str, str]]:
    rows = page.locator("#play table tr").evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    names, *runs = zip(*rows, strict=True)  # strict: every row has a cell of every run
    return [dict(zip(names, run, strict=True)) for run in runs]


def train(page, gamma, rate=0.01, count=1) -> dict[str, str]:
    """Train with these settings, the count-th run of the page; its column."""
    page.get_by_role("slider").fill(str(gamma))
    page.get_by_label("Learning rate").select_option(str(rate))
    press(page, "Train")
    return finished(page, count)[-1]


def summary(page) -> str:
    return page.locator("#play [role=status]").inner_text()


def press(page, name: str):
    page.get_by_role("button", name=name, exact=True).click()


def test_two_gammas_part_and_the_summary_says_how(page):
    press(page, "Train 0.3, then 0.8")
    large, small = finished(page, runs=2)
    assert (large["gamma"], small["gamma"]) == ("0.3", "0.8")
    said = summary(page)
    assert said.startswith("Gamma 0.8 learned to add, also the pairs that it never saw.")
    steps = [int(run["half learned at step"]) for run in (large, small)]
    assert steps[0] < steps[1]  # the price of the small initialization
    assert f"reasoning was half learned earlier, at step {steps[0]}" in said
    for task, words in (("unseen right", "unseen sums"), ("memory right", "memory task")):
        assert f"of the {words} {large[task]} and {small[task]}" in said
    seen = page.locator("#play [role=img]").get_attribute("aria-label")
    assert "Gamma 0.3 learned the sums that it was shown, but gets most of those that" in seen


SHARES = [
    (0.5, 0.01, range(40), "but gets most of those that it never saw wrong."),
    (0.8, 0.003, range(40, 80), "and some of those that it never saw."),
    (0.8, 0.01, range(80, 101), "learned to add, also the pairs that it never saw."),
]


@pytest.mark.parametrize("gamma, rate, shares, words", SHARES)
def test_the_words_on_unseen_pairs_are_those_of_the_numbers(page, gamma, rate, shares, words):
    found = train(page, gamma, rate)
    assert int(found["unseen right"].split()[0]) in shares
    said = summary(page)
    assert words in said and sum(other in said for *_, other in SHARES) == 1
    right = found["reasoning right"], found["unseen right"]
    assert "At the end {} of the shown sums are right, and {} of the unseen.".format(*right) in said


def test_equal_shares_are_told_once(page):
    """Both of these know all of the memory task that this model can know."""
    runs = [train(page, gamma, 0.03, count) for count, gamma in enumerate((0.3, 0.5), 1)]
    assert runs[0]["memory right"] == runs[1]["memory right"]
    assert summary(page).endswith(f" of the memory task {runs[0]['memory right']} with both.")


def test_a_loss_above_that_of_guessing_is_no_share_of_a_task(page):
    assert int(train(page, 1.2, 0.1)["memory left then"].split()[0]) > 100
    assert "the memory task was as hard as a guess. At the end" in summary(page)
    assert "more than 100 % is worse than a guess" in page.locator("#play-note").inner_text()


def test_the_same_seed_gives_the_same_run_and_another_another(page):
    rows = []
    for count, seed in enumerate((5, 5, 6), 1):
        page.get_by_label("Seed").fill(str(seed))
        press(page, "Train")
        rows = finished(page, runs=count)
        if count == 2:
            assert "The settings are those of a run before" in summary(page)
    assert rows[0] == rows[1] != rows[2]
    lines = page.locator("#play .run").evaluate_all("all => all.map(l => l.getAttribute('points'))")
    assert lines[:3] == lines[3:6] and lines[3:6] != lines[6:]


def test_the_keyboard_is_enough_and_a_run_can_be_paused_stepped_and_reset(page):
    gamma = page.get_by_label("Gamma")
    gamma.focus()
    page.keyboard.press("ArrowRight")
    assert gamma.input_value() == "0.85" and "0.85" in gamma.get_attribute("aria-valuetext")
    for _ in range(6):  # rate, seed, activation, both, train, step
        page.keyboard.press("Tab")
    clock = page.locator("#play .play-clock span")
    for step in (1, 2):
        page.keyboard.press("Enter")
        clock.filter(has_text=f"step {step} of").wait_for()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")  # Continue
    page.get_by_role("button", name="Pause").wait_for()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Continue").wait_for()
    assert "Paused near step" in summary(page) and "Losses: memory" in summary(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # Reset
    assert summary(page) == "Back at step 0." and clock.inner_text() == "step 0 of 500"
    drawn(page, "ready", runs=0)


def test_a_changed_setting_gives_an_unfinished_run_up(page):
    press(page, "One step")
    page.get_by_label("Learning rate").select_option("0.1")
    assert "was given up" in summary(page)
    assert page.get_by_role("button", name="Train", exact=True).is_visible()


def test_a_seed_that_is_none_is_refused_by_the_field(page):
    page.get_by_label("Seed").fill("0")
    press(page, "Train")
    assert page.evaluate("document.activeElement.name") == "seed"
    assert page.get_by_role("button", name="Train", exact=True).is_visible()
    drawn(page, "ready", runs=0)


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_moves_while_a_run_goes_on_and_the_table_fits(page, width):
    """Also without a Worker, as where the browser refuses one."""
    page.set_viewport_size({"width": width, "height": 740})
    page.add_init_script("window.Worker = class { constructor() { throw new Error('none'); } };")
    page.reload()
    below = "document.querySelector('#play').getBoundingClientRect().bottom + scrollY"
    page.evaluate("document.fonts.ready")
    before = page.evaluate(below)
    assert columns(page) == []  # no filler
    press(page, "Train 0.3, then 0.8")
    finished(page, runs=2)
    page.get_by_label("Learning rate").select_option("0.003")
    page.get_by_label("Activation").select_option("linear")
    page.get_by_label("Seed").fill("9999")
    press(page, "Train 0.3, then 0.8")
    assert [run["gamma"] for run in finished(page, runs=4)] == ["0.3", "0.8"] * 2
    assert page.evaluate(below) == before
    table = page.locator("#play table")
    assert table.evaluate("table => table.scrollWidth - table.clientWidth") == 0


def test_without_javascript_the_page_says_what_there_would_be_to_see(site, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "book" / "play_train.html").as_uri())
    assert "needs JavaScript" in page.locator("noscript p").inner_text()
    assert page.locator("noscript p").is_visible()
    assert not page.locator("#play").is_visible()
    context.close()
