"""Figures from frames: one style, light and dark, alt text and provenance built in.

Every public function returns a Picture: show it as the last line of a notebook cell.
"""

import html
import io
import itertools
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import quote

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.transforms import ScaledTranslation

from .claims import paired_interval
from .init import implied_gamma

STYLE = {
    "figure.figsize": (7.2, 4.0), "font.size": 11, "axes.grid": True, "grid.alpha": 0.3,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    "savefig.transparent": True, "svg.fonttype": "none", "svg.hashsalt": "gammagpt",
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans", "Verdana"],  # alike in width
    "figure.constrained_layout.use": True,
}  # fmt: skip
INK = {"light": "#1b1b1b", "dark": "#e6e6e6"}
PAPER = {"light": "#fffffe", "dark": "#121212"}  # inside of hollow markers: no line runs through
HOLLOW = PAPER["light"]
# Blue, vermilion, green, ... of Okabe & Ito, told apart by colour-blind readers, on both grounds.
COLOURS = ("#0083d0", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#7f7f7f")
MARKERS = "osD^vP"
# What many figures show looks alike in all of them: gammas, and the two questions (words.ROLES).
LOOKS = {"gamma 0.3": 4, "gamma 0.5": 0, "gamma 0.8": 1, "gamma 1": 2, "common": 5, "tuned": 3}
GAMMA = r"$\gamma$ (std $= d_\mathrm{in}^{-\gamma}$)"  # the label of an axis
BESIDE, BETWEEN = "\x1d", "\x1e"  # no character of a text: fence a caption's keys, and part them
ORIGIN = re.compile(r"(Tier (?:smoke|laptop|night|gpu); .*)", re.DOTALL)  # what `provenance` says
HEADLINE = 120  # characters, two lines of a page
PLAIN = " /:;=,()'"  # stays as it is in the address of a picture; base64 would be a third more


@dataclass(frozen=True)
class Picture:
    """One figure, in ink for light and for dark pages, with its words."""

    anchor: str  # its id on the page
    draw: object  # draw(figure) puts everything on an empty matplotlib figure
    alt: str  # what it shows, and what one sees in it
    caption: str
    size: tuple = (7.2, 4.0)
    # key of a run shown -> its roles, "common+tuned", where known: `provenance` brings them
    runs: dict = field(default_factory=dict, init=False)

    def __post_init__(self):
        caption, runs = unfence(self.caption)
        object.__setattr__(self, "caption", caption)
        object.__setattr__(self, "runs", runs)

    def _repr_html_(self) -> str:
        images = "".join(
            f'<img class="gg-{ground} only-{ground}" alt="{html.escape(self.alt)}" '
            f'src="data:image/svg+xml,{quote(self.svg(ground), safe=PLAIN)}">'
            for ground in INK
        )
        images = f'<div class="gg-pictures">{images}</div>'  # what scrolls on a phone
        # Outside the book (Jupyter, Colab) no theme hides the dark variant: this line does.
        hide = "<style>html:not([data-theme=dark]) .gg-dark{display:none}</style>"
        caption = figcaption(self.caption, self.runs, self.alt)
        return f'{hide}<figure class="gg-figure" id="{self.anchor}">{images}{caption}</figure>'

    def svg(self, ground: str = "light") -> bytes:
        """The figure as SVG, with ink for a 'light' or a 'dark' ground."""
        drawn = self._drawn
        for colour in (INK, PAPER):
            drawn = drawn.replace(colour["light"].encode(), colour[ground].encode())
        return drawn

    @cached_property
    def _drawn(self) -> bytes:
        """As SVG in light ink. Drawn once: nothing but the ink depends on the ground."""
        names = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
        with matplotlib.rc_context(STYLE | dict.fromkeys(names, INK["light"])):
            figure = plt.figure(figsize=self.size)
            self.draw(figure)
            buffer = io.BytesIO()
            nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
            figure.savefig(buffer, format="svg", metadata=nothing)
            plt.close(figure)
        return _slim(buffer.getvalue())


def _slim(svg: bytes) -> bytes:
    """An SVG of half the size that looks the same: a page holds many, each of them twice."""

    def shorten(tag):
        without_names = re.sub(rb' id="[\w.]+_\d+"', b"", tag[0])  # those that nothing refers to
        to_a_hundredth_of_a_point = re.sub(rb"(\.\d\d)\d+", rb"\1", without_names)
        return re.sub(rb"\s+", b" ", to_a_hundredth_of_a_point)

    svg = re.sub(rb"<!--.*?-->", b"", svg, flags=re.DOTALL)
    return _named_styles(re.sub(rb">\s+<", b"><", re.sub(rb"<[^>]*>", shorten, svg)))


def _named_styles(svg: bytes) -> bytes:
    """The same with each style that is used more than twice written once, as a class."""
    uses = Counter(re.findall(rb' style="([^"]*)"', svg))
    names = {s: b"s%d" % i for i, s in enumerate(s for s, count in uses.items() if count > 2)}

    def name(attribute):
        style = attribute[1]
        return b' class="' + names[style] + b'"' if style in names else attribute[0]

    rules = b"".join(b"." + name + b"{" + style + b"}" for style, name in names.items())
    return re.sub(rb' style="([^"]*)"', name, svg).replace(b"</style>", rules + b"</style>", 1)


def figcaption(caption: str, runs: dict, alt: str) -> str:
    """A caption in HTML: what is shown, how to read it, and, small, where it comes from.

    It has the keys of its runs, of which book/provenance.py makes links.
    """
    keys = f' data-runs="{html.escape(" ".join(runs))}"' if runs else ""
    roles = f' data-roles="{" ".join(runs.values())}"' if all(runs.values()) and runs else ""
    what = f"<strong>{html.escape(headline(alt))}</strong>"
    words = ORIGIN.sub(r"<small>\1</small>", html.escape(caption))
    return f"<figcaption{keys}{roles}>{what} {words}</figcaption>"


def headline(alt: str) -> str:
    """The first sentence of a text, or, where a list makes it long, what stands before the list."""
    first = re.split(r"(?<=\.) ", alt)[0]
    before, colon, _ = first[:HEADLINE].rpartition(":")
    return f"{before}." if len(first) > HEADLINE and colon else first


def unfence(caption: str) -> tuple[str, dict[str, str]]:
    """What people read of a caption, and {key: roles} that `provenance` put into it."""
    parts = caption.split(BESIDE)  # in turns words and runs
    runs = (run.partition(":") for part in parts[1::2] for run in part.split(BETWEEN) if run)
    found = {}
    for key, _, roles in runs:
        known = {*found.get(key, "").split("+"), *roles.split("+")} - {""}
        found[key] = "+".join(sorted(known))
    return "".join(parts[::2]), found


def provenance(runs, tier: str) -> str:
    """'Tier laptop; 32 runs, seeds 0, 1; commit 0123abcd.'

    The keys of the runs come after it, with their roles, fenced, for `unfence` to take out again.
    """
    once = runs.drop_duplicates("key")
    seeds = ", ".join(map(str, sorted(once.seed.unique())))
    commits = ", ".join(sorted({commit[:8] for commit in once.commit}))
    words = "run, seed" if len(once) == 1 else "runs, seeds" if "," in seeds else "runs, seed"
    diverged = (once.status == "diverged").sum()
    words = words.replace(",", f" ({diverged} diverged),") if diverged else words
    roles = runs.role if "role" in runs else [""] * len(runs)
    shown = dict.fromkeys(f"{key}:{role}" for key, role in zip(runs.key, roles, strict=True))
    keys = f"{BESIDE}{BETWEEN.join(shown)}{BESIDE}"
    return f"Tier {tier}; {len(once)} {words} {seeds}; commit {commits}.{keys}"


def nothing(anchor: str) -> Picture:
    """What stands in for a figure that has no run to show."""

    def draw(figure):
        figure.text(0.5, 0.5, "no run to show", ha="center", va="center")

    alt = "Nothing is shown: there is no run of these settings that ended well and was measured."
    return Picture(anchor, draw, alt, "", (7.2, 1.0))


def std_dictionary(widths, stds=(0.02,), gammas=(0.5, 0.8, 1.0)) -> Picture:
    """Which gamma a fixed std is at each width (gamma = -ln std / ln d_in)."""

    def draw(figure):
        axes = figure.subplots()
        for i, std in enumerate(stds):
            values = [implied_gamma(std, width) for width in widths]
            axes.plot(widths, values, **style(i), label=f"std {std:g}")
        for gamma in gammas:
            axes.axhline(gamma, color=COLOURS[5], linestyle=":")
            x, side = (widths[0], "left") if gamma <= 0.5 else (widths[-1], "right")
            axes.text(x, gamma + 0.01, f"gamma {gamma:g}", color=COLOURS[5], ha=side)
        axes.set_xscale("log", base=2)
        axes.set(xlabel="width d_in", ylabel="gamma", xticks=widths, xticklabels=widths)
        axes.legend()

    first, last = (implied_gamma(stds[0], width) for width in (widths[0], widths[-1]))
    alt = (
        f"The gamma that a fixed std of {stds[0]:g} amounts to falls from {first:.2f} at width "
        f"{widths[0]} to {last:.2f} at width {widths[-1]}."
    )
    caption = "A fixed std is a different gamma at every width. Computed; no training."
    return Picture("fig-std-dictionary", draw, alt, caption)


def eps_effect(widths, gammas, eps_values) -> Picture:
    """Root mean square after the first RMSNorm, s / sqrt(s^2 + eps) with s = d^-gamma."""

    def rms(width, gamma, eps):
        return 1 / math.sqrt(1 + eps * width ** (2 * gamma))

    look = looks(f"gamma {gamma:g}" for gamma in gammas)

    def draw(figure):
        panels = figure.subplots(1, len(eps_values), sharey=True, squeeze=False)[0]
        for axes, eps in zip(panels, eps_values, strict=True):
            for gamma in gammas:
                values = [rms(width, gamma, eps) for width in widths]
                axes.plot(widths, values, **style(look[f"gamma {gamma:g}"]), label=f"{gamma:g}")
            axes.set_xscale("log", base=2)
            axes.set(xlabel="width d", title=f"eps = {eps:g}", ylim=(0, 1.08))
        panels[0].set_ylabel("RMS after the first norm")
        panels[0].legend(title="gamma", loc="lower left")

    worst = rms(widths[-1], gammas[-1], eps_values[0])
    cured = rms(widths[-1], gammas[-1], eps_values[-1])
    alt = (
        f"With eps {eps_values[0]:g} the output of the first RMSNorm shrinks with width: "
        f"{worst:.2f} instead of 1 at width {widths[-1]} and gamma {gammas[-1]:g}. "
        f"With eps {eps_values[-1]:g} it is {cured:.2f}."
    )
    caption = "The first RMSNorm divides by sqrt(s² + eps), not by s. Computed; no training."
    return Picture("fig-eps", draw, alt, caption, (7.2, 3.4))


def loss_curves(runs, tier: str, settings=None, anchor="fig-curves", late=0.0) -> Picture:
    """Validation loss against tokens: the mean over seeds, and the range from least to most.

    `late`: the share of the training that is left out at the beginning.
    """
    runs = runs[runs.curve.map(len) > 0]  # a run that diverged at once has none
    settings = [s for s in settings or runs.setting.unique() if s in set(runs.setting)]

    def draw(figure):
        axes = figure.subplots()
        for setting, i in looks(settings).items():
            steps, curves = _curves(runs[runs.setting == setting])
            shown = np.asarray(steps) >= late * steps[-1]
            steps, curves = np.asarray(steps)[shown], curves[:, shown]
            axes.plot(steps, curves.mean(axis=0), label=setting, markersize=4, **style(i))
            low, high = curves.min(axis=0), curves.max(axis=0)
            axes.fill_between(steps, low, high, color=style(i)["color"], alpha=0.3)
        axes.set(xlabel="training tokens (millions)", ylabel="validation loss (nats per token)")
        axes.legend()

    last = {s: _curves(runs[runs.setting == s])[1][:, -1].mean() for s in settings}
    words = ", ".join(f"{setting} {loss:.2f}" for setting, loss in last.items())
    alt = f"Validation loss (nats per token) falls with training tokens. At the end: {words}."
    caption = (
        "Mean over seeds; the band is their range. On fewer windows of text than the final losses, "
        f"so last digits differ. {provenance(runs, tier)}"
    )
    return Picture(anchor, draw, alt, caption)


def stable_ranks(runs, tier: str, tensor: str = "embedding.weight") -> Picture:
    """Stable rank of one matrix against the step (linear up to step 1, then logarithmic)."""

    def draw(figure):
        axes = figure.subplots()
        look = looks(runs.setting)
        for run in runs.itertuples():
            steps, ranks = _ranks(run.probes, tensor)
            axes.plot(steps, ranks, **style(look[run.setting]), label=run.setting)
        axes.set_xscale("symlog", linthresh=1)
        axes.set(xlabel="step", ylabel=f"stable rank of {tensor}", ylim=(0, None))
        axes.legend()

    words = []
    for run in runs.itertuples():
        steps, ranks = _ranks(run.probes, tensor)
        low = min(range(len(ranks)), key=ranks.__getitem__)
        words.append(
            f"{run.setting}: {ranks[0]:.1f} at the start, lowest {ranks[low]:.1f} at step "
            f"{steps[low]}, {ranks[-1]:.1f} at the end"
        )
    alt = f"Stable rank of {tensor} during training. {'; '.join(words)}."
    caption = f"Condensation is the fall, expansion the rise. {provenance(runs, tier)}"
    return Picture("fig-stable-rank", draw, alt, caption)


def loss_plane(runs, tier: str) -> Picture:
    """Final loss over (setting, learning rate) on the tuning seeds; the best of a row is framed."""
    tuning = runs[runs.role == "tuning"]
    order = list(tuning.setting.unique())
    table = tuning.pivot_table(index="setting", columns="learning_rate", values="loss").loc[order]

    def draw(figure):
        axes = figure.subplots()
        low = min(table.min().min(), 1e9)  # finite even if every run diverged
        top = low + 1.0  # one nat of colour: beyond it all is equally bad
        finite = table.where(table < math.inf)
        image = axes.imshow(finite, cmap="viridis_r", vmin=low, vmax=top, aspect="auto")
        _write_cells(axes, table, middle=(low + top) / 2)
        axes.set_xticks(range(len(table.columns)), [f"{rate:g}" for rate in table.columns])
        axes.set_yticks(range(len(order)), order)
        axes.grid(False)
        axes.set(xlabel="peak learning rate")
        figure.colorbar(image, label="validation loss\n(nats per token)", extend="max")

    rates = table.idxmin(axis=1).where(table.min(axis=1) < math.inf)
    best = ", ".join(f"{s} at {r:g}" if r > 0 else f"{s} diverged" for s, r in rates.items())
    alt = f"Final validation loss by initialization and learning rate. Lowest in each row: {best}."
    caption = f"The framed cell is the best of its row. {provenance(tuning, tier)}"
    return Picture("fig-plane", draw, alt, caption, (7.2, 1.5 + 0.5 * len(order)))


def loss_against_gamma(runs, tier: str) -> Picture:
    """Final loss against gamma at the common learning rate and at each one's best, with 95 %."""
    compared = runs[runs.role.isin(["common", "tuned"])]
    if not len(compared):
        return nothing("fig-loss-against-gamma")
    points = {role: _points(compared[compared.role == role]) for role in ("common", "tuned")}

    def draw(figure):
        axes = figure.subplots()
        for side, (role, rows) in enumerate(points.items()):
            i, gammas = LOOKS[role], [row for row in rows if row[0].startswith("gamma")]
            fixed = [row for row in rows if not row[0].startswith("gamma")]
            bars = {"color": COLOURS[i], "marker": MARKERS[i], "capsize": 3}
            dots = compared[(compared.role == role) & np.isfinite(compared.loss)]
            dots_beside(axes, dots.gamma, dots.loss, COLOURS[i])
            label = "one common learning rate" if role == "common" else "each at its own best"
            _bars(axes, gammas, bars | {"label": label})
            for j, row in enumerate(fixed):
                hollow = {"linestyle": "none", "mfc": HOLLOW, "marker": "^v"[j % 2]}
                if role == "tuned":  # in the legend, in no role's colour
                    axes.plot([], [], **hollow, color=COLOURS[5], label=row[0])
                shift = 0.012 * (j - 1.5 * side + 0.5)  # side by side, not one over the other
                _bars(axes, [(row[0], row[1] + shift, *row[2:])], bars | hollow)
        axes.set(xlabel=GAMMA, ylabel="validation loss (nats per token)")
        axes.legend()

    common, tuned = map(_all_means, points.values())
    alt = (
        f"Final validation loss against gamma. One common learning rate: {common}. "
        f"Each at its own best: {tuned}."
    )
    caption = (
        "Mean over seeds with 95 % intervals; each dot is a run; hollow: fixed stds, at the gamma "
        f"that they amount to at this width. {provenance(compared, tier)}"
    )
    return Picture("fig-loss-against-gamma", draw, alt, caption, (7.2, 4.4))


def gain_by_rate(runs, tier: str, baseline: str = "gamma 0.5") -> Picture:
    """The answer at every common learning rate: loss of the baseline minus that of each gamma."""
    tuning = runs[(runs.role == "tuning") & runs.setting.str.startswith("gamma")]
    table = tuning.pivot_table(index="learning_rate", columns="setting", values="loss", sort=False)
    table = table.sort_index()
    gains = table.rsub(table[baseline], axis=0).drop(columns=baseline)
    gains = gains.where(np.isfinite(gains))  # no number where a run diverged

    def draw(figure):
        axes = figure.subplots()
        for setting, i in looks(gains).items():
            axes.plot(gains.index, gains[setting], label=setting, **style(i))
        axes.axhline(0, color=COLOURS[5], linestyle=":")
        axes.set_xscale("log", base=2)
        axes.set_xlim(gains.index[0] / 1.2, gains.index[-1] * 1.2)
        axes.set_xticks(gains.index, [f"{rate:g}" for rate in gains.index])
        axes.set(xlabel="common learning rate", ylabel=f"gain over {baseline} (nats per token)")
        axes.legend(ncols=2, fontsize=9)

    means = gains.mean(axis=1).dropna()
    reached = means.index[[0, -1]] if len(means) else ()
    ends = " and ".join(f"{means[rate]:+.2f} nats at {rate:g}" for rate in reached)
    alt = (
        f"Gain over {baseline} at each common learning rate, the mean over the other gammas: "
        f"{ends or 'none, because the runs diverged'}."
    )
    caption = f"Above the line the setting beats {baseline}. {provenance(tuning, tier)}"
    return Picture("fig-gain-by-rate", draw, alt, caption)


def _write_cells(axes, table, middle: float) -> None:
    """Numbers in the cells of a heat map, on dark cells in white; the least of a row is framed."""
    for (y, x), value in np.ndenumerate(table.to_numpy()):
        best = value == table.iloc[y].min() < math.inf
        words = f"{value:.2f}" if value < math.inf else "diverged"
        colour = None if value == math.inf else "white" if value > middle else "black"
        weight = "bold" if best else "normal"
        axes.text(x, y, words, ha="center", va="center", color=colour, weight=weight)
        if best:
            frame = {"fill": False, "linewidth": 2.5, "edgecolor": "#c1121f"}
            axes.add_patch(plt.Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, **frame))


