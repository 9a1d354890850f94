"""Who this site is: a key pair made here, and the one coordinator that it trusts."""

import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import ValidationError

from model_library.images.durable import sync_folder, write_durably
from model_library.signing.certificates import fingerprint
from model_library.signing.keys import generate_instrument_key, public_pem
from model_library.wire.base import Message
from model_library.wire.identity import EnrolReply, EnrolRequest
from site_client.errors import CoordinatorRefused, CoordinatorUnreachable, EnrolmentError
from site_client.settings import FILE_NAME, SiteSettings, write_settings
from site_client.trust_roots import trust_context

_FINGERPRINT_DIGITS = 32


class _Instrument(Message):
    """What `identity/instrument.json` holds; nothing in it is secret."""

    instrument_id: str
    tuf_root: str


@dataclass(frozen=True, slots=True)
class Identity:
    """The instrument's identity; `tuf_root` is the root of trust for releases, as JSON text."""

    instrument_id: str
    private_pem: bytes
    ca_file: Path
    tuf_root: str


def read_identity(folder: Path) -> Identity:
    """Read the identity of a site folder.

    Raises
    ------
    EnrolmentError
        The folder was never enrolled, or its identity is damaged.
    """
    home = folder / "identity"
    try:
        instrument = _Instrument.model_validate_json((home / "instrument.json").read_bytes())
        key = (home / "instrument.key").read_bytes()
    except FileNotFoundError as error:
        raise EnrolmentError(
            f"expected an identity in {home}, found none; run `synoptic site enrol` with a token"
        ) from error
    except ValidationError as error:
        raise EnrolmentError(
            f"{home / 'instrument.json'} is damaged: {error}; enrol this site again in a new folder"
        ) from error
    return Identity(instrument.instrument_id, key, home / "ca.pem", instrument.tuf_root)


def enrol(folder: Path, settings: SiteSettings, token: str, *, deadline_s: float = 30.0) -> Identity:
    """Trade a one-time token for an identity; the private key never leaves the folder.

    Parameters
    ----------
    folder
        Becomes the site's folder.
    settings
        Written as `settings.toml` once the coordinator has answered.
    token
        `<secret>.<first 32 hexadecimal digits of the SHA-256 of the coordinator's CA certificate>`.

    Raises
    ------
    EnrolmentError
        The folder is enrolled already, or the server is not the one that the token names.
    CoordinatorRefused, CoordinatorUnreachable
        The token was used before or is unknown; nobody answers.
    """
    home = folder / "identity"
    if (home / "instrument.json").exists():
        raise EnrolmentError(
            f"expected a folder without identity, found one in {home}; run `synoptic site run` to use it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    home.mkdir(mode=0o700, exist_ok=True)
    ca_pem = _trusted_ca(settings, token, deadline_s)
    key = generate_instrument_key()
    write_durably(home / "instrument.key", key, mode=0o600)
    write_durably(home / "ca.pem", ca_pem)
    request = EnrolRequest(
        token=token,
        site_name=settings.site_name,
        task=settings.task,
        pixel_size_nm=settings.pixel_size_nm,
        public_key_pem=public_pem(key),
    )
    with open_http(settings, home / "ca.pem", deadline_s) as http:
        body = _answer(http, "POST", "/v1/enrol", request.model_dump_json().encode())
    reply = EnrolReply.model_validate_json(body)
    write_durably(folder / FILE_NAME, write_settings(settings).encode())
    instrument = _Instrument(instrument_id=reply.instrument_id, tuf_root=reply.tuf_root)
    write_durably(home / "instrument.json", instrument.model_dump_json(indent=2).encode())
    sync_folder(folder)
    return read_identity(folder)


def open_http(settings: SiteSettings, ca_file: Path | None, deadline_s: float) -> httpx.Client:
    """Open an HTTP client that trusts the coordinator's own CA, and whom else the settings name.

    `ca_file` None trusts anybody, which only fetching the CA itself may do.
    """
    verify: ssl.SSLContext | bool = False
    if ca_file is not None:
        verify = trust_context(ca_file, settings.trust)
    return httpx.Client(
        base_url=settings.coordinator_url,
        verify=verify,
        timeout=httpx.Timeout(deadline_s, connect=min(5.0, deadline_s)),
        proxy=settings.proxy,
        trust_env=False,
        follow_redirects=False,
    )


def _trusted_ca(settings: SiteSettings, token: str, deadline_s: float) -> bytes:
    secret, _, expected = token.rpartition(".")
    if not secret or len(expected) != _FINGERPRINT_DIGITS:
        raise EnrolmentError(
            "expected a token of two parts with a point between, found another text; copy the whole token "
            "that `synoptic coordinator enrol-token` prints"
        )
    with open_http(settings, None, deadline_s) as http:
        pem = _answer(http, "GET", "/v1/ca.pem", None)
    found = fingerprint(pem)
    if found[:_FINGERPRINT_DIGITS] != expected:
        raise EnrolmentError(
            f"expected a coordinator whose CA has the fingerprint {expected}, found {found}; the token is of "
            "another coordinator, or somebody answers in its place"
        )
    return pem


def _answer(http: httpx.Client, method: str, path: str, content: bytes | None) -> bytes:
    """One call without an identity; the reply is bounded in size and time."""
    headers = {} if content is None else {"Content-Type": "application/json"}
    try:
        with http.stream(method, path, content=content, headers=headers) as response:
            body = read_body(response, time.monotonic() + 2 * float(http.timeout.read or 30.0))
    except httpx.HTTPError as error:
        raise CoordinatorUnreachable(
            f"expected an answer of {http.base_url}{path}, found {type(error).__name__}: {error}; check the "
            "address, the network, and behind a proxy --proxy and --trust"
        ) from error
    refuse_errors(response, body)
    return body


def read_body(response: httpx.Response, deadline: float, max_bytes: int = 16 << 20) -> bytes:
    """Read a streamed reply, but no longer than `deadline` (monotonic seconds) and no more than `max_bytes`.

    A time limit per packet alone would let a server that drips hold the site for ever.

    Raises
    ------
    CoordinatorUnreachable
        The reply is too slow or too long.
    """
    received = bytearray()
    for chunk in response.iter_bytes():
        received += chunk
        if time.monotonic() > deadline or len(received) > max_bytes:
            raise CoordinatorUnreachable(
                f"{response.request.url}: expected a short reply in time, found {len(received)} bytes and no "
                "end; try again later"
            )
    return bytes(received)


def refuse_errors(response: httpx.Response, body: bytes) -> None:
    """Turn a reply that is an error into an exception.

    Raises
    ------
    CoordinatorUnreachable
        The server is overloaded or failing (429 and 5xx): later it may work.
    CoordinatorRefused
        Any other error; code and message are the coordinator's.
    """
    if response.is_success:
        return
    status = response.status_code
    try:
        error = httpx.Response(200, content=body).json()["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        code, message = f"http_{status}", f"{response.request.url} answered {status}"
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise CoordinatorUnreachable(f"{message} ({status}); trying again later")
    raise CoordinatorRefused(status, code, message)
