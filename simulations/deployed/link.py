"""Links: whatever a site and its coordinator say passes one, as fast as its line carries, unless it is cut.

A link knows nothing of what passes: TLS ends at the two ends.
"""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

_BITS_PER_MBIT = 1e6
_CHUNK_BYTES = 16 << 10
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of a connection that ends with a reset, whatever is still on its way."""
_PATIENCE_S = 10.0
COORDINATOR_HOST = "127.0.0.1"
_HOST_BITS = 8


@dataclass(slots=True)
class Pace:
    """How long bytes wait in one direction of a line."""

    mbit_per_s: float
    clock: Callable[[], float] = time.monotonic
    _free_at: float = 0.0

    def delay_s(self, size: int) -> float:
        """Take so many bytes on the line, and tell in how many seconds their last one arrives."""
        now = self.clock()
        self._free_at = max(now, self._free_at) + 8 * size / (self.mbit_per_s * _BITS_PER_MBIT)
        return self._free_at - now


@dataclass(slots=True)
class Link:
    """The link of one site: listens on an address of its own, and passes on to the coordinator.

    The port is the coordinator's: under another one it would not know its own name. `up` and `down` count
    bytes of the sockets, TLS's own included: from the site, and to it.
    """

    host: str
    port: int
    mbit_per_s: float
    up: int = 0
    down: int = 0
    _listening: socket.socket = field(default_factory=socket.socket)
    _paces: tuple[Pace, Pace] = field(init=False)
    _accepting: asyncio.Task[None] | None = None
    _passing: set[asyncio.Task[None]] = field(default_factory=set)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._paces = Pace(self.mbit_per_s), Pace(self.mbit_per_s)
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening.setblocking(False)
        self._listening.bind((self.host, self.port))

    async def restore(self) -> None:
        """Listen; nothing happens where it does."""
        if self._accepting is None:
            self._listening.listen()
            self._accepting = asyncio.create_task(self._accept())

    async def cut(self) -> None:
        """Reset every connection, and refuse all others until it is restored; the port stays taken."""
        if self._accepting is None:
            return
        accepting, self._accepting = self._accepting, None
        accepting.cancel()
        self._listening.shutdown(socket.SHUT_RDWR)
        for writer in self._open:
            with suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        ending = {accepting, *self._passing}
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def close(self) -> None:
        """Cut it for good."""
        await self.cut()
        self._listening.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._listening)
            task = asyncio.create_task(self._carry(connection))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

    async def _carry(self, connection: socket.socket) -> None:
        near = await asyncio.open_connection(sock=connection)
        self._open.add(near[1])
        try:
            far = await asyncio.open_connection(COORDINATOR_HOST, self.port)
        except OSError:
            far = None
        ends = [near] if far is None else [near, far]
        try:
            if far is not None:
                self._open.add(far[1])
                await asyncio.gather(self._pass(near[0], far[1], 0), self._pass(far[0], near[1], 1))
        finally:
            for _, writer in ends:
                self._open.discard(writer)
                writer.close()

    async def _pass(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, direction: int) -> None:
        try:
            while chunk := await source.read(_CHUNK_BYTES):
                if direction == 0:
                    self.up += len(chunk)
                else:
                    self.down += len(chunk)
                await asyncio.sleep(self._paces[direction].delay_s(len(chunk)))
                to.write(chunk)
                await to.drain()
            to.write_eof()
        except OSError:  # one side is gone; the other one is told
            to.transport.abort()


def host_of(number: int) -> str:
    """Name the loopback address of a link, by its number from 0; the coordinator has the first one."""
    high, low = divmod(number + 2, 1 << _HOST_BITS)
    return f"127.0.{high}.{low}"


class Links:
    """All links of a fleet, by site, in a thread of their own for as long as the context lasts."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self.by_site: dict[str, Link] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for link in self.by_site.values():
            self._done(link.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE_S)
        self._loop.close()

    def lay(self, site: str, host: str, port: int, mbit_per_s: float) -> Link:
        """Lay the link of a site, from an address to the coordinator's port; it is whole."""
        self.by_site[site] = link = Link(host, port, mbit_per_s)
        self._done(link.restore())
        return link

    def cut(self, site: str) -> None:
        """See `Link.cut`."""
        self._done(self.by_site[site].cut())

    def restore(self, site: str) -> None:
        """See `Link.restore`."""
        self._done(self.by_site[site].restore())

    def _done(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_S)
