"""The guided tours: by keyboard alone, read out, left at any time, and kept in the address only."""

import pytest

PAGES = ("explorer", "play_train", "play_gpt")


@pytest.fixture(params=PAGES)
def page(request, site, browser):
    """A page with a tour, on a phone; it must not have complained when the test is over."""
    made = browser.new_page(viewport={"width": 360, "height": 740})
    made.emulate_media(reduced_motion="reduce")
    complaints = []
    made.on("pageerror", lambda error: complaints.append(str(error)))
    made.goto((site / "book" / f"{request.param}.html").as_uri())
    made.locator(".tour > button").wait_for()
    yield made
    made.close()
    assert complaints == []


def focused(page) -> str:
    return page.evaluate("document.activeElement.textContent")


def stops(page) -> int:
    return page.locator(".tour li").count()


def test_the_keyboard_goes_through_all_stops_and_ends_where_it_began(page):
    page.locator(".tour > button").focus()
    page.keyboard.press("Enter")
    count, words = stops(page), page.locator(".tour-box p")
    assert count >= 5
    for stop in range(1, count + 1):
        assert words.inner_text().startswith(f"{stop} of {count}. ")
        assert f"tour={stop}" in page.url and page.locator(".tour-look").count() == 1
        assert focused(page) == ("Done" if stop == count else "Next")
        box = page.locator(".tour-box").bounding_box()
        seen = page.locator(".tour-look").bounding_box()
        assert 0 <= seen["y"] < box["y"]  # the box does not lie on what it points at
        page.keyboard.press("Enter")
    assert "tour=" not in page.url and "Take the tour" in focused(page)
    assert not page.locator(".tour-box").is_visible() and page.locator(".tour-look").count() == 0
    assert page.evaluate("sessionStorage.length + document.cookie.length") == 0
    assert "tour" not in page.evaluate("Object.keys(localStorage).join()")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_it_is_read_out_goes_back_and_can_be_left(page):
    page.locator(".tour > button").click()
    assert page.locator(".tour-box [aria-live=polite]").count() == 1
    assert page.get_by_role("region", name="Guided tour").is_visible()
    page.get_by_role("button", name="Next", exact=True).click()
    page.get_by_role("button", name="Back", exact=True).click()
    assert page.get_by_role("button", name="Back", exact=True).is_disabled()
    assert "tour=1" in page.url
    page.keyboard.press("Escape")
    assert not page.locator(".tour-box").is_visible() and "tour=" not in page.url


def test_the_address_leads_to_a_stop_and_nonsense_to_none(page):
    page.goto(f"{page.url.partition('#')[0]}#tour=3")
    page.reload()
    page.locator(".tour-box p", has_text="3 of").wait_for()
    page.goto(f"{page.url.partition('#')[0]}#tour=99")
    page.reload()
    page.locator(".tour > button").wait_for()
    assert not page.locator(".tour-box").is_visible()


def test_a_stop_sets_what_it_speaks_of(site, browser):
    page = browser.new_page()
    page.goto(f"{(site / 'book' / 'play_gpt.html').as_uri()}#tour=5")
    page.locator(".tour-box p", has_text="5 of").wait_for()
    assert page.locator("#gpt-warmup").input_value() == "180"
    page.goto(f"{(site / 'book' / 'explorer.html').as_uri()}#tour=3")
    page.locator(".tour-box p", has_text="3 of").wait_for()
    assert page.locator("#gx-rates input[value=tuned]").is_checked() and "rate=tuned" in page.url
    page.locator("#gx-gamma").press("ArrowLeft")  # the reader's own change keeps the stop
    assert "tour=3" in page.url
    page.close()


def test_without_javascript_the_stops_are_there_to_be_read(site, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "book" / "explorer.html").as_uri())
    assert page.locator(".tour li").first.is_visible()
    context.close()
