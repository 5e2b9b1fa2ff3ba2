"""What the chapter on scaling reads off runs: gains, slopes and best rates along an axis.

Runs are rows of a frame (sweep.frame, with roles). An axis is a column that grows from setting to
setting: width, n_layer, tokens (trained on), or stands_for (of epsilon: readings_restraints). A
start is an initialization, as in "gamma 0.5"; a setting is relaxed if its attention has a gate (and
its norms a smaller epsilon). Pictures: figures_scaling.py.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .claims import EDGE, paired_interval
from .init import implied_gamma
from .pages import effect
from .readings_bias import ROLES
from .readings_restraints import compared, direction, first_norm, interval
from .valleys import LOST, bottom, slope_of
from .words import listed, shown

PLACE = ["role", "relaxed", "x"]
LINE = ["role", "relaxed", "start"]  # what one line of a picture has in common
GROWS = {1: "it **grows**", -1: "it **shrinks**", 0: "no change is told apart from nothing"}


# ---- runs along an axis --------------------------------------------------------------------------


def along(runs, axis: str = "width") -> pd.DataFrame:
    """The compared runs, each once, with start, relaxed (a truth value) and x, the axis."""
    runs = compared(runs)
    columns = ["seed", "gamma", "loss", "resolved", "gate", axis]
    runs = runs.reindex(columns=runs.columns.union(columns, sort=False))
    return runs.assign(x=runs[axis], relaxed=runs.gate.astype(bool))


def usual(points) -> str:
    """The start with the smallest gamma: what the others gain on."""
    return f"gamma {points.gamma.min():g}" if points.gamma.notna().any() else "any gamma"


def place(x: float, axis: str = "width") -> str:
    return {
        "width": f"width {x:,.0f}", "n_layer": f"{x:g} layer{'s' * bool(x != 1)}",
        "stands_for": f"an epsilon as at width {x:,.0f}", "tokens": f"{x / 1e6:.2g} million tokens",
    }[axis]  # fmt: skip


def gains(runs, axis: str = "width", over: str | None = None) -> pd.DataFrame:
    """Loss of a start (default: the usual one) less that of every other, by seed.

    Columns: role, relaxed, x, seed, start, gain (nats; inf where a run diverged, whichever side it
    is on), resolved (False if the best rate of either side is at its grid's edge).
    """
    points = along(runs, axis)[[*PLACE, "seed", "start", "gamma", "loss", "resolved"]]
    base = points.start == (over or usual(points))
    both = points[~base].merge(points[base], on=[*PLACE, "seed"], suffixes=("", "_base"))
    both["gain"] = _less(both.loss_base, both.loss)
    both["resolved"] = both.resolved.astype(bool) & both.resolved_base.astype(bool)
    return both[[*PLACE, "seed", "start", "gain", "resolved"]]


def growth(found) -> pd.Series:
    """A gain at the largest x less that at the smallest, by seed; of rows that differ in x only."""
    table = found.pivot(index="seed", columns="x", values="gain")
    ends = table.iloc[:, [0, -1]].dropna() if table.shape[1] > 1 else pd.DataFrame({0: [], 1: []})
    return _less(ends.iloc[:, 1], ends.iloc[:, 0])


def released(runs, axis: str = "width") -> pd.DataFrame:
    """By how much relaxing raises the gain of the largest gamma: role, x, seed, change, resolved"""
    points = along(runs, axis)
    found = gains(runs, axis)
    found = found[found.start == f"gamma {points.gamma.max():g}"]
    sides = (found[found.relaxed == side] for side in (True, False))
    both = next(sides).merge(next(sides), on=["role", "x", "seed"], suffixes=("", "_usual"))
    change, resolved = _less(both.gain, both.gain_usual), both.resolved & both.resolved_usual
    return both[["role", "x", "seed"]].assign(change=change, resolved=resolved)


def _less(one, other) -> pd.Series:
    """The difference; inf where a run diverged, so that it is not taken for one that is missing."""
    difference = one.astype(float) - other.astype(float)
    return difference.where(np.isfinite(difference), math.inf)


# ---- slopes --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """ln loss = level + slope ln x, by least squares, for each seed."""

    xs: np.ndarray  # where there are runs
    slopes: pd.Series  # by seed
    levels: pd.Series

    def at(self, x: float) -> tuple[float, float, float]:
        """The loss that the lines give at x, with a 95 % interval over seeds."""
        return paired_interval(list(self.of_seeds(x)), 0.95)

    def of_seeds(self, x: float) -> pd.Series:
        return np.exp(self.levels + self.slopes * math.log(x))


def table_of(points) -> pd.DataFrame:
    """Losses of one line: a row a seed that has a run at every x, a column an x."""
    return points.pivot(index="seed", columns="x", values="loss").dropna()


def line(table) -> Line | None:
    """Of such a table; None with fewer than two columns, or where a run diverged.

    Three points cannot tell a power law from one that ends at a floor, a + b x^-c. So no floor is
    fitted, and what the line says beyond its points is an extrapolation that knows of none.
    """
    if not len(table) or table.shape[1] < 2 or not np.isfinite(table).all(axis=None):
        return None
    xs = table.columns.to_numpy(dtype=float)
    slopes, levels = np.polyfit(np.log(xs), np.log(table.to_numpy(dtype=float).T), 1)
    return Line(xs, pd.Series(slopes, table.index), pd.Series(levels, table.index))


def lines(runs, axis: str = "width") -> dict[tuple, Line]:
    """(role, relaxed, start) -> Line, of those that have one."""
    points = along(runs, axis)
    groups = points.groupby(LINE, sort=False) if len(points) else ()
    found = {key: line(table_of(group)) for key, group in groups}
    return {key: one for key, one in found.items() if one is not None}


def missed(points) -> tuple[float, float, float] | None:
    """Loss found at the largest x less that of the line through all others; None below three."""
    table = table_of(points)
    short = line(table.iloc[:, :-1])
    if short is None or not np.isfinite(table).all(axis=None):
        return None
    last = float(table.columns[-1])
    return paired_interval(list(table[table.columns[-1]] - short.of_seeds(last)), 0.95)


def slopes(runs, axis: str = "width") -> pd.DataFrame:
    """A row a line: its slope, how much steeper it falls than the usual start's, and `missed`.

    All as text, with 95 % intervals over seeds. A positive number in `steeper` says that the loss
    falls faster with x than the usual start's.
    """
    points, found, rows = along(runs, axis), lines(runs, axis), []
    for (role, relaxed, start), one in found.items():
        base = found.get((role, relaxed, usual(points)))
        less = [] if base is None or base is one else (base.slopes - one.slopes).dropna()
        mine = points[(points.role == role) & (points.relaxed == relaxed) & (points.start == start)]
        error = missed(mine)
        rows.append({
            "question": ROLES[role], "setting": start + ", relaxed" * bool(relaxed),
            "slope": shown(paired_interval(list(one.slopes), 0.95)),
            "steeper": shown(paired_interval(list(less), 0.95)) if len(less) else "–",
            "missed": shown(error) if error else "–", "points": len(one.xs),
        })  # fmt: skip
    columns = ["question", "setting", "slope", "steeper", "missed", "points"]
    return pd.DataFrame(rows, columns=columns)


# ---- best rates ----------------------------------------------------------------------------------


def best_rates(runs, axis: str = "width") -> pd.DataFrame:
    """Best rate of every start along an axis, from the mean over the tuning seeds.

    Columns: start, gamma (nan of a fixed std), relaxed, x, rate, resolved. The rate is the vertex
    of a parabola through three points of the grid; at the grid's edge it is the edge, and not
    resolved. Only settings whose whole grid is there.
    """
    rows = []
    tuning = runs[runs.role == "tuning"] if len(runs) else runs
    rates = tuning.learning_rate.nunique() if len(tuning) else 0
    for setting, group in tuning.groupby("setting", sort=False) if len(tuning) else ():
        mean = group.groupby("learning_rate").loss.mean()
        if len(mean) < rates or not np.isfinite(mean.min()):
            continue
        vertex, first = bottom(mean.index.to_numpy(), mean.to_numpy()), group.iloc[0]
        rate = 2**vertex if math.isfinite(vertex) else mean.idxmin()
        inner = mean.index[0] < mean.idxmin() < mean.index[-1]
        start = setting.partition(", ")[0]
        rows.append((start, first.gamma, bool(first.gate), first[axis], float(rate), inner))
    columns = ["start", "gamma", "relaxed", "x", "rate", "resolved"]
    return pd.DataFrame(rows, columns=columns).astype({"gamma": float, "resolved": bool})


def rate_slopes(best) -> pd.DataFrame:
    """Slope of ln best rate on ln width: found, and asked for by two ideas of a relative step.

    Columns: setting, found (nan below two resolved widths), points, by entries, by spectrum. A
    step of AdamW changes each entry by about the rate eta, all entries in step. Entries are of
    size s = d^-gamma, so eta / s is the change of an entry; the largest singular value of a step
    grows as eta d, that of the matrix as s sqrt d, so eta sqrt d / s is that of the spectrum.
    """
    rows = []
    for (start, relaxed), group in best.groupby(["start", "relaxed"], sort=False):
        gamma = group.gamma.iloc[0]
        fall = 0.0 if math.isnan(gamma) else gamma  # of the entries' size with the width
        inner = group[group.resolved]
        found = slope_of(np.log(inner.x.to_numpy(float)), np.log(inner.rate.to_numpy(float)))
        name = start + ", relaxed" * bool(relaxed)
        rows.append((name, found, len(inner), 0.0 - fall, 0.0 - fall - 0.5))
    return pd.DataFrame(rows, columns=["setting", "found", "points", "by entries", "by spectrum"])


def too_slow(best, common: float, axis: str = "width") -> str:
    """By how many octaves a common rate is below the best one, along the axis, in words."""
    lines = []
    for (start, relaxed), group in best.groupby(["start", "relaxed"], sort=False):
        octaves = np.log2(group.rate / common)
        told = [
            f"{octave:+.1f} at {place(x, axis)}" + " (grid's edge)" * (not inner)
            for octave, x, inner in zip(octaves, group.x, group.resolved, strict=True)
        ]
        lines.append(f"- *{start}{', relaxed' * bool(relaxed)}*: {listed(told)}.")
    return "\n".join(lines)


# ---- before any training -------------------------------------------------------------------------


def at_widths(widths, gammas, stds, eps: float) -> pd.DataFrame:
    """A row a width: the gamma that each fixed std amounts to, and RMS after the first norm."""
    rows = []
    for width in widths:
        row = {"width": width}
        row |= {f"std {std:g} is gamma": implied_gamma(std, width) for std in stds}
        row |= {f"RMS, gamma {gamma:g}": first_norm(width, gamma, eps) for gamma in gammas}
        row |= {f"RMS, std {std:g}": first_norm(width, implied_gamma(std, width), eps)
                for std in stds}  # fmt: skip
        rows.append(row)
    return pd.DataFrame(rows)


# ---- in words ------------------------------------------------------------------------------------


def growth_in_words(runs, role: str, axis: str = "width", over: str | None = None) -> list[str]:
    """A line for every start: its gain at both ends of the axis, and whether it grows."""
    base, found = over or usual(along(runs, axis)), gains(runs, axis, over)
    found, said = found[found.role == role], []
    for (relaxed, start), group in found.groupby(["relaxed", "start"], sort=False):
        head = f"- *{start}* over *{base}*{', both relaxed' * bool(relaxed)}"
        ends, change = sorted({group.x.min(), group.x.max()}), growth(group)
        told = [f"{interval(group[group.x == x].gain)} at {place(x, axis)}" for x in ends]
        grows = GROWS[direction(change)] if np.isfinite(change).all() else "no more is said"
        end = f"; change {interval(change)}: {grows}" if len(change) else ", the only one there"
        edge = "" if group.resolved.all() else " Some best rates lie at the grid's edge."
        said.append(f"{head}: {' and '.join(told)}{end}.{edge}")
    return said


def released_in_words(runs, role: str) -> list[str]:
    """A line for every width: by how much relaxing raises the gain."""
    found = released(runs)
    found = found[found.role == role]
    return [f"- at {place(x)} by {interval(group.change)}"
            + ("." if group.resolved.all() else "; a best rate lies at the grid's edge.")
            for x, group in found.groupby("x")]  # fmt: skip


def unfinished(runs) -> list[str]:
    """How far a long run is behind a short one at the step at which the short one ends.

    At the common rate; both by the curves, which are measured on the same windows.
    """
    points, said = along(runs, "steps"), []
    points = points[(points.role == "common") & np.isfinite(points.loss.astype(float))]
    for start, group in points.groupby("start", sort=False):
        short, long = (group[group.steps == steps].set_index("seed")
                       for steps in (group.steps.min(), group.steps.max()))  # fmt: skip
        seeds = short.index.intersection(long.index)
        if not len(seeds) or short.steps.iloc[0] == long.steps.iloc[0]:
            continue
        end = short.steps.iloc[0]
        ahead = [np.interp(end, *np.transpose(long.curve[seed])) - short.curve[seed][-1][1]
                 for seed in seeds]  # fmt: skip
        said.append(
            f"- *{start}*: at step {end} the run of {long.steps.iloc[0]} steps is at a loss that "
            f"differs by {interval(ahead)} from that of the run that ends there."
        )
    return said


def lowest_in_words(runs, role: str) -> list[str]:
    """A line for every width: the start with the lowest mean loss, and the gamma that it has there.

    A fixed std has one at each width. Starts of which a run diverged are not in question.
    """
    points, lines = along(runs), []
    points = points[(points.role == role) & ~points.relaxed]
    for x, group in points.groupby("x"):
        means = group.groupby("start", sort=False).loss.mean().sort_values()
        if np.isfinite(means.iloc[0]):
            first = group[group.start == means.index[0]].iloc[0]
            gamma = implied_gamma(first["std"], x) if pd.isna(first.gamma) else first.gamma
            others = listed(f"{start} {loss:.3f}" for start, loss in means.iloc[1:].items())
            lines.append(f"- at {place(x)} *{means.index[0]}*, which is gamma {gamma:.2f} there, "
                         f"with {means.iloc[0]:.3f} nats; {others}.")  # fmt: skip
    return lines


def groups_in_words(runs, axis: str = "width") -> str:
    """Settings whose runs do not end together: how many do, and where the last one ends."""
    points, lines = along(runs, axis), []
    keys = ["role", "x", "start", "relaxed"]
    for (role, x, start, relaxed), group in points.groupby(keys, sort=False):
        losses = sorted(group.loss.astype(float))
        near = sum(loss <= losses[0] + LOST for loss in losses)
        if near < len(losses):
            last = f"at {losses[-1]:.2f}" if math.isfinite(losses[-1]) else "nowhere: it diverged"
            name = start + ", relaxed" * bool(relaxed)
            lines.append(f"- *{name}* at {place(x, axis)}, {ROLES[role]}: {near} of {len(losses)} "
                         f"end within {LOST:g} nats of the best, {losses[0]:.2f}; the last ends "
                         f"{last}.")  # fmt: skip
    settings = points.groupby(keys).ngroups
    rest = f"Of {settings - len(lines)} settings all runs end within {LOST:g} nats of their best."
    return "\n".join([*lines, "", rest]) if settings else ""


def missed_in_words(runs, axis: str = "width") -> str:
    """What the same straight line, drawn without the last point, would have said of it."""
    points, found = along(runs, axis), {}
    for key, group in points.groupby(LINE, sort=False) if len(points) else ():
        if (error := missed(group)) is not None:
            found[key] = error
    if not found:
        return "There are too few points on any line to leave one out."
    worst = max(found, key=lambda key: abs(found[key][0]))
    role, relaxed, start = worst
    high = sum(low > 0 for _, low, _ in found.values())
    low = sum(high < 0 for _, _, high in found.values())
    return (
        f"Drawn without its last point, the line of {len(found)} settings can be held against it: "
        f"{high} end higher than their line, {low} lower, by the 95 % interval, and for "
        f"{len(found) - high - low} neither is told. The furthest off is "
        f"*{start}{', relaxed' * bool(relaxed)}* ({ROLES[role]}), by {shown(found[worst])} nats."
    )


def answer(verdicts: dict) -> str:
    """Is scaling favourable, and is it a restraint that hides it? From {claim id: Verdict}.

    Of the two askings the second counts: it has more seeds, for the comparison and for the rates.
    """
    names = "fresh-grows-common", "fresh-grows-tuned", "freed-restores-tuned", "freed-wide-tuned"
    common, tuned, relaxed, freed = (verdicts[name] for name in names)
    if tuned.verdict == "supported":
        text = "**Scaling is favourable here**: the gain grows with width, rates tuned and all."
    elif tuned.verdict == "contradicted" and tuned.high < 0:
        text = ("**Scaling is unfavourable here, at a constant gamma and with the usual warm-up**: "
                "with rates tuned the gain of the small start is smaller for the wider model.")
    elif tuned.verdict == "contradicted":
        text = "**With rates tuned the gain does not grow** by as much as the rule asks."
    else:
        text = f"**Whether the gain grows with width is not decided**: {tuned.reason}."
    if {common.verdict, tuned.verdict} == {"supported", "contradicted"}:
        text += (" The two questions disagree, so what one common rate shows along the widths is "
                 "in good part the choice of that rate.")  # fmt: skip
    one_rate = ("At one learning rate relaxing both restraints raises the gain there. "
                * (verdicts["freed-restores-common"].verdict == "supported"))  # fmt: skip
    ahead = _ahead("both relaxed", freed) + _ahead("a longer warm-up", verdicts["slow-wide-tuned"])
    ahead += _ahead("eight layers", verdicts["depth-there-tuned"])
    ahead += _ahead("eight layers and a longer warm-up", verdicts["patient-there-tuned"])
    return f"{text} {one_rate}{_restored(relaxed)}{ahead}"


def told(verdict) -> str:
    """A verdict with its effect, and with the reason where the interval alone would say another."""
    numbers = f" ({effect(verdict)} nats)" * bool(verdict.n)
    return f"{verdict.verdict}{numbers}" + f", since {verdict.reason}" * (EDGE in verdict.reason)


AHEAD = {"supported": "the small start is ahead there",
         "contradicted": "the small start is not ahead there",
         "inconclusive": "it is not decided whether the small start is ahead there"}  # fmt: skip


def _ahead(what: str, verdict) -> str:
    """At the largest width, or the largest depth, by the verdict on such models alone."""
    said = AHEAD.get(verdict.verdict)
    return f" With {what}, {said}." if said else ""


def _restored(relaxed) -> str:
    """What relaxing does at the width of its claim."""
    if relaxed.verdict == "supported":
        return "With rates tuned, relaxing raises the gain there, so they did hold it back."
    if relaxed.verdict != "contradicted":
        return f"What relaxing does to it with rates tuned is not decided: {relaxed.reason}."
    if relaxed.high < 0:
        return "With rates tuned, relaxing lowers the gain there."
    return "With rates tuned, relaxing does not raise it by as much as the rule asks."
