"""Links of the notebooks in plain Markdown, with words: they are also read where no book is built.

    make readme    writes words into [](17_plateau.ipynb) and {cite:t}`hang2026small`

A work is a link to the work, as [Hang et al. (2026)](https://arxiv.org/abs/2606.17945) or, aside,
([Hang et al., 2026](https://arxiv.org/abs/2606.17945)). On the site, where this file is an
extension of Sphinx, that link is a citation and leads to the page of references.
"""

import json
import re
from pathlib import Path

from pybtex.database import parse_file  # comes with jupyter-book
from sphinx.errors import ExtensionError

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(?<!!)\[([^\[\]]*)\]\(([\w./-]+\.(?:ipynb|md))\)")
ROLE = re.compile(r"\{cite(?::([tp]))?\}`([\w-]+)`")
WORK = re.compile(r"\[[^\[\]]+ \(\d{4}\)\]\(https?:[^\s()]+\)"  # in the text
                  r"|\(\[[^\[\]]+, \d{4}\]\(https?:[^\s()]+\)\)")  # aside


def setup(app) -> dict:
    app.connect("source-read", cite)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def cite(app, docname: str, source: list[str]) -> None:
    """Make a citation of each link that names a work of the bibliography, and its authors so."""
    library = works(Path(app.srcdir) / "book" / "references.bib")
    keys = {link(*work, kind): f"{{cite:{kind}}}`{key}`"
            for key, work in library.items() for kind in "tp"}

    def role(found) -> str:
        if found[0] not in keys:
            raise ExtensionError(f"{docname}: {found[0]}: no such work in book/references.bib")
        return keys[found[0]]

    source[0] = WORK.sub(role, source[0])


def link(names: str, year: str, address: str, kind: str) -> str:
    """A citation in plain Markdown: in the text ("t"), or aside ("p")."""
    return f"[{names} ({year})]({address})" if kind == "t" else f"([{names}, {year}]({address}))"


def works(path: Path) -> dict[str, tuple[str, str, str]]:
    """`{key: (authors, year, address)}` of a file of BibTeX."""
    return {key: (authors(entry.persons["author"]), entry.fields["year"], address(entry.fields))
            for key, entry in parse_file(path).entries.items()}


def authors(persons) -> str:
    """As Zhang, Zhang and Sennrich, or Zhang et al."""
    names = [" ".join(person.last_names).strip("{}") for person in persons]
    return f"{names[0]} et al." if len(names) > 2 else " and ".join(names)


def address(fields) -> str:
    return fields["url"] if "url" in fields else f"https://arxiv.org/abs/{fields['eprint']}"


def worded(text: str, folder: Path, library: dict) -> str:
    """Markdown of `folder` with words in place of empty links and of roles.

    A link's words are the title of its page, unless they begin with a small letter.
    """
    def page(found) -> str:
        name, place = found.groups()
        return found[0] if name[:1].islower() else f"[{title(folder / place)}]({place})"

    def work(role) -> str:
        return link(*library[role[2]], role[1] or "p")

    return ROLE.sub(work, LINK.sub(page, text))


def title(path: Path) -> str:
    """The first heading of a notebook or of a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "".join(json.loads(text)["cells"][0]["source"])
    return re.search(r"^# (.+)$", text, re.MULTILINE)[1].strip()


def notebook_text(path: Path) -> str:
    """A notebook's file, its Markdown worded."""
    content = json.loads(path.read_text(encoding="utf-8"))
    library = works(ROOT / "book" / "references.bib")
    for cell in content["cells"]:
        if cell["cell_type"] == "markdown":
            source = cell["source"]  # a text, or its lines
            text = worded("".join(source), path.parent, library)
            cell["source"] = text if isinstance(source, str) else text.splitlines(keepends=True)
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def update_notebooks() -> None:
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        path.write_text(notebook_text(path), encoding="utf-8")


if __name__ == "__main__":
    update_notebooks()
