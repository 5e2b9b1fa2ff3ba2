"""The book as one PDF and as one EPUB, made from the site by a browser that reads all its pages.

    python book/build.py --tier night --downloads     the site, and both (make downloads)

    site/{book,notebooks}/*.html --> one long page --Chromium--> PDF
                                          └── chapters as XHTML, formulas as MathML --> EPUB
"""

import html
import re
import sys
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from posixpath import normpath

from bs4 import BeautifulSoup

from gammagpt.project import read_yaml, root

WHOLE = "_whole.html"  # beside the pages of the prose, whose relative links it shares
# What means nothing on paper: code that its page hides, buttons, links to headings.
NOT_PRINTED = (
    "details.hide", ".headerlink", "img.only-dark", ".gg-data", "script", "style", "button",
    "iframe", "nav", "input", "canvas",
)
MEDIA = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg"}
PAPER = {"top": "20mm", "bottom": "20mm", "left": "18mm", "right": "18mm"}
NUMBERS = (
    '<div style="width:100%;font-size:8px;text-align:center"><span class="pageNumber"></span></div>'
)
# Chromium: formulas become MathML, and a chapter becomes XHTML whatever its HTML was.
TO_XHTML = """() => {
  for (const item of MathJax.startup.document.math) {
    const holder = document.createElement("span");
    holder.innerHTML = MathJax.startup.toMML(item.root);
    item.typesetRoot?.replaceWith(holder.firstElementChild);
  }
  document.querySelectorAll("mjx-container, [data-mjx-texclass]").forEach(
    (e) => e.removeAttribute("data-mjx-texclass"));
  const plain = (section) => new XMLSerializer().serializeToString(section);
  return [...document.querySelectorAll("section.gg-chapter")].map((s) => [s.id, plain(s)]);
}"""


def make_editions(site: Path, tier: str) -> list[Path]:
    """Write the PDF and the EPUB into the site, where its page of downloads expects them."""
    title = read_yaml(root() / "_config.yml")["title"]
    chapters = read_chapters(site)
    whole = site / "book" / WHOLE
    whole.write_text(one_page(chapters, title, tier, _head(site)), encoding="utf-8")
    pdf, epub = (site / "data" / f"gammagpt-{tier}.{kind}" for kind in ("pdf", "epub"))
    try:
        with _browser() as browser:
            page = browser.new_page(color_scheme="light")
            page.goto(whole.as_uri(), timeout=600_000)
            page.evaluate("async () => { await MathJax.startup.promise; }")
            page.pdf(path=pdf, format="A4", margin=PAPER, outline=True, tagged=True,
                     display_header_footer=True, header_template="<span></span>",
                     footer_template=NUMBERS, print_background=True)
            sections = page.evaluate(TO_XHTML)
    finally:
        whole.unlink()
    write_epub(epub, site, title, dict(sections), {c.name: c.title for c in chapters})
    return [pdf, epub]


class Chapter:
    """The article of one page, with ids and links that are its own in a whole book."""

    def __init__(self, site: Path, address: str):
        self.address, self.name = address, address.replace("/", "-")
        page = (site / f"{address}.html").read_text(encoding="utf-8")
        self.article = BeautifulSoup(page, "html.parser").select_one("article.bd-article")
        for unwanted in self.article.select(", ".join(NOT_PRINTED)):
            unwanted.decompose()
        for details in self.article.select("details"):
            details["open"] = ""
        for image in self.article.select("img"):
            image["loading"] = "eager"
        self.title = self.article.h1.get_text().strip()

    def joined(self, addresses) -> str:
        """Its HTML; links lead into the same book, or outside, or are no links."""
        for part in self.article.select("[id]"):
            part["id"] = f"{self.name}--{part['id']}"
        for link in self.article.select("a[href]"):
            target = self._target(link["href"], addresses)
            if target is None:
                link.unwrap()
            else:
                link["href"] = target
        content = self.article.decode_contents()
        return f'<section class="gg-chapter" id="{self.name}">{content}</section>'

    def _target(self, link: str, addresses) -> str | None:
        if re.match(r"[a-z]+:", link):
            return link
        path, _, fragment = link.partition("#")
        folder = self.address.rpartition("/")[0]
        address = normpath(f"{folder}/{path}").removesuffix(".html") if path else self.address
        if address not in addresses:
            return None
        name = address.replace("/", "-")
        return f"#{name}--{fragment}" if fragment else f"#{name}"


def read_chapters(site: Path) -> list[Chapter]:
    """The pages of the book, in the order of its contents."""
    contents = read_yaml(root() / "_toc.yml")
    files = [contents["root"], *_files(contents)]
    return [Chapter(site, file) for file in files if (site / f"{file}.html").exists()]


def _files(part) -> Iterator[str]:
    for child in [*part.get("parts", ()), *part.get("chapters", ()), *part.get("sections", ())]:
        yield from ([child["file"]] if "file" in child else [])
        yield from _files(child)


