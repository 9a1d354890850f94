"""The HTTP application: routes over services, which live as long as it does."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import structlog
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from coordinator.api import federation, fleet, heartbeat, identity, operator, refusals, releases, uploads
from coordinator.api.bounds import BoundBody
from coordinator.api.receiving import Receiver
from coordinator.services import Services, open_services
from coordinator.settings import Settings
from coordinator.workplace import Clock

_log = structlog.get_logger()


def create_app(settings: Settings, clock: Clock = time.time) -> FastAPI:
    """Build the application for a founded data folder."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Opened in a thread: DBOS must not take this event loop for its own.
        opened = open_services(settings, clock)
        services = await run_in_threadpool(opened.__enter__)
        app.state.services = services
        app.state.receiver = Receiver(services.place.uploads, settings.flush_bytes)
        app.state.fleet = front = fleet.FleetFront(services.engine, services.place.identities)
        housekeeping = asyncio.create_task(_keep_house(services))
        try:
            yield
        finally:
            housekeeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await housekeeping
            await front.close()
            await run_in_threadpool(opened.__exit__, None, None, None)

    # No documentation pages: they would load scripts from elsewhere.
    app = FastAPI(title="Synoptic coordinator", lifespan=lifespan, openapi_url=None)
    app.add_middleware(BoundBody)
    refusals.install(app)
    for resource in (identity, heartbeat, uploads, releases, federation, fleet, operator):
        app.include_router(resource.router)
    return app


async def _keep_house(services: Services) -> None:
    """Sign release metadata again in time, drop expired uploads, and look for labels and federations due."""
    place = services.place
    while True:
        await asyncio.sleep(place.settings.housekeeping_s)
        try:
            await run_in_threadpool(place.repository.renew, place.clock())
            await run_in_threadpool(services.intake.sweep)
            await run_in_threadpool(services.intake.inspections.rest)
            for instrument in await run_in_threadpool(place.identities.all):
                await run_in_threadpool(services.campaigning.labels_arrived, instrument.id)
            await run_in_threadpool(services.federating.look)
        except Exception:
            # Tried again at the next turn: an instrument cannot do without a fresh timestamp.
            _log.exception("housekeeping failed")
