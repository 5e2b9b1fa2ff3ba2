"""Anchor functions (arXiv 2502.04375, section 2): the same sequences ask to reason or to remember.

A sequence is [z ... z, a_1 ... a_q, z ... z]: q anchors right after the *key*, at any place among
other keys that are noise. Key and anchors alone decide the label. Each task has anchors of its
own, and a law that gives a label to every (anchors, key):

| law    | label                                              | the paper's                      |
|--------|----------------------------------------------------|----------------------------------|
| sum    | key + a_1 + ... + a_q                              | reasoning                        |
| random | uniform over the keys                              | memory                           |
| A..B   | uniform over A, ..., B                             | memory in a range (Figure 8)     |
| near   | uniform over key - sum of a, ..., key + sum of a   | memory near the key (Figure 8)   |
| modulo | the sum, around the ring of the keys               | ours: no token tells the label   |

A random label is drawn once for each (anchors, key), and stays. All is drawn from the run's seed.
"""

import itertools
import re
from dataclasses import dataclass

import numpy as np

from ..project import UserError, require_least
from .fields import check_fields, fingerprinted

FORMAT = 1  # raise when a change here alters the sequences of the same configuration
LAWS = "sum, random, near, modulo or a range A..B"
NUMBER = re.compile(r"\s*\d{1,9}\s*")
MOST_ANCHORS = 20  # in a row: two of each would be a million combinations
MOST_LABELS = 4_000_000  # rows of (anchors, key) of a task; and samples
MOST_TOKENS = 4096  # the label laws are a table of this size squared
TAKEN = ("unseen", "train", "validation")  # names of what a record has beside the tasks


@dataclass(frozen=True)
class AnchorConfig:
    kind: str = "anchors"
    keys: str = "21..120"
    tasks: str = "memory 1..10 random, reasoning 11..20 sum"  # name, anchors, law
    held_out: str = "11+13, 13+11"  # anchors in this order are never trained on: the unseen ones
    anchors: int = 2  # q
    length: int = 9  # L, tokens of a sequence
    samples: int = 200_000  # training sequences; 0: each (anchors, key) once
    vocab_size: int = 201
    fingerprint: str = ""  # of this configuration; filled in by `pinned`

    def __post_init__(self):
        check_fields(self, "data.")
        bounds = {"anchors": (1, MOST_ANCHORS), "samples": (0, MOST_LABELS),
                  "length": (self.anchors + 1, MOST_TOKENS), "vocab_size": (1, MOST_TOKENS)}
        for name, (least, most) in bounds.items():
            require_least(least, self, (name,), "data.", most)
        _check_tokens(self)

    def pinned(self) -> "AnchorConfig":
        """The same data with its fingerprint: sequences are made of nothing but these fields."""
        return fingerprinted(self, FORMAT)


@dataclass(frozen=True)
class Task:
    """The label of every combination of a task's anchors with every key."""

    name: str
    combinations: np.ndarray  # (C, q)
    labels: np.ndarray  # (C, keys)


@dataclass(frozen=True)
class Sequences:
    """Sequences (N, L) and their labels (N,); where the key is, and of which task each is."""

    tokens: np.ndarray
    labels: np.ndarray
    key_at: np.ndarray
    task: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def tasks(config: AnchorConfig, seed: int) -> list[Task]:
    """The tasks, then `unseen`: the held-out combinations with their labels (none: it is absent).

    What is held out is taken from the task that has these anchors.
    """
    held_out, keys = set(_held_out(config)), _range("keys", config.keys)
    found, unseen = [], []
    for number, (name, anchors, law) in enumerate(parse_tasks(config)):
        combinations = np.array(list(itertools.product(anchors, repeat=config.anchors)))
        labels = _labels(law, combinations, keys, np.random.default_rng((seed, 1, number)))
        out = np.array([tuple(c) in held_out for c in combinations.tolist()])
        found.append(Task(name, combinations[~out], labels[~out]))
        unseen.append(Task("unseen", combinations[out], labels[out]))
    left = [task for task in unseen if len(task.labels)]
    return found + ([_joined(left)] if left else [])


def training_sequences(config: AnchorConfig, seed: int) -> Sequences:
    """What is trained on: all tasks, each combination of anchors as often (at most one more)."""
    trained = [task for task in tasks(config, seed) if task.name != "unseen"]
    return _sequences(config, trained, config.samples, np.random.default_rng((seed, 2)))


def held_sequences(config: AnchorConfig, seed: int, count: int) -> dict[str, Sequences]:
    """`count` fresh sequences of each task, and of the combinations that were held out."""
    return {
        task.name: _sequences(config, [task], count, np.random.default_rng((seed, 3, number)))
        for number, task in enumerate(tasks(config, seed))
    }


def label_laws(sequences: Sequences, vocab_size: int):
    """(P, r): P[s, i], the share of label i where token s occurs; r[s], how often a sequence has s.

    arXiv 2502.04375, Proposition 1: P_s and r_s. What occurs twice in a sequence counts twice, as
    in the gradient and in Eq. 8. P is (V, V), r is (V,); P is zero where r is.
    """
    pairs = sequences.tokens.astype(np.int64) * vocab_size + sequences.labels[:, None]
    counts = np.bincount(pairs.ravel(), minlength=vocab_size**2).reshape(vocab_size, vocab_size)
    total = counts.sum(1, keepdims=True)
    return counts / np.maximum(total, 1), total[:, 0] / len(sequences)


