"""A sharded model gets the whole tensors' draw: two processes, with gloo, against one."""

import os
import subprocess
import sys

import torch

from gammagpt import GPT, GPTConfig, gamma_, gamma_init_

SHAPE = {"vocab_size": 41, "width": 32, "n_layer": 2, "positions": "learned"}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
PROGRAM = f"""
import sys, torch
from torch import nn
from torch.distributed import destroy_process_group, get_rank, init_process_group
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from torch.nn.parallel import DistributedDataParallel
from gammagpt import GPT, GPTConfig, audit_init, gamma_, gamma_init_, UserError

init_process_group("gloo")
mesh = init_device_mesh("cpu", (2,))
found = {{}}

def whole(model):
    return {{n: getattr(p, "full_tensor", lambda p=p: p)().detach() for n, p in
            model.named_parameters()}}

with torch.device("meta"):
    model = GPT(GPTConfig(**{SHAPE}))
for block in model.blocks:
    fully_shard(block, mesh=mesh)
fully_shard(model, mesh=mesh)
model.to_empty(device="cpu")
gamma_init_(model, 0.8, seed=7, residual_scaling=True, reset=True)
found["sharded"] = whole(model)
found["rows"] = model.head.weight.to_local().shape[0]
table = audit_init(model, 0.8, residual_scaling=True)
found["ok"], found["std"] = bool(table.ok.all()), table["std"].tolist()

plain = DistributedDataParallel(GPT(GPTConfig(**{SHAPE})))
found["parallel"] = whole(gamma_init_(plain, 0.8, seed=7, residual_scaling=True).module)

for name, placement in (("columns", Shard(1)), ("copies", Replicate())):
    tensor = distribute_tensor(torch.empty(6, 9), mesh, [placement])
    torch.manual_seed(get_rank())  # the global state is another on each process
    gamma_(tensor, 0.5, generator=torch.Generator().manual_seed(3))
    found[name] = tensor.full_tensor()
try:
    gamma_(tensor, 0.5)
except UserError as error:
    found["refusal"] = str(error)
if get_rank() == 0:
    torch.save(found, sys.argv[1])
destroy_process_group()
"""


def test_every_shard_is_its_part_of_the_whole_draw(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    out = tmp_path / "found.pt"
    command = [*TORCHRUN, str(tmp_path / "program.py"), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240,
                          env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    found = torch.load(out)
    alone = gamma_init_(GPT(GPTConfig(**SHAPE)), 0.8, seed=7, residual_scaling=True)
    expected = {name: tensor.detach() for name, tensor in alone.named_parameters()}
    for kind in ("sharded", "parallel"):
        assert list(found[kind]) == list(expected)
        assert all(torch.equal(found[kind][name], tensor) for name, tensor in expected.items())
    assert found["rows"] == 21 and found["ok"]  # of 41: it really was sharded
    same = gamma_(torch.empty(6, 9), 0.5, generator=torch.Generator().manual_seed(3))
    assert torch.equal(found["columns"], found["copies"])
    torch.testing.assert_close(found["columns"], same)
    assert found["refusal"].startswith("generator: got None, allowed for a DTensor")
