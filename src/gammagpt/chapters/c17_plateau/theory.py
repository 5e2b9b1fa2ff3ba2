"""The account of the unigram plateau, step by step, in a model that takes its first steps.

1. With small weights the logits are nearly equal, so the gradient of the head is nearly
   (1/V - f) times the mean hidden state: one direction, f being how often each token occurs.
2. Adam divides by the size of each entry, so every entry of that direction moves by about the
   learning rate, and the spectral norm of a step of the (V, d) head is about lr sqrt(V d).
3. The head's direction is what all rows of the embedding are pushed along: they align.
4. Logits are sums over d entries, so writing the log frequencies takes a fixed path d * sum(lr).
"""

import math

import torch

from ...data import unigrams
from ...data.batches import make_batches
from ...gpt.engine import build_model, make_engine
from ...gpt.optim import learning_rate
from ...gpt.scores import stable_rank

CPU = torch.device("cpu")
HIDDEN = "blocks.0.mlp.up.weight"  # the hidden matrix that is looked at
WATCHED = {"embedding": "embedding.weight", "head": "head.weight", "hidden": HIDDEN}


def first_gradient(config) -> dict[str, float]:
    """What the first gradient of the head looks like, on one batch (step 1 of the account).

    top_share   energy of its largest singular direction, over all of it
    cosine      between that direction over tokens, (V,), and f - 1/V
    """
    config = config.pinned()
    model, batches = build_model(config), make_batches([config], CPU, slice(None))
    inputs, targets = batches.train(0)  # (1, B, T)
    model.loss(inputs[0], targets[0]).backward()
    gradient = model.head.weight.grad.double()  # (V, d)
    tokens = torch.linalg.svd(gradient, full_matrices=False)[0][:, 0]  # (V,)
    law = torch.from_numpy(unigrams.frequencies(config.data).copy()) - 1 / len(tokens)
    cosine = torch.nn.functional.cosine_similarity(tokens, law, dim=0).abs()
    return {"top_share": 1 / stable_rank(gradient), "cosine": cosine.item()}


def trace(config, steps: int):
    """The first `steps` of a run, looked at after each: a frame, a row a step.

    step, loss (nats, before the step), above (loss less the unigram level), path (d * sum(lr));
    for embedding, head and hidden (the first MLP's up): <name>_top (share of the step's energy in
    one direction), <name>_step (spectral norm of the step over that of the matrix), <name>_rank
    (stable rank of the matrix).
    """
    import pandas as pd

    config = config.pinned()
    batches, engine = make_batches([config], CPU, slice(None)), make_engine([config], CPU, False)
    level, path, rows = unigrams.entropy(config.data), 0.0, []
    for step in range(steps):
        before = _watched(engine)
        loss = engine.step(*batches.train(step), step).item()
        path += config.model.width * learning_rate(config.optim, step, config.steps)
        rows.append({"step": step + 1, "loss": loss, "above": loss - level, "path": path}
                    | _seen(before, _watched(engine)))  # fmt: skip
    return pd.DataFrame(rows)


def step_at_the_end(config, constant: float) -> float:
    """Step 5 of the account: a step at the plateau's end against the weights that are there.

    The plateau ends at the path `constant`, which a warm-up of n_w steps reaches at the rate
    sqrt(2 constant lr / (d n_w)). An aligned step of a (d, d) matrix then has a spectral norm of d
    times that; random weights of std s have one of about 2 s sqrt(d). The ratio, for gamma 1, is
    sqrt(constant x / 2) with x = lr d^2 / n_w: a number that width alone does not change.
    """
    d, optim = config.model.width, config.optim
    warmup = max(1, round(optim.warmup * config.steps))
    rate = min(optim.learning_rate, math.sqrt(2 * constant * optim.learning_rate / (d * warmup)))
    std = config.init.std or d**-config.init.gamma
    return rate * d / (2 * std * math.sqrt(d))


def _watched(engine) -> dict:
    weights = engine.weights(0)
    return {name: weights[full].clone() for name, full in WATCHED.items()}


def _seen(before: dict, after: dict) -> dict[str, float]:
    row = {}
    for name, weight in after.items():
        move = weight - before[name]
        norms = [torch.linalg.matrix_norm(w.double(), 2).item() for w in (move, weight)]
        row[f"{name}_top"] = 1 / stable_rank(move) if norms[0] else 0.0
        row |= {f"{name}_step": norms[0] / norms[1], f"{name}_rank": stable_rank(weight)}
    return row
