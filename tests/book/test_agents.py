"""What programs read of the site: twins in Markdown, lists, and the heads of the pages."""

import re
from xml.etree import ElementTree

import agents
import pytest
from bs4 import BeautifulSoup

from gammagpt import project

ARTICLE = """<article><section><h1><span>3. </span>Start<a class="headerlink" href="#x">#</a></h1>
<p class="gg-cost">Tier night, 223 runs, which is no description of it</p>
<p><strong>Aims.</strong> You know <a class="gg-term" href="g.html">what</a>
<span class="math">\\(\\gamma\\)</span> is, <em>why</em>, and
<code>how</code> it <a href="../book/faq.html#q">is asked</a>.</p>
<div class="math">\\[\\sigma = d^{-\\gamma}\\]</div>
<ol><li><p>One</p></li><li>Two<ul><li>a | b</li></ul></li></ol>
<div class="highlight"><pre>x = 1\n</pre></div>
<script>hidden()</script><details class="hide"><p>hidden</p></details>
<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>x | y</td></tr></table>
<figure><img alt="It falls." class="only-light" src="p.svg"><img class="only-dark" src="p.svg#d">
<figcaption>Tier smoke.</figcaption></figure></section></article>"""


@pytest.fixture
def article(tmp_path):
    (tmp_path / "a.html").write_text(ARTICLE)
    return agents.cleaned(tmp_path / "a.html")


def test_a_twin_has_what_the_page_says_and_nothing_of_its_machinery(article):
    text = agents.markdown(article)
    for part in ("# 3. Start\n", "**Aims.** You know what $\\gamma$ is, *why*, and `how` it "
                 "[is asked](../book/faq.html.md#q).", "$$\n\\sigma = d^{-\\gamma}\n$$",
                 "1. One\n2. Two\n   - a | b", "```\nx = 1\n```",
                 "| a | b |\n|---|---|\n| 1 | x \\| y |",
                 "![It falls.](p.svg)\n\nTier smoke."):
        assert part in text, (part, text)
    assert "hidden" not in text and "#d" not in text


def test_a_page_is_described_by_its_first_words_up_to_a_words_end(article):
    assert agents.words(article.h1) == "Start"
    assert agents.description(article) == "You know what γ is, why, and how it is asked."
    long = BeautifulSoup(f"<article><p>{'word ' * 80}</p></article>", "html.parser").article
    assert len(agents.description(long)) <= 160 and agents.description(long).endswith("word …")


def test_every_page_has_a_twin_a_description_and_a_preview_and_is_listed(site):
    listed = re.findall(r"^- \[(.+?)\]\((\S+?)\.md\): (.+)$", (site / "llms.txt").read_text(), re.M)
    names = [f"{name}.html" for _, name in agents.contents()]
    assert [name for _, name, _ in listed] == names
    tree = ElementTree.parse(site / "sitemap.xml").getroot()
    base = agents.address(project.read_yaml(project.root() / "_config.yml"))
    assert [loc.text for loc in tree.iter() if loc.tag.endswith("}loc")] == [
        base + name for name in names
    ]
    for title, name, described in listed:
        head = BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser").head
        found = {m.get("name") or m.get("property"): m.get("content") for m in head("meta")}
        assert found["description"] == found["og:description"] == described
        assert "\\" not in described
        assert found["og:title"] == title and 40 < len(described) <= 160
        preview = site / found["og:image"].removeprefix(base)
        assert preview.read_bytes()[:4] == b"\x89PNG" and preview.stat().st_size < 80_000
        twin = (site / f"{name}.md").read_text(encoding="utf-8")
        assert twin.startswith("# ") and title in twin.splitlines()[0]


def test_links_of_twins_lead_to_twins_that_are_there(site):
    for path in site.rglob("*.html.md"):
        links = re.findall(r"\]\(([^)#\s]+\.html\.md)", path.read_text(encoding="utf-8"))
        assert [link for link in links if not (path.parent / link).exists()] == [], path
