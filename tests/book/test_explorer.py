"""The page to play with: its numbers against the records, and its script in a browser."""

import json
import re
import shutil
from dataclasses import replace

import explorer
import numpy as np
import pytest

from gammagpt import Store
from gammagpt.data import load_text
from gammagpt.lab.bundle import import_bundle
from gammagpt.project import results_folder

PANELS = ("loss", "ranks", "map", "tokens")
LARGEST = 300_000  # bytes of the script with the numbers


@pytest.fixture(scope="module")
def numbers():
    return explorer.explorer("night")


def planned(name, tier="night"):
    return getattr(explorer, name)(tier)


def runs_of(name, setting, role="common", tier="night", folder=None):
    """The configurations of a study's compared runs of one setting; rates by a folder's records."""
    made = planned(name, tier)
    if role == "common":
        configs = made.at_common_rate()
    else:
        store = Store(folder or results_folder(tier))
        configs = made.at_best_rate(made.best_rates(made.collect(store)))
    return [config for config in configs if config.init.label == setting]


def raw(config, folder=None):
    """A record as the file has it, without the code under test."""
    path = (folder or results_folder("night")) / f"{config.key}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def entry(panel, gamma, role="common"):
    return next(e for e in panel["roles"][role] if e["gamma"] == gamma)


# ---- the numbers against the records -------------------------------------------------------------


@pytest.mark.parametrize("role", ["common", "tuned"])
def test_losses_are_mean_and_range_over_the_seeds_of_the_records(numbers, role):
    configs = runs_of("by_gamma", "gamma 0.7", role)
    curves = np.array([raw(config)["curves"]["validation"] for config in configs])
    found = entry(numbers["loss"], 0.7, role)
    assert found["rate"] == configs[0].optim.learning_rate and found["runs"] == len(configs) > 2
    assert found["steps"] == curves[0, :, 0].tolist()
    for name, values in zip(("mean", "low", "high"), (np.mean, np.min, np.max), strict=True):
        assert found[name] == pytest.approx(values(curves[..., 1], axis=0), abs=6e-5)


def test_ranks_and_singular_values_are_those_of_the_records(numbers):
    probes = [raw(config)["probes"] for config in runs_of("development", "gamma 1")]
    found = entry(numbers["ranks"], 1.0)
    assert set(found["ranks"]) == {"embedding", "attention", "MLP", "head"}
    for i in (0, 9, -1):
        tensors = [run[i]["tensors"] for run in probes]
        assert found["steps"][i] == probes[0][i]["step"]
        mlp = [[np.log(t[name]["stable_rank"]) for name in t if ".mlp." in name] for t in tensors]
        assert found["ranks"]["MLP"][i] == pytest.approx(np.exp(np.mean(mlp, 1)).mean(), abs=6e-3)
        values = np.array([t["embedding.weight"]["singular_values"] for t in tensors])
        shares = (values / values[:, :1]).mean(0)
        assert found["singular"][i] == pytest.approx(shares, abs=6e-4)


def test_the_map_is_that_of_the_lowest_seed_up_to_the_direction_of_its_axes(numbers):
    config = min(runs_of("embeddings", "gamma 0.3"), key=lambda config: config.seed)
    found = entry(numbers["map"], 0.3)
    assert found["seed"] == config.seed
    for i, probe in enumerate(raw(config)["probes"]):
        pca = probe["geometry"]["pca"]
        shown, there = np.array(found["planes"][i]), np.array(pca["plane"])
        for axis in (0, 1):
            both = [sign * there[:, axis] for sign in (1, -1)]
            assert min(np.abs(shown[:, axis] - one).max() for one in both) < 6e-3
        assert found["shares"][i] == pca["shares"][:2] and found["tokens"] == pca["tokens"]
    groups = numbers["map"]["groups"]
    assert list(groups) == ["memory", "reasoning", "keys"]
    assert sorted(t for group in groups.values() for t in group) == sorted(found["tokens"])
    at_end = np.array(found["planes"][-1])
    along = (np.array(found["tokens"]) - np.mean(found["tokens"])) @ at_end
    assert (along > 0).all()  # numbers grow to the right and upwards


