"""Flower's simulated nodes under the names of instruments, as a deployment names them."""

import time
from collections.abc import Callable, Iterable, Sequence

from flwr.app import ConfigRecord, Message, MessageType, RecordDict
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from simulations.fleets.virtual_fleet import EngineLost

NAME = "instrument"
_LOOK_S, _PATIENCE_S = 0.05, 180.0
_AT_ONCE = 8


class NamedGrid(Grid):
    """Passes everything on to the engine's grid, and tells each node's name besides."""

    def __init__(self, grid: Grid, names: dict[int, str]) -> None:
        self._grid, self._names = grid, names

    def set_run(self, run: Run) -> None:
        """See `Grid`."""
        self._grid.set_run(run)

    @property
    def run(self) -> Run:
        """See `Grid`."""
        return self._grid.run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """See `Grid`."""
        return self._grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        """See `Grid`."""
        return self._grid.get_node_ids()

    def get_nodes(self) -> Iterable[NodeInfo]:
        """Nodes of the engine, which all are online."""
        return [NodeInfo(node_id=key, name=name, status="online") for key, name in self._names.items()]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """See `Grid`."""
        return self._grid.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """See `Grid`."""
        return self._grid.pull_messages(message_ids)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """See `Grid`."""
        return self._grid.send_and_receive(messages, timeout=timeout)


def ask_names(
    grid: Grid,
    count: int,
    wait: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> dict[int, str]:
    """Ask every node of the engine for the instrument that it stands for; the engine knows numbers only.

    Raises
    ------
    EngineLost
        They do not all answer in time.
    """
    deadline = clock() + _PATIENCE_S
    while len(nodes := sorted(grid.get_node_ids())) < count:
        _refuse_late(clock() > deadline, len(nodes), count)
        wait(_LOOK_S)
    names: dict[int, str] = {}
    # Few at a time: the engine looks through all messages for every node.
    for first in range(0, count, _AT_ONCE):
        asked = _ask(grid, nodes[first : first + _AT_ONCE])
        while asked:
            for message in grid.pull_messages(list(asked)):
                node = asked.pop(message.metadata.reply_to_message_id)
                names[node] = str(message.content.config_records[NAME]["id"])
            _refuse_late(clock() > deadline, len(names), count)
            if asked:
                wait(_LOOK_S)
    return names


def _ask(grid: Grid, nodes: Sequence[int]) -> dict[str, int]:
    content = RecordDict({NAME: ConfigRecord({"id": ""})})
    messages = [Message(content, node, MessageType.QUERY, ttl=_PATIENCE_S, group_id="0") for node in nodes]
    return dict(zip(grid.push_messages(messages), nodes, strict=True))


def _refuse_late(late: bool, found: int, count: int) -> None:
    if late:
        raise EngineLost(
            f"expected {count} nodes of Flower's engine within {_PATIENCE_S:g} s, found {found}; "
            "see engine.log, and simulate fewer instruments"
        )
