"""One training on several processors: a process on each, started by `torchrun`, with batches of its own."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

_BACKENDS = "cpu:gloo,cuda:nccl"


@dataclass(frozen=True, slots=True)
class Team:
    """The processes of one training.

    Every one draws batches of its own and steps with the mean of all gradients, so their weights
    stay equal. The one of rank 0 leads: it alone judges, tells and writes.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @classmethod
    def current(cls) -> Self:
        """Name the team that this process has joined; itself alone where it has joined none."""
        if not distributed.is_initialized():
            return cls()
        return cls(
            distributed.get_rank(), distributed.get_world_size(), int(os.environ.get("LOCAL_RANK", "0"))
        )

    @property
    def leads(self) -> bool:
        """Whether this process speaks for the team."""
        return self.rank == 0

    def seeds(self, seed: int) -> np.random.SeedSequence:
        """Give this process a stream of chance of its own; at rank 0 that of the seed itself."""
        return np.random.SeedSequence(seed, spawn_key=(self.rank,) if self.rank else ())

    def joint(self, module: nn.Module) -> nn.Module:
        """Wrap a module so that its gradients, after `backward`, are the mean over the team's."""
        return module if self.size == 1 else DistributedDataParallel(module)

    def any(self, flag: bool) -> bool:
        """Whether any process of the team says yes; all of them must ask."""
        if self.size == 1:
            return flag
        said = torch.tensor(int(flag))
        distributed.all_reduce(said, distributed.ReduceOp.MAX)
        return bool(said)

    def follow(self, value: float) -> float:
        """Take over the leader's value; all of the team must ask."""
        if self.size == 1:
            return value
        told = torch.tensor(value, dtype=torch.float64)
        distributed.broadcast(told, src=0)
        return float(told)

    def collect(self, bytes_: Tensor) -> list[Tensor]:
        """Equally long uint8 tensors of all processes, by rank; all of the team must ask."""
        if self.size == 1:
            return [bytes_]
        collected = [torch.empty_like(bytes_) for _ in range(self.size)]
        distributed.all_gather(collected, bytes_)
        return collected


@contextmanager
def joined() -> Iterator[Team]:
    """Join the team that `torchrun` has announced in the environment, for as long as the block lasts."""
    if "RANK" not in os.environ:
        yield Team()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group(_BACKENDS if torch.cuda.is_available() else "gloo")
    try:
        yield Team.current()
    finally:
        # DistributedDataParallel refers to itself, and so keeps the group alive: its thread would let go
        # of its last tensors while the interpreter ends, which aborts the process.
        gc.collect()
        distributed.destroy_process_group()
