"""Everybody can read the site: with a keyboard, a screen reader, in both schemes, on a phone."""

import re

import pytest
from visits import DESKTOP, each

SEARCHED = {"condensation": "10_condensation.html", "epsilon": "01_gamma.html"}


def test_axe_finds_nothing_serious_in_light_in_dark_and_on_a_phone(visits):
    assert each(visits, lambda visit: visit.violations) == {}


def test_axe_would_find_something(browser, tmp_path):
    """The same look at a page that is wrong in each way that it is to notice."""
    from visits import visit

    (tmp_path / "bad.html").write_text(
        '<html data-theme="light"><title>t</title><style>.a { color: #bbb; background: #ccc }'
        "</style><main><h1>h</h1><img src='data:,'><p class='a'>pale</p><button></button></main>"
    )
    found = " ".join(visit(browser, tmp_path / "bad.html").violations)
    lost = [rule for rule in ("image-alt", "button-name", "html-has-lang") if rule not in found]
    assert not lost and "light: color-contrast" in found and "dark: color-contrast" in found


def test_nothing_moves_while_a_page_loads(visits):
    """Cumulative layout shift; up to 0.1 counts as good (web.dev/cls)."""
    assert each(visits, lambda visit: visit.seen["shifted"] * (visit.seen["shifted"] > 0.1)) == {}


def test_headings_leave_out_no_level_and_ids_are_unique(visits):
    def leaps(visit):
        levels = visit.seen["headings"]
        return [pair for pair in zip(levels, levels[1:], strict=False) if pair[1] > pair[0] + 1]

    def twice(visit):
        return sorted({name for name in visit.seen["ids"] if visit.seen["ids"].count(name) > 1})

    assert each(visits, leaps) == {} and each(visits, twice) == {}


def test_alt_texts_of_figures_are_sentences_with_numbers_that_differ(visits):
    """Each tells what it found, or why nothing, unlike any other of its page; light and dark
    variants are one."""

    def wrong(visit):
        alts = [picture["alt"] for picture in visit.seen["pictures"] if picture["in_figure"]]
        pairs = list(zip(alts[::2], alts[1::2], strict=True))
        unlike = [a for a, b in pairs if a != b]
        shown = [a for a, _ in pairs if not a.startswith("Nothing is shown")]
        found = re.compile(r"\d|no runs that have it|leaves it open")
        again = [a for a in shown if shown.count(a) > 1 or not found.search(a)]
        return unlike + again + [a for a in alts if not re.search(r"\w[^.]*\.$", a)]

    assert each(visits, wrong) == {}


@pytest.mark.parametrize("term, chapter", SEARCHED.items())
def test_search_finds_a_chapter_from_a_folder_and_without_complaints(site, browser, term, chapter):
    page = browser.new_page(viewport=DESKTOP)
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.goto((site / "book" / "references.html").as_uri())
    page.keyboard.press("Control+k")
    page.keyboard.type(term)
    page.keyboard.press("Enter")
    page.wait_for_selector(f'#search-results a[href*="{chapter}"]')
    page.close()
    assert complaints == []


def test_the_keyboard_skips_to_the_text_and_shows_where_it_is(site, browser):
    page = browser.new_page(viewport=DESKTOP)
    page.goto((site / "book" / "rerun.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main-content"
    page.wait_for_function("document.activeElement.getBoundingClientRect().top >= 0")  # it slides
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("!!document.activeElement.closest('#main-content')")
    ring = page.evaluate(
        "(({outlineStyle, boxShadow}) => [outlineStyle, boxShadow])"
        "(getComputedStyle(document.activeElement))"
    )
    page.close()
    assert ring != ["none", "none"]


def test_a_term_says_what_it_means_to_the_keyboard_and_leads_to_the_glossary(site, browser):
    page = browser.new_page(viewport=DESKTOP)
    page.goto((site / "notebooks" / "02_gamma_scaling.html").as_uri())
    term = page.locator("a.gg-term").first
    page.keyboard.press("Tab")  # from now on the focus is the keyboard's
    term.focus()
    shown = term.evaluate("(e) => getComputedStyle(e, '::after').content")
    assert len(term.get_attribute("title")) > 20 and term.get_attribute("title")[:20] in shown
    assert "glossary.html#term-" in term.get_attribute("href")
    page.close()
