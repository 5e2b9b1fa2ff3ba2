"""Numbers of the chapter on the rule: leads, the price of a wrong learning rate, cost, the ring.

A lead is the loss of another initialization minus that of the rule, on one seed: above zero the
rule ends lower. Runs are rows of a frame (lab.frame, with roles). Pictures: figures.py.
"""

import math

import numpy as np
import pandas as pd

from ...analysis import advice as rule
from ...analysis.frames import compared
from ...analysis.gains import over
from ...analysis.learning_rates import LossesByRate, lr_range
from ...analysis.norms import after_norms
from ...data.anchors import parse_tasks, tasks
from ...gpt.audit import audit_init
from ...gpt.engine import build_model
from ...ledger.estimate import QUESTIONS, Estimate
from ...project import UserError

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


def uncertainty(data) -> pd.DataFrame:
    """How uncertain a label is, in nats, to who knows the task and besides what a column says.

    Exact: entropies over all sequences of a task whose labels follow from key and anchors.
    """
    rows = []
    for task in tasks(data, 0):
        which, key = (x.ravel() for x in np.indices(task.labels.shape))
        anchors = dict(enumerate(task.combinations[which].T))
        rows.append(pd.DataFrame(anchors | {"task": task.name, "key": key,
                                            "label": task.labels.ravel()}))
    table = pd.concat(rows, ignore_index=True)
    columns = {"nothing": [], "an anchor": [0], "the key": ["key"], "both": [0, "key"],
               "all of it": [*range(data.anchors), "key"]}
    entropies = {words: _entropy(table, ["task", *names]) for words, names in columns.items()}
    return pd.DataFrame(entropies).loc[[name for name, _, _ in parse_tasks(data)]]


def _entropy(table, names: list) -> pd.Series:
    """The mean surprise at the label, by task, given the columns `names`."""
    same = table.groupby([*names, "label"]).label.transform("size")
    surprise = -np.log(same / table.groupby(names).label.transform("size"))
    return surprise.groupby(table.task).mean() + 0.0  # no -0.00


# ---- the rule beside the others ------------------------------------------------------------------


def leads(runs, role: str, own: str) -> pd.DataFrame:
    """Loss of each other setting minus that of `own`: a row a seed, nan where a run diverged."""
    return -over(runs, role, own)


def price_of_common(runs) -> pd.DataFrame:
    """What the common rate costs each setting: its loss there less that at its own best rate.

    A row a seed, a column a setting. By it a lead at the common rate parts into two: the lead
    when both are tuned, and how much more the other pays for the common rate.
    """
    both = compared(runs)
    if not set(QUESTIONS) <= set(both.get("role", ())):
        return pd.DataFrame()
    losses = both.pivot_table(index="seed", columns=["role", "setting"], values="loss", sort=False)
    difference = losses["common"] - losses["tuned"]
    return difference.where(np.isfinite(difference)).dropna(axis=1, how="all")


def parts_of_lead(runs, own: str, usual: str) -> pd.DataFrame:
    """The lead over `usual` at one rate, in two: what that rate costs it more, and the rest."""
    one, tuned = (leads(runs, role, own) for role in QUESTIONS)
    price = price_of_common(runs)
    if not all(usual in table for table in (one, tuned, price)) or own not in price:
        return pd.DataFrame()
    parts = {f"lead {QUESTIONS['common']}": one[usual],
             "the common rate's price": price[usual] - price[own],
             f"lead, {QUESTIONS['tuned']}": tuned[usual]}
    return pd.DataFrame({name: [f"{Estimate.of(values):+.3f}"] for name, values in parts.items()})


# ---- losses by learning rate ---------------------------------------------------------------------


def by_rate(runs) -> tuple[list[str], LossesByRate]:
    """Those of all settings with a tuning grid that is whole; (names, the losses by rate)."""
    tuning = runs[runs.role == "tuning"] if len(runs) else runs
    if not len(tuning):
        return [], LossesByRate(np.empty(0), np.empty(0), np.ones(1), np.empty((0, 1, 1)))
    names = tuning.setting.unique()
    table = tuning.pivot_table(
        index="setting", columns=["seed", "learning_rate"], values="loss", sort=False
    )
    table = table.reindex(names).sort_index(axis=1).dropna()
    seeds, rates = (level.to_numpy(dtype=float) for level in table.columns.levels)
    losses = table.to_numpy().reshape(len(table), len(seeds), len(rates))
    unasked = np.full(len(table), math.nan)  # a setting need not have one gamma, nor one std
    return list(table.index), LossesByRate(unasked, unasked, rates, losses)


def beside(octaves: float):
    """A measure of losses by rate: what is lost by missing the grid's best rate by that much.

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
    """The mean of both sides. Of a parabola it is the rise one octave from the best rate, wherever
    that lies between two points of the grid; so one setting can be compared with another.
    """
    return (too_slow(rates, losses) + too_fast(rates, losses)) / 2


def factor_of_two(runs) -> pd.DataFrame:
    """Of each setting: the best rate of the grid, and what half and twice that rate cost (nats)."""
    names, losses = by_rate(runs)
    best = losses.rates[losses.losses.mean(1).argmin(1)] if names else []
    return pd.DataFrame({
        "best rate": best, "half the rate": losses.of_mean(too_slow),
        "twice the rate": losses.of_mean(too_fast), "mean of both": losses.of_mean(either_way),
        "octaves within 0.1 nats": losses.of_mean(lr_range),
    }, index=pd.Index(names, name="setting"))


# ---- cost and advice -----------------------------------------------------------------------------


def pace(runs) -> pd.DataFrame:
    """Each run once, with its seconds of training for a million tokens."""
    once = runs.drop_duplicates("key") if len(runs) else runs
    return once.assign(pace=once.seconds / once.tokens * 1e6) if len(runs) else once


def advice(width, learning_rate=None, **named):
    """(Advice or None, its words): what `pick_gamma` says, or why it does not."""
    try:
        picked = rule.pick_gamma(width, learning_rate, **named)
    except UserError as error:
        return None, f"No advice: {error}."
    return picked, str(picked)


def foretold(evidence) -> pd.DataFrame:
    """The test of the law: the best gamma at each rate, and that of the law without this rate.

    Columns: learning rate, best gamma, foretold, error. No rows if there are too few rates.
    """
    rows = []
    try:
        law = rule.law(evidence, draws=0)
        for rate, std in zip(law.rates, law.stds, strict=True):
            others = evidence[~np.isclose(evidence.learning_rate, rate)]
            octaves = rule.law(others, draws=0).octaves(rate)[0]
            width = math.log2(rule.plain(evidence).width.iloc[0])
            best, predicted = -math.log2(std) / width, -octaves / width
            rows.append((rate, best, predicted, predicted - best))
    except UserError:
        rows = []
    return pd.DataFrame(rows, columns=["learning rate", "best gamma", "foretold", "error"])
