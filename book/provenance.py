"""Every figure of the built site leads to its runs, its notebook and the command that makes it.

A figure comes from its notebook with both its inks inside and the keys of its runs on its caption
(plots/picture.py). Here it becomes one small file for both inks, and the keys become links.
"""

import hashlib
import html
import re
import shlex
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pandas as pd
import yaml
from polish import typeset

from gammagpt.plots.picture import WHITE
from gammagpt.plots.style import INK, PAPER
from gammagpt.project import PAGES, tier_parameters

FIGURE = re.compile(r'<figure class="gg-figure" id="([^"]+)".*?</figure>', re.DOTALL)
IMAGE = re.compile(r'src="data:image/svg\+xml,([^"]+)"')
CAPTION = re.compile(r'<figcaption(?: data-runs="([^"]*)")?(?: data-roles="([^"]*)")?>(.*?)'
                     r'</figcaption>', re.DOTALL)
KEPT = {"key", "setting", "status", "steps", "model.width", "model.n_layer", "model.norm_eps",
        "optim.warmup", "optim.learning_rate"}
FIRST = 3  # records that a caption links to: all of them are in its table


def link_figures(site: Path, tier: str) -> None:
    """Rework the figures of all pages of a site, which has the table of its tier's runs."""
    (site / "pictures").mkdir()
    runs = pd.read_csv(site / "data" / f"runs-{tier}.csv.gz", low_memory=False)
    for page in sorted((site / "notebooks").glob("*.html")):
        text = page.read_text(encoding="utf-8")

        def rework(figure, notebook=page.stem):
            name = f"{notebook}-{figure[1]}"
            shown = IMAGE.sub(lambda image: _as_file(image, site), figure[0])
            picture = re.search(r'pictures/[^"#]+', shown)
            alt = re.search(r'(?:alt|aria-label)="([^"]*)"', shown)[1]
            return CAPTION.sub(
                lambda c: _with_data(c, site, tier, notebook, name, runs, picture, alt), shown
            )

        page.write_text(FIGURE.sub(rework, text), encoding="utf-8")
    lead_to_bundle(site, tier)


def lead_to_bundle(site: Path, tier: str) -> None:
    """Links to records that are too heavy to lie in the site lead to the bundle, which has them.

    Records to which no page links are in the bundle alone: they would be a quarter of the site.
    """
    linked = set()

    def mended(link):
        linked.add(site / "records" / link[1])
        there = (site / "records" / link[1]).exists()
        return link[0] if there else f'href="../data/records-{tier}.bundle"'

    for page in site.glob("*/*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(re.sub(r'href="\.\./records/([^"]+)"', mended, text), encoding="utf-8")
    for record in set((site / "records").glob("*/*.json")) - linked:
        record.unlink()


def _as_file(image, site: Path) -> str:
    """An image's attributes when its picture is a file: its ink, its size, and no haste."""
    svg = unquote(image[1])
    fragment = "#dark" if INK["dark"] in svg else ""
    svg = two_inks(svg)
    name = f"{hashlib.sha256(svg.encode()).hexdigest()[:16]}.svg"
    (site / "pictures" / name).write_text(svg, encoding="utf-8")
    width, height = ElementTree.fromstring(svg).get("viewBox").split()[2:]
    size = f'width="{float(width):.0f}" height="{float(height):.0f}"'
    return f'src="../pictures/{name}{fragment}" {size} loading="lazy"'


def two_inks(svg: str) -> str:
    """A picture in light ink, or in dark ink where its address ends in `#dark`; on the page's own
    ground, not on the white one that it has outside of the book."""
    svg = svg.replace(WHITE.decode(), "")
    for name, colour in {"currentColor": INK, "var(--paper)": PAPER}.items():
        for ground in colour.values():
            svg = svg.replace(ground, name)
    light, dark = (f"{{color:{INK[g]};--paper:{PAPER[g]}}}" for g in INK)
    rules = f"svg{light}svg:target{dark}</style>"
    return svg.replace("<svg ", '<svg id="dark" ', 1).replace("</style>", rules, 1)


def _with_data(
    caption, site: Path, tier: str, notebook: str, name: str, runs, picture, alt: str
) -> str:
    """A caption with its figure's words and what is behind it, folded; and the picture alone."""
    keys, roles = ((caption[i] or "").split() for i in (1, 2))
    roles = dict(zip(keys, roles, strict=False))
    parts = [f"In words: {typeset(alt)}"]
    parts += [_runs_links(keys, roles, site, tier, name, runs)] if keys else []
    if picture:
        parts.append(f'<a href="../{picture[0]}">The picture alone</a>, to enlarge (SVG)')
    parts += [
        f'Notebook: <a href="../_sources/notebooks/{notebook}.ipynb" download>{notebook}.ipynb</a>',
        "To make it again, with its chapter and from its records "
        '(<a href="../book/rerun.html">how</a>): '
        f"<code>GAMMAGPT_BUDGET=0 .venv/bin/{html.escape(command(notebook, tier))}</code>",
    ]
    data = "<summary>In words, and the data</summary><p>" + "<br>".join(parts) + "</p>"
    return f'<figcaption>{caption[3]}<details class="gg-data">{data}</details></figcaption>'


def _runs_links(keys: list[str], roles: dict, site: Path, tier: str, name: str, runs) -> str:
    """Links to a table of a figure's runs, which is written here, and to the first records."""
    folder = site / "data" / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    table = with_roles(varying(runs[runs.key.isin(keys)]), roles)
    table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    record = '<a href="../records/{}/{}.json"><code>{}</code></a>'
    first = [record.format(tier, key, key) for key in keys[:FIRST]]
    more = ", …" if len(keys) > FIRST else ""
    noun = "run" if len(keys) == 1 else "runs"
    table = f'<a href="../data/figures/{name}.csv" download>{len(keys)} {noun} as a table</a>'
    return f"{table} (CSV); records: {', '.join(first)}{more}"


def with_roles(runs, roles: dict):
    """A row a run and role, {key: "common+tuned"}; the same runs where no roles are known."""
    if not roles:
        return runs
    split = runs.assign(role=runs.key.map(roles).str.split("+")).explode("role")
    first = ["key", "setting", "role"]
    order = [name for name in ("setting", "role", "optim.learning_rate", "seed") if name in split]
    return split[[*first, *split.columns.difference(first, sort=False)]].sort_values(order)


def varying(runs):
    """The columns in which runs differ, and those by which one figure's runs are told from
    another's; when and where they were made apart."""
    names = [column for column in runs if not column.startswith("made.")]
    asked = [n for n in names if n in KEPT or runs[n].nunique() > 1]
    return runs[asked if len(runs) > 1 else names].dropna(axis="columns", how="all")


def command(notebook: str, tier: str) -> str:
    """What makes a page's notebook again, with the parameters that are not its own defaults."""
    own, given = (tier_parameters(name)[notebook] or {} for name in (PAGES, tier))
    changed = {name: value for name, value in given.items() if value != own.get(name)}
    flow = yaml.safe_dump(changed, default_flow_style=True, width=10**6).strip()
    asked = f" -y {shlex.quote(flow)}" if changed else ""
    return f"papermill notebooks/{notebook}.ipynb out.ipynb{asked}"
