"""How fast this machine trains: its matmul ceilings, a ladder of shapes, and a peer beside ours.

The ladder goes from a toy to GPT-2's size; compare.py says how a shape is measured.
"""

import json
import platform
from contextlib import suppress
from pathlib import Path

import torch

from ..gpt.device import can_compile, describe, matmul_ceiling, pick_device, policy
from ..gpt.options import PRECISIONS, EmbMLPConfig, GPTConfig
from ..gpt.records import provenance
from ..lab.sweep import cores
from ..project import UserError, writable_file, write
from . import nanogpt as peers
from .compare import FULL, QUICK, Comparison, say
from .workers import Shape, Worker

LADDER = {
    "laptop": Shape(GPTConfig()),
    "pilot": Shape(GPTConfig(n_layer=4, n_head=4, width=128, block_size=128, vocab_size=2048)),
    "wide": Shape(
        GPTConfig(n_layer=6, n_head=8, width=256, block_size=256, vocab_size=2048), batch_size=16
    ),
    "GPT-2 124M": Shape(
        GPTConfig(n_layer=12, n_head=12, width=768, block_size=1024, vocab_size=50304),
        batch_size=16,
    ),
    "toy": Shape(GPTConfig(block_size=9, vocab_size=201), batch_size=100),
    "Emb-MLP": Shape(EmbMLPConfig(), batch_size=100),
}
GPU_ONLY = ("GPT-2 124M",)
SAME = ("device", "cpu", "cores", "system", "torch")  # what makes two machines one
LONG = 0.02  # seconds of a matrix product, to find the ceiling


def bench(quick=False, only=None, peer=None, out=None) -> dict:
    """The report, as JSON can hold it. With `out`, it is written there after every shape.

    A report that is there already, made in the same way on the same machine, is added to.
    Raises UserError for an `only` that is part of no shape's name, a `peer` that is no checkout
    of it, or an `out` that cannot be written.
    """
    shapes = chosen(only, pick_device())
    check_file(out)
    report = {"quick": quick, "peer": peer and peers.NAME, **ask_machine(peer)}
    report["shapes"] = shapes_so_far(report, out)
    effort = QUICK if quick else FULL
    for name, shape in shapes.items():
        measured = Comparison(name, shape, report, effort, peer).run()
        every = report["shapes"] | {name: measured}
        report["shapes"] = {n: every[n] for n in LADDER if n in every}  # from the foot to the top
        if out:
            text = json.dumps(report, indent=1, allow_nan=False) + "\n"
            write("--out", Path(out), text.encode())
    say("")
    return report


def chosen(only: str | None, device) -> dict[str, Shape]:
    """The shapes of the ladder that this device trains and whose name, or size, has this part."""
    here = {n: s for n, s in LADDER.items() if device.type == "cuda" or n not in GPU_ONLY}
    found = {n: s for n, s in here.items() if (only or "").lower() in f"{n}: {s}".lower()}
    if not found:
        raise UserError(f"--only: got {only!r}, allowed is a part of {', '.join(here)}")
    return found


def shapes_so_far(report: dict, out: str | None) -> dict:
    """The shapes in the file `out`, if it was made in the same way on the same machine."""
    try:
        old = json.loads(Path(out or "").read_text())
        same = all(old[name] == report[name] for name in ("quick", "peer"))
        same &= all(old["machine"][name] == report["machine"][name] for name in SAME)
        return old["shapes"] if same else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def check_file(out: str | None) -> None:
    """Refuse a file that cannot be written now: not after all the measurements."""
    if out:
        writable_file("--out", Path(out))


def ask_machine(peer: str | None) -> dict:
    """What this machine is, and its ceilings in GFLOP/s; measured in a process with all cores."""
    say("the ceilings of matrix products")
    worker = Worker(torch.get_num_threads(), make_machine, peer)
    try:
        worker.answer()
        worker.ask()
        return worker.answer()
    finally:
        worker.close()


def make_machine(peer: str | None):
    if peer:
        peers.load(peer)  # a wrong folder is refused before anything is measured
    return machine


def machine() -> dict:
    device = pick_device()
    origin = provenance(describe(device), 0, None)
    rule = policy(device)
    return {
        "machine": {
            "device": origin["device"], "cpu": _cpu_name(), "cores": cores(),
            "system": f"{platform.system()} {platform.machine()}", "fast": rule.precision,
            "compiler": can_compile(device), "python": platform.python_version(),
            **{name: origin[name] for name in ("torch", "commit", "source", "date")},
        },
        "ceilings": {p: round(ceiling(device, p), 1) for p in PRECISIONS},
    }


def ceiling(device, precision: str) -> float:
    """The fastest of square matrix products, in GFLOP/s."""
    return max(_series(device, precision) for _ in range(3))


def _series(device, precision: str) -> float:
    """The fastest product of a series of sizes, which ends where one takes long."""
    best, size = 0.0, 256
    while True:
        speed = matmul_ceiling(device, precision, size)
        best = max(best, speed)
        if 2 * size**3 / speed / 1e9 > LONG:
            return best
        size *= 2


def in_words(report: dict) -> str:
    """The report as aligned text."""
    here, ceilings = report["machine"], report["ceilings"]
    listed = ", ".join(f"{name} {speed:,.0f} GFLOP/s" for name, speed in ceilings.items())
    lines = [
        f"{here['cpu']}, {here['cores']} cores; device {here['device']}; torch {here['torch']}",
        f"fastest matrix products: {listed}",
    ]
    if report["quick"]:
        lines.append("short bursts (--quick): a first look, no measurement to quote")
    if not here["compiler"]:
        lines.append("there is no compiler here: everything ran eager")
    for name, shape in report["shapes"].items():
        flops = f"{shape['flops_per_token'] / 1e6:.2f} MFLOP a token"
        lines += ["", f"{name}: {shape['shape']}; {flops}"]
        lines += [_way_in_words(way, content) for way, content in shape["ways"].items()]
        lines += [f"  {pair:42} {_range(r, '.2f')}" for pair, r in shape["ratios"].items()]
        lines += [f"  failed: {what}: {why}" for what, why in shape["failed"].items()]
    return "\n".join(lines)


def _way_in_words(way: str, content: dict) -> str:
    speed = _range(content["tokens_per_second"], ",.0f")
    share = content.get("share_of_ceiling")
    of_ceiling = f"{share:5.1%} of the ceiling" if share else ""
    return f"  {way:21} {content['setting']:44} tokens/s {speed:30} {of_ceiling}".rstrip()


def _range(spread: dict, kind: str) -> str:
    return f"{spread['median']:{kind}} ({spread['low']:{kind}} to {spread['high']:{kind}})"


def _cpu_name() -> str:
    """The processor in words, as far as the system tells."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "a CPU"