@pytest.mark.parametrize("role", ["common", "tuned"])
def test_passages_are_held_out_text_with_the_losses_of_the_records(numbers, role):
    sides = [runs_of("development", f"gamma {g}", role) for g in ("1", "0.5")]
    windows, length = sides[0][0].probes.tokens, sides[0][0].model.block_size
    losses = [np.mean([raw(c)["probes"][-1]["tokens"]["whole"] for c in side], 0) for side in sides]
    mine, usual = (side.reshape(windows, length) for side in losses)
    panel = numbers["tokens"]
    found = entry(panel, 1.0, role)
    assert panel["usual"] == 0.5 and found["gain"] == pytest.approx((usual - mine).mean(), abs=6e-5)
    text = load_text(sides[0][0].data)
    held_out = text.encoding.decode(text.validation.tolist())
    for i, passage in enumerate(panel["passages"]):
        assert found["here"][i] == pytest.approx(mine[passage["number"]], abs=6e-4)
        assert found["usual"][i] == pytest.approx(usual[passage["number"]], abs=6e-4)
        words = "".join(passage["pieces"]).replace("↵\n", "\n")
        assert words in held_out or re.search("[‹⟨]", words)
    assert len(panel["passages"]) == explorer.PASSAGES


def test_the_slider_has_every_gamma_that_any_panel_has(numbers):
    gammas = {e["gamma"] for name in PANELS for own in numbers[name]["roles"].values() for e in own}
    assert numbers["gammas"] == sorted(gammas)
    asked = {c.init.gamma for name in ("by_gamma", "development", "embeddings")
             for c in planned(name).at_common_rate()}
    assert gammas == asked - {None}


def test_the_script_is_small_and_strict(numbers, tmp_path, monkeypatch):
    monkeypatch.setattr(explorer, "explorer", lambda tier: numbers)
    explorer.write_explorer(tmp_path, "night")
    script = (tmp_path / "book" / "static" / "explorer-data.js").read_text(encoding="utf-8")
    assert len(script.encode()) < LARGEST
    json.loads(script.removeprefix("window.GG_EXPLORER=").removesuffix(";\n"), parse_constant=fail)
    words = (tmp_path / "book" / "_generated" / "explorer.md").read_text(encoding="utf-8")
    assert numbers["source"] in words and "Tier night" in words


def fail(constant):
    raise AssertionError(f"{constant} is no JSON")


# ---- records that are missing, or of runs that diverged ------------------------------------------


@pytest.fixture
def some(tmp_path, monkeypatch):
    """`some(configs)`: a laptop tier of these records alone."""

    def only(configs):
        there, folder = results_folder("night"), tmp_path / "laptop"
        folder.mkdir()
        for config in configs:
            shutil.copy(there / f"{config.key}.json", folder)
        monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
        monkeypatch.setenv("GAMMAGPT_BUDGET", "0")  # or the page would train what it lacks
        return Store(folder)

    return only


def test_without_records_there_are_no_panels(some, tmp_path):
    some([])
    found = explorer.explorer("night")
    assert [found[name] for name in PANELS] == [None] * 4 and found["gammas"] == []
    explorer.write_explorer(tmp_path, "night")


def test_a_panel_without_records_is_missing_and_the_others_are_there(some):
    some(runs_of("by_gamma", "gamma 0.9"))
    found = explorer.explorer("night")
    assert [name for name in PANELS if found[name]] == ["loss"]
    assert found["gammas"] == [0.9] and found["loss"]["roles"]["tuned"] == []


def test_tokens_need_another_gamma_than_the_one_that_they_are_compared_with(some):
    some(runs_of("development", "gamma 0.5"))
    found = explorer.explorer("night")
    assert found["tokens"] is None and found["ranks"]


def test_diverged_runs_are_counted_and_not_averaged(some):
    configs = runs_of("by_gamma", "gamma 0.9") + runs_of("by_gamma", "gamma 1.2")
    store = some(configs)
    curves, *others = (raw(config)["curves"]["validation"] for config in configs[:4])
    for config in [configs[0], *configs[4:]]:
        cut = {"train": [], "validation": curves[:3]}
        store.put(replace(store.get(config), status="diverged", diverged_at=80, curves=cut,
                          final={"validation_loss": None}))
    panel = explorer.explorer("night")["loss"]
    one, all_of_them = entry(panel, 0.9), entry(panel, 1.2)
    assert (one["runs"], one["diverged"]) == (3, 1)
    assert one["mean"] == pytest.approx(np.array(others)[..., 1].mean(0), abs=6e-5)
    assert (all_of_them["runs"], all_of_them["diverged"]) == (0, 4) and "mean" not in all_of_them


# ---- the page in a browser -----------------------------------------------------------------------