def one_page(chapters: list[Chapter], title: str, tier: str, head: str) -> str:
    """A title page, the contents, and all chapters."""
    addresses = {chapter.address for chapter in chapters}
    contents = "".join(
        f'<li><a href="#{chapter.name}">{html.escape(chapter.title)}</a></li>'
        for chapter in chapters
    )
    return (
        f'<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title>{head}</head><body class='gg-whole'>"
        f'<header class="gg-title"><p class="gg-name">{html.escape(title)}</p>'
        f"<p>From the records of the {tier} tier</p><ol>{contents}</ol></header>"
        f'<article class="bd-article bd-content">'
        f"{''.join(chapter.joined(addresses) for chapter in chapters)}</article></body></html>"
    )


def _head(site: Path) -> str:
    """Style sheets and MathJax, as the pages with formulas have them."""
    pages = (file.read_text(encoding="utf-8") for file in sorted(site.glob("*/[a-z0-9]*.html")))
    soup = BeautifulSoup(next(page for page in pages if "/mathjax/" in page), "html.parser")
    scripts = [s for s in soup.select("script") if "mathjax" in f"{s.get('src')}{s.text}".lower()]
    return "".join(map(str, [*soup.select('link[rel="stylesheet"]'), *scripts]))


@contextmanager
def _browser():
    """A Chromium, found as the tests find theirs."""
    sys.path.append(str(root() / "tests"))
    import browser
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=browser.find_or_install(), args=browser.FLAGS
        )
        yield running
        running.close()


# ---- EPUB 3 (W3C): a zip with a package file, a navigation page, chapters and pictures -----------


def write_epub(path: Path, site: Path, title: str, sections: dict, titles: dict) -> None:
    """`sections`: chapter -> its XHTML; `titles`: chapter -> its title, in the order of reading."""
    pictures: dict[str, Path] = {}

    def carried(image):
        source = (site / "book" / image[1].partition("#")[0]).resolve()
        name = f"pictures/{source.name}"
        pictures[name] = source
        return f'src="{name}"'

    pages = {
        name: _xhtml(titles[name], _links_between_files(re.sub(r'src="([^"]+)"', carried, text)))
        for name, text in sections.items()
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)  # first, and plain
        file.writestr("META-INF/container.xml", CONTAINER)
        file.writestr("OEBPS/book.opf", _package(title, pages, pictures))
        file.writestr("OEBPS/nav.xhtml", _xhtml(title, _navigation(title, titles)))
        file.writestr("OEBPS/book.css", EPUB_STYLE)
        for name, text in pages.items():
            file.writestr(f"OEBPS/{name}.xhtml", text)
        for name, source in pictures.items():
            file.write(source, f"OEBPS/{name}")


def _links_between_files(text: str) -> str:
    """`#chapter--part` of the one long page as `chapter.xhtml#chapter--part`."""
    return re.sub(r'href="#([\w.-]+?)(--[^"]*)?"', r'href="\1.xhtml#\1\2"', text)


def _xhtml(title: str, body: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" '
        f'lang="en" xml:lang="en"><head><title>{html.escape(title)}</title>'
        f'<link rel="stylesheet" type="text/css" href="book.css"/></head><body>{body}</body></html>'
    )


def _navigation(title: str, titles: dict) -> str:
    rows = "".join(
        f'<li><a href="{name}.xhtml">{html.escape(words)}</a></li>'
        for name, words in titles.items()
    )
    return f'<nav epub:type="toc" id="toc"><h1>{html.escape(title)}</h1><ol>{rows}</ol></nav>'


def _package(title: str, pages: dict, pictures: dict) -> str:
    """The manifest of all files, and the order of reading."""
    config = read_yaml(root() / "_config.yml")
    name = uuid.uuid5(uuid.NAMESPACE_URL, config["repository"]["url"] + "".join(pages.values()))
    math = {page: ' properties="mathml"' for page, text in pages.items() if "<math" in text}
    items = [
        '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>',
        '<item id="css" href="book.css" media-type="text/css"/>',
        *(f'<item id="c-{page}" href="{page}.xhtml" media-type="application/xhtml+xml"'
          f"{math.get(page, '')}/>" for page in pages),
        *(f'<item id="p-{i}" href="{file}" media-type="{MEDIA[Path(file).suffix]}"/>'
          for i, file in enumerate(pictures)),
    ]
    order = "".join(f'<itemref idref="c-{page}"/>' for page in pages)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<package xmlns="http://www.idpf.org/2007/opf" '
        'version="3.0" unique-identifier="id" xml:lang="en">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<dc:identifier id="id">urn:uuid:{name}</dc:identifier>'
        f"<dc:title>{html.escape(title)}</dc:title><dc:language>en</dc:language>"
        f"<dc:creator>{html.escape(config['author'])}</dc:creator>"
        f'<meta property="dcterms:modified">{config["copyright"]}-01-01T00:00:00Z</meta></metadata>'
        f'<manifest>{"".join(items)}</manifest><spine>{order}</spine></package>'
    )


CONTAINER = (
    '<?xml version="1.0" encoding="utf-8"?>\n<container version="1.0" '
    'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
    'full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles>'
    "</container>"
)
EPUB_STYLE = """
img { max-width: 100%; height: auto; }
pre { white-space: pre-wrap; font-size: 0.8em; }
table { border-collapse: collapse; font-size: 0.85em; }
th, td { border-bottom: 1px solid; padding: 0.2em 0.5em; text-align: left; }
figure { margin: 1em 0; }
figcaption { font-size: 0.85em; }
"""
