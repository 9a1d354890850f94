"""The one place where the parts of a running coordinator are put together."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from coordinator.campaign import Campaigning
from coordinator.errors import NotFounded
from coordinator.intake import Intake
from coordinator.monitoring import Monitoring
from coordinator.releases.repository import ReleaseRepository
from coordinator.releases.roles import load_keys
from coordinator.settings import ACCESS_KEY, Settings
from coordinator.store.campaigns import Campaigns
from coordinator.store.database import Database
from coordinator.store.identities import Identities
from coordinator.store.images import Images
from coordinator.store.objects import ObjectFolder
from coordinator.store.releases import Releases, Scores
from coordinator.store.uploads import Uploads
from coordinator.workflows import Engine
from coordinator.workplace import Clock, Workplace
from model_library.signing.keys import AccessTokens


@dataclass(frozen=True)
class Services:
    """What the routes call."""

    place: Workplace
    tokens: AccessTokens
    intake: Intake
    campaigning: Campaigning
    monitoring: Monitoring


def open_place(settings: Settings, database: Database, clock: Clock) -> Workplace:
    """Give the repositories their database and folders."""
    return Workplace(
        settings=settings,
        clock=clock,
        library=settings.library,
        identities=Identities(database),
        uploads=Uploads(database),
        images=Images(database),
        campaigns=Campaigns(database),
        releases=Releases(database),
        scores=Scores(database),
        objects=ObjectFolder(settings.objects),
        repository=ReleaseRepository(settings.releases, load_keys(settings.keys)),
    )


@contextlib.contextmanager
def open_services(settings: Settings, clock: Clock) -> Iterator[Services]:
    """Open everything, resume what was interrupted, and close it again.

    Raises
    ------
    NotFounded
        The data folder holds no coordinator.
    """
    if not settings.database.is_file():
        message = (
            f"expected a coordinator in {settings.data}, found no database; run `synoptic coordinator init`"
        )
        raise NotFounded(message)
    database = Database(settings.database)
    database.create_tables()
    engine = Engine(settings)
    engine.configure()
    place = open_place(settings, database, clock)
    campaigning, monitoring = Campaigning(place), Monitoring(place)
    services = Services(
        place=place,
        tokens=AccessTokens((settings.keys / ACCESS_KEY).read_bytes()),
        intake=Intake(place, (campaigning.arrived, monitoring.arrived)),
        campaigning=campaigning,
        monitoring=monitoring,
    )
    place.repository.renew(clock())
    engine.launch()
    try:
        services.intake.recover()
        campaigning.resume()
        monitoring.resume()
        yield services
    finally:
        place.stopping.set()
        engine.close(place.working)
        database.close()
