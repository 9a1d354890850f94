"""Everything that makes images leave: what may, when, how fast, and what is made of them before."""

import threading
import time
from datetime import datetime
from pathlib import Path

import structlog

from site_client.allowance import ImageAllowance
from site_client.children import reading_child
from site_client.coordinator_client import CoordinatorClient
from site_client.errors import CoordinatorRefused, CoordinatorUnreachable
from site_client.hours import is_open
from site_client.memory import Memory
from site_client.send_policy import Made
from site_client.settings import SiteSettings
from site_client.spool import Spool
from site_client.upload import Uploader

_IDLE_S, _AFTER_OUTAGE_S = 1.0, 5.0
_LOG = structlog.get_logger("site")


class Sending:
    """One step sends one image.

    Parameters
    ----------
    folder
        The site's folder; the spool lies in it.
    stop
        Set when the daemon ends: nothing is waited for then.
    """

    def __init__(
        self,
        folder: Path,
        settings: SiteSettings,
        client: CoordinatorClient,
        memory: Memory,
        *,
        stop: threading.Event,
    ) -> None:
        self._settings = settings
        self._memory = memory
        self._stop = stop
        self._maker = reading_child("site_client.outgoing", log=folder / "log" / "outgoing.log")
        self._spool = Spool(
            folder / "spool",
            settings.acquisitions,
            memory.outbox,
            int(settings.spool_gb * 1e9),
            policy=settings.send_policy,
            make=self._make,
        )
        self._allowance = ImageAllowance(memory.journal, settings, time.time)
        self._uploader = Uploader(
            client, memory.outbox, self._spool, time.time, allowance=self._allowance, pace=self._pace
        )

    def step(self) -> float:
        """Send the next image, if one may leave now; returns how many seconds to wait for the next."""
        self._spool.fill()
        if self._memory.controls.current().paused or not is_open(self._settings.upload_hours, datetime.now()):
            return _IDLE_S
        try:
            return 0.0 if self._uploader.send_next() else _IDLE_S
        except (CoordinatorUnreachable, CoordinatorRefused) as error:
            _LOG.warning("upload-waits", reason=str(error))
            return _AFTER_OUTAGE_S

    def queued(self) -> int:
        """Count the images that are still to leave; those that never may do not count."""
        never = self._allowance.never()
        counts = self._memory.outbox.counts()
        return sum(each.queued for purpose, each in counts.items() if purpose not in never)

    def close(self) -> None:
        """End the child that makes what leaves."""
        self._maker.stop()

    def _make(self, source: Path, target: Path, sha256: str) -> Made:
        question = {
            "source": str(source),
            "target": str(target),
            "sha256": sha256,
            "policy": self._settings.send_policy.model_dump(),
        }
        return Made.model_validate(self._maker.ask(question, self._settings.frame_deadline_s))

    def _pace(self, sent_bytes: int) -> None:
        """Wait as long as so many bytes may take."""
        if self._settings.upload_mbit_per_s is not None:
            self._stop.wait(8e-6 * sent_bytes / self._settings.upload_mbit_per_s)
