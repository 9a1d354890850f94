"""Plans, invitations and programs that stand in for Flower's."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from model_library.cards.adaptation import AdaptationPlan, AdaptationReport
from model_library.networks.config import ResidualDenoiserConfig
from model_library.wire.federation import Invitation
from model_library.wire.tasks import Denoise

CONFIG = ResidualDenoiserConfig(depth=3, width=4)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4mFhXcJ3ZQy0m1bZ0pZf0Cw6mXlq3uP2o8cTt1sYkE"


@pytest.fixture
def entities() -> dict[str, str]:
    return {"fpk_synoptic": KEY}


@pytest.fixture
def plan_of() -> Callable[..., AdaptationPlan]:
    def make(**changes: object) -> AdaptationPlan:
        given = {
            "federation_id": "fed-1",
            "number": 1,
            "rounds": 3,
            "task": Denoise(),
            "config": CONFIG,
            "steps": 4,
            "batch": 2,
            "patch_px": 32,
            "learning_rate": 1e-3,
            "deadline_s": 60.0,
        }
        return AdaptationPlan.model_validate(given | changes)

    return make


@pytest.fixture
def report_of() -> Callable[..., AdaptationReport]:
    def make(**changes: object) -> AdaptationReport:
        given = {
            "federation_id": "fed-1",
            "number": 1,
            "examples": 5,
            "fields": ("stage:a",),
            "steps": 4,
            "loss_first": 2.0,
            "loss_last": 1.0,
            "train_s": 0.5,
        }
        return AdaptationReport.model_validate(given | changes)

    return make


@pytest.fixture
def invitation_of() -> Callable[..., Invitation]:
    def make(**changes: object) -> Invitation:
        given = {"federation_id": "fed-1", "task": Denoise(), "rounds": 3, "ends_in_s": 600.0}
        return Invitation.model_validate(given | changes)

    return make


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs that write their arguments and process id down, and then do nothing."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("flower-supernode", "flower-superexec"):
        program = folder / name
        program.write_text(
            f"#!{sys.executable} -S\n"
            "import os, sys, time\n"
            f"with open({str(folder / name)!r} + '.starts', 'a') as file:\n"
            "    file.write(f'{os.getpid()} ' + ' '.join(sys.argv[1:]) + '\\n')\n"
            "print('\\x1b[91mERROR\\x1b[0m : something to tell', flush=True)\n"
            "time.sleep(600)\n"
        )
        program.chmod(0o755)
    monkeypatch.setattr("site_client.federation.supernode.program", lambda name: folder / name)
    return folder
