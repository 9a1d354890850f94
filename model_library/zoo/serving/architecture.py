"""What is known of an architecture on this machine, whatever its weights: how fast, and as which graph."""

from contextlib import AbstractContextManager
from pathlib import Path

from pydantic import Field, ValidationError

from model_library.images.durable import write_durably
from model_library.inference.prepared import Machine, Rate
from model_library.networks.config import NetworkConfig
from model_library.processes.turns import turn
from model_library.signing.digests import sha256_bytes
from model_library.wire.base import Message

_LONGEST_TURN_S = 120.0
_RECORD, _GRAPH = "rates.json", "network.onnx"


class _Known(Message):
    graph_sha256: str
    rates: tuple[Rate, ...] = Field(min_length=1)


class ArchitectureCache:
    """The entry of one architecture and machine; whatever is wrong with it costs a measurement, no more.

    Parameters
    ----------
    cache
        Folder; entries lie in `architectures/` in it.
    config
        Of the network as it is released.
    machine
        On which the rates hold.
    """

    def __init__(self, cache: Path, config: NetworkConfig, machine: Machine) -> None:
        key = sha256_bytes((config.model_dump_json() + machine.model_dump_json()).encode())
        self._folder = cache / "architectures" / key
        self._lock = cache / "turns" / key

    def turn(self) -> AbstractContextManager[None]:
        """Be the only process that measures it: another finds what this one has kept."""
        return turn(self._lock, _LONGEST_TURN_S)

    def rates(self) -> tuple[Rate, ...]:
        """Tell how fast each backend is; empty where that is not known."""
        known = self._known()
        return () if known is None else known.rates

    def graph(self) -> bytes:
        """Give the graph, with the weights of any network; empty where there is none, whole."""
        known = self._known()
        try:
            graph = (self._folder / _GRAPH).read_bytes()
        except OSError:
            return b""
        return graph if known is not None and sha256_bytes(graph) == known.graph_sha256 else b""

    def keep(self, graph: bytes, rates: tuple[Rate, ...]) -> None:
        """Keep both; the record comes last, and is believed only with the graph that it names."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_durably(self._folder / _GRAPH, graph)
        known = _Known(graph_sha256=sha256_bytes(graph), rates=rates)
        write_durably(self._folder / _RECORD, known.model_dump_json(indent=2).encode())

    def _known(self) -> _Known | None:
        try:
            return _Known.model_validate_json((self._folder / _RECORD).read_bytes())
        except (OSError, ValidationError):
            return None
