"""Weights of a federation on disk: those it starts from and those after each round."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from coordinator.federation.fleet import Weights
from coordinator.federation.plan import (
    PLAN_FILE,
    START_FILE,
    Checkpoint,
    FederationFileError,
    RoundRecord,
    read_message,
)
from model_library.images.durable import write_durably
from model_library.signing.digests import sha256_bytes, sha256_file
from model_library.wire.delta_coding import dense

CHECKPOINT_FILE = "checkpoint.json"


def weights_file(completed: int) -> str:
    """Name of the file with the weights after a number of rounds."""
    return f"weights-{completed:02d}.safetensors"


def encode_weights(weights: Weights, notes: dict[str, str] | None = None) -> bytes:
    """Weights as the bytes of a safetensors file, with notes in its header."""
    return save({key: dense(array) for key, array in weights.items()}, metadata=notes)


def state_file(completed: int) -> str:
    """Name of the file with what the server optimiser remembers after a number of rounds."""
    return f"optimiser-{completed:02d}.safetensors"


def write_checkpoint(
    folder: Path, weights: Weights, rounds: Sequence[RoundRecord], state: Weights | None = None
) -> Checkpoint:
    """Write the weights and the state after the last of these rounds, then the checkpoint that names them.

    Killed in between, the earlier checkpoint still stands.
    """
    completed = rounds[-1].number
    weights_sha256 = _write(folder / weights_file(completed), weights)
    checkpoint = Checkpoint(
        completed=completed,
        weights=weights_file(completed),
        sha256=weights_sha256,
        plan_sha256=sha256_file(folder / PLAN_FILE),
        state=state_file(completed) if state else None,
        state_sha256=_write(folder / state_file(completed), state) if state else None,
        rounds=tuple(rounds),
    )
    write_durably(folder / CHECKPOINT_FILE, checkpoint.model_dump_json(indent=1).encode())
    return checkpoint


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the last checkpoint; None where there is none of this plan with its weights whole."""
    checkpoint = read_message(folder / CHECKPOINT_FILE, Checkpoint)
    if checkpoint is None or checkpoint.weights != weights_file(checkpoint.completed):
        return None
    try:
        whole = sha256_file(folder / checkpoint.weights) == checkpoint.sha256
        if checkpoint.state is not None:
            whole &= sha256_file(folder / checkpoint.state) == checkpoint.state_sha256
        same_plan = sha256_file(folder / PLAN_FILE) == checkpoint.plan_sha256
    except FileNotFoundError:
        return None
    return checkpoint if whole and same_plan else None


def read_start(folder: Path) -> dict[str, NDArray[Any]]:
    """Read the weights that the federation starts from.

    Raises
    ------
    FederationFileError
        They are missing, malformed, or hold NaN or infinity.
    """
    return read_weights(folder / START_FILE)


def read_weights(path: Path) -> dict[str, NDArray[Any]]:
    """Read weights; raises `FederationFileError` where they are missing, malformed or not finite."""
    try:
        weights = load(path.read_bytes())
    except (OSError, SafetensorError, KeyError) as failure:
        raise FederationFileError(
            f"{path}: expected weights, found {failure}; start the federation again"
        ) from failure
    if not weights or not all(np.isfinite(array).all() for array in weights.values()):
        raise FederationFileError(
            f"{path}: expected finite weights, found none, NaN or infinity; start the federation again"
        )
    # The format keeps no order of its own.
    return dict(sorted(weights.items()))


def _write(path: Path, arrays: Weights) -> str:
    content = encode_weights(arrays)
    write_durably(path, content)
    return sha256_bytes(content)
