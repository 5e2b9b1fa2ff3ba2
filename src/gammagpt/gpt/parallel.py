"""One run on several processes, each with an equal slice of every batch.

    torchrun --standalone --nproc_per_node=2 -m gammagpt train --gamma 0.8

torchrun starts the processes and tells each its place. Their gradients are averaged before every
update (torch's DistributedDataParallel), so that all hold the same weights, and what comes out is
the run of one process, up to rounding.
"""

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from ..project import UserError


@dataclass(frozen=True)
class Group:
    """The processes that train one run together; by default there is but this one."""

    rank: int = 0
    count: int = 1

    def wrapped(self, module):
        """The module itself, or with gradients that are the mean over the processes."""
        if self.count == 1:
            return module
        return DistributedDataParallel(module)

    def share(self, batch_size: int) -> slice:
        """This process's part of a batch. Only of equal parts is the mean that of the batch."""
        if batch_size % self.count:
            raise UserError(
                f"batch_size: got {batch_size}, allowed are multiples of {self.count}, "
                "the number of processes"
            )
        size = batch_size // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def mean(self, values):
        """The mean of a tensor over the processes."""
        if self.count == 1:
            return values
        total = values.clone()
        dist.all_reduce(total)
        return total / self.count

    def agreed(self, function):
        """What the first process gets from `function`, which it alone calls; its UserError too."""
        if self.count == 1:
            return function()
        answer = [_result_or_error(function) if self.rank == 0 else None]
        dist.broadcast_object_list(answer)
        if isinstance(answer[0], UserError):
            raise answer[0]
        return answer[0]


ALONE = Group()


@contextmanager
def process_group():
    """The Group of all processes that torchrun started, until the block ends; ALONE without it.

    A UserError comes out of one process of a machine; the others end quietly with its exit code.
    """
    if "LOCAL_RANK" not in os.environ:
        yield ALONE
        return
    cuda, place = torch.cuda.is_available(), int(os.environ["LOCAL_RANK"])
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    group = Group(dist.get_rank(), dist.get_world_size())
    try:
        if cuda:
            group.agreed(_check_gpus)
            torch.cuda.set_device(place)  # what "cuda" means from here on
        yield group
    except UserError:
        if not cuda:  # NCCL could wait for a process that is gone; gloo's threads must be ended,
            dist.destroy_process_group()  # or the interpreter may abort while it closes
        if place == 0:
            raise
        time.sleep(1)  # torchrun ends all when one ends: after the first has said why
        raise SystemExit(2) from None
    dist.destroy_process_group()


def _result_or_error(function):
    try:
        return function()
    except UserError as error:
        return error


def _check_gpus() -> None:
    """Each process needs a GPU of its own."""
    wanted, here = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
    if wanted > here:
        raise UserError(f"nproc_per_node: got {wanted}, allowed is up to {here}, the GPUs here")
