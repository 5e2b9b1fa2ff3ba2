"""Figures of tokens: on which of them a small initialization gains, class by class and one by one.

Runs are rows of a frame (LearningRateStudy.collect with a reference). Numbers: numbers.py.
"""

import html
from dataclasses import dataclass

import pandas as pd

from ...analysis.pictures import by_question
from ...analysis.tokens import GAP, shown
from ...ledger.estimate import QUESTIONS, number
from ...plots import GREY, NATS, Bars, Estimates, Picture, Source, compose, nothing, provenance
from ...plots.estimates import dodge
from ...plots.picture import figcaption
from ...probes.token_losses import CLASSES
from .numbers import (
    BINS,
    ITSELF,
    Compared,
    by_documents,
    by_own_loss,
    by_reference,
    chosen_window,
    class_gains,
    difference,
    variants,
    weights,
)

WEIGHTS = {"share": "of the tokens", "loss": "of the loss"}
SEEDS = "Dots are seeds, bars 95 % intervals"


def token_classes(compared: Compared | None, tier: str, anchor="fig-token-classes") -> Picture:
    """The mean gain of the small initialization on each class of tokens, in nats and as a share."""
    if compared is None:
        return nothing(anchor)
    table = by_question(class_gains(compared))
    documents = {role: by_documents(compared, role) for role in compared.losses}

    def panel(number, column, label, **more):
        def over_documents(axes):
            for i, ends in enumerate(documents.values()):
                for place, kind in enumerate(table.kind.unique()):
                    if kind in ends:
                        x = place + dodge(i, len(documents)) + 0.09
                        axes.vlines(x, *ends[kind][number], color=GREY)

        return Estimates(table=table, x="kind", y=column, hue="question", zero=0, label=label,
                         also=over_documents, **more)

    panels = [panel(0, "gain", f"gain ({NATS})", form="+.3f", interval=False),
              panel(1, "share", "gain, share of the class's loss", told=lambda: "")]
    caption = (f"Loss of {compared.usual} minus loss of {compared.small}. {SEEDS} over seeds; the "
               "grey bars beside them 95 % intervals over documents (bootstrap), of the mean over "
               "seeds.")
    head = f"Gain of {compared.small} over {compared.usual} by class of tokens, in nats"
    return compose(anchor, head, [panels], caption=caption, share=(False, False),
                   source=provenance(compared.runs, tier), size=(7.2, 4.2))


def token_weights(compared: Compared | None, tier: str, anchor="fig-token-weights") -> Picture:
    """How many tokens each class has, what part of the loss, and what part of the mean gain."""
    if compared is None:
        return nothing(anchor)
    table = weights(compared.tokens)
    gains = by_question(class_gains(compared)[lambda rows: rows.kind != "all"])
    words = [f"{kind} {row.tokens:.0f} ({row.share:.0%} of the tokens, {row.loss:.0%} of the loss)"
             for kind, row in table.iterrows()]
    looks = {"of the tokens": ("#009e73", {}), "of the loss": ("#cc79a7", {"hatch": "//"})}
    left = Bars(table=table[list(WEIGHTS)].rename(columns=WEIGHTS), colours=looks, label="share",
                told=lambda: ", ".join(words))
    right = Estimates(table=gains, x="kind", y="part", hue="question", zero=0,
                      order=tuple(table.index), told=lambda: "",
                      label=f"part of the mean gain ({NATS})")
    caption = ("Left: the loss is that of the reference run. Right: what each class adds to the "
               f"mean gain; together they are the gain of all. {SEEDS}.")
    return compose(anchor, "Tokens and loss by class", [[left, right]], caption=caption,
                   share=(False, False), source=provenance(compared.runs, tier), size=(7.2, 4.0))


def gain_by_loss(compared: Compared | None, tier: str, anchor="fig-gain-by-loss") -> Picture:
    """The gain against the loss that a token has anyway; and what goes wrong if one bins by the
    loss of a run that is itself compared.
    """
    if compared is None:
        return nothing(anchor)
    panels = [_bins(title, lines) for title, lines in (
        ("binned by the reference run", by_reference(compared)),
        (f"binned by {compared.usual} itself", by_own_loss(compared)))]
    caption = (f"{BINS} bins of about as many tokens each. Mean over seeds with 95 % intervals. "
               f"{ITSELF.capitalize()}: runs of {compared.usual} against each other, where there "
               "is nothing to gain.")
    return compose(anchor, f"Gain of {compared.small} from the easiest to the hardest tokens, "
                   "first and last bin, in nats", [panels], caption=caption,
                   source=provenance(compared.runs, tier), size=(7.2, 4.0))


