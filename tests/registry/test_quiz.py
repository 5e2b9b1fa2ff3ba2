"""The exercises as a quiz and as assignments: what is right is right there too.

What other programs make of these files, tests/importers.py asks, with those programs at hand.
"""

import contextlib
import io
import json
import re
import zipfile
from xml.etree import ElementTree

import pytest
from helpers import refusal

from gammagpt.ledger.exercise_kinds import Choice, Function, Number, Several, close
from gammagpt.registry.exercises import all_exercises, check, find
from gammagpt.registry.grading import write_course
from gammagpt.registry.quiz import Option, Question, gift, plain, qti, qti_item, questions

FOUND = {question.name: question for question in questions()}
SPACE = {"q": "http://www.imsglobal.org/xsd/imsqti_v2p1"}
ODD = Question("01.1", "Is {this} ~ #1: a = b?", "So \\ {x = 1} & <2> ~3:", (
    Option("x = {1}", True, "Right."), Option("#2~", False, "No: <b>not</b> = & \\n that."),
))


def test_every_exercise_that_needs_no_runs_and_has_an_answer_to_show_is_asked():
    left_out = [name for name, e in all_exercises().items() if name not in FOUND and not e.needs]
    assert [type(find(name)).__name__ for name in left_out] == ["Law"]  # many are right
    assert questions(["1", 12]) == [q for n, q in FOUND.items() if n[:2] in ("01", "12")]
    assert "allowed are 01, 02" in refusal(questions, ["99"])


@pytest.mark.parametrize("name", FOUND)
def test_one_option_is_right_by_the_check_and_the_others_are_wrong(name):
    exercise, question = find(name), FOUND[name]
    texts = [option.text for option in question.options]
    assert 3 <= len(texts) == len({*texts}) <= 4
    assert [option.right for option in question.options].count(True) == 1
    for option in question.options:
        assert option.right == judged(exercise, name, option.text), option.text
        assert len(option.hint) > 5


def judged(exercise, name: str, text: str) -> bool:
    """Whether an option is right: by the check itself, or for a function by its value."""
    value = text if isinstance(exercise, Choice) else numbers(text)
    if isinstance(exercise, Function):
        given = dict(re.findall(r"(\w+) = (\(.*?\)|.+?)(?=, \w+ =|\.$)",
                                FOUND[name].text.rpartition(" For ")[2]))
        given = {key: numbers(shown) for key, shown in given.items()}
        return close(value, exercise.right(**given), 0.002)
    if isinstance(exercise, Several):
        value = {*value} if isinstance(value, tuple) else {value}
    return check(name, value).state == "right"


def numbers(text: str):
    """A number, or a tuple of them, as an option shows it."""
    parts = [float(part.replace(",", "")) for part in re.findall(r"-?[\d.][\d,.e+-]*", text)]
    return parts[0] if len(parts) == 1 and "(" not in text else tuple(parts)


def test_named_mistakes_come_with_their_own_hints_and_before_the_slips():
    hints = {option.text: option.hint for option in FOUND["01.2"].options}
    assert "That is the variance" in hints["5.034e-06"] and "gamma = 1/2" in hints["0.0221"]
    for name, exercise in all_exercises().items():
        if isinstance(exercise, Number) and name in FOUND:
            told = {option.hint for option in FOUND[name].options}
            assert {hint for _, hint in exercise.mistakes()} & told or not exercise.traps


def test_texts_are_plain(tmp_path):
    assert plain("**At** $\\gamma = 1$, $d^{-\\gamma}$, `x` of [this](there)") \
        == "At γ = 1, d^(−γ), x of this"
    wrong = [q.text for q in FOUND.values() if re.search(r"[$`\\]|\*\*|\]\(", q.text + q.title)]
    assert wrong == []


def test_in_gift_what_the_format_reads_itself_is_escaped():
    text = gift([ODD])
    assert "::01.1 Is \\{this\\} \\~ \\#1\\: a \\= b?::[plain]So \\\\ \\{x \\= 1\\}" in text
    lines = [re.sub(r"\\.", "", line) for line in text.splitlines()]
    assert lines[1].endswith("{") and lines[4] == "}"
    assert [line[:2] for line in lines[2:4]] == ["\t=", "\t~"]
    assert all(line.count("#") == 1 for line in lines[2:4])


def test_a_qti_item_scores_the_right_option_and_has_a_word_for_each():
    item = ElementTree.fromstring(qti_item(ODD))
    chosen = {c.get("identifier"): c.text for c in item.iterfind(".//q:simpleChoice", SPACE)}
    right = item.find(".//q:correctResponse/q:value", SPACE).text
    assert chosen[right] == "x = {1}" and item.get("title") == "01.1 Is {this} ~ #1: a = b?"
    told = {f.get("identifier"): f.text for f in item.iterfind("q:modalFeedback", SPACE)}
    assert told.keys() == chosen.keys() and told[right] == "Right."


def test_the_package_names_every_item_and_is_the_same_each_time():
    found = questions([1])
    with zipfile.ZipFile(io.BytesIO(qti(found))) as file:
        manifest = ElementTree.fromstring(file.read("imsmanifest.xml"))
        named = [r.get("href") for r in manifest.iter() if r.tag.endswith("}resource")]
        assert sorted(named) == sorted({*file.namelist()} - {"imsmanifest.xml"})
        assert len(named) == len(found)
    assert qti(found) == qti(questions([1]))


# ---- assignments ---------------------------------------------------------------------------------

REGION = re.compile(r"### BEGIN (SOLUTION|HIDDEN TESTS)\n.*?### END \1", re.DOTALL)


def sources(path, kind: str) -> list[str]:
    """Of the cells with a mark of nbgrader's."""
    cells = json.loads(path.read_text())["cells"]
    return [c["source"] for c in cells if c["metadata"]["nbgrader"][kind]]


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teach") / "course"
    return folder, write_course(folder)


def test_the_copy_with_solutions_passes_all_hidden_tests_and_the_students_copy_none(course):
    _, paths = course
    assert len(paths) == len({name[:2] for name in all_exercises()})
    for path in paths:
        answers, tests = sources(path, "solution"), sources(path, "grade")
        assert len(answers) == len(tests) >= 2
        for answer, test in zip(answers, tests, strict=True):
            with contextlib.redirect_stdout(io.StringIO()):
                exec(f"{answer}\n{test}", {})
                with pytest.raises(AssertionError, match="not answered yet"):
                    exec(f"{REGION.sub('', answer)}\n{test}", {})
            blank = REGION.sub("", answer + test)
            assert "answer()" not in blank and "assert" not in blank and "..." in blank


def test_marks_are_those_that_nbgrader_asks_for(course):
    _, paths = course
    for path in paths:
        cells = json.loads(path.read_text())["cells"]
        marks = [cell["metadata"]["nbgrader"] for cell in cells]
        assert len({mark["grade_id"] for mark in marks}) == len(marks)
        assert all(mark["locked"] and mark["points"] == 1 for mark in marks if mark["grade"])
        assert not any(mark["grade"] and mark["solution"] for mark in marks)
        assert all((c["cell_type"] == "code") == ("outputs" in c) for c in cells)


def test_a_course_that_is_there_is_not_written_over(course):
    folder, _ = course
    assert "has a course already" in refusal(write_course, folder)
    assert "allowed are 01" in refusal(write_course, folder / "new", ["77"])
