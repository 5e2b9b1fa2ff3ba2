"""The handout and the teacher's page: from the notebooks and the ledger, and fit for paper."""

import re
import subprocess
import sys

import handout
import nbformat
import pytest
from helpers import made_up_claim
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from gammagpt import UserError, project
from gammagpt.ledger.claims import load_ledger
from gammagpt.ledger.judge import Verdict
from gammagpt.registry.studies import study

FIGURE = (
    '<style>...</style><figure class="gg-figure" id="{anchor}"><img alt="It falls to 1 &amp; 2." '
    'src="data:a"><img alt="It falls to 1 &amp; 2." src="data:b">'
    '<figcaption data-runs="01 23">Tier smoke; 2 runs.</figcaption></figure>'
)
LIST = "## Exercises\n\n1. **First one?** Do this.\n2. **Second.** Do that."
SOLUTIONS = "<details>\n<summary>Solutions</summary>\n\n1. So.\n2. Thus.\n\n</details>"


@pytest.fixture(scope="module")
def chapters() -> dict:
    """The notebooks as they are in git, without outputs."""
    files = sorted((project.root() / "notebooks").glob("*.ipynb"))
    return {file.stem: nbformat.read(file, as_version=4) for file in files}


def chapter(*anchors):
    """A made-up chapter: pictures, two tasks, of which the second can be checked."""
    html = [new_output("display_data", data={"text/html": FIGURE.format(anchor=a)})
            for a in anchors]
    check = new_code_cell('check("01.2", ...)', metadata={"tags": ["exercise"]})
    shown = new_code_cell("show()", outputs=html)
    text = [new_markdown_cell(LIST), check, new_markdown_cell(SOLUTIONS)]
    return new_notebook(cells=[shown, *text])


def test_a_picture_comes_with_its_question_its_finding_its_caption_and_its_chapter():
    name, anchor = next(iter(handout.PICTURES.values()))
    page = handout.pictures({name: chapter("fig-other", anchor)})
    assert page.count("<figure") == 1 and page.count("<img") == 2
    for words in (next(iter(handout.PICTURES)), "It falls to 1 &amp; 2.", "Tier smoke; 2 runs."):
        assert words in page.partition("<figcaption>")[2]
    assert f'href="../notebooks/{name}.html#{anchor}"' in page


def test_a_picture_that_this_tier_does_not_make_is_left_out():
    name = next(iter(handout.PICTURES.values()))[0]
    assert "<figure" not in handout.pictures({name: chapter("fig-other")})


def test_the_pictures_anchors_are_those_of_chapters():
    files = [*(project.root() / "src" / "gammagpt").rglob("*.py"),
             *(project.root() / "notebooks").glob("*.ipynb")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    assert [a for _, a in handout.PICTURES.values() if a not in text] == []


def test_the_table_marks_what_has_a_cell_that_checks():
    table = handout.table_of_tasks({"01_gamma": chapter()})
    chapter_1 = "1. [](../notebooks/01_gamma.ipynb)"
    assert table.splitlines()[-1] == f"| {chapter_1} | 1 First one; 2 Second ✓ |"


def test_every_task_of_a_chapter_has_a_title(chapters):
    rows = handout.table_of_tasks(chapters).splitlines()[2:]
    titles = [title for row in rows for title in row.split(" | ")[1].strip(" |").split("; ")]
    assert len(rows) == len(chapters)
    assert [t for t in titles if not re.fullmatch(r"\d+ [^*$]{3,60}?( ✓)?", t)] == []


def test_the_tasks_of_the_handout_are_in_the_notebooks(chapters):
    for name in handout.TASKS:
        words = handout.task(chapters, name)
        assert words.startswith("1. **") and f"[{name}](../notebooks/{name[:2]}_" in words
    with pytest.raises(UserError, match="handout: got task '01.99'"):
        handout.task(chapters, "01.99")


def test_the_project_week_s_program_runs_and_comes_to_a_verdict(tmp_path):
    """The page's own file and claim, with runs that are as small as can be."""
    text = (project.root() / "book" / "teaching.md").read_text(encoding="utf-8")
    rule, program = (re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL)[1]
                     for kind in ("yaml", "python"))
    small = ("block_size=4, n_layer=1, batch_size=2, widths=[64], bias_widths=[64], "
             "tokens_per_parameter=1e-4, factors=[0.5, 1.0, 2.0], tuning_seeds=[300]")
    assert "block_size=32" in program
    (tmp_path / "ours.yml").write_text(rule)
    (tmp_path / "ours.py").write_text(program.replace("block_size=32", small))
    command = [sys.executable, "ours.py"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    [claim] = load_ledger(tmp_path / "ours.yml")
    assert claim.rule_hash in found.stdout and "gamma 1, width 64" in found.stdout
    assert re.search("better|equivalent|worse|undecided", found.stdout)
    assert "rule changed" not in found.stdout
    (tmp_path / "ours.yml").write_text(rule.replace("margin: 0.03", "margin: 0.04"))
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 0 and "rule changed" in again.stdout  # moved after the runs


def test_the_sentences_of_the_project_week_name_parameters_that_exist():
    text = (project.root() / "book" / "teaching.md").read_text(encoding="utf-8")
    named = re.findall(r"^- \*.*?\(`(\w+)`, (.*?);", text, re.MULTILINE)
    assert len(named) == 4
    for experiment, given in named:
        changed = dict(re.findall(r'`(\w+)="?([^"`]+)"?`', given))
        if changed.get("corpus", "").endswith(".txt"):
            continue  # the reader's
        changed = {k: int(v) if v.isdigit() else v for k, v in changed.items()}
        assert changed and study(experiment, "night", **changed) != study(experiment, "night")


def test_lessons_expect_claims_of_the_ledger():
    known = {claim.id for claim in load_ledger()}
    assert [c for names in handout.EXPECTED.values() for c in names if c not in known] == []


def test_what_to_expect_is_what_the_ledger_says():
    verdict = Verdict(made_up_claim(id="one"), "laptop", "better", "so", 0.25, 0.125, 0.375)
    row = handout.expected([verdict], ["one"]).splitlines()[-1]
    assert "(claim-one)" in row and "+0.250 [+0.125, +0.375]" in row and "✓ better" in row
    with pytest.raises(UserError, match="handout: got claim 'two'"):
        handout.expected([verdict], ["one", "two"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_printed_it_is_four_sheets_at_most_in_dark_ink(site, browser, scheme):
    """Without navigation, and with the pictures for a light ground in either scheme."""
    page = browser.new_page(color_scheme=scheme)
    page.goto((site / "book" / "handout.html").as_uri())
    page.wait_for_load_state("networkidle")
    sheets = page.pdf(format="A4", print_background=False)
    page.emulate_media(media="print")
    pictures = page.locator("figure.gg-figure")
    assert pictures.count() >= 4
    for i in range(pictures.count()):
        light, dark = pictures.nth(i).locator("img").all()
        assert light.is_visible() and not dark.is_visible()
    ink = page.evaluate("getComputedStyle(document.querySelector('article p')).color")
    navigation = page.locator(".bd-sidebar-primary, .bd-header-article, .prev-next-area")
    assert not any(part.is_visible() for part in navigation.all())
    page.close()
    assert sum(map(int, re.findall(r"\d+", ink)[:3])) < 250
    assert len(re.findall(rb"/Type\s*/Page\b", sheets)) <= 4
