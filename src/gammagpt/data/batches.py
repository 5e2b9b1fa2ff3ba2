"""What a stack of runs is fed: training batches, and the sets on which it is measured.

Everything lies on the device before the first step. A set is a pair (inputs, targets) with a
leading dimension of M members, or of 1 if all members have the same.
"""

from functools import lru_cache
from typing import ClassVar

import torch

from . import arithmetic, backcopy, facts, logic
from .anchors import held_sequences, parse_tasks, training_sequences
from .corpora import SEED
from .fields import check_fingerprint
from .text import load_text

DEPTHS = (1, 2, 3, 4, 5)  # of problems that are asked; training text has up to 3
PROBLEMS, UNSEEN = 200, 2**20  # of each depth; a seed that no training text has


def make_batches(configs, device, share: slice):
    """The batches of runs that differ in init, optim and seed; a process takes its `share`.

    Raises UserError for data that is not there or does not fit.
    """
    kinds = {"text": TextBatches, "anchors": AnchorBatches, "backcopy": BackcopyBatches}
    return kinds[configs[0].data.kind](configs, device, share)


class TextBatches:
    """Windows of a tokenized corpus; targets are the same tokens one further on.

    Measured on validation text, of a mixture part by part; and on the questions that go with
    generated texts: problems that are in no text, deeper ones too, and facts that are.
    """

    def __init__(self, configs, device, share: slice):
        config = configs[0]
        text = load_text(config.data, config.model.block_size)
        self._length, probes = config.model.block_size, config.probes
        self._tokens = torch.from_numpy(text.train.astype("int32")).to(device)
        starts = [text.starts(c.seed, c.steps, c.batch_size, self._length) for c in configs]
        self._starts = torch.stack(starts, 1)[..., share].to(device)  # (steps, M, B)
        self._offsets = torch.arange(self._length + 1, device=device)
        names = {name: name for name in text.parts} if len(text.parts) > 1 else {"validation": None}
        self.measured = tuple(names)  # the sets whose mean loss is the run's

        def validation(count):
            found = {n: text.validation_windows(count, self._length, p) for n, p in names.items()}
            return {name: [part[None].to(device) for part in pair] for name, pair in found.items()}

        self.along, self.final = validation(probes.windows), validation(probes.final_windows)
        asked = _questions(config.data, self._length)
        self.final |= {name: [z[None].to(device) for z in pair] for name, pair in asked.items()}
        self.also = dict.fromkeys(asked, ("accuracy", "exact"))  # recorded beside the loss

    def train(self, step: int):
        """(inputs, targets) of a step, each (M, B, T)."""
        cut = self._tokens[self._starts[step].unsqueeze(-1) + self._offsets].long()
        return cut[..., :-1].contiguous(), cut[..., 1:].contiguous()


class AnchorBatches:
    """Sequences of anchor functions; the one target is the label. Every seed has its own."""

    def __init__(self, configs, device, share: slice):
        config, probes = configs[0], configs[0].probes
        check_fingerprint(config.data)
        self.measured = tuple(name for name, _, _ in parse_tasks(config.data))
        trained = [training_sequences(c.data, c.seed) for c in configs]
        self._tokens, self._labels = _stacked(trained, device, torch.int16)
        draws = [_draws(c, len(t))[:, share] for c, t in zip(configs, trained, strict=True)]
        self._draws = torch.stack(draws, 1).to(device)  # (steps, M, B)
        self._member = torch.arange(len(configs), device=device)[:, None]
        self.along = _held(configs, probes.windows, device)
        self.final = _held(configs, probes.final_windows, device)
        self.also = dict.fromkeys(self.final, ("accuracy",))

    def train(self, step: int):
        """(inputs, targets) of a step, (M, B, L) and (M, B)."""
        at = self._member, self._draws[step]
        return self._tokens[at].long(), self._labels[at].long()


class BackcopyBatches:
    """Sequences of Bigram-Backcopy, each trained on once; targets are the same one further on.

    Measured on all targets, and by themselves on those behind a trigger and on the others.
    """

    measured = ("validation",)
    also: ClassVar = {}

    def __init__(self, configs, device, share: slice):
        config, probes = configs[0], configs[0].probes
        check_fingerprint(config.data)
        self._length, size = config.model.block_size, config.steps * config.batch_size
        drawn = [backcopy.training_sequences(c.data, c.seed, size, self._length + 1)
                 for c in configs]
        shape = len(configs), config.steps, config.batch_size, self._length + 1
        tokens = torch.stack([torch.from_numpy(tokens) for tokens in drawn]).view(shape)
        self._tokens = tokens[:, :, share].to(device)  # (M, steps, B, T + 1)
        self.along = _parts(config, probes.windows, device)
        self.final = _parts(config, probes.final_windows, device)

    def train(self, step: int):
        """(inputs, targets) of a step, each (M, B, T)."""
        tokens = self._tokens[:, step].long()
        return tokens[..., :-1].contiguous(), tokens[..., 1:].contiguous()


