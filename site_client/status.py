"""The state of a site, read from its folder by any process, whether its daemon runs or not."""

import time
from pathlib import Path

from model_library.wire.base import Message
from model_library.wire.images import ImagePurpose
from model_library.wire.orders import FrameCounts, Orders
from site_client.backlog import Backlog
from site_client.control import Control
from site_client.federation.account import PrivacyTold, UpdateAccount
from site_client.federation.standing import Standing, read_standing
from site_client.frames import FrameState
from site_client.identity import read_identity
from site_client.journal import BytesKind, Event, InService, InstalledRelease
from site_client.local_adaptation import LocalRecord, read_record
from site_client.lock import running_daemon
from site_client.memory import seen_memory
from site_client.objects import SegmentationSummary
from site_client.outbox import OutboxCounts
from site_client.settings import read_settings

PAGE_FACT = "page"
"""Fact of the journal: where the running daemon shows itself on this computer."""


class SetAside(Message):
    """A file that was given up, and why; `sequence` is None where it never was a frame."""

    path: str
    sequence: int | None
    reason: str


class SiteStatus(Message):
    """Everything that `synoptic site status --json` prints.

    `frames.returned` counts every N-th images that the coordinator has; `acquisition_mpix_per_s` is the
    average since the first frame, without pauses of more than an hour, `throughput_mpix_per_s` per second
    of the worker's own time; `first_images` is the sum of what all campaigns asked for; `bytes_out` counts
    requests (headers as control), without TLS's own bytes and without what a SuperNode says besides
    updates (about 1 kB every 3 s while the site takes part in a federation).
    """

    site: str
    instrument_id: str
    coordinator_url: str
    running: bool
    pid: int | None
    frames: FrameCounts
    every_n: int | None
    first_images: int | None
    in_service: InService | None
    segmentation: SegmentationSummary | None = None
    releases: tuple[InstalledRelease, ...]
    throughput_mpix_per_s: float | None
    acquisition_mpix_per_s: float | None
    backlog: Backlog = Backlog(waiting=0, waiting_mpix=0.0)
    backlog_max: int
    bytes_out: dict[BytesKind, int]
    outbox: dict[ImagePurpose, OutboxCounts]
    outbox_troubles: tuple[str, ...]
    set_aside: tuple[SetAside, ...]
    federation: Standing = Standing()
    privacy: PrivacyTold = PrivacyTold()
    local_adaptation: LocalRecord = LocalRecord()
    control: Control = Control()
    page: str | None = None
    alarms: dict[str, str]
    events: tuple[Event, ...]


def read_status(folder: Path) -> SiteStatus:
    """Read the state of a site folder.

    Raises
    ------
    SettingsError, EnrolmentError
        The folder is not that of an enrolled site, or its daemon never ran.
    """
    settings, identity = read_settings(folder), read_identity(folder)
    with seen_memory(folder) as memory:
        ledger, journal, outbox = memory.ledger, memory.journal, memory.outbox
        orders = journal.fact("orders")
        ordered = None if orders is None else Orders.model_validate_json(orders)
        pid = running_daemon(folder)
        return SiteStatus(
            site=settings.site_name,
            instrument_id=identity.instrument_id,
            coordinator_url=settings.coordinator_url,
            running=pid is not None,
            pid=pid,
            frames=ledger.counts(),
            every_n=None if ordered is None else ordered.every_n,
            first_images=None if ordered is None else sum(asked.count for asked in ordered.first_images),
            in_service=journal.in_service(),
            segmentation=memory.objects.summary(),
            releases=journal.releases(),
            throughput_mpix_per_s=ledger.throughput_mpix_per_s(),
            acquisition_mpix_per_s=ledger.acquisition_mpix_per_s(),
            backlog=memory.backlog(),
            backlog_max=ledger.backlog_max(),
            bytes_out=journal.bytes_out(),
            outbox=outbox.counts(),
            outbox_troubles=outbox.troubles(),
            set_aside=tuple(
                SetAside(path=str(frame.path), sequence=frame.sequence, reason=frame.reason or "")
                for frame in ledger.frames(FrameState.SET_ASIDE)
            ),
            federation=read_standing(journal),
            local_adaptation=read_record(journal),
            privacy=UpdateAccount(journal, settings, time.time).told(),
            control=memory.controls.current(),
            page=journal.fact(PAGE_FACT) if pid is not None else None,
            alarms=journal.alarms(),
            events=journal.events(),
        )
