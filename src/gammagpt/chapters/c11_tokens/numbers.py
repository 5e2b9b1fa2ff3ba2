"""Numbers of the chapter on tokens: gains class by class, and token by token.

Runs are rows of a frame (LearningRateStudy.collect with a reference). What the classes are,
probes/token_losses.py says. Shapes in comments: S seeds, N tokens in all. Pictures: figures.py.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ...analysis.frames import compared as of_questions
from ...analysis.frames import contrast
from ...data.text import Text, load_text
from ...ledger.estimate import QUESTIONS, Estimate
from ...probes.token_losses import CLASSES, CONTEXT, TRIVIAL, classes, copied, count_losses, windows

BINS = 8  # of the base loss, with about as many tokens in each
DRAWS = 2000  # of the bootstrap over documents
PAIR = ("gamma 0.5", "gamma 0.8")  # baseline and treatment, as in the claims
ITSELF = "another seed"


@dataclass(frozen=True)
class Tokens:
    """What is known of the validation tokens whose losses records hold, whatever run is asked."""

    text: Text
    inputs: np.ndarray  # (windows, tokens)
    targets: np.ndarray
    classes: np.ndarray  # (N,): indices of CLASSES
    documents: np.ndarray  # (N,): the number of the document that a target is in
    count_losses: np.ndarray  # (N,): nats, of the count model
    reference_losses: np.ndarray  # (N,): nats, of the reference run with the whole window
    reference_gains: np.ndarray  # (N,): nats, that the reference gains by the whole window

    def classes_at(self, trivial: float, context: float) -> np.ndarray:
        """The classes with other thresholds, in nats."""
        again = copied(self.inputs, self.targets).ravel()
        conditions = [self.count_losses < trivial, again, self.reference_gains > context]
        return np.select(conditions, range(3), 3)

    def masks(self) -> dict[str, np.ndarray]:
        """{"all" and each class that is there: (N,) whether a token belongs to it}."""
        masks = {"all": np.full(len(self.classes), True)}
        masks |= {name: self.classes == i for i, name in enumerate(CLASSES)}
        return {name: mask for name, mask in masks.items() if mask.any()}


def tokens_of(reference) -> Tokens | None:
    """From the record of the reference run; None if there is none with the losses of tokens."""
    if reference is None or "tokens" not in (reference.probes or [{}])[-1]:
        return None
    config, losses = reference.config, reference.probes[-1]["tokens"]
    text = load_text(config.data)
    inputs, targets = windows(config)
    ends = text.validation == len(text.ranks)
    numbers = replace(text, validation=np.cumsum(ends) - ends)  # an end belongs to what it ends
    _, documents = numbers.validation_windows(*targets.shape)
    whole, short = np.array(losses["whole"]), np.array(losses["short"])
    return Tokens(text, inputs, targets, classes(reference), documents.numpy().ravel(),
                  count_losses(config).ravel(), whole, short - whole)


@dataclass(frozen=True)
class Compared:
    """Two settings, token by token, on the seeds that both have."""

    usual: str
    small: str
    losses: dict[str, tuple[np.ndarray, np.ndarray]]  # role -> (usual (S, N), small (S, N)), nats
    runs: pd.DataFrame  # of both settings, those that diverged too
    tokens: Tokens

    def gains(self, role: str) -> np.ndarray:
        """(S, N): the loss of the baseline less that of the treatment, in nats."""
        usual, small = self.losses[role]
        return usual - small


def compare(runs, reference) -> Compared | None:
    """The two settings of the claims, or else the outermost gammas; None if that cannot be."""
    tokens, there = tokens_of(reference), measured(runs)
    if tokens is None or len(contrast(there, PAIR)) < 2:
        return None
    usual, small = contrast(there, PAIR)
    losses = {role: _both(there[there.role == role], usual, small) for role in QUESTIONS}
    losses = {role: pair for role, pair in losses.items() if len(pair[0])}
    asked = runs[runs.setting.isin([usual, small]) & runs.role.isin(QUESTIONS)]
    return Compared(usual, small, losses, asked, tokens) if losses else None


def measured(runs) -> pd.DataFrame:
    """The compared runs that hold the losses of tokens."""
    if not len(runs):
        return runs
    known = runs.probes.map(lambda probes: bool(probes) and "tokens" in probes[-1])
    return of_questions(runs[known & (runs.status == "ok")])


def class_gains(compared: Compared) -> pd.DataFrame:
    """The gain of the small initialization: a row a role, seed and class, "all" among them.

    Columns: role, seed (counted from 0), kind, gain (nats per token), share (of the baseline's
    loss), part (of the gain of a mean token: these add up).
    """
    rows = []
    for role, (usual, _) in compared.losses.items():
        gains = compared.gains(role)
        for kind, mask in compared.tokens.masks().items():
            gain, base = gains[:, mask].mean(1), usual[:, mask].mean(1)
            rows += [(role, seed, kind, g, g / b, g * mask.mean())
                     for seed, (g, b) in enumerate(zip(gain, base, strict=True))]
    return pd.DataFrame(rows, columns=["role", "seed", "kind", "gain", "share", "part"])


def by_documents(compared: Compared, role: str) -> dict[str, tuple]:
    """{class: (low, high) of the gain, (low, high) of the share}: 95 %, a bootstrap over documents.

    The mean over seeds is taken first: these intervals say what other texts would have said of
    these very runs. Empty if there are not three documents.
    """
    usual, gain = compared.losses[role][0].mean(0), compared.gains(role).mean(0)
    numbers, where = np.unique(compared.tokens.documents, return_inverse=True)
    if len(numbers) < 3:
        return {}
    random, intervals = np.random.default_rng(0), {}
    draws = random.multinomial(len(numbers), np.full(len(numbers), 1 / len(numbers)), DRAWS)
    for kind, mask in compared.tokens.masks().items():
        sums = [np.bincount(where, mask * x, len(numbers)) for x in (gain, usual, 1.0)]
        total, base, count = (draws @ part for part in sums)
        present = count > 0
        intervals[kind] = tuple(
            tuple(np.percentile(total[present] / below[present], [2.5, 97.5]))
            for below in (count, base)
        )
    return intervals


def difference(compared: Compared, role: str, found) -> Estimate:
    """Mean and 95 % interval over seeds of the gain on context tokens less that on trivial ones.

    `found` (N,) are the classes; nan if one of the two has no token.
    """
    context, trivial = (found == CLASSES.index(name) for name in ("context", "trivial"))
    if not (context.any() and trivial.any()):
        return Estimate(math.nan)
    gains = compared.gains(role)
    return Estimate.of(gains[:, context].mean(1) - gains[:, trivial].mean(1))


def variants(tokens: Tokens) -> dict[str, np.ndarray]:
    """Name of a variant of the classes -> the classes: each threshold halved and doubled."""
    classes, context = {"as it is": tokens.classes}, CLASSES.index("context")
    for limit in (TRIVIAL / 2, TRIVIAL * 2):
        classes[f"trivial below {limit:g} nats"] = tokens.classes_at(limit, CONTEXT)
    for limit in (CONTEXT / 2, CONTEXT * 2):
        classes[f"context above {limit:g} nats"] = tokens.classes_at(TRIVIAL, limit)
    copied = tokens.classes == CLASSES.index("copied")
    return classes | {"copied tokens are context": np.where(copied, context, tokens.classes)}


def binned(base, gains) -> tuple[np.ndarray, np.ndarray]:
    """Mean base loss (BINS,) and mean gain of each seed (S, BINS), by a base loss (N,) or (S, N).

    Bins have about as many tokens each: of all tokens, ordered by the base loss of that seed.
    """
    base = np.broadcast_to(base, gains.shape)
    order = np.argsort(base, axis=1, kind="stable")
    cut = [np.array_split(np.take_along_axis(x, order, 1), BINS, 1) for x in (base, gains)]
    middles, means = (np.stack([part.mean(1) for part in parts], 1) for parts in cut)
    return middles.mean(0), means


def chosen_window(compared: Compared) -> int:
    """The window whose mean gain is nearest to that over all windows: a rule, not a hand."""
    gains = compared.gains(next(iter(compared.losses))).mean(0)
    means = gains.reshape(compared.tokens.targets.shape).mean(1)
    return int(np.abs(means - means.mean()).argmin())


def weights(tokens: Tokens) -> pd.DataFrame:
    """A row a class that is there: tokens, their share, and the share of the reference's loss."""
    rows = {}
    for kind, mask in list(tokens.masks().items())[1:]:
        loss = tokens.reference_losses[mask].sum() / tokens.reference_losses.sum()
        rows[kind] = {"tokens": mask.sum(), "share": mask.mean(), "loss": loss}
    return pd.DataFrame.from_dict(rows, orient="index")


def by_reference(compared: Compared) -> dict:
    """{label: (middles (BINS,), means (S, BINS))} of each role."""
    base = compared.tokens.reference_losses
    return {QUESTIONS[role]: binned(base, compared.gains(role)) for role in compared.losses}


def by_own_loss(compared: Compared) -> dict:
    """The same by the baseline's own loss, and of the baseline against its next seed."""
    lines = {QUESTIONS[role]: binned(usual, compared.gains(role))
             for role, (usual, _) in compared.losses.items()}
    usual, _ = next(iter(compared.losses.values()))
    if len(usual) > 1:
        lines[ITSELF] = binned(usual, usual - np.roll(usual, 1, 0))
    return lines


def _both(runs, usual: str, small: str) -> tuple[np.ndarray, np.ndarray]:
    """(S, N) losses of both settings, on the seeds that both have, in their order."""
    sides = []
    for setting in (usual, small):
        rows = runs[runs.setting == setting].itertuples()
        sides.append({run.seed: run.probes[-1]["tokens"]["whole"] for run in rows})
    seeds = sorted(sides[0].keys() & sides[1].keys())
    return tuple(np.array([side[seed] for seed in seeds]) for side in sides)
