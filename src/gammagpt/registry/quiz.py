"""The exercises as quiz questions, for a learning platform: GIFT (Moodle) and QTI 2.1 (the others).

A question is one right answer among the mistakes that its check knows, each with its hint. Where a
function is wanted, its value at some numbers is asked. What needs a page's runs is left out.
"""

import io
import json
import random
import re
import zipfile
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from ..ledger.exercise_kinds import Choice, Exercise, Function, Number, Several
from ..project import UserError, root
from .exercises import all_exercises

OPTIONS = 4  # of a question; what the named mistakes leave open, common slips fill
SLIPS = (10, 0.1, 2, 0.5)  # times the right number
LETTERS = {"cdot": "·", "times": "×", "sqrt": "√", "gamma": "γ", "varepsilon": "ε", "rho": "ρ",
           "Delta": "Δ", "eta": "η", "sigma": "σ", "theta": "θ", "pi": "π"}
QTI = "http://www.imsglobal.org/xsd/imsqti_v2p1"


@dataclass(frozen=True)
class Option:
    """An answer to choose, and what is said to who chooses it."""

    text: str
    right: bool
    hint: str


@dataclass(frozen=True)
class Question:
    """Of an exercise "01.2": its title, its text and its options, exactly one of which is right."""

    name: str
    title: str
    text: str
    options: tuple[Option, ...]


def questions(chapters=()) -> list[Question]:
    """A question of every exercise that can be asked without its page, of all or some chapters.

    `chapters` are numbers like 1 or "01". Raises UserError for one that has no exercises.
    """
    exercises, cells = all_exercises(), exercise_cells()
    known = sorted({name[:2] for name in exercises})
    chosen = [f"{number:0>2}" for number in chapters] or known
    if unknown := [number for number in chosen if number not in known]:
        raise UserError(f"chapter: got {unknown[0]!r}, allowed are {', '.join(known)}")
    found = [_question(name, exercise, cells[name]) for name, exercise in exercises.items()
             if name[:2] in chosen]
    return [question for question in found if question]


def exercise_cells() -> dict[str, tuple[str, str]]:
    """{"01.2": (the task in its chapter's list, the source of its cell)}."""
    found = {}
    for path in sorted((root() / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        listed = next((tasks for c in cells if (tasks := tasks_in("".join(c["source"])))), {})
        for cell in cells:
            source = "".join(cell["source"])
            if "exercise" in cell["metadata"].get("tags", ()):
                name = re.search(r'check\("([^"]+)"', source)[1]
                found[name] = (listed[int(name[3:])], source)
    return found


def tasks_in(text: str) -> dict[int, str]:
    """Number -> words of each task in a chapter's list of exercises; none where there is no list"""
    listed = text.partition("## Exercises")[2].partition("<details>")[0]
    return {int(number): words for number, words in re.findall(r"^(\d+)\. (.+)$", listed, re.M)}


def _question(name: str, exercise: Exercise, cell: tuple[str, str]) -> Question | None:
    task, source = cell
    if exercise.needs or not isinstance(exercise, Choice | Function | Number | Several):
        return None
    title, words = re.match(r"\*\*(.+?)[.?]?\*\*\s*(.*)", task).groups()
    asked, (right, wrong) = re.search(r"\.\.\.\s*# (.+)", source), _answers(exercise)
    if right is None:
        return None
    lines = [plain(words)]
    if asked and not isinstance(exercise, Choice):
        lines.append(f"Asked here: {plain(asked[1])}.")
    if isinstance(exercise, Function):
        given = ", ".join(f"{n} = {_shown(v)}" for n, v in _inputs(exercise).items())
        lines.append(f"For {given}.")
    options = [Option(right, True, "Right."), *(Option(text, False, hint) for text, hint in wrong)]
    random.Random(name).shuffle(options)
    return Question(name, plain(title), " ".join(lines), tuple(options))


def _answers(exercise: Exercise):
    """The right answer as text, and wrong ones, each with its hint; (None, []) if it has no text"""
    if isinstance(exercise, Function):
        given = _inputs(exercise)
        right = exercise.right(**given)
        traps = [(wrong(**given), hint) for wrong, hint in exercise.traps]
    else:
        right, traps = exercise.answer(), exercise.mistakes()
    if not isinstance(exercise, Choice):
        traps += [(slip, exercise.hint or "Work it out once more.") for slip in _slips(right)]
    wrong = {}
    for answer, hint in traps:
        text = _shown(answer)
        if text != _shown(right) and len(wrong) < OPTIONS - 1:
            wrong.setdefault(text, hint)
    return _shown(right), list(wrong.items())


def _inputs(exercise: Function) -> dict:
    """Numbers for a function, rounded as the question shows them."""
    return {name: _rounded(value) for name, value in exercise.tries()[0].items()}


def _slips(right) -> list:
    """Wrong answers that anybody could give: another power of ten, a factor of two, one too many"""
    if isinstance(right, set):
        most = max(right)
        return [right - {most}, right | {most + 1}, {n + 1 for n in right}]
    if isinstance(right, tuple):
        return [tuple(reversed(right)), *(tuple(f * x for x in right) for f in SLIPS)]
    return [factor * right for factor in SLIPS] if right else [1, -1, 0.5]


def _rounded(value):
    """To four digits, as it is shown; the parts of a list one by one."""
    if isinstance(value, list | tuple):
        return type(value)(map(_rounded, value))
    return type(value)(float(f"{value:.4g}"))


def _shown(value) -> str:
    if isinstance(value, set):
        return ", ".join(map(_shown, sorted(value)))
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_shown, value))})"
    if isinstance(value, str):
        return value
    text = f"{0 if abs(value) < 1e-12 else value:.4g}"
    return f"{float(text):,.0f}" if "e+0" in text else text


