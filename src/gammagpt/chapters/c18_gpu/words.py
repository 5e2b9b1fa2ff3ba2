"""What the chapter says of a grid and its outcomes, in sentences that the records write."""

from ...ledger.estimate import listed


def state(rows: list[dict], name: str) -> str:
    """How much of the plan (plan.plan) has records in results/`name`."""
    records = sum(row["records"] for row in rows)
    if not records:
        return (
            f"**There is no record in `results/{name}` yet.** No GPU was at hand when this page "
            "was made: what follows is the plan and the predictions, not results."
        )
    lacking = [row["group"] for row in rows if row["records"] < row["runs"]]
    more = f" Still incomplete: {listed(lacking)}." if lacking else " The grid is complete."
    return f"**{records} runs have records in `results/{name}`.**{more}"


def cost(runs, devices) -> str:
    """What the runs of a frame (outcomes.frame) took."""
    once = runs.drop_duplicates("key")
    if not len(once):
        return "Nothing has been spent on it yet."
    minutes, work = once.seconds.sum() / 60, once.flops.sum()
    speed = work / once.seconds.sum() / 1e12
    cards = listed(sorted(devices))
    return (f"{len(once)} runs, {work:.1e} FLOPs in {minutes:.1f} minutes on {cards}: "
            f"{speed:.3g} TFLOP/s, building, measuring and saving included.")


def score(table) -> str:
    """How many predictions came true, and which did not."""
    counts = table.outcome.value_counts()
    run = len(table) - counts.get("not run", 0)
    if not run:
        return f"None of the {len(table)} predictions has been tried."
    missed = table[table.outcome == "outside"].statement
    wrong = "; ".join(f"*{statement}*" for statement in missed)
    words = (f"{counts.get('inside', 0)} of {run} outcomes lie where they were expected; nine in "
             "ten should.") + (f" Outside: {wrong}." if wrong else "")
    return words + (f" {counts['not run']} have not been tried." if "not run" in counts else "")


def sinks(runs) -> str:
    """A line a group: the mean share of heads with a sink, by setting."""
    known = runs.dropna(subset=["sink_rate"])
    lines = []
    for group, own in known.groupby("group", sort=False):
        means = own.groupby("setting", sort=False).sink_rate.mean()
        words = listed(f"{setting} {rate:.1%}" for setting, rate in means.items())
        lines.append(f"- {group}: {words}.")
    return "\n".join(lines) or "No run has been looked at."


def norms(runs) -> str:
    """A line a setting without a relaxed epsilon: what its first norm gives in the end."""
    known = runs.dropna(subset=["first_norm"])
    means = known.groupby(["width", "setting"], sort=False)[["first_norm", "least_norm"]].mean()
    return "\n".join(
        f"- width {width}, {setting}: the first norm gives {row.first_norm:.3f}, the least of all "
        f"{row.least_norm:.3f}." for (width, setting), row in means.iterrows()
    ) or "No run has been looked at."
