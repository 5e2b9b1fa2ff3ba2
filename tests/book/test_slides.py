"""The two decks: figures, numbers and notes; moved by keys and by address; one file, and paper."""

import re

import pytest
import slides
from helpers import made_up_claim
from test_handout import chapter

from gammagpt import UserError, project
from gammagpt.ledger.judge import Verdict

SOURCES = sorted((project.root() / "book" / "slides").glob("*.html"))
DECKS = [path.name for path in SOURCES]


def test_a_slide_has_the_figure_of_its_notebook_and_says_where_there_is_none():
    text = '<figure data-figure="02_gamma_scaling fig-one"></figure>'
    found = slides.deck(text, {"02_gamma_scaling": chapter("fig-one")}, [])
    assert found.count("<img") == 1 and "../notebooks/02_gamma_scaling.html#fig-one" in found
    for chapters in ({}, {"02_gamma_scaling": chapter("fig-two")}):
        assert "makes no picture fig-one" in slides.deck(text, chapters, [])


def test_its_numbers_are_those_of_the_ledger():
    verdict = Verdict(made_up_claim(id="one"), "laptop", "better", "so", 0.25, 0.125, 0.375)
    row = slides.table(["one"], [verdict])
    assert "+0.250 [+0.125, +0.375]" in row and "<td>better</td>" in row
    with pytest.raises(UserError, match="slides: got claim 'two'"):
        slides.table(["one", "two"], [verdict])


@pytest.mark.parametrize("path", SOURCES, ids=DECKS)
def test_every_slide_has_a_heading_and_notes_and_figures_that_exist(path):
    text = path.read_text(encoding="utf-8")
    parts = re.findall(r"<section>(.*?)</section>", text, re.DOTALL)
    assert len(parts) >= 10
    assert all(re.search(r"<h[12]>", part) and 'class="notes"' in part for part in parts)
    files = [*(project.root() / "src" / "gammagpt").rglob("*.py"),
             *(project.root() / "notebooks").glob("*.ipynb")]
    source = "\n".join(file.read_text(encoding="utf-8") for file in files)
    assert [a for _, a in slides.FIGURE.findall(text) if a not in source] == []


@pytest.mark.parametrize("name", DECKS)
def test_a_deck_is_moved_by_keys_and_by_its_address_and_prints_whole(site, browser, name):
    page = browser.new_page(color_scheme="dark")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{(site / 'slides' / name).as_uri()}#2")
    shown = page.locator("main > section:visible")
    count = page.locator("main > section").count()
    place = page.locator(".place [role=status]")
    assert shown.count() == 1 and place.inner_text() == f"2 of {count}"
    page.keyboard.press("ArrowRight")
    assert place.inner_text() == f"3 of {count}" and page.url.endswith("#3")
    assert not shown.locator(".notes").is_visible()
    page.keyboard.press("n")
    assert shown.locator(".notes").is_visible()
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")  # there is no more
    assert place.inner_text() == f"{count} of {count}"
    assert all(url.startswith(("data:", (site / "slides" / name).as_uri())) for url in asked)
    page.emulate_media(media="print")
    sections = page.locator("main > section").all()
    assert all(section.is_visible() for section in sections)
    sheets = page.pdf(prefer_css_page_size=True)
    page.close()
    assert len(re.findall(rb"/Type\s*/Page\b", sheets)) <= 2 * count


def test_without_its_script_a_deck_is_a_page_to_read(site, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "slides" / DECKS[0]).as_uri())
    assert page.locator("main > section:visible").count() >= 10
    assert page.locator(".notes").first.is_visible()
    context.close()
