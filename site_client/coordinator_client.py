"""Every word that a site says to its coordinator, and the count of bytes that it costs."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx
import stamina
from pydantic import ValidationError

from model_library.signing.keys import sign_assertion
from model_library.wire.federation import FieldClaim, FieldGrant
from model_library.wire.identity import TokenReply, TokenRequest
from model_library.wire.orders import Heartbeat, Orders
from site_client.errors import CoordinatorRefused, CoordinatorUnreachable
from site_client.identity import Identity, open_http, read_body, refuse_errors
from site_client.journal import BytesKind
from site_client.settings import SiteSettings

_ASSERTION_LIFE_S = 60
_CHUNK_BYTES = 1 << 16
_Reply = TypeVar("_Reply", FieldGrant, Orders, TokenReply)


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    renew_at: float  # monotonic seconds


class CoordinatorClient:
    """HTTPS calls with this site's identity; usable from several threads.

    Parameters
    ----------
    settings
        Address, deadlines, proxy.
    identity
        The key that buys tokens, and the only CA that is trusted.
    count
        Told how many bytes leave (request line, headers and body; not TLS's own), before they do.
    clock
        Seconds since the epoch, for assertions.
    """

    def __init__(
        self,
        settings: SiteSettings,
        identity: Identity,
        count: Callable[[BytesKind, int], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._http = open_http(settings, identity.ca_file, settings.call_deadline_s)
        self._deadline_s = settings.call_deadline_s
        self._url = settings.coordinator_url
        self._identity = identity
        self._count = count
        self._clock = clock
        self._renewing = threading.Lock()
        self._token: _Token | None = None
        self._ahead_s = 0.0

    @property
    def instrument_id(self) -> str:
        """Who calls."""
        return self._identity.instrument_id

    @property
    def releases_url(self) -> str:
        """Where the TUF repository is."""
        return f"{self._url}/v1/releases"

    @property
    def clock_ahead_s(self) -> float:
        """How far this site's clock was ahead of the coordinator's at the last answer; +- 1 s."""
        return self._ahead_s

    def close(self) -> None:
        """Close the connections; calls under way fail."""
        self._http.close()

    def heartbeat(self, heartbeat: Heartbeat) -> Orders:
        """Report the site's state; returns what the coordinator wants of it."""
        response = self.call("POST", "/v1/heartbeat", content=heartbeat.model_dump_json().encode())
        return _validated(Orders, response)

    def claim(self, federation_id: str, claim: FieldClaim) -> FieldGrant:
        """Tell the fields of this site's frames; returns those that a federation may train on."""
        url = f"/v1/federations/{federation_id}/fields"
        return _validated(FieldGrant, self.call("POST", url, content=claim.model_dump_json().encode()))

    def call(
        self,
        method: str,
        url: str,
        *,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        kind: BytesKind = BytesKind.CONTROL,
    ) -> httpx.Response:
        """One call with a token; retried where repeating it does no harm.

        Raises
        ------
        CoordinatorUnreachable
            No usable answer within the deadline.
        CoordinatorRefused
            The coordinator said no.
        """
        sent = {"Content-Type": "application/json", **(headers or {})}
        # PATCH is not repeated blindly: after a failure the upload first asks for the offset.
        attempts = 1 if method == "PATCH" else 3
        for attempt in stamina.retry_context(
            on=CoordinatorUnreachable,
            attempts=attempts,
            timeout=self._deadline_s,
            wait_initial=0.1,
            wait_max=1.0,
        ):
            with attempt:
                return self._authorised(method, url, content, sent, kind)
        raise AssertionError("stamina either returns or raises")

    def download(self, url: str) -> Iterator[bytes]:
        """Yield the bytes behind `url`, as they arrive; refusals and deadlines as in `call`."""
        deadline = time.monotonic() + 10 * self._deadline_s
        request = self._http.build_request("GET", url, headers=self._bearer())
        self._count(BytesKind.CONTROL, _bytes_of(request))
        try:
            response = self._http.send(request, stream=True)
            try:
                if not response.is_success:
                    refuse_errors(response, read_body(response, time.monotonic() + self._deadline_s))
                for chunk in response.iter_bytes(_CHUNK_BYTES):
                    if time.monotonic() > deadline:
                        raise CoordinatorUnreachable(
                            f"{url}: expected the file in time, found no end; trying again later"
                        )
                    yield chunk
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise _unreachable(url, error) from error

    def _authorised(
        self, method: str, url: str, content: bytes, headers: Mapping[str, str], kind: BytesKind
    ) -> httpx.Response:
        try:
            return self._send(method, url, content, {**headers, **self._bearer()}, kind)
        except CoordinatorRefused as refusal:
            if refusal.status != httpx.codes.UNAUTHORIZED:
                raise
        # A coordinator that was restarted, or a clock that was set, makes a token invalid before its time.
        self._token = None
        return self._send(method, url, content, {**headers, **self._bearer()}, kind)

    def _send(
        self, method: str, url: str, content: bytes, headers: Mapping[str, str], kind: BytesKind
    ) -> httpx.Response:
        request = self._http.build_request(method, url, content=content or None, headers=headers)
        self._count(BytesKind.CONTROL, _bytes_of(request))
        if content:
            self._count(kind, len(content))
        deadline = time.monotonic() + self._deadline_s
        try:
            response = self._http.send(request, stream=True)
            try:
                body = read_body(response, deadline)
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise _unreachable(url, error) from error
        self._compare_clocks(response)
        refuse_errors(response, body)
        return httpx.Response(response.status_code, headers=_plain(response), content=body, request=request)

    def _compare_clocks(self, response: httpx.Response) -> None:
        try:
            told = parsedate_to_datetime(response.headers["Date"]).timestamp()
        except (KeyError, ValueError):
            return
        # The header counts whole seconds that have passed.
        self._ahead_s = self._clock() - (told + 0.5)

    def _bearer(self) -> dict[str, str]:
        with self._renewing:
            if self._token is None or time.monotonic() >= self._token.renew_at:
                self._token = self._buy_token()
            return {"Authorization": f"Bearer {self._token.value}"}

    def _buy_token(self) -> _Token:
        assertion = sign_assertion(
            self._identity.private_pem,
            issuer=self._identity.instrument_id,
            audience=f"{self._url}/v1/token",
            now=int(self._clock()),
            lifetime_s=_ASSERTION_LIFE_S,
        )
        body = TokenRequest(assertion=assertion).model_dump_json().encode()
        headers = {"Content-Type": "application/json"}
        reply = _validated(TokenReply, self._send("POST", "/v1/token", body, headers, BytesKind.CONTROL))
        return _Token(reply.access_token, time.monotonic() + reply.expires_in_s * 2 / 3)


def _bytes_of(request: httpx.Request) -> int:
    lines = sum(len(name) + len(value) + 4 for name, value in request.headers.raw)
    return len(request.method) + len(request.url.raw_path) + len("  HTTP/1.1\r\n\r\n") + lines


def _plain(response: httpx.Response) -> list[tuple[str, str]]:
    # The body is decoded and whole already.
    dropped = {"content-encoding", "content-length", "transfer-encoding"}
    return [(name, value) for name, value in response.headers.multi_items() if name.lower() not in dropped]


def _validated(kind: type[_Reply], response: httpx.Response) -> _Reply:
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        raise CoordinatorUnreachable(
            f"{response.request.url}: expected {kind.__name__}, found {error}; are both of the same version?"
        ) from error


def _unreachable(url: str, error: httpx.HTTPError) -> CoordinatorUnreachable:
    return CoordinatorUnreachable(
        f"{url}: expected an answer, found {type(error).__name__}: {error}; trying again later"
    )
