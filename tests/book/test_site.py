"""The book as a reader meets it: built from nothing, opened from a folder, without a network."""

import re
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import build
import nbformat
import polish
import pytest
from visits import PHONE, each

from gammagpt import project

# ---- every page --------------------------------------------------------------------------------


def test_every_chapter_of_the_contents_is_a_page(site, visits):
    contents = project.read_yaml(project.root() / "_toc.yml")
    chapters = [chapter for part in contents["parts"] for chapter in part["chapters"]]
    names = [contents["root"], *(chapter["file"] for chapter in chapters)]
    pages = {visit.path for visit in visits}
    assert [name for name in names if site / f"{name}.html" not in pages] == []


def test_every_chapter_opens_with_its_aims_its_needs_and_its_cost(visits):
    def lacking(visit):
        first = visit.seen["prose"][:2000]
        return [word for word in ("Aims.", "You need", "Time.", "Tier ") if word not in first]

    assert each([v for v in visits if v.path.parent.name == "notebooks"], lacking) == {}


def test_pages_ask_nothing_of_the_network(visits):
    def outside(visit):
        return [url for url in visit.requests if not url.startswith(("file:", "data:", "blob:"))]

    assert each(visits, outside) == {}


def test_no_request_fails(visits):
    assert each(visits, lambda visit: visit.failed) == {}


def test_pages_log_no_errors(visits):
    assert each(visits, lambda visit: visit.complaints) == {}


def test_formulas_are_rendered(visits):
    """Those that Sphinx marked, and none left as TeX in what a cell or raw HTML put on the page."""
    assert sum(visit.seen["formulas"] for visit in visits) > 0
    assert each(visits, lambda visit: visit.seen["formulas"] - visit.seen["rendered"]) == {}
    raw_tex = re.compile(r"\$[^$\n]*\\[^$\n]*\$|\$\$|\\\(|\\\[|\\gamma|\\sigma")
    assert each(visits, lambda visit: raw_tex.findall(visit.seen["prose"])) == {}


def test_every_picture_says_what_it_shows(visits):
    def mute(visit):
        return [p for p in visit.seen["pictures"] if not meaningful(p)]

    def meaningful(picture):
        alt, file = picture["alt"].strip(), picture["src"].rsplit("/", 1)[-1]
        return alt and alt != file and (len(alt) >= 20 or not picture["in_figure"])

    assert each(visits, mute) == {}


def test_links_and_anchors_lead_somewhere(visits):
    anchors = {visit.path: set(visit.seen["ids"]) for visit in visits}

    def dead(link):
        address, fragment = urldefrag(link)
        target = Path(unquote(urlparse(address).path))
        known = anchors.get(target)
        return not target.is_file() or (fragment and known and unquote(fragment) not in known)

    def dead_links(visit):
        return [link for link in visit.seen["links"] if link.startswith("file:") and dead(link)]

    assert each(visits, dead_links) == {}


def test_no_page_scrolls_sideways_on_a_phone(visits):
    assert each(visits, lambda visit: max(0, visit.width_on_phone - PHONE["width"])) == {}


def test_the_site_holds_no_path_of_this_machine(site):
    """Neither a page nor the notebook behind its download button."""
    home, checkout = str(Path.home()), str(project.root().resolve())
    files = [*site.rglob("*.html"), *site.rglob("*.ipynb"), *site.rglob("*.json")]
    texts = {file.name: file.read_text(encoding="utf-8") for file in files}
    assert [name for name, text in texts.items() if f"{home}/" in text or checkout in text] == []


def test_the_site_is_small_enough_to_hand_around(site):
    assert polish.site_size(site) <= polish.MOST_OF_A_SITE


def test_no_page_asks_for_more_than_a_slow_network_can_bear(visits):
    """Page, pictures in sight, fonts and scripts together, as a server sends them."""

    def weight(visit):
        addresses = {urldefrag(url)[0] for url in visit.asked if url.startswith("file:")}
        return polish.transfer(Path(unquote(urlparse(url).path)) for url in addresses)

    heavy = {v.path.name: found for v in visits if (found := weight(v)) > polish.MOST_OF_A_PAGE}
    assert heavy == {}


def test_the_site_has_no_ballast(site):
    """Source maps and translations of the theme, which no page asks for."""
    assert not list(site.rglob("*.map")) and not (site / "_static" / "locales").exists()


def test_a_notebook_to_download_has_the_values_of_the_page_and_no_outputs(site):
    files = list((site / "_sources" / "notebooks").glob("*.ipynb"))
    notebooks = [nbformat.read(file, as_version=4) for file in files]
    assert notebooks and not any(c.get("outputs") for n in notebooks for c in n.cells)
    asked = f"tier = '{tier_of(site)}'"
    assert all(any(asked in c.source for c in n.cells) for n in notebooks)


