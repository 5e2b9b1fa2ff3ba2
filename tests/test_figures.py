"""Figures: drawn for both grounds, always the same bytes, and put into words that are computed."""

import math
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers import made_up_record, under
from hypothesis import given
from hypothesis import strategies as st

from gammagpt import InitConfig, RunConfig, figures_gamma, figures_gamma_scaling, frame
from gammagpt.analysis import pictures
from gammagpt.analysis.along_size_figures import COLOURS
from gammagpt.data import DataConfig
from gammagpt.figures_attention import INK
from gammagpt.figures_restraints import LOOKS
from gammagpt.plots import picture as picture_module
from gammagpt.plots.estimates import dots_beside
from gammagpt.plots.picture import Picture
from gammagpt.plots.style import looks, style

BASE = RunConfig(data=DataConfig(fingerprint="f" * 64))
GAMMAS, RATES = (0.5, 0.8, 1.2), (0.001, 0.002, 0.004)
DIVERGED = math.inf


def loss_of(gamma, rate, seed=0) -> float:
    """Least at gamma 0.8 and at the rate 0.002, with some noise from the seed."""
    return 5 + abs(gamma - 0.8) + 0.1 * abs(math.log2(rate / 0.002)) + 0.01 * (seed % 4)


def rows(
    role, inits=GAMMAS, rates=(0.002,), seeds=(0, 1, 2), loss=loss_of, **record
) -> pd.DataFrame:
    records = []
    for init in inits:
        init = InitConfig(gamma=init) if isinstance(init, float) else init
        for rate, seed in ((rate, seed) for rate in rates for seed in seeds):
            optim = replace(BASE.optim, learning_rate=rate)
            config = replace(BASE, init=init, optim=optim, seed=seed)
            value = loss(init.gamma or 0.9, rate, seed)
            records.append(made_up_record(config, None if value == DIVERGED else value, **record))
    runs = frame(records)
    runs["role"], runs["resolved"] = role, True
    return runs


def study(loss=loss_of) -> pd.DataFrame:
    """What an experiment collects: tuning, common and tuned runs, gammas and fixed stds."""
    fixed = (InitConfig(std=0.02), InitConfig(std=0.02, residual_scaling=True))
    return pd.concat([
        rows("tuning", GAMMAS + fixed, RATES, seeds=(1000,), loss=loss),
        rows("common", GAMMAS + fixed, loss=loss),
        rows("tuned", GAMMAS + fixed, loss=loss),
    ], ignore_index=True)  # fmt: skip


def spectra(*ranks) -> list:
    steps = (0, 1, 4, 20)[: len(ranks)]
    return [{"step": step, "tensors": {"embedding.weight": {"stable_rank": rank}}}
            for step, rank in zip(steps, ranks, strict=True)]  # fmt: skip


def only(runs, role):
    return runs[runs.role == role]


MAKE = {
    "std_dictionary": lambda: figures_gamma.std_dictionary([64, 256, 1024]),
    "eps_effect": lambda: figures_gamma.eps_effect([64, 256], [0.5, 0.8], [1e-5, 1e-12]),
    "loss_curves": lambda: pictures.loss_curves(only(study(), "common"), "laptop"),
    "stable_ranks": lambda: figures_gamma.stable_ranks(
        rows("common", seeds=(0,), probes=spectra(12.0, 11.0, 3.0, 7.5)), "laptop"
    ),
    "loss_plane": lambda: pictures.loss_plane(study(), "laptop"),
    "loss_against_gamma": lambda: figures_gamma_scaling.loss_against_gamma(study(), "laptop"),
    "gain_by_rate": lambda: figures_gamma_scaling.gain_by_rate(study(), "laptop"),
}
FROM_RUNS = [name for name in MAKE if name not in ("std_dictionary", "eps_effect")]


@pytest.fixture(scope="module")
def drawn():
    """drawn(name) is (picture, {ground: image}, page), made once; the images are those shown."""
    known = {}

    def draw(name):
        if name not in known:
            picture = MAKE[name]()
            page = Tags(picture._repr_html_())
            shown = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
            images = [unquote_to_bytes(source.split(",", 1)[1]) for source in shown]
            known[name] = picture, dict(zip(INK, images, strict=True)), page
        return known[name]

    return draw


