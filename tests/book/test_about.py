"""The pages about the book: what they say is computed, and what cannot be computed is an error."""

import json
import re
import shutil
from dataclasses import replace

import about
import changes
import chapters
import nbformat
import polish
import pytest
import terms
import yaml
from docutils import nodes
from helpers import made_up_claim

from gammagpt import project, verdicts
from gammagpt.ledger.claims import load_ledger
from gammagpt.ledger.judge import CHANGED, Verdict
from gammagpt.project import UserError, read_yaml, root
from gammagpt.registry.costs import price


@pytest.fixture
def found():
    numbers = {"effect": 0.25, "low": 0.125, "high": 0.375}
    return [Verdict(made_up_claim(), "laptop", "better", "x", **numbers)]


# ---- verdicts on a page ------------------------------------------------------------------------


def test_a_comment_becomes_what_the_records_say(found):
    text = about.with_verdicts("a\n<!-- claims: a-claim -->\nb", found)
    assert "[A title](claim-a-claim)" in text and "better</span>" in text
    assert "+0.250 [+0.125, +0.375] nats per token" in text and text.endswith("\nb")


def test_the_answer_is_the_sentences_that_were_written_for_what_came_out(found):
    means = {"better": "It helps.", "worse": "It does not."}
    one = replace(found[0], claim=replace(found[0].claim, means=means))
    silent = replace(found[0], claim=replace(found[0].claim, id="silent"))
    text = about.with_verdicts("So: <!-- means: a-claim silent --> End.", [one, silent])
    assert text == "So: It helps. End."


def test_the_table_of_answers_says_how_large_and_what_would_change_it():
    claims = {claim.id: replace(claim, would_change="A GPU.") for claim in load_ledger()}
    asked = [Verdict(claims[name], "laptop", "better", "x", 0.25, 0.125, 0.375)
             for name in ("lower-loss", "lower-loss-deep", "first-emb")]
    rows = about.with_verdicts(
        "<!-- answers: lower-loss lower-loss-deep first-emb -->", asked).splitlines()[2:]
    assert all("better</span> | +0.250 [+0.125, +0.375]" in row and "A GPU." in row for row in rows)
    assert "width 64, 2 layers" in rows[0] and "../notebooks/02_gamma_scaling.ipynb" in rows[0]
    assert "| – |" in rows[1]  # eight layers are a night's
    assert "| width 200 |" in rows[2]
    left = replace(asked[1], verdict="not run")
    text = about.with_verdicts("<!-- answers: lower-loss lower-loss-deep -->", [asked[0], left])
    assert "not run yet: [The gain over gamma 0.5 holds with depth]" in text.splitlines()[-1]
    assert text.count("| [") == 1


def test_what_is_asked_anew_shows_both_ledgers():
    """Every old claim is one of the first edition's, and every new one of today's."""
    text = about.superseded([Verdict(claim, "night", "better", "x", 0.095, 0.058, 0.131)
                             for claim in load_ledger()])
    row = next(line for line in text.splitlines() if "biting-eps-tuned" in line)
    assert "supported +0.635" in row and "better</span> +0.095 [+0.058, +0.131]" in row
    assert "(claim-hides-eps)" in row and "SHA-256" in text


def test_every_question_of_the_first_edition_is_asked_still_or_anew_or_said_to_be_retired():
    pages = {name: read_yaml(root() / "book" / f"{name}.yml") for name in ("superseded", "retired")}
    old = {row["id"] for row in json.loads((root() / "book/first_edition.json").read_text("utf-8"))}
    anew = {name for row in pages["superseded"].values() for name in row["old"]}
    gone = [name for row in pages["retired"].values() for name in row["old"]]
    asked = {claim.id for claim in load_ledger()}
    assert set(gone) == old - anew - asked and len(gone) == len(set(gone))
    assert all(f"`{name}`" in about.retired() for name in gone)


