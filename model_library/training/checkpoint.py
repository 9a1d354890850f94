"""Interrupted training goes on where it was, bit for bit."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from model_library.errors import CheckpointError
from model_library.images.durable import write_durably
from model_library.signing.digests import sha256_bytes
from model_library.training.chance import as_json, numpy_state, set_torch_state, torch_state
from model_library.training.config import FitConfig
from model_library.training.distributed import Team
from model_library.training.objectives import device_of
from model_library.training.state import TrainingState
from model_library.wire.base import Message

FORMAT = 1
RECORD_FILE = "checkpoint.json"


@dataclass(frozen=True, slots=True)
class Checkpointing:
    """Where a training leaves its state, and how often.

    Attributes
    ----------
    folder
        Made if missing; holds `checkpoint.json` and the file of tensors that it names.
    data_sha256
        Of the material: training goes on only with the very images it began with. Empty where
        nothing can be said of it.
    every_steps, every_s
        Whichever comes first.
    clock
        Seconds.
    """

    folder: Path
    data_sha256: str = ""
    every_steps: int = 500
    every_s: float = 60.0
    clock: Callable[[], float] = time.monotonic

    def is_due(self, steps: int, seconds: float) -> bool:
        """Whether to write, so many steps and seconds after the last time."""
        return steps >= self.every_steps or (steps > 0 and seconds >= self.every_s)


class Terms(Message):
    """What the result is a function of; a checkpoint is continued under the same terms only.

    `start` is the SHA-256 of the weights that training began with; `compute` says precision and
    device.
    """

    torch: str
    config: FitConfig
    data: str
    start: str
    compute: str
    threads: int
    processes: int


class Keeper:
    """Keeps the checkpoint of one training up to date.

    Parameters
    ----------
    checkpointing
        Where and how often.
    terms
        Of this training.
    team
        Of which the leader writes.
    """

    def __init__(self, checkpointing: Checkpointing, terms: Terms, team: Team) -> None:
        self._how, self._terms, self._team = checkpointing, terms, team
        self._step, self._time = 0, checkpointing.clock()

    def take_up(self, state: TrainingState) -> None:
        """Go on from the checkpoint in the folder, if there is one; raises `CheckpointError`."""
        read_checkpoint(self._how.folder, state, self._terms, self._team)
        self._step = len(state.losses)

    def keep(self, state: TrainingState) -> None:
        """Write what was reached if it is time."""
        due = self._how.is_due(len(state.losses) - self._step, self._how.clock() - self._time)
        if self._team.any(due):
            self._write(state)

    def close(self, state: TrainingState) -> None:
        """Write what was reached last."""
        if len(state.losses) > self._step:
            self._write(state)

    def _write(self, state: TrainingState) -> None:
        write_checkpoint(self._how.folder, state, self._terms, self._team)
        self._step, self._time = len(state.losses), self._how.clock()


class _Record(Message):
    format: int
    terms: Terms
    step: int
    tensors: str
    tensors_sha256: str
    generators: tuple[dict[str, Any], ...]


def terms_of(start: nn.Module, config: FitConfig, data_sha256: str, compute: str, team: Team) -> Terms:
    """Put the terms of a training together."""
    weights = {key: value.detach().cpu().contiguous() for key, value in start.state_dict().items()}
    return Terms(
        torch=torch.__version__,
        config=config,
        data=data_sha256,
        start=sha256_bytes(save({key: weights[key].clone() for key in sorted(weights)})),
        compute=compute,
        threads=torch.get_num_threads(),
        processes=team.size,
    )


def write_checkpoint(folder: Path, state: TrainingState, terms: Terms, team: Team) -> None:
    """Write what training has reached; a power cut leaves this checkpoint or the one before, whole.

    The tensors come first, under a name of their own; the record that names them makes them count.
    All of the team call this, the leader writes.
    """
    generators = team.collect(numpy_state(state.rng))
    drawn = team.collect(torch_state(device_of(state.trained)))
    if not team.leads:
        return
    tensors = state.tensors() | {f"torch/{rank}": one for rank, one in enumerate(drawn)}
    content = save(tensors)
    folder.mkdir(parents=True, exist_ok=True)
    record = _Record(
        format=FORMAT,
        terms=terms,
        step=len(state.losses),
        tensors=f"step-{len(state.losses)}.safetensors",
        tensors_sha256=sha256_bytes(content),
        generators=tuple(as_json(one) for one in generators),
    )
    write_durably(folder / record.tensors, content)
    write_durably(folder / RECORD_FILE, (json.dumps(record.model_dump(mode="json")) + "\n").encode())
    for old in folder.glob("*.safetensors"):
        if old.name != record.tensors:
            old.unlink()


def read_checkpoint(folder: Path, state: TrainingState, terms: Terms, team: Team) -> None:
    """Take up a training where its last checkpoint left it; without one, `state` stays as it is.

    Raises
    ------
    CheckpointError
        The checkpoint is damaged, or of another configuration, material, start, version or machine.
    """
    path = folder / RECORD_FILE
    if not path.exists():
        return
    record = _read_record(path)
    _refuse_other_terms(path, record.terms, terms)
    tensors = _read_tensors(folder / record.tensors, record.tensors_sha256)
    state.restore(tensors)
    state.rng.bit_generator.state = record.generators[team.rank]
    set_torch_state(tensors[f"torch/{team.rank}"], device_of(state.trained))


def _read_record(path: Path) -> _Record:
    try:
        content = json.loads(path.read_bytes())
        if isinstance(content, dict) and content.get("format", FORMAT) != FORMAT:
            raise CheckpointError(
                f"{path}: expected a checkpoint of format {FORMAT}, found {content['format']}, of another "
                "version of Synoptic; continue with that version, or delete the folder to begin anew"
            )
        return _Record.model_validate_json(json.dumps(content))
    except (ValueError, ValidationError) as failure:
        raise CheckpointError(
            f"{path}: expected a checkpoint, found {failure}; delete the folder to begin anew"
        ) from failure


def _refuse_other_terms(path: Path, found: Terms, wanted: Terms) -> None:
    before, now = _flat(found), _flat(wanted)
    differing = [f"{key} was {before[key]}, is {now[key]}" for key in now if before[key] != now[key]]
    if differing:
        raise CheckpointError(
            f"{path}: expected a checkpoint of this training, found one of another "
            f"({'; '.join(differing)}); train with what it began with, or delete the folder to begin anew"
        )


def _flat(terms: Terms) -> dict[str, Any]:
    content = terms.model_dump(mode="json", exclude={"config"})
    return {**content, **terms.config.model_dump(mode="json")}


def _read_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    try:
        content = path.read_bytes()
        if sha256_bytes(content) != sha256:
            raise CheckpointError(
                f"{path}: expected SHA-256 {sha256}, found {sha256_bytes(content)}; delete the folder to "
                "begin anew"
            )
        return load(content)
    except (OSError, SafetensorError) as failure:
        raise CheckpointError(
            f"{path}: expected the tensors of a checkpoint, found {failure}; delete the folder to begin anew"
        ) from failure
