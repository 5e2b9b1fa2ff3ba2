"""Runs the notebooks of a tier, then renders the book from the copies that ran.

    python book/build.py --tier night                the whole book (make book)
    python book/build.py --tier smoke --only-run     only the notebooks (make smoke)

    notebooks/*.ipynb --papermill--> _build/stage/<tier>/ --jupyter-book--> _build/<tier>/

Every page comes from a notebook that ran a moment ago, in a folder that starts out empty, so no
page can be stale.
"""

# ruff: noqa: E402  -- imports take seconds, in which one may have thought better of it
import os
import signal
import sys


def stop(*_) -> None:
    """One line, and at once: the kernels end when this process does."""
    words = "stopped: finished runs are kept; the same command goes on from here"
    print(words, file=sys.stderr, flush=True)
    os._exit(130)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)  # a kill is a Ctrl-C

import argparse
import hashlib
import re
import shutil
import subprocess
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import nbformat
from about import write_about
from agents import write_agents
from chapters import write_costs
from downloads import write_downloads
from efforts import write_efforts
from explorer import train_runs, write_explorer
from generated import write_generated
from handout import notebooks_of, write_handout
from needs import write_needs
from play_gpt import write_play_gpt
from polish import MOST_OF_A_SITE, mend, site_size
from provenance import link_figures
from runner import alone, build_folder, empty_folder, run_notebooks, staging_folder
from samples import write_samples
from slides import write_slides

from gammagpt import project
from gammagpt.project import UserError

# MathJax 3.2.2 comes out of a package on PyPI; these are the sums of the files that the MathJax
# project itself published, the fonts one after another in order of their names.
MATHJAX_PACKAGE = "sphinx-mathjax-offline"
MATHJAX_SCRIPT = "tex-mml-chtml.js"
MATHJAX_SCRIPT_SHA256 = "300480069078b5892d2363a2b65e2dfbbf30fe5c80f83edbfecf4610fd093862"
MATHJAX_FONTS_SHA256 = "142f8a69d97768d841847e71af896961da33ffa0a500fe6b950c7f31c6334a92"

HEAVY_RECORD = 4_000  # bytes


def main() -> int:
    """The command line. Returns the exit code: 1 if a notebook failed, 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tier", default=project.PAGES, choices=project.TIERS)
    parser.add_argument("--only-run", action="store_true", help="run the notebooks, render nothing")
    parser.add_argument("--downloads", action="store_true", help="also a PDF and an EPUB")
    parser.add_argument("--fresh", action="store_true", help="train every run again")
    parser.add_argument("--jobs", type=int, default=0, help="notebooks at once (0: one a core)")
    parser.add_argument("notebooks", nargs="*", help="with --only-run: these, and not all")
    options = parser.parse_args()
    for sent in (signal.SIGINT, signal.SIGTERM):  # from now on there is something to clear up
        signal.signal(sent, signal.default_int_handler)
    try:
        with alone(options.tier), fresh_results(options.tier, options.fresh):
            if run_notebooks(options.tier, options.notebooks, at_once=options.jobs):
                return 1
            if not options.only_run:
                build(options.tier, options.downloads)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        stop()
    return 0


@contextmanager
def fresh_results(tier: str, fresh: bool):
    """Train in a results folder of its own, so that the committed records stay as they are.

    An interrupted fresh build goes on where it stopped; a finished one starts anew.
    """
    folder = build_folder() / f"fresh-results-{tier}"
    if fresh:
        if (folder / "finished").exists():
            shutil.rmtree(folder)
        project.writable("build", folder)
        os.environ["GAMMAGPT_RESULTS"] = str(folder)
    yield
    if fresh:
        (folder / "finished").touch()


def build(tier: str, books: bool = False) -> Path:
    """Render the book from the notebooks that ran. Returns the path of its first page."""
    index = render(stage(tier, books), build_folder() / tier)
    link_figures(index.parent, tier)
    write_agents(index.parent)  # last: it reads the pages as they are
    if (size := site_size(index.parent)) > MOST_OF_A_SITE:
        print(f"warning: site: {size / 1e6:.1f} MB, it should have at most "
              f"{MOST_OF_A_SITE / 1e6:.0f} MB", file=sys.stderr)
    if books:  # they come on top of a site's size
        from editions import make_editions  # with a browser, which a plain site does without

        make_editions(index.parent, tier)
    print(f"The book, {size / 1e6:.1f} MB: {index}", flush=True)
    return index


def stage(tier: str, books: bool = False) -> Path:
    """Lay out the book's sources around the notebooks that ran. Returns the staging folder."""
    staging = staging_folder(tier)
    for item in staging.iterdir():
        if item.name != "notebooks":
            shutil.rmtree(item) if item.is_dir() else item.unlink()
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(project.root() / name, staging)
    no_code = shutil.ignore_patterns("*.py", "__pycache__", "slides")
    shutil.copytree(project.root() / "book", staging / "book", ignore=no_code)
    for extension in ("terms.py", "plain.py"):
        shutil.copy(project.root() / "book" / extension, staging / "book")
    vendor_mathjax(staging / "vendor" / "mathjax")
    train_runs(tier)
    copy_records(tier, staging / "extra" / "records" / tier)
    found = write_generated(staging, tier)  # what pages say of verdicts and records
    write_about(staging, tier, found)
    write_costs(staging, tier)  # under each chapter's title
    write_efforts(staging, tier)  # behind each exercise that trains
    write_handout(staging, found)
    write_slides(staging, notebooks_of(staging), found)
    write_samples(staging)  # what two initializations wrote
    write_needs(staging)  # what a class needs for each notebook
    write_explorer(staging, tier)  # the numbers behind the page to play with
    write_play_gpt(staging)  # the text that a GPT is trained on in the page
    write_downloads(staging, tier, found, books)
    return staging


