"""Facts to remember: made-up people, where they live, what they do, their pets and their drinks.

Nothing follows from anything: what a person has is drawn once, at random, and only whoever has
read it can know. The 5,000 documents tell of the same people over and over, each in an order and
in wordings of its own.

    Nalo lives in Fern. His job is that of a baker. He keeps a goat.
"""

import random
from dataclasses import dataclass
from itertools import product

from ..project import whole

FORMAT = 1  # raise when a change here alters the documents of a seed
PEOPLE = 64
TOLD = 3  # facts a document
FIRST = str.split("Ba Che Do Fi Ga Hu Jo Ki La Mo Na Pe Ro Su Ti Va")
LAST = str.split("bo dan ki lo mi nu ra son ti vel")
VALUES = {
    "town": str.split("""
        Ashby Brook Clay Dover Elm Fern Glen Hill Kent Lake Marsh North Oak Port Stone Wells
    """),
    "job": str.split("""
        baker clerk cook doctor driver farmer judge miner nurse painter potter sailor singer tailor
        teacher writer
    """),
    "pet": str.split("""
        bird cat cow crab dog duck fox frog goat hen horse mouse pig pony rat snail
    """),
    "drink": str.split("""
        ale beer broth cider cocoa coffee cola juice milk mint mead punch rum tea water wine
    """),
}
# Ways to tell a fact, the value last; of whom, and whose.
WORDINGS = {
    "town": ("{0} lives in {2}", "{1} home is in {2}", "{0} has a house in {2}"),
    "job": ("{0} works as a {2}", "{1} job is that of a {2}", "{0} earns money as a {2}"),
    "pet": ("{0} keeps a {2}", "{1} pet is a {2}", "{0} walks with a {2}"),
    "drink": ("{0} likes {2}", "{1} drink is {2}", "{0} asks for {2}"),
}
PRONOUNS = (("She", "Her"), ("He", "His"))


@dataclass(frozen=True)
class Person:
    name: str
    pronoun: tuple[str, str]  # "She", "Her"
    facts: dict[str, str]  # what: which


def people(seed: int) -> list[Person]:
    """The table of a seed: PEOPLE people with different names."""
    rng = random.Random(f"people {seed}")
    names = rng.sample(["".join(pair) for pair in product(FIRST, LAST)], PEOPLE)
    return [
        Person(name, rng.choice(PRONOUNS), {what: rng.choice(VALUES[what]) for what in VALUES})
        for name in names
    ]


def documents(count: int, seed: int) -> list[tuple[str, str]]:
    """(group, text) of `count` documents, of anybody; the same text is the same group.

    So whatever is told on the other side of a split is told there in other words or another order.
    A larger count adds documents to the same list.
    Raises UserError for a count below 1.
    """
    whole("count", count)
    table = people(seed)
    told = [_told(table, random.Random(f"facts {seed} {i}")) for i in range(count)]
    return [(text, text) for text in told]


def questions(seed: int) -> list[tuple[str, str]]:
    """(given, asked): of every person every fact, as the first wording tells it."""
    return [
        _parted(WORDINGS[what][0], person.name, f"{person.name}'s", value)
        for person in people(seed)
        for what, value in person.facts.items()
    ]


def _told(table, rng) -> str:
    """Some facts of a person in random order, the first one with the name."""
    person, sentences = rng.choice(table), []
    for what in rng.sample(list(VALUES), TOLD):
        who, whose = person.pronoun if sentences else (person.name, f"{person.name}'s")
        given, asked = _parted(rng.choice(WORDINGS[what]), who, whose, person.facts[what])
        sentences.append(f"{given}{asked}.")
    return " ".join(sentences)


def _parted(wording: str, who: str, whose: str, value: str) -> tuple[str, str]:
    """A fact without its end, and its value with the blank before it, as tokens have it."""
    return wording.format(who, whose, "").rstrip(), f" {value}"
