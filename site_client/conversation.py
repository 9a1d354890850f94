"""The site's talk with its coordinator: report, take orders, look for releases."""

import time
from collections.abc import Callable

from pydantic import ValidationError

from model_library.wire.federation import Invitation
from model_library.wire.orders import Heartbeat, Orders
from site_client.allowance import ImageAllowance
from site_client.coordinator_client import CoordinatorClient
from site_client.errors import CoordinatorRefused, CoordinatorUnreachable, ReleaseRefused
from site_client.federation.account import UpdateAccount
from site_client.install import Installer
from site_client.memory import Memory
from site_client.settings import SiteSettings
from site_client.software import versions

_LONGEST_PAUSE_S = 30.0
_ORDERS = "orders"


class Conversation:
    """One step is one heartbeat and what follows from its answer.

    Parameters
    ----------
    wake
        Told which loop of the daemon has something to do.
    invited
        Told after every talk which federation to take part in, if any.
    """

    def __init__(
        self,
        settings: SiteSettings,
        client: CoordinatorClient,
        memory: Memory,
        installer: Installer,
        *,
        wake: Callable[[str], None],
        invited: Callable[[Invitation | None], None],
    ) -> None:
        self._settings = settings
        self._client = client
        self._ledger = memory.ledger
        self._backlog = memory.backlog
        self._journal = memory.journal
        self._outbox = memory.outbox
        self._compute = memory.compute
        self._controls = memory.controls
        self._software = versions()
        self._allowance = ImageAllowance(memory.journal, settings, time.time)
        self._account = UpdateAccount(memory.journal, settings, time.time)
        self._installer = installer
        self._wake = wake
        self._invited = invited
        self._failures = 0
        self._release_pause_s = 0.0
        self._next_release = 0.0
        self._refused: str | None = None

    def step(self) -> float:
        """Talk once; returns how many seconds to wait until the next time."""
        try:
            orders = self._client.heartbeat(self._report())
        except CoordinatorUnreachable as absence:
            return self._absent("coordinator", absence)
        except CoordinatorRefused as refusal:
            self._invited(None)
            return self._absent("identity", refusal)
        self._failures = 0
        self._journal.clear_alarm("coordinator")
        self._journal.clear_alarm("identity")
        # An invitation counts from the talk it came in: after a restart it must come anew.
        kept = orders.model_copy(update={"invitation": None}).model_dump_json()
        if self._journal.fact(_ORDERS) != kept:
            self._journal.remember(_ORDERS, kept)
        self._invited(orders.invitation)
        self._follow(orders)
        self._look_for_release(orders)
        return self._settings.heartbeat_s

    def last_orders(self) -> Orders | None:
        """Recall what the coordinator wanted when it was last heard."""
        fact = self._journal.fact(_ORDERS)
        try:
            return None if fact is None else Orders.model_validate_json(fact)
        except ValidationError:  # written by another version of this program
            return None

    def catch_up(self) -> None:
        """Queue what the last orders ask of the frames that were accepted since they came."""
        orders = self.last_orders()
        if orders is not None:
            self._follow(orders)

    def _report(self) -> Heartbeat:
        service, backlog = self._journal.in_service(), self._backlog()
        wishes = self._controls.current()
        # The rates now, where there are enough frames: an average since the first holds the nights too.
        came, went = backlog.acquisition_mpix_per_s, backlog.throughput_mpix_per_s
        return Heartbeat(
            frames=self._ledger.counts(),
            release_id=None if service is None else service.release_id,
            method=None if service is None else service.method,
            throughput_mpix_per_s=went if went is not None else self._ledger.throughput_mpix_per_s(),
            acquisition_mpix_per_s=came if came is not None else self._ledger.acquisition_mpix_per_s(),
            federates=self._account.lets_out(),
            wants_faster=backlog.wants_faster,
            compute=self._compute(),
            acquiring=wishes.acquiring_until is not None,
            paused=wishes.paused or wishes.draining,
            software=self._software,
        )

    def _follow(self, orders: Orders) -> None:
        if self._outbox.follow(orders, now=time.time(), never=self._allowance.never()):
            self._wake("upload")

    def _absent(self, alarm: str, error: Exception) -> float:
        # The text of an outage varies; one alarm stands for all of it.
        if alarm not in self._journal.alarms():
            self._journal.raise_alarm(alarm, str(error))
        self.catch_up()
        self._failures += 1
        return min(_LONGEST_PAUSE_S, self._settings.heartbeat_s * 2.0 ** min(self._failures - 1, 10))

    def _look_for_release(self, orders: Orders) -> None:
        service = self._journal.in_service()
        in_service = None if service is None else service.released
        known = (None, in_service, self._refused, self._journal.declined())
        announced = orders.release_id not in known
        if not announced and self._installer.is_whole() and time.monotonic() < self._next_release:
            return
        try:
            if self._installer.refresh() is not None:
                self._wake("process")
        except (ReleaseRefused, CoordinatorUnreachable):
            self._refused = orders.release_id
            self._release_pause_s = min(300.0, max(self._settings.heartbeat_s, 2 * self._release_pause_s))
        else:
            self._refused = None
            self._release_pause_s = 0.0
        pause = self._release_pause_s or self._settings.release_check_s
        self._next_release = time.monotonic() + pause
