"""Every figure of every chapter, made from the committed records as its notebook makes it.

The cells of a notebook run here one after the other in one process, those of exercises and of
controls left out; nothing is trained.
"""

import ast
import re
from xml.etree import ElementTree

import nbformat
import pytest

from gammagpt.plots import Picture
from gammagpt.plots.style import INK
from gammagpt.project import root, tier_parameters

TIER = "laptop"
CHAPTERS = sorted(tier_parameters(TIER))
SLOW = ("Agreement(",)  # what has no figure


def pictures_of(name: str) -> list[Picture]:
    """What the code cells of a notebook show as figures, at the parameters of the tier."""
    cells = nbformat.read(root() / "notebooks" / f"{name}.ipynb", as_version=4).cells
    names, shown = {"display": lambda *things: None}, []
    for cell in cells:
        tags = cell.metadata.get("tags", [])
        skipped = {"exercise", "bootstrap"} & set(tags) or any(s in cell.source for s in SLOW)
        if cell.cell_type == "code" and not skipped:
            shown.append(_run(cell.source, names))
        if "parameters" in tags:
            names |= tier_parameters(TIER)[name]
    return [thing for thing in shown if isinstance(thing, Picture)]


def _run(source: str, names: dict):
    """What the last line of a cell gives, if that is an expression."""
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_figure_of_a_chapter_is_drawn_on_both_grounds_and_told_in_numbers(name, monkeypatch):
    monkeypatch.setenv("GAMMAGPT_BUDGET", "0")
    pictures = pictures_of(name)
    assert pictures and len({picture.anchor for picture in pictures}) == len(pictures)
    for picture in pictures:
        check(picture)


def check(picture: Picture) -> None:
    """An alt text with numbers and no nonsense, an origin, and its own ink on each ground."""
    alt = picture.alt
    assert alt.endswith(".") and (re.search(r"\d", alt) or alt.startswith("Nothing is shown")), alt
    assert not {"nan", "inf", "+nan", "-inf", "None"} & set(re.split(r"[\s,;:()\[\]]+", alt)), alt
    assert not picture.runs or f"Tier {TIER}; " in picture.source.words
    for ground, other in zip(INK, reversed(INK), strict=True):
        image = picture.svg(ground)
        assert ElementTree.fromstring(image).tag.endswith("svg")
        assert INK[ground].encode() in image and INK[other].encode() not in image
