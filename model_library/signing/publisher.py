"""The coordinator's signature under the Flower app that sites agree to run (Ed25519, in Flower's form)."""

import base64

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from model_library.errors import SignatureError

_TIMESTAMP_BYTES = 8


def generate_publisher_key() -> bytes:
    """Make a private key (Ed25519), as unencrypted PKCS#8 PEM."""
    return ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def publisher_public_key(private_pem: bytes) -> str:
    """Public half in OpenSSH form, `ssh-ed25519 ...`: what a site lists among its trusted entities.

    Raises
    ------
    SignatureError
        Not an Ed25519 private key.
    """
    public = _load(private_pem).public_key()
    return public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def sign_digest(private_pem: bytes, digest: bytes, signed_at: int) -> str:
    """Sign a bundle's SHA-256 digest together with the time, as a SuperNode verifies it.

    Parameters
    ----------
    private_pem
        From `generate_publisher_key`.
    digest
        32 bytes.
    signed_at
        Seconds since 1970-01-01 UTC.

    Returns
    -------
    str
        Base64url.

    Raises
    ------
    SignatureError
        Not an Ed25519 private key.
    """
    message = signed_at.to_bytes(_TIMESTAMP_BYTES, "big") + digest
    return base64.urlsafe_b64encode(_load(private_pem).sign(message)).decode("ascii")


def _load(pem: bytes) -> ed25519.Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise SignatureError(f"expected a private key as PEM, found {error}; generate a new key") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise SignatureError(
            f"expected an Ed25519 key, found {type(key).__name__}; generate a key for bundles"
        )
    return key
