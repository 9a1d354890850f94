"""Local adaptation without a federation: when it may run, on which frames, and what becomes of the result."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from benchmark.splits import field_key
from model_library.errors import ChildDied, ChildRefused
from model_library.processes.child import Child
from model_library.wire.base import Message
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Segment
from site_client.federation.session import hold_file, trainer_child
from site_client.federation.standing import read_standing
from site_client.journal import InService, Journal
from site_client.memory import Memory
from site_client.replay_buffer import BufferedFrame, BufferLimits, ReplayBuffer
from site_client.settings import SiteSettings

_BUFFER, _RECORD = "replay_buffer", "local_adaptation"
_LOOK_S = 5.0
_BATCH = 500
_FEWEST_FRAMES = 12
_MEGABYTE = 1e6
LONGEST_S = 3600.0
"""For one try, waits for the microscope included."""


class LocalRecord(Message):
    """Tries since the release in service: how many, when the last ended, and what came of it in words."""

    release_id: str | None = None
    looks: int = Field(default=0, ge=0)
    tried_at: float | None = None
    through: int = Field(default=0, ge=0)
    told: str | None = None


class LocalAdaptation:
    """One step looks whether a try may begin, and if so sees it through.

    Parameters
    ----------
    folder
        The site's folder; networks go to `networks/` in it.
    clock
        Seconds since the epoch.
    """

    def __init__(
        self,
        folder: Path,
        settings: SiteSettings,
        memory: Memory,
        *,
        idle: Callable[[], bool],
        clock: Callable[[], float] = time.time,
        trainer: Child | None = None,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._memory = memory
        self._journal = memory.journal
        self._idle = idle
        self._clock = clock
        self._trainer = trainer or trainer_child(settings, folder / "log" / "local.log")
        self._limits = BufferLimits(
            frames=settings.replay_frames, bytes=max(1, int(settings.replay_mb * _MEGABYTE))
        )

    def step(self) -> float:
        """Do what is to be done now; returns how many seconds to wait until the next step."""
        if not self._settings.adapt_locally:
            return 600.0
        buffer, service = self.fill(), self._journal.in_service()
        record = read_record(self._journal)
        if service is None or self.obstacle(service, buffer, record) is not None:
            return _LOOK_S
        self._try(service, buffer, record)
        return _LOOK_S

    def fill(self) -> ReplayBuffer:
        """Take new frames into the buffer, and drop those that are gone; durable when it returns."""
        before = read_buffer(self._journal)
        buffer = before.within(self._limits).present(self._is_there)
        while new := self._memory.ledger.accepted_after(buffer.through, _BATCH):
            frames = [
                BufferedFrame(
                    sequence=sequence,
                    path=file.path,
                    sha256=file.sha256,
                    field=field_key(file.field, file.sha256),
                    bytes=size,
                )
                for sequence, file, size in new
            ]
            buffer = buffer.admit(frames, self._limits)
        if buffer != before:
            self._journal.remember(_BUFFER, buffer.model_dump_json())
        return buffer

    def obstacle(self, service: InService, buffer: ReplayBuffer, record: LocalRecord) -> str | None:
        """Say why no try begins now; None if one does."""
        method, wishes = service.method, self._memory.controls.current()
        waited_h = float("inf") if record.tried_at is None else abs(self._clock() - record.tried_at) / 3600.0
        since = record.through if record.release_id == service.released else 0
        reasons = (
            (not isinstance(method, NetworkRef), "a classical algorithm is in service"),
            (isinstance(self._settings.task, Segment), "segmentation needs labels"),
            (self._journal.declined_local() == service.released, "it was rolled back for this release"),
            (wishes.paused or wishes.draining, "the site is paused or drains"),
            (read_standing(self._journal).state != "apart", "a federation is under way"),
            (len(buffer.frames) < _FEWEST_FRAMES, f"fewer than {_FEWEST_FRAMES} frames are there"),
            (buffer.through <= since, "no frame came since the last try"),
            (waited_h < self._settings.local_every_h, "the last try was too lately"),
            (not self._idle(), "the microscope acquires, or these are not the hours"),
            (self._memory.ledger.counts().waiting > 0, "frames wait to be reconstructed"),
            (self._free_gb() < self._settings.least_free_gb, "the disk is nearly full"),
        )
        return next((cause for holds, cause in reasons if holds), None)

    def give_way(self) -> None:
        """End a try under way, from any thread: a federation begins."""
        self._trainer.stop()

    def close(self) -> None:
        """End a try under way, for good, from any thread."""
        self._trainer.retire()

    def _try(self, service: InService, buffer: ReplayBuffer, record: LocalRecord) -> None:
        looks = record.looks if record.release_id == service.released else 0
        begun = LocalRecord(
            release_id=service.released,
            looks=looks + 1,
            tried_at=self._clock(),
            through=buffer.through,
            told="under way, or ended by a restart",
        )
        # Written before the look at the frames: a crash must not give a free one.
        self._journal.remember(_RECORD, begun.model_dump_json())
        try:
            answer = self._trainer.ask(self._question(service, buffer, begun.looks), LONGEST_S + 60.0)
        except ChildRefused as refusal:
            self._end(begun, str(refusal))
        except ChildDied as death:
            self._end(begun, f"ended before its time: {death}")
        else:
            self._accept(service, begun, answer)
        finally:
            # Idle memory is the microscope's.
            self._trainer.stop()

    def _question(self, service: InService, buffer: ReplayBuffer, look: int) -> dict[str, Any]:
        assert isinstance(service.method, NetworkRef)
        networks = self._folder / "networks"
        return {
            "op": "adapt_locally",
            "ref": service.method.model_dump(mode="json"),
            "folder": str(networks / service.method.weights_sha256),
            "networks": str(networks),
            "steps": self._settings.local_steps,
            "seed": buffer.through,
            "look": look,
            "frames": [
                {
                    "path": str(self._settings.acquisitions / each.path),
                    "sha256": each.sha256,
                    "field": each.field,
                }
                for each in reversed(buffer.frames)
            ],
            "most_pixels": int(self._settings.replay_mb * _MEGABYTE / 4),
            "hold": str(hold_file(self._folder)),
            "until": time.monotonic() + LONGEST_S,
        }

    def _accept(self, service: InService, begun: LocalRecord, answer: dict[str, Any]) -> None:
        self._end(begun, str(answer["told"]))
        if answer["network"] is None:
            return
        network = NetworkRef.model_validate(answer["network"])
        if not self._journal.serve_locally(service, network, f"adapted here: {answer['told']}"):
            # Another release came in the meantime, and this was made from the one before.
            shutil.rmtree(self._folder / "networks" / network.weights_sha256, ignore_errors=True)

    def _end(self, begun: LocalRecord, told: str) -> None:
        self._journal.remember(_RECORD, begun.model_copy(update={"told": told}).model_dump_json())
        self._journal.note("local-adaptation", told)

    def _is_there(self, frame: BufferedFrame) -> bool:
        return (self._settings.acquisitions / frame.path).is_file()

    def _free_gb(self) -> float:
        return shutil.disk_usage(self._folder).free / 1e9


def read_buffer(journal: Journal) -> ReplayBuffer:
    """Recall the buffer; an empty one where none was ever kept."""
    fact = journal.fact(_BUFFER)
    try:
        return ReplayBuffer() if fact is None else ReplayBuffer.model_validate_json(fact)
    except ValidationError:  # written by another version of this program
        return ReplayBuffer()


def read_record(journal: Journal) -> LocalRecord:
    """Recall the tries; none where there never was one."""
    fact = journal.fact(_RECORD)
    try:
        return LocalRecord() if fact is None else LocalRecord.model_validate_json(fact)
    except ValidationError:  # written by another version of this program
        return LocalRecord()
