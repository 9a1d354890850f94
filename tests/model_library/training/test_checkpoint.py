"""Training that is interrupted anywhere ends with the very weights of one that is not."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from model_library.errors import CheckpointError
from model_library.training.checkpoint import Checkpointing
from model_library.training.config import EarlyStopping, FitConfig
from model_library.training.fit import FitProgress, FitResult, fit
from model_library.training.labelled import AnnotatedPairs
from model_library.training.objectives import PairObjective
from model_library.zoo.store import weights_bytes

STEPS = 12
STOPPING = EarlyStopping(every=3, patience=3, batches=1)


class Normalised(torch.nn.Module):
    """Has running statistics, and draws from torch's own generator."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3, padding=1),
            torch.nn.BatchNorm2d(4),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.2),
            torch.nn.Conv2d(4, 2, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        scores: Tensor = self.layers(image)
        return scores


def module(seed: int = 0) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Normalised()


def pairs(seed: int) -> AnnotatedPairs:
    image = np.random.default_rng(seed).random((40, 40), dtype=np.float32)
    return AnnotatedPairs([image], [(image > 0.5).astype(np.uint8)])


OBJECTIVE = PairObjective(pairs(1), held_out=pairs(2))


def config(**changes: object) -> FitConfig:
    wanted = {"steps": STEPS, "batch": 3, "patch_px": 16, "learning_rate": 1e-2, "seed": 3}
    return FitConfig(**{**wanted, "loss": "cross_entropy", "early_stopping": STOPPING, **changes})


def keeping(folder: Path, **changes: object) -> Checkpointing:
    return replace(Checkpointing(folder, data_sha256="d" * 64, every_steps=2, every_s=1e9), **changes)


def train(folder: Path | None = None, stop: Callable[[], bool] | None = None, **changes: object) -> FitResult:
    checkpointing = None if folder is None else keeping(folder)
    return fit(module(), OBJECTIVE, config(**changes), stop=stop, checkpointing=checkpointing)


class Killed(Exception):
    pass


def die_after(steps: int) -> Callable[[FitProgress], None]:
    def told(now: FitProgress) -> None:
        if now.step == steps:
            raise Killed

    return told


def outcome(result: FitResult) -> tuple[object, ...]:
    return weights_bytes(result.module), result.losses, result.judgements


@pytest.fixture(scope="module")
def undisturbed() -> tuple[object, ...]:
    return outcome(train())


def test_keeping_checkpoints_changes_nothing(undisturbed: tuple[object, ...], tmp_path: Path):
    assert outcome(train(tmp_path)) == undisturbed


@pytest.mark.parametrize("kills", [(1,), (2,), (3,), (7,), (11,), (STEPS,), (3, 4, 9), (5, 5, 5)])
def test_killed_at_any_step_it_ends_as_if_undisturbed(
    kills: tuple[int, ...], undisturbed: tuple[object, ...], tmp_path: Path
):
    for step in kills:
        with pytest.raises(Killed):
            fit(module(), OBJECTIVE, config(), progress=die_after(step), checkpointing=keeping(tmp_path))
    assert outcome(train(tmp_path)) == undisturbed


@pytest.mark.parametrize("changes", [{"precision": "bf16"}, {"schedule": "one_cycle", "clip_norm": None}])
def test_in_any_configuration_it_ends_as_if_undisturbed(changes: dict[str, object], tmp_path: Path):
    with pytest.raises(Killed):
        fit(module(), OBJECTIVE, config(**changes), progress=die_after(6), checkpointing=keeping(tmp_path))
    assert outcome(train(tmp_path, **changes)) == outcome(train(**changes))


def test_a_training_that_was_stopped_goes_on(undisturbed: tuple[object, ...], tmp_path: Path):
    asked: list[None] = []

    def fifth() -> bool:
        asked.append(None)
        return len(asked) > 5

    assert len(train(tmp_path, stop=fifth).losses) == 5
    told: list[FitProgress] = []
    result = fit(module(), OBJECTIVE, config(), progress=told.append, checkpointing=keeping(tmp_path))
    assert [now.step for now in told] == list(range(6, STEPS + 1))
    assert outcome(result) == undisturbed


def test_a_finished_training_is_not_done_again(undisturbed: tuple[object, ...], tmp_path: Path):
    train(tmp_path)
    told: list[FitProgress] = []
    result = fit(module(), OBJECTIVE, config(), progress=told.append, checkpointing=keeping(tmp_path))
    assert told == []
    assert outcome(result) == undisturbed


def test_it_is_written_by_steps_or_by_seconds_whichever_comes_first(tmp_path: Path):
    how = keeping(tmp_path, every_steps=10, every_s=60)
    assert [how.is_due(steps, seconds) for steps, seconds in ((9, 59), (10, 0), (1, 60), (0, 99))] == [
        False, True, True, False,
    ]  # fmt: skip


def test_only_the_last_checkpoint_and_nothing_unfinished_lies_there(tmp_path: Path):
    train(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint.json", f"step-{STEPS}.safetensors",
    ]  # fmt: skip


def test_tensors_of_an_unfinished_checkpoint_are_never_read(undisturbed: tuple[object, ...], tmp_path: Path):
    with pytest.raises(Killed):
        fit(module(), OBJECTIVE, config(), progress=die_after(5), checkpointing=keeping(tmp_path))
    (tmp_path / "step-6.safetensors").write_bytes(b"half of it")
    assert outcome(train(tmp_path)) == undisturbed


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"learning_rate": 2e-2}, "learning_rate was 0.01, is 0.02"),
        ({"steps": 13}, "steps was 12, is 13"),
        ({"seed": 4}, "seed was 3, is 4"),
        ({"loss": "border_cross_entropy"}, "loss was cross_entropy"),
        ({"precision": "bf16"}, "compute was fp32 on cpu, is bf16 on cpu"),
    ],
)
def test_a_checkpoint_of_another_configuration_is_refused(
    changes: dict[str, object], told: str, tmp_path: Path
):
    train(tmp_path)
    with pytest.raises(CheckpointError, match=told):
        train(tmp_path, **changes)


