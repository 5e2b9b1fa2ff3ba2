"""A picture of what a model's weights are."""

from ..plots import Picture, compose
from ..plots.bars import Bars


def audit_figure(table) -> Picture:
    """The gamma of every tensor whose d_in is known, in the order of audit_init's frame `table`."""
    known = table.set_index("tensor")[["gamma"]].dropna()
    panel = Bars(table=known, upright=False, label="", xlabel="gamma = -ln std / ln d_in")
    unknown = f" Not known of {len(table) - len(known)} more." if len(known) < len(table) else ""
    return compose("fig-audit", "The gamma that each tensor's standard deviation amounts to",
                   [panel], size=(7.2, 1 + 0.22 * len(known)),
                   caption=f"Small initialization is above 0.5.{unknown}")
