"""What chapter 3 reads off runs on anchor functions."""

import math

from ...analysis.anchors import left_at
from ...data.anchors import parse_tasks
from ...ledger.estimate import Estimate


def rivals(data) -> tuple[str, str]:
    """(memory, reasoning): the names of the first task that does not add, and of the first that
    does. Where all tasks are of one sort, the last and the first.
    """
    names = {name: law for name, _, law in parse_tasks(data)}
    adds = [name for name, law in names.items() if law == "sum"] or list(names)[:1]
    others = [name for name, law in names.items() if law != "sum" and name not in adds]
    return (others or list(names)[-1:])[0], adds[0]


def lead_by_level(runs, done: str, left: str, sides, levels=(0.7, 0.5, 0.3)) -> dict:
    """{'70% left': difference between two settings in what is left of one task at that level of
    the other}, paired by seed, with its interval; a dash where a run did not get that far.
    """
    leads = {}
    for level in levels:
        chosen = [runs[runs.setting == side].itertuples() for side in sides]
        shares = [{run.seed: left_at(run, done, left, level) for run in side} for side in chosen]
        gains = [shares[1][seed] - shares[0][seed] for seed in shares[0] if seed in shares[1]]
        estimate = Estimate.of(gains) if gains else Estimate(math.nan)
        known = math.isfinite(estimate.mean)
        leads[f"{level:.0%} left"] = f"{estimate:+.2f}" if known else "–"
    return leads