def validation_inputs(config, count: int):
    """(count, T) token ids of a run's validation, of a text or of Bigram-Backcopy."""
    length = config.model.block_size
    if config.data.kind == "text":
        return load_text(config.data).validation_windows(count, length)[0]
    tokens = backcopy.validation_sequences(config.data, count, length + 1)
    return torch.from_numpy(tokens).long()[:, :-1]


def question_sets(parts) -> dict[str, list[tuple[str, ...]]]:
    """{set: questions} of the generated texts among the parts of a mixture.

    A question is a text in pieces, in turns given and asked.
    """
    found = {}
    for corpus, name, text in (("logic", "chain", logic), ("arithmetic", "sum", arithmetic)):
        if corpus in parts:
            found |= {f"{name}_{d}": text.questions(PROBLEMS, UNSEEN, d) for d in DEPTHS}
    return found | ({"recall": facts.questions(SEED)} if "facts" in parts else {})


def question_windows(text, length: int) -> dict:
    """{set: (inputs, targets), each (N, T)} of the questions that fit, if more than half do.

    Targets are -100 but for what is asked: chain of thought and answer, results, or a fact's value.
    """
    encoding, found = text.encoding, {}
    for name, questions in question_sets(text.parts).items():
        rows = [_with_targets(encoding, pieces) for pieces in questions]
        rows = [row for row in rows if len(row[0]) <= length + 1]
        if len(rows) > len(questions) // 2:
            end = len(text.ranks)  # end of text
            tokens = torch.tensor([t + [end] * (length + 1 - len(t)) for t, _ in rows])
            targets = torch.tensor([t + [-100] * (length + 1 - len(t)) for _, t in rows])
            found[name] = tokens[:, :-1], targets[:, 1:]
    return found


@lru_cache(maxsize=4)
def _questions(data, length: int) -> dict:
    """The question windows of pinned data: to make them takes a third of a second, for each run."""
    return question_windows(load_text(data), length)


def _with_targets(encoding, pieces) -> tuple[list[int], list[int]]:
    """The tokens of a question, and the same with -100 where nothing is asked."""
    tokens = encoding.encode_ordinary("".join(pieces))
    ends = [len(encoding.encode_ordinary("".join(pieces[:i]))) for i in range(len(pieces) + 1)]
    asked = {i for since, until in zip(ends[1::2], ends[2::2], strict=True)
             for i in range(since, until)}  # fmt: skip
    return tokens, [token if i in asked else -100 for i, token in enumerate(tokens)]


def _held(configs, count: int, device) -> dict:
    """The sets of anchor sequences that are measured: those of each task, and the unseen ones."""
    members = [held_sequences(config.data, config.seed, count) for config in configs]
    return {name: _stacked([m[name] for m in members], device, torch.int64) for name in members[0]}


def _parts(config, count: int, device) -> dict:
    """The validation sequences of Bigram-Backcopy: whole, and with some of the targets only."""
    tokens = backcopy.validation_sequences(config.data, count, config.model.block_size + 1)
    copied = torch.from_numpy(backcopy.behind_trigger(config.data, tokens))
    inputs, targets = torch.from_numpy(tokens).long().unfold(1, tokens.shape[1] - 1, 1).unbind(1)
    chosen = {"validation": targets, "triggers": targets.masked_fill(~copied, -100),
              "others": targets.masked_fill(copied, -100)}
    return {name: [part[None].to(device) for part in (inputs, own)]
            for name, own in chosen.items()}


def _stacked(members, device, kind):
    """(M, N, L) tokens and (M, N) labels of the sequences of each member."""
    return [
        torch.stack([torch.from_numpy(getattr(m, part)).to(kind) for m in members]).to(device)
        for part in ("tokens", "labels")
    ]


def _draws(config, count: int):
    """Which training sequences each step takes, (steps, B); drawn on the CPU on every device."""
    generator = torch.Generator().manual_seed(config.seed)
    return torch.randint(count, (config.steps, config.batch_size), generator=generator)
