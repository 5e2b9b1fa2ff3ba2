"""Processes that hold a training step ready and time it on request, so that several take turns.

Each has threads and an allocator of its own: no setting of one helps or hinders another.
"""

import ctypes
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing import get_context

import torch

from ..gpt.config import InitConfig
from ..gpt.device import keep_freed_memory, pick_device, wait
from ..gpt.engine import make_engine
from ..gpt.options import EmbMLPConfig, GPTConfig, OptimConfig
from ..lab.stacking import seconds_a_step
from ..project import UserError
from . import nanogpt as peer


@dataclass(frozen=True)
class Shape:
    """What an engine needs of a RunConfig; it has no data, since random tokens do."""

    model: GPTConfig | EmbMLPConfig
    batch_size: int = 32
    precision: str = "float32"
    seed: int = 0
    steps: int = 400  # the last one's learning rate is small: nothing diverges
    init: InitConfig = field(default_factory=lambda: InitConfig(gamma=0.5))
    optim: OptimConfig = field(default_factory=OptimConfig)

    def __str__(self) -> str:
        m = self.model
        if m.kind == "emb_mlp":
            return (
                f"embedding {m.width}, hidden {m.hidden}, {m.block_size} tokens, "
                f"vocabulary {m.vocab_size}, batch {self.batch_size}"
            )
        return (
            f"{m.n_layer} layers, width {m.width}, {m.n_head} heads, T {m.block_size}, "
            f"vocabulary {m.vocab_size}, batch {self.batch_size}"
        )


@dataclass(frozen=True)
class Setting:
    """One way to train a shape."""

    precision: str = "float32"
    compiled: bool = False
    members: int = 1  # runs in a stack
    processes: int = 1  # stacks that train at once, each in a process of one thread
    peer: str | None = None  # the folder of the peer's checkout: train its model instead of ours

    def __str__(self) -> str:
        words = [self.precision, "compiled" if self.compiled else "eager"]
        words += [f"{self.members} members"] * (self.members > 1)
        words += [f"{self.processes} processes"] * (self.processes > 1)
        return ", ".join(words)


class Failed(Exception):
    """A process could not do what it was asked for; the text says why, in one line."""


class Worker:
    """A process that makes a function, and calls it as often as it is asked to."""

    def __init__(self, threads: int, make, *arguments):
        context = get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, threads, make, arguments), daemon=True
        )
        heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._process.start()  # it will not hear Ctrl-C, which is for the process that asks
        signal.signal(signal.SIGINT, heard)
        other.close()  # now only the process has it: should that die, answer() notices

    def ask(self, *arguments) -> None:
        with suppress(BrokenPipeError):  # answer() says so
            self._pipe.send(arguments)

    def answer(self):
        """What the function returned. Raises Failed, or UserError if that was the reason."""
        try:
            value = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            raise Failed("its process was ended, maybe for want of memory") from None
        if isinstance(value, Exception):
            raise value
        return value

    def close(self) -> None:
        self._pipe.close()  # the process ends by itself when nobody can ask any more
        self._process.join(10)
        self._process.terminate()


class Contestant:
    """A setting, ready to be timed: burst(seconds) is its speed in tokens/s, of all members."""

    def __init__(self, setting: Setting, shape: Shape, threads: int):
        each = threads if setting.processes == 1 else 1
        count = range(setting.processes)
        self._workers = [Worker(each, make_burst, setting, shape) for _ in count]
        try:
            self._answers()  # all are built and compiled
        except BaseException:
            self.close()
            raise

    def burst(self, seconds: float) -> float:
        for worker in self._workers:
            worker.ask(seconds)
        return sum(self._answers())

    def _answers(self) -> list:
        return [worker.answer() for worker in self._workers]

    def close(self) -> None:
        for worker in self._workers:
            worker.close()


def make_burst(setting: Setting, shape: Shape):
    """In a process of its own: build the model of a setting; a function that times its steps."""
    device = pick_device()
    step = training_step(setting, replace(shape, precision=setting.precision), device)
    for _ in range(3):  # fill caches and compile
        step()
    tokens = setting.members * shape.batch_size * shape.model.block_size

    def burst(seconds: float) -> float:
        speed = tokens / seconds_a_step(step, device, seconds)
        _give_memory_back(device)
        return speed

    _give_memory_back(device)
    return burst


def training_step(setting: Setting, shape: Shape, device):
    """A function that trains on one and the same batch of random tokens each time."""
    torch.manual_seed(0)
    size = (2, setting.members, shape.batch_size, shape.model.block_size)
    inputs, targets = torch.randint(shape.model.vocab_size, size).to(device)
    if setting.peer:
        return peer.training_step(
            setting.peer, shape, inputs[0], targets[0], device, setting.compiled
        )
    keep_freed_memory()
    members = [replace(shape, seed=seed) for seed in range(setting.members)]
    engine = make_engine(members, device, setting.compiled)
    if shape.model.kind == "emb_mlp":
        targets = targets[..., -1]  # one prediction a sequence
    return lambda: engine.step(inputs, targets, shape.steps - 1)


def _give_memory_back(device) -> None:
    """What a burst needed is the next one's, of another process; only what lasts is kept."""
    wait(device)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)


def _serve(pipe, threads: int, make, arguments) -> None:
    """The whole life of a worker process; it ends when nobody can ask any more."""
    torch.set_num_threads(threads)
    function = _attempt(make, *arguments)
    ready = not isinstance(function, Exception)
    with suppress(EOFError, OSError):  # of the pipe
        pipe.send(None if ready else function)
        while ready:
            pipe.send(_attempt(function, *pipe.recv()))


def _attempt(function, *arguments):
    """What it returns, or the exception to send: whatever goes wrong must not end other timings."""
    try:
        return function(*arguments)
    except UserError as error:
        return error
    except Exception as error:
        return Failed(f"{type(error).__name__}: {error}".splitlines()[0])
