"""Where a training step spends its time: prints a table, and writes it to hotspots.md.

    .venv/bin/python benchmarks/hotspots.py          # a minute, on an otherwise idle machine
"""

import platform
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from torch.profiler import ProfilerActivity, profile

from gammagpt import RunConfig
from gammagpt.gpt.device import describe, keep_freed_memory, pick_device
from gammagpt.gpt.engine import make_engine

STEPS = 30
# What a profiler's event belongs to, by the words in its name; the first that fits.
PARTS = {
    "attention": ("scaled_dot_product", "attention", "aten::_softmax", "masked_fill"),
    "matrix products": ("aten::mm", "aten::bmm", "aten::addmm", "gemm"),
    "loss": ("log_softmax", "nll_loss"),
    "embedding": ("embedding", "index_select", "aten::index", "gather", "scatter"),
    "optimizer and clipping": ("adamw", "AdamW", "norm", "lerp", "foreach", "zero_grad"),
}


def main() -> None:
    keep_freed_memory()
    device = pick_device()
    table = pd.DataFrame({name: shares(n, device) for name, n in WAYS.items()})
    text = HEAD.format(device=describe(device), torch=torch.__version__, cpu=platform.machine())
    text += (100 * table.fillna(0)).round(1).to_markdown(floatfmt=".0f") + "\n"
    (Path(__file__).parent / "hotspots.md").write_text(text)
    print(text)


WAYS = {"one run, %": 1, "a stack of 4, %": 4}
HEAD = """Made by `benchmarks/hotspots.py`: the shares of a step's time, at the laptop tier's shape,
in float32, not compiled; {device}, torch {torch}, {cpu}.

"""


def shares(members: int, device) -> pd.Series:
    """Part -> share of the device's time (on a CPU: of the operations' own time)."""
    config = RunConfig()
    configs = [replace(config, seed=seed) for seed in range(members)]
    engine = make_engine(configs, device, compiled=False)
    size = (members, config.batch_size, config.model.block_size)
    tokens = torch.randint(config.model.vocab_size, size, device=device)
    for step in range(3):
        engine.step(tokens, tokens, step)
    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    with profile(activities=kinds) as watched:
        for step in range(STEPS):
            engine.step(tokens, tokens, step)
    events = [(part(e.key), own_time(e, device)) for e in watched.key_averages()]
    sums = pd.DataFrame(events, columns=["part", "time"]).groupby("part").time.sum()
    return (sums / sums.sum()).sort_values(ascending=False)


def own_time(event, device) -> float:
    name = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    return getattr(event, name)


def part(name: str) -> str:
    found = (part for part, words in PARTS.items() if any(word in name for word in words))
    return next(found, "elementwise, copies, and all else")


if __name__ == "__main__":
    main()
