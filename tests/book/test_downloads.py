"""What a researcher takes from the site: tables, records, a figure's runs and its command."""

import json
import re
import shlex
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import build
import downloads
import editions
import nbformat
import pandas as pd
import provenance
import pytest
import yaml
from helpers import made_up_claim, made_up_record, made_up_runs, small_anchor_run

from gammagpt import Store, frame, project, verdicts
from gammagpt.analysis.pictures import against_gamma, loss_curves
from gammagpt.lab.bundle import import_bundle
from gammagpt.ledger.claims import load_ledger
from gammagpt.ledger.judge import judge
from gammagpt.plots import Picture
from gammagpt.plots import provenance as origin
from gammagpt.plots.picture import figcaption
from gammagpt.plots.style import HOLLOW, INK, PAPER

NOTEBOOK = "02_gamma_scaling"


@pytest.fixture(scope="module")
def records():
    """Four runs, one of which diverged."""
    usual = small_anchor_run("emb_mlp").pinned()
    small = replace(usual, init=replace(usual.init, gamma=0.5))
    runs = [replace(config, seed=seed) for config in (usual, small) for seed in (0, 1)]
    return [made_up_record(run, None if i == 3 else 5.0 + i / 3) for i, run in enumerate(runs)]


def study_of(records, role="common"):
    """The frame that a study makes of records: one role."""
    return frame(records).assign(role=role, resolved=True)


# ---- tables ------------------------------------------------------------------------------------


def test_a_run_is_a_row_with_every_field_of_its_configuration(records):
    table = downloads.runs_table(records)
    assert list(table.key) == [record.key for record in records]
    for record, row in zip(records, table.to_dict("records"), strict=True):
        for part, value in record.config.to_dict().items():
            fields = value.items() if isinstance(value, dict) else [("", value)]
            for name, number in fields:
                found = row[f"{part}.{name}" if name else part]
                assert found == number or (number is None and pd.isna(found))


def test_a_run_that_diverged_says_when_and_has_no_loss(records):
    row = downloads.runs_table(records).iloc[3]
    assert (row.status, row.diverged_at) == ("diverged", 3)
    assert pd.isna(row["final.validation_loss"])


def test_all_points_of_all_curves_are_there(records):
    table = downloads.curves_table(records)
    assert len(table) == sum(len(c) for r in records for c in r.curves.values())
    mine = table[(table.key == records[0].key) & (table.curve == "validation")]
    assert [list(pair) for pair in zip(mine.step, mine.value, strict=True)] == [
        list(point) for point in records[0].curves["validation"]
    ]


def test_the_file_of_curves_has_every_point_to_seven_digits(records, tmp_path):
    table = downloads.curves_table(records)
    downloads.write_parquet(table, tmp_path / "curves.parquet")
    found = pd.read_parquet(tmp_path / "curves.parquet")
    pd.testing.assert_frame_equal(found, table, check_dtype=False, rtol=1e-7, atol=0)
    assert found.value.dtype == "float32"


def test_roles_say_which_runs_chose_the_rate_of_a_tuned_claim():
    """The best rate by the tuning rows is that of the tuned ones, which the claim compares."""
    claims = [claim for claim in load_ledger() if claim.id == "lower-loss"]
    [verdict] = found = verdicts("night", claims=claims)
    table = downloads.roles_table(found, "night")
    for setting in verdict.claim.settings:
        mine = table[table.setting == setting]
        best = mine[mine.role == "tuning"].groupby("learning_rate").loss.median().idxmin()
        tuned = mine[mine.role == "tuned"]
        assert set(tuned.learning_rate) == {best} and tuned.resolved.all()
        assert set(tuned.key) == {key for name, _, key, _ in verdict.compared if name == setting}


def test_what_is_compared_averages_to_the_effect_of_its_claim():
    losses = {"gamma 0.5": [4.0, 4.5, 4.25], "gamma 0.8": [3.5, 3.75, 3.0]}
    claim = made_up_claim()
    verdicts = [judge(claim, made_up_runs(losses, claim=claim), "laptop")]
    claims, runs = downloads.claims_table(verdicts), downloads.compared_table(verdicts)
    usual, small = (runs[runs.setting == name].value.mean() for name in losses)
    assert usual - small == pytest.approx(claims.effect[0])
    assert claims.n[0] == 3 and len(runs) == 6 and claims["rule.margin"][0] == 0.03
    assert runs.key[0] == "gamma 0.5, tuned, 0"


