"""Figures of tokens: on which of them a small initialization gains, class by class and one by one.

Runs are rows of a frame (LearningRateStudy.collect with a reference). What the classes are,
tokens.py says; what a Picture is, figures.py. Shapes in comments: S seeds, N tokens in all.
"""

import html
import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from .claims import paired_interval
from .data.text import Text, load_text
from .figures import COLOURS, LOOKS, MARKERS, Picture, figcaption, nothing, provenance, unfence
from .figures_parts import GREY, dots_and_means, legend_below
from .readings_bias import ROLES
from .tokens import CLASSES, CONTEXT, TRIVIAL, classes, copied, count_losses, windows

GAP = 0.1  # nats: a difference that the coloured passage shows
BINS = 8  # of the base loss, with about as many tokens in each
DRAWS = 2000  # of the bootstrap over documents
PAIR = ("gamma 0.5", "gamma 0.8")  # usual and small, as in the claims


# ---- numbers -------------------------------------------------------------------------------------


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
        found = {"all": np.full(len(self.classes), True)}
        found |= {name: self.classes == i for i, name in enumerate(CLASSES)}
        return {name: mask for name, mask in found.items() if mask.any()}


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
                  count_losses(config).ravel(), whole, short - whole)  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """Two settings, token by token, on the seeds that both have."""

    usual: str
    small: str
    losses: dict[str, tuple[np.ndarray, np.ndarray]]  # role -> (usual (S, N), small (S, N)), nats
    runs: pd.DataFrame  # of both settings, those that diverged too
    tokens: Tokens

    def gains(self, role: str) -> np.ndarray:
        """(S, N): the loss of the usual start less that of the small one, in nats."""
        usual, small = self.losses[role]
        return usual - small


def compare(runs, reference) -> Compared | None:
    """The two settings of the claims, or else the outermost gammas; None if that cannot be."""
    tokens, there = tokens_of(reference), measured(runs)
    order = list(dict.fromkeys(there.sort_values("gamma").setting)) if len(there) else []
    if tokens is None or len(order) < 2:
        return None
    usual, small = PAIR if set(PAIR) <= set(order) else (order[0], order[-1])
    found = {role: _both(there[there.role == role], usual, small) for role in ROLES}
    found = {role: pair for role, pair in found.items() if len(pair[0])}
    asked = runs[runs.setting.isin([usual, small]) & runs.role.isin(ROLES)]
    return Compared(usual, small, found, asked, tokens) if found else None


def measured(runs) -> pd.DataFrame:
    """The compared runs that hold the losses of tokens."""
    if not len(runs):
        return runs
    there = runs.probes.map(lambda probes: bool(probes) and "tokens" in probes[-1])
    return runs[there & (runs.status == "ok") & runs.role.isin(ROLES)]


def class_gains(compared: Compared) -> pd.DataFrame:
    """The gain of the small initialization: a row a role, seed and class, "all" among them.

    Columns: role, seed (counted from 0), kind, gain (nats per token), share (of the usual start's
    loss), part (of the gain of a mean token: these add up).
    """
    rows = []
    for role, (usual, _) in compared.losses.items():
        gains = compared.gains(role)
        for kind, mask in compared.tokens.masks().items():
            gain, base = gains[:, mask].mean(1), usual[:, mask].mean(1)
            rows += [(role, seed, kind, g, g / b, g * mask.mean())
                     for seed, (g, b) in enumerate(zip(gain, base, strict=True))]  # fmt: skip
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
    random, found = np.random.default_rng(0), {}
    draws = random.multinomial(len(numbers), np.full(len(numbers), 1 / len(numbers)), DRAWS)
    for kind, mask in compared.tokens.masks().items():
        sums = [np.bincount(where, mask * x, len(numbers)) for x in (gain, usual, 1.0)]
        total, base, count = (draws @ part for part in sums)
        there = count > 0
        found[kind] = tuple(
            tuple(np.percentile(total[there] / below[there], [2.5, 97.5]))
            for below in (count, base)
        )
    return found


def difference(compared: Compared, role: str, found) -> tuple[float, float, float]:
    """Mean and 95 % interval over seeds of the gain on context tokens less that on trivial ones.

    `found` (N,) are the classes; nan if one of the two has no token.
    """
    context, trivial = (found == CLASSES.index(name) for name in ("context", "trivial"))
    if not (context.any() and trivial.any()):
        return math.nan, math.nan, math.nan
    gains = compared.gains(role)
    return paired_interval(list(gains[:, context].mean(1) - gains[:, trivial].mean(1)), 0.95)


