"""Figures along an axis of size: losses and gains of every initialization, and what relaxing does.

Runs are rows of a frame (lab.frame, with roles); what an axis is, along_size.py says.
"""

from collections.abc import Callable

import numpy as np

from ..gpt.optim import OptimConfig
from ..ledger.estimate import QUESTIONS
from ..plots import COLOURS, EDGE, NATS, SHADE, Estimates, Picture, compose, looks, provenance
from . import along_size as sizes
from .along_size import AXES, place

STRAIGHT = ("width", "tokens")  # along these the loss is said to fall by a power law
BEYOND = 2  # how many times the largest width, or length, a line is extrapolated to
RESTRAINTS = {"as usual": 3, "relaxed": 4, "relaxed less as usual": 5}  # never like a gamma
CAPTION = f"Each dot is a run or a pair of one seed; means with 95 % intervals; {EDGE}."


def losses_and_gains(runs, tier: str, axis: str, anchor: str) -> Picture:
    """Final loss, and gain over the baseline, along an axis; at one rate, and each at its best."""
    points, table = sizes.along(runs, axis), sizes.gains(runs, axis)
    points, table = (_numbers(rows[~rows.relaxed.astype(bool)]) for rows in (points, table))
    lines = {key: line for key, line in sizes.lines(runs, axis).items()
             if axis in STRAIGHT and not key[1] and len(line.xs) > 2}  # any two lie on a line
    roles, xs = _roles(points), sorted(points.x.unique())
    extra = _Extrapolation(lines, points, axis, bool(lines))
    above = [_panel(points, role, axis, "loss", title=words, only="ends", interval=False,
                    head=f"Loss, {words}", label=f"validation loss\n({NATS})",
                    also=extra.drawn(role), told=extra.told(role)) for role, words in roles.items()]
    below = [_panel(table, role, axis, "gain", zero=0, form="+.3f", head=f"Gain, {words}",
                    label=f"gain over {sizes.baseline(points)}\n({NATS})",
                    also=x_axis(xs, axis, bool(lines))) for role, words in roles.items()]
    straight = (f" Dashed: extrapolation to {BEYOND} times the largest, by lines straight in both "
                "logarithms.") * bool(lines)
    head = (f"Final validation loss against {AXES[axis][0]}{_warmup(runs)}, and the gain over "
            f"{sizes.baseline(points)}")
    return compose(anchor, head, [above, below], caption=CAPTION + straight, size=(7.2, 5.8),
                   share=("all", "row"), source=provenance(points, tier))


def relaxed(runs, tier: str, anchor: str = "fig-scaling-relaxed") -> Picture:
    """The gain of the largest gamma by width, with both restraints and without, and the change."""
    points, table = sizes.along(runs), _numbers(sizes.gains(runs))
    small = f"gamma {points.gamma.max():g}"
    table = table[table.init == small]
    table = table.assign(restraints=np.where(table.relaxed.astype(bool), "relaxed", "as usual"))
    change = _numbers(sizes.released(runs)).assign(restraints="relaxed less as usual")
    roles, also = _roles(table), x_axis(sorted(points.x.unique()), "width", False)
    more = {"hue": "restraints", "zero": 0, "form": "+.3f", "also": also}
    above = [_panel(table, role, "width", "gain", title=words, label=f"gain of {small}\n({NATS})",
                    head=f"Gain, {words}", **more) for role, words in roles.items()]
    below = [_panel(change, role, "width", "change", label=f"change of the gain\n({NATS})",
                    head=f"Change, {words}", **more) for role, words in roles.items()]
    return compose(anchor, f"Gain of {small} over {sizes.baseline(points)} by width, with the "
                   "usual epsilon and no gate and with both relaxed", [above, below],
                   caption=f"Below: relaxed less as usual, which the rule judges. {CAPTION}",
                   size=(7.2, 5.4), share=("all", "row"), first=RESTRAINTS,
                   source=provenance(points, tier))


def x_axis(xs, axis: str, beyond: bool) -> Callable:
    """Ticks where there are runs, and, shaded, where nothing was trained."""
    unit = AXES[axis][1]
    ticks = [*xs, *(max(xs) * BEYOND for _ in range(beyond))]

    def draw(axes):  # of runs that there are
        axes.set_xscale("log", base=2)
        axes.set_xlim(min(ticks) / 1.15, max(ticks) * 1.15)
        axes.set_xticks(ticks, [f"{x:,.0f}" if unit == 1 else f"{x / unit:.2g}" for x in ticks])
        axes.minorticks_off()
        if beyond:
            axes.axvspan(max(xs) * BEYOND**0.25, max(xs) * BEYOND * 1.1, **SHADE)

    return draw


class _Extrapolation:
    """What straight lines say beyond the last point: drawn dashed, with an interval, and told."""

    def __init__(self, lines, points, axis: str, beyond: bool):
        self.lines, self.points, self.axis, self.beyond = lines, points, axis, beyond
        self.looks = looks(points.init)

    def of_role(self, role: str) -> dict:
        return {init: line for (of, _, init), line in self.lines.items() if of == role}

    def drawn(self, role: str) -> Callable:
        axis = x_axis(sorted(self.points.x.unique()), self.axis, self.beyond)

        def draw(axes):
            axis(axes)
            for init, line in self.of_role(role).items():
                colour = COLOURS[self.looks[init] % 6]
                xs = np.geomspace(line.xs[-1], BEYOND * line.xs[-1], 9)
                mean, low, high = np.array([line.at(x) for x in xs]).T
                axes.plot(xs, mean, "--", color=colour)
                axes.fill_between(xs, low, high, color=colour, alpha=0.3, linewidth=0)

        return draw

    def told(self, role: str) -> Callable:
        rows = self.points[self.points.role == role]
        panel = _panel(rows, role, self.axis, "loss", only="ends", interval=False)
        words = [f"{init} {line.at(line.xs[-1] * BEYOND):.3f} at "
                 f"{place(line.xs[-1] * BEYOND, self.axis)}"
                 for init, line in self.of_role(role).items()]
        beyond = f"; extrapolated, {'; '.join(words)}" * bool(words)
        return lambda: panel.describe() + beyond


def _panel(table, role: str, axis: str, value: str, **more) -> Estimates:
    more = {"hue": "init", "line": True, "log": 2, "place": lambda x: place(x, axis)} | more
    return Estimates(table=table[table.role == role], x="x", y=value, xlabel=AXES[axis][0], **more)


def _numbers(table):
    return table.assign(x=table.x.astype(float))


def _roles(points) -> dict[str, str]:
    return {role: words for role, words in QUESTIONS.items() if role in set(points.role)}


def _warmup(runs) -> str:
    """', with a warm-up of 30 %' where all runs have one that is not the usual."""
    shares = {*runs.warmup} if len(runs) else set()
    one = len(shares) == 1 and shares != {OptimConfig().warmup}
    return f", with a warm-up of {100 * shares.pop():g} %" if one else ""
