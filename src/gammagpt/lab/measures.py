"""What claims are about, computed from one record: numbers of a run, columns of a frame.

Those of anchor functions are in anchor_measures.py; what "early" means is said there.
"""

import math
import re
from functools import cache
from itertools import product
from math import nan

import numpy as np

from ..data.backcopy import least_losses
from ..data.corpora import corpora
from ..data.text import load_text
from ..data.unigrams import unigram_losses
from .anchor_measures import of_anchors
from .order import BEGUN, ahead, crossing, progress, shares_left

REASONING = ("logic", "arithmetic")  # the texts whose next words follow from what is given
PROSE = ("sotu", "stories")  # those that only go on
AT_PROSE = 0.55  # of the loss of guessing prose is left: where reasoning is compared


def measures(record) -> dict:
    """All measures of a run, by name; nan where the run did not get that far."""
    if record.status != "ok":
        return {}
    of = {"text": of_text, "anchors": of_anchors, "backcopy": of_backcopy}
    return of[record.config.data.kind](record)


def of_text(record) -> dict:
    """Of a mixture of two corpora, in their order (arXiv 2502.04375, Figure 7): delta, and the
    same with each loss as a share of that of guessing by frequency; first_ahead: how far the first
    is learned before the second (`order.ahead`); chains of thought. Of more: `of_mixture`.
    """
    names = corpora(record.config.data.corpus)
    if len(names) != 2:
        numbers = expansion(record.probes) | (record.probes or [{}])[-1].get("sinks", {})
        return numbers | (of_mixture(record, names) if len(names) > 2 else {})
    chance = unigrams(record.config.data)
    one, other = (record.final[f"{name}_loss"] for name in names)
    left = [shares_left(record.curves, name, chance[name]) for name in names]
    numbers = progress(record.curves, chance) | {
        "delta": (other - one) / one,
        "delta_normalised": other / chance[names[1]] - one / chance[names[0]],
        "first_ahead": ahead(*left),
    }
    numbers |= {n: v for n, v in record.final.items() if n.endswith(("_exact", "_accuracy"))}
    return numbers | of_groups(record, names, left[0])


def of_groups(record, names, left) -> dict[str, float]:
    """<text>_cosine_early: the mean cosine between the embeddings of a text's own tokens, when a
    tenth of the first text is learned; cosine_gap_early: the second text's less the first's."""
    probes = [probe for probe in record.probes if "geometry" in probe]
    if not probes:
        return {}
    begun = crossing(np.column_stack([[at for at, _ in record.curves[names[0]]], left]), BEGUN)
    steps, groups = zip(*((p["step"], p["geometry"]["groups"]) for p in probes), strict=True)
    own = {name: float(np.interp(begun, steps, [group.get(name, nan) for group in groups]))
           for name in names}
    return {f"{name}_cosine_early": value for name, value in own.items()} | {
        "cosine_gap_early": own[names[1]] - own[names[0]]}


def of_mixture(record, names) -> dict[str, float]:
    """Of a mixture of more than two texts: what is lost and answered, text by text, and leads.

    <text>_log_loss      ln of the final loss (nats per token): a difference between two settings is
                         the logarithm of a factor, so no text counts for more as it is harder
    <text>_share         the final loss over that of guessing by frequency
    reasoning_log_lead   mean log loss of the other texts minus that of the texts that ask to reason
    reasoning_at_prose   mean log loss of the texts that ask to reason when prose is at AT_PROSE
    chain_accuracy, sum_accuracy    of logic and of arithmetic, means over the depths asked; and so
                         with _exact; of every depth, and of facts (recall), as recorded
    answers_lead         mean accuracy on logic and arithmetic (one of each) minus recall
    """
    losses, chance = {n: record.final[f"{n}_loss"] for n in names}, unigrams(record.config.data)
    numbers = {f"{name}_log_loss": math.log(loss) for name, loss in losses.items()}
    numbers |= {f"{name}_share": loss / chance[name] for name, loss in losses.items()}
    numbers["reasoning_log_lead"] = log_lead(numbers, names)
    numbers |= at_equal_prose(record.curves, chance)
    numbers |= {n: v for n, v in record.final.items() if n.endswith(("_exact", "_accuracy"))}
    return numbers | mean_answers(numbers)


def at_equal_prose(curves, chance) -> dict[str, float]:
    """reasoning_at_prose; a model that is merely further along has no other value of it."""
    way = reasoning_and_prose(curves, chance)
    if way is None:
        return {}
    step = crossing(way[:, :2], AT_PROSE)
    return {"reasoning_at_prose": float(np.interp(step, way[:, 0], way[:, 2]))}


def reasoning_and_prose(curves, chance) -> np.ndarray | None:
    """(points, 3): step, the share of the loss of guessing that is left of prose, and the mean log
    loss of the texts that ask to reason. None where either is not in the mixture."""
    prose, reasoning = ({name: np.array(curves[name]) for name in among if name in curves}
                        for among in (PROSE, REASONING))
    if not prose or not reasoning:
        return None
    left = [curve[:, 1] / chance[name] for name, curve in prose.items()]
    logs = [np.log(curve[:, 1]) for curve in reasoning.values()]
    steps = next(iter(prose.values()))[:, 0]
    return np.column_stack([steps, np.mean(left, axis=0), np.mean(logs, axis=0)])


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
