"""Which device and precision a run uses: one table, and the matmul ceiling of this machine.

| hardware                    | device | fast precision | compile | why                          |
|-----------------------------|--------|----------------|---------|------------------------------|
| CPU with AVX512_BF16 or AMX | cpu    | bfloat16       | yes     | it has units for bfloat16    |
| any other CPU               | cpu    | float32        | no      | matrix products set the pace |
| CUDA GPU, Ampere or later   | cuda   | bfloat16       | yes     | tensor cores; few launches   |
| an older CUDA GPU           | cuda   | float32        | yes     | few launches                 |
| Apple GPU                   | cpu    | float32        | no      | MPS was never tried by us    |

float32 (without TF32) is the reference everywhere, and a run's precision is part of its
configuration: the table only says what `--fast` and the tiers for such hardware ask for. In
bfloat16 the matrix products alone are in bfloat16, by autocast: weights, norms, the softmax, the
loss and the optimizer's state stay in float32.
"""

import ctypes
import sys
import time
import warnings
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache

import torch

from ..project import UserError


@dataclass(frozen=True)
class Policy:
    """A row of the table: what is fastest on the hardware at hand."""

    precision: str
    compile: bool
    why: str


def pick_device(name: str | None = None) -> torch.device:
    """The device asked for, or the best one here. Raises UserError for one that is not here."""
    if name in (None, "auto"):
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "mps":
        raise UserError("device: got 'mps', which was never tried; allowed is cpu on an Apple")
    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        here = "cpu, cuda" if torch.cuda.is_available() else "cpu"
        raise UserError(f"device: got {name!r}, available here: {here}")
    return torch.device(name)


def policy(device: torch.device) -> Policy:
    """The row of the table above that fits this device."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0):
        return Policy("bfloat16", True, "tensor cores; few launches")
    if device.type == "cuda":
        return Policy("float32", True, "few launches")
    if _cpu_has_bfloat16():
        return Policy("bfloat16", True, "it has units for bfloat16")
    return Policy("float32", False, "matrix products set the pace")


def _cpu_has_bfloat16() -> bool:
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # no public name in torch 2.11
    return any(getattr(torch.cpu, check, bool)() for check in checks)


def autocast(device: torch.device, precision: str):
    """Matrix products in bfloat16 if asked for; norms and the loss stay in float32 (model.py)."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


@contextmanager
def reference_numerics():
    """torch as it is when nothing was switched: what a script chose for itself changes no number.

    That is the default dtype and device, autocast, TF32 and the gradient mode; afterwards all are
    what they were. Also a decorator.
    """
    dtype = torch.get_default_dtype()
    backends = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)
    products = [backend.fp32_precision for backend in backends]
    with ExitStack() as stack:
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        try:
            torch.set_default_dtype(torch.float32)
            for backend in backends:
                backend.fp32_precision = "ieee"
            yield
        finally:
            torch.set_default_dtype(dtype)
            for backend, product in zip(backends, products, strict=True):
                backend.fp32_precision = product


def compiled_or_not(function, device: torch.device, compiled: bool):
    """The function, compiled if asked for and possible here (else one line of warning says why).

    Each shape is compiled once in a process. Pass free functions, not methods: a program is
    shared by all calls whose arguments are alike, and an instance is like no other.
    """
    if not (compiled and can_compile(device)):
        return function
    torch._dynamo.config.recompile_limit = 64  # shapes in a process; beyond, it would stay eager
    return torch.compile(function, dynamic=False)


@cache
def can_compile(device: torch.device) -> bool:
    """Whether torch.compile works here: it needs a C++ compiler, or Triton on a GPU."""
    try:
        torch.compile(lambda x: x + 1)(torch.zeros(8, device=device))
        return True
    except Exception as error:  # torch names a dozen of them, in private modules
        reason = str(error).strip().splitlines()[0]
        warnings.warn(f"compile: not possible here, training goes on without it ({reason})",
                      stacklevel=2)
        return False


def keep_freed_memory() -> None:
    """Let the process keep the memory that a step frees, since the next step needs it again.

    By default the C library gives large blocks back to the system at once, and each new one is
    then filled with zeros page by page. Only glibc has these settings; elsewhere nothing happens.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
        library.mallopt(trim_threshold, 2**31 - 1)
        library.mallopt(mmap_threshold, 2**30)


def describe(device: torch.device) -> str:
    """The device in words, for a record's provenance."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} thread(s)"


def wait(device: torch.device) -> None:
    """Return when the device has done all that it was asked to: before reading a clock."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matmul_ceiling(device: torch.device, precision: str = "float32", size: int = 1024) -> float:
    """Measured speed of a square matrix product, in GFLOP/s: what no training can exceed."""
    dtype = getattr(torch, precision)
    a = torch.randn(size, size, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(8):
        wait(device)
        start = time.perf_counter()
        a @ a
        wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9
