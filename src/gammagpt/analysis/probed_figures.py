"""Figures of a measure of probed runs at every gamma, beside what a claim asks for."""

import textwrap

import numpy as np

from ..plots import SHADE, Estimates, Picture, compose, provenance
from .pictures import by_question


def by_gamma(judged, tier: str, anchor: str = "fig-every-gamma") -> Picture:
    """The measure of each claim for every gamma; `judged` holds pairs of a claim and its frame."""
    tables = [(claim, by_question(runs[np.isfinite(runs[claim.metric])]))
              for claim, runs in judged if claim.metric in runs]
    tables = [(claim, table) for claim, table in tables if len(table)]
    columns = max(1, min(len(tables), 2 if len(tables) == 4 else 3))
    panels = [_of_claim(claim, table, columns) for claim, table in tables]
    grid = [panels[i : i + columns] for i in range(0, len(panels), columns)] or [[]]
    caption = ("Mean over seeds with 95 % intervals; a claim holds where the interval lies in the "
               "shade.")
    return compose(anchor, "The measures of the claims for every gamma", grid, caption=caption,
                   source=provenance([table for _, table in tables], tier), share=(False, False),
                   size=(7.2, 0.7 + 2.5 * len(grid)))


def _of_claim(claim, table, columns: int) -> Estimates:
    common = Estimates(table=table[table.role == "common"], x="gamma", y=claim.metric, form=".2f",
                       interval=False)
    return Estimates(table=table, x="gamma", y=claim.metric, hue="question", line=True, dots=False,
                     title="\n".join(textwrap.wrap(claim.title, 72 // columns)), head=claim.title,
                     xlabel="gamma", label=claim.unit, also=lambda axes: _mark_margin(axes, claim),
                     told=common.describe)


def _mark_margin(axes, claim) -> None:
    """Shade the side of the margin on which a claim about one setting holds; show all intervals."""
    margin = -claim.rule["margin"] if claim.turned else claim.rule["margin"]
    low, high = axes.get_ylim()
    room = 0.1 * (high - low)
    low, high = min(low, margin - room), max(high, margin + room)
    axes.axhspan(*((low, margin) if claim.turned else (margin, high)), **SHADE)
    axes.set_ylim(low, high)