def dots_beside(axes, x, y, colour: str, points=(-5, 0)) -> None:
    """A dot a run, so many points (1/72 inch) beside its place: a mean there would hide it."""
    inches = ScaledTranslation(points[0] / 72, points[1] / 72, axes.figure.dpi_scale_trans)
    axes.scatter(x, y, color=colour, s=9, alpha=0.6, transform=axes.transData + inches)
    axes.update_datalim(np.column_stack([x, y]).astype(float))  # a shift hides them from it
    axes.autoscale_view()


def looks(names) -> dict[str, int]:
    """name -> the number of its look, for `style`: that in LOOKS, or one that is left.

    Beside a gamma of LOOKS other names get the colours that no such gamma has, as far as they go.
    """
    names = list(dict.fromkeys(names))
    taken = {LOOKS[name] for name in names if name in LOOKS}
    first = (3, 4, 5, 9, 10, 11) if taken else ()
    left = (i for i in itertools.chain(first, itertools.count()) if i not in taken)
    found = {}
    for name in names:
        found[name] = LOOKS[name] if name in LOOKS else next(left)
        taken.add(found[name])
    return found


def stroke(i: int) -> dict:
    """Colour and dashes of the i-th line where lines have no markers: told apart in grey, too."""
    return {"color": COLOURS[i % 6], "linestyle": ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))[i % 5]}