def tier_of(site) -> str:
    """Of the site that is tested: its records lie in a folder of that name."""
    [folder] = (site / "records").iterdir()
    return folder.name


def test_letters_in_pictures_are_in_ink(site):
    """The colours of lines are too light for letters, on white: less than 4.5 to 1."""

    def coloured(svg: str) -> list[str]:
        rules = dict(re.findall(r"[.](s\d+)\{([^}]*)\}", svg))
        letters = re.findall(r"(?s)<text.*?</text>", svg)
        looks = [text + "".join(map(rules.get, re.findall(r'class="(s\d+)"', text)))
                 for text in letters]
        return [fill for look in looks for fill in re.findall(r"fill: (#\w+)", look)]

    pictures = {file.name: file.read_text(encoding="utf-8") for file in site.glob("pictures/*.svg")}
    assert pictures and {name: found for name, svg in pictures.items()
                         if (found := coloured(svg))} == {}


# ---- single pages ------------------------------------------------------------------------------


def test_the_first_file_leads_to_the_first_page(site, browser):
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    page.wait_for_url("**/book/intro.html")
    page.close()


def test_an_excerpt_of_the_search_is_prose(site, browser):
    """No code, no list of headings, no TeX. From a folder there are no excerpts: asked directly."""
    page = browser.new_page()
    page.goto((site / "search.html").as_uri())
    page.wait_for_function("typeof Search !== 'undefined' && Search.htmlToText.length === 1")
    text = page.evaluate(
        "Search.htmlToText(`<nav>soup</nav><article><h1>What<a class='headerlink'>#</a></h1>"
        r"<span class='math'>\\(\\gamma = 0.8\\)</span> is <div class='cell_input'>x = 1</div>"
        r"small, <span class='math'>\\(d_\\mathrm{in}^{-\\gamma}\\)</span></article>`)"
    )
    page.close()
    assert " ".join(text.split()) == "Whatγ = 0.8 is small, d_in-γ"


def test_the_records_behind_the_verdicts_are_in_the_site(site):
    assert list((site / "records" / tier_of(site)).glob("*.json"))


@pytest.mark.parametrize("scheme, shown, hidden", [("light", 0, 1), ("dark", 1, 0)])
def test_figures_follow_light_and_dark_and_keep_their_caption(site, browser, scheme, shown, hidden):
    page = browser.new_page(color_scheme=scheme)
    page.goto((site / "notebooks" / "02_gamma_scaling.html").as_uri())
    figure = page.locator("figure.gg-figure").first
    assert figure.locator("img").nth(shown).is_visible()
    assert not figure.locator("img").nth(hidden).is_visible()
    assert figure.locator("figcaption").is_visible()
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_verdict_badges_are_readable_and_differ_by_more_than_colour(site, browser, scheme):
    page = browser.new_page(color_scheme=scheme)
    page.goto((site / "book" / "references.html").as_uri())
    styles = [
        page.evaluate(
            """(verdict) => {
              const badge = document.createElement("span");
              badge.className = `verdict ${verdict}`;
              document.querySelector("article").append(badge);
              const {color, backgroundColor, borderTopStyle} = getComputedStyle(badge);
              return {color, backgroundColor, frame: borderTopStyle};
            }""",
            verdict,
        )
        for verdict in ("better", "worse", "undecided", "equivalent", "not-run")
    ]
    page.close()
    assert min(contrast(s["color"], s["backgroundColor"]) for s in styles) >= 4.5  # WCAG 2, AA
    looks = {(s["color"], s["backgroundColor"], s["frame"]) for s in styles}
    assert len(looks) == 5 and len({s["frame"] for s in styles}) == 4


def contrast(*colours: str) -> float:
    """WCAG 2's contrast ratio of two `rgb(r, g, b)`."""
    dark, light = sorted(luminance(colour) for colour in colours)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# ---- what must not be built --------------------------------------------------------------------


def test_dead_references_stop_the_build(tmp_path, capfd):
    """A missing picture, page, anchor and citation: each is named, and there is no book."""
    (tmp_path / "_config.yml").write_text("title: t\nbibtex_bibfiles: [r.bib]\n")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    (tmp_path / "r.bib").write_text("@misc{known, title={t}, author={a}, year={2020}}\n")
    (tmp_path / "index.md").write_text(
        "# Page\n\n![no such picture at all](nowhere.png)\n\n[a](lost.md) and [b](#no-anchor)\n\n"
        "{cite}`unknown` and {ref}`no-label`\n\n```{bibliography}\n```\n"
    )
    with pytest.raises(SystemExit):
        build.render(tmp_path, tmp_path / "built")
    warnings = capfd.readouterr().err
    lost = ("nowhere.png", "lost.md", "no-anchor", "unknown", "no-label")
    assert [name for name in lost if name not in warnings] == []
