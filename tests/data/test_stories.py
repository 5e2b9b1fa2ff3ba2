"""Stories: varied, coherent, of a fair length, and far less predictable than problems of logic."""

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from helpers import refusal
from hypothesis import given
from hypothesis import strategies as st

from gammagpt.data import DataConfig, load_text, logic
from gammagpt.data.stories import PRONOUNS, WORDS, documents

BREAK = re.compile(r"(?<=[.!?]) (?=[A-Z\"])|(?<=[.!?]\") (?=[A-Z\"])")
NAMES = {*WORDS["girl"], *WORDS["boy"]}


@pytest.fixture(scope="module")
def many() -> list[str]:
    return [text for _, text in documents(5000, seed=0)]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory, many) -> dict[str, list[list[int]]]:
    """The tokens of stories and of problems, by a tokenizer that saw about as much of each."""
    texts = {"stories": many[:800], "logic": [p.text for p in logic.problems(1800, seed=0)]}
    folder = tmp_path_factory.mktemp("both")
    mixed = sorted(texts["stories"] + texts["logic"], key=lambda text: text[::-1])
    (folder / "mixed.txt").write_text("\n\n".join(mixed), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAMMAGPT_CACHE", str(folder / "cache"))
        encoding = load_text(DataConfig(str(folder / "mixed.txt"), 1024)).encoding
    return {name: encoding.encode_ordinary_batch(part) for name, part in texts.items()}


def words(text: str) -> list[str]:
    return re.findall(r"[\w'-]+", text)


def entropy(items) -> float:
    """Of the shares of equal items, in nats."""
    counts = np.array(list(Counter(items).values()))
    return float(-(counts / counts.sum() * np.log(counts / counts.sum())).sum())


# ---- variety -------------------------------------------------------------------------------------


def test_no_story_is_told_twice(many):
    assert len(set(many)) == len(many)


def test_few_sentences_of_new_stories_were_told_before(many):
    """One in six when this was written, most of them as short as "Wow!"."""
    told = {sentence for text in many for sentence in BREAK.split(text)}
    new = [sentence for _, text in documents(500, seed=99) for sentence in BREAK.split(text)]
    assert np.mean([sentence in told for sentence in new]) < 0.2


def test_every_word_of_every_list_is_told(many):
    everything = " ".join(many).lower()
    plain = {w for entries in WORDS.values() for w in entries if not set(w) & set("${?")}
    assert len(plain) > 400
    assert not {word for word in plain if word.lower() not in everything}


def test_a_token_of_a_story_says_more_than_one_of_a_problem(tokens):
    """By itself, and after the token before it: 5.6 and 2.7 nats, 3.8 and 1.8 for problems."""
    single = {kind: [t for text in texts for t in text] for kind, texts in tokens.items()}
    pairs = {kind: [p for text in texts for p in pairwise(text)] for kind, texts in tokens.items()}
    alone = {kind: entropy(items) for kind, items in single.items()}
    after = {kind: entropy(items) - entropy(a for a, _ in items) for kind, items in pairs.items()}
    assert alone["stories"] > alone["logic"] + 1
    assert after["stories"] > after["logic"] + 0.5


# ---- length --------------------------------------------------------------------------------------


def test_stories_are_short_and_of_different_lengths(tokens):
    lengths = [len(text) for text in tokens["stories"]]
    assert 150 < np.mean(lengths) < 220 and np.std(lengths) > 20
    assert min(lengths) > 50 and max(lengths) < 400


def test_problems_of_logic_are_shorter_still(tokens):
    lengths = [len(text) for text in tokens["logic"]]
    assert 60 < np.mean(lengths) < 100 and max(lengths) < 110


# ---- one story, from its beginning to its end ----------------------------------------------------


def test_a_story_has_one_hero_and_one_friend(many):
    for text in many:
        named = [word for word in words(text) if word in NAMES]
        assert len(set(named)) == 2, text


def test_the_hero_is_always_he_or_always_she(many):
    for text in many:
        found = {word.lower() for word in words(text)}
        assert sum(bool(found & set(pronouns)) for pronouns in PRONOUNS.values()) < 2, text


@pytest.mark.parametrize("name, before", [("grownup", ""), ("fear", "afraid of ")])
def test_there_is_one_grownup_and_one_fear(name, before, many):
    found = [{word for word in WORDS[name] if before + word in text} for text in many]
    assert max(map(len, found)) == 1
    assert set.union(*found) == {*WORDS[name]}


def test_every_sentence_is_whole_english(many):
    for text in many:
        assert not re.search(r"[$|{}\n]|  | [.,!?]|\?\w|\b[Aa] [aeiou]|\b[Aa]n [^aeiou]", text), (
            text
        )
        assert text.count('"') % 2 == 0, text
        assert all(re.match(r'"?[A-Z]', sentence) for sentence in BREAK.split(text)), text
        assert re.search(r'[.!?]"?$', text), text


# ---- the list ------------------------------------------------------------------------------------


@given(st.integers(1, 20), st.integers(0, 20), st.integers(0, 10**9))
def test_the_same_seed_gives_the_same_stories_and_a_larger_count_adds_some(count, more, seed):
    longer = documents(count + more, seed)
    assert documents(count, seed) == longer[:count]
    assert len({group for group, _ in longer}) == count + more


def test_another_seed_gives_other_stories(many):
    assert not {text for _, text in documents(500, seed=1)} & set(many)


@pytest.mark.parametrize("count", [0, -1, 1.5, "3", True])
def test_an_impossible_count_is_refused(count):
    message = f"count: got {count!r}, allowed is a whole number from 1"
    assert refusal(documents, count, 0) == message
