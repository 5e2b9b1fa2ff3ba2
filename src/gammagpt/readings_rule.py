"""What the chapter on the rule reads off runs: leads, the price of a wrong rate, cost, the ring.

A lead is the loss of another initialization minus that of the rule, on one seed: above zero the
rule ends lower. Runs are rows of a frame (sweep.frame, with roles). Pictures: figures_rule.py.
"""

import math

import numpy as np
import pandas as pd

from . import rule
from .claims import paired_interval
from .data.anchors import parse_tasks, tasks
from .engine import build_model
from .init import audit_init
from .project import UserError
from .readings_disguise import WORTH, gains
from .readings_restraints import after_norms
from .valleys import Valleys, tolerance
from .words import ROLES, interval, listed, shown

SAID = {"supported": "holds", "contradicted": "does **not** hold",
        "inconclusive": "is not decided", "not run": "was not asked"}  # fmt: skip


# ---- before any training -------------------------------------------------------------------------


def drawn(settings) -> pd.DataFrame:
    """The measured std of every matrix as it is drawn, a column a setting {name: RunConfig}.

    Raises UserError if one is not as its rule says. The last row: RMS after the first norm.
    """
    columns = {}
    for name, config in settings.items():
        model, init = build_model(config), vars(config.init)
        audit = audit_init(model, **init).set_index("tensor")
        if not audit.ok.all():
            raise UserError(f"{name}: {audit.index[~audit.ok][0]} is not drawn as its rule says")
        first = next(iter(after_norms(model, config.model.norm_eps).values()))
        columns[name] = pd.concat([audit["std"], pd.Series({"RMS after the first norm": first})])
    return pd.DataFrame(columns)


def told(data) -> pd.DataFrame:
    """How uncertain a label is, in nats, to who knows the task and besides what a column says.

    Exact: entropies over all sequences of a task whose labels follow from key and anchors.
    """
    rows = []
    for task in tasks(data, 0):
        which, key = (x.ravel() for x in np.indices(task.labels.shape))
        anchors = dict(enumerate(task.combinations[which].T))
        rows.append(pd.DataFrame(anchors | {"task": task.name, "key": key,
                                            "label": task.labels.ravel()}))  # fmt: skip
    table = pd.concat(rows, ignore_index=True)
    columns = {"nothing": [], "an anchor": [0], "the key": ["key"], "both": [0, "key"],
               "all of it": [*range(data.anchors), "key"]}  # fmt: skip
    found = {words: _entropy(table, ["task", *names]) for words, names in columns.items()}
    return pd.DataFrame(found).loc[[name for name, _, _ in parse_tasks(data)]]


def _entropy(table, names: list) -> pd.Series:
    """The mean surprise at the label, by task, given the columns `names`."""
    same = table.groupby([*names, "label"]).label.transform("size")
    surprise = -np.log(same / table.groupby(names).label.transform("size"))
    return surprise.groupby(table.task).mean() + 0.0  # no -0.00


# ---- the rule beside the others ------------------------------------------------------------------


def leads(runs, role: str, mine: str) -> pd.DataFrame:
    """Loss of each other setting minus that of `mine`: a row a seed, nan where a run diverged."""
    return -gains(runs, role, mine)


def price_of_common(runs) -> pd.DataFrame:
    """What the common rate costs each setting: its loss there less that at its own best rate.

    A row a seed, a column a setting. By it a lead at the common rate parts into two: the lead
    when both are tuned, and how much more the other pays for the common rate.
    """
    if not len(runs):
        return pd.DataFrame()
    both = runs[runs.role.isin(ROLES)].pivot_table(
        index="seed", columns=["role", "setting"], values="loss", sort=False
    )
    if not set(ROLES) <= set(both.columns.get_level_values(0)):
        return pd.DataFrame()
    difference = both["common"] - both["tuned"]
    return difference.where(np.isfinite(difference)).dropna(axis=1, how="all")


# ---- valleys -------------------------------------------------------------------------------------


def valleys(runs) -> tuple[list[str], Valleys]:
    """Those of all settings with a tuning grid that is whole; (names, the valleys)."""
    tuning = runs[runs.role == "tuning"] if len(runs) else runs
    if not len(tuning):
        return [], Valleys(np.empty(0), np.empty(0), np.ones(1), np.empty((0, 1, 1)))
    names = tuning.setting.unique()
    table = tuning.pivot_table(
        index="setting", columns=["seed", "learning_rate"], values="loss", sort=False
    )
    table = table.reindex(names).sort_index(axis=1).dropna()
    seeds, rates = (level.to_numpy(dtype=float) for level in table.columns.levels)
    losses = table.to_numpy().reshape(len(table), len(seeds), len(rates))
    unasked = np.full(len(table), math.nan)  # a setting need not have one gamma, nor one std
    return list(table.index), Valleys(unasked, unasked, rates, losses)


