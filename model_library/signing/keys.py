"""Who is calling: an instrument's own key (RFC 7523), traded for short-lived access tokens."""

import secrets
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey, OctKey

from model_library.errors import SignatureError
from model_library.signing import compact

MAX_ASSERTION_S = 120
"""Longest life of an assertion; it is used within seconds."""

ACCESS_TOKEN_S = 600
"""Life of an access token."""

SECRET_BYTES = 32
"""Least length of the coordinator's secret: the digest of HS256."""


@dataclass(frozen=True, slots=True)
class AssertionClaims:
    """What an instrument asserts; times in seconds since 1970-01-01 UTC.

    Attributes
    ----------
    issuer
        Instrument id.
    audience
        URL of the token endpoint.
    issued_at, expires_at
        At most `MAX_ASSERTION_S` apart.
    jti
        Unique: whoever accepts the assertion keeps it until it expires, and accepts it once.
    """

    issuer: str
    audience: str
    issued_at: int
    expires_at: int
    jti: str


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """Whom an access token stands for, and until when (seconds since 1970-01-01 UTC)."""

    subject: str
    role: str
    expires_at: int


def generate_instrument_key() -> bytes:
    """Make a private key (ECDSA, P-384), as unencrypted PKCS#8 PEM; it never leaves the instrument."""
    return ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(private_pem: bytes) -> str:
    """Public half of a private key, as PEM.

    Raises
    ------
    SignatureError
        Not a private key on P-384.
    """
    key = _load(private_pem, private=True).public_key
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode("ascii")


def normal_public_key(pem: str) -> str:
    """Spell a public key on P-384 as it is put on record, so that keys can be compared as text.

    Raises
    ------
    SignatureError
        Another kind of key, or none.
    """
    return (
        _load(pem.encode(), private=False)
        .public_key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode("ascii")
    )


def sign_assertion(private_pem: bytes, *, issuer: str, audience: str, now: int, lifetime_s: int = 60) -> str:
    """Sign a JWT (ES384) that proves possession of the instrument's key.

    Parameters
    ----------
    private_pem
        The instrument's private key.
    issuer
        Instrument id; also the subject.
    audience
        URL of the token endpoint.
    now
        Seconds since 1970-01-01 UTC.
    lifetime_s
        Seconds until it expires, at most `MAX_ASSERTION_S`.
    """
    claims = {"iss": issuer, "sub": issuer, "aud": audience, "iat": now, "exp": now + lifetime_s}
    return compact.sign(claims | {"jti": uuid4().hex}, _load(private_pem, private=True), "ES384")


def verify_assertion(public_pem: str, assertion: str, *, audience: str, now: int) -> AssertionClaims:
    """Verify an assertion against the key on record of its instrument.

    That `jti` was not seen before is for the caller to check, who remembers.

    Raises
    ------
    SignatureError
        Altered, of another key, for another audience, expired, from the future or too long-lived.
    """
    claims = compact.verify(assertion, _load(public_pem.encode(), private=False), "ES384", now=now)
    issuer, jti = _text(claims, "iss"), _text(claims, "jti")
    if claims.get("sub") != issuer or claims.get("aud") != audience:
        raise SignatureError(
            f"expected an assertion of {issuer} about itself for {audience}, found subject "
            f"{claims.get('sub')!r} and audience {claims.get('aud')!r}; check the coordinator's address"
        )
    if claims["exp"] - claims["iat"] > MAX_ASSERTION_S:
        raise SignatureError(
            f"expected an assertion that lives at most {MAX_ASSERTION_S} s, found "
            f"{claims['exp'] - claims['iat']} s; sign a shorter one"
        )
    return AssertionClaims(issuer, audience, claims["iat"], claims["exp"], jti)


def assertion_issuer(assertion: str) -> str:
    """Whose key to look up: the issuer that an assertion names, not verified in any way.

    Raises
    ------
    SignatureError
        Not a JWT.
    """
    return _text(compact.unverified(assertion), "iss")


class AccessTokens:
    """Issues and verifies bearer tokens (HS256) of one coordinator.

    Parameters
    ----------
    secret
        At least `SECRET_BYTES` random bytes, known to the coordinator alone.

    Raises
    ------
    SignatureError
        The secret is too short.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SECRET_BYTES:
            raise SignatureError(
                f"expected a secret of at least {SECRET_BYTES} bytes, found {len(secret)}; generate a new one"
            )
        self._key = OctKey.import_key(secret)

    def issue(self, subject: str, role: str, now: int) -> str:
        """Issue a token for a subject in a role, for `ACCESS_TOKEN_S` from `now` (Unix seconds)."""
        claims = {"sub": subject, "role": role, "iat": now, "exp": now + ACCESS_TOKEN_S, "jti": uuid4().hex}
        return compact.sign(claims, self._key, "HS256")

    def verify(self, token: str, now: int) -> TokenClaims:
        """Verify a token.

        Raises
        ------
        SignatureError
            Altered, of another coordinator, or expired.
        """
        claims = compact.verify(token, self._key, "HS256", now=now)
        return TokenClaims(_text(claims, "sub"), _text(claims, "role"), claims["exp"])


def generate_secret() -> bytes:
    """Make a secret for `AccessTokens`."""
    return secrets.token_bytes(SECRET_BYTES)


def _load(pem: bytes, *, private: bool) -> ECKey:
    kind = "private" if private else "public"
    try:
        key = ECKey.import_key(pem)
    except (ValueError, TypeError) as error:
        raise SignatureError(f"expected a {kind} key as PEM, found {error}; generate a new key") from error
    if key.curve_name != "P-384" or key.is_private != private:
        found = "private" if key.is_private else "public"
        raise SignatureError(
            f"expected a {kind} key on P-384, found a {found} one on {key.curve_name}; generate a new key"
        )
    return key


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise SignatureError(f"expected a token with text as {name}, found {value!r}; sign a new one")
    return value
