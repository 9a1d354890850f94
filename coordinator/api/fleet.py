"""Flower's fleet path on the public port: known instruments reach the SuperLink, nobody reaches more of it.

Flower's control and runtime paths know no authentication of their own, so they are not forwarded
at all. A key is looked up here at every request, so a revocation takes effect with the next one;
that the request was signed with it is for the SuperLink to verify.
"""

import asyncio
import base64
import binascii
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Protocol

import httpx
from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from coordinator.errors import EngineDown, Unauthenticated, Unknown
from coordinator.store.values import Instrument

ROUTES = frozenset(
    {
        "activate-node",
        "confirm-message-received",
        "deactivate-node",
        "get-fab",
        "get-run",
        "pull-messages",
        "pull-object",
        "push-messages",
        "push-object",
        "send-node-heartbeat",
    }
)
"""What a SuperNode needs; it neither registers nor unregisters itself."""

DEADLINE_S = 30.0
_PUBLIC_KEY = "flwr-public-key"
_MOST_KEY_DIGITS = 2048
_NOT_FORWARDED = frozenset(
    {
        *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
        *("proxy-authenticate", "proxy-authorization", "authorization", "cookie", "set-cookie", "host"),
    }
)


class Engine(Protocol):
    """What the front needs of the engine."""

    @property
    def port(self) -> int:
        """Port on 127.0.0.1."""

    @property
    def authority(self) -> Path:
        """Certificate that vouches for it."""

    def is_up(self) -> bool:
        """Whether it runs."""


class Keys(Protocol):
    """Where enrolled keys are looked up."""

    def find_by_public_key(self, public_key_pem: str) -> Instrument | None:
        """Find the instrument of a key that is enrolled and not revoked."""


class FleetFront:
    """Connections to the SuperLink, for as long as the application lives."""

    def __init__(self, engine: Engine, keys: Keys) -> None:
        self._engine, self._keys = engine, keys
        trust = ssl.create_default_context(cafile=str(engine.authority))
        self._client = httpx.AsyncClient(verify=trust, trust_env=False, timeout=DEADLINE_S)

    async def close(self) -> None:
        """Give back the connections."""
        await self._client.aclose()

    async def admit(self, request: Request) -> Instrument:
        """Find the instrument whose key a request names, before a byte of its body is read.

        Raises
        ------
        Unauthenticated
            No key, or not one of an enrolled instrument that is not revoked.
        """
        pem = _public_key(request.headers.get(_PUBLIC_KEY, ""))
        instrument = await run_in_threadpool(self._keys.find_by_public_key, pem)
        if instrument is None:
            message = "expected the key of an enrolled instrument, found one unknown or revoked; enrol it"
            raise Unauthenticated(message)
        return instrument

    async def forward(self, request: Request, route: str) -> StreamingResponse:
        """Send a request on to the SuperLink, and its answer back, piece by piece.

        Raises
        ------
        EngineDown
            The SuperLink is stopped, dead or slower than `DEADLINE_S`.
        """
        if not self._engine.is_up():
            raise EngineDown("expected a federation under way, found Flower's engine stopped; try later")
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        onward = self._client.build_request(
            "POST",
            f"https://127.0.0.1:{self._engine.port}/v1/fleet/{route}",
            headers=[(name, value) for name, value in request.headers.items() if name not in _NOT_FORWARDED],
            content=request.stream(),
        )
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._client.send(onward, stream=True)
        except (httpx.TransportError, TimeoutError) as error:
            message = f"expected Flower's engine to answer, found {type(error).__name__}; try again"
            raise EngineDown(message) from error
        headers = {name: value for name, value in answer.headers.items() if name not in _NOT_FORWARDED}
        return StreamingResponse(_pieces(answer, deadline), answer.status_code, headers)


router = APIRouter(prefix="/v1/fleet")


def front_of(request: Request) -> FleetFront:
    """Get the front of the running application."""
    front = request.app.state.fleet
    assert isinstance(front, FleetFront)
    return front


@router.post("/{route:path}")
async def fleet(
    route: str, request: Request, front: Annotated[FleetFront, Depends(front_of)]
) -> StreamingResponse:
    """Forward what an instrument's SuperNode says."""
    await front.admit(request)
    if route not in ROUTES:
        raise Unknown(f"expected a route of Flower's fleet, found {route[:80]}; use a SuperNode")
    return await front.forward(request, route)


def _public_key(header: str) -> str:
    try:
        if 0 < len(header) <= _MOST_KEY_DIGITS:
            return base64.b64decode(header, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        pass
    raise Unauthenticated(f"expected a public key in the header {_PUBLIC_KEY}, found none; use a SuperNode")


async def _pieces(answer: httpx.Response, deadline: float) -> AsyncIterator[bytes]:
    raw = answer.aiter_raw()
    try:
        while True:
            async with asyncio.timeout_at(deadline):
                piece = await anext(raw, None)
            if piece is None:
                return
            yield piece
    finally:
        await answer.aclose()
