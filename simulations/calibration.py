"""How fast a microscope must be to outrun its site: a measured figure, not a constant."""

import time
from collections.abc import Callable

import numpy as np

from benchmark.method import Method
from model_library.wire.tasks import Task

OUTRUN = 2.0
"""Acquisition per computation: above 1, so that a backlog builds up."""
_PROBE_PX = 128
_FALLBACK_MPIX_PER_S = 0.5


def throughput_mpix_per_s(
    method: Method, *, side: int = _PROBE_PX, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Measure acquired pixels per second, in millions, of one method on one thread.

    The best of three runs after one that warms up: what the method can do where nothing disturbs it.
    """
    pixels = np.random.default_rng(0).poisson(60, (side, side)).astype(np.float32)
    method(pixels)
    seconds = []
    for _ in range(3):
        begun = clock()
        method(pixels)
        seconds.append(clock() - begun)
    return pixels.size / 1e6 / max(min(seconds), 1e-9)


def rate_for(task: Task) -> float:
    """Choose a microscope's rate in MPix/s, above what the fastest network of the library computes."""
    import torch

    from benchmark.networks import as_method
    from model_library.zoo.registry import Library

    library = Library()
    cards = sorted(library.for_task(task), key=lambda card: card.facts.flops_per_pixel)
    if not cards:
        return _FALLBACK_MPIX_PER_S
    torch.set_num_threads(1)
    return OUTRUN * throughput_mpix_per_s(as_method(library.load(cards[0].id)))