def style(i: int) -> dict:
    """Colour and marker of the i-th line; beyond six, the same with dashes."""
    return {"color": COLOURS[i % 6], "marker": MARKERS[i % 6], "linestyle": "-" if i < 6 else "--"}


def _bars(axes, rows, style) -> None:
    if rows:
        _, x, mean, low, high = zip(*rows, strict=True)
        errors = [[m - b for m, b in zip(mean, low, strict=True)],
                  [t - m for m, t in zip(mean, high, strict=True)]]  # fmt: skip
        axes.errorbar(x, mean, yerr=errors, **style)


def _points(runs) -> list:
    """(setting, gamma, mean, low, high) of every setting whose runs all ended well."""
    rows = []
    for setting, group in runs.groupby("setting", sort=False):
        if not group.loss.map(math.isfinite).all():
            continue
        mean, low, high = paired_interval(list(group.loss), 0.95)
        first = group.iloc[0]
        gamma = implied_gamma(first["std"], first.width) if pd.isna(first.gamma) else first.gamma
        low, high = (mean, mean) if math.isnan(low) else (low, high)
        rows.append((setting, gamma, mean, low, high))
    return rows


def _all_means(rows) -> str:
    told = [f"{setting} {mean:.3f} [{low:.3f}, {high:.3f}]" for setting, _, mean, low, high in rows]
    return ", ".join(told) or "no setting of which every run ended well"


def _curves(runs):
    """(tokens in millions, losses (seeds, points)); diverged runs have fewer points: left out."""
    longest = max(len(curve) for curve in runs.curve)
    curves = [curve for curve in runs.curve if len(curve) == longest]
    tokens = runs.iloc[0].batch_size * runs.iloc[0].block_size / 1e6
    return [step * tokens for step, _ in curves[0]], np.array([[y for _, y in c] for c in curves])


def _ranks(probes, tensor: str):
    rows = [(probe["step"], probe["tensors"][tensor]["stable_rank"]) for probe in probes]
    return tuple(zip(*rows, strict=True))
