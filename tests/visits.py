"""A visit to one page of the built site, in a real browser: what it shows, asks for and logs."""

from dataclasses import dataclass
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
PATIENCE = 300_000  # ms: a long page on a busy machine

# Before the page's own scripts: how far things move that were drawn already.
WATCH = """window.shifted = 0;
new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
  if (!entry.hadRecentInput) window.shifted += entry.value;
})).observe({ type: "layout-shift", buffered: true });"""

# Until the page stands still: formulas are set, and their fonts are there.
SETTLE = """async () => {
  if (window.MathJax?.startup) await MathJax.startup.promise;
  await document.fonts.ready;
}"""

# Everything that the tests ask about one page, in one visit; pictures further down come now, too.
LOOK = """async () => {
  document.querySelectorAll("img").forEach((i) => { i.loading = "eager"; });
  await Promise.all([...document.images].map((i) => i.decode().catch(() => 0)));
  const all = (selector) => [...document.querySelectorAll(selector)];
  const prose = document.querySelector("article")?.cloneNode(true);
  prose?.querySelectorAll("pre, code, script, style, mjx-container").forEach((e) => e.remove());
  return {
    title: document.title,
    ids: all("[id]").map((e) => e.id),
    links: all("a[href]").map((a) => a.href),
    pictures: all("img").map((i) => ({
      alt: i.alt, src: i.src.slice(0, 200), in_figure: !!i.closest("figure, .cell_output") })),
    headings: all("article :is(h1, h2, h3, h4, h5, h6)").map((h) => Number(h.tagName[1])),
    formulas: all(".math").length,
    rendered: all(".math").filter((e) => e.querySelector("mjx-container")).length,
    prose: prose?.innerText ?? "",
    shifted: window.shifted,
  };
}"""

# All rules in light and at full width; then those whose answer the scheme or the width can change.
COLOURS, SCROLLING = ["color-contrast", "link-in-text-block"], ["scrollable-region-focusable"]


@dataclass
class Visit:
    """What one page showed, asked for and complained about, and what axe-core says of it."""

    path: Path
    seen: dict
    requests: list[str]  # all of them
    asked: list[str]  # those of a reader who does not scroll down
    failed: list[str]
    complaints: list[str]
    width_on_phone: int
    violations: list[str]


def visit(browser, path: Path) -> Visit:
    page = browser.new_page(viewport=DESKTOP, color_scheme="light")
    page.set_default_timeout(PATIENCE)
    page.add_init_script(WATCH)
    requests, failed, complaints = [], [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.goto(path.as_uri(), wait_until="load")
    page.evaluate(SETTLE)
    asked = list(requests)
    seen, found = page.evaluate(LOOK), violations(page, "light")
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)  # colours fade
    found += violations(page, "dark", COLOURS)
    page.set_viewport_size(PHONE)
    width = page.evaluate("document.documentElement.scrollWidth")
    page.wait_for_timeout(600)  # the theme notices a new width when that has stayed for a while
    found += violations(page, "phone", SCROLLING)
    page.close()
    return Visit(path, seen, requests, asked, failed, complaints, width, found)


def violations(page, where: str, rules: list[str] | None = None) -> list[str]:
    """A line for each serious or critical violation that axe-core finds, with its first place."""
    options = {"resultTypes": ["violations"], "preload": False}  # preload: axe asks for files again
    options |= {"runOnly": rules} if rules else {}
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{where}: {v['id']}, {len(v['nodes'])} times: {v['nodes'][0]['html'][:200]}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


def each(visits, what):
    """`{page: findings}` of the pages where there is something to report."""
    return {v.path.name: found for v in visits if (found := what(v))}
