"""What a model's weights are: the std of every tensor, and the gamma that it amounts to."""

import math

import torch

from .init import META, _table, check_scale, implied_gamma
from .tensors import Weight, weights_of

MEASURED = ["tensor", "shape", "d_in", "std", "gamma", "warning"]


@torch.no_grad()
def audit_init(
    module, gamma=None, *, std=None, residual_scaling=False, depth_scaling=False, rules=None,
    parts="", names=None, z=5.0,
):
    """Measure every weight of any torch module: a pandas frame, a row a tensor.

    It needs no rule and refuses no layer. Columns: tensor, shape, d_in, std (measured), gamma
    (implied: -ln std / ln d_in) and warning: why d_in is not known, and what gamma would be on
    either reading. When a `gamma` or `std` is given (see init_table) also expected (std),
    tolerance (relative) and ok, which is false for what cannot be told.
    The tolerance is z standard errors of a sample std over n values, 1 / sqrt(2 n) each.
    """
    import pandas as pd

    asked = gamma is not None or std is not None
    if asked:
        check_scale(gamma, std)
    weights = [weight for weight in weights_of(module, rules) if weight.d_in or weight.why]
    rows = [_measure(weight) for weight in weights]
    if asked:
        known = [weight for weight in weights if weight.d_in]
        table = _table(module, known, gamma, std, residual_scaling, depth_scaling, parts, names)
        expected = {rule.name: rule.std for rule in table}
        rows = [row | _judge(w, row, expected.get(w.name), z)
                for w, row in zip(weights, rows, strict=True)]
    columns = MEASURED + (["expected", "tolerance", "ok"] if asked else [])
    return pd.DataFrame(rows, columns=columns)


def _measure(weight: Weight) -> dict:
    values = _values(weight)
    measured = math.nan if values is None else _rms(values)  # the mean is known to be zero
    return {
        "tensor": weight.name,
        "shape": "x".join(map(str, weight.shape)),
        "d_in": weight.d_in or math.nan,
        "std": measured,
        "gamma": _gamma(measured, weight.d_in or 1),
        "warning": _warning(weight, measured),
    }


def _values(weight: Weight):
    """The whole tensor, or None if it holds no numbers that a draw could be."""
    if weight.tensor.is_meta or weight.hard:
        return None
    tensor = weight.seen
    if hasattr(tensor, "device_mesh"):
        tensor = tensor.full_tensor()
    kept = [row for row in range(len(tensor)) if row != weight.padding]
    return tensor if weight.padding is None else tensor[kept]


def _rms(values) -> float:
    norm = torch.linalg.vector_norm(values, dtype=torch.float64)  # no copy of the tensor
    return norm.item() / math.sqrt(values.numel())


def _warning(weight: Weight, measured: float) -> str:
    if weight.tensor.is_meta:
        return META
    if not weight.why or weight.hard:
        return weight.why
    readings = [f"gamma {_gamma(measured, n):.2f} if axis {axis} of {n} holds its inputs"
                for axis, n in enumerate(weight.shape) if n > 1]
    return ", ".join([weight.why, *readings])


def _judge(weight: Weight, row: dict, expected, z: float) -> dict:
    values = _values(weight) if expected else None
    if values is None:
        return {"expected": math.nan, "tolerance": math.nan, "ok": False}
    tolerance = z / math.sqrt(2 * values.numel())
    mean = values.mean(dtype=torch.float64).item()
    centred = abs(mean) <= z * expected / math.sqrt(values.numel())
    right = abs(row["std"] / expected - 1) <= tolerance and centred
    return {"expected": expected, "tolerance": tolerance, "ok": right}


def _gamma(measured: float, d_in: int) -> float:
    return implied_gamma(measured, d_in) if measured > 0 and d_in > 1 else math.nan
