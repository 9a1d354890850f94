"""What the loopback page can ask, and the little that it can tell."""

import time
from pathlib import Path

from pydantic import Field

from model_library.wire.base import Message
from model_library.wire.orders import FrameCounts
from site_client.control import LONGEST_ACQUISITION_S
from site_client.federation.account import UpdateAccount
from site_client.loopback.views import View, Views
from site_client.memory import Memory
from site_client.settings import SiteSettings
from site_client.status import SiteStatus, read_status


class NewestFrame(Message):
    """The newest frame with a result, and what made it."""

    sequence: int
    path: str
    method: str


class FailedFrame(Message):
    """The latest file that was set aside, and why, unless a frame that came after it has a result."""

    path: str
    reason: str


class Summary(Message):
    """What the page shows beside the pictures; it is asked for every second, so it is small."""

    site: str
    state: str | None
    frames: FrameCounts
    method: str | None
    acquisition_mpix_per_s: float | None
    throughput_mpix_per_s: float | None
    backlog: str
    privacy: str
    alarms: dict[str, str]
    newest: NewestFrame | None
    failed: FailedFrame | None


class Acquiring(Message):
    """What the microscope's software tells: it acquires (for so many seconds at most), or not."""

    acquiring: bool
    for_s: float = Field(default=600.0, gt=0, le=LONGEST_ACQUISITION_S)


class Desk:
    """Answers from the site's database."""

    def __init__(self, folder: Path, settings: SiteSettings, memory: Memory, views: Views) -> None:
        self._folder = folder
        self._site_name = settings.site_name
        self._memory = memory
        self._views = views
        self._account = UpdateAccount(memory.journal, settings, time.time)

    def summary(self) -> Summary:
        """Say how the site is."""
        memory, wishes = self._memory, self._memory.controls.current()
        backlog = memory.backlog()
        service, newest = memory.journal.in_service(), memory.ledger.reconstructed()
        failed = memory.ledger.latest_set_aside()
        state = "paused" if wishes.paused else "draining" if wishes.draining else None
        return Summary(
            site=self._site_name,
            state=state,
            frames=memory.ledger.counts(),
            method=None if service is None else f"{service.method.id} {service.method.version}",
            acquisition_mpix_per_s=backlog.acquisition_mpix_per_s,
            throughput_mpix_per_s=backlog.throughput_mpix_per_s,
            backlog=backlog.told(),
            privacy=self._account.told().told(),
            alarms=memory.journal.alarms(),
            newest=None
            if newest is None or newest.sequence is None
            else NewestFrame(
                sequence=newest.sequence,
                path=str(newest.path),
                method="unknown" if newest.method is None else f"{newest.method.id} {newest.method.version}",
            ),
            failed=None
            if failed is None or (newest is not None and newest.id > failed.id)
            else FailedFrame(path=str(failed.path), reason=failed.reason or ""),
        )

    def status(self) -> SiteStatus:
        """Say all that `site status` says."""
        return read_status(self._folder)

    def metrics(self) -> bytes:
        """Render the figures for Prometheus."""
        # Most sites are never asked for them.
        from site_client.loopback.metrics import metrics

        return metrics(self.status())

    def picture(self, sequence: int, view: View) -> bytes:
        """Picture a part of a frame or of its result, as PNG.

        Raises
        ------
        NothingToShow
            See `Views.png`.
        """
        return self._views.png(sequence, view)

    def acquiring(self, body: object) -> None:
        """Take note of what the microscope's software says.

        Raises
        ------
        ValidationError
            It is not `Acquiring`.
        """
        told = Acquiring.model_validate(body)
        if told.acquiring:
            self._memory.controls.acquiring(told.for_s)
        else:
            self._memory.controls.idle()
