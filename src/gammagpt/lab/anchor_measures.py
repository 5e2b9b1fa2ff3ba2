"""What claims ask of a run on anchor functions, and of how its model sees its tokens.

Every number of a probe is there three times. _start: before the first step. _early: when a tenth of
the first task that tokens say something of is learned, on a line between two probes; no clock is in
that, so initializations and learning rates can be compared. _late: at the end.
"""

from functools import cache

import numpy as np

from ..data.anchors import keys, label_laws, parse_tasks, training_sequences
from ..probes.triangle import full_matrix
from .order import BEGUN, ahead, chance_losses, crossing, progress, shares_left

FIRST = {"sum": "reasoning_first", "near": "near_first"}  # laws that give something away


def of_anchors(record) -> dict:
    chance = chance_losses(record.config.data, record.config.seed)
    numbers = progress(record.curves, chance)
    numbers |= orders(record, chance) | right_at_law(record)
    return numbers | of_probes(record, chance)


def _telling(data) -> tuple[str, str] | None:
    """(name, law) of the first task whose labels depend on what its tokens are, or None."""
    return next(((name, law) for name, _, law in parse_tasks(data) if law in FIRST), None)


def orders(record, chance) -> dict[str, float]:
    """reasoning_first: how far reasoning is learned before memory; near_first: labels near the key
    before the others. unseen_behind: how far trained pairs are learned before those that were held
    out. See `ahead`."""
    known = [name for name in chance if name in record.curves and chance[name] > 0]
    own = _telling(record.config.data)
    if not own or own[0] not in known:
        return {}
    left = {name: shares_left(record.curves, name, chance[name]) for name in known}
    numbers = {}
    others = [left[name] for name in known if name not in (own[0], "unseen")]
    if others:
        numbers[FIRST[own[1]]] = ahead(left[own[0]], others[0])
    if "unseen" in record.curves:
        unseen = shares_left(record.curves, "unseen", chance[own[0]])
        numbers["unseen_behind"] = ahead(left[own[0]], unseen)
    return numbers


def right_at_law(record) -> dict[str, float]:
    """by_heart: how much more often than by guessing in its range a task is answered right when its
    loss falls to that of knowing its range and no label. Mean over the tasks whose labels have a
    range; 0: the range is learned first, and then the labels; nan if a task never gets there."""
    data, curves = record.config.data, record.curves
    chance, more = chance_losses(data, record.config.seed), []
    for name, _, law in parse_tasks(data):
        if ".." in law and name in curves:
            low, high = map(int, law.split(".."))
            step = crossing(np.array(curves[name]), chance[name])
            right = np.interp(step, *np.array(curves[f"{name}_accuracy"]).T)
            more.append(right - 1 / (high - low + 1))
    return {"by_heart": float(np.mean(more))} if more else {}


def range_first(record, probes) -> dict[str, float]:
    """range_first: how far the range of a task's labels is learned before the labels: `ahead` of
    the answers outside the range and of those that are wrong. Mean over the tasks with a range."""
    found = []
    for name, _, law in parse_tasks(record.config.data):
        if ".." in law:
            steps = [probe["step"] for probe in probes]
            inside = np.array([probe["geometry"]["in_range"][name] for probe in probes])
            right = np.interp(steps, *np.array(record.curves[f"{name}_accuracy"]).T)
            found.append(ahead(1 - inside, 1 - right))
    return {"range_first": float(np.mean(found))} if found else {}


def of_probes(record, chance) -> dict[str, float]:
    """begins: the step of _early; and every number of `at_probe`, at the three moments above."""
    probes = [probe for probe in record.probes if "geometry" in probe]
    if not probes:
        return {}
    steps, begun = [probe["step"] for probe in probes], begins(record, chance)
    after = int(np.searchsorted(steps, begun, side="right"))
    kept = sorted({0, len(steps) - 1} | ({after - 1, after} & {*range(len(steps))}))
    table = [at_probe(record.config, probes[i]["geometry"]) for i in kept]
    numbers = {"begins": begun} | range_first(record, probes)
    for name in table[-1]:
        values = [row[name] for row in table]
        early = float(np.interp(begun, [steps[i] for i in kept], values))
        numbers |= {f"{name}_start": values[0], f"{name}_early": early, f"{name}_late": values[-1]}
    return numbers


