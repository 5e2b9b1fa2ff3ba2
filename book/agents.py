"""The site for who does not look at it: programs that read it, search engines, links sent around.

Of each page a twin in Markdown beside it (intro.html.md); llms.txt, which lists the twins (see
llmstxt.org); a site map; and in each head a description and a preview picture, made of the page's
title and first words.
"""

import html
import io
import re
import textwrap
from pathlib import Path

import numpy as np
from bs4 import BeautifulSoup, NavigableString
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image  # comes with matplotlib

from gammagpt.project import read_yaml, root

DROPPED = ("script, style, nav, button, form, svg, .headerlink, .only-dark, .gg-data, noscript, "
           "details.hide, input, progress, [hidden], .play-chart")
HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}
BLOCKS = {"p", "div", "section", "figure", "figcaption", "details", "summary", "ul", "ol", "dl",
          "dt", "dd", "table", "pre", "blockquote", *HEADINGS}
LONGEST = 160  # signs of a description; more is cut off where it is shown
PIXELS = (1200, 630)  # of a preview


def write_agents(site: Path) -> None:
    """Write all of it, and the heads of the pages in place."""
    config, parts = read_yaml(root() / "_config.yml"), {}
    base, previews = address(config), site / "_static" / "previews"
    previews.mkdir(exist_ok=True)
    for part, name in contents():
        path = site / f"{name}.html"
        article = cleaned(path)
        title, described = words(article.h1), description(article)
        path.with_name(f"{path.name}.md").write_text(markdown(article), encoding="utf-8")
        (previews / f"{path.stem}.png").write_bytes(picture(title, described, config["title"]))
        add_to_head(path, head(base, f"{name}.html", title, described, f"{path.stem}.png"))
        parts.setdefault(part, []).append((f"{name}.html", title, described))
    (site / "llms.txt").write_text(llms(config["title"], parts), encoding="utf-8")
    (site / "sitemap.xml").write_text(sitemap(base, parts), encoding="utf-8")


def llms(book: str, parts: dict) -> str:
    """The list of the twins, by part, each with what it is about."""
    (_, _, about), *_ = next(iter(parts.values()))
    lines = [f"# {book}", "", f"> {about}"]
    for part, pages in parts.items():
        lines += ["", f"## {part}", ""]
        lines += [f"- [{title}]({name}.md): {described}" for name, title, described in pages]
    return "\n".join(lines) + "\n"


def sitemap(base: str, parts: dict) -> str:
    urls = "".join(f"<url><loc>{base}{name}</loc></url>\n"
                   for pages in parts.values() for name, _, _ in pages)
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return f'{head}\n<urlset xmlns="{space}">\n{urls}</urlset>\n'


def address(config: dict) -> str:
    """Where GitHub shows the site of the repository."""
    owner, name = config["repository"]["url"].rstrip("/").split("/")[-2:]
    return f"https://{owner}.github.io/{name}/"


def contents() -> list[tuple[str, str]]:
    """(part, name) of each page, in the order of the contents."""
    toc = read_yaml(root() / "_toc.yml")
    return [("Start", toc["root"]), *((part["caption"], chapter["file"])
            for part in toc["parts"] for chapter in part["chapters"])]


def cleaned(path: Path):
    """The article of a page, without what means nothing to who only reads."""
    article = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").article
    for part in article.select(DROPPED):
        part.decompose()
    return article


def words(element) -> str:
    text = " ".join(element.get_text().split()).replace("\\(", "").replace("\\)", "")
    return re.sub(r"^\d+\. ", "", text)  # a chapter's number is not of its title


def description(article) -> str:
    """The first paragraph that says something, up to a word's end."""
    texts = [plain(words(p)) for p in article.find_all("p") if "gg-cost" not in p.get("class", ())]
    text = next((text for text in texts if len(text) > 40), plain(words(article)))
    return textwrap.shorten(text.removeprefix("Aims. "), LONGEST, placeholder=" …")


def plain(text: str) -> str:
    """Without TeX: a description is shown as it is."""
    text = re.sub(r"\\(gamma|sigma|eta|varepsilon|epsilon)\b",
                  lambda letter: {"gamma": "γ", "sigma": "σ", "eta": "η"}.get(letter[1], "ε"), text)
    return re.sub(r"\\[a-zA-Z]+|[{}$]", "", text)


def head(base: str, name: str, title: str, described: str, preview: str) -> str:
    """What goes into the head of a page."""
    said = html.escape(described)
    return "\n".join([
        f'<meta name="description" content="{said}">',
        f'<link rel="canonical" href="{base}{name}">',
        f'<link rel="alternate" type="text/markdown" href="{Path(name).name}.md">',
        f'<meta property="og:title" content="{html.escape(title)}">',
        f'<meta property="og:description" content="{said}">',
        '<meta property="og:type" content="article">',
        f'<meta property="og:url" content="{base}{name}">',
        f'<meta property="og:image" content="{base}_static/previews/{preview}">',
        '<meta name="twitter:card" content="summary_large_image">', ""])


