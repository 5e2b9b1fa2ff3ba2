"""What claims are about, computed from one record: numbers of a run, columns of a frame.

The learning rate sets how fast time runs, so steps alone compare clocks. Most measures here do
without one: how much of A is left to learn *when* B is half learned.

share left  a task's loss over that of guessing by the frequencies of its labels, at most 1
early       the last probe at or before a tenth of the steps; late: the last probe
"""

import math
import re
from functools import cache
from itertools import product
from math import nan

import numpy as np

from ..data.anchors import keys, label_laws, parse_tasks, tasks, training_sequences
from ..data.backcopy import least_losses
from ..data.corpora import corpora
from ..data.text import load_text
from ..data.unigrams import unigram_losses
from ..probes.geometry import full_matrix

REASONING = ("logic", "arithmetic")  # the texts whose next words follow from what is given
HALF = 0.5  # of a task is left: it is half learned
EARLY = 0.1  # of the steps
LEAST = 0.1  # of two tasks together must be learned before their order can be told


def measures(record) -> dict:
    """All measures of a run, by name; nan where the run did not get that far."""
    if record.status != "ok":
        return {}
    of = {"text": of_text, "anchors": of_anchors, "backcopy": of_backcopy}
    return of[record.config.data.kind](record)


def of_text(record) -> dict:
    """Of a mixture of two corpora, in their order (arXiv 2502.04375, Figure 7): delta, and the
    same with each loss as a share of that of guessing by frequency; progress; chains of thought.
    Of a mixture of more: `of_mixture`.
    """
    names = corpora(record.config.data.corpus)
    if len(names) != 2:
        numbers = expansion(record.probes) | (record.probes or [{}])[-1].get("sinks", {})
        return numbers | (of_mixture(record, names) if len(names) > 2 else {})
    chance = unigrams(record.config.data)
    one, other = (record.final[f"{name}_loss"] for name in names)
    numbers = progress(record.curves, chance) | {
        "delta": (other - one) / one,
        "delta_normalised": other / chance[names[1]] - one / chance[names[0]],
    }
    chains = {n: v for n, v in record.final.items() if n.endswith(("_exact", "_accuracy"))}
    numbers |= chains
    probes = [probe for probe in record.probes if "geometry" in probe]
    if probes:
        groups = early_probe(record, probes)["geometry"]["groups"]
        numbers |= {f"{name}_cosine_early": value for name, value in groups.items()}
        numbers["cosine_gap_early"] = groups.get(names[1], nan) - groups.get(names[0], nan)
    return numbers


def of_mixture(record, names) -> dict[str, float]:
    """Of a mixture of more than two texts: what is lost and answered, text by text, and leads.

    <text>_log_loss      ln of the final loss (nats per token): a difference between two settings is
                         the logarithm of a factor, so no text counts for more as it is harder
    <text>_share         the final loss over that of guessing by frequency
    reasoning_log_lead   mean log loss of the other texts minus that of the texts that ask to reason
    chain_accuracy, sum_accuracy    of logic and of arithmetic, means over the depths asked; and so
                         with _exact; of every depth, and of facts (recall), as recorded
    answers_lead         mean accuracy on logic and arithmetic (one of each) minus recall
    """
    losses, chance = {n: record.final[f"{n}_loss"] for n in names}, unigrams(record.config.data)
    numbers = {f"{name}_log_loss": math.log(loss) for name, loss in losses.items()}
    numbers |= {f"{name}_share": loss / chance[name] for name, loss in losses.items()}
    numbers["reasoning_log_lead"] = log_lead(numbers, names)
    numbers |= {n: v for n, v in record.final.items() if n.endswith(("_exact", "_accuracy"))}
    return numbers | mean_answers(numbers)


def log_lead(log_losses, names, ahead=REASONING):
    """How far the texts `ahead` are before the others; nan if there are only the one or the other.

    `log_losses` is a mapping or a frame with <text>_log_loss of each text in `names`.
    """
    sides = [[n for n in names if (n in ahead) == inside] for inside in (False, True)]
    if not all(sides):
        return nan
    others, own = (sum(log_losses[f"{n}_log_loss"] for n in side) / len(side) for side in sides)
    return others - own


def mean_answers(scores) -> dict[str, float]:
    """Means of the scores over depths, and how far answers that are reasoned lead over recalled."""
    means = {}
    for kind, score in product(("chain", "sum"), ("accuracy", "exact")):
        values = [v for n, v in scores.items() if re.fullmatch(rf"{kind}_\d+_{score}", n)]
        means |= {f"{kind}_{score}": float(np.mean(values))} if values else {}
    reasoned = [means[name] for name in ("chain_accuracy", "sum_accuracy") if name in means]
    if reasoned and "recall_accuracy" in scores:
        means["answers_lead"] = float(np.mean(reasoned)) - scores["recall_accuracy"]
    return means


