"""Short stories for small children, from a grammar: text with far more freedom than `logic` has.

The kind of text is that of TinyStories (arXiv 2305.07759); words and program are our own. A story
is a plot of up to a dozen beats. A beat is one of several templates and is filled in from lists of
words. Who and what a story is about, its cast, is drawn once and stays the same.

The words are in stories.txt. In a template, `{a|b}` is one of the two, `$name` what the cast has
under that name, or else any word of the list with that name, and `?name` the same or nothing.
"""

import random
import re
from pathlib import Path

from ..project import whole

FORMAT = 1  # raise when a change here alters the stories of a seed
# What is drawn once for a story; every other list gives a new word each time.
CAST = ("grownup", "look", "toy", "at", "weather", "small", "animal", "fruit", "dish", "fear",
        "job", "part", "plant", "noise", "skill", "gift")  # fmt: skip
KEPT = 0.3  # the share of beats that may be left out and are not
PRONOUNS = {"girl": ("she", "her", "her"), "boy": ("he", "him", "his")}
SLOT = re.compile(r"\{([^{}]*)\}|(\$| ?\?)(\w+)")  # of nested braces the innermost
ARTICLE = re.compile(r"\b([Aa]) (?=[aeiou])")
START = re.compile(r"(?:^|(?<=[.!?] ))\"?[a-z]", re.MULTILINE)


def documents(count: int, seed: int) -> list[tuple[str, str]]:
    """(group, text) of `count` stories, each a group of its own; a larger count adds to the list.

    Raises UserError for a count below 1.
    """
    whole("count", count)
    return [(f"story {i}", _story(random.Random(f"story {seed} {i}"))) for i in range(count)]


def _story(rng) -> str:
    """A plot, a template of each beat, all words, and what English asks of "a" and of capitals."""
    beats = [beat for beat in rng.choice(_BEATS) if beat[-1] != "-" or rng.random() < KEPT]
    templates = [rng.choice([line for line in beat if line != "-"]) for beat in beats]
    text = _fill("\n".join(templates), _cast(rng), rng)
    text = ARTICLE.sub(r"\1n ", text)
    text = START.sub(lambda match: match[0].upper(), text)
    return text.replace("\n", " ")


def _cast(rng) -> dict[str, str]:
    """The words that stay the same in one story. Hero and friend have different names."""
    sex = rng.choice(list(PRONOUNS))
    cast = {name: _fill(f"${name}", {}, rng) for name in CAST}
    cast["place"] = cast["at"].split(" ", 1)[1]
    cast["fruits"] = cast["fruit"] + "s"
    cast["kind"] = rng.choice([sex, sex, rng.choice(WORDS["beast"])])
    cast["hero"] = rng.choice(WORDS[sex])
    others = [name for name in WORDS["girl"] + WORDS["boy"] if name != cast["hero"]]
    cast["friend"] = rng.choice(others)
    return cast | dict(zip(("he", "him", "his"), PRONOUNS[sex], strict=True))


def _fill(text: str, cast: dict[str, str], rng) -> str:
    """Fill in a template until nothing is left to choose."""
    last: dict[str, str] = {}

    def fill(match):
        choices, sign, name = match.groups()
        if choices is not None:
            return rng.choice(choices.split("|"))
        if sign != "$" and rng.random() < 0.5:
            return ""  # and no blank before it
        return sign[:-1] + (cast.get(name) or _draw(name, last, rng))

    filled = True
    while filled:
        text, filled = SLOT.subn(fill, text)
    return text


def _draw(name: str, last: dict[str, str], rng) -> str:
    """A word of a list, but not the one that it gave the last time."""
    word = rng.choice(WORDS[name])
    while word == last.get(name):
        word = rng.choice(WORDS[name])
    last[name] = word
    return word


def _paragraphs(text: str) -> list[list[str]]:
    return [part.splitlines() for part in text.strip().split("\n\n")]


def _lists() -> dict[str, list[str]]:
    lines = SECTIONS["words"].replace("\n    ", " ").strip().splitlines()
    return {name: words.split(", ") for name, words in (line.split(": ") for line in lines)}


def _sections() -> dict[str, str]:
    """What stories.txt holds, by the headings of its parts."""
    text = Path(__file__).with_name("stories.txt").read_text(encoding="utf-8")
    parts = [part.partition("\n") for part in text.removeprefix("== ").split("\n== ")]
    return {head: body for head, _, body in parts}


SECTIONS = _sections()
WORDS = _lists() | {name: beats for name, *beats in _paragraphs(SECTIONS["shared beats"])}
_BEATS = [_paragraphs(plot) for head, plot in SECTIONS.items() if head.startswith("plot")]
