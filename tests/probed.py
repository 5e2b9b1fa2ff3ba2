"""Runs on anchor functions with a geometry made up by hand, for the chapters that look at it."""

from dataclasses import replace

import numpy as np
import torch
from helpers import made_up_record, small_anchor_run

from gammagpt import InitConfig, frame
from gammagpt.analysis.probed_runs import blocks
from gammagpt.data.anchors import keys
from gammagpt.probes.geometry import upper_triangle

GAMMAS, SEEDS, STEPS = (0.3, 0.5, 0.8), (1, 2), (0, 1, 10, 100)
OTHER_TASKS = {
    "one task": "reasoning 11..14 sum",
    "no sums": "memory 11..14 random, close 1..2 near",
    "three tasks": "memory 1..4 random, reasoning 11..14 sum, range 15..17 21..25",
    "one anchor each": "memory 1..1 random, reasoning 11..11 sum",
}


def base(kind, tasks=None):
    """A run of 100 steps, of an Emb-MLP or a GPT, on two tasks with ten keys."""
    data = {"tasks": tasks or "memory 1..4 random, reasoning 11..14 sum", "held_out": ""}
    return small_anchor_run(kind, data=data, steps=100).pinned()


def cosines(data, step) -> np.ndarray:
    """Memory 0.9; reasoning falls by 0.2 a number, and at the end by 0.5; nothing in between."""
    among = [(name, anchor) for name, numbers, _, _ in blocks(data) for anchor in numbers]
    slope = 0.5 if step == 100 else 0.2
    near = {"sum": lambda i, j: 1 - slope * abs(i - j)}
    laws = {name: near.get(law, lambda i, j: 0.9) for name, _, _, law in blocks(data)}
    matrix = [[laws[a](i, j) if a == b else 0.0 for b, j in among] for a, i in among]
    np.fill_diagonal(matrix := np.array(matrix), 1)
    return matrix


def geometry(config, step) -> dict:
    """What a probe leaves: keys on a line in the plane, attention that leaves the average."""
    data = config.data
    tokens = [anchor for _, numbers, _, _ in blocks(data) for anchor in numbers] + [*keys(data)]
    plane = [[t / 60, 0.01 * (t % 2)] for t in tokens]
    used = {"stable_rank": 8.0 / (1 + step), "effective_rank": 9.0, "pairs_alike": step / 200}
    found = {
        "anchors": tokens[: len(tokens) - len(keys(data))],
        "cosine": upper_triangle(torch.from_numpy(cosines(data, step))),
        "pca": {"tokens": tokens, "plane": plane, "shares": [0.6, 0.3, 0.1]},
        "in_range": {name: 0.5 for name, *_ in blocks(data)},
        "used": used,
    }
    if config.model.kind == "emb_mlp":
        groups = [*(name for name, *_ in blocks(data)), "keys"]
        return found | {"gradient": {name: 1 - step / 100 for name in groups}}
    length, names = data.length, [name for name, *_ in blocks(data)]
    average = np.tril(np.ones((length, length))) / np.arange(1, length + 1)[:, None]
    layers = [{"key": share, "anchors": 0.5, "rest": 0.5 - share} for share in (0.1, 0.4)]
    return found | {
        "value": {"share": 0.06 + step / 200, "alignment": [0.25] * len(found["anchors"])},
        "first": average.tolist(), "average_distance": 0.04 + step / 250,
        "from_last": {name: layers for name in names},
    }


def rows(kind="emb_mlp", gammas=GAMMAS, seeds=SEEDS, role="tuned", tasks=None, steps=STEPS,
         loss=1.0, left=0.0):
    """A frame; every task falls from all, by a half at step 10, to what is `left` at the end."""
    made = base(kind, tasks)
    records = []
    for config in (replace(made, init=InitConfig(gamma=g), seed=s) for g in gammas for s in seeds):
        probes = [{"step": step, "geometry": geometry(config, step)} for step in steps]
        record = made_up_record(config, loss, probes=probes)
        curves = {name: [[0, 9.0], [10, max(1.5, left)], [100, left]]
                  for name, *_ in blocks(config.data)}
        final = {f"{name}_loss": left for name in curves}
        curves |= {f"{name}_accuracy": [[0, 0.0], [100, 1.0]] for name in curves}
        records.append(replace(record, curves=record.curves | curves, final=record.final | final))
    runs = frame(records)
    runs["role"], runs["resolved"], runs["collapsed"] = role, True, False
    return runs
