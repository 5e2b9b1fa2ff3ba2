"""Figures on what a small initialization gains on texts that ask to reason, and on others.

Runs are rows of a frame (sweep.frame, with roles) on a mixture of texts. Numbers: readings_gains.
"""

import numpy as np

from .data.text import corpora
from .figures import LOOKS, Picture, looks, nothing, provenance, style
from .figures_parts import (
    GREY,
    SHADE,
    band,
    dot,
    dots_and_means,
    error_bars,
    legend_below,
    panels_of,
)
from .measures import REASONING, unigrams
from .readings_bias import ROLES
from .readings_gains import (
    along,
    answer_scores,
    at_equal_loss,
    compared,
    data_of,
    floors,
    gains,
    sides,
)
from .words import interval, shown

KINDS = {"chain": "logic", "sum": "arithmetic", "recall": "facts"}  # questions -> their text
SCORES = {"accuracy": "share of the tokens asked", "exact": "share of whole answers"}
TRAINED = 3  # steps of the longest problem in a training text


def curves(runs, tier: str, anchor: str = "fig-text-curves") -> Picture:
    """The loss of every text along training, as a share of that of guessing by frequency."""
    runs = compared(runs)
    if not len(runs):
        return nothing(anchor)
    data = data_of(runs)
    names, chance, low = corpora(data), unigrams(data), floors(data)

    def draw(figure):
        panels = panels_of(figure, len(names))
        for axes, name in zip(panels, names, strict=True):
            for setting, i in looks(runs.setting).items():
                mine = runs[runs.setting == setting]
                steps, values = _curves(mine, name)
                tokens = steps * mine.batch_size.iloc[0] * mine.block_size.iloc[0] / 1e6
                band(axes, tokens, values / chance[name], label=setting, **style(i))
            if name in low:
                axes.axhline(low[name] / chance[name], color=GREY, linestyle=":")
            axes.set(title=name, ylim=(0, 1.25))
        for axes in panels[-3:]:
            axes.set_xlabel("tokens (millions)")
        panels[0].set_ylabel("share of guessing left")
        legend_below(figure, panels)

    ends = [f"{name}: " + ", ".join(
        f"{setting} {(_curves(mine, name)[1][:, -1] / chance[name]).mean():.2f}"
        for setting, mine in runs.groupby("setting", sort=False)) for name in names]  # fmt: skip
    alt = f"Share of the loss of guessing that is left at the end. {'; '.join(ends)}."
    caption = (
        "Mean over seeds; the band is their range. Dotted: what is left to who knows how the text "
        f"is made, where that can be computed. {provenance(runs, tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 0.8 + 2.3 * -(-len(names) // 3)))


def text_gains(runs, tier: str, anchor: str = "fig-gains") -> Picture:
    """The gain of the small start on every text, in nats and as a logarithm."""
    found = gains(runs)
    if not len(found):
        return nothing(anchor)
    names, pair = list(found.text.unique()), sides(compared(runs))

    def draw(figure):
        panels = figure.subplots(1, 2)
        for axes, column in zip(panels, ("nats", "log"), strict=True):
            for i, role in enumerate(found.role.unique()):
                mine = found[found.role == role]
                mine = mine.assign(x=mine.text.map(names.index) + 0.2 * (i - 0.5))
                dots_and_means(axes, mine, column, LOOKS[role], ROLES[role], line=False)
            _text_axis(axes, names)
        panels[0].set_ylabel("gain (nats per token)")
        panels[1].set_ylabel("gain (ln of the factor)")
        legend_below(figure, panels)

    alt = f"Gain of {pair[1]} over {pair[0]} by text, ln of the factor. {_told(found, 'log')}."
    caption = (
        f"Loss of {pair[0]} over, or minus, that of {pair[1]}. Dots are seeds, bars 95 % "
        "intervals; shaded: texts that ask to reason. "
        f"{provenance(_of_pair(runs), tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 4.2))


def headroom(runs, tier: str, anchor: str = "fig-headroom") -> Picture:
    """The gain against what the usual start has left to gain; hollow: beyond the text's floor."""
    found = gains(runs)
    if not len(found):
        return nothing(anchor)
    names, pair = list(found.text.unique()), sides(compared(runs))

    def draw(figure):
        panels = panels_of(figure, found.role.nunique())
        for axes, role in zip(panels, found.role.unique(), strict=True):
            for i, name in enumerate(names):
                mine = found[(found.role == role) & (found.text == name)]
                x, look = mine.left.mean(), {"linestyle": "none"}
                error_bars(axes, [(x, mine.log)], label=name, **look, **dot(i))
                if mine.beyond.notna().all():  # beside it, for the two may be alike
                    error_bars(axes, [(x + 0.02, mine.beyond)], **look, **dot(i, hollow=True))
            axes.axhline(0, color=GREY, linestyle=":")
            axes.set(title=ROLES[role], xlabel=f"share of guessing left with {pair[0]}")
        panels[0].set_ylabel("gain (ln of the factor)")
        legend_below(figure, panels)

    left = found.groupby("text", sort=False).left.mean()
    rest = ", ".join(f"{name} {value:.2f}" for name, value in left.items())
    alt = f"Gain by text against the share of guessing that {pair[0]} has left. Left: {rest}. "
    alt += f"Beyond the floor: {_told(found.dropna(subset=['beyond']), 'beyond')}."
    caption = (
        "Filled: of the whole loss; hollow, a little to the right: of the loss above the text's "
        "floor, where that can be computed. Mean over seeds with 95 % intervals. "
        f"{provenance(_of_pair(runs), tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 4.2))


def answers(runs, tier: str, score: str = "accuracy", anchor: str = "fig-answers") -> Picture:
    """Answers by the number of steps, a column a text and a row a question of learning rates."""
    scores = answer_scores(runs)
    scores = scores[scores.score == score]
    if not len(scores):
        return nothing(anchor)
    roles = [role for role in ROLES if role in set(scores.role)]
    kinds = [kind for kind in KINDS if kind in set(scores.kind)]

    def draw(figure):
        widths = [1 + scores[scores.kind == kind].depth.nunique() for kind in kinds]
        grid = figure.subplots(len(roles), len(kinds), squeeze=False, sharey=True,
                               width_ratios=widths)  # fmt: skip
        for row, role in zip(grid, roles, strict=True):
            for axes, kind in zip(row, kinds, strict=True):
                _draw_answers(axes, scores[(scores.role == role) & (scores.kind == kind)], kind)
            row[0].set_ylabel(ROLES[role], fontsize=10)
        for axes, kind in zip(grid[0], kinds, strict=True):
            axes.set_title(KINDS[kind], fontsize=11)
        for axes in grid[:-1].ravel():
            axes.set_xlabel("")
        figure.suptitle(SCORES[score], fontsize=11)
        legend_below(figure, grid)

    words = [f"{ROLES[role]}: {_answers_told(scores[scores.role == role])}" for role in roles]
    alt = f"Answers right, {SCORES[score]}, means over all depths. {'; '.join(words)}."
    caption = (
        "Dots are runs, bars 95 % intervals; right of the dotted line no problem in the training "
        f"text has as many steps. {provenance(compared(runs), tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 0.8 + 2.5 * len(roles)))


def without_clock(runs, tier: str, anchor: str = "fig-lead-without-clock") -> Picture:
    """The lead of reasoning against the mean loss of all texts: how far a run has come in all."""
    runs = compared(runs)
    if not len(runs) or not {*corpora(data_of(runs))} & {*REASONING}:
        return nothing(anchor)

    def draw(figure):
        panels = panels_of(figure, runs.role.nunique())
        for axes, role in zip(panels, runs.role.unique(), strict=True):
            chosen = runs[runs.role == role]
            for setting, i in looks(chosen.setting).items():
                mine = chosen[chosen.setting == setting]
                for number, (_, run) in enumerate(mine.iterrows()):
                    way, look = along(run), {"color": style(i)["color"]}
                    label = setting if number == 0 else None
                    axes.plot(way.loss, way.lead, linewidth=1, alpha=0.8, label=label, **look)
                    axes.plot(way.loss.iloc[-1:], way.lead.iloc[-1:], style(i)["marker"], **look)
            axes.set(title=ROLES[role], xlabel="mean loss of all texts (nats per token)")
        panels[0].set_ylabel("lead of reasoning (ln of a factor)")
        panels[0].invert_xaxis()
        legend_below(figure, panels)

    equal = at_equal_loss(runs)
    words = [f"{ROLES[role]} " + ", ".join(
        f"{setting} {lead:.2f}" for setting, lead in
        mine.groupby("setting", sort=False).reasoning_log_lead.mean().items())
        for role, mine in equal.groupby("role", sort=False)]  # fmt: skip
    alt = f"Lead of reasoning where the compared runs are at one mean loss: {'; '.join(words)}."
    caption = f"Learning goes to the right; marks are the ends. {provenance(runs, tier)}"
    return Picture(anchor, draw, alt, caption, (7.2, 4.0))


# ---- parts of figures ----------------------------------------------------------------------------


def _curves(runs, name: str):
    """(steps, losses (seeds, points)) of a text."""
    found = np.array([run.curves[name] for run in runs.itertuples()])
    return found[0, :, 0], found[:, :, 1]


def _of_pair(runs):
    return compared(runs)[lambda rows: rows.setting.isin(sides(rows))]


def _text_axis(axes, names) -> None:
    for place, name in enumerate(names):
        if name in REASONING:
            axes.axvspan(place - 0.5, place + 0.5, **SHADE)
    axes.axhline(0, color=GREY, linestyle=":")
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=10)


def _draw_answers(axes, scores, kind: str) -> None:
    for place, (setting, i) in enumerate(looks(scores.setting).items()):
        mine = scores[scores.setting == setting]
        beside = mine.assign(x=mine.depth + 0.12 * (place - 0.5))
        dots_and_means(axes, beside, "value", i, setting)
    depths = sorted(scores.depth.unique())
    if kind == "recall":
        axes.set_xticks([0], ["recall"])
    else:
        axes.set(xlabel="steps of the solution", xticks=depths)
    if max(depths, default=0) > TRAINED:
        axes.axvline(TRAINED + 0.5, color=GREY, linestyle=":")
    if depths:
        axes.set_xlim(depths[0] - 0.6, depths[-1] + 0.6)
    axes.set_ylim(-0.03, 1.1)


# ---- words ---------------------------------------------------------------------------------------


def _told(found, column: str) -> str:
    """'one common learning rate: sotu +0.03 [+0.01, +0.05], ...'"""
    parts = []
    for role, mine in found.groupby("role", sort=False):
        means = [f"{name} {shown(interval(rows[column]))}"
                 for name, rows in mine.groupby("text", sort=False)]  # fmt: skip
        parts.append(f"{ROLES[role]}: {', '.join(means)}")
    return "; ".join(parts) or "not known"


def _answers_told(scores) -> str:
    means = scores.groupby(["kind", "setting"], sort=False).value.mean()
    return ", ".join(f"{KINDS[kind]} {value:.2f} at {setting}"
                     for (kind, setting), value in means.items())  # fmt: skip
