"""Lines between two processes of one user over loopback: JSON, and a seal that only they can make.

The secret itself never travels (RFC 2104: HMAC), and an answer is sealed together with its question, so
that whoever else listens on a port, or connects to it, can neither ask nor answer.
"""

import hashlib
import hmac
import json
import secrets
import socket
import time
from pathlib import Path
from typing import Any

from pydantic import Field

from model_library.images.durable import write_durably
from model_library.wire.base import Message
from site_client.errors import AdaptationRefused

_LONGEST_LINE = 1 << 20
_SEAL_BYTES = 64
_SECRET_BYTES = 32


class Notice(Message):
    """Where somebody answers, and the secret of those who may ask; lies in a file for its user alone."""

    port: int = Field(ge=1, le=65_535)
    secret: str = Field(min_length=2 * _SECRET_BYTES)

    @property
    def key(self) -> bytes:
        """The secret as bytes."""
        return bytes.fromhex(self.secret)


def give_notice(path: Path, port: int) -> Notice:
    """Write a notice with a new secret."""
    notice = Notice(port=port, secret=secrets.token_hex(_SECRET_BYTES))
    write_durably(path, notice.model_dump_json().encode(), mode=0o600)
    return notice


def seal(content: dict[str, Any], key: bytes, question: bytes = b"") -> bytes:
    """Make a line.

    Parameters
    ----------
    question
        The line that this one answers; empty for a question.
    """
    body = json.dumps(content).encode()
    return _seal(body, key, question) + body + b"\n"


def unseal(line: bytes, key: bytes, question: bytes = b"") -> dict[str, Any]:
    """Read a line.

    Raises
    ------
    AdaptationRefused
        It was not sealed with this key and for this question, or is no JSON object.
    """
    found, body = line[:_SEAL_BYTES], line[_SEAL_BYTES:].removesuffix(b"\n")
    if not hmac.compare_digest(found, _seal(body, key, question)):
        raise AdaptationRefused("expected a line with this desk's seal, found another; it is not for us")
    try:
        content: dict[str, Any] = json.loads(body)
    except ValueError as error:
        raise AdaptationRefused(f"expected a line of JSON, found {error}") from error
    return content


def read_line(connection: socket.socket, within_s: float) -> bytes:
    """Receive one line, with its end.

    Raises
    ------
    TimeoutError
        It is not there in time, however it trickles in.
    AdaptationRefused
        The other side has ended, or does not end its line.
    """
    deadline, received = time.monotonic() + within_s, bytearray()
    while not received.endswith(b"\n"):
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        chunk = connection.recv(1 << 16)
        if not chunk or len(received) > _LONGEST_LINE:
            raise AdaptationRefused(
                f"expected a line, found {len(received)} bytes without its end; the other side has ended"
            )
        received += chunk
    return bytes(received)


def _seal(body: bytes, key: bytes, question: bytes) -> bytes:
    # The question's length keeps the two apart: no question can be passed off as an answer.
    told = b"%d " % len(question) + question + body
    return hmac.new(key, told, hashlib.sha256).hexdigest().encode()
