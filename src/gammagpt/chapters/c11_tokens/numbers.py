"""Gains by class of tokens, by frequency, and token by token: Welch, all compared runs.

A gain is a baseline's loss less that of the treatment, in nats per token. Runs are rows of a frame
(TunedStudy.collect with a reference). Shapes in comments: S runs, N tokens in all.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...analysis.gains import parted
from ...analysis.tuned import difference
from ...data.text import Text, load_text
from ...probes.token_classes import CLASSES, CONSTRAINED, DECILES, TRIVIAL, classes, deciles
from ...probes.token_losses import windows

ALL = "all"
BINS = 8  # of a base loss, with about as many tokens in each
FEWEST = 20  # tokens of a class and tenth that are worth a dot
GAIN = ["recipe", "baseline", "kind", "effect", "low", "high", "resolved"]


@dataclass(frozen=True)
class Tokens:
    """What is known of the validation tokens whose losses records hold, whatever run is asked."""

    text: Text
    inputs: np.ndarray  # (windows, tokens)
    targets: np.ndarray
    kinds: np.ndarray  # (N,): indices of CLASSES
    tenths: np.ndarray  # (N,): by frequency, 0 the rarest
    losses: np.ndarray  # (N,): nats, of the reference run
    variants: dict  # thresholds in words -> (N,) the classes that they make

    def masks(self) -> dict[str, np.ndarray]:
        """{"all" and each class that is there: (N,) whether a token belongs to it}."""
        found = {ALL: np.full(len(self.kinds), True)}
        found |= {name: self.kinds == i for i, name in enumerate(CLASSES)}
        return {name: mask for name, mask in found.items() if mask.any()}


def tokens_of(reference) -> Tokens | None:
    """From the record of the reference run; None if there is none with the losses of tokens."""
    if reference is None or "tokens" not in (reference.probes or [{}])[-1]:
        return None
    variants = {"as on this page": classes(reference)}
    for factor in (0.5, 2):
        trivial, constrained = factor * TRIVIAL, factor * CONSTRAINED
        variants[f"trivial below {trivial:g} nats"] = classes(reference, trivial)
        variants[f"constrained above {constrained:g}"] = classes(reference, TRIVIAL, constrained)
    config = reference.config
    return Tokens(load_text(config.data), *windows(config), classes(reference), deciles(config),
                  np.array(reference.probes[-1]["tokens"]["whole"]), variants)


@dataclass(frozen=True)
class Pair:
    """Two settings that are compared, with the losses of all their runs."""

    recipe: str  # "as usual" or "unigram bias"
    baseline: str
    treatment: str
    runs: tuple  # of the two, frames
    losses: tuple  # of the two, (S, N) nats

    def gain(self, weights) -> dict:
        """Of a weighted sum of the tokens, weights (N,): effect, low, high, resolved."""
        return difference(*(rows.assign(loss=values @ weights)
                            for rows, values in zip(self.runs, self.losses, strict=True)))

    def gains(self) -> np.ndarray:
        """(N,) the gain of each token: mean less mean, over the runs of each side."""
        one, other = (values.mean(0) for values in self.losses)
        return one - other


def pairs(runs, treatment: str) -> list[Pair]:
    """The treatment against every other initialization, recipe by recipe."""
    known = parted(runs)
    measured = known.probes.map(lambda p: bool(p) and "tokens" in p[-1]) if len(known) else []
    known = known[measured] if len(known) else known
    found = []
    for recipe, group in known.groupby("variant", sort=False):
        sides = {init: rows for init, rows in group.groupby("init", sort=False)}
        mine = sides.pop(treatment, None)
        for baseline, rows in sides.items() if mine is not None else ():
            both = rows, mine
            found.append(Pair(recipe, baseline, treatment, both, tuple(map(_losses, both))))
    return found


def _losses(rows) -> np.ndarray:
    return np.array([probes[-1]["tokens"]["whole"] for probes in rows.probes])


def by_class(found: list[Pair], tokens: Tokens) -> pd.DataFrame:
    """A row a pair and class, "all" among them: GAIN."""
    rows = [{"recipe": pair.recipe, "baseline": pair.baseline, "kind": kind}
            | pair.gain(mask / mask.sum())
            for pair in found for kind, mask in tokens.masks().items()]
    return pd.DataFrame(rows, columns=GAIN)


def by_tenth(found: list[Pair], tokens: Tokens) -> pd.DataFrame:
    """GAIN and tenth (1, the rarest, to 10): of each class among tokens that are as frequent."""
    rows = []
    for pair in found:
        for tenth in range(DECILES):
            masks = {kind: mask & (tokens.tenths == tenth) for kind, mask in tokens.masks().items()}
            rows += [{"recipe": pair.recipe, "baseline": pair.baseline, "kind": kind,
                      "tenth": tenth + 1} | pair.gain(mask / mask.sum())
                     for kind, mask in masks.items() if kind != ALL and mask.sum() >= FEWEST]
    return pd.DataFrame(rows, columns=[*GAIN, "tenth"])


def by_threshold(found: list[Pair], tokens: Tokens) -> pd.DataFrame:
    """GAIN, kind being the thresholds: gain on constrained less gain on trivial tokens."""
    rows = []
    for pair in found:
        for words, kinds in tokens.variants.items():
            one, other = ((kinds == CLASSES.index(name)) for name in ("constrained", "trivial"))
            if one.any() and other.any():
                weights = one / one.sum() - other / other.sum()
                rows.append({"recipe": pair.recipe, "baseline": pair.baseline, "kind": words}
                            | pair.gain(weights))
    return pd.DataFrame(rows, columns=GAIN)


def weights(pair: Pair, tokens: Tokens) -> pd.DataFrame:
    """A row a class: its share of the tokens, of the reference's loss, and of the pair's gain."""
    gains, rows = pair.gains(), {}
    for kind, mask in list(tokens.masks().items())[1:]:
        rows[kind] = {"of the tokens": mask.mean(),
                      "of the loss": tokens.losses[mask].sum() / tokens.losses.sum(),
                      "of the gain": gains[mask].sum() / gains.sum()}
    return pd.DataFrame.from_dict(rows, orient="index")


def binned(base, gains) -> pd.DataFrame:
    """base and gain, means over runs, of bins of about as many tokens each; base, gains (S, N).

    Each run's tokens are put in the order of its own base.
    """
    order = np.argsort(base, axis=1, kind="stable")
    cut = [np.array_split(np.take_along_axis(x, order, 1), BINS, 1) for x in (base, gains)]
    base, gain = ([part.mean() for part in parts] for parts in cut)
    return pd.DataFrame({"base": base, "gain": gain})


def by_loss(pair: Pair, tokens: Tokens) -> dict[str, dict[str, pd.DataFrame]]:
    """Gains from easy to hard tokens: {sorted by what: {of what: `binned`}}. Of runs of the
    baseline against each other, too, where there is nothing to gain."""
    usual, small = pair.losses
    runs = min(map(len, pair.losses))
    of = {f"{pair.treatment} over {pair.baseline}": usual[:runs] - small[:runs]}
    of |= {f"{pair.baseline} over itself": usual[:runs] - np.roll(usual[:runs], 1, 0)}
    bases = {"the third model's loss": np.tile(tokens.losses, (runs, 1)),
             f"the loss of {pair.baseline} itself": usual[:runs]}
    return {by: {name: binned(base, gains) for name, gains in of.items()}
            for by, base in bases.items()}


def chosen_window(pair: Pair, tokens: Tokens) -> int:
    """The window whose mean gain is nearest to that over all windows: a rule, not a hand."""
    means = pair.gains().reshape(tokens.targets.shape).mean(1)
    return int(np.abs(means - means.mean()).argmin())