def render(staging: Path, output: Path) -> Path:
    """Jupyter Book from a staging folder, from nothing; a warning is an error."""
    empty_folder(output)
    jupyter_book = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    strict = ["-n", "-W", "--keep-going", "-q"]  # -n: also for links that point nowhere
    command = [*jupyter_book, "build", str(staging), "--path-output", str(output), *strict]
    # warnings are on stderr; a session of its own, so that Ctrl-C ends it by us, in silence
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    if result.returncode:
        raise SystemExit(f"{result.stdout}\nThe book was not built: see the warnings above.")
    drop_font_hints(output / "_build" / "html")
    drop_ballast(output / "_build" / "html")
    strip_downloads(output / "_build" / "html")
    mend(output / "_build" / "html")
    return output / "_build" / "html" / "index.html"


def drop_font_hints(site: Path) -> None:
    """Remove the theme's requests for early fonts: from file:// a browser refuses them, loudly.

    The style sheets load the same fonts without a complaint.
    """
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        text = re.sub(r'<link rel="preload" as="font"[^>]*>\s*', "", text)
        page.write_text(text, encoding="utf-8")


def drop_ballast(site: Path) -> None:
    """Remove 4 MB that no page needs: source maps, translations, and icons twice over.

    The theme draws an icon by a font; a script of 1.5 MB, which then replaces it by a drawing that
    looks the same, is left out of every page. Browsers that want fonts as TTF are ten years old.
    """
    for file in [*site.rglob("*.map"), *(site / "_static").rglob("*.ttf")]:
        file.unlink()
    for folder in ("locales", "vendor/fontawesome/6.5.2/js"):
        shutil.rmtree(site / "_static" / folder, ignore_errors=True)
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        text = re.sub(r'<script src="[^"]*/fontawesome/[^"]*"></script>\s*', "", text)
        page.write_text(text, encoding="utf-8")


def strip_downloads(site: Path) -> None:
    """The notebooks behind the download buttons come without outputs, as they are in git.

    The pages have all pictures already: a second copy would be a quarter of the site.
    """
    for path in (site / "_sources").rglob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, path)


def copy_records(tier: str, destination: Path) -> None:
    """The run records go into the site, so that the ledger can link to its evidence.

    Those that hold spectra or the loss of every token would be half of all: they are in the bundle
    alone (downloads.py), to which provenance.py then leads their links. It also takes those out
    again to which nothing links.
    """
    destination.mkdir(parents=True)
    for record in project.results_folder(tier).glob("*.json"):
        if record.stat().st_size <= HEAVY_RECORD:
            shutil.copy(record, destination)


def vendor_mathjax(destination: Path) -> None:
    """Put MathJax's script and fonts, 1.6 MB, where the pages find them without a network."""
    script, fonts = mathjax_files()
    verify_sha256(MATHJAX_SCRIPT, [script], MATHJAX_SCRIPT_SHA256)
    verify_sha256("MathJax fonts", fonts, MATHJAX_FONTS_SHA256)
    font_folder = destination / "output" / "chtml" / "fonts" / "woff-v2"  # where the script looks
    font_folder.mkdir(parents=True)
    shutil.copy(script, destination)
    for font in fonts:
        shutil.copy(font, font_folder)


def mathjax_files() -> tuple[Path, list[Path]]:
    """The script and the fonts, in order of their names, in the installed package."""
    try:
        files = distribution(MATHJAX_PACKAGE).files or []
    except PackageNotFoundError:
        raise UserError(f"{MATHJAX_PACKAGE} is not installed: run `make setup`") from None
    scripts = [Path(file.locate()) for file in files if file.name == MATHJAX_SCRIPT]
    fonts = [Path(file.locate()) for file in files if file.suffix == ".woff"]
    if len(scripts) != 1:
        raise UserError(f"{MATHJAX_PACKAGE}: expected one {MATHJAX_SCRIPT}, found {len(scripts)}")
    return scripts[0], sorted(fonts, key=lambda font: font.name)


def verify_sha256(name: str, files: list[Path], expected: str) -> None:
    found = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    if found != expected:
        raise UserError(f"{name}: SHA-256 is {found}, expected {expected} ({MATHJAX_PACKAGE})")


if __name__ == "__main__":
    sys.exit(main())