def test_the_landing_page_answers_in_at_most_120_words():
    """Whatever comes out: the longest sentence of every claim."""
    known = {claim.id: claim for claim in load_ledger()}
    page = (root() / "book" / "intro.md").read_text(encoding="utf-8")
    asked = " ".join(re.findall(r"<!-- means: ([^>]*)-->", page)).split()
    longest = [max(len(text.split()) for text in known[name].means.values()) for name in asked]
    own = re.search(r"## The answer\n(.*?)```", page, re.DOTALL)[1]
    own = re.sub(r"<!--.*?-->", "", own)
    assert len(asked) >= 8 and sum(longest) + len(own.split()) <= 120


def test_a_verdict_that_many_claims_would_undo_says_so():
    one = Verdict(made_up_claim(primary=True), "night", "better", "x", 0.25, 0.1, 0.4, p=0.03)
    other = replace(one, claim=replace(one.claim, id="other"), p=0.04)
    text = "<!-- claims: a-claim -->"
    assert "corrected p 0.06" in about.with_verdicts(text, [one, other])
    assert "corrected p" not in about.with_verdicts(text, [one])


def test_a_claim_that_is_not_in_the_ledger_is_an_error(found):
    with pytest.raises(UserError, match="'lost', allowed are"):
        about.with_verdicts("<!-- claims: a-claim lost -->", found)


def test_the_pages_of_the_book_name_only_claims_of_the_ledger():
    known = verdicts("smoke")
    for name in about.PAGES:
        about.with_verdicts((project.root() / "book" / name).read_text(), known)


def test_flagged_verdicts_are_listed_and_others_are_not(found):
    assert "A title" not in about.flagged(found)
    flag = Verdict(made_up_claim(), "laptop", "better", "x", flag=CHANGED)
    assert "[A title](claim-a-claim): rule changed" in about.flagged([*found, flag])


def test_without_records_the_limits_say_so(found):
    assert "no records of tier gpu" in about.limits([], found, "gpu")


def test_the_citation_is_that_of_the_citation_file_and_has_all_papers():
    cff = yaml.safe_load((project.root() / "CITATION.cff").read_text())
    text = about.citation()
    assert f"title = {{{cff['title']}}}" in text and f"version = {{{cff['version']}+" in text
    assert text.count("\n@") == 4 and text.count("{") == text.count("}")
    assert all(f"{{{claim.paper}," in text for claim in load_ledger())


# ---- under a chapter's title -------------------------------------------------------------------


@pytest.mark.parametrize(
    "seconds, words", [(3, "3 s"), (89, "89 s"), (600, "10 min"), (5400, "1.5 h")]
)
def test_a_time_is_said_as_people_say_it(seconds, words):
    assert chapters.span(seconds) == words


def test_the_cost_counts_the_runs_that_figures_show(tmp_path, monkeypatch):
    records = sorted((project.root() / "results" / "laptop").glob("*.json"))[:2]
    (tmp_path / "laptop").mkdir()
    for record in records:
        shutil.copy(record, tmp_path / "laptop")
    monkeypatch.setenv("GAMMAGPT_RESULTS", str(tmp_path))
    keys = " ".join(record.stem for record in records)
    shown = nbformat.v4.new_output("display_data", {"text/html": f'<p data-runs="{keys}">'})
    cell = nbformat.v4.new_code_cell("", outputs=[shown])
    runs = chapters.runs_of("01_gamma", nbformat.v4.new_notebook(cells=[cell]), "laptop")
    seconds = sum(price()(record.config) for record in runs.values())
    line = chapters.cost_line("laptop", runs, 12.0)
    assert f"2 runs, from nothing about {chapters.span(seconds)} on two cores" in line
    assert line.endswith(" made in 12 s")


# ---- terms -------------------------------------------------------------------------------------


def test_only_the_first_use_of_a_term_is_linked_and_plurals_count():
    left = {"stable rank": ("term-stable", "says"), "rank": ("term-rank", "other")}
    pieces = terms.linked("Stable ranks fall. A stable rank is no rank.", left, "g.html")
    links = [piece for piece in pieces if isinstance(piece, nodes.reference)]
    assert [link.astext() for link in links] == ["Stable ranks", "rank"] and left == {}
    assert links[0]["refuri"] == "g.html#term-stable" and links[0]["reftitle"] == "says"
    assert "".join(p.astext() for p in pieces) == "Stable ranks fall. A stable rank is no rank."


