"""What a model's weights are: the std of every tensor, and the gamma that it amounts to."""

import math

import torch

from .init import META, implied_gamma, init_table
from .tensors import Weight, weights_of

MEASURED = ["tensor", "shape", "d_in", "std", "gamma", "warning"]


@torch.no_grad()
def audit_init(module, gamma=None, *, std=None, rules=None, z=5.0, **scaling):
    """Measure every weight of any torch module: a pandas frame, a row a tensor.

    It needs no rule and refuses no layer. Columns: tensor, shape, d_in, std (measured), gamma
    (implied: -ln std / ln d_in) and warning: why d_in is not known, and what gamma would be on
    either reading. When a `gamma` or `std` is given (and more, see init_table) also expected (std),
    tolerance (relative) and ok, which is false for what cannot be told.
    The tolerance is z standard errors of a sample std over n values, 1 / sqrt(2 n) each.
    """
    import pandas as pd

    weights = [weight for weight in weights_of(module, rules) if weight.d_in or weight.why]
    if gamma is None and std is None and not scaling:
        return pd.DataFrame([_measure(weight)[0] for weight in weights], columns=MEASURED)
    known = [weight for weight in weights if weight.d_in]
    table = init_table(module, gamma, std=std, drawn=known, **scaling)
    expected = {rule.name: rule.std for rule in table}
    rows = [_judge(*_measure(weight), expected.get(weight.name, math.nan), z) for weight in weights]
    return pd.DataFrame(rows, columns=[*MEASURED, "expected", "tolerance", "ok"])


def _measure(weight: Weight):
    """A row of the table, and mean and number of the values."""
    rms, mean, count = _moments(weight)
    row = (weight.name, "x".join(map(str, weight.shape)), weight.d_in or math.nan, rms,
           _gamma(rms, weight.d_in or 1), _warning(weight, rms))
    return dict(zip(MEASURED, row, strict=True)), mean, count


def _moments(weight: Weight) -> tuple[float, float, float]:
    """Root mean square, mean and number of values of the whole tensor; of no numbers, nan."""
    if weight.tensor.is_meta or weight.hard or not weight.tensor.numel():
        return (math.nan,) * 3
    tensor = weight.seen
    if hasattr(tensor, "device_mesh"):
        tensor = tensor.full_tensor()
    if weight.padding is not None:
        tensor = tensor[[row for row in range(len(tensor)) if row != weight.padding]]
    norm = torch.linalg.vector_norm(tensor, dtype=torch.float64).item()  # no copy of the tensor
    mean = tensor.mean(dtype=torch.float64).item()
    return norm / math.sqrt(tensor.numel()), mean, tensor.numel()


def _warning(weight: Weight, rms: float) -> str:
    if weight.tensor.is_meta:
        return f"not {META}"
    if not weight.why or weight.hard:
        return weight.why
    readings = [f"gamma {_gamma(rms, n):.2f} if axis {axis} of {n} holds its inputs"
                for axis, n in enumerate(weight.shape) if n > 1]
    return ", ".join([weight.why, *readings])


def _judge(row: dict, mean: float, count: float, expected: float, z: float) -> dict:
    tolerance = z / math.sqrt(2 * count)
    right = abs(row["std"] / expected - 1) <= tolerance  # false of what is not a number
    right = right and abs(mean) <= z * expected / math.sqrt(count)
    return row | {"expected": expected, "tolerance": tolerance, "ok": right}


def _gamma(rms: float, d_in: int) -> float:
    return implied_gamma(rms, d_in) if rms > 0 and d_in > 1 else math.nan
