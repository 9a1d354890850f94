"""Accepted updates on disk, so that a killed process loses none and counts none twice."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from coordinator.federation.checkpoint import encode_weights, read_weights
from coordinator.federation.claim import Claim
from coordinator.federation.fleet import Reply, Weights
from coordinator.federation.plan import FederationFileError
from coordinator.federation.stored_arrays import StoredArrays
from model_library.images.durable import write_durably

_REPORT, _BASE, _BYTES, _ASKED = "report", "base_sha256", "bytes", "asked_in"


@dataclass(frozen=True, slots=True)
class AcceptedUpdates:
    """The updates of one round: one file per instrument, so each counts once.

    `base_sha256` is the digest of the weights that the round changes: what was accepted belongs to them.
    """

    folder: Path
    number: int
    base_sha256: str
    claim: Claim

    def keep(self, instrument_id: str, reply: Reply, asked_in: int) -> None:
        """Keep an update that was accepted, durably; `asked_in` is the round whose weights it changes."""
        assert reply.update is not None
        assert reply.report is not None
        notes = {_REPORT: reply.report, _BASE: self.base_sha256, _ASKED: str(asked_in)}
        if reply.packed_bytes is not None:
            notes[_BYTES] = str(reply.packed_bytes)
        content = encode_weights(reply.update, notes)
        with self.claim.held():
            self._room.mkdir(exist_ok=True)
            write_durably(self._file(instrument_id), content)

    def recall(self, instrument_ids: Sequence[str]) -> dict[str, tuple[Reply, int]]:
        """Read back what an earlier process accepted for the same weights, and the rounds it was asked in."""
        found = {instrument_id: self._recall(instrument_id) for instrument_id in instrument_ids}
        return {instrument_id: each for instrument_id, each in found.items() if each is not None}

    def load(self, instrument_id: str) -> Weights:
        """Open the changes of the weights by key, as they came; each is read when it is asked for."""
        return StoredArrays(self._file(instrument_id))

    def forget(self) -> None:
        """Delete them; the checkpoint holds what they came to."""
        with self.claim.held():
            shutil.rmtree(self._room, ignore_errors=True)

    @property
    def _room(self) -> Path:
        return self.folder / f"accepted-{self.number:02d}"

    def _file(self, instrument_id: str) -> Path:
        return self._room / f"{instrument_id}.safetensors"

    def _recall(self, instrument_id: str) -> tuple[Reply, int] | None:
        path = self._file(instrument_id)
        try:
            with safe_open(path, framework="np") as file:
                notes = file.metadata() or {}
            if notes.get(_BASE) != self.base_sha256 or not {_REPORT, _ASKED} <= notes.keys():
                return None
            packed_bytes = int(notes[_BYTES]) if _BYTES in notes else None
            reply = Reply(path.stem, read_weights(path), notes[_REPORT], packed_bytes=packed_bytes)
            return reply, int(notes[_ASKED])
        except (FileNotFoundError, SafetensorError, FederationFileError):
            return None