def plain(text: str) -> str:
    """A task without Markdown and TeX, so that every platform shows it alike."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\$([^$]+)\$", lambda formula: _plain_formula(formula[1]), text)
    text = re.sub(r"\*{1,2}([^*]+)\*{1,2}", r"\1", text).replace("`", "")
    return " ".join(text.split())


def _plain_formula(tex: str) -> str:
    tex = re.sub(r"\\(?:mathrm|text)\{([^{}]*)\}", r"\1", tex)
    tex = re.sub(r"\\([a-zA-Z]+)", lambda word: LETTERS.get(word[1], word[1]), tex)
    tex = re.sub(r"\\[,;!:]", " ", tex).replace("\\", "")
    tex = re.sub(r"\{([^{}]*)\}", lambda group: group[1] if len(group[1]) < 2 else f"({group[1]})",
                 tex)
    return tex.replace("-", "\u2212")


# ---- GIFT ----------------------------------------------------------------------------------------


def gift(found: list[Question]) -> str:
    """A file for Moodle: docs.moodle.org/en/GIFT_format."""
    head = "// Exercises of gammagpt: one right answer each; wrong ones say what went wrong.\n"
    return head + "\n".join(map(_gift, found))


def _gift(question: Question) -> str:
    lines = [f"\t{'=' if o.right else '~'}{_gift_text(o.text)}#{_gift_text(o.hint)}"
             for o in question.options]
    title = _gift_text(f"{question.name} {question.title}")
    return "\n".join([f"::{title}::[plain]{_gift_text(question.text)} {{", *lines, "}\n"])


def _gift_text(text: str) -> str:
    return re.sub(r"([\\~=#{}:])", r"\\\1", text)


# ---- QTI -----------------------------------------------------------------------------------------


def qti(found: list[Question]) -> bytes:
    """A package for platforms that read QTI 2.1: an item a question, and a manifest, as a zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        names = {question.name: f"item-{question.name}.xml" for question in found}
        content = {"imsmanifest.xml": _manifest(names)}
        content |= {names[question.name]: qti_item(question) for question in found}
        for name, text in content.items():
            file.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text)
    return packed.getvalue()


def qti_item(question: Question) -> str:
    """One item: a choice, one right answer, and a modal feedback for each option."""
    names = [f"option{number}" for number in range(1, len(question.options) + 1)]
    right = next(n for n, o in zip(names, question.options, strict=True) if o.right)
    pairs = list(zip(names, question.options, strict=True))
    choices = "".join(f'<simpleChoice identifier="{n}">{escape(o.text)}</simpleChoice>'
                      for n, o in pairs)
    hints = "".join(
        f'<modalFeedback outcomeIdentifier="FEEDBACK" identifier="{n}" showHide="show">'
        f"{escape(o.hint)}</modalFeedback>" for n, o in pairs
    )
    title = quoteattr(f"{question.name} {question.title}")
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<assessmentItem xmlns="{QTI}" identifier="gammagpt-{question.name}" title={title} adaptive="false" \
timeDependent="false">
<responseDeclaration identifier="RESPONSE" cardinality="single" baseType="identifier">
<correctResponse><value>{right}</value></correctResponse></responseDeclaration>
<outcomeDeclaration identifier="SCORE" cardinality="single" baseType="float">
<defaultValue><value>0</value></defaultValue></outcomeDeclaration>
<outcomeDeclaration identifier="FEEDBACK" cardinality="single" baseType="identifier"/>
<itemBody><choiceInteraction responseIdentifier="RESPONSE" shuffle="true" maxChoices="1">
<prompt>{escape(question.text)}</prompt>{choices}</choiceInteraction></itemBody>
<responseProcessing><responseCondition><responseIf><match><variable identifier="RESPONSE"/>
<correct identifier="RESPONSE"/></match><setOutcomeValue identifier="SCORE">
<baseValue baseType="float">1</baseValue></setOutcomeValue></responseIf></responseCondition>
<setOutcomeValue identifier="FEEDBACK"><variable identifier="RESPONSE"/></setOutcomeValue>
</responseProcessing>
{hints}</assessmentItem>
"""


def _manifest(names: dict[str, str]) -> str:
    resources = "".join(
        f'<resource identifier="item-{name}" type="imsqti_item_xmlv2p1" href="{file}">'
        f'<file href="{file}"/></resource>' for name, file in names.items()
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<manifest xmlns="http://www.imsglobal.org/xsd/imscp_v1p1" identifier="gammagpt-quiz">
<metadata><schema>QTIv2.1 Package</schema><schemaversion>1.0.0</schemaversion></metadata>
<organizations/><resources>{resources}</resources></manifest>
"""
