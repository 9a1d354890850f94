"""Enrolment, tokens and the CA certificate."""

from fastapi import APIRouter, Request, Response

from coordinator.api.access import INSTRUMENT, Running
from coordinator.errors import Unauthenticated, Unprocessable
from coordinator.founding import CA
from coordinator.services import Services
from model_library.errors import SignatureError
from model_library.signing.keys import (
    ACCESS_TOKEN_S,
    assertion_issuer,
    normal_public_key,
    verify_assertion,
)
from model_library.wire.identity import EnrolReply, EnrolRequest, TokenReply, TokenRequest

router = APIRouter(prefix="/v1")
_HTTPS_PORT = 443


@router.get("/health")
def health() -> dict[str, str]:
    """Tell that the server answers."""
    return {"status": "ok"}


@router.get("/ca.pem")
def certificate(services: Running) -> Response:
    """Send the CA certificate; a site checks it against the fingerprint in its enrolment token."""
    pem = (services.place.settings.tls / CA).read_bytes()
    return Response(pem, media_type="application/x-pem-file")


@router.post("/enrol")
def enrol(request: EnrolRequest, services: Running) -> EnrolReply:
    """Trade a one-time token for an identity and the root of trust for releases."""
    try:
        public_key = normal_public_key(request.public_key_pem)
    except SignatureError as error:
        raise Unprocessable(str(error)) from error
    secret = request.token.partition(".")[0]
    enrolling = request.model_copy(update={"public_key_pem": public_key})
    instrument = services.place.identities.enrol(enrolling, secret, services.place.clock())
    services.campaigning.expect(instrument.id)
    return EnrolReply(instrument_id=instrument.id, tuf_root=services.place.repository.root())


@router.post("/token")
def token(message: TokenRequest, request: Request, services: Running) -> TokenReply:
    """Trade a signed assertion for a short-lived access token (RFC 7523)."""
    place, now = services.place, services.place.clock()
    instrument = place.identities.find(assertion_issuer(message.assertion))
    if instrument is None or instrument.revoked_at is not None:
        refusal = "expected an enrolled instrument, found one that is unknown or revoked; enrol it anew"
        raise Unauthenticated(refusal)
    claims = verify_assertion(
        instrument.public_key_pem, message.assertion, audience=_audience(services, request), now=int(now)
    )
    place.identities.spend_assertion(instrument.id, claims.jti, claims.expires_at, now)
    access = services.tokens.issue(instrument.id, INSTRUMENT, int(now))
    return TokenReply(access_token=access, expires_in_s=ACCESS_TOKEN_S)


def _audience(services: Services, request: Request) -> str:
    """URL of this route by the name that the caller uses, if that is a name of ours.

    The port is the socket's, not the header's: an assertion made for another server on this host
    must not be accepted here.
    """
    host, port = request.url.hostname, request.scope["server"][1]
    if host not in services.place.settings.hosts:
        names = ", ".join(services.place.settings.hosts)
        message = f"expected to be called {names}, found {host}; add it to `hosts` in settings.toml"
        raise Unauthenticated(message)
    shown = "" if request.url.port is None and port == _HTTPS_PORT else f":{port}"
    return f"https://{host}{shown}/v1/token"
