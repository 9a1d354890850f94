"""The repositories that labels need, opened beside a server that may be running."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from coordinator.errors import NotFounded
from coordinator.settings import Settings
from coordinator.store.annotations import Annotations
from coordinator.store.database import Database
from coordinator.store.identities import Identities
from coordinator.store.images import Images
from coordinator.store.objects import ObjectFolder


@dataclass(frozen=True, slots=True)
class OpenArchive:
    """See `labels.Archive`."""

    identities: Identities
    images: Images
    annotations: Annotations
    objects: ObjectFolder


@contextlib.contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Open the database of a coordinator, and close it at the end.

    Raises
    ------
    NotFounded
        The folder holds no database.
    """
    if not settings.database.is_file():
        raise NotFounded(
            f"expected a coordinator in {settings.data}, found no database; run `synoptic coordinator init`"
        )
    database = Database(settings.database)
    database.create_tables()
    try:
        yield database
    finally:
        database.close()


@contextlib.contextmanager
def open_archive(settings: Settings) -> Iterator[OpenArchive]:
    """Open the repositories for labels; refusals as in `open_database`."""
    with open_database(settings) as database:
        yield OpenArchive(
            identities=Identities(database),
            images=Images(database),
            annotations=Annotations(database),
            objects=ObjectFolder(settings.objects),
        )
