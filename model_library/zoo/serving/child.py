"""Starting the child that prepares networks; needs neither torch nor numpy."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from model_library.errors import WeightsError
from model_library.processes.operating_system import own_group

Prepare = Callable[[Path, Path, int], object]
"""Prepares the network in a folder, in a cache, for so many threads."""

_DEADLINE_S = 900.0


def prepare_in_child(
    folder: Path, cache: Path, threads: int, *, nice: int = 0, gpu_share: float | None = None
) -> None:
    """Prepare a network, unless it is, in a process of its own, so that this one stays free of torch.

    Parameters
    ----------
    folder
        Folder `{card.json, weights.safetensors}`.
    cache
        Where prepared networks lie.
    threads
        That backends may use.
    nice
        How far the child yields to others; see `processes.operating_system.lower_priority`.
    gpu_share
        How much of a GPU's memory it may take; see `inference.gpu_share`.

    Raises
    ------
    WeightsError
        It failed, or took too long.
    """
    command = [sys.executable, "-m", "model_library.zoo.serving.prepare_once", str(folder), str(cache)]
    options = ["--threads", str(threads), "--nice", str(nice)]
    options += [] if gpu_share is None else ["--gpu-share", str(gpu_share)]
    try:
        run = subprocess.run(
            [*command, *options],
            capture_output=True,
            timeout=_DEADLINE_S,
            check=False,
            # Ctrl-C in a terminal is for the daemon: a network that is being prepared is not at fault.
            **own_group(),
        )
    except subprocess.TimeoutExpired as failure:
        raise WeightsError(f"{folder}: expected to be prepared within {_DEADLINE_S:g} s") from failure
    if run.returncode:
        told = run.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise WeightsError(f"{folder}: expected a network that can be prepared, found: {told[-1]}")
