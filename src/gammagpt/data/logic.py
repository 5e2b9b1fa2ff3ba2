"""Problems of logic: a made-up ontology, a claim about one name, the chain of thought, the answer.

The kind of text is that of PrOntoQA (arXiv 2210.01240), which P2 (arXiv 2502.04375) learns beside
stories; words and program are our own. Every ontology has two lines of concepts of one length:

    Fae is a mup.   mup -> kem -> nulb     every nulb is cold
                    wib -> yab -> zarn     no zarn is cold      (the rival, alike in every way)

and one stray rule that leads nowhere. Nothing but the way from the name up tells the two ends
apart: no word, no "not" and no place in the text says more about the answer than a coin.
"""

import random
from dataclasses import dataclass
from itertools import pairwise

from ..project import UserError, whole

FORMAT = 1  # raise when a change here alters the problems of a seed
# No English word, no vowel first (always "a"), a plural in "s".
CONCEPTS = str.split("""
    blick bron crell dop drim fep glorb grel hilp jorb kem lorp mup nelk nulb quab rell snerk trun
    voot wib yab zarn zolt
""")
NAMES = str.split("Abe Ada Dot Eli Fae Gus Ike Jo Kai Lou Ned Ola Pam Rex Sid Zoe")
TRAITS = str.split("""
    bold calm cold dark dry fast good hot kind loud mild neat old pale proud quick red shy slow soft
    sour sweet tall thin
""")
# Ways to say that a concept belongs to another, has the trait, or does not have it.
WORDINGS = (
    ("Every {0} is a {1}.", "Every {0} is {1}.", "No {0} is {1}."),
    ("Each {0} is a {1}.", "Each {0} is {1}.", "Each {0} is not {1}."),
    ("A {0} is a {1}.", "A {0} is {1}.", "A {0} is not {1}."),
    ("All {0}s are {1}s.", "All {0}s are {1}.", "No {0}s are {1}."),
)
MAX_DEPTH = (len(CONCEPTS) - 3) // 2  # two lines of depth + 1 concepts, and a stray one


@dataclass(frozen=True)
class Problem:
    """A problem whose answer follows from its context by `depth` + 1 rules."""

    context: str  # a fact and rules in random order, one sentence each
    question: str  # "True or false: Fae is not cold."
    chain: str  # the sentences of the proof, word for word, and what follows from them
    answer: str  # "True" or "False"
    depth: int  # how many rules "Every X is a Y" the proof has
    ontology: int  # its number among the problems of one seed

    @property
    def prompt(self) -> str:
        """All that is written before the chain of thought."""
        return f"{self.context}\n{self.question}\n"

    @property
    def text(self) -> str:
        """The problem as it stands in the training text, the answer last."""
        return f"{self.prompt}{self.chain}\n{self.answer}"


def problems(count: int, seed: int, depths=(1, 2, 3)) -> list[Problem]:
    """`count` problems, each with an ontology of its own; `depths` are taken in turn.

    A larger count adds problems to the same list. Of the problems of one depth, half have the
    answer True. Raises UserError for a count below 1, no depths, or one outside 1 to MAX_DEPTH.
    """
    whole("count", count)
    depths = tuple(depths)
    if not depths or not all(type(depth) is int and 1 <= depth <= MAX_DEPTH for depth in depths):
        raise UserError(f"depths: got {depths!r}, allowed are whole numbers from 1 to {MAX_DEPTH}")
    places = (divmod(i, len(depths)) for i in range(count))
    return [
        _problem(i, seed, depths[place], _answer(seed, turn, place))
        for i, (turn, place) in enumerate(places)
    ]


def documents(count: int, seed: int) -> list[tuple[str, str]]:
    """(group, text) of `count` problems, a group an ontology. Raises UserError as `problems` does.

    In random order: beside each other, depths and answers taken in turn would give each other away.
    """
    made = problems(count, seed)
    random.Random(f"order {seed}").shuffle(made)
    return [(f"ontology {problem.ontology}", problem.text) for problem in made]


def questions(count: int, seed: int, depth: int) -> list[tuple[str, str]]:
    """`count` problems as (given, asked): up to the question, then the chain and the answer."""
    asked = problems(count, seed, (depth,))
    return [(problem.prompt, f"{problem.chain}\n{problem.answer}") for problem in asked]


def _problem(ontology: int, seed: int, depth: int, answer: bool) -> Problem:
    rng = random.Random(f"problem {seed} {ontology}")
    proof, distractors, (name, trait, holds) = _ontology(rng, depth)
    context = rng.sample(proof + distractors, len(proof + distractors))
    return Problem(
        context=" ".join(context),
        question=f"True or false: {_statement(name, trait, answer == holds)}",
        chain=" ".join([*proof, _statement(name, trait, holds)]),
        answer=str(answer),
        depth=depth,
        ontology=ontology,
    )


def _answer(seed: int, turn: int, place: int) -> bool:
    """Of every two turns one is True and one False; a coin says which comes first."""
    first = random.Random(f"answer {seed} {turn // 2} {place}").random() < 0.5
    return first == (turn % 2 == 0)


def _ontology(rng, depth: int):
    """(proof, distractors, (name, trait, whether it holds)): sentences in the order of the proof.

    The stray rule may start from any concept: where it starts says nothing about the two lines.
    """
    *concepts, stray = rng.sample(CONCEPTS, 2 * depth + 3)
    line, rival = concepts[: depth + 1], concepts[depth + 1 :]
    name, trait, holds = rng.choice(NAMES), rng.choice(TRAITS), rng.random() < 0.5
    wording = rng.choice(WORDINGS)
    proof = [f"{name} is a {line[0]}.", *_rules(wording, line, trait, holds)]
    strays = [wording[0].format(rng.choice(concepts), stray)]
    return proof, _rules(wording, rival, trait, not holds) + strays, (name, trait, holds)


def _rules(wording, line, trait: str, holds: bool) -> list[str]:
    """Each concept of a line belongs to the next; the last one has the trait or lacks it."""
    belongs, has, lacks = wording
    steps = [belongs.format(*pair) for pair in pairwise(line)]
    return [*steps, (has if holds else lacks).format(line[-1], trait)]


def _statement(name: str, trait: str, holds: bool) -> str:
    return f"{name} is {trait}." if holds else f"{name} is not {trait}."
