"""The one place where the parts of a running coordinator are put together."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from coordinator.campaign import Campaigning
from coordinator.errors import NotFounded
from coordinator.federation.bundle import publish_trust
from coordinator.federation.engine import FlowerEngine
from coordinator.federation.federating import Federating
from coordinator.inspection import Inspections
from coordinator.intake import Intake
from coordinator.monitoring import Monitoring
from coordinator.releases.repository import ReleaseRepository
from coordinator.releases.roles import load_keys
from coordinator.settings import ACCESS_KEY, Settings
from coordinator.store.annotations import Annotations
from coordinator.store.campaigns import Campaigns
from coordinator.store.database import Database
from coordinator.store.federations import Federations
from coordinator.store.identities import Identities
from coordinator.store.images import Images
from coordinator.store.objects import ObjectFolder
from coordinator.store.observations import Observations
from coordinator.store.releases import Releases, Scores
from coordinator.store.returned import Returned
from coordinator.store.uploads import Uploads
from coordinator.turns import Turns
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
    federating: Federating
    engine: FlowerEngine


def open_place(settings: Settings, database: Database, clock: Clock) -> Workplace:
    """Give the repositories their database and folders."""
    return Workplace(
        settings=settings,
        clock=clock,
        turns=Turns(settings.at_once),
        library=settings.library,
        identities=Identities(database),
        uploads=Uploads(database),
        images=Images(database),
        annotations=Annotations(database),
        campaigns=Campaigns(database),
        releases=Releases(database),
        scores=Scores(database),
        observations=Observations(database),
        returned=Returned(database),
        federations=Federations(database),
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
    workflows, engine = Engine(settings), FlowerEngine(settings)
    workflows.configure()
    place = open_place(settings, database, clock)
    campaigning, monitoring = Campaigning(place), Monitoring(place)
    services = Services(
        place=place,
        tokens=AccessTokens((settings.keys / ACCESS_KEY).read_bytes()),
        intake=Intake(place, (campaigning.arrived, monitoring.arrived), Inspections(settings)),
        campaigning=campaigning,
        monitoring=monitoring,
        federating=Federating(place, engine),
        engine=engine,
    )
    place.repository.renew(clock())
    publish_trust(place)
    workflows.launch()
    try:
        services.intake.recover()
        campaigning.resume()
        monitoring.resume()
        services.federating.resume()
        yield services
    finally:
        place.stopping.set()
        workflows.close(place.working)
        engine.close()
        services.intake.inspections.close()
        database.close()
