"""How fast this machine is: its matmul ceiling, and training in tokens per second."""

import time
from dataclasses import replace

from .device import matmul_ceiling, pick_device
from .model import GPTConfig
from .probes import ProbeConfig
from .runs import RunConfig
from .train import train

WARM, COUNTED = 5, 30  # steps
# The laptop tier's model, and the one of the project's pilot.
SHAPES = {
    "2 layers, width 64, T 64": GPTConfig(),
    "4 layers, width 128, T 128": GPTConfig(n_layer=4, n_head=4, width=128, block_size=128),
}


def measure() -> dict[str, tuple[float, str]]:
    """Name -> (value, unit): the float32 matmul ceiling, then each shape at batch 32."""
    results = {"matmul ceiling, float32": (matmul_ceiling(pick_device()), "GFLOP/s")}
    for name, model in SHAPES.items():
        results[name] = (tokens_per_second(model), "tokens/s")
    return results


def tokens_per_second(model: GPTConfig) -> float:
    """Training speed of one run, without its first steps and its probes."""
    probes = ProbeConfig(losses=1, windows=1, final_windows=1)
    config = replace(RunConfig(), model=model, steps=WARM + COUNTED, probes=probes)
    times = []
    train(config, progress=lambda step, loss: times.append(time.perf_counter()))
    seconds = times[-1] - times[WARM - 1]
    return COUNTED * config.batch_size * model.block_size / seconds