def test_a_checkpoint_of_other_images_another_start_or_other_threads_is_refused(tmp_path: Path):
    train(tmp_path)
    with pytest.raises(CheckpointError, match=r"data was d+, is e+"):
        fit(module(), OBJECTIVE, config(), checkpointing=keeping(tmp_path, data_sha256="e" * 64))
    with pytest.raises(CheckpointError, match="start was"):
        fit(module(1), OBJECTIVE, config(), checkpointing=keeping(tmp_path))
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        with pytest.raises(CheckpointError, match=f"threads was {threads}, is {threads + 1}"):
            train(tmp_path)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [("format", 2, "another version of Synoptic"), ("step", "many", "expected a checkpoint, found")],
)
def test_a_record_of_another_version_or_none_is_refused(field: str, value: object, told: str, tmp_path: Path):
    train(tmp_path)
    path = tmp_path / "checkpoint.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(CheckpointError, match=told):
        train(tmp_path)
    path.write_text("{")
    with pytest.raises(CheckpointError, match="delete the folder"):
        train(tmp_path)


def test_another_torch_is_refused(tmp_path: Path):
    train(tmp_path)
    path = tmp_path / "checkpoint.json"
    path.write_text(path.read_text().replace(torch.__version__, "2.12.0"))
    with pytest.raises(CheckpointError, match=r"torch was 2\.12\.0"):
        train(tmp_path)


@pytest.mark.parametrize("damage", [lambda content: content[:-1] + b"?", lambda content: content[:50]])
def test_damaged_tensors_are_refused(damage: Callable[[bytes], bytes], tmp_path: Path):
    train(tmp_path)
    path = tmp_path / f"step-{STEPS}.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match="SHA-256"):
        train(tmp_path)


def test_missing_tensors_are_refused(tmp_path: Path):
    train(tmp_path)
    (tmp_path / f"step-{STEPS}.safetensors").unlink()
    with pytest.raises(CheckpointError, match="expected the tensors"):
        train(tmp_path)


SLOWLY = """
import sys, time
from pathlib import Path
sys.path.insert(0, {folder!r})
import test_checkpoint as same
from model_library.training.fit import fit
same.torch.set_num_threads({threads})
fit(same.module(), same.OBJECTIVE, same.config(), progress=lambda now: time.sleep(0.05),
    checkpointing=same.keeping(Path(sys.argv[1])))
"""


def test_a_process_killed_with_sigkill_leaves_a_checkpoint_to_go_on_from(
    undisturbed: tuple[object, ...], tmp_path: Path
):
    script = SLOWLY.format(folder=str(Path(__file__).parent), threads=torch.get_num_threads())
    record = tmp_path / "checkpoint.json"
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) as process:
        deadline = time.monotonic() + 60
        while not record.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert 0 < json.loads(record.read_text())["step"] < STEPS
    assert outcome(train(tmp_path)) == undisturbed
