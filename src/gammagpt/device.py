"""Which device and precision a run uses: one table, and the matmul ceiling of this machine.

| hardware   | device | precision by default | why                                             |
|------------|--------|----------------------|-------------------------------------------------|
| CPU        | cpu    | float32              | the reference: every record states its precision |
| CUDA GPU   | cuda   | float32 (no TF32)    | comparable with the CPU; bfloat16 on request    |
| Apple GPU  | cpu    | float32              | MPS was never tried by us, so it is not chosen  |
"""

import time
from contextlib import nullcontext

import torch

from .project import UserError

PRECISIONS = ("float32", "bfloat16")


def pick_device(name: str | None = None) -> torch.device:
    """The device asked for, or the best one here. Raises UserError for one that is not here."""
    if name in (None, "auto"):
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        here = "cpu, cuda" if torch.cuda.is_available() else "cpu"
        raise UserError(f"device: got {name!r}, available here: {here}")
    return torch.device(name)


def autocast(device: torch.device, precision: str):
    """Matrix products in bfloat16 if asked for; norms and the loss stay in float32 (model.py)."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def describe(device: torch.device) -> str:
    """The device in words, for a record's provenance."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} thread(s)"


def matmul_ceiling(device: torch.device, precision: str = "float32", size: int = 1024) -> float:
    """Measured speed of a square matrix product, in GFLOP/s: what no training can exceed."""
    dtype = getattr(torch, precision)
    a = torch.randn(size, size, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(8):
        start = time.perf_counter()
        a @ a
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9