def expansion(probes) -> dict[str, float]:
    """How far the stable ranks of matrices fell and rose again: ln(start / least), ln(end / least).

    condensed, expanded: means over all matrices; with the prefix embedding_, of the embedding.
    """
    paths = [probe["tensors"] for probe in probes if "tensors" in probe]
    if len(paths) < 3:
        return {}
    ranks = {name: np.log([path[name]["stable_rank"] for path in paths]) for name in paths[0]}
    fell = {name: float(rank[0] - rank.min()) for name, rank in ranks.items()}
    rose = {name: float(rank[-1] - rank.min()) for name, rank in ranks.items()}
    return {
        "condensed": float(np.mean([*fell.values()])), "expanded": float(np.mean([*rose.values()])),
        "embedding_condensed": fell["embedding.weight"],
        "embedding_expanded": rose["embedding.weight"],
    }


@cache
def unigrams(data) -> dict[str, float]:
    return unigram_losses(load_text(data))


def early_probe(record, probes) -> dict:
    """The last one at or before a tenth of the steps."""
    return [probe for probe in probes if probe["step"] <= EARLY * record.config.steps][-1]


def of_backcopy(record) -> dict:
    """Of Bigram-Backcopy, where the least loss is known.

    excess          the final loss less the least one, nats per token; log_excess: ln of it, so that
                    a difference between two settings is the logarithm of a factor
    others_excess   the same of the tokens that are no copy; copies cost triggers_loss
    sink_rate, first_token, value_drain, map    as measured at the end (probes/sinks.py)
    """
    config, final = record.config, record.final
    windows, length = config.probes.final_windows, config.model.block_size + 1
    least = least_losses(config.data, windows, length)
    excess = final["validation_loss"] - least["validation"]
    numbers = {"excess": excess, "log_excess": math.log(excess) if excess > 0 else nan}
    if "others_loss" in final:
        numbers["others_excess"] = final["others_loss"] - least["others"]
        numbers["triggers_loss"] = final["triggers_loss"]
    return numbers | (record.probes or [{}])[-1].get("sinks", {})


def of_anchors(record) -> dict:
    numbers = progress(record.curves, chance_losses(record.config.data, record.config.seed))
    reasoning = [name for name, _, law in parse_tasks(record.config.data) if law == "sum"]
    numbers |= orders(record, reasoning)
    probes = [probe for probe in record.probes if "geometry" in probe]
    if probes:
        early = early_probe(record, probes)
        numbers |= shape_of_embeddings(record, early["geometry"], "early")
        numbers |= shape_of_embeddings(record, probes[-1]["geometry"], "late")
        numbers |= first_steps(record, probes[0]["geometry"], early["geometry"], probes[-1])
        numbers |= ranks(probes[0]["geometry"], probes[-1]["geometry"])
    return numbers


def orders(record, reasoning) -> dict[str, float]:
    """reasoning_first: how far reasoning is learned before memory. unseen_behind: how far trained
    pairs are learned before those that were held out. See `ahead`."""
    chance = chance_losses(record.config.data, record.config.seed)
    known = [name for name in chance if name in record.curves and chance[name] > 0]
    own = [name for name in known if name in reasoning][:1]
    if not own:
        return {}
    left = {name: shares_left(record.curves, name, chance[name]) for name in known}
    first, numbers = left[own[0]], {}
    others = [left[name] for name in known if name not in reasoning]
    if others:
        numbers["reasoning_first"] = ahead(first, others[0])
    if "unseen" in record.curves:
        unseen = shares_left(record.curves, "unseen", chance[own[0]])
        numbers["unseen_behind"] = ahead(first, unseen)
    return numbers


def shares_left(curves: dict, name: str, chance: float) -> np.ndarray:
    """(probes,) what is left of a task: its loss over that of guessing, at most 1."""
    return np.array([min(1, value / chance) for _, value in curves[name]])


def ahead(one, other) -> float:
    """How far one task is learned before another, from -1 (all of the other first) over 0 (both
    alike) to 1; nan if the two together never get to a tenth.

    one, other: (probes,) what is left of each. No clock is in it: it is the area between what is
    left of the other and of the one, over their common progress (the mean share learned, as far
    as it got), divided by the area of a run that learns the one entirely before the other.
    """
    progress = np.maximum.accumulate(1 - (one + other) / 2)
    reached = progress[-1]
    if not reached >= LEAST:
        return nan
    most = 2 * reached**2 if reached < 0.5 else 1 - 2 * (1 - reached) ** 2
    between = other - one
    return float((np.diff(progress) * (between[1:] + between[:-1])).sum() / most)


@cache
def chance_losses(data, seed: int) -> dict[str, float]:
    """The loss in nats of each task for who knows only how frequent its labels are."""
    losses = {}
    for task in tasks(data, seed):
        _, counts = np.unique(task.labels, return_counts=True)
        shares = counts / counts.sum()
        losses[task.name] = float(-(shares * np.log(shares)).sum())
    return losses


