"""The chapter's figures: predictions beside outcomes, and the tuned losses of every setting."""

from ...plots import COLOURS, Picture, Source, nothing, provenance
from ...plots.style import HOLLOW

HEIGHT = 0.32  # inches of a row


def predictions(table, runs, records: str) -> Picture:
    """The differences of losses that were predicted, as ranges, and what was found, as dots.

    `table` is outcomes.beside's, `runs` outcomes.frame's; `records` names the tier.
    """
    shown = table[table.name.isin(_differences(table))].iloc[::-1].reset_index(drop=True)

    def draw(figure):
        axes = figure.subplots()
        for y, row in shown.iterrows():
            axes.plot([row.low, row.high], [y, y], color=COLOURS[0], lw=7, alpha=0.4,
                      solid_capstyle="butt")
            if row.outcome != "not run":
                if row.interval is not None:
                    axes.plot(row.interval, [y, y], color=COLOURS[1], lw=1.5)
                face = COLOURS[1] if row.outcome == "inside" else HOLLOW
                axes.plot([row.found], [y], "o", color=COLOURS[1], markerfacecolor=face)
        axes.axvline(0, lw=0.8, color=COLOURS[5])
        axes.set_yticks(range(len(shown)), shown.name)
        axes.set_xlabel("difference of final losses (nats per token)")

    tried = (shown.outcome != "not run").sum()
    inside = (shown.outcome == "inside").sum()
    words = (f"Of {tried} that were tried {inside} lie inside" if tried
             else "Nothing has been tried yet, so there are ranges only")
    alt = f"Predicted ranges of {len(shown)} differences of tuned losses. {words}."
    caption = ("Ranges: where each difference was expected, nine times in ten, before any run. "
               "Dots: what was found, hollow where that is outside; lines: 95 % intervals.")
    size = (7.2, 1.2 + HEIGHT * len(shown))
    return Picture("fig-gpu-predictions", draw, alt, caption, size, _origin(runs, records))


def _differences(table) -> set[str]:
    """The names of the predictions whose number is a difference of losses."""
    from .numbers import predictions

    return {name for name, said in predictions().items() if "difference" in said["measure"]}


def tuned_losses(runs, records: str) -> Picture:
    """The final losses of every setting of the first groups at its best rate, a dot a seed."""
    compared = runs[(runs.role == "compared") & runs.group.isin(["G1 gain", "G1 hindrances"])]
    compared = compared[compared.status == "ok"]
    if not len(compared):
        return nothing("fig-gpu-losses")
    order = compared.groupby("setting").loss.mean().sort_values(ascending=False)

    def draw(figure):
        axes = figure.subplots()
        for y, setting in enumerate(order.index):
            losses = compared[compared.setting == setting].loss
            axes.plot(losses, [y] * len(losses), "o", color=COLOURS[0], alpha=0.5)
            axes.plot([order[setting]], [y], "|", color=COLOURS[1], markersize=16, mew=2)
        axes.set_yticks(range(len(order)), order.index)
        axes.set_xlabel("final validation loss (nats per token)")

    alt = (f"Final losses of {len(order)} settings, each at its own best rate. The lowest mean, "
           f"{order.iloc[-1]:.3f}, has {order.index[-1]}; the highest, {order.iloc[0]:.3f}, "
           f"{order.index[0]}.")
    caption = "Dots: seeds that chose no rate; strokes: means."
    size = (7.2, 1.2 + HEIGHT * len(order))
    return Picture("fig-gpu-losses", draw, alt, caption, size, _origin(compared, records))


def _origin(runs, records: str) -> Source:
    """Where the runs come from; their keys stay out, since the site has no page for them."""
    return Source(provenance(runs, records).words)
