"""Minutes of the grid on other cards: FLOPs over a card's peak, times the share of it that is got.

Peaks are those of the makers' data sheets for dense products, in the precision that device.py picks
for the card; a T4 has no bfloat16 and trains in float32, a tenth as fast as its float16 would be.
"""

import json

import pandas as pd

from ...project import root
from .clock import HOPED
from .grid import flops

CARDS = {"T4": ("float32", 8.1e12), "A100": ("bfloat16", 312e12), "H100": ("bfloat16", 989e12)}
SHARE = 0.25  # of the peak, until it is measured: models of width 512 do not fill a large card
REPORT = "benchmarks/gpu.json"  # slice.json of the slice whose speeds are quoted


def minutes(groups, share: float | None = None) -> pd.DataFrame:
    """A row a card: its precision, its peak in TFLOP/s, and the minutes of the groups, summed up.

    Columns after those: the groups' names; the minutes are those from the start.
    """
    share = share or measured_share() or SHARE
    rows = []
    for card, (precision, peak) in CARDS.items():
        spent, row = 0.0, {"card": card, "precision": precision, "peak, TFLOP/s": peak / 1e12}
        for group in groups:
            spent += sum(map(flops, group.size())) / (share * peak) / 60
            row[group.name] = spent
        rows.append(row)
    return pd.DataFrame(rows)


def report() -> dict:
    """What the quoted slice has said of its card; nothing where there was none."""
    try:
        return json.loads((root() / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def measured_share() -> float | None:
    """The share of the card's measured ceiling that training at the grid's width got, if known."""
    speeds = report().get("speeds", {})
    shares = [found["share_of_ceiling"] for name, found in speeds.items()
              if name.startswith("width") and isinstance(found, dict)]
    return min(shares, default=None)


def speeds() -> pd.DataFrame:
    """A row a measurement of the quoted slice: what, tokens/s, TFLOP/s, share of the ceiling."""
    rows = [
        (name, found["setting"], found["tokens_per_second"], found["flops_per_second"] / 1e12,
         found["share_of_ceiling"])
        for name, found in report().get("speeds", {}).items()
        if isinstance(found, dict) and "setting" in found
    ]
    columns = ["what", "setting", "tokens/s", "TFLOP/s", "share of the ceiling"]
    return pd.DataFrame(rows, columns=columns)


def plan_table(rows: list[dict]) -> pd.DataFrame:
    """The plan of a grid (plan.plan) as a page shows it."""
    shown = [
        {"group": row["group"], "question": row["question"], "runs": row["runs"],
         "records": row["records"], "FLOPs": f"{row['flops']:.1e}",
         "seconds at 400 TFLOP/s": row["flops"] / HOPED}
        for row in rows
    ]
    return pd.DataFrame(shown)
