"""Networks that were made here, served an instrument, and so returned to the library."""

from pydantic import TypeAdapter
from sqlmodel import col, select

from coordinator.store.database import Database
from coordinator.store.tables import ReturnedNetworkRow
from coordinator.store.values import ReturnedNetwork
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Task

_TASK: TypeAdapter[Task] = TypeAdapter(Task)


def _words(task: Task) -> str:
    return _TASK.dump_json(task).decode()


def _returned(row: ReturnedNetworkRow) -> ReturnedNetwork:
    ref = NetworkRef(id=row.network_id, version=row.version, weights_sha256=row.weights_sha256)
    return ReturnedNetwork(ref, row.origin, row.returned_at)


class Returned:
    """The returned networks of every task."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, ref: NetworkRef, task: Task, origin: str, at: float) -> None:
        """Return a network; the first time counts."""
        with self._database.write() as session:
            if session.get(ReturnedNetworkRow, ref.weights_sha256) is None:
                session.add(
                    ReturnedNetworkRow(
                        weights_sha256=ref.weights_sha256,
                        network_id=ref.id,
                        version=ref.version,
                        task=_words(task),
                        origin=origin,
                        returned_at=at,
                    )
                )

    def for_task(self, task: Task) -> tuple[ReturnedNetwork, ...]:
        """Find those that do this very task, in the order of their return."""
        query = select(ReturnedNetworkRow).where(ReturnedNetworkRow.task == _words(task))
        order = (col(ReturnedNetworkRow.returned_at), col(ReturnedNetworkRow.weights_sha256))
        with self._database.read() as session:
            return tuple(_returned(row) for row in session.exec(query.order_by(*order)))

    def all(self) -> tuple[ReturnedNetwork, ...]:
        """Every returned network, in the order of its return."""
        order = (col(ReturnedNetworkRow.returned_at), col(ReturnedNetworkRow.weights_sha256))
        with self._database.read() as session:
            return tuple(_returned(row) for row in session.exec(select(ReturnedNetworkRow).order_by(*order)))
