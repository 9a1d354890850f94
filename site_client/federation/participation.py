"""Whether and how this site takes part in federations: invited, joined, kept up, left."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from benchmark.splits import field_key
from model_library.cards.adaptation import AdaptationReport
from model_library.wire.federation import FieldClaim, Invitation
from site_client.coordinator_client import CoordinatorClient
from site_client.errors import (
    AdaptationRefused,
    CoordinatorRefused,
    ReleaseRefused,
    SiteError,
)
from site_client.federation.account import UpdateAccount
from site_client.federation.session import MOST_FRAMES, Admission, Session
from site_client.federation.standing import Standing, keep_standing, read_standing
from site_client.federation.supernode import TRUST_TARGET, TRUSTED_ENTITIES, TrustedEntities
from site_client.frames import AcceptedFile
from site_client.identity import read_identity
from site_client.journal import BytesKind
from site_client.memory import Memory
from site_client.settings import SiteSettings
from site_client.trusted import TrustedTargets

OVER = "federation_over"
"""The coordinator's word for a claim that comes too late."""

_NOTHING_TO_DO_S = 600.0
_KEEP_UP_S = 1.0
_JOIN_AGAIN_S = 15.0
_GRACE_S = 10.0
"""A coordinator whose engine starts again invites nobody for a moment; leaving would cost a minute."""
_CLAIMED_FRAMES = 500
MOST_AHEAD_S, MOST_BEHIND_S = 4.0, 300.0
"""Flower refuses signatures more than 5 s ahead or 305 s behind; our measurement errs by 1 s."""
_CLOCK = "clock"
_TRUST = "federation"


@dataclass(frozen=True, slots=True)
class _Invited:
    invitation: Invitation
    ends_at: float
    withdrawn: bool = False


