"""The server process: HTTPS on a socket bound beforehand, told in `serving.json` once it listens."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from coordinator.api.app import create_app
from coordinator.errors import AlreadyServing
from coordinator.founding import SERVER, SERVER_KEY
from coordinator.settings import Settings
from model_library.images.durable import write_durably

SERVING = "serving.json"
_GRACE_S = 1
_PATIENCE_S = 1.0
_BACKLOG = 256


class _Server(uvicorn.Server):
    """Tells where it listens, once it does."""

    def __init__(self, config: uvicorn.Config, notice: Path, url: str) -> None:
        super().__init__(config)
        self._notice, self._url = notice, url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            text = json.dumps({"url": self._url, "pid": os.getpid(), "started_at": time.time()})
            write_durably(self._notice, text.encode())


def serve(settings: Settings, host: str, port: int) -> bool:
    """Serve until SIGTERM or SIGINT; what is under way in campaigns resumes at the next start.

    Returns
    -------
    bool
        Whether the server came up and ended cleanly.

    Raises
    ------
    AlreadyServing
        Another process serves from this folder, or the port is taken.
    """
    # uvicorn raises the signal again after its shutdown; that must not look like a crash.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    notice = settings.data / SERVING
    with _only_one(settings.data), _bound(host, port) as listener:
        url = f"https://{settings.hosts[0]}:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            create_app(settings),
            ssl_certfile=settings.tls / SERVER,
            ssl_keyfile=settings.keys / SERVER_KEY,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
            backlog=_BACKLOG,
        )
        server = _Server(config, notice, url)
        try:
            server.run(sockets=[listener])
        finally:
            notice.unlink(missing_ok=True)
        return server.started


def leave(status: int) -> None:
    """End the process soon, also where a campaign's step does not look at `stopping` in time.

    The step is repeated at the next start, as after a crash.
    """
    deadline = time.monotonic() + _PATIENCE_S
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


@contextlib.contextmanager
def _only_one(data: Path) -> Iterator[None]:
    with (data / "serving.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"expected no other server on {data}, found one; stop it, or ask it with `status`"
            raise AlreadyServing(message) from error
        yield


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            message = f"expected {host}:{port} to be free, found {error}; choose another port or address"
            raise AlreadyServing(message) from error
        yield listener
