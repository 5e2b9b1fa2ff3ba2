"""What the chapter on reasoning gains reads off runs on a mixture of texts, in numbers.

Runs are rows of a frame (lab.frame, with roles) on a mixture of more than two texts. Pictures:
figures.py.
"""

import math
import re
from itertools import combinations

import pandas as pd

from ...analysis.frames import compared, contrast, text_of
from ...data import arithmetic, facts
from ...data.corpora import corpora, read_documents, split_documents
from ...data.text import DataConfig, load_text
from ...lab.measures import log_lead, reasoning_and_prose, unigrams
from ...ledger.estimate import Estimate
from ...ledger.judge import judge

PAIR = ("gamma 0.5", "gamma 1")  # baseline and treatment, as in the claims
LEAD = "reasoning_log_lead"


def ended(runs) -> pd.DataFrame:
    """The runs that are compared and ended well."""
    return compared(runs)[lambda rows: rows.status == "ok"] if len(runs) else runs


def sides(runs) -> list[str]:
    """Baseline and treatment: those of the claims, or else the outermost gammas."""
    return contrast(ended(runs), PAIR)


def floors(data: DataConfig) -> dict[str, float]:
    """Nats per token of who knows how a text is made, for the texts where that can be computed.

    What a document of the validation text says, in nats, over its tokens: nobody does better. A
    window that begins inside a document cannot do quite as well.
    """
    text, nats = load_text(data), {"arithmetic": _nats_of_sum, "facts": _nats_of_facts}
    floors = {}
    for name in set(corpora(data.corpus)) & set(nats):
        documents = split_documents(read_documents(name))[1]
        cut = text.parts[name][1]
        floors[name] = sum(map(nats[name], documents)) / (cut.stop - cut.start)
    return floors


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
    """The gain of the small initialization over the usual one: a row a role, seed and text.

    Columns: role, seed, text, nats, log (logarithm of the factor), left (share of the loss of
    guessing that the baseline has left), beyond (log, of the loss less its floor; nan
    where there is none).
    """
    columns = ["role", "seed", "text", "nats", "log", "left", "beyond"]
    pair, rows = sides(runs), []
    if len(pair) < 2:
        return pd.DataFrame(columns=columns)
    data = text_of(runs)
    low, chance = floors(data), unigrams(data)
    for (role, seed), group in ended(runs).groupby(["role", "seed"], sort=False):
        of = group.drop_duplicates("setting").set_index("setting")
        for name in corpora(data.corpus) if set(pair) <= set(of.index) else ():
            base, treated = (math.exp(of[f"{name}_log_loss"][side]) for side in pair)
            floor = low.get(name, math.nan)
            above = floor < min(base, treated)
            beyond = math.log((base - floor) / (treated - floor)) if above else math.nan
            rows.append((role, seed, name, base - treated, math.log(base / treated),
                         base / chance[name], beyond))
    return pd.DataFrame(rows, columns=columns)


def answer_scores(runs) -> pd.DataFrame:
    """Of the compared runs: setting, role, seed, kind (chain, sum, recall), depth, score, value.

    Facts have no depth: theirs is 0.
    """
    parts, runs = [], ended(runs)
    for column in runs:
        if match := re.fullmatch(r"(?:(chain|sum)_(\d+)|recall)_(accuracy|exact)", str(column)):
            kind, depth, score = match[1] or "recall", int(match[2] or 0), match[3]
            part = runs[["setting", "role", "seed"]].assign(value=runs[column], kind=kind)
            parts.append(part.assign(depth=depth, score=score))
    columns = ["setting", "role", "seed", "value", "kind", "depth", "score"]
    scores = pd.concat(parts) if parts else pd.DataFrame(columns=columns)
    return scores.dropna(subset=["value"]).sort_values(["kind", "depth"], kind="stable")


def along(run) -> tuple:
    """(share of prose left, mean log loss of reasoning) along a run (a row of a frame)."""
    way = reasoning_and_prose(run.curves, unigrams(text_of(run)))
    return ((), ()) if way is None else (way[:, 1], way[:, 2])


def other_pairs(runs, claim, tier: str) -> pd.DataFrame:
    """The rule of a claim on the lead, with every pair of texts in the place of reasoning.

    Columns: texts, effect, verdict; the largest effect first.
    """
    names = corpora(text_of(runs).corpus) if len(runs) else []
    kept = runs.reindex(columns=["setting", "role", "seed", "key", "resolved", "rules"])
    rows = []
    for pair in combinations(names, 2) if len(names) > 2 else ():
        verdict = judge(claim, kept.assign(**{LEAD: log_lead(runs, names, pair)}), tier)
        rows.append((" and ".join(pair), verdict.effect, verdict.verdict))
    table = pd.DataFrame(rows, columns=["texts", "effect", "verdict"])
    return table.sort_values("effect", ascending=False)


def gains_table(runs) -> pd.DataFrame:
    """A row a text: the gain in nats, as ln of the factor, and beyond the floor."""
    measures = ("nats", "log", "beyond")
    rows = [(text, *(Estimate.of(group[name]) for name in measures))
            for text, group in gains(runs).groupby("text", sort=False)]
    columns = ["text", "nats per token", "ln of the factor", "above the floor, ln"]
    return pd.DataFrame(rows, columns=columns).map(_text)


def _text(value):
    """An Estimate in words, a dash where it is not known; all else as it is."""
    if not isinstance(value, Estimate):
        return value
    return f"{value:+.3f}" if math.isfinite(value.mean) else "–"
