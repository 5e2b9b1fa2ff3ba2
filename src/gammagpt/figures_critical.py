"""Figures on the critical gamma, and what they say in words. Numbers: readings_critical."""

import math

import numpy as np

from . import readings_critical as read
from .figures import COLOURS, GAMMA, HOLLOW, LOOKS, Picture, dots_beside, nothing, provenance, style
from .figures_parts import GREY, dot, dots_and_means, legend_below
from .words import ROLES, interval, listed, shown

MEASURES = {"unseen_gap": "unseen less trained pairs", "loss": "both tasks"}
KINDS = {
    "one seed": "One seed has no interval, so no more is said.",
    "flat": "That covers {share:.0%} of the grid: **the bottom is flat**.",
    "edge": "**No turn is seen**: the minimum may lie beyond the grid.",
    "open": "**Not resolved**: the interval reaches an end of the grid.",
    "inside": "**The minimum lies inside the grid**.",
}
OPEN = "95 % bootstrap intervals; hollow: at an end of the grid, so the minimum may lie beyond."
BARS = f"Means with 95 % intervals; hollow: best rate at its grid's edge. Below, minima: {OPEN}"


def critical(runs, tier: str, anchor: str = "fig-critical") -> Picture:
    """Final loss against gamma, with its minimum; common rate, and tuned."""
    return _with_minima(runs, tier, {"loss": "validation loss (nats per token)"}, anchor)


def balance(runs, tier: str, anchor: str = "fig-balance") -> Picture:
    """The gap to unseen pairs, and the final loss, against gamma; common rate, and tuned."""
    labels = {metric: f"loss (nats):\n{name}" for metric, name in MEASURES.items()}
    return _with_minima(runs, tier, labels, anchor)


