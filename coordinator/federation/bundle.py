"""The Flower app that sites agree to run, signed; and the public key by which they know it.

A SuperNode verifies a bundle's signature before it runs anything of it. The key reaches the sites
as a target of the release repository, so whoever takes over Flower's part of the server cannot
exchange it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from coordinator.workplace import Workplace
from model_library.images.durable import write_durably
from model_library.signing.publisher import generate_publisher_key, publisher_public_key, sign_digest

SHIM = Path(__file__).with_name("shim")
"""The app's source: a description, and two modules that import what is installed."""

APP_ID = "@synoptic/federation"
PUBLISHER = "fpk_synoptic"
"""Name under which the signature and the sites' trust meet."""

TRUST_TARGET = "federation/trusted-entities.json"
"""Target of the release repository: `{PUBLISHER: "ssh-ed25519 ..."}`."""

BUNDLE_KEY = "bundle.pem"
"""File of the private key that signs bundles, in the folder of keys."""

_FLOWER_SIGNS = {"valid_license": "Valid"}
"""Says that signatures are kept at all; without it a SuperNode refuses every bundle."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A Flower app as it travels.

    Attributes
    ----------
    content
        A zip file.
    sha256
        Its digest, 64 hexadecimal digits.
    verifications
        Signatures by publisher, as JSON texts; empty where it is not signed.
    """

    content: bytes
    sha256: str
    verifications: Mapping[str, str]


def unsigned(content: bytes) -> Bundle:
    """Name a bundle by its digest."""
    return Bundle(content, hashlib.sha256(content).hexdigest(), {})


def sign(content: bytes, key_pem: bytes, signed_at: int) -> Bundle:
    """Sign a bundle (`signed_at` in seconds since 1970, UTC).

    Raises
    ------
    SignatureError
        The key is not an Ed25519 private key.
    """
    bare = unsigned(content)
    signature = sign_digest(key_pem, bytes.fromhex(bare.sha256), signed_at)
    entry = json.dumps({"signature": signature, "signed_at": signed_at})
    return Bundle(content, bare.sha256, {**_FLOWER_SIGNS, PUBLISHER: entry})


def bundle_key(keys: Path) -> bytes:
    """Read the key that signs bundles, making it where a coordinator has none yet."""
    path = keys / BUNDLE_KEY
    if not path.is_file():
        write_durably(path, generate_publisher_key(), mode=0o600)
    return path.read_bytes()


def trusted_entities(key_pem: bytes) -> dict[str, str]:
    """Whose bundles a site is to run: publisher -> public key in OpenSSH form."""
    return {PUBLISHER: publisher_public_key(key_pem)}


def publish_trust(place: Workplace) -> bool:
    """Publish the public key of bundles to the sites; False where it was published before."""
    entities = trusted_entities(bundle_key(place.settings.keys))
    return place.repository.publish({TRUST_TARGET: json.dumps(entities).encode()}, place.clock())
