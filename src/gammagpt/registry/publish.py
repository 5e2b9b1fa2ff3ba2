"""The exercises as files for a learning platform, in one of three formats."""

from dataclasses import asdict
from pathlib import Path

from ..project import UserError
from .grading import write_course
from .quiz import gift, qti, questions

DEFAULT = {"qti": "quiz.zip", "nbgrader": "course"}


def publish(form: str, chapters, out: str | None) -> tuple[list, str]:
    """Write the exercises of some chapters (of all, if none is named); what was written, and words.

    GIFT without `out` is the words themselves. Raises UserError for an unknown chapter, or a path
    that cannot be written.
    """
    path = out or DEFAULT.get(form)
    try:
        if form == "nbgrader":
            files = [str(file) for file in write_course(Path(path), chapters)]
            return files, f"{path}: {len(files)} assignments; next: nbgrader generate_assignment"
        found = questions(chapters)
        rows = [asdict(question) for question in found]
        content = gift(found).encode() if form == "gift" else qti(found)
        if path is None:
            return rows, content.decode().rstrip()
        Path(path).write_bytes(content)
    except OSError as error:
        raise UserError(f"--out: {path} cannot be written ({error.strerror})") from None
    return rows, f"{path}: {len(found)} questions"