def beside(octaves: float):
    """The measure of a valley: what is lost by missing its best rate of the grid by that much.

    Between two points of the grid along a straight line; nan beyond the grid, inf where a run
    diverged.
    """

    def lost(rates, losses):
        away, least = np.log2(rates / rates[np.argmin(losses)]), losses.min()
        near = np.isclose(away, octaves)
        if near.any() and math.isfinite(least):
            return losses[near][0] - least
        inside = away[0] < octaves < away[-1] and np.isfinite(losses).all()
        return np.interp(octaves, away, losses) - least if inside else math.nan

    return lost


too_slow, too_fast = beside(-1.0), beside(1.0)


def either_way(rates, losses) -> float:
    """The mean of both sides. Of a parabola it is the height one octave from the bottom, wherever
    the bottom lies between two points of the grid; so one valley can be compared with another.
    """
    return (too_slow(rates, losses) + too_fast(rates, losses)) / 2


def factor_of_two(runs) -> pd.DataFrame:
    """Of each valley: the best rate of the grid, and what half and twice that rate cost (nats)."""
    names, found = valleys(runs)
    best = found.rates[found.losses.mean(1).argmin(1)] if names else []
    return pd.DataFrame({
        "best rate": best, "half the rate": found.of_mean(too_slow),
        "twice the rate": found.of_mean(too_fast), "mean of both": found.of_mean(either_way),
        "octaves within 0.1 nats": found.of_mean(tolerance),
    }, index=pd.Index(names, name="setting"))  # fmt: skip


# ---- cost ----------------------------------------------------------------------------------------


def pace(runs) -> pd.DataFrame:
    """Each run once, with its seconds of training for a million tokens."""
    once = runs.drop_duplicates("key") if len(runs) else runs
    return once.assign(pace=once.seconds / once.tokens * 1e6) if len(runs) else once


# ---- advice --------------------------------------------------------------------------------------


def advice(width, learning_rate=None, **named):
    """(Advice or None, its words): what `pick_gamma` says, or why it does not."""
    try:
        found = rule.pick_gamma(width, learning_rate, **named)
    except UserError as error:
        return None, f"No advice: {error}."
    return found, str(found)


def foretold(evidence) -> pd.DataFrame:
    """The test of the law: the best gamma at each rate, and that of the law without this rate.

    No rows if there are too few rates to leave one out.
    """
    rows = []
    try:
        found = rule.law(evidence, draws=0)
        for rate, std in zip(found.rates, found.stds, strict=True):
            others = evidence[~np.isclose(evidence.learning_rate, rate)]
            octaves = rule.law(others, draws=0).octaves(rate)[0]
            rows.append((rate, *(-x / math.log2(rule.plain(evidence).width.iloc[0])
                                 for x in (math.log2(std), octaves))))  # fmt: skip
    except UserError:
        rows = []
    return pd.DataFrame(rows, columns=["learning rate", "best gamma", "foretold"])


# ---- in words ------------------------------------------------------------------------------------


def parted_in_words(runs, mine: str, usual: str) -> str:
    """How much of the lead at the common rate is the price that the usual pays for that rate."""
    one, own = (leads(runs, role, mine) for role in ROLES)
    price = price_of_common(runs)
    if not all(usual in table for table in (one, own, price)) or mine not in price:
        return "The two comparisons of these have not both been run."
    more = interval(price[usual] - price[mine])
    return (
        f"At the common rate {mine} leads {usual} by {shown(interval(one[usual]))} nats. Of this, "
        f"{shown(more)} is how much more the common rate costs {usual}, and "
        f"**{shown(interval(own[usual]))} is left when both are tuned**."
    )


def sensitive_in_words(runs, mine: str, usual: str) -> str:
    """Whether the rule's valley is wider than the usual one; the tuning seeds are few."""
    names, found = valleys(runs)
    if not {mine, usual} <= set(names):
        return "The two valleys have not both been run."
    lost = dict(zip(names, found.of_mean(either_way), strict=True))
    if not all(map(math.isfinite, (lost[mine], lost[usual]))):
        return ("A best rate lies at the edge of the grid, or a run beside it diverged: the two "
                "valleys cannot be compared.")  # fmt: skip
    by_seed = dict(zip(names, found.of_seeds(either_way), strict=True))
    same = np.sign(by_seed[usual] - by_seed[mine])
    finding = (
        f"**{mine} is less sensitive**, on every tuning seed" if (same > 0).all() else
        f"**{mine} is more sensitive**, on every tuning seed" if (same < 0).all() else
        "the tuning seeds do not agree on which is more sensitive"
    )  # fmt: skip
    return (
        f"A factor of two in the learning rate, the mean of both sides, costs {lost[mine]:.3f} "
        f"nats with {mine} and {lost[usual]:.3f} with {usual}: {finding}. There are "
        f"{len(same)} of these, too few for an interval."
    )


