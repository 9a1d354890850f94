"""JSON Web Tokens in compact form (RFC 7515, RFC 7519), signed and verified with one algorithm each."""

import base64
import binascii
import json
from typing import Any, Literal

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey

from model_library.errors import SignatureError

Algorithm = Literal["ES384", "HS256"]

CLOCK_LEEWAY_S = 30
"""How far ahead of ours a signer's clock may be."""


def sign(claims: dict[str, Any], key: ECKey | OctKey, algorithm: Algorithm) -> str:
    """Sign claims."""
    return jwt.encode({"alg": algorithm}, claims, key, algorithms=[algorithm])


def verify(token: str, key: ECKey | OctKey, algorithm: Algorithm, *, now: int) -> dict[str, Any]:
    """Claims of a token whose signature holds and which is in force.

    Parameters
    ----------
    token
        Compact form.
    key, algorithm
        The only ones accepted, whatever the header says.
    now
        Seconds since 1970-01-01 UTC.

    Raises
    ------
    SignatureError
        Not a token, another algorithm or key, altered, expired, or from the future.
    """
    try:
        _refuse_other_spellings(token)
        claims = jwt.decode(token, key, algorithms=[algorithm]).claims
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise SignatureError(
            f"expected a token signed with {algorithm} by the key on record, found {error}; sign a new one"
        ) from error
    issued, expires = claims.get("iat"), claims.get("exp")
    if type(issued) is not int or type(expires) is not int:
        raise SignatureError("expected a token with whole numbers as iat and exp, found none; sign a new one")
    if now >= expires:
        raise SignatureError(f"expected a token in force, found one expired {now - expires} s ago; renew it")
    if issued > now + CLOCK_LEEWAY_S:
        raise SignatureError(f"expected a token issued by now, found {issued - now} s ahead; set the clock")
    return claims


def unverified(token: str) -> dict[str, Any]:
    """Claims as they stand in a token, for looking up the key that will verify it.

    Raises
    ------
    SignatureError
        Not a token.
    """
    try:
        _, payload, _ = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError) as error:
        raise SignatureError(f"expected a token, found {error}; sign a new one") from error
    if not isinstance(claims, dict):
        raise SignatureError(f"expected a token with claims, found {type(claims).__name__}; sign a new one")
    return claims


def _refuse_other_spellings(token: str) -> None:
    """Base64url decoders ignore spare bits and stray characters: such a token is not the one signed."""
    for part in token.split("."):
        try:
            content = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        except binascii.Error as error:
            raise ValueError(f"a part that is not base64url ({error})") from error
        if base64.urlsafe_b64encode(content).rstrip(b"=").decode() != part:
            raise ValueError("a part in a spelling of base64url that is not the shortest")