def variants(tokens: Tokens) -> dict[str, np.ndarray]:
    """Name of a variant of the classes -> the classes: each threshold halved and doubled."""
    found, context = {"as it is": tokens.classes}, CLASSES.index("context")
    for limit in (TRIVIAL / 2, TRIVIAL * 2):
        found[f"trivial below {limit:g} nats"] = tokens.classes_at(limit, CONTEXT)
    for limit in (CONTEXT / 2, CONTEXT * 2):
        found[f"context above {limit:g} nats"] = tokens.classes_at(TRIVIAL, limit)
    copied = tokens.classes == CLASSES.index("copied")
    return found | {"copied tokens are context": np.where(copied, context, tokens.classes)}


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


# ---- pictures ------------------------------------------------------------------------------------


def token_classes(compared: Compared | None, tier: str, anchor="fig-token-classes") -> Picture:
    """The mean gain of the small start on each class of tokens, in nats and as a share."""
    if compared is None:
        return nothing(anchor)
    gains = class_gains(compared)
    documents = {role: by_documents(compared, role) for role in compared.losses}
    order = list(gains.kind.unique())

    def draw(figure):
        panels = figure.subplots(1, 2)
        for number, (axes, column) in enumerate(zip(panels, ("gain", "share"), strict=True)):
            _draw_gains(axes, gains, column, order)
            for i, ends in enumerate(documents.values()):
                _draw_documents(axes, {k: pairs[number] for k, pairs in ends.items()}, order, i)
        panels[0].set_ylabel("gain (nats per token)")
        panels[1].set_ylabel("gain, share of the class's loss")
        legend_below(figure, panels)

    names = f"{compared.small} over {compared.usual}"
    alt = f"Gain of {names} by class of tokens, in nats: {_gains_in_words(gains)}."
    caption = (
        f"Loss of {compared.usual} minus loss of {compared.small}. Dots are seeds, bars 95 % "
        "intervals over seeds; the grey bars beside them 95 % intervals over documents "
        f"(bootstrap), of the mean over seeds. {provenance(compared.runs, tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 4.2))


def token_weights(compared: Compared | None, tier: str, anchor="fig-token-weights") -> Picture:
    """How many tokens each class has, what part of the loss, and what part of the mean gain."""
    if compared is None:
        return nothing(anchor)
    table = weights(compared.tokens)
    gains = class_gains(compared)[lambda rows: rows.kind != "all"]

    def draw(figure):
        panels = figure.subplots(1, 2)
        for i, (column, name) in enumerate(WEIGHTS.items()):
            look = {"color": COLOURS[2 + i], "hatch": ("", "//")[i], "label": name}
            panels[0].bar(np.arange(len(table)) + 0.4 * i - 0.2, table[column], 0.4, **look)
        panels[0].set_xticks(range(len(table)), table.index, fontsize=10)
        panels[0].set_ylabel("share")
        panels[0].legend(fontsize=9)
        _draw_gains(panels[1], gains, "part", list(table.index))
        panels[1].set_ylabel("part of the mean gain (nats per token)")
        panels[1].legend(fontsize=9)

    words = [f"{kind} {row.tokens:.0f} ({row.share:.0%} of the tokens, {row.loss:.0%} of the loss)"
             for kind, row in table.iterrows()]  # fmt: skip
    alt = f"Tokens and loss by class: {', '.join(words)}."
    caption = (
        "Left: the loss is that of the reference run. Right: what each class adds to the mean "
        "gain; together they are the gain of all. Dots are seeds, bars 95 % intervals. "
        f"{provenance(compared.runs, tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 3.8))


WEIGHTS = {"share": "of the tokens", "loss": "of the loss"}


def weights(tokens: Tokens) -> pd.DataFrame:
    """A row a class that is there: tokens, their share, and the share of the reference's loss."""
    rows = {}
    for kind, mask in list(tokens.masks().items())[1:]:
        loss = tokens.reference_losses[mask].sum() / tokens.reference_losses.sum()
        rows[kind] = {"tokens": mask.sum(), "share": mask.mean(), "loss": loss}
    return pd.DataFrame.from_dict(rows, orient="index")


def gain_by_loss(compared: Compared | None, tier: str, anchor="fig-gain-by-loss") -> Picture:
    """The gain against the loss that a token has anyway; and what goes wrong if one bins by the
    loss of a run that is itself compared.
    """
    if compared is None:
        return nothing(anchor)
    panels = {
        "binned by the reference run": by_reference(compared),
        f"binned by {compared.usual} itself": by_own_loss(compared),
    }

    def draw(figure):
        grid = figure.subplots(1, 2, sharey=True)
        for axes, (title, lines) in zip(grid, panels.items(), strict=True):
            for i, (label, (middles, means)) in enumerate(lines.items()):
                _draw_bins(axes, middles, means, label, i)
            axes.axhline(0, color=GREY, linestyle=":")
            axes.set_title(title, fontsize=11)
            axes.set_xlabel("base loss of the bin (nats)")
        grid[0].set_ylabel("gain (nats per token)")
        legend_below(figure, grid, columns=3)

    words = "; ".join(f"{title}, {_slopes_in_words(lines)}" for title, lines in panels.items())
    alt = f"Gain of {compared.small} from the easiest to the hardest tokens: {words}."
    caption = (
        f"{BINS} bins of about as many tokens each. Mean over seeds with 95 % intervals. Grey: "
        f"runs of {compared.usual} against each other, where there is nothing to gain. "
        f"{provenance(compared.runs, tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 4.0))


ITSELF = "another seed"


def thresholds(compared: Compared | None, tier: str, anchor="fig-thresholds") -> Picture:
    """The main difference with each threshold halved and doubled, with 95 % over seeds."""
    if compared is None:
        return nothing(anchor)
    made = variants(compared.tokens)
    found = {r: [difference(compared, r, c) for c in made.values()] for r in compared.losses}

    def draw(figure):
        axes = figure.subplots()
        for i, (role, rows) in enumerate(found.items()):
            mean, low, high = np.array(rows).T
            errors = np.nan_to_num([mean - low, high - mean])
            places = np.arange(len(made)) + 0.2 * (i - 0.5)
            axes.errorbar(mean, places, xerr=errors, label=ROLES[role], **_mark(LOOKS[role]))
        axes.axvline(0, color=GREY, linestyle=":")
        axes.set_yticks(range(len(made)), made)
        axes.invert_yaxis()
        axes.set_xlabel("gain on context less gain on trivial tokens (nats per token)")
        legend_below(figure, [axes])

    words = [f"{ROLES[role]}: {_range_in_words([row[0] for row in rows])}"
             for role, rows in found.items()]  # fmt: skip
    alt = f"Gain on context less gain on trivial tokens, by threshold. {'; '.join(words)}."
    caption = f"Mean over seeds with 95 % intervals. {provenance(compared.runs, tier)}"
    return Picture(anchor, draw, alt, caption, (7.2, 3.6))


@dataclass(frozen=True)
class Passage:
    """Real text, each token marked by who predicts it better; show it as the last line of a cell.

    Not by colour alone: where the usual start is better the token is underlined.
    """

    anchor: str
    paragraphs: dict[str, str]  # heading -> HTML
    legend: str  # HTML
    alt: str
    caption: str

    def _repr_html_(self) -> str:
        parts = "".join(
            f"<p><strong>{html.escape(heading)}</strong></p><p class='gg-tokens'>{body}</p>"
            for heading, body in self.paragraphs.items()
        )
        return (
            f"<style>{PASSAGE_STYLE}</style>"
            f'<figure class="gg-figure" id="{self.anchor}" role="group" '
            f'aria-label="{html.escape(self.alt)}">{parts}<p>{self.legend}</p>'
            f"{figcaption(*unfence(self.caption), self.alt)}</figure>"
        )


# Tints of the page's own ground, under the page's own ink: they read on light and on dark.
PASSAGE_STYLE = (
    ".gg-tokens{white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.9;max-width:46rem}"
    ".gg-small{background:rgba(0,131,208,.28)}"
    ".gg-usual{background:rgba(213,94,0,.28);text-decoration:underline 2px #d55e00;"
    "text-underline-offset:.25em}"
    ".gg-small,.gg-usual{border-radius:.2em}"
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
        paragraphs[ROLES[role]] = _marked(compared, at, usual, small)
        better, worse = ((sign * (usual - small) > GAP).sum() for sign in (1, -1))
        words = f"{better} better with {compared.small}, {worse} with {compared.usual}"
        counts.append(f"{ROLES[role]}: {words}")
    alt = f"Text of {shape[1]} tokens, marked one by one. {'; '.join(counts)}."
    why = ": its mean gain is the nearest to that of all" if window is None else ""
    caption = (
        f"Window {at} of 0 to {shape[0] - 1}{why}. Mean over seeds. Point at a token for its class "
        f"and losses. {'; '.join(counts)}. {provenance(compared.runs, tier)}"
    )
    return Passage(anchor, paragraphs, _legend(compared), alt, caption)


def shown(text: Text, token: int) -> str:
    """A token as people can read it: bytes that are no text alone in hex, like ‹E2 80›."""
    if token == len(text.ranks):
        return "⟨end of document⟩"
    data = text.encoding.decode_single_token_bytes(int(token))
    try:
        return data.decode("utf-8").replace("\n", "↵\n")
    except UnicodeDecodeError:
        return f"‹{data.hex(' ').upper()}›"


# ---- parts of figures ----------------------------------------------------------------------------


def _both(runs, usual: str, small: str) -> tuple[np.ndarray, np.ndarray]:
    """(S, N) losses of both settings, on the seeds that both have, in their order."""
    sides = []
    for setting in (usual, small):
        rows = runs[runs.setting == setting].itertuples()
        sides.append({run.seed: run.probes[-1]["tokens"]["whole"] for run in rows})
    seeds = sorted(sides[0].keys() & sides[1].keys())
    return tuple(np.array([side[seed] for seed in seeds]) for side in sides)


def _mark(i: int) -> dict:
    return {"color": COLOURS[i], "marker": MARKERS[i], "linestyle": "none", "capsize": 3}


def _draw_gains(axes, gains, column: str, order) -> None:
    """Dots and intervals over seeds, a place of the axis a class, roles side by side."""
    for i, (role, mine) in enumerate(gains.groupby("role", sort=False)):
        beside = mine.assign(x=mine.kind.map(order.index) + 0.24 * (i - 0.5))
        dots_and_means(axes, beside, column, LOOKS[role], ROLES[role], line=False)
    axes.axhline(0, color=GREY, linestyle=":")
    axes.set_xticks(range(len(order)), order, fontsize=10)


def _draw_documents(axes, ends: dict, order, i: int) -> None:
    for kind, (low, high) in ends.items():
        axes.vlines(order.index(kind) + 0.24 * (i - 0.5) + 0.09, low, high, color=GREY)


def _draw_bins(axes, middles, means, label: str, i: int) -> None:
    mean, low, high = np.array([paired_interval(list(column), 0.95) for column in means.T]).T
    look = {**_mark(i), "linestyle": "-", "markersize": 4, "capsize": 2}
    look |= {"color": GREY, "marker": "x"} if label == ITSELF else {}
    errors = np.nan_to_num([mean - low, high - mean])
    axes.errorbar(middles, mean, yerr=errors, label=label, **look)


def by_reference(compared: Compared) -> dict:
    """{label: (middles (BINS,), means (S, BINS))} of each role."""
    base = compared.tokens.reference_losses
    return {ROLES[role]: binned(base, compared.gains(role)) for role in compared.losses}


def by_own_loss(compared: Compared) -> dict:
    """The same by the usual start's own loss, and of the usual start against its next seed."""
    found = {ROLES[role]: binned(usual, compared.gains(role))
             for role, (usual, _) in compared.losses.items()}  # fmt: skip
    usual, _ = next(iter(compared.losses.values()))
    if len(usual) > 1:
        found[ITSELF] = binned(usual, usual - np.roll(usual, 1, 0))
    return found


def _marked(compared: Compared, window: int, usual, small) -> str:
    """The HTML of one window: the first token as it is, since nothing predicts it."""
    tokens = compared.tokens
    kinds = tokens.classes.reshape(tokens.targets.shape)[window]
    parts = [html.escape(shown(tokens.text, tokens.inputs[window, 0]))]
    for token, kind, a, b in zip(tokens.targets[window], kinds, usual, small, strict=True):
        mark = "gg-small" if a - b > GAP else "gg-usual" if b - a > GAP else "gg-same"
        words = f"{compared.usual} {a:.2f}, {compared.small} {b:.2f} nats, gain {a - b:+.2f}"
        title = html.escape(f"{CLASSES[kind]}: {words}")
        body = html.escape(shown(tokens.text, token))
        parts.append(f'<span class="{mark}" title="{title}">{body}</span>')
    return "".join(parts)


def _legend(compared: Compared) -> str:
    small, usual = map(html.escape, (compared.small, compared.usual))
    return (
        f'<span class="gg-small">Tinted: {small} is better</span> by more than {GAP:g} nats. '
        f'<span class="gg-usual">Tinted and underlined: {usual} is better</span> by more than '
        "that. Neither: about the same."
    )


# ---- words ---------------------------------------------------------------------------------------


def _gains_in_words(gains) -> str:
    """'one common learning rate: all +0.21, trivial +0.02, ...; each at its own best: ...'."""
    means = gains.groupby(["role", "kind"], sort=False).gain.mean()
    parts = {}
    for (role, kind), value in means.items():
        parts.setdefault(role, []).append(f"{kind} {value:+.3f}")
    return "; ".join(f"{ROLES[role]}: {', '.join(words)}" for role, words in parts.items())


def _slopes_in_words(lines) -> str:
    """The first and the last bin of each line."""
    ends = {label: means.mean(0)[[0, -1]] for label, (_, means) in lines.items()}
    return ", ".join(f"{label} {a:+.2f} to {b:+.2f} nats" for label, (a, b) in ends.items())


def _range_in_words(values) -> str:
    known = [value for value in values if value == value]
    if len(known) < len(values):
        return "a class without tokens leaves it open"
    return f"{values[0]:+.3f} as it is, {min(known):+.3f} to {max(known):+.3f} over all"