# ---- captions ----------------------------------------------------------------------------------


def test_a_picture_knows_the_keys_that_its_caption_does_not_show(records):
    runs = study_of(records)
    picture = Picture("fig", print, "alt", "Seen.", source=origin([runs, runs], "laptop"))
    assert list(picture.runs) == [record.key for record in records]
    assert not any(key in picture.caption for key in picture.runs)
    assert picture.caption == "Seen." and picture.source.words.isprintable()


def test_a_table_of_runs_says_what_each_was_run_for(records):
    """A run that is the common one and the tuned one as well has a row for each."""
    one, other = records[0].key, records[1].key
    shown = pd.concat([study_of(records[:2]), study_of(records[:1], role="tuned")])
    picture = Picture("fig", print, "alt", "Seen.", source=origin(shown, "laptop"))
    assert picture.runs == {one: "common+tuned", other: "common"}
    assert 'data-roles="common+tuned common"' in figcaption("Seen.", picture.source, "alt")
    table = provenance.with_roles(downloads.runs_table(records[:2]), picture.runs)
    rows = {(one, "common"), (one, "tuned"), (other, "common")}
    assert set(zip(table.key, table.role, strict=True)) == rows and len(table) == len(rows)
    assert len(provenance.with_roles(downloads.runs_table(records[:2]), {})) == 2


def test_a_picture_without_runs_has_a_plain_caption():
    picture = Picture("fig", lambda figure: None, "alt", "Computed; no training.")
    assert picture.runs == {} and "</strong> Computed" in picture._repr_html_()


def test_the_table_of_a_figure_has_the_columns_in_which_its_runs_differ(records):
    table = downloads.runs_table(records)
    several, one = provenance.varying(table), provenance.varying(table[:1])
    assert {"key", "setting", "status", "init.gamma", "seed"} <= set(several)
    assert not {"batch_size", "made.commit", "init.std"} & set(several)
    assert "optim.warmup" in several  # alike in all, and by it one figure differs from another
    assert {"key", "steps", "optim.learning_rate"} <= set(one) and "init.std" not in one


def test_links_to_heavy_records_lead_to_the_bundle(tmp_path):
    (tmp_path / "records" / "laptop").mkdir(parents=True)
    for name in ("light", "unread"):
        (tmp_path / "records" / "laptop" / f"{name}.json").touch()
    (tmp_path / "book").mkdir()
    page = tmp_path / "book" / "page.html"
    link = '<a href="../records/laptop/{}.json">'
    page.write_text(link.format("light") + link.format("heavy"))
    provenance.lead_to_bundle(tmp_path, "laptop")
    assert page.read_text() == link.format("light") + '<a href="../data/records-laptop.bundle">'
    kept = [file.name for file in (tmp_path / "records" / "laptop").iterdir()]
    assert kept == ["light.json"]  # the other one is in the bundle, where all are


@pytest.mark.parametrize("tier", project.TIERS)
def test_the_command_of_a_page_has_the_parameters_that_are_not_the_notebooks_own(tier):
    for notebook, given in project.tier_parameters(tier).items():
        words = shlex.split(provenance.command(notebook, tier))
        assert words[:3] == ["papermill", f"notebooks/{notebook}.ipynb", "out.ipynb"]
        changed = yaml.safe_load(words[4]) if len(words) > 3 else {}
        assert project.tier_parameters(project.PAGES)[notebook] | changed == given
        assert (changed == {}) == (tier == project.PAGES)


def test_a_picture_in_two_inks_is_the_light_one_unless_dark_is_asked_for():
    def draw(figure):
        figure.text(0.5, 0.5, "word")
        figure.subplots().plot([0, 1], "o-", mfc=HOLLOW)

    picture = Picture("fig", draw, "alt", "caption")
    inks = {ground: provenance.two_inks(picture.svg(ground).decode()) for ground in INK}
    assert inks["light"] == inks["dark"]
    root = ElementTree.fromstring(inks["light"])
    assert root.get("id") == "dark" and "word" in "".join(root.itertext())
    assert f"svg{{color:{INK['light']};--paper:{PAPER['light']}}}svg:target{{" in inks["light"]
    assert "fill: var(--paper)" in inks["light"] and HOLLOW in picture.svg().decode()
    assert PAPER["dark"] in picture.svg("dark").decode()