class Tags(HTMLParser):
    """All tags with their attributes, and all text, as a browser would take them."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


# ---- every figure ------------------------------------------------------------------------------


def test_every_public_figure_is_tested():
    functions = {name for name, thing in vars(figures).items() if callable(thing)
                 and getattr(thing, "__annotations__", {}).get("return") is Picture}  # fmt: skip
    assert functions - {"nothing"} == set(MAKE)


@pytest.mark.parametrize("name", MAKE)
def test_a_figure_is_svg_with_its_own_ink_on_light_and_on_dark(drawn, name):
    _, images, _ = drawn(name)
    for ground, image in images.items():
        assert ElementTree.fromstring(image).tag == "{http://www.w3.org/2000/svg}svg"
        other = INK["dark" if ground == "light" else "light"]
        assert INK[ground].encode() in image and other.encode() not in image


@pytest.mark.parametrize("name", MAKE)
def test_the_same_input_gives_the_same_bytes(drawn, name):
    _, images, _ = drawn(name)
    assert MAKE[name]().svg("dark") == images["dark"]


@pytest.mark.parametrize("name", MAKE)
def test_a_figure_has_words_for_those_who_cannot_see_it(drawn, name):
    picture, _, page = drawn(name)
    shown = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(picture.alt) > 60 and picture.alt.endswith(".")
    assert [image["alt"] for image in shown] == [picture.alt] * 2
    assert ("figure", {"class": "gg-figure", "id": picture.anchor}) in page.tags
    assert f"{picture_module.headline(picture.alt)} {under(picture)}" in page.text


@pytest.mark.parametrize(
    "alt, shown",
    [
        ("Loss falls to 3.5. Seeds differ.", "Loss falls to 3.5."),
        ("Shares left at the end. sotu: 0.7.", "Shares left at the end."),
        (f"Classes of tokens: {'one 2 ' * 30}.", "Classes of tokens."),
        (f"A{' long' * 30} sentence.", f"A{' long' * 30} sentence."),
    ],
)
def test_a_caption_begins_with_what_is_shown(alt, shown):
    assert picture_module.headline(alt) == shown
    figure = Picture("fig", print, alt, "Dots are runs. Tier laptop; 2 runs.")._repr_html_()
    assert f"<strong>{shown}</strong> Dots are runs. <small>Tier laptop; 2 runs.</small>" in figure


@pytest.mark.parametrize("name", MAKE)
def test_axes_are_labelled_in_text_that_can_be_searched(drawn, name):
    _, images, _ = drawn(name)
    words = " ".join(ElementTree.fromstring(images["light"]).itertext())
    assert any(label in words for label in ("loss", "gamma", "rank", "norm"))


@pytest.mark.parametrize("name", FROM_RUNS)
def test_the_caption_says_which_tier_runs_seeds_and_commit(drawn, name):
    picture, _, _ = drawn(name)
    assert "Tier laptop; " in under(picture) and "commit 01234567." in under(picture)
    seeds = {"loss_plane": "seed 1000", "gain_by_rate": "seed 1000", "stable_ranks": "seed 0"}
    assert seeds.get(name, "seeds 0, 1, 2") in under(picture)


def test_a_run_that_has_two_roles_is_counted_once():
    runs = pd.concat([rows("common"), rows("tuned")])
    assert "; 9 runs, seeds 0, 1, 2; commit" in picture_module.provenance(runs, "gpu")
    assert "; 1 run, seed 0; " in picture_module.provenance(rows("common", (0.5,), seeds=(0,)), "gpu")


def test_words_are_escaped_for_html():
    picture = Picture("fig", lambda figure: None, 'loss < 5 & "gamma" > 0.5', "a < b & 'c'")
    page = Tags(picture._repr_html_())
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [image["alt"] for image in images] == [picture.alt] * 2
    assert all(image["src"].startswith("data:image/svg+xml,") for image in images)
    assert under(picture) in page.text


def test_a_figure_is_drawn_once_for_both_grounds():
    calls = []
    picture = Picture("fig", calls.append, "alt", "caption")
    assert picture.svg("dark") and picture.svg("light") and picture._repr_html_()
    assert len(calls) == 1


def test_what_makes_a_figure_small_leaves_its_words_whole():
    """Coordinates are cut to hundredths of a point; a number that is read keeps its digits."""

    def draw(figure):
        figure.text(1 / 7, 1 / 7, "0.123456  <0.0005>")

    image = Picture("fig", draw, "alt", "caption").svg()
    assert "".join(ElementTree.fromstring(image).itertext()).endswith("0.123456  <0.0005>")
    assert b'x="74.05"' in image and image.count(b"\n") == 1


# ---- the finding in words ----------------------------------------------------------------------


def test_the_dictionary_says_what_a_fixed_std_amounts_to():
    """-ln 0.02 / ln 64 = 0.94, and 0.56 at width 1024."""
    assert "0.94 at width 64 to 0.56 at width 1024" in MAKE["std_dictionary"]().alt


def test_the_effect_of_eps_is_computed_for_the_worst_case():
    """1 / sqrt(1 + 1e-5 * 256^1.6) = 0.97; at 4096, where 4096^1.6 is 602,000, it is 0.38."""
    assert "0.97 instead of 1 at width 256 and gamma 0.8" in MAKE["eps_effect"]().alt
    wide = figures_gamma.eps_effect([64, 4096], [0.5, 0.8], [1e-5, 1e-12])
    assert "0.38 instead of 1 at width 4096" in wide.alt and "it is 1.00" in wide.alt


def test_loss_curves_say_where_each_setting_ends():
    runs = rows("common", (0.5,), curve=[[0, 6.0], [100, 4.25]])
    runs = pd.concat([runs, rows("common", (0.8,), curve=[[0, 6.0], [100, 3.75]])])
    assert "gamma 0.5 4.25, gamma 0.8 3.75" in pictures.loss_curves(runs, "laptop").alt


def test_loss_curves_can_be_limited_to_some_settings():
    picture = pictures.loss_curves(only(study(), "common"), "laptop", settings=["gamma 0.8"])
    assert "gamma 0.8" in picture.alt and "gamma 0.5" not in picture.alt


def test_stable_ranks_say_where_condensation_was_strongest():
    found = "gamma 0.5: 12.0 at the start, lowest 3.0 at step 4, 7.5 at the end"
    assert found in MAKE["stable_ranks"]().alt


def test_the_plane_names_the_best_rate_of_each_row():
    alt = MAKE["loss_plane"]().alt
    assert "gamma 0.5 at 0.002, gamma 0.8 at 0.002, gamma 1.2 at 0.002" in alt


def test_loss_against_gamma_says_each_mean_at_one_rate_and_at_the_best():
    def loss(gamma, rate, seed):
        return loss_of(gamma, rate) if rate == 0.002 else 4.5 + abs(gamma - 1.2)

    runs = pd.concat([rows("common", loss=loss), rows("tuned", rates=(0.004,), loss=loss)])
    alt = figures_gamma_scaling.loss_against_gamma(runs, "laptop").alt
    common, tuned = alt.split(" Each at its own best: ")
    assert "At one learning rate: " in common and "gamma 0.8 5.000 [5.000, 5.000]" in common
    assert "gamma 1.2 4.500 [4.500, 4.500]" in tuned


def test_the_gain_is_that_over_the_baseline_at_the_ends_of_the_grid():
    def loss(gamma, rate, seed):
        return 5.0 - (gamma > 0.5) * {0.001: 0.4, 0.002: 0.1, 0.004: -0.2}[rate]

    alt = figures_gamma_scaling.gain_by_rate(rows("tuning", rates=RATES, loss=loss), "laptop").alt
    assert "+0.40 nats at 0.001" in alt and "-0.20" in alt and "at 0.004" in alt


# ---- runs that diverged ------------------------------------------------------------------------


def diverges(*where):
    """loss_of, but for some (gamma, rate) that diverge."""

    def loss(gamma, rate, seed):
        return DIVERGED if (gamma, rate) in where else loss_of(gamma, rate, seed)

    return loss


def everywhere(gamma):
    return [(gamma, rate) for rate in RATES]


CASES = {
    "one cell": [(0.5, 0.004)],
    "one setting": everywhere(0.8),
    "the baseline": everywhere(0.5),
    "at one learning rate": [(gamma, 0.002) for gamma in GAMMAS],
}


@pytest.mark.parametrize("where", CASES.values(), ids=CASES)
@pytest.mark.parametrize(
    "name", ["loss_plane", "loss_against_gamma", "gain_by_rate", "loss_curves"]
)
def test_a_figure_survives_diverged_runs_and_says_no_nonsense(name, where):
    runs = study(diverges(*where))
    runs = only(runs, "common") if name == "loss_curves" else runs
    picture = getattr(figures, name)(runs, "laptop")
    assert ElementTree.fromstring(picture.svg()).tag.endswith("svg")
    words = picture.alt.replace(";", " ").replace(".", " ").split()
    assert not {"nan", "inf", "+nan", "+inf", "-inf"} & set(words), picture.alt


@pytest.mark.parametrize("name", ["loss_plane", "loss_against_gamma", "gain_by_rate"])
def test_runs_that_diverged_are_counted_in_the_caption(name):
    """They cannot be drawn where a mean is, but nobody is to think that they never were."""
    picture = getattr(figures, name)(study(diverges(*CASES["at one learning rate"])), "laptop")
    assert "diverged" in under(picture) and "diverged" not in MAKE[name]().caption


def test_a_diverged_cell_of_the_plane_is_named_and_never_the_best():
    picture = pictures.loss_plane(study(diverges((0.5, 0.002))), "laptop")
    words = " ".join(ElementTree.fromstring(picture.svg()).itertext())
    assert words.count("diverged") == 1
    assert "gamma 0.5 at 0.001" in picture.alt and "gamma 0.5 at 0.002" not in picture.alt


def test_a_setting_that_diverged_everywhere_has_no_best_rate_in_words():
    picture = pictures.loss_plane(study(diverges(*everywhere(0.5))), "laptop")
    assert not any(f"gamma 0.5 at {rate:g}" in picture.alt for rate in RATES)
    assert "gamma 0.8 at 0.002" in picture.alt


def test_what_was_found_at_the_best_rates_is_never_told_of_the_common_rate():
    runs = pd.concat([
        rows("common", loss=lambda *_: DIVERGED),
        rows("tuned", rates=(0.004,), loss=loss_of),
    ])  # fmt: skip
    alt = figures_gamma_scaling.loss_against_gamma(runs, "laptop").alt
    assert "common learning rate: no setting of which every run ended well" in alt
    assert "Each at its own best: gamma 0.5 5.410" in alt


def test_a_curve_that_ended_early_or_never_began_is_survived():
    runs = pd.concat([
        rows("common", (0.5,), curve=[[0, 6.0], [100, 4.0]]),
        rows("common", (0.8,), seeds=(0, 1), curve=[[0, 6.0], [100, 3.5]]),
        rows("common", (0.8,), seeds=(2,), curve=[[0, 9.0]], loss=lambda *_: DIVERGED),
    ])  # fmt: skip
    picture = pictures.loss_curves(runs, "laptop")
    assert "gamma 0.8 3.50" in picture.alt and picture.svg()
    never = rows("common", (1.2,), loss=lambda *_: DIVERGED)
    never["curve"] = [[] for _ in range(len(never))]
    assert pictures.loss_curves(pd.concat([runs, never]), "laptop").svg()


# ---- other parameters than the book's ----------------------------------------------------------

MANY = [round(0.3 + 0.1 * i, 1) for i in range(8)]


@pytest.mark.parametrize(
    "make",
    [
        lambda: figures_gamma.std_dictionary([64, 256], stds=[0.01 * i for i in range(1, 9)]),
        lambda: figures_gamma.eps_effect([64, 256], MANY, [1e-5, 1e-12]),
        lambda: figures_gamma.eps_effect([64, 256], [0.8], [1e-5]),
        lambda: pictures.loss_curves(rows("common", MANY), "smoke"),
        lambda: figures_gamma.stable_ranks(
            rows("common", MANY, seeds=(0,), probes=spectra(2.0, 3.0)), "smoke"
        ),
        lambda: pictures.loss_plane(rows("tuning", MANY, RATES), "smoke"),
        lambda: pictures.loss_plane(rows("tuning", (0.5,), (0.002,)), "smoke"),
        lambda: figures_gamma_scaling.loss_against_gamma(rows("common", (0.5,), seeds=(0,)), "smoke"),
        lambda: figures_gamma_scaling.gain_by_rate(rows("tuning", MANY, RATES), "smoke"),
    ],
    ids=[
        "eight stds", "eight gammas of eps", "one eps", "eight curves", "eight ranks",
        "eight rows", "one cell", "one point", "eight gains",
    ],
)  # fmt: skip
def test_any_number_of_lines_can_be_drawn(make):
    picture = make()
    assert ElementTree.fromstring(picture.svg()).tag.endswith("svg") and picture.alt


# ---- looks -------------------------------------------------------------------------------------


def test_a_gamma_looks_alike_beside_whatever_it_stands():
    alone, among = looks(["gamma 1"]), looks(["gamma 0.35", "gamma 0.5", "gamma 1", "std 0.02"])
    assert alone["gamma 1"] == among["gamma 1"] != among["gamma 0.5"]
    assert len({COLOURS[i % 6] for i in among.values()}) == 4
    assert looks(["a", "b", "a"]) == {"a": 0, "b": 1}


@given(st.lists(st.sampled_from([*LOOKS, *(f"gamma {g:g}" for g in (0.1, 0.6, 0.9, 2)), "x", "y"])))
def test_no_two_names_look_alike(names):
    found = looks(names)
    assert list(found) == list(dict.fromkeys(names))
    seen = {tuple(style(i).values()) for i in found.values()}
    assert len(seen) == len(found)


def test_dots_stand_beside_their_place_and_the_axis_knows_them():
    figure, (axes, plain) = plt.subplots(1, 2)
    dots_beside(axes, [1.0, 10.0], [2.0, 3.0], COLOURS[0], (-5, 0))
    plain.scatter([1.0, 10.0], [2.0, 3.0])
    assert np.allclose(axes.dataLim.get_points(), plain.dataLim.get_points())
    figure.canvas.draw()
    dots, *_ = axes.collections
    shown = dots.get_offset_transform().transform([[1.0, 2.0]])[0]
    moved = shown - axes.transData.transform([1.0, 2.0])
    plt.close(figure)
    assert moved == pytest.approx([-5 / 72 * figure.dpi, 0])