def pace_in_words(runs) -> str:
    """Seconds a million tokens by setting, and how much of the spread is within a setting."""
    once = pace(runs)
    if not len(once):
        return "No run is there yet."
    groups = once.groupby("setting", sort=False).pace
    middle, within = groups.median(), (groups.max() / groups.min()).max()
    return (
        f"The medians of the settings lie between {middle.min():.1f} and {middle.max():.1f} "
        f"seconds for a million tokens, a factor of {middle.max() / middle.min():.2f}; runs of one "
        f"and the same setting differ by up to a factor of {within:.2f}."
    )


def foretold_in_words(table) -> str:
    """How far off the law is at a rate that it has not seen."""
    if not len(table):
        return "There are too few rates with a minimum inside to leave one out."
    off = (table.foretold - table["best gamma"]).abs()
    return (
        f"Left out one by one, {len(table)} rates are foretold by the others. The error is "
        f"{off.mean():.2f} in gamma on average and {off.max():.2f} at most, at "
        f"{table['learning rate'][off.idxmax()]:g}."
    )


def rivals_in_words(verdicts, mine: str) -> str:
    """A line for each initialization that the rule is compared with, from its two verdicts."""
    lines = []
    for rival, pair in _by_rival(verdicts).items():
        words = [f"{SAID[v.verdict]} {when} ({_told(v)})"
                 for role, when in ROLES.items() if (v := pair.get(role))]  # fmt: skip
        lines.append(f"- *{mine} beats {rival}* {' and '.join(words)}.")
    return "\n".join(lines) or "No claim compares them."


def answer(verdicts, mine: str) -> str:
    """Is the rule the best of these, once each has its own best rate?"""
    tuned = {rival: pair["tuned"] for rival, pair in _by_rival(verdicts).items() if "tuned" in pair}
    beaten = [rival for rival, v in tuned.items() if v.verdict == "supported"]
    better = [rival for rival, v in tuned.items() if v.verdict != "not run" and v.high < -WORTH]
    alike = [rival for rival, v in tuned.items()
             if v.verdict == "contradicted" and rival not in better]  # fmt: skip
    left = [rival for rival in tuned if rival not in (*beaten, *better, *alike)]
    if not (beaten or better or alike):
        return f"**Nothing is decided here** of what {mine} is worth when rates are tuned."
    parts = {"ends lower than": beaten, "gains nothing that matters over": alike,
             "ends higher than": better, "is undecided against": left}  # fmt: skip
    words = "; ".join(f"{verb} {listed(f'*{name}*' for name in names)}"
                      for verb, names in parts.items() if names)  # fmt: skip
    head = (
        "**The rule is not the best of these, once rates are tuned**" if better else
        "**With rates tuned the rule gains over none of these**" if not beaten else
        "**With rates tuned the rule gains over some of these**" if alike or left else
        "**With rates tuned the rule gains over all of these**"
    )  # fmt: skip
    return f"{head}: {mine} {words}."


def ring_in_words(runs, measure: str, sides) -> str:
    """How much more is left of the ring with the smaller start, at each of the two questions."""
    lines = []
    for role, when in ROLES.items():
        table = _pairs(runs, role, measure, sides)
        if not len(table):
            lines.append(f"- {when.capitalize()}: not run.")
            continue
        less, more = (table[side].mean(skipna=False) for side in sides)
        change = paired_interval(list(table[sides[1]] - table[sides[0]]), 0.95)
        lines.append(f"- {when.capitalize()}: {_share(less)} is left with {sides[0]} and "
                     f"{_share(more)} with {sides[1]}; the difference is {shown(change)}, and "
                     f"{_room(less)}.")  # fmt: skip
    return "\n".join(lines)


def _pairs(runs, role: str, measure: str, sides) -> pd.DataFrame:
    """A measure of the seeds that have a run of both sides; nan where one did not get that far."""
    if not len(runs) or measure not in runs:
        return pd.DataFrame()
    chosen = runs[(runs.role == role) & runs.setting.isin(sides)]
    both = chosen[chosen.groupby("seed").seed.transform("size") == len(sides)]
    return both.pivot(index="seed", columns="setting", values=measure)


def _by_rival(verdicts) -> dict:
    """{rival: {role: Verdict}} of the claims that compare the rule with another initialization."""
    found = {}
    for verdict in verdicts:
        asked = verdict.claim.comparison
        if verdict.claim.metric == "loss" and "against" not in asked:
            found.setdefault(asked["baseline"], {})[asked["learning_rate"]] = verdict
    return found


def _told(verdict) -> str:
    return f"{shown((verdict.effect, verdict.low, verdict.high))}; {verdict.reason}"


def _share(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "an unknown share"


def _room(value: float) -> str:
    return f"there was room for {1 - value:.2f}" if math.isfinite(value) else "the room is unknown"
