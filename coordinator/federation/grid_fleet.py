"""The fleet as Flower's grid shows it: a node's name is the id of its instrument."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TypeVar

import httpx
import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, RecordDict
from flwr.serverapp import Grid

from coordinator.federation.checkpoint import encode_weights
from coordinator.federation.fleet import Reply, Weights
from model_library.cards.adaptation import PACKED, AdaptationPlan
from model_library.errors import CodingError
from model_library.wire.delta_coding import most_bytes, unpack

_T = TypeVar("_T")

_ONLINE = "online"
_NUMPY = "numpy.ndarray"
_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '\|u1', 'fortran_order': False, 'shape': \((\d{1,18}),\), \} *\n",
    re.DOTALL,
)
"""As numpy writes it; numpy's own reader takes any Python literal there, and fails in many ways."""
_GONE = {
    3: "its reply did not come whole and in time",
    4: "its reply did not come whole and in time",
    5: "it gave no sign of life any more",
    7: "it refused the app bundle",
    8: "its app process died",
}
"""Flower's error codes for which the reason that comes along says less than a sentence of ours."""


class GridFleet:
    """Instruments behind a SuperLink.

    Parameters
    ----------
    grid
        Flower's view of its nodes.
    bounded
        Entered around each call to the SuperLink; Flower itself would retry without end.
    sleep
        Waits some seconds before a call is repeated.
    """

    def __init__(
        self,
        grid: Grid,
        bounded: Callable[[], AbstractContextManager[None]] = nullcontext,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._grid, self._bounded, self._sleep = grid, bounded, sleep
        self._most_bytes = 0

    def online(self) -> frozenset[str]:
        """Instruments whose SuperNode has given a sign of life of late."""
        return frozenset(self._nodes())

    def send(self, plan: AdaptationPlan, weights: Weights, to: Sequence[str], ttl_s: float) -> dict[str, str]:
        """Ask instruments to adapt the weights; returns instrument id by message id."""
        nodes = self._nodes()
        self._most_bytes = most_bytes(len(weights), sum(array.size for array in weights.values()))
        content = RecordDict(
            {
                "weights": ArrayRecord({PACKED: Array(np.frombuffer(encode_weights(weights), np.uint8))}),
                "plan": ConfigRecord({"json": plan.model_dump_json()}),
            }
        )
        sent: dict[str, str] = {}
        for instrument_id in to:
            if instrument_id not in nodes:
                continue
            # One at a time: of too large a batch, Flower would push nothing and say so in its log only.
            pushed = self._patiently(partial(self._push, content, nodes[instrument_id], plan.number, ttl_s))
            sent.update({message_id: instrument_id for message_id in pushed if message_id})
        return sent

    def replies(self, waiting: Sequence[str]) -> Iterator[Reply]:
        """Fetch what has come back, each when it is asked for."""
        # One at a time: a reply that does not unpack must not take others, already fetched, with it.
        return (reply for message_id in waiting for reply in self._fetch(message_id))

    def _nodes(self) -> dict[str, int]:
        nodes = self._patiently(self._grid.get_nodes)
        return {node.name: node.node_id for node in nodes if node.status == _ONLINE}

    def _push(self, content: RecordDict, node_id: int, number: int, ttl_s: float) -> Iterable[str]:
        message = Message(content, node_id, MessageType.TRAIN, ttl=ttl_s, group_id=str(number))
        return self._grid.push_messages([message])

    def _fetch(self, message_id: str) -> list[Reply]:
        try:
            messages = self._patiently(lambda: self._grid.pull_messages([message_id]))
        except (httpx.HTTPError, OSError):
            raise
        except Exception as failure:
            # Whatever unpacking raises is the doing of the site; a lost engine shows as above.
            return [Reply(message_id, error=f"its reply does not unpack: {failure!r}", malformed=True)]
        # An error reply names no node of its own, only the message that it answers.
        return [
            _read(message_id, each, self._most_bytes)
            for each in messages
            if each.metadata.reply_to_message_id == message_id
        ]

    def _patiently(self, call: Callable[[], Iterable[_T]]) -> list[_T]:
        """Call the SuperLink; on a loaded machine it answers 500 when its database is locked for long."""
        for wait_s in _WAITS_S:
            try:
                with self._bounded():
                    return list(call())
            except httpx.HTTPStatusError as failure:
                if failure.response.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                    raise
                self._sleep(wait_s)
        with self._bounded():
            return list(call())


def _read(message_id: str, message: Message, most: int) -> Reply:
    if message.has_error():
        error = message.error
        return Reply(message_id, error=_GONE.get(error.code) or error.reason or f"Flower's code {error.code}")
    try:
        update, report = message.content["update"], message.content["report"]
        if not isinstance(update, ArrayRecord) or not isinstance(report, ConfigRecord):
            raise TypeError("its records are of another kind")
        text = report["json"]
        if not isinstance(text, str):
            raise TypeError("its report is no text")
        packed = array_bytes(update[PACKED])
        return Reply(message_id, unpack(packed, most), text, packed_bytes=len(packed))
    except (KeyError, TypeError, ValueError, CodingError) as failure:
        return Reply(message_id, error=f"its reply is malformed: {failure}", malformed=True)


def array_bytes(array: Array) -> bytes:
    """Take the bytes out of an array that a site sent, without ever allocating more than came.

    Raises
    ------
    ValueError
        Not numpy's format, not bytes, or another length than its header says.
    """
    if array.stype != _NUMPY:
        raise ValueError(f"expected an array as {_NUMPY}, found {array.stype}")
    header = _HEADER.match(array.data)
    if header is None:
        raise ValueError("expected an array of bytes in version 1.0 of numpy's format, found something else")
    content = array.data[header.end() :]
    if int(header[1]) != len(content):
        raise ValueError(f"expected {int(header[1])} bytes, found {len(content)}")
    return content
