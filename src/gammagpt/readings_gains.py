"""What the chapter on reasoning gains reads off runs on a mixture of texts, in numbers.

Runs are rows of a frame (sweep.frame, with roles) on a mixture of more than two texts. Pictures:
figures_gains.py.
"""

import math
import re
from dataclasses import fields
from itertools import combinations

import numpy as np
import pandas as pd

from .claims import judge
from .data import arithmetic, facts
from .data.text import DataConfig, corpora, load_text, read_documents, split_documents
from .measures import REASONING, log_lead, unigrams
from .readings_bias import ROLES
from .words import interval, shown

PAIR = ("gamma 0.5", "gamma 1")  # usual and small, as in the claims
LEAD = "reasoning_log_lead"


def data_of(runs) -> DataConfig:
    """The data of runs, which all have the same."""
    first = runs.iloc[0]
    return DataConfig(**{field.name: first[field.name] for field in fields(DataConfig)})


def compared(runs) -> pd.DataFrame:
    """The runs that are compared and ended well."""
    return runs[runs.role.isin(ROLES) & (runs.status == "ok")] if len(runs) else runs


def sides(runs) -> tuple[str, str] | None:
    """Usual and small: those of the claims, or else the outermost gammas; None of one alone."""
    if not len(runs) or runs.gamma.nunique() < 2:
        return None
    return PAIR if set(PAIR) <= set(runs.setting) else tuple(
        f"gamma {gamma:g}" for gamma in (runs.gamma.min(), runs.gamma.max())
    )  # fmt: skip


def floors(data: DataConfig) -> dict[str, float]:
    """Nats per token of who knows how a text is made, for the texts where that can be computed.

    What a document of the validation text says, in nats, over its tokens: nobody does better. A
    window that begins inside a document cannot do quite as well.
    """
    text, said = load_text(data), {"arithmetic": _nats_of_sum, "facts": _nats_of_facts}
    found = {}
    for name in set(corpora(data)) & set(said):
        documents = split_documents(read_documents(name))[1]
        cut = text.parts[name][1]
        found[name] = sum(map(said[name], documents)) / (cut.stop - cut.start)
    return found


def _nats_of_sum(document: str) -> float:
    """Its depth, its first number and its changes; a share of all expressions is held out."""
    depths, digits = 3, arithmetic.LARGEST + 1
    changes = document.count("=") * math.log(digits - 1)
    return math.log(depths * digits) + changes + math.log(1 - 1 / arithmetic.HELD_OUT)


def _nats_of_facts(document: str) -> float:
    """Who, which facts in which order, and the wording of each: the facts themselves are known."""
    wordings = math.prod(len(ways) for ways in facts.WORDINGS.values()) ** (1 / len(facts.VALUES))
    orders = math.perm(len(facts.VALUES), facts.TOLD)
    return math.log(facts.PEOPLE * orders * wordings**facts.TOLD)


def gains(runs) -> pd.DataFrame:
    """The gain of the small start over the usual one: a row a role, seed and text.

    Columns: role, seed, text, nats, log (logarithm of the factor), left (share of the loss of
    guessing that the usual start has left), beyond (log, of the loss less its floor; nan where
    there is none).
    """
    columns = ["role", "seed", "text", "nats", "log", "left", "beyond"]
    pair = sides(compared(runs))
    if pair is None:
        return pd.DataFrame(columns=columns)
    data, found = data_of(runs), []
    low, chance = floors(data), unigrams(data)
    for (role, seed), mine in compared(runs).groupby(["role", "seed"], sort=False):
        rows = mine.drop_duplicates("setting").set_index("setting")
        for name in corpora(data) if set(pair) <= set(rows.index) else ():
            usual, small = (math.exp(rows[f"{name}_log_loss"][side]) for side in pair)
            floor = low.get(name, math.nan)
            above = floor < min(usual, small)
            beyond = math.log((usual - floor) / (small - floor)) if above else math.nan
            found.append((role, seed, name, usual - small, math.log(usual / small),
                          usual / chance[name], beyond))  # fmt: skip
    return pd.DataFrame(found, columns=columns)


def answer_scores(runs) -> pd.DataFrame:
    """Of the compared runs: setting, role, seed, kind (chain, sum, recall), depth, score, value.

    Facts have no depth: theirs is 0.
    """
    found, there = [], compared(runs)
    for column in there:
        if match := re.fullmatch(r"(?:(chain|sum)_(\d+)|recall)_(accuracy|exact)", str(column)):
            kind, depth, score = match[1] or "recall", int(match[2] or 0), match[3]
            part = there[["setting", "role", "seed"]].assign(value=there[column], kind=kind)
            found.append(part.assign(depth=depth, score=score))
    columns = ["setting", "role", "seed", "value", "kind", "depth", "score"]
    found = pd.concat(found) if found else pd.DataFrame(columns=columns)
    return found.dropna(subset=["value"]).sort_values(["kind", "depth"], kind="stable")


