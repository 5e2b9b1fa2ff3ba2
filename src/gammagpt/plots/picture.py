"""A figure with its words: one drawing, two inks, alt text, caption, and the runs it shows."""

import html
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import quote

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd

from .style import INK, PAPER, STYLE

HEADLINE = 120  # characters, two lines of a page
PLAIN = " /:;=,()'"  # stays as it is in the address of a picture; base64 would be a third more
WHITE = b'<rect width="100%" height="100%" fill="#fff"/>'


@dataclass(frozen=True)
class Source:
    """Where the numbers of a figure come from."""

    words: str = ""  # 'Tier laptop; 32 runs, seeds 0, 1; commit 0123abcd.'
    runs: dict = field(default_factory=dict)  # key of a run -> its roles, "common+tuned"


@dataclass(frozen=True)
class Picture:
    """One figure, in ink for light and for dark pages, with its words.

    Show it as the last line of a notebook cell.
    """

    anchor: str  # its id on the page
    draw: object  # draw(figure) puts everything on an empty matplotlib figure
    alt: str  # what it shows, and the numbers that one sees in it
    caption: str  # how to read it
    size: tuple = (7.2, 4.0)  # inches
    source: Source = Source()

    @property
    def runs(self) -> dict:
        return self.source.runs

    def _repr_html_(self) -> str:
        # Outside the book (Jupyter, Colab) one picture is shown, on a ground of its own, whatever
        # the theme and though a notebook that is not trusted loses its styles; the book's style
        # sheet shows the other one on dark pages. JupyterLab takes away a `hidden` without a value.
        hidden = {"light": "", "dark": ' hidden="hidden"'}
        images = "".join(
            f'<img class="gg-{ground} only-{ground}"{hidden[ground]} alt="{html.escape(self.alt)}" '
            f'src="data:image/svg+xml,{quote(self.svg(ground), safe=PLAIN)}">'
            for ground in INK
        )
        images = f'<div class="gg-pictures">{images}</div>'  # what scrolls on a phone
        caption = figcaption(self.caption, self.source, self.alt)
        return f'<figure class="gg-figure" id="{self.anchor}">{images}{caption}</figure>'

    def svg(self, ground: str = "light") -> bytes:
        """The figure as SVG: on white, or with ink for a dark ground that shines through."""
        drawn = self._drawn
        if ground == "light":
            drawn = re.sub(rb"<svg[^>]*>", lambda tag: tag[0] + WHITE, drawn, count=1)
        for colour in (INK, PAPER):
            drawn = drawn.replace(colour["light"].encode(), colour[ground].encode())
        return drawn

    @cached_property
    def _drawn(self) -> bytes:
        """As SVG in light ink. Drawn once: nothing but the ink depends on the ground."""
        names = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
        with matplotlib.rc_context(STYLE | dict.fromkeys(names, INK["light"])):
            figure = plt.figure(figsize=self.size)
            self.draw(figure)
            buffer = io.BytesIO()
            no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
            figure.savefig(buffer, format="svg", metadata=no_metadata)
            plt.close(figure)
        return _slim(buffer.getvalue())


def figcaption(caption: str, source: Source, alt: str) -> str:
    """A caption in HTML: what is shown, how to read it, and, small, where it comes from.

    It has the keys of its runs, of which book/provenance.py makes links.
    """
    runs = source.runs
    keys = f' data-runs="{html.escape(" ".join(runs))}"' if runs else ""
    roles = f' data-roles="{" ".join(runs.values())}"' if all(runs.values()) and runs else ""
    what = f"<strong>{html.escape(headline(alt))}</strong>"
    origin = f" <small>{html.escape(source.words)}</small>" if source.words else ""
    return f"<figcaption{keys}{roles}>{what} {html.escape(caption)}{origin}</figcaption>"


def headline(alt: str) -> str:
    """The first sentence of a text, or, where a list makes it long, what stands before the list."""
    first = re.split(r"(?<=\.) ", alt)[0]
    before, colon, _ = first[:HEADLINE].rpartition(":")
    return f"{before}." if len(first) > HEADLINE and colon else first


def provenance(runs, tier: str) -> Source:
    """The source of a figure of these runs: one frame, or several as a list."""
    frames = runs if isinstance(runs, list) else [runs]
    runs = pd.concat([frame for frame in frames if len(frame)] or [pd.DataFrame()])
    if not len(runs):
        return Source(f"Tier {tier}; no runs.")
    once = runs.drop_duplicates("key")
    diverged = (once.status == "diverged").sum()
    count = f"{len(once)} run{'s' * (len(once) > 1)}" + f" ({diverged} diverged)" * bool(diverged)
    seeds = sorted(once.seed.unique())
    seeds = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    commits = ", ".join(sorted({commit[:8] for commit in once.commit}))
    return Source(f"Tier {tier}; {count}, {seeds}; commit {commits}.", _roles(runs))


def _roles(runs) -> dict[str, str]:
    """key -> the roles that a run has, joined by +, in the order in which the runs stand."""
    roles = {}
    for key, role in zip(runs.key, runs.get("role", [""] * len(runs)), strict=True):
        roles[key] = roles.get(key, set()) | ({role} - {""})
    return {key: "+".join(sorted(names)) for key, names in roles.items()}


def nothing(anchor: str) -> Picture:
    """What stands in for a figure that has no run to show."""

    def draw(figure):
        figure.text(0.5, 0.5, "no run to show", ha="center", va="center")

    alt = "Nothing is shown: there is no run of these settings that ended well and was measured."
    return Picture(anchor, draw, alt, "", (7.2, 1.0))


def _slim(svg: bytes) -> bytes:
    """An SVG of half the size that looks the same: a page holds many, each of them twice."""

    def shorten(tag):
        without_names = re.sub(rb' id="[\w.]+_\d+"', b"", tag[0])  # those that nothing refers to
        to_a_hundredth_of_a_point = re.sub(rb"(\.\d\d)\d+", rb"\1", without_names)
        return re.sub(rb"\s+", b" ", to_a_hundredth_of_a_point)

    svg = re.sub(rb"<!--.*?-->", b"", svg, flags=re.DOTALL)
    return _named_styles(re.sub(rb">\s+<", b"><", re.sub(rb"<[^>]*>", shorten, svg)))


def _named_styles(svg: bytes) -> bytes:
    """The same with each style that is used more than twice written once, as a class."""
    uses = Counter(re.findall(rb' style="([^"]*)"', svg))
    names = {s: b"s%d" % i for i, s in enumerate(s for s, count in uses.items() if count > 2)}

    def name(attribute):
        style = attribute[1]
        return b' class="' + names[style] + b'"' if style in names else attribute[0]

    rules = b"".join(b"." + name + b"{" + style + b"}" for style, name in names.items())
    return re.sub(rb' style="([^"]*)"', name, svg).replace(b"</style>", rules + b"</style>", 1)
