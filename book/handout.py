"""Writes what the handout and the teacher's page take from the chapters and the ledger.

Pictures and tasks are those of the notebooks that ran, and effects those of the ledger, so that
neither page can disagree with the book.
"""

import html
import re
from pathlib import Path

import nbformat
from runner import tagged

from gammagpt.ledger.show import badge, effect
from gammagpt.project import UserError
from gammagpt.registry.exercises import all_exercises
from gammagpt.registry.quiz import tasks_in

# What a picture of the handout is asked, and where it comes from.
PICTURES = {
    "Which gamma is a fixed standard deviation?": ("01_gamma", "fig-std-dictionary"),
    "Does a smaller initialization train better?": ("02_gamma_scaling", "fig-answer"),
    "When along the training is the gain made?": ("02_gamma_scaling", "fig-curves"),
    "Can a learning rate take its place?": ("12_critical", "fig-critical-rates"),
    "Is reasoning learned before memory?": ("03_bias", "fig-tasks-gpt"),
    "Must a small initialization condense?": ("10_condensation", "fig-caution"),
}
TASKS = ("02.4", "02.6", "03.2", "05.4", "10.1", "11.1", "12.2")  # for paper; not the lecture's
EXPECTED = {  # the claims that a lesson meets
    "lecture": ("lower-loss", "lower-loss-gpt2", "lower-loss-scales", "lower-loss-lasts",
                "lower-loss-bias", "critical-loss"),
    "lab": ("first-emb", "first-gpt", "condense-first", "expand-later",
            "range-first", "label-law-first"),
    "project": ("lower-loss", "lower-loss-gpt2", "critical-price"),
}


def write_handout(staging: Path, verdicts) -> None:
    """Write the parts of book/handout.md and book/teaching.md into `<staging>/book/_generated/`."""
    chapters = notebooks_of(staging)
    pages = {
        "handout_pictures.md": pictures(chapters),
        "handout_tasks.md": "\n".join(task(chapters, name) for name in TASKS),
        "teaching_tasks.md": f"{table_of_tasks(chapters)}\n\n{numbers()}",
    } | {f"expected_{lesson}.md": expected(verdicts, names) for lesson, names in EXPECTED.items()}
    for name, text in pages.items():
        (staging / "book" / "_generated" / name).write_text(f"{text}\n", encoding="utf-8")


def notebooks_of(staging: Path) -> dict:
    """The notebooks that ran, by name."""
    paths = sorted((staging / "notebooks").glob("*.ipynb"))
    return {path.stem: nbformat.read(path, as_version=4) for path in paths}


def pictures(chapters) -> str:
    """The pictures that are there, each with what it is asked, what it shows and its source."""
    shown = [picture(chapters[name], name, anchor, asked)
             for asked, (name, anchor) in PICTURES.items() if name in chapters]
    inside = "\n".join(filter(None, shown)) or "<p>This tier makes none of these pictures.</p>"
    return f'```{{raw}} html\n<div class="handout-pictures">\n{inside}\n</div>\n```'


def picture(chapter, name: str, anchor: str, asked: str) -> str:
    """A figure of a chapter, its alt text put into words; nothing if the chapter lacks it."""
    found = figure_of(chapter, anchor)
    if not found:
        return ""
    images, caption = found
    seen = re.search(r'alt="([^"]*)"', images)[1]
    caption = re.sub(r"<strong>.*?</strong> |</?small>", "", caption)  # the question is its title
    link = f'<a href="../notebooks/{name}.html#{anchor}">Chapter {int(name[:2])}</a>'
    words = f"<strong>{html.escape(asked)}</strong><br>{seen}<br><small>{caption} {link}.</small>"
    return (f'<figure class="gg-figure" id="{anchor}">{images}<figcaption>{words}</figcaption>'
            "</figure>")


def figure_of(chapter, anchor: str) -> tuple[str, str] | None:
    """The pictures of a figure of a notebook that ran, and its caption; None if it is not there."""
    cells = chapter.cells if chapter else ()
    outputs = "".join(o.get("data", {}).get("text/html", "") for c in cells
                      for o in c.get("outputs", ()))
    found = re.search(f'<figure class="gg-figure" id="{anchor}">(.*?)<figcaption[^>]*>(.*?)'
                      "</figcaption>", outputs, re.DOTALL)
    return found.groups() if found else None


def tasks(chapter) -> dict[int, str]:
    """Number -> text of each task in a chapter's list of exercises."""
    return next((found for c in chapter.cells if (found := tasks_in(c.source))), {})


def task(chapters, name: str) -> str:
    """An item of the handout's list: a task by its name, "01.2", and where its solution is."""
    chapter = next((c for c in chapters if c.startswith(name[:2])), None)
    words = tasks(chapters[chapter]).get(int(name[3:])) if chapter else None
    if words is None:
        raise UserError(f"handout: got task {name!r}, allowed are those of the notebooks")
    return f"1. {words} ([{name}](../notebooks/{chapter}.ipynb))"


def table_of_tasks(chapters) -> str:
    """A row a chapter: its tasks, which of them a cell checks, and how long which of them train."""
    head = "Exercises (✓: a cell checks the answer; min: it trains so long, on two cores)"
    lines = [f"| Chapter | {head} |", "|---|---|"]
    for name, chapter in chapters.items():
        checks = {found for cell in chapter.cells if tagged(cell, "exercise")
                  for found in re.findall(r'check\("\d+\.(\d+)"', cell.source)}
        titles = [f"{number} {title(words)}" + " ✓" * (str(number) in checks) + minutes(words)
                  for number, words in tasks(chapter).items()]
        link = f"{int(name[:2])}. [](../notebooks/{name}.ipynb)"
        lines.append(f"| {link} | {'; '.join(titles)} |")
    return "\n".join(lines)


def numbers() -> str:
    """The answers that are no functions, folded; those that hang on a page's runs are not here."""
    keys = {name: exercise.key() for name, exercise in all_exercises().items()}
    found = [f"{name}: {key}" for name, key in keys.items() if key is not None]
    return ("```{admonition} The key: answers that are numbers, choices or sets\n"
            ":class: dropdown\n\n"
            f"{'; '.join(found)}.\n```")


def title(words: str) -> str:
    """A task's own, without its full stop: '**Two hills.** Leave ...'."""
    return re.match(r"\*\*(.+?)[.?]?\*\*", words)[1]


def minutes(words: str) -> str:
    """' (2 min)' of a task that trains so long (efforts.py)."""
    found = re.search(r"about (\d+) minutes? on", words)
    spared = ", if run" * ("(If you run it" in words)
    return f" ({found[1]} min{spared})" if found else ""


def expected(verdicts, names) -> str:
    """What the ledger says at this tier of the claims that a lesson meets."""
    found = {verdict.claim.id: verdict for verdict in verdicts}
    if lost := [name for name in names if name not in found]:
        raise UserError(f"handout: got claim {lost[0]!r}, allowed are the ids of claims/")
    lines = ["| Claim | Effect (95 % interval) | Unit | Verdict |", "|---|---|---|---|"]
    for v in map(found.get, names):
        lines.append(f"| [{v.claim.title}](claim-{v.claim.id}) | {effect(v)} | {v.claim.unit} | "
                     f"{badge(v)} |")
    return "\n".join(lines)
