"""A TUF repository with consistent snapshots (specification 1.0.33), written durably, timestamp last.

`tuf.api.metadata` suffices; `tuf.repository` is not a stable interface.
"""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]
from tuf.api.metadata import (  # type: ignore[attr-defined]
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from coordinator.errors import NotFounded
from coordinator.releases.roles import ONLINE, ROLES, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from model_library.images.durable import sync_folder, write_durably

Signers = Mapping[str, list[CryptoSigner]]
_Role = TypeVar("_Role", Root, Targets, Snapshot, Timestamp)


def _moment(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC).replace(microsecond=0)


def found(folder: Path, signers: Signers, now: float) -> None:
    """Write the first metadata of every role.

    Raises
    ------
    NotFounded
        A repository is here already.
    """
    metadata = folder / "metadata"
    if (metadata / "1.root.json").exists():
        message = f"expected an empty folder, found a repository in {folder}; keep it, or name another folder"
        raise NotFounded(message)
    metadata.mkdir(parents=True)
    (folder / "targets").mkdir()
    root = Root(expires=_moment(now) + ROLES[ROOT].life, consistent_snapshot=True)
    for name, role in ROLES.items():
        for signer in signers[name]:
            root.add_key(signer.public_key, name)
        root.roles[name].threshold = role.threshold
    signed = Metadata(root)
    for signer in signers[ROOT][: ROLES[ROOT].threshold]:
        signed.sign(signer, append=True)
    write_durably(metadata / "1.root.json", signed.to_bytes())
    _Writer(metadata, signers, now).write_all(Targets(), Snapshot(), Timestamp())
    sync_folder(folder)


class _Writer:
    """Signs one state of the repository and writes it so that a crash leaves the state before."""

    def __init__(self, metadata: Path, signers: Signers, now: float) -> None:
        self._metadata, self._signers, self._now = metadata, signers, now

    def write_all(self, targets: Targets, snapshot: Snapshot, timestamp: Timestamp) -> None:
        self._write(TARGETS, targets, f"{targets.version}.targets.json")
        snapshot.meta["targets.json"] = MetaFile(targets.version)
        self.write_snapshot(snapshot, timestamp)

    def write_snapshot(self, snapshot: Snapshot, timestamp: Timestamp) -> None:
        self._write(SNAPSHOT, snapshot, f"{snapshot.version}.snapshot.json")
        timestamp.snapshot_meta = MetaFile(snapshot.version)
        self.write_timestamp(timestamp)

    def write_timestamp(self, timestamp: Timestamp) -> None:
        self._write(TIMESTAMP, timestamp, "timestamp.json")

    def _write(self, role: str, signed: _Role, name: str) -> None:
        signed.expires = _moment(self._now) + ROLES[role].life
        envelope = Metadata(signed)
        for signer in self._signers[role]:
            envelope.sign(signer, append=True)
        write_durably(self._metadata / name, envelope.to_bytes())


class ReleaseRepository:
    """The repository of a running coordinator; publications are serialised."""

    def __init__(self, folder: Path, signers: Signers) -> None:
        self._metadata = folder / "metadata"
        self._targets = folder / "targets"
        self._signers = signers
        self._lock = threading.Lock()

    def root(self) -> str:
        """Read the newest root metadata, as JSON text: what an instrument trusts from its enrolment on."""
        newest = max(self._metadata.glob("*.root.json"), key=lambda path: int(path.name.split(".")[0]))
        return newest.read_text()

    def metadata_file(self, name: str) -> Path:
        """Where a metadata file lies; the caller has checked the name."""
        return self._metadata / name

    def target_file(self, path: str) -> Path:
        """Where a target (with the digest in its file name) lies; the caller has checked the path."""
        return self._targets / path

    def publish(self, files: Mapping[str, bytes], now: float) -> bool:
        """Publish targets (path -> content) together; all of them become visible at once, or none.

        Returns
        -------
        bool
            False where exactly these were published before, and nothing was written.
        """
        with self._lock:
            targets, snapshot, timestamp = self._state()
            wanted = {
                path: TargetFile.from_data(path, content, ["sha256"]) for path, content in files.items()
            }
            if all(targets.targets.get(path) == target for path, target in wanted.items()):
                return False
            for path, target in wanted.items():
                self._store(path, target.hashes["sha256"], files[path])
            targets.targets.update(wanted)
            for signed in (targets, snapshot, timestamp):
                signed.version += 1
            _Writer(self._metadata, self._signers, now).write_all(targets, snapshot, timestamp)
            return True

    def renew(self, now: float) -> tuple[str, ...]:
        """Sign again what is past half of its life; returns the names of those roles."""
        with self._lock:
            targets, snapshot, timestamp = self._state()
            roles = dict(zip(ONLINE, (targets, snapshot, timestamp), strict=True))
            old = tuple(name for name in ONLINE if roles[name].expires - _moment(now) < ROLES[name].life / 2)
            if not old:
                return ()
            writer = _Writer(self._metadata, self._signers, now)
            timestamp.version += 1
            if TARGETS in old or SNAPSHOT in old:
                snapshot.version += 1
            if TARGETS in old:
                targets.version += 1
                writer.write_all(targets, snapshot, timestamp)
            elif SNAPSHOT in old:
                writer.write_snapshot(snapshot, timestamp)
            else:
                writer.write_timestamp(timestamp)
            return old

    def expires_at(self) -> float:
        """When instruments will cease to believe the timestamp, in seconds since 1970."""
        return self._state()[2].expires.timestamp()

    def _state(self) -> tuple[Targets, Snapshot, Timestamp]:
        """Read what the timestamp, the one file that is replaced, leads to."""
        timestamp = Metadata[Timestamp].from_file(str(self._metadata / "timestamp.json")).signed
        snapshot_name = f"{timestamp.snapshot_meta.version}.snapshot.json"
        snapshot = Metadata[Snapshot].from_file(str(self._metadata / snapshot_name)).signed
        targets_name = f"{snapshot.meta['targets.json'].version}.targets.json"
        return Metadata[Targets].from_file(str(self._metadata / targets_name)).signed, snapshot, timestamp

    def _store(self, path: str, sha256: str, content: bytes) -> None:
        folder, _, name = path.rpartition("/")
        (self._targets / folder).mkdir(parents=True, exist_ok=True)
        stored = self._targets / folder / f"{sha256}.{name}"
        if not stored.exists():
            write_durably(stored, content)
            sync_folder(self._targets)