@pytest.fixture
def visit(site, browser):
    """`visit(hash, ...)`: the page, opened from its folder; it must not log an error."""
    pages, complaints = [], []

    def open_page(place="", data=None, **context):
        page = browser.new_page(**context)
        pages.append(page)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        if data is not None:
            body = f"window.GG_EXPLORER = {json.dumps(data)};"
            page.route("**/explorer-data.js", lambda route: route.fulfill(body=body))
        page.goto((site / "book" / "explorer.html").as_uri() + place, timeout=120_000)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert complaints == []


def numbers_on(page) -> dict:
    return page.evaluate("window.GG_EXPLORER")


def seen(page) -> dict:
    """What each panel draws, its title and what it says."""
    return {
        name: tuple(page.locator(f"#gx-{name}-{part}").inner_html() for part in ("title", "canvas"))
        for name in ("loss", "ranks", "map", "spectrum", "tokens")
    } | {"said": page.locator("#gx-said").inner_text()}


def changed(before, after) -> list[str]:
    return [name for name in before if before[name] != after[name]]


def test_gamma_moves_all_panels(visit):
    page = visit("#gamma=0.8&rate=common")
    before = seen(page)
    page.locator("#gx-gamma").fill("0")
    after = seen(page)
    assert changed(before, after) == ["loss", "ranks", "map", "spectrum", "tokens", "said"]
    first = numbers_on(page)["gammas"][0]
    assert f"Gamma {first:g}," in after["said"] and f"gamma={first:g}&" in page.url


def test_time_moves_all_panels_but_the_tokens_which_are_of_the_end(visit):
    page = visit("#gamma=0.8")
    before, dot = seen(page), page.locator("#gx-loss-canvas .gx-dot")
    end = float(dot.get_attribute("cx"))
    page.locator("#gx-time").fill("0")
    assert changed(before, seen(page)) == ["loss", "ranks", "map", "spectrum", "said"]
    assert float(dot.get_attribute("cx")) < end
    assert "end of training" in page.locator("#gx-tokens-title").inner_text()


@pytest.fixture(scope="module")
def downloaded(site, tmp_path_factory):
    """All records as a reader takes them from the site: out of the bundle."""
    (bundle,) = (site / "data").glob("records-*.bundle")
    folder = tmp_path_factory.mktemp("downloaded") / bundle.stem.removeprefix("records-")
    assert import_bundle(bundle, Store(folder))["new"] > 0
    return folder


@pytest.mark.parametrize("rate", ["common", "tuned"])
def test_what_it_says_agrees_with_the_records(visit, downloaded, rate):
    said = visit(f"#gamma=0.8&rate={rate}").locator("#gx-said").inner_text()
    runs = runs_of("by_gamma", "gamma 0.8", rate, downloaded.name, downloaded)
    losses = [raw(config, downloaded)["curves"]["validation"][-1][1] for config in runs]
    heard = float(re.search(r"Validation loss ([\d.]+) nats", said)[1])
    assert heard == pytest.approx(np.mean(losses), abs=0.0051)
    runs = runs_of("development", "gamma 0.8", rate, downloaded.name, downloaded)
    probes = [raw(config, downloaded)["probes"] for config in runs]
    ranks = [[p["tensors"]["embedding.weight"]["stable_rank"] for p in run] for run in probes]
    heard = re.search(r"Stable rank of the embedding ([\d.]+), at the start (\d+\.\d)", said)
    assert float(heard[1]) == pytest.approx(np.mean(ranks, 0)[-1], abs=0.06)
    assert float(heard[2]) == pytest.approx(np.mean(ranks, 0)[0], abs=0.06)


def test_the_counts_of_tokens_are_those_that_are_marked(visit):
    page = visit("#gamma=0.8&rate=tuned")
    numbers = numbers_on(page)["tokens"]
    found = entry(numbers, 0.8, "tuned")
    gains = np.subtract(found["usual"][0], found["here"][0])
    counts = [(gains > numbers["gap"]).sum(), (gains < -numbers["gap"]).sum()]
    marked = [page.locator(f"#gx-tokens-canvas .gx-{side}").count() for side in ("mine", "usual")]
    said = page.locator("#gx-said").inner_text()
    heard = re.search(r"(\d+) tokens better with gamma 0.8, (\d+) with", said)
    assert marked == counts == [int(heard[1]), int(heard[2])]
    first = page.locator("#gx-tokens-canvas").inner_text()
    page.get_by_role("button", name="Another passage").click()
    assert page.locator("#gx-tokens-canvas").inner_text() != first and "passage=2" in page.url