def _with_minima(runs, tier: str, labels: dict, anchor: str) -> Picture:
    """A panel a metric, {metric: label}."""
    found = {(metric, role): read.minimum(read.by_gamma(read.of_role(runs, role), metric))
             for metric in labels for role in ROLES}  # fmt: skip
    if all(place.kind == "not run" for place in found.values()):
        return nothing(anchor)

    def draw(figure):
        panels = figure.subplots(len(labels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (metric, label) in zip(panels, labels.items(), strict=True):
            for i, (role, title) in enumerate(ROLES.items()):
                _points(axes, read.of_role(runs, role), metric, i, LOOKS[role], title)
                _minimum_bar(axes, found[metric, role], i, LOOKS[role])
            axes.set(ylabel=label, ymargin=0.2)
        panels[-1].set_xlabel(GAMMA)
        legend_below(figure, panels)

    words = (f"{labels[metric].capitalize()}, {ROLES[role]}: least at {place}."
             for (metric, role), place in found.items())  # fmt: skip
    alt = f"Loss against gamma, and where it is least. {' '.join(words)}".replace("\n", " ")
    caption = f"{BARS} {provenance(read.of_role(runs, *ROLES), tier)}"
    return Picture(anchor, draw, alt, caption, (7.2, 2.2 + 1.8 * len(labels)))


def moves(runs, tier: str, anchor: str = "fig-critical-moves") -> Picture:
    """The minimum at each learning rate (tuning runs), and along training (common rate)."""
    rates, steps = read.across_rates(runs), read.along_training(runs)
    if not rates and not steps:
        return nothing(anchor)

    def draw(figure):
        panels = figure.subplots(1, 2, sharey=True)
        _minima(panels[0], rates, 0)
        _minima(panels[1], steps, 1)
        _relative_step(panels[0], rates, runs.width.iloc[0])
        _rate_axis(panels[0], rates)
        panels[1].set_xlabel("step")

    ends = {x: steps[x] for x in [*steps][:1] + [*steps][-1:]}
    alt = (
        f"Gamma of the least validation loss. By learning rate: {_places(rates)}; exponent "
        f"{shown(read.exchange(runs), '', 2)}. Along training: {_places(ends, 'step ')}."
    )
    origin = provenance(read.of_role(runs, "tuning", "common"), tier)
    caption = f"{OPEN} Dotted: one relative step for all rates. {origin}"
    return Picture(anchor, draw, alt, caption, (7.2, 4.0))


def sizes(runs, tier: str, anchor: str = "fig-critical-sizes") -> Picture:
    """The minimum at the common rate against width, layers and steps, one of them at a time."""
    found = read.across_sizes(runs)
    if not found:
        return nothing(anchor)

    def draw(figure):
        panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
        for axes, (column, places) in zip(panels, found.items(), strict=True):
            _minima(axes, places, 0)
            axes.set_xscale("log", base=2)
            axes.set_xticks([*places], [f"{x:,}" for x in places])
            axes.set_xlabel(read.SIZES[column])
            axes.margins(x=0.2)
            if column == "width":
                _one_std(axes, places, int(runs.width.iloc[0]))
        panels[0].set_ylabel("gamma of the least loss")

    told = [f"By {read.SIZES[column]}: {_places(places)}." for column, places in found.items()]
    alt = f"Gamma of the least validation loss at the common rate. {' '.join(told)}"
    origin = provenance(read.of_role(runs, "common"), tier)
    caption = f"{OPEN} Dotted: one standard deviation for all widths. {origin}"
    return Picture(anchor, draw, alt, caption, (7.2, 3.4))


def plateau(runs, tier: str, anchor: str = "fig-plateau") -> Picture:
    """Steps to half of the way down against gamma, a line a learning rate; who never got there."""
    tuning = read.waiting(runs)
    if not len(tuning):
        return nothing(anchor)

    def draw(figure):
        axes = figure.subplots()
        for i, (rate, group) in enumerate(tuning.groupby("learning_rate")):
            dots_beside(axes, group.gamma, group.waited, style(i)["color"], points=(3 * i - 9, 0))
            mean = group.groupby("gamma").waited.agg(lambda steps: steps.mean(skipna=False))
            axes.plot(mean.index, mean, label=f"{rate:g}", **style(i))
        _never(axes, tuning)
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set(xlabel=GAMMA, ylabel="steps to half of the way down")
        legend_below(figure, axes, title="learning rate")

    alt = f"Steps until the loss is half of the way down, against gamma. {waits_in_words(tuning)}"
    caption = (
        "Lines: means where every seed got there; dots beside them: runs; open triangles: not "
        f"within the run; crosses: diverged. {provenance(tuning, tier)}"
    )
    return Picture(anchor, draw, alt, caption, (7.2, 4.4))


def trade(runs, tier: str, anchor: str = "fig-balance-moves") -> Picture:
    """The minima of the gap and of the loss at each learning rate, on the tuning seeds."""
    found = {name: read.across_rates(runs, metric) for metric, name in MEASURES.items()}
    if not any(found.values()):
        return nothing(anchor)

    def draw(figure):
        axes = figure.subplots()
        for i, (name, places) in enumerate(found.items()):
            _minima(axes, places, i, name, times=1.04 ** (2 * i - 1))
        _rate_axis(axes, found["both tasks"])
        legend_below(figure, axes)

    alt = "Gamma of the least loss by learning rate. " + " ".join(
        f"{name.capitalize()}: {_places(places)}." for name, places in found.items()
    )
    caption = f"{OPEN} {provenance(read.of_role(runs, 'tuning'), tier)}"
    return Picture(anchor, draw, alt, caption, (7.2, 4.0))


# ---- parts of figures ----------------------------------------------------------------------------


def _points(axes, runs, metric: str, place: int, look: int, label: str) -> None:
    """A metric of a role's runs against gamma, a little beside those of the other role."""
    if len(runs) and metric in runs:
        beside = runs.assign(x=runs.gamma + 0.005 * (2 * place - 1))
        dots_and_means(axes, beside, metric, look, label)


def _minimum_bar(axes, found, place: int, look: int) -> None:
    """The minimum and its interval, just above the gamma axis."""
    along = {"transform": axes.get_xaxis_transform(), "color": COLOURS[look]}
    height = 0.04 + 0.05 * place
    axes.plot([found.low, found.high], [height] * 2, linewidth=3, alpha=0.5, **along)
    axes.plot([found.value], [height], "d", mfc=HOLLOW if found.edge else None, **along)


def _minima(axes, found: dict, i: int, label=None, times: float = 1.0) -> None:
    """Each minimum with its interval; hollow where it is at an end of the grid."""
    known = {x: place for x, place in found.items() if place.kind != "not run"}
    for x, place in sorted(known.items(), key=lambda item: not item[1].edge):  # full in the legend
        ends = place.value - place.low, place.high - place.value
        errors = np.clip(np.nan_to_num(ends), 0, None)[:, None]  # a vertex can lie outside
        axes.errorbar([x * times], [place.value], yerr=errors, capsize=3, linestyle="none",
                      label=label, **dot(i, place.edge))  # fmt: skip


def _rate_axis(axes, rates) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks([*rates], [f"{rate:g}" for rate in rates], fontsize=9)
    axes.set(xlabel="learning rate", ylabel="gamma of the least loss")


def _relative_step(axes, rates: dict, width: int) -> None:
    """Where the minima would lie if rate x width^gamma were one number, through their middle."""
    inner = [(math.log(rate, width), f.value) for rate, f in rates.items()
             if f.kind != "not run" and not f.edge]  # fmt: skip
    if inner:
        constant, ends = np.sum(np.mean(inner, axis=0)), np.array([min(rates), max(rates)])
        axes.plot(ends, constant - np.log(ends) / np.log(width), ":", color=GREY)


def _one_std(axes, places: dict, usual: int) -> None:
    """Where the minima would lie if the best standard deviation were that of the usual width."""
    if usual in places and places[usual].kind != "not run":
        widths = np.geomspace(min(places), max(places), 9)
        again = [read.of_one_std(places[usual].value, usual, width) for width in widths]
        axes.plot(widths, again, ":", color=GREY)


def _never(axes, tuning) -> None:
    """Those that never got there, at the top, side by side; they have no height of their own."""
    rates = sorted(tuning.learning_rate.unique())
    for run in tuning[tuning.waited.isna()].itertuples():
        i = rates.index(run.learning_rate)
        marker = "x" if run.status == "diverged" else "^"
        axes.plot(run.gamma + 0.008 * (i - len(rates) / 2), 0.97, marker, mfc=HOLLOW,
                  color=style(i)["color"], transform=axes.get_xaxis_transform())  # fmt: skip


# ---- words ---------------------------------------------------------------------------------------


def minimum_in_words(table, when: str) -> str:
    """Where the least loss is, whether it is a minimum at all, and what rivals it."""
    found = read.minimum(table)
    if found.kind == "not run":
        return f"- {when.capitalize()}: not run."
    table = table.loc[:, np.isfinite(table).all()]
    lows = {gamma: interval(table[gamma] - table[found.least])[1] for gamma in table}
    rivals = listed(f"gamma {g:g}" for g, low in lows.items() if g != found.least and not low > 0)
    apart = table.max() - table.min()
    return (
        f"- {when.capitalize()} the least mean is that of gamma {found.least:g}; the parabola puts "
        f"the minimum at {found}. {KINDS[found.kind].format(share=found.share)} Not told apart "
        f"from the least, seed by seed: {rivals or 'no other gamma'}. Furthest apart, by "
        f"{apart.max():.2f} nats, are the seeds of gamma {apart.idxmax():g}."
    )


def moves_in_words(runs) -> str:
    """Whether the critical gamma moves with the rate as the relative step would have it."""
    value, low, high = c = read.exchange(runs)
    if math.isnan(value):
        return "Too few minima lie inside the grid to say how they move with the rate."
    edges = [place.edge for place in read.across_rates(runs).values()]
    asks = "than the relative step asks for"
    finding = (
        "too few seeds or rates for an interval, so no more is said" if math.isnan(low) else
        "no movement is not excluded" if low <= 0 <= high else
        "a faster rate wants a *smaller* start, against the relative step" if high < 0 else
        f"a faster rate wants a larger start, and **by more** {asks}" if low > 1 else
        f"a faster rate wants a larger start, but **by less** {asks}" if high < 1 else
        "a faster rate wants a larger start, **as the relative step asks**, within the interval"
    )  # fmt: skip
    return (
        f"At {edges.count(False)} of {len(edges)} rates the least loss is inside the grid. The "
        f"critical deviation goes as the rate to the power c = {shown(c, '', 2)}: {finding}."
    )


def along_in_words(runs) -> str:
    """Whether the critical gamma drifts along training."""
    found = [place for place in read.along_training(runs).values() if place.kind != "not run"]
    if not found:
        return "No curves are there yet."
    one, last = found[0], found[-1]
    return f"Along training, at the common rate, it goes from {one} to {last}. {_moved(one, last)}."


def sizes_in_words(runs) -> str:
    """Whether the critical gamma moves with width, layers and steps; a line each."""
    lines = []
    for column, places in read.across_sizes(runs).items():
        known = [place for place in places.values() if place.kind != "not run"]
        moved = f" {_moved(known[0], known[-1])}." if len(known) > 1 else ""
        lines.append(f"- With the {read.SIZES[column]}: {_places(places)}.{moved}")
        usual = int(runs[column].iloc[0])
        if column == "width" and usual in places:
            again = (f"{read.of_one_std(places[usual].value, usual, x):.2f} at {x}"
                     for x in places if x != usual)  # fmt: skip
            lines[-1] += f" One standard deviation for all widths would put it at {listed(again)}."
    return "\n".join(lines) or "No other size was trained."


def _moved(one, last) -> str:
    """Whether two minima lie apart, ends of the grid included."""
    apart = last.low > one.high or last.high < one.low
    return "**It moves**" if apart else "The ends are not told apart"


def waits_in_words(tuning) -> str:
    """Who is off the plateau first, by rate, and who never is; of `waiting`."""
    if not len(tuning):
        return "Not run."
    means = tuning.pivot_table(index="learning_rate", columns="gamma", values="waited")
    words = [f"{rate:g}: gamma {row.idxmin():g}, {row.max() / row.min():.1f} times as fast as "
             f"gamma {row.idxmax():g}" for rate, row in means.iterrows()]  # fmt: skip
    lost = tuning.status == "diverged"
    never = tuning[tuning.waited.isna() & ~lost]
    late = f" ({listed(f'gamma {g:g}' for g in sorted(never.gamma.unique()))})" * bool(len(never))
    return (
        "First there, and how much faster than the last to get there, by learning rate: "
        f"{'; '.join(words) or 'nobody'}. Of {len(tuning)} runs {len(never)} did not get "
        f"there{late}, and {lost.sum()} diverged."
    )


def balance_in_words(runs, role: str) -> str:
    """Whether reasoning and training turn at one gamma, at two, or not at all. Ours."""
    chosen = read.of_role(runs, role)
    gap, loss = (read.minimum(read.by_gamma(chosen, metric)) for metric in MEASURES)
    kinds, when = {gap.kind, loss.kind}, ROLES[role].capitalize()
    unseen = read.minimum(read.by_gamma(read.with_tasks(chosen), "unseen"))
    if "not run" in kinds:
        return f"- {when}: not run."
    finding = (
        "one seed has no interval, so no more is said" if "one seed" in kinds else
        "**a balance**: between the two a smaller start still helps to reason, and training pays"
        if gap.low > loss.high else
        "**the other way round**: reasoning turns first, and training still gains beyond"
        if gap.high < loss.low else "**not told apart**: a bottom is flat" if "flat" in kinds else
        "**neither turns**: both are best at the same end of the grid"
        if gap.edge and gap.least == loss.least else
        "**both turn at the same place**, as far as the intervals tell"
    )  # fmt: skip
    edge = "" if chosen.resolved.all() else " Some best rates lie at the edge of their grid."
    return (
        f"- {when} the gap is least at {gap}, the loss of both tasks at {loss}: {finding}. "
        f"The loss on unseen pairs itself is least at {unseen}.{edge}"
    )


def answer(runs) -> str:
    """Is there a critical gamma on text? By what is left of the minimum when rates are tuned."""
    chosen, (_, low, _) = read.of_role(runs, "tuned"), read.exchange(runs)
    tuned = read.minimum(read.by_gamma(chosen))
    if tuned.kind == "inside" and chosen.resolved.all():
        return f"**There is a critical gamma here, also with tuned rates**: {tuned}."
    if tuned.kind != "not run" and low > 0:
        places = read.across_rates(runs).values()
        inside = sum(place.kind != "not run" and not place.edge for place in places)
        return (f"**At {inside} of {len(places)} learning rates the least loss lies inside the "
                "grid, at another gamma each; with rates tuned no critical gamma is resolved.** "
                "Here it belongs to the pair, not to gamma alone.")  # fmt: skip
    return "**No critical gamma is resolved here**, nor how it would move."


def _places(found: dict, name: str = "") -> str:
    return listed(f"{name}{x:g} {place}" for x, place in found.items()) or "not run"