def along(run) -> pd.DataFrame:
    """What a run (a row of a frame) went through: step, loss (mean of all texts), and the lead."""
    names = corpora(data_of(pd.DataFrame([run])))
    curves = {name: np.array(run["curves"][name]) for name in names}
    losses = {name: curve[:, 1] for name, curve in curves.items()}
    logs = {f"{name}_log_loss": np.log(loss) for name, loss in losses.items()}
    return pd.DataFrame({
        "step": curves[names[0]][:, 0], "loss": np.mean([*losses.values()], axis=0),
        "lead": log_lead(logs, names),
    })  # fmt: skip


def at_equal_loss(runs) -> pd.DataFrame:
    """The compared runs with their lead not at the end but at one mean loss of all texts.

    It is the lowest that all runs of a role have reached, in the column `at_loss`.
    """
    parts = []
    for _, mine in compared(runs).groupby("role", sort=False):
        ways = [along(run) for _, run in mine.iterrows()]
        level = max(way.loss.min() for way in ways)
        leads = [_passing(way, level) for way in ways]
        parts.append(mine.assign(at_loss=level, **{LEAD: leads}))
    return pd.concat(parts) if parts else runs.assign(at_loss=math.nan).iloc[:0]


def _passing(way, level: float) -> float:
    """The lead where the loss first falls to a level, between two points by a line."""
    at = int(np.argmax(way.loss.to_numpy() <= level))
    part = way.iloc[max(0, at - 1) : at + 1]
    return float(np.interp(-level, -part.loss, part.lead))


def other_pairs(runs, claims, tier: str) -> pd.DataFrame:
    """The rule of each claim on the lead, with every pair of texts in the place of reasoning.

    Columns: texts, and for each role the effect and, with the suffix " verdict", the verdict.
    """
    rows = []
    names = corpora(data_of(runs)) if len(runs) else []
    kept = runs.reindex(columns=["setting", "role", "seed", "key", "resolved", "rules"])
    for pair in combinations(names, 2) if len(names) > 2 else ():
        row = {"texts": " and ".join(pair)}
        for claim in claims:
            role = claim.comparison["learning_rate"]
            found = judge(claim, kept.assign(**{LEAD: log_lead(runs, names, pair)}), tier)
            row |= {role: found.effect, f"{role} verdict": found.verdict}
        rows.append(row)
    return pd.DataFrame(rows)


# ---- in words ------------------------------------------------------------------------------------


def gains_in_words(found, role: str) -> str:
    """Which text gains most, in nats and as a share, and whether reasoning is at the head."""
    mine = found[found.role == role]
    if not len(mine):
        return f"{ROLES[role].capitalize()}: no pair of runs."
    means = mine.groupby("text", sort=False)[["nats", "log"]].mean()
    order = means.log.sort_values(ascending=False)
    ahead = [name for name in order.index[:2] if name in REASONING]
    most, least = (f"**{order.index[i]}** ({-math.expm1(-order.iloc[i]):+.1%})" for i in (0, -1))
    words = (
        f"{ROLES[role].capitalize()}: in nats **{means.nats.idxmax()}** gains most "
        f"({means.nats.max():+.3f}); as a share of its own loss {most}, and least {least}. "
    )
    return words + (
        f"Of the two largest shares {('neither is', 'one is', 'both are')[len(ahead)]} of a text "
        "that asks to reason."
    )


def floors_in_words(found, role: str) -> str:
    """What the gains are of what can be learned at all, where the floor is known."""
    mine = found[(found.role == role)].dropna(subset=["beyond"])
    parts = []
    for name, rows in mine.groupby("text", sort=False):
        whole, rest = (shown(interval(rows[column])) for column in ("log", "beyond"))
        parts.append(f"**{name}** {whole} of all loss, {rest} of what is above the floor")
    return f"{ROLES[role].capitalize()}: {'; '.join(parts)}." if parts else ""


def rank_in_words(table, role: str) -> str:
    """Where logic and arithmetic stand among all pairs of texts."""
    if not len(table) or table[role].isna().all():
        return ""
    asked = next((t for t in table.texts if set(t.split(" and ")) == set(REASONING)), None)
    if asked is None:
        return ""
    order = list(table.sort_values(role, ascending=False).texts)
    same = (table[f"{role} verdict"] == "supported").sum()
    return (
        f"{ROLES[role].capitalize()}: of {len(order)} pairs of texts, *{asked}* come out "
        f"**number {order.index(asked) + 1}**; the first is *{order[0]}*. The rule calls "
        f"{same} of them supported."
    )
