"""Who is calling: every route but the open ones asks here, before it looks at anything else."""

from typing import Annotated

from fastapi import Depends, Request

from coordinator.errors import Forbidden, Unauthenticated
from coordinator.services import Services
from coordinator.store.values import Instrument
from model_library.errors import SignatureError

INSTRUMENT = "instrument"
_OPERATOR_PREFIX = "operator."


def services_of(request: Request) -> Services:
    """Get the running services."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        message = "expected a bearer token in the header Authorization, found none; get one at /v1/token"
        raise Unauthenticated(message)
    return token


def calling_instrument(request: Request) -> Instrument:
    """Find the instrument that calls; its revocation is looked up at every request.

    Raises
    ------
    Unauthenticated
        No valid token, or the instrument is unknown or revoked.
    Forbidden
        The token is the operator's.
    """
    services, token = services_of(request), _bearer(request)
    if token.startswith(_OPERATOR_PREFIX):
        message = "expected an instrument's token, found another kind; this route is for instruments"
        raise Forbidden(message)
    try:
        claims = services.tokens.verify(token, int(services.place.clock()))
    except SignatureError as error:
        raise Unauthenticated(str(error)) from error
    instrument = services.place.identities.find(claims.subject) if claims.role == INSTRUMENT else None
    if instrument is None or instrument.revoked_at is not None:
        message = "expected an enrolled instrument, found one that is unknown or revoked; enrol it anew"
        raise Unauthenticated(message)
    return instrument


def require_operator(request: Request) -> None:
    """Let the operator pass.

    Raises
    ------
    Unauthenticated
        The token is neither the operator's nor an instrument's.
    Forbidden
        The token is an instrument's.
    """
    token = _bearer(request)
    if not token.startswith(_OPERATOR_PREFIX):
        calling_instrument(request)
        message = "expected the operator's token, found an instrument's; this route is for the operator"
        raise Forbidden(message)
    if not services_of(request).place.identities.is_operator(token):
        message = "expected the operator's token, found one that is not valid; see operator.token"
        raise Unauthenticated(message)


Running = Annotated[Services, Depends(services_of)]
Caller = Annotated[Instrument, Depends(calling_instrument)]
