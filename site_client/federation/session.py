"""One federation on a site, from joining to leaving: SuperNode, desk and trainer, which end together."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.splits import field_key
from model_library.cards.adaptation import AdaptationPlan, AdaptationReport
from model_library.errors import ChildDied, ChildRefused
from model_library.processes.child import Child
from model_library.wire.federation import Invitation
from site_client.errors import AdaptationRefused
from site_client.federation.account import UpdateAccount
from site_client.federation.desk import DESK_VARIABLE, EXCHANGE_VARIABLE, Desk
from site_client.federation.supernode import SuperNode, TrustedEntities
from site_client.frames import AcceptedFile
from site_client.identity import Identity
from site_client.settings import SiteSettings

MOST_FRAMES = 64
_PREPARE_DEADLINE_S = 180.0
_JOIN_S = 3.0
_TRAINING_SHARE = 0.7
"""Of a round's time; the rest is for the way there and back."""
_ANSWER_SHARE = 0.9

Answered = Callable[[AdaptationReport | AdaptationRefused, int], None]


@dataclass(frozen=True, slots=True)
class Admission:
    """An invitation, and the frames that may be trained on for it, and no others."""

    invitation: Invitation
    files: Sequence[AcceptedFile]


class Session:
    """Takes part in one federation.

    Parameters
    ----------
    folder
        The site's folder.
    admission
        Plans of another federation, or for another task, are refused.
    account
        Says whether an update may leave, and keeps account of those that do.
    answered
        Told of each round, before the answer leaves, and of the bytes of its update.
    """

    def __init__(
        self,
        folder: Path,
        settings: SiteSettings,
        identity: Identity,
        admission: Admission,
        *,
        account: UpdateAccount,
        answered: Answered,
    ) -> None:
        self._settings = settings
        self._invitation = admission.invitation
        self._files = [_told(settings.acquisitions, file) for file in admission.files]
        self._account = account
        self._answered = answered
        self._trainer = trainer_child(settings, folder / "log" / "trainer.log")
        self._hold = hold_file(folder)
        self._exchange = folder / "federation" / "exchange"
        self._kept = folder / "federation" / "kept"
        self._desk = Desk(self._exchange, self._adapt, give_up=self._trainer.stop)
        environment = {DESK_VARIABLE: str(self._desk.path), EXCHANGE_VARIABLE: str(self._exchange)}
        self._node = SuperNode(folder, settings, identity, environment)
        self._open = ExitStack()
        self._waiting: TrustedEntities | None = None
        self._leaving = False
        self._preparing = threading.Thread(target=self._prepare, name="prepare", daemon=True)

    @property
    def federation_id(self) -> str:
        """Which federation this is."""
        return self._invitation.federation_id

    def open(self, entities: TrustedEntities) -> None:
        """Start desk and trainer; the SuperNode follows in `keep_up`, when the trainer is ready."""
        with ExitStack() as opening:
            opening.callback(self._trainer.retire)
            opening.callback(self._desk.close)
            self._desk.open()
            self._open = opening.pop_all()
        self._waiting = entities
        self._preparing.start()

    def keep_up(self) -> str | None:
        """Go online once the trainer is ready, and start again what has died; returns how it died.

        Raises
        ------
        OSError
            Flower's programs cannot be started; close this session.
        """
        if self._waiting is None:
            return self._node.keep_up()
        # A round begins when its sites are online: torch and the frames are loaded before, not in it.
        if not self._preparing.is_alive():
            entities, self._waiting = self._waiting, None
            self._open.callback(self._node.close)
            self._node.open(entities)
        return None

    def interrupt(self) -> None:
        """End what the trainer is doing, for good, from any thread."""
        self._leaving = True
        self._trainer.retire()

    def close(self) -> None:
        """End everything; nothing of Flower's is left."""
        self.interrupt()
        self._open.close()
        if self._preparing.is_alive():
            self._preparing.join(_JOIN_S)

    def _prepare(self) -> None:
        """Load torch and the frames, so that the first round finds them there."""
        try:
            question = {
                "op": "prepare",
                "frames": self._files,
                "hold": str(self._hold),
                "until": time.monotonic() + _TRAINING_SHARE * _PREPARE_DEADLINE_S,
            }
            self._ask(question, _PREPARE_DEADLINE_S)
        except AdaptationRefused as refusal:
            if not self._leaving:
                self._answered(refusal, 0)

    def _adapt(self, plan: AdaptationPlan, exchange: Path) -> AdaptationReport:
        begun = time.monotonic()
        try:
            self._refuse_foreign(plan)
            self._account.refuse(plan.privacy)
            question = {
                "op": "adapt",
                "plan": plan.model_dump(mode="json"),
                "exchange": str(exchange),
                "kept": str(self._kept),
                "frames": self._files,
                "hold": str(self._hold),
                "until": begun + _TRAINING_SHARE * plan.deadline_s,
            }
            answer = self._ask(question, _ANSWER_SHARE * plan.deadline_s)
            # Accounted before it can leave: a crash in between costs a round, not a secret.
            self._account.spend(plan.privacy)
        except AdaptationRefused as refusal:
            # A trainer that was ended for leaving did not fail.
            if not self._leaving:
                self._answered(refusal, 0)
            raise
        report = AdaptationReport.model_validate(answer["report"])
        self._answered(report, int(answer["update_bytes"]))
        return report

    def _ask(self, question: dict[str, Any], deadline_s: float) -> dict[str, Any]:
        try:
            if self._leaving:
                raise AdaptationRefused("expected this site in the federation, found it leaving")
            return self._trainer.ask(question, deadline_s)
        except ChildRefused as refusal:
            kind = "" if refusal.code == AdaptationRefused.__name__ else f"{refusal.code}: "
            raise AdaptationRefused(f"{kind}{refusal}") from refusal
        except ChildDied as death:
            raise AdaptationRefused(f"the site's trainer died: {death}") from death

    def _refuse_foreign(self, plan: AdaptationPlan) -> None:
        if plan.federation_id != self._invitation.federation_id:
            raise AdaptationRefused(
                f"expected a plan of federation {self._invitation.federation_id}, to which this site is "
                f"invited, found one of {plan.federation_id}"
            )
        if plan.task != self._settings.task:
            raise AdaptationRefused(
                f"expected a plan for this site's task, {self._settings.task}, found one for {plan.task}"
            )
        if plan.kind == "personal" and not self._settings.share_personal:
            raise AdaptationRefused(
                "expected a plan for an update, found one for this site's own version of the network, which "
                "its owner keeps; set share_personal = true to give it"
            )


def hold_file(folder: Path) -> Path:
    """Tell which file of a site's folder is there while adaptation has to wait."""
    return folder / "federation" / "hold"


def trainer_child(settings: SiteSettings, log: Path) -> Child:
    """Prepare the child process that adapts networks; it starts when it is first asked."""
    threads = str(settings.adaptation_threads)
    return Child(
        [
            *(sys.executable, "-m", "site_client.trainer"),
            *("--threads", threads, "--nice", str(settings.adaptation_nice)),
        ],
        log=log,
        environment=dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads),
    )


def _told(acquisitions: Path, file: AcceptedFile) -> dict[str, str]:
    return {
        "path": str(acquisitions / file.path),
        "sha256": file.sha256,
        "field": field_key(file.field, file.sha256),
    }