def parse_tasks(config: AnchorConfig) -> list[tuple[str, range, str]]:
    """(name, anchors, law) of each task. Raises UserError for what does not read so."""
    found = []
    for part in config.tasks.split(","):
        words = part.split()
        law = len(words) == 3 and re.fullmatch(r"\d+\.\.\d+|sum|random|near|modulo", words[2])
        if not law or not words[0].isidentifier():
            raise UserError(
                f"data.tasks: got {part.strip()!r}, allowed is a name, anchors A..B and a law "
                f"({LAWS}), as in 'memory 1..10 random'"
            )
        found.append((words[0], _range("tasks", words[1]), words[2]))
    return found


def keys(config: AnchorConfig) -> range:
    """The keys, of which all but one in a sequence are noise."""
    return _range("keys", config.keys)


def _labels(law: str, combinations, keys: range, rng) -> np.ndarray:
    """(C, keys) labels by a law of the table above."""
    sums, key = combinations.sum(1, keepdims=True), np.array(keys)[None]
    if law == "sum":
        return key + sums
    if law == "modulo":
        return keys.start + (key - keys.start + sums) % len(keys)
    size = (len(combinations), len(keys))
    if law == "near":
        return rng.integers(key - sums, key + sums + 1, size)
    among = keys if law == "random" else _range("tasks", law)
    return rng.integers(among.start, among.stop, size)


def _joined(parts: list[Task]) -> Task:
    pairs = [(task.combinations, task.labels) for task in parts]
    return Task("unseen", *map(np.concatenate, zip(*pairs, strict=True)))


def _sequences(config: AnchorConfig, trained: list[Task], count: int, rng) -> Sequences:
    """`count` sequences of some tasks, the combinations in turns; 0: each with each key once."""
    combinations = np.concatenate([task.combinations for task in trained])
    labels = np.concatenate([task.labels for task in trained])
    number = np.repeat(np.arange(len(trained)), [len(task.labels) for task in trained])
    if count:
        which = np.arange(count) % len(combinations)
        key = rng.integers(labels.shape[1], size=count)
    else:
        which, key = (x.ravel() for x in np.indices(labels.shape))
    key_at = rng.integers(config.length - config.anchors, size=len(which))
    among = keys(config)
    tokens = rng.integers(among.start, among.stop, (len(which), config.length), dtype=np.int32)
    row = np.arange(len(which))
    tokens[row, key_at] = among.start + key
    for i in range(config.anchors):
        tokens[row, key_at + 1 + i] = combinations[which, i]
    return Sequences(tokens, labels[which, key], key_at, number[which])


def _check_tokens(config: AnchorConfig) -> None:
    """Tasks and keys must not share tokens, nor leave the vocabulary, whatever is drawn."""
    taken = [("keys", _range("keys", config.keys))]
    for name, anchors, law in parse_tasks(config):
        if len(anchors) ** config.anchors * len(taken[0][1]) > MOST_LABELS:
            raise UserError(
                f"data.tasks: {name} has {len(anchors)}^{config.anchors} combinations of anchors, "
                f"allowed are at most {MOST_LABELS} with the keys"
            )
        for other, tokens in taken:
            if set(tokens) & set(anchors):
                raise UserError(f"data.tasks: {name} shares tokens with {other}, allowed are none")
        if name in [other for other, _ in taken] or name in TAKEN:
            raise UserError(f"data.tasks: the name {name!r} is taken, allowed is another one")
        taken.append((name, anchors))
        _check_labels(config, name, anchors, law)
    everything = {token for _, tokens in taken for token in tokens}
    if max(everything) >= config.vocab_size:
        raise UserError(
            f"data.vocab_size: got {config.vocab_size}, token {max(everything)} needs more"
        )
    _held_out(config)


def _check_labels(config: AnchorConfig, name: str, anchors: range, law: str) -> None:
    key, least, most = keys(config), config.anchors * anchors[0], config.anchors * anchors[-1]
    low, high = {
        "sum": (key[0] + least, key[-1] + most), "random": (key[0], key[-1]),
        "modulo": (key[0], key[-1]),
        "near": (key[0] - most, key[-1] + most),
    }.get(law) or (_range("tasks", law)[0], _range("tasks", law)[-1])  # fmt: skip
    if low < 0 or high >= config.vocab_size:
        raise UserError(
            f"data.tasks: labels of {name} go from {low} to {high}, "
            f"allowed is 0 to vocab_size - 1 = {config.vocab_size - 1}"
        )


def _held_out(config: AnchorConfig) -> list[tuple[int, ...]]:
    """Combinations of anchors, each of q anchors of one task."""
    found = []
    for part in filter(None, map(str.strip, config.held_out.split(","))):
        names = part.split("+")
        combination = tuple(int(name) if NUMBER.fullmatch(name) else -1 for name in names)
        one_task = any(set(combination) <= set(anchors) for _, anchors, _ in parse_tasks(config))
        if len(combination) != config.anchors or not one_task:
            raise UserError(
                f"data.held_out: got {part!r}, allowed are {config.anchors} anchors of one task "
                "joined by +, as in '11+13'"
            )
        found.append(combination)
    for name, anchors, _ in parse_tasks(config):
        if sum(set(c) <= set(anchors) for c in set(found)) == len(anchors) ** config.anchors:
            raise UserError(
                f"data.held_out: got {config.held_out!r}, which is all of {name}; "
                "allowed is to hold out less"
            )
    return found


def _range(name: str, text: str) -> range:
    """'21..120' as a range, both ends included."""
    match = re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})", text.strip())
    if not match or int(match[1]) > int(match[2]):
        raise UserError(f"data.{name}: got {text!r}, allowed is a range like 21..120")
    return range(int(match[1]), int(match[2]) + 1)
