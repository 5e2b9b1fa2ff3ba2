"""How all figures look: two inks, colours and markers, and what always has the same ones."""

import itertools

STYLE = {
    "figure.figsize": (7.2, 4.0), "font.size": 11, "axes.grid": True, "grid.alpha": 0.3,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    "savefig.transparent": True, "svg.fonttype": "none", "svg.hashsalt": "gammagpt",
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans", "Verdana"],  # alike in width
    "figure.constrained_layout.use": True,
}
INK = {"light": "#1b1b1b", "dark": "#e6e6e6"}
PAPER = {"light": "#fffffe", "dark": "#121212"}  # inside of hollow markers: no line runs through
HOLLOW = PAPER["light"]
# Blue, vermilion, green, ... of Okabe & Ito, told apart by colour-blind readers, on both grounds.
COLOURS = ("#0083d0", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#7f7f7f")
MARKERS = "osD^vP"
GREY = COLOURS[5]
SHADE = {"color": GREY, "alpha": 0.15, "linewidth": 0}
# Gammas that many figures show look alike in all of them.
LOOKS = {"gamma 0.3": 4, "gamma 0.5": 0, "gamma 0.8": 1, "gamma 1": 2}
GAMMA = r"$\gamma$ (std $= d_\mathrm{in}^{-\gamma}$)"  # the label of an axis
NATS = "nats per token"
LOSS = f"validation loss ({NATS})"


def looks(names) -> dict[str, int]:
    """name -> the number of its look, for `style`: that in LOOKS, or one that is left.

    Beside a gamma of LOOKS other names get the colours that no such gamma has, as far as they go.
    """
    names = list(dict.fromkeys(names))
    taken = {LOOKS[name] for name in names if name in LOOKS}
    first = (3, 4, 5, 9, 10, 11) if taken else ()
    left = (i for i in itertools.chain(first, itertools.count()) if i not in taken)
    numbers = {}
    for name in names:
        numbers[name] = LOOKS[name] if name in LOOKS else next(left)
        taken.add(numbers[name])
    return numbers


def style(i: int) -> dict:
    """Colour and marker of the i-th line; beyond six, the same with dashes."""
    return {"color": COLOURS[i % 6], "marker": MARKERS[i % 6], "linestyle": "-" if i < 6 else "--"}


def stroke(i: int) -> dict:
    """Colour and dashes of the i-th line where lines have no markers: told apart in grey, too."""
    return {"color": COLOURS[i % 6], "linestyle": ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))[i % 5]}


def dot(i: int, hollow: bool = False) -> dict:
    """Colour and marker of a lone point; hollow where it is not resolved."""
    look = {"color": COLOURS[i % 6], "marker": MARKERS[i % 6], "linestyle": "none"}
    return look | {"mfc": HOLLOW} if hollow else look
