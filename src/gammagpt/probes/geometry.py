"""How a model sees its tokens: embeddings, attention, first gradients; and how its neurons lie.

Nearly everything here is about anchor functions, and compares a trained model with what
arXiv 2502.04375 derives for it.
Shapes in comments: A anchors, C width, L tokens of a sequence, N sequences, V vocabulary.
"""

import copy
from functools import cache

import numpy as np
import torch

from ..data.anchors import Sequences, held_sequences, keys, label_laws, parse_tasks, tasks
from ..data.anchors import training_sequences as all_sequences
from ..data.text import load_text
from ..data.unigrams import own_tokens
from ..gpt.model import attention_weights, cross_entropy
from .spectra import condensation, spectrum

MOST_SEQUENCES = 20_000  # for the gradient
NEURONS = "blocks.0.mlp.up.weight", 48  # the matrix whose rows are compared, and how many of them
WATCHED = 256  # sequences of each task whose attention is looked at


def geometry(model, config) -> dict:
    """All of it that this model has; numbers and lists, as a record can hold them."""
    if config.data.kind == "text":
        return {"groups": group_cosines(model, groups_of_tokens(config.data))}
    numbers = {
        "anchors": anchors(config.data),
        "cosine": upper_triangle(cosines(model, anchors(config.data))),
        "pca": principal_plane(model, [*anchors(config.data), *keys(config.data)]),
        "in_range": in_range(model, config),
        "used": rows_in_use(model, [*anchors(config.data), *keys(config.data)]),
    }
    if config.model.kind == "emb_mlp":
        return numbers | {"gradient": gradient_agreement(model, config)}
    return numbers | {"value": value_direction(model, config.data), **attention(model, config)}


@cache
def groups_of_tokens(data) -> dict[str, list[int]]:
    """`own_tokens` of a text, found once: every probe of every run asks for them."""
    return own_tokens(load_text(data))


def group_cosines(model, groups) -> dict[str, float]:
    """Mean cosine between the embeddings of the tokens of each group."""
    means = {}
    for name, tokens in groups.items():
        cosine, count = cosines(model, tokens), len(tokens)
        if count > 1:
            means[name] = ((cosine.sum() - count) / (count * (count - 1))).item()
    return means


def anchors(data) -> list[int]:
    """All anchors, task by task."""
    return [anchor for _, among, _ in parse_tasks(data) for anchor in among]


def cosines(model, tokens):
    """(A, A) cosines between the embeddings of some tokens."""
    rows = model.embedding.weight[tokens].detach().double()
    rows = torch.nn.functional.normalize(rows, dim=1)
    return rows @ rows.T


def neuron_cosines(weights: dict[str, torch.Tensor]) -> list[float]:
    """Cosines between the input weights of neurons (arXiv 2405.05409, its heat maps of W).

    Of the first MLP's first neurons, as `upper_triangle`: `triangle.full_matrix` is the way back.
    """
    name, count = NEURONS
    rows = torch.nn.functional.normalize(weights[name].detach()[:count].double(), dim=1)
    return upper_triangle(rows @ rows.T)


def rows_in_use(model, tokens) -> dict:
    """Spectrum and condensation of the embeddings that are trained at all."""
    rows = model.embedding.weight[tokens].detach()
    return {name: value for name, value in (spectrum(rows) | condensation(rows)).items()
            if name in ("stable_rank", "effective_rank", "pairs_alike")}


def upper_triangle(matrix) -> list[float]:
    """What lies above the diagonal, row by row; `triangle.full_matrix` is the way back."""
    row, column = np.triu_indices(len(matrix), 1)
    return _rounded(matrix[row, column])


def principal_plane(model, tokens) -> dict:
    """Embeddings on their first two principal axes, and the shares of variance along these."""
    rows = model.embedding.weight[tokens].detach().double()
    rows = rows - rows.mean(0)
    left, values, _ = torch.linalg.svd(rows, full_matrices=False)
    plane = left[:, :2] * values[:2]
    shares = values.square() / values.square().sum()
    return {"tokens": tokens, "plane": _rounded(plane / plane.abs().max()),
            "shares": _rounded(shares[:8])}


@torch.no_grad()
def in_range(model, config) -> dict[str, float]:
    """Of each task, how often the likeliest label is one that the task has at all."""
    labels = {task.name: np.unique(task.labels) for task in tasks(config.data, config.seed)}
    shares = {}
    for name, held in held_sequences(config.data, config.seed, WATCHED).items():
        tokens = torch.from_numpy(held.tokens).long().to(model.embedding.weight.device)
        chosen = model(tokens, last=True).argmax(-1).cpu().numpy()
        shares[name] = round(float(np.isin(chosen, labels[name]).mean()), 4)
    return shares


def predicted_gradient(model, sequences: Sequences):
    """(V, C): r_s (P_s - 1/V) W2^T W1^T, along which Proposition 1 says that embedding s moves."""
    vocab_size = model.config.vocab_size
    laws, shares = label_laws(sequences, vocab_size)
    pull = torch.from_numpy(shares[:, None] * (laws - 1 / vocab_size))
    return pull @ model.head.weight.detach().double() @ model.hidden.weight.detach().double()