def progress(curves: dict, chance: dict[str, float]) -> dict:
    """Steps until each task is half learned, and what is left of each other one just then."""
    numbers = {}
    names = [name for name in chance if name in curves and chance[name] > 0]  # else: one label
    left = {n: np.column_stack([[step for step, _ in curves[n]], shares_left(curves, n, chance[n])])
            for n in names}
    for name in names:
        step = crossing(left[name], HALF)
        numbers[f"steps_to_{name}"] = step
        for other in names:
            if other != name:
                at = np.interp(step, *left[other].T) if math.isfinite(step) else math.nan
                numbers[f"{other}_left_at_{name}"] = float(at)
    return numbers


def crossing(points, level: float) -> float:
    """The step, on a line between two points (n, 2), at which a curve first falls to a level.

    nan if it never does; the first step if it begins below.
    """
    below = np.flatnonzero(points[:, 1] <= level)
    if not len(below):
        return math.nan
    (s0, v0), (s1, v1) = points[max(0, below[0] - 1)], points[below[0]]
    return float(s1 if v0 <= level else s0 + (s1 - s0) * (v0 - level) / (v0 - v1))


def shape_of_embeddings(record, geometry: dict, when: str) -> dict:
    """The cosines between embeddings against distance, law and closed form (claims C4 to C6)."""
    cosine, numbers, at = full_matrix(geometry["cosine"]), {}, 0
    laws = law_cosines(record.config.data, record.config.seed)
    for name, among, law in parse_tasks(record.config.data):
        block = slice(at, at + len(among))
        upper = np.triu_indices(len(among), 1)
        trained, theory = cosine[block, block][upper], laws[block, block][upper]
        at += len(among)
        numbers[f"{name}_cosine_{when}"] = trained.mean()
        if law == "sum":
            distance = upper[1] - upper[0]
            numbers[f"hierarchy_{when}"] = rank_correlation(trained, -distance)
            numbers[f"law_match_{when}"] = correlation(trained, theory)
            closed = closed_form_cosines(among, record.config.model.width)[upper]
            numbers[f"closed_form_match_{when}"] = correlation(trained, closed)
            numbers[f"order_{when}"] = order(geometry["pca"], [*among, *keys(record.config.data)])
    return numbers


@cache
def law_cosines(data, seed: int) -> np.ndarray:
    """(A, A) cosines between P_s - 1/V of all anchors (arXiv 2502.04375, Figure 4), exact."""
    laws, _ = label_laws(training_sequences(data, seed), data.vocab_size)
    rows = [laws[anchor] - 1 / data.vocab_size for _, among, _ in parse_tasks(data)
            for anchor in among]
    return _cosines(np.array(rows))


def closed_form_cosines(tokens, width: int) -> np.ndarray:
    """Cosines of exp(-(i - s)^2 / 12) - 1/d_m, i = 1..d_m (arXiv 2502.04375, Eq. 14)."""
    places = np.arange(1, width + 1)[None]
    return _cosines(np.exp(-((places - np.array(tokens)[:, None]) ** 2) / 12) - 1 / width)


def order(pca: dict, tokens) -> float:
    """|Spearman correlation| between tokens as numbers and their first principal coordinate."""
    place = {token: row[0] for token, row in zip(pca["tokens"], pca["plane"], strict=True)}
    return abs(rank_correlation(list(tokens), [place[token] for token in tokens]))


def first_steps(record, start: dict, early: dict, last: dict) -> dict:
    """The gradient at the start, attention and its values: what a model's kind has."""
    numbers = {f"in_range_{name}": share for name, share in early.get("in_range", {}).items()}
    if "gradient" in start:
        numbers["gradient"] = float(np.mean(list(start["gradient"].values())))
    if "value" in early:
        names = [n for n, among, _ in parse_tasks(record.config.data) for _ in among]
        alignment = np.array(early["value"]["alignment"])
        for name in dict.fromkeys(names):
            own = alignment[[n == name for n in names]]
            numbers[f"value_alignment_{name}"] = float(own.mean())
        numbers["value_share"] = early["value"]["share"]
        numbers["average_distance_start"] = start["average_distance"]
        numbers["average_distance_early"] = early["average_distance"]
        for name, layers in last["geometry"]["from_last"].items():
            numbers[f"key_from_last_{name}"] = layers[-1]["key"]
    return numbers


def ranks(start: dict, last: dict) -> dict:
    """What is left of the stable rank of the embeddings in use, and how many pairs are alike."""
    kept = last["used"]["stable_rank"] / start["used"]["stable_rank"]
    return {"rank_kept": kept, "rows_alike": last["used"]["pairs_alike"]}


def correlation(one, other) -> float:
    """Pearson's."""
    return float(np.corrcoef(one, other)[0, 1])


def rank_correlation(one, other) -> float:
    """Spearman's: Pearson's of the ranks, equal values sharing theirs."""
    import pandas as pd

    return correlation(pd.Series(one).rank(), pd.Series(other).rank())


def _cosines(rows) -> np.ndarray:
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows @ rows.T
