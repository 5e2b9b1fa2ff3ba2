"""Notebooks read outside the site: their Markdown is plain, and its links to works are citations"""

import re
from types import SimpleNamespace

import nbformat
import plain
import pytest
from sphinx.errors import ExtensionError

from gammagpt import project

ROOT = project.root()
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LIBRARY = plain.works(ROOT / "book" / "references.bib")
# What MyST alone reads: JupyterLab, VS Code and Colab show it raw.
MYST = re.compile(
    r"\{[\w:.+-]+\}`|^\s*(?:`{3,}|~{3,}|:{3,})\s*\{|^\s*:{3,}|^\([\w.-]+\)=|\[\]\(|\{\{|\[\^"
    r"|^\+\+\+|^%|^:\s|\]\{[.#]|^\s*\{[.#]|\$\$\s*\([\w:.-]+\)\s*$|\]\(\)|<[\w./-]+\.ipynb>"
    r"|\]\((?:#|project:|[\w-]+\))", re.MULTILINE)  # fmt: skip
CODE = re.compile(r"^(`{3,})(?!\{)[^\n]*\n.*?^\1`*\s*$|(?<![`}])(`+)[^`\n]+\2(?!`)", re.M | re.S)


def raw(markdown: str) -> list[str]:
    """What a reader without MyST would see as it was typed."""
    return [found[0] for found in MYST.finditer(CODE.sub("", markdown))]


def markdown(path) -> list[str]:
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_markdown_of_a_notebook_is_plain_and_its_links_have_words(path):
    """If not: `make readme` words links and citations; what else is raw has no plain form."""
    assert [found for text in markdown(path) for found in raw(text)] == []
    assert plain.notebook_text(path) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text",
    ["{cite:t}`a2020`", "a {ref}`b`", "{term}`gate`", "{numref}`fig-x`", "{math}`x`", "{doc}`/a`",
     "```{note}\nx\n```", ":::{tip}\nx\n:::", "::: x", "(place)=\n# Title", "[](17_plateau.ipynb)",
     "[](#place)", "[words](#place)", "[words]()", "[words](place)", "{{ name }}", "note[^1]",
     "+++", "% a comment", "Term\n: what it is", "[x]{.small}", "{#place}\n# Title",
     "<17_plateau.ipynb>", "$$\nx\n$$ (law)", "`x` {cite:p}`a`"],
)  # fmt: skip
def test_what_only_a_book_would_render_is_found(text):
    assert raw(text)


@pytest.mark.parametrize(
    "text",
    ["[In language](07_language.ipynb)", "[Hang et al. (2026)](https://arxiv.org/abs/2606.17945)",
     "$d^{-\\gamma}$ and 10 % of it", "$$\nx_{i}\n$$", "`f'{name}'` and `[](x)`", "<details>",
     "```python\n% magic\nx = {{1}}\n```", "![A picture](a.png)", "a list:\n- one: two"],
)  # fmt: skip
def test_what_every_reader_sees_rendered_is_not(text):
    assert raw(text) == []


def test_links_and_works_get_words(tmp_path):
    (tmp_path / "03_x.ipynb").write_text('{"cells": [{"source": ["# In *short*\\n", "x"]}]}')
    (tmp_path / "page.md").write_text("---\na: b\n---\n# A page\n")
    library = {"b9": ("Bo", "2019", "https://b.org"), "c8": ("Cy and Di", "2018", "https://c.org")}
    says = {
        "[](03_x.ipynb)": "[In *short*](03_x.ipynb)",
        "[Its old title](page.md)": "[A page](page.md)",
        "[that page](page.md)": "[that page](page.md)",
        "{cite:t}`b9` and {cite}`c8`": "[Bo (2019)](https://b.org) and ([Cy and Di, 2018](https://c.org))",
        "({cite:t}`b9`; {cite:p}`c8`)": "([Bo (2019)](https://b.org); ([Cy and Di, 2018](https://c.org)))",
    }  # fmt: skip
    assert {text: plain.worded(text, tmp_path, library) for text in says} == says
    assert all(plain.worded(text, tmp_path, library) == text for text in says.values())


def test_every_work_has_an_address_of_its_own_and_authors():
    assert LIBRARY["hang2026small"] == ("Hang et al.", "2026", "https://arxiv.org/abs/2606.17945")
    assert LIBRARY["zhang2019rmsnorm"][0] == "Zhang and Sennrich"
    assert LIBRARY["blinkdl2022smallinitemb"][0] == "BlinkDL"
    addresses = [address for _, _, address in LIBRARY.values()]
    assert len(set(addresses)) == len(addresses)


def cited(text: str) -> str:
    source = [text]
    plain.cite(SimpleNamespace(srcdir=ROOT), "notebooks/01_gamma", source)
    return source[0]


@pytest.mark.parametrize("kind", "tp")
@pytest.mark.parametrize("key", LIBRARY)
def test_on_the_site_a_link_to_a_work_is_the_citation_that_it_was_made_of(key, kind):
    role = f"so {{cite:{kind}}}`{key}` says"
    assert cited(plain.worded(role, ROOT, LIBRARY)) == role


@pytest.mark.parametrize(
    "text", ["[Nobody (2020)](https://x.org/1)", "([Hang et al., 2026](https://arxiv.org/abs/1))",
             "[Yao et al. (2025)](https://arxiv.org/abs/2606.17945)"],
)  # fmt: skip
def test_a_link_that_names_authors_and_a_year_must_lead_to_that_work(text):
    with pytest.raises(ExtensionError, match="no such work in book/references.bib"):
        cited(text)


def test_a_chapters_page_cites_and_links_as_its_notebook_says(site):
    """To the page of references, not out of the book."""
    cites = {path: set(re.findall(plain.WORK, "".join(markdown(path)))) for path in NOTEBOOKS}
    assert sum(map(len, cites.values())) > 0
    for path, links in cites.items():
        page = (site / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8")
        keys = set(re.findall(r'href="\.\./book/references\.html#id\d+"', page))
        assert len(keys) == len({re.search(r"https?:[^)]+", link)[0] for link in links}), path.stem
        assert "{cite" not in page