class Participation:
    """Joins the federation that this site is invited to and leaves it when the invitation ends.

    Parameters
    ----------
    folder
        The site's folder.
    targets
        Says whose app bundles may run here.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        folder: Path,
        settings: SiteSettings,
        client: CoordinatorClient,
        memory: Memory,
        targets: TrustedTargets,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._client = client
        self._ledger = memory.ledger
        self._journal = memory.journal
        self._account = UpdateAccount(memory.journal, settings, time.time)
        self._targets = targets
        self._clock = clock
        self._stepping = threading.Lock()
        self._telling = threading.Lock()
        self._closed = False
        self._invited: _Invited | None = None
        self._over: str | None = None
        self._session: Session | None = None
        self._standing = read_standing(self._journal)
        self._tell(state="apart")

    def invite(self, invitation: Invitation | None) -> bool:
        """Take note of what the coordinator wants now; True where that changes what is to be done.

        Called after every talk, so it is also where a clock that was set is noticed first.
        """
        if self._clock_fits():
            self._journal.clear_alarm(_CLOCK)
        before, now = self._invited, self._clock()
        if invitation is None or not self._account.lets_out():
            if before is None or before.withdrawn:
                return False
            self._invited = replace(before, ends_at=min(before.ends_at, now + _GRACE_S), withdrawn=True)
            return True
        self._invited = _Invited(invitation, now + invitation.ends_in_s)
        return (
            before is None
            or before.withdrawn
            or before.ends_at <= now
            or before.invitation.federation_id != invitation.federation_id
        )

    def step(self) -> float:
        """Do what is to be done now; returns how many seconds to wait until the next step."""
        with self._stepping:
            if self._closed:
                return _NOTHING_TO_DO_S
            wanted = self._wanted()
            if self._session is not None and (
                wanted is None or wanted.invitation.federation_id != self._session.federation_id
            ):
                self._leave("the invitation ended")
            if wanted is not None and self._session is not None:
                return self._keep_up(self._session)
            if wanted is None or wanted.withdrawn:
                self._tell(state="apart")
                return _NOTHING_TO_DO_S
            return self._join(wanted.invitation)

    def interrupt(self) -> None:
        """End what the trainer is doing, from any thread, so that `close` need not wait for it."""
        self._closed = True
        if self._session is not None:
            self._session.interrupt()

    def close(self, patience_s: float = 2.0) -> None:
        """Leave; a step that hangs longer is left to the watchdog of its processes."""
        self._closed = True
        if self._stepping.acquire(timeout=patience_s):
            try:
                if self._session is not None:
                    self._leave("this site stops")
            finally:
                self._stepping.release()

    def _wanted(self) -> _Invited | None:
        invited = self._invited
        if invited is None or self._clock() >= invited.ends_at:
            return None
        return None if invited.invitation.federation_id == self._over else invited

    def _join(self, invitation: Invitation) -> float:
        federation_id = invitation.federation_id
        if self._standing.federation_id != federation_id:
            self._tell(federation_id=federation_id, rounds_done=0, cause=None)
        self._tell(state="joining", rounds=invitation.rounds)
        try:
            self._refuse_other_task(invitation)
            self._hold_clock()
            files = self._granted(invitation)
            self._session = self._opened(invitation, files)
        except CoordinatorRefused as refusal:
            if refusal.code == OVER:
                self._over = federation_id
                self._tell(state="apart", cause=str(refusal))
                return _NOTHING_TO_DO_S
            return self._postpone(refusal)
        except (SiteError, OSError) as trouble:
            return self._postpone(trouble)
        self._journal.clear_alarm(_TRUST)
        self._tell(state="taking_part", cause=None)
        self._journal.note("federation-joined", f"{federation_id}, with {len(files)} frames to train on")
        return _KEEP_UP_S

    def _opened(self, invitation: Invitation, files: Sequence[AcceptedFile]) -> Session:
        entities = self._trusted_entities()
        session = Session(
            self._folder,
            self._settings,
            read_identity(self._folder),
            Admission(invitation, files),
            account=self._account,
            answered=self._answered,
        )
        session.open(entities)
        return session

    def _keep_up(self, session: Session) -> float:
        try:
            died = session.keep_up()
        except OSError as trouble:
            self._leave("Flower's programs cannot be started")
            return self._postpone(trouble)
        if died is not None:
            self._complain(died)
        return _KEEP_UP_S

    def _leave(self, why: str) -> None:
        session, self._session = self._session, None
        assert session is not None
        session.close()
        self._tell(state="apart")
        self._journal.note("federation-left", f"{session.federation_id}: {why}")

    def _postpone(self, trouble: Exception) -> float:
        if isinstance(trouble, ReleaseRefused):
            self._journal.raise_alarm(_TRUST, str(trouble))
        self._complain(str(trouble))
        return _JOIN_AGAIN_S

    def _refuse_other_task(self, invitation: Invitation) -> None:
        if invitation.task != self._settings.task:
            raise AdaptationRefused(
                f"expected an invitation for this site's task, {self._settings.task}, found one for "
                f"{invitation.task}; the settings may have changed since enrolment"
            )

    def _hold_clock(self) -> None:
        if self._clock_fits():
            self._journal.clear_alarm(_CLOCK)
            return
        ahead_s = self._client.clock_ahead_s
        found = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'}"
        refusal = (
            f"expected this computer's clock within {MOST_AHEAD_S:.0f} s of the coordinator's, found it "
            f"{found} it; set it (NTP): until then this site takes part in no federation"
        )
        # The figure differs from try to try; one alarm stands for all of them.
        if _CLOCK not in self._journal.alarms():
            self._journal.raise_alarm(_CLOCK, refusal)
        raise AdaptationRefused(refusal)

    def _clock_fits(self) -> bool:
        return -MOST_BEHIND_S <= self._client.clock_ahead_s <= MOST_AHEAD_S

    def _granted(self, invitation: Invitation) -> tuple[AcceptedFile, ...]:
        files = self._ledger.newest(_CLAIMED_FRAMES)
        fields = dict.fromkeys(field_key(file.field, file.sha256) for file in files)
        grant = self._client.claim(invitation.federation_id, FieldClaim(fields=tuple(fields)))
        chosen = choose(files, frozenset(grant.tuning), MOST_FRAMES)
        if not chosen:
            raise AdaptationRefused(
                f"expected frames of fields of view that are for tuning, found none among the {len(fields)} "
                "fields of this site; more are acquired with time"
            )
        return chosen

    def _trusted_entities(self) -> TrustedEntities:
        file = self._targets.refresh().download(TRUST_TARGET)
        if file is None:
            raise ReleaseRefused(
                f"expected the signed file {TRUST_TARGET}, found none; without it no app bundle is trusted"
            )
        try:
            return TRUSTED_ENTITIES.validate_json(file.read_bytes())
        except ValidationError as error:
            raise ReleaseRefused(f"{TRUST_TARGET}: expected public keys by id, found {error}") from error

    def _answered(self, outcome: AdaptationReport | AdaptationRefused, update_bytes: int) -> None:
        if isinstance(outcome, AdaptationRefused):
            self._complain(str(outcome))
            return
        self._journal.count_bytes(BytesKind.UPDATES, update_bytes)
        rounds = self._standing.rounds
        self._tell(rounds_done=min(outcome.number, rounds), cause=None)
        which = f"round {outcome.number} of {rounds}" if outcome.number <= rounds else "its own version"
        self._journal.note(
            "federation-round",
            f"{which}: {outcome.steps} steps on {outcome.examples} frames in {outcome.train_s:.1f} s, "
            f"{update_bytes} bytes, {self._learned(outcome)}",
        )

    def _learned(self, report: AdaptationReport) -> str:
        if report.loss_first is None or report.loss_last is None:
            return self._account.told().told()
        return f"loss {report.loss_first:.4g} to {report.loss_last:.4g}"

    def _complain(self, cause: str) -> None:
        if self._standing.cause != cause:
            self._tell(cause=cause)
            self._journal.note("federation-trouble", cause)

    def _tell(self, **changes: object) -> None:
        with self._telling:
            self._standing = Standing.model_validate(self._standing.model_dump() | changes)
            keep_standing(self._journal, self._standing)


def choose(files: Sequence[AcceptedFile], granted: frozenset[str], most: int) -> tuple[AcceptedFile, ...]:
    """Choose frames to train on: of every granted field in turn, the newest first.

    Parameters
    ----------
    files
        Newest first.
    granted
        Fields of view (`field_key`) that are for tuning.
    most
        As many as this.
    """
    by_field: dict[str, list[AcceptedFile]] = {}
    for file in files:
        if (field := field_key(file.field, file.sha256)) in granted:
            by_field.setdefault(field, []).append(file)
    ranked = [(rank, file) for frames in by_field.values() for rank, file in enumerate(frames)]
    ranked.sort(key=lambda each: each[0])
    return tuple(file for _, file in ranked[:most])
