"""The quiz in the hands of the programs that it is for; not part of `make test`, they are many MB.

    pip install nbgrader lxml; npm pack gift-pegjs; git clone https://github.com/oat-sa/qti-sdk
    python tests/importers.py --gift package/pegjs-gift.js \\
        --qti qti-sdk/src/qtism/data/storage/xml/schemes

GIFT: a parser of the format must find our questions, each with one right answer. QTI: every item
and the manifest must fit the schema of its publisher. nbgrader: of each chapter the copy for
students must hold no solution, must fail as it is, and the copy with solutions must get all points.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PARSE = """const found = require(process.argv[1]).parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(found));"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gift", metavar="FILE", help="gift-pegjs's pegjs-gift.js")
    parser.add_argument("--qti", metavar="FOLDER", help="with qtiv2p1/imsqti_v2p1.xsd")
    parser.add_argument("--nbgrader", nargs="*", metavar="CHAPTER", help="these, or all")
    options = parser.parse_args()
    if options.gift:
        check_gift(options.gift)
    if options.qti:
        check_qti(Path(options.qti))
    if options.nbgrader is not None:
        check_nbgrader(options.nbgrader)


def quiz(*arguments) -> str:
    command = [sys.executable, "-m", "gammagpt", "quiz", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def check_gift(program: str) -> None:
    """What the parser finds is what we have written, word for word."""
    ours = json.loads(quiz("--json"))
    command = ["node", "-e", PARSE, str(Path(program).resolve())]
    found = json.loads(subprocess.run(command, input=quiz(), check=True, capture_output=True,
                                      text=True).stdout)
    for theirs, question in zip(found, ours, strict=True):
        assert theirs["type"] == "MC" and theirs["stem"]["text"] == question["text"]
        options = [(c["text"]["text"], c["isCorrect"], c["feedback"]["text"])
                   for c in theirs["choices"]]
        assert options == [(o["text"], o["right"], o["hint"]) for o in question["options"]]
    print(f"GIFT: {len(found)} questions, as written")


def check_qti(folder: Path) -> None:
    """Every file of the package fits the schema of what it is."""
    from lxml import etree

    item = etree.XMLSchema(etree.parse(folder / "qtiv2p1" / "imsqti_v2p1.xsd"))
    package = etree.XMLSchema(etree.parse(folder / "imscp_v1p1.xsd"))
    with tempfile.TemporaryDirectory() as place:
        quiz("--format", "qti", "--out", f"{place}/quiz.zip")
        with zipfile.ZipFile(f"{place}/quiz.zip") as file:
            for name in file.namelist():
                schema = package if name == "imsmanifest.xml" else item
                schema.assertValid(etree.fromstring(file.read(name)))
            print(f"QTI: {len(file.namelist())} files fit their schemas")


def check_nbgrader(chapters) -> None:
    """Two students: one hands the copy in as it is, one the copy with solutions."""
    from nbgrader.api import Gradebook

    chosen = [word for chapter in chapters for word in ("--chapter", chapter)]
    with tempfile.TemporaryDirectory() as place:
        course = Path(place, "course")
        quiz("--format", "nbgrader", "--out", course, *chosen)
        for source in sorted((course / "source").iterdir()):
            grader(course, "generate_assignment", source.name)
            blank = course / "release" / source.name
            assert "SOLUTION" not in (blank / f"{source.name}.ipynb").read_text()
            for student, copy in (("blank", blank), ("solved", source)):
                shutil.copytree(copy, course / "submitted" / student / source.name)
            grader(course, "autograde", source.name)
            grader(course, "generate_feedback", source.name)
            with Gradebook(f"sqlite:///{course}/gradebook.db") as book:
                scores = {student: book.find_submission(source.name, student).score
                          for student in ("blank", "solved")}
                most = book.find_assignment(source.name).max_score
            assert scores == {"blank": 0, "solved": most} and most >= 1, (source.name, scores)
            print(f"nbgrader: {source.name}: {most:g} points", flush=True)


def grader(course: Path, *words) -> None:
    command = [sys.executable, "-m", "nbgrader", *words]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it calls alembic
    found = subprocess.run(command, cwd=course, env={**os.environ, "PATH": path},
                           capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


if __name__ == "__main__":
    main()