def _bins(title: str, lines: dict) -> Estimates:
    rows = [(label, middle, gain) for label, (middles, means) in lines.items()
            for seed in means for middle, gain in zip(middles, seed, strict=True)]
    table = pd.DataFrame(rows, columns=["of", "x", "y"])
    ends = [f"{label} {number(means.mean(0)[0], '+.2f')} to {number(means.mean(0)[-1], '+.2f')}"
            for label, (_, means) in lines.items()]
    return Estimates(table=table, x="x", y="y", hue="of", line=True, dots=False, zero=0,
                     apart=False, title=title, label=f"gain ({NATS})", few=True,
                     xlabel="base loss of the bin (nats)", told=lambda: ", ".join(ends))


def thresholds(compared: Compared | None, tier: str, anchor="fig-thresholds") -> Picture:
    """The main difference with each threshold halved and doubled, with 95 % over seeds."""
    if compared is None:
        return nothing(anchor)
    rows = [(role, name, *difference(compared, role, classes))
            for role in compared.losses for name, classes in variants(compared.tokens).items()]
    table = by_question(pd.DataFrame(rows, columns=["role", "variant", "mean", "low", "high"]))
    told = [f"{question}: {_range(group['mean'])}"
            for question, group in table.groupby("question", sort=False)]
    panel = Estimates(table=table, x="variant", y="mean", hue="question", upright=False, zero=0,
                      xlabel=f"gain on context less gain on trivial tokens ({NATS})")
    return compose(anchor, "Gain on context less gain on trivial tokens, by threshold", [panel],
                   told="; ".join(told), caption="Mean over seeds with 95 % intervals.",
                   source=provenance(compared.runs, tier), size=(7.2, 3.6))


def _range(values) -> str:
    if values.isna().any():
        return "a class without tokens leaves it open"
    least, most = number(values.min(), "+.3f"), number(values.max(), "+.3f")
    return f"{number(values.iloc[0], '+.3f')} as it is, {least} to {most} over all"


@dataclass(frozen=True)
class Passage:
    """Real text, each token marked by who predicts it better; show it as the last line of a cell.

    By elements and not by classes, whose styles a notebook that is not trusted loses.
    """

    anchor: str
    paragraphs: dict[str, str]  # heading -> HTML
    legend: str  # HTML
    alt: str
    caption: str
    source: Source

    def _repr_html_(self) -> str:
        parts = "".join(
            f"<p><strong>{html.escape(heading)}</strong></p><p class='gg-tokens'>{body}</p>"
            for heading, body in self.paragraphs.items()
        )
        return (
            f'<figure class="gg-figure" id="{self.anchor}" role="group" '
            f'aria-label="{html.escape(self.alt)}">{parts}<p>{self.legend}</p>'
            f"{figcaption(self.caption, self.source, self.alt)}</figure>"
        )


def passage(
    compared: Compared | None, tier: str, window: int | None = None, anchor="fig-passage"
) -> Passage | Picture:
    """A window of the validation text, marked token by token, for both questions.

    By default the window whose mean gain is nearest to the mean over all (of the first role).
    """
    if compared is None:
        return nothing(anchor)
    shape, paragraphs, counts = compared.tokens.targets.shape, {}, []
    at = chosen_window(compared) if window is None else window
    for role, pair in compared.losses.items():
        usual, small = (side.mean(0).reshape(shape)[at] for side in pair)
        paragraphs[QUESTIONS[role]] = _marked(compared, at, usual, small)
        better, worse = ((sign * (usual - small) > GAP).sum() for sign in (1, -1))
        words = f"{better} better with {compared.small}, {worse} with {compared.usual}"
        counts.append(f"{QUESTIONS[role]}: {words}")
    alt = f"Text of {shape[1]} tokens, marked one by one. {'; '.join(counts)}."
    why = ": its mean gain is the nearest to that of all" if window is None else ""
    caption = (
        f"Window {at} of 0 to {shape[0] - 1}{why}. Mean over seeds. Point at a token for its class "
        f"and losses. {'; '.join(counts)}."
    )
    source = provenance(compared.runs, tier)
    return Passage(anchor, paragraphs, _legend(compared), alt, caption, source)


def _marked(compared: Compared, window: int, usual, small) -> str:
    """The HTML of one window: the first token as it is, since nothing predicts it."""
    tokens = compared.tokens
    kinds = tokens.classes.reshape(tokens.targets.shape)[window]
    parts = [html.escape(shown(tokens.text, tokens.inputs[window, 0]))]
    for token, kind, a, b in zip(tokens.targets[window], kinds, usual, small, strict=True):
        mark = "mark" if a - b > GAP else "u" if b - a > GAP else "span"
        words = f"{compared.usual} {a:.2f}, {compared.small} {b:.2f} nats, gain {a - b:+.2f}"
        title = html.escape(f"{CLASSES[kind]}: {words}")
        body = html.escape(shown(tokens.text, token))
        parts.append(f'<{mark} title="{title}">{body}</{mark}>')
    return "".join(parts)


def _legend(compared: Compared) -> str:
    small, usual = map(html.escape, (compared.small, compared.usual))
    return (
        f"<mark>Marked: {small} is better</mark> by more than {GAP:g} nats. "
        f"<u>Underlined: {usual} is better</u> by more than that. Neither: about the same."
    )
