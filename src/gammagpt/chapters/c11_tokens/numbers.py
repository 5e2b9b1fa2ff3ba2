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
from ...probes.token_classes import (
    CLASSES,
    CONSTRAINED,
    DECILES,
    TRIVIAL,
    classes,
    deciles,
    windows,
)

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
    losses: np.ndarray  # (N,): nats, of the third model
    variants: dict  # thresholds in words -> (N,) the classes that they make

    def masks(self) -> dict[str, np.ndarray]:
        """{"all" and each class that is there: (N,) whether a token belongs to it}."""
        found = {ALL: np.full(len(self.kinds), True)}
        found |= {name: self.kinds == i for i, name in enumerate(CLASSES)}
        return {name: mask for name, mask in found.items() if mask.any()}


def tokens_of(reference) -> Tokens | None:
    """From the record of the third model; None if there is none with the losses of tokens."""
    if reference is None or "tokens" not in (reference.probes or [{}])[-1]:
        return None
    variants = {"as on this page": classes(reference)}
    for trivial in (TRIVIAL / 2, 2 * TRIVIAL):
        variants[f"trivial below {trivial:g} nats"] = classes(reference, trivial)
    for constrained in (CONSTRAINED / 2, 2 * CONSTRAINED):
        words = f"constrained above {constrained:g} nats"
        variants[words] = classes(reference, TRIVIAL, constrained)
    config, losses = reference.config, reference.probes[-1]["tokens"]["whole"]
    return Tokens(load_text(config.data), *windows(config), classes(reference), deciles(config),
                  np.array(losses), variants)


@dataclass(frozen=True)
class Pair:
    """Two settings that are compared, with the losses of all their runs."""

    recipe: str  # "as usual" or "unigram bias"
    baseline: str
    treatment: str
    runs: tuple  # of the two, frames
    losses: tuple  # of the two, (S, N) nats

    def gains(self) -> np.ndarray:
        """(N,) the gain of each token: mean less mean, over the runs of each side."""
        one, other = (values.mean(0) for values in self.losses)
        return one - other


def pairs(runs, treatment: str) -> list[Pair]:
    """The treatment against every other initialization, recipe by recipe."""
    known = parted(runs)
    known = known[np.array([bool(p) and "tokens" in p[-1] for p in known.probes], bool)]
    sides = {key: (rows, np.array([p[-1]["tokens"]["whole"] for p in rows.probes]))
             for key, rows in known.groupby(["variant", "init"], sort=False)}
    found = []
    for (recipe, baseline), usual in sides.items():
        if baseline != treatment and (small := sides.get((recipe, treatment))):
            found.append(Pair(recipe, baseline, treatment, *zip(usual, small, strict=True)))
    return found


def gains(found: list[Pair], weights: dict) -> pd.DataFrame:
    """A row a pair and a weighted sum of the tokens, kind -> (N,): GAIN."""
    rows = [
        {"recipe": pair.recipe, "baseline": pair.baseline, "kind": kind}
        | difference(*(rows.assign(loss=losses @ weight)
                       for rows, losses in zip(pair.runs, pair.losses, strict=True)))
        for pair in found for kind, weight in weights.items()
    ]
    return pd.DataFrame(rows, columns=GAIN)


def by_class(found: list[Pair], tokens: Tokens | None) -> pd.DataFrame:
    """The gain on each class, "all" among them."""
    masks = tokens.masks() if tokens else {}
    return gains(found, {kind: mask / mask.sum() for kind, mask in masks.items()})


def by_tenth(found: list[Pair], tokens: Tokens) -> pd.DataFrame:
    """With tenth (1, the rarest, to 10): the gain on each class of tokens that are as frequent."""
    cut = {(kind, tenth + 1): mask & (tokens.tenths == tenth)
           for kind, mask in tokens.masks().items() if kind != ALL for tenth in range(DECILES)}
    table = gains(found, {k: mask / mask.sum() for k, mask in cut.items() if mask.sum() >= FEWEST})
    return table.assign(tenth=[tenth for _, tenth in table.kind],
                        kind=[kind for kind, _ in table.kind])


def by_threshold(found: list[Pair], tokens: Tokens) -> pd.DataFrame:
    """The gain on constrained less that on trivial tokens; kind: the thresholds."""
    masks = {words: (kinds == 1, kinds == 0) for words, kinds in tokens.variants.items()}
    return gains(found, {words: one / one.sum() - other / other.sum()
                         for words, (one, other) in masks.items() if one.any() and other.any()})


def weights(pair: Pair, tokens: Tokens) -> pd.DataFrame:
    """A row a class: its share of the tokens, of the third model's loss, and of the gain."""
    of = {"of the tokens": np.ones(len(tokens.kinds)), "of the loss": tokens.losses,
          "of the gain": pair.gains()}
    masks = {kind: mask for kind, mask in tokens.masks().items() if kind != ALL}
    return pd.DataFrame({name: {kind: values[mask].sum() / values.sum()
                                for kind, mask in masks.items()} for name, values in of.items()})


def binned(base, gains) -> pd.DataFrame:
    """base and gain, means over runs, of bins of about as many tokens each; base, gains (S, N).

    Each run's tokens are put in the order of its own base.
    """
    order = np.argsort(base, axis=1, kind="stable")
    cut = [np.array_split(np.take_along_axis(x, order, 1), BINS, 1) for x in (base, gains)]
    base, gain = ([part.mean() for part in parts] for parts in cut)
    return pd.DataFrame({"base": base, "gain": gain})


def by_loss(pair: Pair, tokens: Tokens) -> pd.DataFrame:
    """`binned` gains from easy to hard tokens: by (whose loss sorts them), of (whose gain). Runs
    of the baseline against each other are there, too, where there is nothing to gain."""
    runs = min(map(len, pair.losses))
    usual, small = (losses[:runs] for losses in pair.losses)
    of = {f"{pair.treatment} over {pair.baseline}": usual - small,
          f"{pair.baseline} over itself": usual - np.roll(usual, 1, 0)}
    bases = {"the third model": np.tile(tokens.losses, (runs, 1)), f"{pair.baseline} itself": usual}
    return pd.concat([binned(base, own).assign(by=by, of=name)
                      for by, base in bases.items() for name, own in of.items()])


def chosen_window(pair: Pair, tokens: Tokens) -> int:
    """The window whose mean gain is nearest to that over all windows: a rule, not a hand."""
    means = pair.gains().reshape(tokens.targets.shape).mean(1)
    return int(np.abs(means - means.mean()).argmin())