def add_to_head(path: Path, lines: str) -> None:
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("</head>", f"{lines}</head>", 1), encoding="utf-8")


def picture(title: str, described: str, book: str) -> bytes:
    """The preview of a page, as PNG: its title, what it says of itself, and the name of the book"""
    figure = Figure(figsize=(PIXELS[0] / 100, PIXELS[1] / 100), dpi=100, facecolor="#10243b")
    put = {"color": "white", "ha": "left", "va": "top"}
    heading = textwrap.fill(title, 30)
    figure.text(0.06, 0.86, heading, fontsize=44, weight="bold", **put)
    below = 0.86 - 0.12 * (heading.count("\n") + 1) - 0.04
    figure.text(0.06, below, textwrap.fill(described, 58), fontsize=23, linespacing=1.5, **put)
    figure.text(0.06, 0.09, book, fontsize=20, **put | {"color": "#9ecbff"})
    canvas, made = FigureCanvasAgg(figure), io.BytesIO()
    canvas.draw()
    flat = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(8)
    flat.save(made, format="png", optimize=True)  # a quarter of what all colours take
    return made.getvalue()


# ---- Markdown ------------------------------------------------------------------------------------


def markdown(article) -> str:
    """A cleaned article in Markdown; a figure is its alt text."""
    text = block(article)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def block(element) -> str:
    """The blocks inside an element, each with an empty line around it."""
    name = element.name
    if name in HEADINGS:
        return f"\n\n{HEADINGS[name]} {inline(element)}\n\n"
    if name == "pre":
        return f"\n\n```\n{element.get_text().strip()}\n```\n\n"
    if name == "table":
        return f"\n\n{table(element)}\n\n"
    if name in ("ul", "ol"):
        return "\n\n" + "\n".join(items(element)) + "\n\n"
    if name == "img":
        source = element.get("src", "").partition("#")[0]
        source = "" if source.startswith("data:") else source  # a twin is text
        return f"\n\n![{element.get('alt', '')}]({source})\n\n"
    if "math" in element.get("class", ()) and name == "div":
        return f"\n\n$$\n{tex(element)}\n$$\n\n"
    if not any(child.name in BLOCKS or child.name == "img" for child in element.find_all(True)):
        return f"\n\n{inline(element)}\n\n"
    parts, loose = [], []
    for child in [*element.children, None]:
        if child is not None and (isinstance(child, NavigableString) or child.name not in BLOCKS
                                  and not child.find(list(BLOCKS)) and child.name != "img"):
            loose.append(child)
            continue
        text = "".join(map(piece, loose)).strip()
        parts += [f"\n\n{text}\n\n"] * bool(text)
        parts += [block(child)] if child is not None else []
        loose = []
    return "".join(parts)


def items(element) -> list[str]:
    """The lines of a list."""
    marks = [f"{n}." for n in range(1, 10**4)] if element.name == "ol" else ["-"] * 10**4
    found = []
    for mark, item in zip(marks, element.find_all("li", recursive=False), strict=False):
        text = re.sub(r"\n{2,}", "\n", block(item).strip())
        found.append(f"{mark} " + text.replace("\n", "\n" + " " * (len(mark) + 1)))
    return found


def table(element) -> str:
    rows = [[inline(cell).replace("|", r"\|") for cell in row.find_all(["th", "td"])]
            for row in element.find_all("tr")]
    wide = max(map(len, rows), default=0)
    lines = [f"| {' | '.join(row + [''] * (wide - len(row)))} |" for row in rows]
    return "\n".join([*lines[:1], "|" + "---|" * wide, *lines[1:]])


def inline(element) -> str:
    return " ".join("".join(map(piece, element.children)).split())


def piece(node) -> str:
    """Text, or an element inside a line."""
    if isinstance(node, NavigableString):
        return str(node) if type(node) is NavigableString else ""
    text = "".join(map(piece, node.children))
    if node.name == "br":
        return " "
    if "math" in node.get("class", ()):
        return f"${tex(node)}$"
    if node.name == "a" and "gg-term" not in node.get("class", ()) and text.strip():
        return f"[{text.strip()}]({twin(node.get('href', ''))})"
    around = {"strong": "**", "b": "**", "em": "*", "code": "`"}.get(node.name, "")
    return f"{around}{text.strip()}{around}" if around and text.strip() else text


def tex(element) -> str:
    """A formula without the marks that Sphinx puts around it."""
    return re.sub(r"^\\[(\[]|\\[)\]]$", "", element.get_text().strip()).strip()


def twin(href: str) -> str:
    """A link of the site leads to a twin too."""
    if re.match(r"[a-z]+:", href) or "slides/" in href:  # a deck has no twin
        return href
    return re.sub(r"((?:book|notebooks|\.\.|^)[\w/.]*\.html)(?=#|$)", r"\1.md", href)
