"""What came out: a frame of the grid's records, and every prediction beside its outcome.

The predictions are in predictions/gpu.yml, with what each kind of number is; they were committed
before any of these runs, and every record carries their hash.
"""

import math

import pandas as pd

from ...ledger.welch import Welch
from ...project import UserError, read_yaml, root
from .grid import Group, at, flops, runs_of

COLUMNS = ("group", "setting", "width", "steps", "rate", "seed", "role", "status", "loss",
           "sink_rate", "first_token", "first_norm", "least_norm", "unigram_until", "seconds",
           "flops", "commit", "key")
CONFIDENCE = 0.95


def frame(groups: list[Group], known) -> pd.DataFrame:
    """A row a run and group. Roles: tuning, compared. Losses in nats, infinite if diverged.

    first_norm is the root mean square that the first norm gives at the end, before its gain;
    least_norm the least of all norms.
    """
    rows = []
    for group in groups:
        for run in runs_of(group, groups, known):
            record = known.get(run)
            if record:
                rows.append(_row(group, run, record))
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(group: Group, run, record) -> dict:
    final, last = record.final, (record.probes or [{}])[-1]
    sinks, norms = last.get("sinks", {}), last.get("norms", {}).get("output", [])
    loss = final["validation_loss"]
    tuning = run.seed == group.settings[group.name_of(run)].seed
    return {
        "group": group.name, "setting": group.name_of(run), "width": run.model.width,
        "steps": run.steps, "rate": run.optim.learning_rate, "seed": run.seed,
        "role": "tuning" if tuning else "compared", "status": record.status,
        "loss": math.inf if loss is None else loss,
        **{name: sinks.get(name, math.nan) for name in ("sink_rate", "first_token")},
        "first_norm": norms[0] if norms else math.nan,
        "least_norm": min(norms, default=math.nan),
        "unigram_until": final.get("unigram_until"), "seconds": record.provenance["seconds"],
        "flops": flops(run), "commit": record.provenance["commit"], "key": run.key,
    }


def predictions() -> dict[str, dict]:
    """{name: {group, statement, because, measure, expected}}."""
    return read_yaml(root() / "predictions" / "gpu.yml")


def beside(groups: list[Group], known, rate_factor: float = 1.0) -> pd.DataFrame:
    """A row a prediction: what was expected, what was found, and whether that lies inside.

    Columns: name, group, statement, low, high, found, interval, runs, outcome (inside, outside,
    or not run). Raises UserError for a prediction that names no group, setting or kind.
    """
    runs, rows = frame(groups, known), []
    for name, said in predictions().items():
        low, high = said["expected"]
        found, interval, count = outcome(said, groups, runs, known, rate_factor)
        word = "not run" if found is None else "inside" if low <= found <= high else "outside"
        rows.append((name, said["group"], said["statement"], low, high, found, interval, count,
                     word))
    columns = ["name", "group", "statement", "low", "high", "found", "interval", "runs", "outcome"]
    return pd.DataFrame(rows, columns=columns)


def outcome(said: dict, groups, runs, known, rate_factor: float = 1.0):
    """(number or None, its interval or None, runs behind it) of a prediction."""
    named = {group.name: group for group in groups}
    measure = dict(said["measure"])
    kind = next((k for k in KINDS if k in measure), None)
    if kind is None or said["group"] not in named:
        allowed = f"{', '.join(KINDS)}; groups {', '.join(named)}"
        raise UserError(f"predictions: got {said['measure']!r} of {said['group']!r}, "
                        f"allowed are {allowed}")
    if "rate" in measure and kind != "rate":
        measure["rate"] *= rate_factor
    return KINDS[kind](measure, named[said["group"]], named, runs, known)


def _compared(reference: str, group: Group, named, runs, known):
    """The runs of 'setting' or 'group/setting' at its best rate, on seeds that chose none."""
    place, _, setting = reference.rpartition("/")
    group = named[place] if place else group
    if setting not in group.settings:
        allowed = ", ".join(group.settings)
        raise UserError(f"predictions: got {setting!r} of {group.name}, allowed are {allowed}")
    own = runs[(runs.group == group.name) & (runs.setting == setting) & (runs.role == "compared")]
    rate = named.get(group.best_of, group).best(setting, known)
    rates = own.rate.unique()
    return own[own.rate == (rate if rate in rates else max(rates, default=0))]


def _difference(measure, group, named, runs, known):
    sides = [_compared(name, group, named, runs, known).loss for name in measure["difference"]]
    if not all(len(side) for side in sides):
        return None, None, 0
    difference = Welch.of([list(side) for side in sides])
    interval = difference.interval(CONFIDENCE)
    known = interval if math.isfinite(interval[0]) else None  # of a single run there is none
    return difference.effect, known, sum(map(len, sides))


def _best_rate(measure, group, named, runs, known):
    rate = group.best(measure["rate"], known)
    return rate, None, len(group.grown(measure["rate"], known)) if rate else 0


def _mean(measure, group, named, runs, known):
    values = _compared(measure["of"], group, named, runs, known)[measure["mean"]].dropna()
    return (float(values.mean()), None, len(values)) if len(values) else (None, None, 0)


def _at_rates(setting: str, group: Group, runs):
    """Mean loss by rate of a setting, from all groups that train it at this width and length."""
    size = group.settings[setting]
    own = runs[(runs.setting == setting) & (runs.width == size.model.width)
                & (runs.steps == size.steps)]
    return own.drop_duplicates("key").groupby("rate").loss.mean()


def _excess(measure, group, named, runs, known):
    losses, rate = _at_rates(measure["excess"], group, runs), measure["rate"]
    lower = losses[losses.index <= rate]
    if rate not in losses.index or len(lower) < 2:  # nothing to be worse than
        return None, None, 0
    return losses[rate] - lower.min(), None, len(lower)


def _leaves(measure, group, named, runs, known):
    record = known.get(at(group.settings[measure["leaves"]], measure["rate"]))
    step = record.final.get("unigram_until") if record else None
    return (None, None, 0) if step is None else (float(step), None, 1)


def _critical(measure, group, named, runs, known):
    own = runs[runs.group == group.name]
    if set(own.setting) != set(group.settings):
        return None, None, 0
    best = own.groupby("setting").loss.mean().idxmin()
    return float(best.removeprefix("gamma ")), None, len(own)


KINDS = {"difference": _difference, "mean": _mean, "excess": _excess, "leaves": _leaves,
         "critical": _critical, "rate": _best_rate}