def test_the_keyboard_is_enough(visit):
    page = visit("#gamma=0.8&step=0&rate=common")
    page.locator("#gx-gamma").focus()
    before = seen(page)
    page.keyboard.press("ArrowLeft")
    assert "loss" in changed(before, seen(page))
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    last = numbers_on(page)["loss"]["last"]
    assert page.locator("#gx-time").get_attribute("aria-valuetext") == f"step {last} of {last}"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert "with the rate tuned" in seen(page)["said"] and "rate=tuned" in page.url
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # plays from the start, for the end was reached
    page.wait_for_function("Number(document.getElementById('gx-time').value) > 0")
    assert page.locator("#gx-said").get_attribute("aria-live") == "off"
    page.keyboard.press("Space")
    assert page.locator("#gx-play").inner_text() == "Play"
    assert page.locator("#gx-said").get_attribute("aria-live") == "polite"


def test_playing_ends_at_the_end(visit):
    page = visit("#gamma=0.8", reduced_motion="reduce")
    page.locator("#gx-time").focus()
    page.keyboard.press("ArrowLeft")
    page.locator("#gx-play").click()
    page.wait_for_function("document.getElementById('gx-play').textContent === 'Play'")
    assert page.locator("#gx-time").input_value() == page.locator("#gx-time").get_attribute("max")


def test_the_address_restores_a_state(visit):
    page = visit("#gamma=0.8&rate=common")
    page.locator("#gx-gamma").fill("0")
    page.locator("#gx-time").fill("2")
    page.locator("input[value=tuned]").check()
    again = visit(page.url[page.url.index("#") :])
    assert seen(again) == seen(page)
    page.evaluate("location.hash = 'gamma=0.8&step=0&rate=common'")
    page.wait_for_function("document.getElementById('gx-time').value === '0'")
    assert "Gamma 0.8, step 0 " in seen(page)["said"]


@pytest.mark.parametrize("place", ["#what-to-look-for", "#gamma=x&step=-1&rate=z&passage=99"])
def test_an_address_that_names_no_setting_changes_nothing(visit, place):
    assert seen(visit(place)) == seen(visit())


def test_charts_say_what_they_show_and_all_controls_have_names(visit):
    page = visit("#gamma=0.8")
    labels = page.locator(".gx svg[role=img]").evaluate_all(
        "all => all.map((svg) => svg.getAttribute('aria-label'))"
    )
    assert len(labels) == 4 and all(re.search(r"gamma 0\.\d.*\d", label) for label in labels)
    loss = re.search(r"Validation loss [\d.]+", seen(page)["said"])[0]
    assert loss in labels[0]
    for role, name in (("slider", "gamma 0.8"), ("slider", "step"), ("radio", "common"),
                       ("radio", "tuned"), ("button", "Play")):
        assert page.get_by_role(role, name=name).count() == 1


def test_ink_follows_light_and_dark_at_once(visit):
    page = visit("", color_scheme="light")
    ink = "getComputedStyle(document.querySelector('#gx-loss-canvas text')).fill"
    light = page.evaluate(ink)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{ink} !== '{light}'")
    rgb = [sum(map(int, re.findall(r"\d+", c)[:3])) for c in (light, page.evaluate(ink))]
    assert rgb[0] < 3 * 128 < rgb[1]


def test_nothing_below_moves_when_gamma_or_time_do(visit):
    page = visit("#gamma=0.8", viewport={"width": 360, "height": 740})
    tops = """[...document.querySelectorAll(".gx svg[role=img], #gx-next, .gx + * ~ *")]
        .filter((part) => part.getClientRects().length)  // what is hidden has no place
        .map((chart) => chart.getBoundingClientRect().top + scrollY)"""
    before = page.evaluate(tops)
    for slider, place in (("gamma", "0"), ("gamma", "2"), ("time", "1")):
        page.locator(f"#gx-{slider}").fill(place)
        assert page.evaluate(tops) == pytest.approx(before, abs=1)


# ---- with data that lack something ---------------------------------------------------------------


@pytest.fixture
def data(site):
    script = (site / "_static" / "explorer-data.js").read_text(encoding="utf-8")
    return json.loads(script.removeprefix("window.GG_EXPLORER=").removesuffix(";\n"))


