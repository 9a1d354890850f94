"""The sources of chance of a training: seeded, kept, and set back."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

_NUMPY_BYTES = 1024
"""Room for the state of a numpy generator as JSON; PCG64 takes some 200."""


@contextmanager
def seeded(seeds: np.random.SeedSequence, device: torch.device) -> Iterator[np.random.Generator]:
    """Seed torch's generators, for modules that draw by themselves; afterwards they are as before.

    Yields
    ------
    numpy.random.Generator
        For all other chance, of the same seed.
    """
    devices = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(seeds.generate_state(1, np.uint64)[0]))
        yield np.random.default_rng(seeds)


def torch_state(device: torch.device) -> Tensor:
    """State of torch's generator of the CPU, and behind it of a GPU's if that is the device; uint8."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return torch.cat(states)


def set_torch_state(state: Tensor, device: torch.device) -> None:
    """Set torch's generators back to what `torch_state` gave on the same kind of device."""
    length = torch.get_rng_state().numel()
    torch.set_rng_state(state[:length].clone())
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[length:].clone(), device)


def numpy_state(rng: np.random.Generator) -> Tensor:
    """State of a numpy generator as JSON, uint8, of one length whatever the state."""
    text = json.dumps(rng.bit_generator.state).encode().ljust(_NUMPY_BYTES)
    return torch.frombuffer(bytearray(text), dtype=torch.uint8)


def as_json(state: Tensor) -> dict[str, Any]:
    """Unpack what `numpy_state` packed, for `rng.bit_generator.state`."""
    content: dict[str, Any] = json.loads(bytes(state.tolist()))
    return content
