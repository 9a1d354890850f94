"""Telling a SuperLink what to do: the one module that touches private parts of Flower (flwr 1.41.0).

A contract test runs every function here against a real SuperLink, so that another version of
Flower shows where it differs.
"""

import ssl
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

import httpx
from flwr.cli.build import build_fab_from_disk
from flwr.common.constant import NOOP_FLWR_AID
from flwr.common.serde import user_config_to_proto
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    ListRunsRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StopRunRequest,
    UnregisterNodeRequest,
)
from flwr.proto.fab_pb2 import Fab as FabMessage
from flwr.proto.node_pb2 import NodeInfo
from flwr.server.superlink.linkstate import SqlLinkState
from flwr.supercore.constant import NOOP_FEDERATION_ID, NodeStatus
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.fab import Fab
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.superlink.federation import NoOpFederationManager

from coordinator.errors import EngineDown, EngineRefused
from coordinator.federation.bundle import APP_ID, Bundle
from coordinator.federation.runs import FINISHED, RunState

_CALL_S = 20.0
_MOST_RUNS = 10_000
_Answer = TypeVar("_Answer")


def build_bundle(folder: Path) -> bytes:
    """Pack an app folder in Flower's bundle format; the same files give the same bytes."""
    with _its_own_deprecations():
        return build_fab_from_disk(folder)


class SuperLinkControl:
    """The control path of one SuperLink, and the database that it shares with us.

    Parameters
    ----------
    port
        On 127.0.0.1.
    ca
        Certificate of the authority that vouches for the SuperLink.
    database
        The SuperLink's.
    """

    def __init__(self, port: int, ca: Path, database: Path) -> None:
        trust = ssl.create_default_context(cafile=str(ca))
        self._client = ControlHttpClient(f"https://127.0.0.1:{port}", verify=trust, timeout=_CALL_S)
        # Flower's own HTTP client would send loopback requests to the proxy of the environment.
        self._client._client.close()
        self._client._client = httpx.Client(verify=trust, timeout=_CALL_S, trust_env=False)
        self._database = database

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections."""
        self._client.close()

    def nodes(self) -> dict[str, str]:
        """List registered nodes: name -> status, `registered`, `online` or `offline`."""
        return {name: node.status for name, node in self._nodes().items()}

    def register(self, name: str, public_key: bytes) -> None:
        """Admit a key under a name; doing it again changes nothing.

        Parameters
        ----------
        name
            Instrument id.
        public_key
            PEM, as the node itself writes its key in its requests.

        Raises
        ------
        EngineRefused
            The name stands for another key, or the key for another name.
        EngineDown
            The SuperLink does not answer.
        """
        known = self._nodes().get(name)
        if known is not None and known.public_key == public_key:
            return
        if known is not None:
            message = f"expected the key that {name} registered, found another; unregister it first"
            raise EngineRefused(message)
        request = RegisterNodeRequest(public_key=public_key, name=name)
        _asked(lambda: self._client.RegisterNode(request), f"register {name}")

    def unregister(self, name: str) -> None:
        """Refuse a node from now on; its key cannot come back into this database."""
        known = self._nodes().get(name)
        if known is not None:
            request = UnregisterNodeRequest(node_id=known.node_id)
            _asked(lambda: self._client.UnregisterNode(request), f"unregister {name}")

    def store(self, bundle: Bundle) -> None:
        """Put a bundle with its signature where runs find it.

        A bundle handed over with a run loses its signature: only Flower's hub can send one along. So it
        is stored in the database, as the hub's would be.
        """
        state = SqlLinkState(
            str(self._database), NoOpFederationManager(simulation=False), ObjectStoreFactory().store()
        )
        with _its_own_deprecations():
            state.initialize()
        try:
            state.store_app(
                fab=Fab(bundle.sha256, bundle.content, dict(bundle.verifications)),
                federation_id=NOOP_FEDERATION_ID,
                app_id=APP_ID,
                app_type="flwr-serverapp",
                added_by=NOOP_FLWR_AID,
            )
        finally:
            assert state._engine is not None
            state._engine.dispose()

    def start_run(self, bundle_sha256: str, config: Mapping[str, str]) -> int:
        """Start a run of a stored bundle; its run configuration may set only what the bundle lists."""
        request = StartRunRequest(
            fab=FabMessage(hash_str=bundle_sha256),
            app_spec=APP_ID,
            override_config=user_config_to_proto(dict(config)),
        )
        answer = _asked(lambda: self._client.StartRun(request), "start a run")
        if not answer.HasField("run_id"):
            raise EngineRefused("expected a run, found none started; see federation/log/superlink.log")
        return answer.run_id

    def run_state(self, run_id: int) -> RunState:
        """Where a run stands.

        Raises
        ------
        EngineRefused
            No such run.
        EngineDown
            The SuperLink does not answer.
        """
        request = ListRunsRequest(run_id=run_id)
        answer = _asked(lambda: self._client.ListRuns(request), f"tell about run {run_id}")
        found = answer.run_dict[run_id].status
        return RunState(found.status, found.sub_status, found.details)

    def unfinished_runs(self) -> tuple[int, ...]:
        """List runs that are pending or under way."""
        answer = _asked(lambda: self._client.ListRuns(ListRunsRequest(limit=_MOST_RUNS)), "list runs")
        return tuple(run_id for run_id, run in answer.run_dict.items() if run.status.status != FINISHED)

    def stop_run(self, run_id: int) -> None:
        """End a run; one that has ended, or of which nothing is known any more, stays as it is."""
        if run_id in self.unfinished_runs():
            request = StopRunRequest(run_id=run_id)
            _asked(lambda: self._client.StopRun(request), f"stop run {run_id}")

    def _nodes(self) -> dict[str, NodeInfo]:
        answer = _asked(lambda: self._client.ListNodes(ListNodesRequest()), "list nodes")
        return {node.name: node for node in answer.nodes_info if node.status != NodeStatus.UNREGISTERED}


@contextmanager
def _its_own_deprecations() -> Iterator[None]:
    """Leave alone that Flower calls pathspec and alembic in ways that those are giving up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _asked(call: Callable[[], _Answer], what: str) -> _Answer:
    try:
        return call()
    except httpx.HTTPStatusError as error:
        told = f"{error.response.status_code} {error.response.text[:200]}"
        message = f"expected Flower to {what}, found {told}; see federation/log/superlink.log"
        raise EngineRefused(message) from error
    except (httpx.TransportError, ValueError) as error:
        message = f"expected Flower to {what}, found no answer ({error}); it is started again"
        raise EngineDown(message) from error
