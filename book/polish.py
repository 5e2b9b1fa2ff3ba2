"""The last touches on the rendered pages: what the theme's markup gets wrong, and how much it is.

Each repair answers a complaint of axe-core, which tests/book/test_access.py asks about every page.
"""

import gzip
import html
import re
from pathlib import Path

MOST_OF_A_SITE = 25_000_000  # bytes on disk: more is a download that nobody wants to wait for
MOST_OF_A_PAGE = 1_500_000  # bytes over the network, with all that the page asks for
PACKED = {".html", ".css", ".js", ".svg", ".json"}  # what servers send compressed

REPAIRS = [
    # a list that holds links and paragraphs is none; and the roles of its entries are deprecated
    (r' role="(?:list|doc-biblioentry)"(?= class="citation)', ""),
    # an empty corner of a table is no heading
    (r"<th( class=\"blank[^>]*)?>(?:&nbsp;)?</th>", r"<td\1></td>"),
    # the page of the search has two fields of one name
    (r'(id="search-input"[\s\S]*?)id="search-input"', r'\1id="search-input-2"'),
    # the sidebar's title and search button, too, are part of a landmark
    (r'<div class="bd-sidebar-primary bd-sidebar"', r'\g<0> role="navigation" aria-label="Book"'),
]
# Text, or something whose text stays as it was typed.
PIECE = re.compile(r"<(code|pre|script|style|textarea)\b.*?</\1>|<[^>]*>|[^<]+", re.DOTALL)
NUMBER = r"[-+\u2212]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e-?\d+)? ?%?"
INTERVAL = re.compile(rf"\[({NUMBER}), ({NUMBER})\]")
MINUS = re.compile(r"(?<![\w.,)\]\-])-(?=\.?\d)")  # not the dash of 1e-5, GPT-2 or 2026-11-26
FORMULA = re.compile(r'(<span class="math notranslate nohighlight")>(\\\([^<]*\\\))')


def mend(site: Path) -> None:
    """Repair every page of a site, in place."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for wrong, right in REPAIRS:
            text = re.sub(wrong, right, text)
        text = typeset(FORMULA.sub(_with_room, text))
        page.write_text(text, encoding="utf-8")


def typeset(page: str) -> str:
    """A page with minus signs in place of hyphens, and with intervals that stay in a line."""
    return PIECE.sub(_typeset, page)


def _typeset(piece) -> str:
    if piece[0][0] == "<" or "\\(" in piece[0] or "\\[" in piece[0]:
        return piece[0]
    return MINUS.sub("\u2212", INTERVAL.sub("[\\1,\u00a0\\2]", piece[0]))


def _with_room(formula) -> str:
    """A formula that says how many signs wide it will be, so that gammagpt.css can keep room."""
    tex = html.unescape(formula[2])
    tex = re.sub(r"\\(?:math\w+|text|left|right|[,;:!()])|[{}^_\s]", "", tex)
    signs = re.sub(r"\\[a-zA-Z]+", "x", tex)
    wide = len(signs) + len(re.findall("[=<>+]", signs))  # these have room on both sides
    return f'{formula[1]} style="--signs: {wide}">{formula[2]}'


def site_size(site: Path) -> int:
    """The bytes of a site on disk."""
    return sum(file.stat().st_size for file in site.rglob("*") if file.is_file())


def transfer(files) -> int:
    """The bytes that a server sends for these files: what is text goes compressed."""
    return sum(
        len(gzip.compress(file.read_bytes(), 6)) if file.suffix in PACKED else file.stat().st_size
        for file in files
    )
