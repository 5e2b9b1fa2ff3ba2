"""The two slide decks, lecture and lab: each one file that needs no network and no other file.

Words are in book/slides/*.html; figures are those of the notebooks that ran, and numbers those of
the ledger. A browser prints a deck as PDF, a sheet a slide, with the notes.
"""

import re
from pathlib import Path

from handout import EXPECTED, figure_of

from gammagpt.ledger.show import effect
from gammagpt.project import UserError, root

FIGURE = re.compile(r'<figure data-figure="(\S+) (\S+)"></figure>')
TABLE = re.compile(r'<table data-claims="(\w+)"></table>')
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: slides</title><style>
{style}</style></head>
<body><main>
{slides}</main>
<p class="place"><span role="status">all slides</span> <small>← → move, N notes, P print</small></p>
<script>
{script}</script></body></html>
"""


def write_slides(staging: Path, chapters, verdicts) -> None:
    """Write each deck as a file of the staged site; `chapters` are the notebooks that ran."""
    folder = staging / "extra" / "slides"
    folder.mkdir(parents=True, exist_ok=True)
    static = root() / "book" / "static"
    style, script = ((static / f"slides.{kind}").read_text("utf-8") for kind in ("css", "js"))
    for source in sorted((root() / "book" / "slides").glob("*.html")):
        slides = deck(source.read_text(encoding="utf-8"), chapters, verdicts)
        title = re.search(r"<h1>(.*?)</h1>", slides)[1]
        page = PAGE.format(title=title, style=style, script=script, slides=slides)
        (folder / source.name).write_text(page, encoding="utf-8")


def deck(text: str, chapters, verdicts) -> str:
    """The slides with their figures and tables; where a tier has no such figure, a word on that."""

    def drawn(place) -> str:
        notebook, anchor = place.groups()
        found = figure_of(chapters.get(notebook), anchor)
        if not found:
            return f"<p>This tier makes no picture {anchor} of {notebook}.</p>"
        light = re.search(r"<img[^>]*>", found[0])[0]  # on a white ground of its own
        link = f'<a href="../notebooks/{notebook}.html#{anchor}">Chapter {int(notebook[:2])}</a>'
        return f'<div class="figure">{light}</div>\n<p class="source">{link}</p>'

    def told(place) -> str:
        return table(EXPECTED[place[1]], verdicts)

    return TABLE.sub(told, FIGURE.sub(drawn, text))


def table(names, verdicts) -> str:
    """A row a claim: what is said, the effect with its interval, and the verdict."""
    found = {verdict.claim.id: verdict for verdict in verdicts}
    if lost := [name for name in names if name not in found]:
        raise UserError(f"slides: got claim {lost[0]!r}, allowed are the ids of claims/")
    sizes = [(v, effect(v)) for v in map(found.get, names)]
    cells = [(v.claim.title, f"{size} {v.claim.unit}" if size != "–" else size, v.verdict)
             for v, size in sizes]
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in cells)
    head = "".join(f'<th scope="col">{word}</th>' for word in ("Claim", "Effect", "Verdict"))
    return f"<table><tr>{head}</tr>{rows}</table>"
