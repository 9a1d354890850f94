"""Flower's grid without Flower's processes: nodes are functions from message to message."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, RecordDict
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.run import Run
from safetensors.numpy import load

from coordinator.federation.memory_fleet import Site
from model_library.cards.adaptation import PACKED, AdaptationPlan
from model_library.wire.delta_coding import pack

Node = Callable[[Message], Message | None]


def packed(update: Mapping[str, np.ndarray]) -> ArrayRecord:
    """An update as the client app sends it."""
    return ArrayRecord({PACKED: Array(np.frombuffer(pack(update, "float32").content, np.uint8))})


def node(site: Site) -> Node:
    """Speak as the client app does: records `weights` and `plan` in, `update` and `report` out."""

    def answer(message: Message) -> Message | None:
        weights = load(message.content["weights"][PACKED].numpy().tobytes())
        plan = AdaptationPlan.model_validate_json(message.content["plan"]["json"])
        match site(plan, weights):
            case None:
                return None
            case str(error):
                return Message(Error(2, error), reply_to=message)
            case (update, report):
                content = {"update": packed(update), "report": ConfigRecord({"json": report})}
                return Message(RecordDict(content), reply_to=message)

    return answer


@dataclass
class ScriptedGrid(Grid):
    """Nodes by name; messages pass through Flower's own encoding, both ways."""

    nodes: dict[str, Node]
    statuses: dict[str, str] = field(default_factory=dict)
    pushed: list[Message] = field(default_factory=list)
    refuses: frozenset[str] = frozenset()
    _ready: dict[str, Message] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def get_nodes(self) -> Iterable[NodeInfo]:
        return [
            NodeInfo(node_id=number + 100, name=name, status=self.statuses.get(name, "online"))
            for number, name in enumerate(self.nodes)
        ]

    def get_node_ids(self) -> Iterable[int]:
        return [info.node_id for info in self.get_nodes()]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        return [self._push(message) for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return [_travelled(self._ready.pop(key)) for key in message_ids if key in self._ready]

    def _push(self, message: Message) -> str | None:
        name = next(info.name for info in self.get_nodes() if info.node_id == message.metadata.dst_node_id)
        if name in self.refuses:
            return None
        arrived = _travelled(message)
        message_id = f"{next(self._numbers):064d}"
        arrived.metadata.__dict__["_message_id"] = message_id
        self.pushed.append(arrived)
        reply = self.nodes[name](arrived)
        if reply is not None:
            self._ready[message_id] = reply
        return message_id

    def set_run(self, run: Run) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Run:
        raise NotImplementedError

    def create_message(self, *arguments: object, **named: object) -> Message:
        raise NotImplementedError

    def send_and_receive(self, *arguments: object, **named: object) -> Iterable[Message]:
        raise NotImplementedError


def _travelled(message: Message) -> Message:
    contents = {key: part.deflate() for key, part in get_all_nested_objects(message).items()}
    return inflate_object_from_contents(message.object_id, contents)
