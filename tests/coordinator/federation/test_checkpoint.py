"""Checkpoints are whole or none, and belong to one plan; accepted updates to one round's weights."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.federation.accepted_updates import AcceptedUpdates
from coordinator.federation.checkpoint import (
    CHECKPOINT_FILE,
    read_checkpoint,
    read_start,
    read_weights,
    write_checkpoint,
)
from coordinator.federation.claim import Claim, Superseded
from coordinator.federation.fleet import Reply
from coordinator.federation.plan import (
    PLAN_FILE,
    START_FILE,
    FederationFileError,
    FederationOutcome,
    RoundRecord,
    read_outcome,
    read_plan,
    write_outcome,
    write_plan,
)

from .sites import ASHBY, BOREAL, WEIGHTS, found, plan_of, report_of, update_of

RECORD = RoundRecord(
    number=1,
    started_at=1.0,
    eligible=("ashby",),
    contributed=("ashby",),
    refused=(),
    seconds=2.0,
    train_seconds=1.0,
    bytes_up=1,
    bytes_down=1,
    fields={ASHBY: ("f1",)},
    examples={"ashby": 8},
    attempt=1,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found(tmp_path)
    return tmp_path


def updates(folder: Path, base: str = "0" * 64) -> AcceptedUpdates:
    return AcceptedUpdates(folder, 1, base, Claim(folder))


def test_what_is_written_is_read(folder: Path):
    written = write_checkpoint(folder, WEIGHTS, [RECORD])
    assert read_checkpoint(folder) == written
    weights = read_weights(folder / written.weights)
    assert {key: array.tobytes() for key, array in weights.items()} == {
        key: array.tobytes() for key, array in WEIGHTS.items()
    }
    assert {key: array.shape for key, array in weights.items()} == {
        key: array.shape for key, array in WEIGHTS.items()
    }


def test_there_is_none_before_the_first_round(folder: Path):
    assert read_checkpoint(folder) is None


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_one_flipped_bit_in_the_weights_makes_it_none(folder: Path, place: int, bit: int):
    checkpoint = write_checkpoint(folder, WEIGHTS, [RECORD])
    path = folder / checkpoint.weights
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    assert read_checkpoint(folder) is None


@pytest.mark.parametrize("kept", [0, 1, 40])
def test_a_torn_checkpoint_is_none(folder: Path, kept: int):
    write_checkpoint(folder, WEIGHTS, [RECORD])
    path = folder / CHECKPOINT_FILE
    path.write_bytes(path.read_bytes()[:kept])
    assert read_checkpoint(folder) is None


def test_a_checkpoint_without_its_weights_is_none(folder: Path):
    (folder / write_checkpoint(folder, WEIGHTS, [RECORD]).weights).unlink()
    assert read_checkpoint(folder) is None


def test_a_checkpoint_of_another_plan_is_none(folder: Path):
    write_checkpoint(folder, WEIGHTS, [RECORD])
    write_plan(folder, plan_of(steps=41))
    assert read_checkpoint(folder) is None


def test_a_checkpoint_names_no_file_outside_the_folder(folder: Path):
    outside = folder.parent / "elsewhere.safetensors"
    checkpoint = write_checkpoint(folder, WEIGHTS, [RECORD])
    outside.write_bytes((folder / checkpoint.weights).read_bytes())
    moved = checkpoint.model_copy(update={"weights": "../elsewhere.safetensors"})
    (folder / CHECKPOINT_FILE).write_text(moved.model_dump_json())
    assert read_checkpoint(folder) is None


def test_plans_and_outcomes_are_read_as_written(folder: Path):
    assert read_plan(folder) == plan_of()
    assert read_outcome(folder) is None
    outcome = FederationOutcome(state="failed", cause="in words", rounds=(RECORD,))
    write_outcome(folder, outcome)
    assert read_outcome(folder) == outcome


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff"])
def test_a_plan_that_does_not_read_is_refused(folder: Path, content: bytes):
    (folder / PLAN_FILE).write_bytes(content)
    with pytest.raises(FederationFileError, match="expected the plan of a federation"):
        read_plan(folder)


def test_a_plan_needs_as_many_members_as_its_quorum():
    with pytest.raises(ValueError, match="quorum of at most 4 members, found 5"):
        plan_of(quorum=5)


def test_a_plan_names_each_instrument_once():
    with pytest.raises(ValueError, match="each instrument once"):
        plan_of(members=plan_of().members * 2)


@pytest.mark.parametrize("content", [None, b"", b"no weights at all"])
def test_weights_to_start_from_must_be_there(folder: Path, content: bytes | None):
    (folder / START_FILE).unlink()
    if content is not None:
        (folder / START_FILE).write_bytes(content)
    with pytest.raises(FederationFileError, match="expected weights"):
        read_start(folder)


def test_weights_to_start_from_must_be_finite(folder: Path):
    record = write_checkpoint(folder, {"w": np.array([1, np.nan], np.float32)}, [RECORD])
    with pytest.raises(FederationFileError, match="expected finite weights"):
        read_weights(folder / record.weights)


def test_accepted_updates_are_recalled_as_they_came(folder: Path):
    update, report = update_of(WEIGHTS, 5), report_of(plan_of().adaptation(1))
    updates(folder).keep(ASHBY, Reply("m", update, report), 1)
    recalled = updates(folder).recall([ASHBY, BOREAL])
    assert list(recalled) == [ASHBY]
    reply, asked_in = recalled[ASHBY]
    assert (reply.report, asked_in) == (report, 1)
    assert {key: array.tobytes() for key, array in reply.update.items()} == {
        key: array.tobytes() for key, array in update.items()
    }


def test_updates_of_other_weights_are_not(folder: Path):
    updates(folder).keep(ASHBY, Reply("m", update_of(WEIGHTS, 5), report_of(plan_of().adaptation(1))), 1)
    assert updates(folder, base="1" * 64).recall([ASHBY]) == {}


def test_nor_are_torn_ones(folder: Path):
    updates(folder).keep(ASHBY, Reply("m", update_of(WEIGHTS, 5), report_of(plan_of().adaptation(1))), 1)
    [path] = (folder / "accepted-01").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    assert updates(folder).recall([ASHBY]) == {}


def test_an_update_in_fortran_order_is_kept_as_its_values(folder: Path):
    update = {"w": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))}
    updates(folder).keep(ASHBY, Reply("m", update, "{}"), 1)
    assert updates(folder).load(ASHBY)["w"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_the_last_to_claim_a_folder_may_write(folder: Path):
    first = Claim(folder)
    first.check()
    second = Claim(folder)
    with pytest.raises(Superseded, match="another has taken over"):
        first.check()
    second.check()


def test_while_one_writes_no_other_takes_over(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("coordinator.federation.claim._PATIENCE_S", 0.05)
    first = Claim(folder)
    with first.held(), pytest.raises(Superseded, match="another process writing"):
        Claim(folder)
    first.check()