def measured_gradient(model, sequences: Sequences):
    """(V, C): minus the gradient of the mean loss with respect to the embedding."""
    tokens, labels = (torch.from_numpy(x).long() for x in (sequences.tokens, sequences.labels))
    weight = model.embedding.weight
    with torch.enable_grad():
        loss = cross_entropy(model(tokens.to(weight.device)), labels.to(weight.device))
        return -torch.autograd.grad(loss, weight)[0].double()


def gradient_agreement(model, config) -> dict[str, float]:
    """Mean cosine between predicted and measured gradient, over the anchors of each task, keys."""
    sequences = _some(all_sequences(config.data, config.seed), config.seed)
    model = copy.deepcopy(model).to("cpu")  # the model itself goes on training where it is
    pair = predicted_gradient(model, sequences), measured_gradient(model, sequences)
    agreement = torch.nn.functional.cosine_similarity(*pair, dim=1)
    groups = {name: among for name, among, _ in parse_tasks(config.data)}
    groups["keys"] = keys(config.data)
    return {name: round(agreement[list(group)].mean().item(), 6) for name, group in groups.items()}


def value_direction(model, data) -> dict:
    """W_V of the first layer: the share of its first singular value in the sum of squares, and
    |cosine| of that direction with what the layer sees of each anchor (its normed embedding).
    """
    block = model.blocks[0]
    _, values, directions = torch.linalg.svd(block.attention.value.weight.detach().double())
    seen = model.embedding.weight[anchors(data)] * block.norm1.weight  # up to a factor
    seen = torch.nn.functional.normalize(seen.detach().double(), dim=1)
    share = values[0].square() / values.square().sum()
    return {"share": _rounded(share), "alignment": _rounded((seen @ directions[0]).abs())}


@torch.no_grad()
def attention(model, config) -> dict:
    """Attention of every layer on fresh sequences of all tasks.

    first: the mean map of the first layer (L, L); average_distance: the largest |A_ij - 1/i|
    (Lemma 1), mean over sequences; from_last: for each task and layer, the mean share that the
    last token gives to the key, to the anchors, and to all else.
    """
    held = held_sequences(config.data, config.seed, WATCHED)
    maps = {name: _mean_maps(model, sequences) for name, sequences in held.items()}
    first = torch.cat([found[0] for found in maps.values()])  # (N, L, L)
    average = torch.tril(torch.ones_like(first[0]))
    average = average / average.sum(1, keepdim=True)
    return {
        "first": _rounded(first.mean(0)),
        "average_distance": _rounded((first - average).abs().flatten(1).max(1).values.mean()),
        "from_last": {
            name: [_from_last(layer[:, -1], held[name].key_at, config.data.anchors) for layer in m]
            for name, m in maps.items()
        },
    }


def _mean_maps(model, sequences: Sequences) -> list[torch.Tensor]:
    """The attention (N, L, L) of every layer, mean over heads."""
    tokens = torch.from_numpy(sequences.tokens).long().to(model.embedding.weight.device)
    return [layer.mean(1) for layer in attention_maps(model, tokens)]


def attention_maps(model, tokens) -> list[torch.Tensor]:
    """The attention weights (N, H, L, L) of every layer for tokens (N, L)."""
    maps, before = [], [block.attention.attend for block in model.blocks]

    def recorded(q, k, v):
        maps.append(attention_weights(q, k))
        return maps[-1].to(v.dtype) @ v

    try:
        for block in model.blocks:
            block.attention.attend = recorded
        model(tokens)
    finally:
        for block, attend in zip(model.blocks, before, strict=True):
            block.attention.attend = attend
    return maps


def _from_last(row, key_at, anchors: int) -> dict[str, float]:
    """Shares of the last token's attention (N, L) by what stands there, mean over sequences."""
    place = torch.arange(row.size(1)) - torch.from_numpy(key_at)[:, None]  # 0 at the key
    row = row.cpu()
    key = (row * (place == 0)).sum(1).mean()
    among = (row * ((place > 0) & (place <= anchors))).sum(1).mean()
    return {"key": _rounded(key), "anchors": _rounded(among), "rest": _rounded(1 - key - among)}


def _some(sequences: Sequences, seed: int) -> Sequences:
    """All of them, or of more than MOST_SEQUENCES a random choice: they come task by task."""
    if len(sequences.labels) <= MOST_SEQUENCES:
        return sequences
    chosen = np.random.default_rng(seed).permutation(len(sequences.labels))[:MOST_SEQUENCES]
    parts = (sequences.tokens, sequences.labels, sequences.key_at, sequences.task)
    return Sequences(*(part[np.sort(chosen)] for part in parts))


def _rounded(tensor):
    """Three decimals: what a picture needs, in a file that stays small."""
    return np.round(tensor.double().cpu().numpy(), 3).tolist()