def test_the_nearest_record_stands_in_and_is_named(visit, data):
    own = data["ranks"]["roles"]
    own["common"] = [e for e in own["common"] if e["gamma"] != 0.8]
    page = visit("#gamma=0.8", data)
    there = [e["gamma"] for e in own["common"]]
    nearest = min(there, key=lambda g: (round(abs(g - 0.8), 9), g))
    for panel in ("ranks", "spectrum"):
        title = page.locator(f"#gx-{panel}-title").inner_text()
        assert f"gamma {nearest:g} (nearest to 0.8 on record)" in title
    said = seen(page)["said"]
    assert f"With gamma {nearest:g}: Stable rank" in said
    assert "On record with gamma 0.8: loss, map, tokens; the others show the nearest." in said
    assert "nearest" not in page.locator("#gx-loss-title").inner_text()


def test_the_words_go_from_gamma_to_gamma_once(visit, data):
    """Its own first. Ranks and tokens lack it here; without that every panel has it."""
    assert "On record" not in seen(visit("#gamma=0.8"))["said"]
    for own in data["ranks"]["roles"].values():
        own[:] = [e for e in own if e["gamma"] == 0.5]
    for own in data["tokens"]["roles"].values():
        own[:] = [e for e in own if e["gamma"] == 0.5]
    said = seen(visit("#gamma=0.8", data))["said"]
    order = ["Validation loss", "In the Emb-MLP's map", "On record with gamma 0.8: loss, map;",
             "With gamma 0.5: Stable rank", "In the passage"]
    places = [said.index(words) for words in order]
    assert places == sorted(places) and said.count("With gamma") == 1


def test_where_tokens_are_compared_with_themselves_the_note_says_why(visit, data):
    page = visit("#gamma=0.5", data)
    note = page.locator("#gx-tokens-note")
    assert "This is the gamma that tokens are compared with: nothing to tint." in note.inner_text()
    for own in data["tokens"]["roles"].values():
        own[:] = [e for e in own if e["gamma"] == 0.5]
    page = visit("#gamma=0.8", data)
    note = page.locator("#gx-tokens-note").inner_text()
    assert "The nearest on record is 0.5, the gamma that tokens are compared with" in note
    assert "which is this one" not in seen(page)["said"] + note


def test_a_passage_is_marked_as_cut_out(visit):
    words = visit("#gamma=0.8").locator("#gx-tokens-canvas").inner_text()
    assert words[0] == words[-1] == "…"


def test_on_a_phone_the_controls_are_low_and_large_enough_to_hit(visit):
    page = visit("#gamma=0.8", viewport={"width": 360, "height": 740})
    boxes = "all => all.map((one) => one.getBoundingClientRect())"
    hit = page.locator(".gx-controls :is(input[type=range], label:has(input), button)")
    assert min(box["height"] for box in hit.evaluate_all(boxes)) >= 24
    common, tuned = page.locator("#gx-rates label").evaluate_all(boxes)
    assert common["top"] == tuned["top"]
    (bar,) = page.locator(".gx-controls").evaluate_all(boxes)
    assert bar["height"] < 110


def test_a_sentence_stands_for_a_panel_without_records(visit, data):
    page = visit("#gamma=0.8", data | {"map": None, "tokens": None})
    for panel in ("map", "tokens"):
        assert page.locator(f"#gx-{panel}-note").inner_text() == "There are no records of it."
    assert page.get_by_role("button", name="Another passage").count() == 0
    assert "Validation loss" in seen(page)["said"]


def test_diverged_runs_are_named(visit, data):
    own = entry(data["loss"], 0.8)
    data["loss"]["roles"]["common"][data["loss"]["roles"]["common"].index(own)] = {
        name: own[name] for name in ("gamma", "rate", "resolved")
    } | {"runs": 0, "diverged": own["runs"]}
    page = visit("#gamma=0.8&rate=common", data)
    assert page.locator("#gx-loss-note").inner_text() == "All its runs diverged."
    assert "Stable rank" in seen(page)["said"]


def test_without_any_record_the_page_says_so(visit):
    empty = dict.fromkeys(PANELS) | {"gammas": [], "rates": {}, "colours": []}
    page = visit("#gamma=0.8", empty)
    assert page.locator("#gx-none").is_visible() and not page.locator("#gx-root").is_visible()


def test_without_javascript_there_are_links_to_the_chapters(visit):
    page = visit("", java_script_enabled=False)
    sentence = page.locator("p.gx-none", has=page.locator("a"))
    assert sentence.is_visible() and sentence.locator("a").count() == 4
    assert not page.locator("#gx-root").is_visible()