# ---- a small site ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory, records):
    """One chapter with two figures, and the page of downloads, rendered; and both editions."""
    tmp_path = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAMMAGPT_RESULTS", str(tmp_path / "results"))
        return small_site(tmp_path, records)


def small_site(tmp_path: Path, records) -> Path:
    store = Store(project.results_folder("smoke"))
    for record in records:
        store.put(record)
    staging = tmp_path / "staging"
    (staging / "notebooks").mkdir(parents=True)
    (staging / "book" / "_generated").mkdir(parents=True)
    for name in ("downloads.md", "references.bib", "static"):
        source = project.root() / "book" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, staging / "book" / name)
    config = project.read_yaml(project.root() / "_config.yml")
    own = config["sphinx"].pop("local_extensions", {})  # they ask for pages that are not here
    extensions = config["sphinx"]["config"]["extensions"]
    config["sphinx"]["config"]["extensions"] = [name for name in extensions if name not in own]
    (staging / "_config.yml").write_text(yaml.safe_dump(config))
    build.vendor_mathjax(staging / "vendor" / "mathjax")
    chapters = [{"file": f"notebooks/{NOTEBOOK}"}]
    toc = {"format": "jb-book", "root": "book/downloads", "chapters": chapters}
    (staging / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False))
    write_chapter(staging, study_of(records))
    build.copy_records("smoke", staging / "extra" / "records" / "smoke")
    downloads.write_downloads(staging, "smoke", [], books=True)
    index = build.render(staging, tmp_path / "built")
    provenance.link_figures(index.parent, "smoke")
    with ThreadPoolExecutor(1) as another:  # Playwright bears one browser a thread: see `browser`
        another.submit(editions.make_editions, index.parent, "smoke").result()
    return index.parent


def write_chapter(staging: Path, runs) -> None:
    against = against_gamma({"": (runs, "loss")}, "smoke", "final loss", "fig-against-gamma")
    pictures = [against, loss_curves(runs[:1], "smoke")]
    cells = [nbformat.v4.new_markdown_cell("# A chapter\n\nWith $\\gamma$ in it.")]
    for picture in pictures:
        shown = nbformat.v4.new_output("display_data", {"text/html": picture._repr_html_()})
        cells.append(nbformat.v4.new_code_cell("picture", outputs=[shown]))
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"},
              "language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    nbformat.write(notebook, staging / "notebooks" / f"{NOTEBOOK}.ipynb")


def test_figures_lead_to_their_runs_their_notebook_and_their_command(site, records):
    page = site / "notebooks" / f"{NOTEBOOK}.html"
    text = page.read_text(encoding="utf-8")
    figures = re.findall(r'<figure class="gg-figure" id="([^"]+)".*?</figure>', text, re.DOTALL)
    details = re.findall(r'<details class="gg-data">.*?</details>', text, re.DOTALL)
    assert figures == ["fig-against-gamma", "fig-curves"] and len(details) == 2
    assert "data-runs" not in text and "data:image/svg" not in text
    links = [link for detail in details for link in re.findall(r'href="([^"]+)"', detail)]
    links = [link for link in links if link != "../book/rerun.html"]  # no page of this small site
    assert [link for link in links if not (page.parent / link).resolve().is_file()] == []
    assert all(f"papermill notebooks/{NOTEBOOK}.ipynb out.ipynb -y" in d for d in details)
    tables = [site / "data" / "figures" / f"{NOTEBOOK}-{anchor}.csv" for anchor in figures]
    shown, one = map(pd.read_csv, tables)
    assert sorted(shown.key) == sorted(record.key for record in records)
    assert set(shown.role) == {"common"} and list(one.key) == [records[0].key]
    pictures = re.findall(r'src="(\.\./pictures/[0-9a-f]+\.svg)(#dark)?"', text)
    assert [dark for _, dark in pictures] == ["", "#dark"] * 2
    assert all((page.parent / file).resolve().is_file() for file, _ in pictures)


