"""A bound on the body of every request but an upload's, before a byte of it is read."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import Request

from coordinator.api.refusals import UPLOADS, refuse
from coordinator.errors import CoordinatorError, LengthRequired, TooLarge

MESSAGE_BYTES = 64 * 1024
FLEET = "/v1/fleet/"
FLEET_BYTES = 16 * 1024 * 1024
"""Flower sends arrays in pieces of 5 MB."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class BoundBody:
    """ASGI middleware: refuses a body that is too large, or does not say how large it is."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer the refusal."""
        if scope["type"] == "http" and not scope["path"].startswith(UPLOADS):
            request = Request(scope)
            length, encoding = (request.headers.get(key) for key in ("content-length", "transfer-encoding"))
            most = FLEET_BYTES if scope["path"].startswith(FLEET) else MESSAGE_BYTES
            refusal = _refusal(length, encoding, most)
            if refusal is not None:
                await refuse(request, refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _refusal(length: str | None, encoding: str | None, most: int) -> CoordinatorError | None:
    if encoding is not None:
        return LengthRequired("expected a body with Content-Length, found a chunked one; send it whole")
    if length is not None and (not length.isdecimal() or int(length) > most):
        return TooLarge(f"expected at most {most} bytes, found {length}; send a smaller message")
    return None
