"""How fast is this device? Its ceilings, the grid's own shapes, GPT-2's, toys alone and in stacks.

In this very process: what is compiled here is compiled for the runs that follow. One setting a
shape, the one that trains; `python -m gammagpt bench` compares settings, and takes its time.
"""

import gc
import time
from dataclasses import dataclass, replace

import torch

from ...bench.nanogpt import NAME as PEER
from ...bench.report import LADDER
from ...bench.workers import Setting, Shape, training_step
from ...gpt.device import matmul_ceiling, pick_device, policy, wait
from ...gpt.engine import BLOCKS
from ...gpt.options import GPTConfig
from ...gpt.size import flops_per_token
from ...lab.stacking import seconds_a_step

SIZES = {"cuda": (4096, 8192, 16384), "cpu": (512,)}  # of matrix products
SECONDS = {"cuda": 1.0, "cpu": 0.3}  # of a measurement
GPT2 = "GPT-2 124M"
TINY_GPT2 = Shape(
    GPTConfig(n_layer=12, n_head=12, width=48, block_size=64, vocab_size=512), batch_size=1
)


@dataclass(frozen=True)
class Measurement:
    """A shape in a setting, and the seconds that it takes on a card, compiling and all."""

    name: str
    shape: Shape
    setting: Setting
    takes: float


def measurements(groups, rehearsal: bool, peer: str | None) -> list[Measurement]:
    """What is measured, most useful first: the speeds of the grid's shapes plan its runs."""
    device = pick_device()
    rule = policy(device)
    gpu = device.type == "cuda"
    precision = groups[0].settings["gamma 0.5"].precision
    one = Setting(precision, BLOCKS if gpu and rule.compile else False)
    runs = [g.settings["gamma 0.5"] for g in groups if "gamma 0.5" in g.settings and not g.stacked]
    grid = {run.model.width: run for run in runs}
    items = [
        Measurement(f"width {width}", Shape(run.model, run.batch_size), one, 12)
        for width, run in grid.items()
    ]
    gpt2 = TINY_GPT2 if rehearsal else LADDER[GPT2]
    items.insert(1, Measurement(GPT2, gpt2, one, 15))
    if peer:
        items.insert(2, Measurement(PEER, gpt2, replace(one, compiled=gpu, peer=peer), 40))
    toy = LADDER["toy"]
    items.append(Measurement("1 toy", toy, replace(one, precision="float32"), 8))
    for members in (8,) if rehearsal else (64, 8):
        many = Setting("float32", gpu and rule.compile, members)
        items.append(Measurement(f"{members} toys", toy, many, 15))
    return items


def measure(wanted, known: dict, limit: float, say=print) -> dict:
    """{name: numbers} of what `known` lacks, in `limit` seconds; what finds no time is left out.

    One that fails says why, and ends nothing.
    """
    device, start = pick_device(), time.monotonic()
    speeds = dict(known)
    if "ceilings" not in speeds:
        speeds["ceilings"] = ceilings(device)
        say("  fastest products: " + _listed(speeds["ceilings"]))
    for item in wanted:
        left = limit - (time.monotonic() - start)
        if item.name in speeds or (device.type == "cuda" and item.takes > left) or left < 0:
            continue
        try:
            speeds[item.name] = speed(item, device, speeds["ceilings"])
            say(f"  {item.name:18} {_spoken(speeds[item.name])}")
        except Exception as error:  # out of memory, or no compiler: the grid goes on
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            speeds[f"{item.name} failed"] = reason
            say(f"  {item.name}: failed, {reason}")
        _clear(device)
    return speeds


def ceilings(device) -> dict[str, float]:
    """{precision: GFLOP/s} of the fastest square matrix product."""
    kinds = dict.fromkeys(("float32", policy(device).precision))
    return {
        kind: round(max(matmul_ceiling(device, kind, size) for size in SIZES[device.type]), 1)
        for kind in kinds
    }


def speed(item: Measurement, device, ceiling: dict) -> dict:
    """tokens/s of all members, FLOP/s and their share of the ceiling, and the seconds to start."""
    began = time.monotonic()
    shape = replace(item.shape, precision=item.setting.precision)
    step = training_step(item.setting, shape, device)
    for _ in range(3):
        step()
    wait(device)
    ready = time.monotonic() - began
    taken = seconds_a_step(step, device, SECONDS[device.type])
    tokens = item.setting.members * shape.batch_size * shape.model.block_size / taken
    flops = tokens * flops_per_token(shape.model)
    share = flops / ceiling[item.setting.precision] / 1e9
    return {"shape": str(shape), "setting": str(item.setting), "tokens_per_second": round(tokens),
            "flops_per_second": float(f"{flops:.4g}"), "share_of_ceiling": float(f"{share:.3g}"),
            "ready_after": round(ready, 1)}


def _clear(device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _spoken(found: dict) -> str:
    return (f"{found['tokens_per_second']:>12,} tokens/s, {found['share_of_ceiling']:5.1%} of the "
            f"ceiling, ready after {found['ready_after']:.0f} s")


def _listed(ceiling: dict) -> str:
    return ", ".join(f"{kind} {speed / 1e3:,.1f} TFLOP/s" for kind, speed in ceiling.items())
