"""The signing keys of the TUF roles, and how long what they sign is believed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

from model_library.images.durable import write_durably

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = "root", "targets", "snapshot", "timestamp"


@dataclass(frozen=True)
class Role:
    """One TUF role: the names of its key files, how many of them must sign, and for how long."""

    keys: tuple[str, ...]
    threshold: int
    life: timedelta


ROLES: Mapping[str, Role] = {
    ROOT: Role(("root-1", "root-2", "root-3"), 2, timedelta(days=5 * 365)),
    TARGETS: Role(("targets",), 1, timedelta(days=365)),
    SNAPSHOT: Role(("snapshot",), 1, timedelta(days=30)),
    TIMESTAMP: Role(("timestamp",), 1, timedelta(days=2)),
}

ONLINE = (TARGETS, SNAPSHOT, TIMESTAMP)
"""Roles whose keys the server needs; the root keys belong offline once a coordinator is founded."""


def make_keys(folder: Path) -> dict[str, list[CryptoSigner]]:
    """Make an Ed25519 key for every signer of every role, readable by the owner only."""
    signers: dict[str, list[CryptoSigner]] = {}
    for name, role in ROLES.items():
        signers[name] = [CryptoSigner.generate_ed25519() for _ in role.keys]
        for key, signer in zip(role.keys, signers[name], strict=True):
            write_durably(folder / f"{key}.pem", signer.private_bytes, mode=0o600)
    return signers


def load_keys(folder: Path) -> dict[str, list[CryptoSigner]]:
    """Load the keys of the roles that the server signs for."""
    return {
        name: [
            CryptoSigner(load_pem_private_key((folder / f"{key}.pem").read_bytes(), None))
            for key in ROLES[name].keys
        ]
        for name in ONLINE
    }