def begins(record, chance) -> float:
    """The step at which a tenth of the first telling task (or, without one, of the first task) is
    learned; nan if it never is."""
    own = _telling(record.config.data)
    name = own[0] if own else parse_tasks(record.config.data)[0][0]
    left = shares_left(record.curves, name, chance[name])
    return crossing(np.column_stack([[step for step, _ in record.curves[name]], left]), BEGUN)


def at_probe(config, geometry: dict) -> dict[str, float]:
    """What one probe says of the embeddings, and of what a model's kind has.

    log_rank     ln of the stable rank of the embeddings in use; alike: pairs with a cosine above .7
    gradient     cosine of the measured with the predicted gradient (arXiv 2502.04375, Prop. 1)
    value_...    share of the first singular value of the first W_V in the sum of squares, and the
                 |cosine| of its direction with a task's anchors; preference: reasoning less memory
    average_distance, key_from_last_<task>    see probes/geometry.py
    """
    used = geometry["used"]
    numbers = of_embeddings(config, geometry)
    numbers |= {"log_rank": float(np.log(used["stable_rank"])), "alike": used["pairs_alike"]}
    numbers |= {f"in_range_{name}": share for name, share in geometry["in_range"].items()}
    if "gradient" in geometry:
        numbers["gradient"] = float(np.mean([*geometry["gradient"].values()]))
    return numbers | (of_attention(config, geometry) if "value" in geometry else {})


def of_embeddings(config, geometry: dict) -> dict[str, float]:
    """The cosines between embeddings against distance, law and closed form (claims C4 to C6)."""
    cosine, numbers, at = full_matrix(geometry["cosine"]), {}, 0
    laws = law_cosines(config.data, config.seed)
    for name, among, law in parse_tasks(config.data):
        block, at = slice(at, at + len(among)), at + len(among)
        upper = np.triu_indices(len(among), 1)
        trained, theory = cosine[block, block][upper], laws[block, block][upper]
        numbers[f"{name}_cosine"] = trained.mean()
        if law == "sum":
            closed = closed_form_cosines(among, config.model.width)[upper]
            numbers["hierarchy"] = rank_correlation(trained, upper[0] - upper[1])
            numbers["law_match"] = correlation(trained, theory)
            numbers["closed_form_match"] = correlation(trained, closed)
            numbers["order"] = order(geometry["pca"], [*among, *keys(config.data)])
    return numbers


def of_attention(config, geometry: dict) -> dict[str, float]:
    names = np.array([name for name, among, _ in parse_tasks(config.data) for _ in among])
    alignment = np.array(geometry["value"]["alignment"])
    own = {name: float(alignment[names == name].mean()) for name in dict.fromkeys(names.tolist())}
    numbers = {f"value_alignment_{name}": value for name, value in own.items()}
    if telling := _telling(config.data):
        others = [value for name, value in own.items() if name != telling[0]]
        numbers["value_preference"] = own[telling[0]] - float(np.mean(others or [np.nan]))
    return numbers | {
        "value_share": geometry["value"]["share"],
        "average_distance": geometry["average_distance"],
    } | {f"key_from_last_{n}": layers[-1]["key"] for n, layers in geometry["from_last"].items()}


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


def correlation(one, other) -> float:
    """Pearson's."""
    return float(np.corrcoef(one, other)[0, 1])


def rank_correlation(one, other) -> float:
    """Spearman's: Pearson's of the ranks."""
    return correlation(_ranks(one), _ranks(other))


def _ranks(values) -> np.ndarray:
    """From 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def _cosines(rows) -> np.ndarray:
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows @ rows.T
