"""Is what this device computes right? Small models, random tokens, no data; seconds.

Each check gives a number and the bound that it must keep: an error, or a difference of losses.
tests/test_cuda.py asks the same of whole runs; a slice has no pytest and no corpus.
"""

import copy
import time
from dataclasses import replace

import torch

from ...bench.workers import Shape
from ...gpt.config import InitConfig
from ...gpt.device import pick_device, policy
from ...gpt.engine import BLOCKS, Loss, build_model, make_engine
from ...gpt.model import library_kernel, written_out
from ...gpt.options import GPTConfig, OptimConfig

SMALL = Shape(
    GPTConfig(n_layer=2, n_head=2, width=32, block_size=32, vocab_size=300), batch_size=8, steps=15
)
MEMBERS = [
    replace(SMALL, init=InitConfig(gamma=gamma), optim=OptimConfig(learning_rate=rate), seed=seed)
    for seed, (gamma, rate) in enumerate({0.5: 0.01, 0.8: 0.006, 1.2: 0.003}.items())
]


def run_checks(limit: float, say=print) -> dict[str, dict]:
    """{check: {found, bound, right, seconds}}; one that finds no time in `limit` seconds is null.

    What compiles comes last: it takes longest.
    """
    device, start, report = pick_device(), time.monotonic(), {}
    checks = [float64, attention, stack]
    checks += [fast_precision] if policy(device).precision != "float32" else []
    checks += [blocks, compiled_stack] if policy(device).compile and device.type == "cuda" else []
    for check in checks:
        began, name = time.monotonic(), check.__name__.replace("_", " ")
        if began - start > limit:
            report[name] = None
            continue
        found, bound = check(device)
        report[name] = {"found": float(f"{found:.3g}"), "bound": bound, "right": found <= bound,
                        "seconds": round(time.monotonic() - began, 1)}
        say(f"  {name:16} {found:.2g} of at most {bound:g}: "
            f"{'right' if found <= bound else 'WRONG'}")
    return report


def float64(device) -> tuple[float, float]:
    """Loss and gradients in float32 on the device against float64 on the CPU; relative."""
    model = build_model(SMALL)
    here, exact = copy.deepcopy(model).to(device), model.double()
    inputs, targets = _batch(0)
    gradients = []
    for one, place in ((here, device), (exact, "cpu")):
        loss = Loss(one)(inputs[0].to(place), targets[0].to(place))
        gradient = torch.autograd.grad(loss, list(one.parameters()))
        gradients.append([loss.double().cpu(), *(g.double().cpu() for g in gradient)])
    return max(_relative(a, b) for a, b in zip(*gradients, strict=True)), 1e-3


def attention(device) -> tuple[float, float]:
    """The library's attention against the written-out one, in the precision of training."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 128, 64, generator=generator).to(device)
    exact = written_out(q, k, v)
    kind = torch.bfloat16 if policy(device).precision == "bfloat16" else torch.float32
    fast = library_kernel(q.to(kind), k.to(kind), v.to(kind))
    return (fast.float() - exact).abs().max().item(), 0.05


def stack(device, compiled=False) -> tuple[float, float]:
    """The losses of a stack's members against those of each alone, after all steps; relative."""
    together = _losses(MEMBERS, device, compiled)
    alone = torch.cat([_losses([member], device, False) for member in MEMBERS])
    return _relative(together, alone), 2e-3


def compiled_stack(device) -> tuple[float, float]:
    """The same of a compiled stack."""
    return stack(device, True)


def blocks(device) -> tuple[float, float]:
    """A run whose blocks are compiled against an eager one; relative."""
    one = MEMBERS[:1]
    return _relative(_losses(one, device, BLOCKS), _losses(one, device, False)), 2e-3


def fast_precision(device) -> tuple[float, float]:
    """The losses in the precision that is fast here against float32, in nats."""
    fast = [replace(m, precision=policy(device).precision) for m in MEMBERS]
    difference = _losses(fast, device, False) - _losses(MEMBERS, device, False)
    return difference.abs().max().item(), 0.05


def _losses(configs, device, compiled):
    """The training loss of every member, (M,), after the steps of SMALL on batches that teach."""
    engine = make_engine(configs, device, compiled)
    for step in range(SMALL.steps):
        inputs, targets = (z.expand(len(configs), -1, -1).to(device) for z in _batch(step))
        losses = engine.step(inputs, targets, step)
    return losses.double().cpu()


def _batch(step: int):
    """(inputs, targets), each (1, B, T): the next token is a function of the one before."""
    model = SMALL.model
    generator = torch.Generator().manual_seed(step)
    size = (1, SMALL.batch_size, model.block_size)
    inputs = torch.randint(model.vocab_size, size, generator=generator)
    return inputs, (7 * inputs + 3) % model.vocab_size


def _relative(found, exact) -> float:
    return ((found - exact).abs().max() / exact.abs().max().clamp_min(1e-12)).item()
