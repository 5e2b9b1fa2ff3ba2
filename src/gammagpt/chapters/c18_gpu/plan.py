"""The plan of a grid: how many runs, how many FLOPs, how long on a card."""

from ...lab.store import Store
from ...project import results_folder
from .clock import HOPED
from .grid import flops, make_groups, parameters, runs_of


def plan(groups, known) -> list[dict]:
    """A row a group: its runs, how many of them have a record, FLOPs, and seconds on a card."""
    rows = []
    for group in groups:
        runs = group.size()
        work = sum(map(flops, runs))
        known_runs = sum(known.get(run) is not None for run in runs_of(group, groups, known))
        rows.append({"group": group.name, "question": group.question, "runs": len(runs),
                     "records": known_runs, "flops": work, "seconds": work / HOPED})
    return rows


def plan_in_words(groups, known) -> str:
    rows = plan(groups, known)
    lines = ["group           runs  records     FLOPs  seconds at 400 TFLOP/s, at 200"]
    for row in rows:
        lines.append(f"{row['group']:15} {row['runs']:4} {row['records']:8} {row['flops']:9.2e} "
                     f"{row['seconds']:9.1f} {2 * row['seconds']:12.1f}")
    work, count = (sum(row[name] for row in rows) for name in ("flops", "runs"))
    total = f"{'all':15} {count:4} {'':8} {work:9.2e} {work / HOPED:9.1f} {2 * work / HOPED:12.1f}"
    return "\n".join([*lines, total, "A grid whose best rate lies at its edge grows by up to two."])


def tier_plan(tier: str) -> tuple[list[dict], str]:
    """The plan of a tier, by the records that it has, as rows and in words."""
    groups, store = make_groups(parameters(tier)), Store(results_folder(tier))
    return plan(groups, store), plan_in_words(groups, store)
