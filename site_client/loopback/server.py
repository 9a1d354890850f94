"""HTTP on 127.0.0.1: the page, pictures, the site's state, figures for Prometheus, "the microscope acquires".

Whoever works on this computer may look. A web page from elsewhere may not: only requests that name this
computer as their host are answered, and only JSON may change something, which a page of another origin
cannot send without being asked first (Fetch standard, CORS-safelisted request headers).
"""

import json
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

import structlog

from site_client.errors import NothingToShow, SiteError
from site_client.loopback.desk import Desk
from site_client.loopback.views import View

ADDRESS = "127.0.0.1"
_HOSTS = (ADDRESS, "localhost")
_PATIENCE_S = 10.0
_LOG = structlog.get_logger("site")
_MOST_BODY_BYTES = 4096
_POLICY = (
    "default-src 'none'; img-src 'self'; connect-src 'self'; style-src 'unsafe-inline';"
    " script-src 'unsafe-inline'; frame-ancestors 'none'"
)


class LoopbackServer:
    """Answers on its own threads from `start` to `stop`.

    Parameters
    ----------
    desk
        What can be asked.
    port
        0 takes any that is free.

    Raises
    ------
    OSError
        The port is taken.
    """

    def __init__(self, desk: Desk, port: int) -> None:
        handler = type("Handler", (_Handler,), {"desk": desk})
        self._server = _Server((ADDRESS, port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="loopback", daemon=True)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{ADDRESS}:{self._server.server_port}/"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002
        """Log it, unless somebody closed a page while it was loading."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            _LOG.error("page-failed", error=repr(error))


class _Handler(BaseHTTPRequestHandler):
    """Translates; decides nothing."""

    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE_S
    desk: Desk

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Write no line for each look at the page."""

    def do_GET(self) -> None:
        """Show something."""
        self._answer(self._shown)

    def do_POST(self) -> None:
        """Take note of something."""
        self._answer(self._noted)

    def _answer(self, answer: Callable[[], None]) -> None:
        try:
            if urlsplit(f"//{self.headers.get('Host', '')}").hostname in _HOSTS:
                answer()
            else:
                refusal = "expected a request to this computer by its own name"
                self._refuse(HTTPStatus.FORBIDDEN, refusal)
        except NothingToShow as absence:
            self._refuse(HTTPStatus.NOT_FOUND, str(absence))
        except (ValueError, SiteError) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))

    def _shown(self) -> None:
        url = urlsplit(self.path)
        match url.path.strip("/").split("/"):
            case [""]:
                page = files("site_client.loopback").joinpath("page.html").read_bytes()
                self._send(page, "text/html; charset=utf-8")
            case ["favicon.ico"]:
                # Every browser asks for it, and complains where there is none.
                self._send(b"", "image/x-icon")
            case ["summary.json"]:
                self._send(self.desk.summary().model_dump_json().encode(), "application/json")
            case ["status.json"]:
                self._send(self.desk.status().model_dump_json().encode(), "application/json")
            case ["metrics"]:
                self._send(self.desk.metrics(), "text/plain; version=0.0.4; charset=utf-8")
            case ["frames", sequence, ("before.png" | "after.png") as name]:
                side = "before" if name == "before.png" else "after"
                query = {key: values[-1] for key, values in parse_qs(url.query).items()}
                self._send(self.desk.picture(int(sequence), _view(side, query)), "image/png")
            case _:
                self._refuse(HTTPStatus.NOT_FOUND, f"expected a page of this site, found {url.path}")

    def _noted(self) -> None:
        if self.headers.get_content_type() != "application/json":
            refusal = "expected Content-Type: application/json, found another; say it in the request"
            return self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, refusal)
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length <= _MOST_BODY_BYTES:
            return self._refuse(
                HTTPStatus.BAD_REQUEST, "expected a short JSON body, found none or a long one"
            )
        body = json.loads(self.rfile.read(length))
        if urlsplit(self.path).path != "/acquiring":
            return self._refuse(HTTPStatus.NOT_FOUND, "expected POST /acquiring")
        self.desk.acquiring(body)
        return self._send(b"{}", "application/json")

    def _send(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        self.wfile.write(content)

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        # What is left of the request is not read.
        self.close_connection = True
        self._send(json.dumps({"error": message}).encode(), "application/json", status)


def _view(side: Any, query: dict[str, str]) -> View:  # noqa: ANN401
    shares = [float(share) for share in query.get("box", "0,0,1,1").split(",")]
    if len(shares) != 4 or not all(0 <= share <= 1 for share in shares):
        raise ValueError(f"expected box=top,left,bottom,right in shares of the image, found {query['box']}")
    top, left, bottom, right = shares
    return View(side, (top, left, bottom, right), max(1, int(query.get("side_px", "1024"))))
