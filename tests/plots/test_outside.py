"""Figures outside the site: one picture on a ground of its own, though styles are taken away."""

import re

import pytest

from gammagpt import project
from gammagpt.plots import Picture
from gammagpt.plots.style import INK

SHOWN = "images => images.filter(i => i.checkVisibility()).map(i => i.className.split(' ')[0])"
THEME = """[hidden] { display: none !important }
html[data-theme=light] .only-dark, html[data-theme=dark] .only-light { display: none !important }"""


@pytest.fixture(scope="module")
def picture() -> Picture:
    def draw(figure):
        figure.add_subplot().plot([0, 1])

    return Picture("fig-x", draw, "It rises. A line.", "How to read it.")


def sanitized(page: str) -> str:
    """What JupyterLab leaves of the HTML in a notebook that is not trusted: no style elements, and
    no attributes without a value."""
    page = re.sub(r"(?s)<(style|script).*?</\1>", "", page)
    return re.sub(r"(<\w+(?: [\w-]+=\"[^\"]*\")*) hidden(?=[ >])", r"\1", page)


@pytest.mark.parametrize("ground, shown", [("#111", "gg-light"), ("#fff", "gg-light")])
def test_elsewhere_one_picture_is_shown_on_white(picture, browser, ground, shown):
    page = browser.new_page(color_scheme="dark")
    body = sanitized(picture._repr_html_())
    page.set_content(f"<body style='background:{ground}'>{body}")
    assert page.eval_on_selector_all("img", SHOWN) == [shown]
    corner = page.evaluate("""async () => {
        const image = document.querySelector('img.gg-light'); await image.decode();
        const canvas = document.createElement('canvas'); const brush = canvas.getContext('2d');
        brush.drawImage(image, 0, 0); return [...brush.getImageData(2, 2, 1, 1).data] }""")
    assert corner == [255, 255, 255, 255]
    page.close()


@pytest.mark.parametrize("theme", INK)
def test_on_the_site_the_theme_chooses(picture, browser, theme):
    styles = (project.root() / "book" / "static" / "gammagpt.css").read_text(encoding="utf-8")
    page = browser.new_page()
    page.set_content(f"<html data-theme={theme}><style>{THEME}{styles}</style>"
                     f"<div class=bd-content><div>{picture._repr_html_()}")  # fmt: skip
    assert page.eval_on_selector_all("img", SHOWN) == [f"gg-{theme}"]
    page.emulate_media(media="print")
    assert page.eval_on_selector_all("img", SHOWN) == ["gg-light"]
    page.close()


def test_the_picture_for_dark_pages_lets_them_shine_through(picture):
    assert b'fill="#fff"' in picture.svg("light") and b'fill="#fff"' not in picture.svg("dark")
