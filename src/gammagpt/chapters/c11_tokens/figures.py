"""Figures of tokens: on which of them a small initialization gains, class by class and one by one.

Numbers: numbers.py. `found`: its pairs; those of the papers' baseline come first. `tokens`: None
without the third model's record; then, or without runs, there is nothing to show.
"""

import html
from dataclasses import dataclass

from ...analysis.tokens import GAP, shown
from ...analysis.tuned import MARGIN
from ...plots import EDGE, NATS, SHADE, Bars, Estimates, Picture, Source, compose
from ...plots.picture import figcaption, nothing, provenance
from ...probes.token_classes import CLASSES
from . import numbers
from .numbers import Pair, Tokens

WELCH = f"95 % intervals (Welch); {EDGE}, or a run collapsed."
COLOURS = {"of the tokens": ("#999999", {}), "of the loss": ("#cc79a7", {"hatch": "//"}),
           "of the gain": ("#009e73", {"hatch": "xx"})}


def token_weights(found: list[Pair], tokens: Tokens | None, tier: str) -> Picture:
    """What part of the tokens, of the loss and of the gain each class has; a panel a recipe."""
    found = _papers(found)
    panels = [Bars(table=numbers.weights(pair, tokens), colours=COLOURS, label="share", form=".0%",
                   title=pair.recipe) for pair in found if tokens]
    return _composed("fig-token-weights", "Shares of the tokens, of the loss and of the gain that "
                     "each class has", panels, found, tier,
                     "The loss is that of the third model.")


def token_gains(found: list[Pair], tokens: Tokens | None, tier: str) -> Picture:
    """The gain on each class of tokens, over each baseline; a panel a recipe."""
    panels = _panels(numbers.by_class(found, tokens), "recipe", x="kind", y="effect",
                     hue="baseline", form="+.3f", also=_band)
    return _composed("fig-token-gains", "Gain by class of tokens", panels, found, tier,
                     f"Grey: within ±{MARGIN:g} nats. {WELCH}")


def _band(axes):
    axes.axhspan(-MARGIN, MARGIN, **SHADE)


def token_deciles(found: list[Pair], tokens: Tokens | None, tier: str) -> Picture:
    """The gain by frequency of the token, class by class; a panel a recipe."""
    found = _papers(found)
    panels = _panels(numbers.by_tenth(found, tokens), "recipe", x="tenth", y="effect", hue="kind",
                     form="+.2f", line=True, only="ends", interval=False, place="tenth {:g}".format,
                     xlabel="tenth, from rare to frequent") if tokens else []
    return _composed("fig-token-deciles", "Gain by frequency, in the rarest and the most frequent "
                     "tenth of the tokens", panels, found, tier, WELCH)


def thresholds(found: list[Pair], tokens: Tokens | None, tier: str) -> Picture:
    """The main difference with each threshold halved and doubled."""
    found = _papers(found)
    panels = _panels(numbers.by_threshold(found, tokens), "recipe", x="kind", y="effect",
                     upright=False, form="+.3f") if tokens else []
    return _composed("fig-token-thresholds", "Gain on constrained less gain on trivial tokens, by "
                     "threshold", panels, found, tier, WELCH, share=("all", "all"))


def gain_by_loss(pair: Pair | None, tokens: Tokens | None, tier: str) -> Picture:
    """The gain against the loss that a token has anyway; and what goes wrong if one bins by the
    loss of a run that is itself compared."""
    panels = _panels(numbers.by_loss(pair, tokens), "by", "sorted by the loss of ", x="base",
                     y="gain", hue="of", line=True, apart=False, dots=False, few=True, form="+.2f",
                     interval=False, only="ends", place="{:.1f} nats".format,
                     xlabel="loss of the bin") if pair and tokens else []
    return _composed("fig-gain-by-loss", f"Gain from the easiest to the hardest of {numbers.BINS} "
                     "bins", panels, [pair], tier, "Bins of as many tokens each.")


def _papers(found: list[Pair]) -> list[Pair]:
    """The pairs of every recipe with the papers' baseline."""
    return [pair for pair in found if pair.baseline == found[0].baseline]


def _panels(table, by: str, words: str = "", **look) -> list[Estimates]:
    """A panel a value of the column `by`."""
    axis = "label" if look.get("upright", True) else "xlabel"
    return [Estimates(table=rows, title=f"{words}{name}", zero=0, **{axis: f"gain ({NATS})"} | look)
            for name, rows in table.groupby(by, sort=False)]


def _composed(anchor: str, head: str, panels, found, tier: str, caption: str, share=("none", "row")
              ) -> Picture:
    if not panels:
        return nothing(anchor)
    return compose(anchor, head, [panels], caption=caption, size=(7.2, 3.8), legend=3,
                   share=share, source=_source(found, tier))


def _source(found: list[Pair], tier: str) -> Source:
    return provenance([rows for pair in found for rows in pair.runs], tier)


@dataclass(frozen=True)
class Passage:
    """Real text, each token marked by who predicts it better; show it as the last line of a cell.

    By elements and not by classes, whose styles a notebook that is not trusted loses.
    """

    anchor: str
    body: str  # HTML
    legend: str  # HTML
    alt: str
    caption: str
    source: Source

    def _repr_html_(self) -> str:
        return (
            f'<figure class="gg-figure" id="{self.anchor}" role="group" '
            f'aria-label="{html.escape(self.alt)}"><p class="gg-tokens">{self.body}</p>'
            f"<p>{self.legend}</p>{figcaption(self.caption, self.source, self.alt)}</figure>"
        )


def passage(pair: Pair | None, tokens: Tokens | None, tier: str,
            window: int | None = None) -> Passage | Picture:
    """A window of the validation text, marked token by token; by default the window whose mean
    gain is nearest to the mean over all."""
    if not (pair and tokens):
        return nothing("fig-passage")
    shape = tokens.targets.shape
    at = numbers.chosen_window(pair, tokens) if window is None else window
    gains = pair.gains().reshape(shape)[at]
    count = {sign: int((sign * gains > GAP).sum()) for sign in (1, -1)}
    counts = (f"{count[1]} better with {pair.treatment}, {count[-1]} with {pair.baseline}")
    why = ": its mean gain is the nearest to that of all" if window is None else ""
    small, usual = map(html.escape, (pair.treatment, pair.baseline))
    return Passage(
        "fig-passage", _marked(tokens, at, gains),
        f"<mark>Marked: {small} is better</mark> by more than {GAP:g} nats. <u>Underlined: {usual} "
        f"is better</u> by more than that. <b>Bold: {CLASSES[1]}</b>, <i>italic: {CLASSES[0]}</i>.",
        f"Text of {shape[1]} tokens, marked one by one: {counts}.",
        f"Window {at} of 0 to {shape[0] - 1}{why}. Means over the runs of each side. Point at a "
        f"token for its class and gain. {counts}.", _source([pair], tier))


def _marked(tokens: Tokens, window: int, gains) -> str:
    """The HTML of one window: the first token as it is, since nothing predicts it."""
    kinds = tokens.kinds.reshape(tokens.targets.shape)[window]
    parts = [html.escape(shown(tokens.text, tokens.inputs[window, 0]))]
    for token, kind, gain in zip(tokens.targets[window], kinds, gains, strict=True):
        mark = "mark" if gain > GAP else "u" if gain < -GAP else "span"
        word = html.escape(shown(tokens.text, token))
        inner = {0: f"<i>{word}</i>", 1: f"<b>{word}</b>"}.get(kind, word)
        parts.append(f'<{mark} title="{CLASSES[kind]}, gain {gain:+.2f}">{inner}</{mark}>')
    return "".join(parts)
