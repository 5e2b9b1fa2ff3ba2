"""A Sphinx extension: on each chapter the first use of a glossary term leads to its definition.

The definition travels with the link, as its title: a browser shows that under a pointer,
gammagpt.css at the foot of the window when the link has the keyboard's focus.
"""

import functools
import re
from pathlib import Path

from docutils import nodes

GLOSSARY = "book/glossary"
CHAPTERS = "notebooks/"
# Entries of the glossary that are plain words too, or that a reader meets on every page.
PLAIN = {"run", "record", "early", "late", "claim", "rule", "effect", "gate", "copied", "trivial"}
GREEK = {r"\gamma": "γ", r"\varepsilon": "ε", r"\sqrt\varepsilon": "√ε"}


def setup(app) -> dict:
    if not (Path(app.srcdir) / "vendor").is_dir():
        # no Exception: jupyter-book would bury the line in a traceback
        raise SystemExit("error: this folder is not laid out as a book: use `make book`")
    app.connect("doctree-resolved", link_terms)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def link_terms(app, doctree, docname: str) -> None:
    """Link the first use of each term in the running text of a chapter."""
    if not docname.startswith(CHAPTERS) or GLOSSARY not in app.env.all_docs:
        return
    left = dict(terms(app))
    address = app.builder.get_relative_uri(docname, GLOSSARY)
    for paragraph in doctree.findall(nodes.paragraph):
        if isinstance(paragraph.parent, nodes.entry):
            continue  # a cell of a table
        for text in [child for child in paragraph.children if isinstance(child, nodes.Text)]:
            paragraph.replace(text, linked(text.astext(), left, address))


@functools.cache
def terms(app) -> dict[str, tuple[str, str]]:
    """`{term in lower case: (its id in the glossary, the definition as plain text)}`.

    An entry may hold several terms: "Run, record"; "Reasoning task, memory task".
    """
    glossary = app.env.get_and_resolve_doctree(GLOSSARY, app.builder)
    found = {}
    for item in glossary.findall(nodes.definition_list_item):
        heads = [term for term in item.children if isinstance(term, nodes.term)]
        says = plain(next(item.findall(nodes.definition)))
        for head in heads:
            for name in re.split(r", and |, | and ", head.astext()):
                if name.lower() not in PLAIN:
                    found[name.lower()] = (head["ids"][0], says)
    return found


def plain(definition) -> str:
    """A definition without markup; its few formulas as text."""
    copy = definition.deepcopy()
    for formula in list(copy.findall(nodes.math)):
        text = formula.astext()
        formula.replace_self(nodes.Text(GREEK.get(text, text)))
    return re.sub(r"\s+", " ", copy.astext()).strip()


def linked(text: str, left: dict, address: str) -> list:
    """The nodes that stand for a piece of text. Terms that got their link leave `left`."""
    pieces, start = [], 0
    while left:
        names = "|".join(map(re.escape, sorted(left, key=len, reverse=True)))
        match = re.compile(rf"\b({names})s?\b", re.IGNORECASE).search(text, start)
        if match is None:
            break
        anchor, says = left.pop(match[1].lower())
        link = nodes.reference("", match[0], internal=True, refuri=f"{address}#{anchor}")
        link["classes"].append("gg-term")
        link["reftitle"] = says
        pieces += [nodes.Text(text[start : match.start()]), link]
        start = match.end()
    return [*pieces, nodes.Text(text[start:])]