def test_every_link_to_a_download_leads_to_a_file_and_the_files_agree(site, records, tmp_path):
    page = site / "book" / "downloads.html"
    links = re.findall(r'<a href="(\.\./data/[^"]+)" download', page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).resolve().is_file()] == []
    folder = site / "data"
    assert len(links) == len(set(links)) == len([*folder.glob("*-smoke.*")]) == 12
    for read, kind in ((pd.read_csv, "csv.gz"), (pd.read_parquet, "parquet")):
        table = read(folder / f"runs-smoke.{kind}")
        assert sorted(table.key) == sorted(record.key for record in records)
    curves = pd.read_parquet(folder / "curves-smoke.parquet")
    assert len(curves) == len(downloads.curves_table(records))
    empty = Store(tmp_path / "imported")
    assert import_bundle(folder / "records-smoke.bundle", empty)["new"] == len(records)
    notebook = json.loads((site / "_sources" / "notebooks" / f"{NOTEBOOK}.ipynb").read_text())
    assert not any(cell.get("outputs") for cell in notebook["cells"])


def test_without_the_two_editions_the_page_does_not_link_to_them(records, tmp_path):
    tables = {"runs": downloads.runs_table(records)}
    words = {books: downloads._page(tmp_path, "smoke", tables, books) for books in (True, False)}
    assert "gammagpt-smoke.pdf" in words[True] and "gammagpt-smoke.epub" in words[True]
    assert "gammagpt-smoke" not in words[False] and "make downloads" in words[False]


# ---- PDF and EPUB ------------------------------------------------------------------------------


def check_epub(path: Path) -> dict[str, str]:
    """Its chapters, if it is whole: the mimetype first, all XHTML well-formed, no file or anchor
    missing, none unlisted (EPUB 3.3, sections 4 and 5)."""
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        first = file.infolist()[0]
        assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
        texts = {name: file.read(name) for name in file.namelist()}
    assert texts["mimetype"] == b"application/epub+zip"
    container = ElementTree.fromstring(texts["META-INF/container.xml"])
    package = container.find(".//{*}rootfile").get("full-path")
    root = ElementTree.fromstring(texts[package])
    items = {item.get("id"): item for item in root.iterfind(".//{*}item")}
    listed = {f"OEBPS/{item.get('href')}" for item in items.values()}
    assert listed == {n for n in texts if n.startswith("OEBPS/")} - {package}
    assert [i for i in root.iterfind(".//{*}itemref") if i.get("idref") not in items] == []
    pages = {n: ElementTree.fromstring(t) for n, t in texts.items() if n.endswith(".xhtml")}
    anchors = {name: {e.get("id") for e in page.iter()} for name, page in pages.items()}
    for name, page in pages.items():
        for part in page.iter():
            link = part.get("src") or part.get("href") or ""
            if link and not re.match(r"[a-z]+:", link):
                target, _, anchor = link.partition("#")
                target = f"OEBPS/{target}" if target else name
                assert target in texts and (not anchor or anchor in anchors[target]), link
        math = page.find(".//{http://www.w3.org/1998/Math/MathML}math") is not None
        item = next(i for i in items.values() if f"OEBPS/{i.get('href')}" == name)
        assert ("mathml" in (item.get("properties") or "")) == math
    return {name: texts[name].decode() for name in pages}


def test_the_epub_is_whole_and_has_chapters_formulas_and_pictures(site):
    chapters = check_epub(site / "data" / "gammagpt-smoke.epub")
    chapter = chapters[f"OEBPS/notebooks-{NOTEBOOK}.xhtml"]
    assert "<mi>γ</mi>" in chapter and "mjx-" not in chapter and "\\gamma" not in chapter
    assert chapter.count("<img ") == 2 and "data-runs" not in chapter
    assert "Downloads" in chapters["OEBPS/nav.xhtml"]


def test_the_pdf_is_one_and_names_no_folder_of_this_machine(site):
    pdf = (site / "data" / "gammagpt-smoke.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-") and pdf.rstrip().endswith(b"%%EOF")
    assert b"/Outlines" in pdf and b"file:" not in pdf
    assert not (site / "book" / editions.WHOLE).exists()