def test_a_part_of_a_word_is_no_term():
    assert len(terms.linked("unseeded", {"seed": ("a", "b")}, "g.html")) == 1


# ---- the site ----------------------------------------------------------------------------------


def test_a_site_is_as_large_as_all_its_files_and_text_travels_compressed(tmp_path):
    (tmp_path / "folder").mkdir()
    files = [tmp_path / "a.woff2", tmp_path / "folder" / "b.html"]
    for file in files:
        file.write_bytes(b"0" * 2000)
    assert polish.site_size(tmp_path) == 4000
    assert polish.transfer(files[:1]) == 2000 > 100 > polish.transfer(files[1:])


def test_the_markup_is_mended(tmp_path):
    formula = '<span class="math notranslate nohighlight">\\(d_\\mathrm{in} &gt; 2\\)</span>'
    wrong = '<div role="list" class="citation-list"><th class="blank level0" >&nbsp;</th>'
    (tmp_path / "page.html").write_text(formula + wrong)
    polish.mend(tmp_path)
    text = (tmp_path / "page.html").read_text()
    assert 'style="--signs: 6">\\(d' in text and "role=" not in text and "<th" not in text


@pytest.mark.parametrize(
    "typed, shown",
    [
        ("by -0.3 [-0.4, +1.2] nats", "by −0.3 [−0.4,\u00a0+1.2] nats"),
        ("GPT-2 of 2026-11-26, 1e-12, 3-4", "GPT-2 of 2026-11-26, 1e-12, 3-4"),
        ("<code>-0.3</code><td>-0.3</td>", "<code>-0.3</code><td>−0.3</td>"),
        (r'<a title="-0.3">\(x = -1\)</a>', r'<a title="-0.3">\(x = -1\)</a>'),
    ],
)
def test_numbers_are_set_as_numbers_and_code_as_code(typed, shown):
    assert polish.typeset(typed) == shown


def test_chapters_are_numbered_as_their_files_are(tmp_path):
    (tmp_path / "notebooks").mkdir()
    path = tmp_path / "notebooks" / "09_restraints.ipynb"
    shutil.copy(project.root() / "notebooks" / path.name, path)
    said = nbformat.read(path, as_version=4).cells[0].source.splitlines()[0].removeprefix("# ")
    for _ in range(2):  # staged twice, a chapter says its number once
        chapters.write_costs(tmp_path, "night")
        staged = nbformat.read(path, as_version=4).cells[0].source.splitlines()[0]
        assert staged == f"# 9. {said}"
    parts = project.read_yaml(project.root() / "_toc.yml")["parts"]
    assert not any(part.get("numbered") for part in parts)  # one after the other, with no gaps


# ---- two ledgers -------------------------------------------------------------------------------

ENTRY = {"id": "a", "verdict": "better", "rule_hash": "1"}


@pytest.mark.parametrize(
    "now, words, code",
    [
        ([ENTRY], "No verdict has changed.", 0),
        ([ENTRY | {"verdict": "undecided"}], "`a`: better -> undecided", 1),
        ([ENTRY | {"rule_hash": "2"}], "`a`: better -> better, by another rule", 1),
        ([], "`a` is gone; it was better", 1),
        ([ENTRY, ENTRY | {"id": "b"}], "`b` is new: better", 0),
    ],
)
def test_what_changed_between_two_ledgers_is_said(tmp_path, capsys, now, words, code):
    files = [tmp_path / "before.json", tmp_path / "now.json"]
    for file, content in zip(files, ([ENTRY], now), strict=True):
        file.write_text(json.dumps(content))
    assert changes.main([str(file) for file in files]) == code
    assert capsys.readouterr().out.strip().removeprefix("- ") == words


@pytest.mark.parametrize("content", ["", "{}x", '[{"id": "a"}]', "3"])
def test_a_file_that_is_no_ledger_is_named(tmp_path, capsys, content):
    (tmp_path / "f.json").write_text(content)
    assert changes.main([str(tmp_path / "f.json")] * 2) == 2
    assert "f.json: allowed is the output" in capsys.readouterr().err
    assert changes.main([]) == 2 and changes.main(["a", "no.json"]) == 2
