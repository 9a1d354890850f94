"""Takes waiting frames, one by one, through the worker; each by exactly one method."""

import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter

from model_library.errors import ChildDied, ChildRefused
from model_library.images.durable import TEMPORARY_SUFFIX
from model_library.processes.child import Child
from model_library.wire.methods import NetworkRef
from site_client.fallback import Fallback
from site_client.frames import CHANGED, MISSING, UNUSABLE, Finished, LedgerFrame
from site_client.install import Installer
from site_client.journal import InService
from site_client.memory import Memory
from site_client.objects import ClassFigures
from site_client.settings import SiteSettings

_DEATHS_ALLOWED = 1
_LONGEST_PAUSE_S = 30.0
_FRAMES_FAULT = UNUSABLE | {"UnfitPixelSize"}
_PERHAPS_THE_METHODS = {"NonFinitePixels"}
_FRAMES_FOR_SPEED = 5
_FIGURES = TypeAdapter(dict[str, ClassFigures])
_NETWORKS_FAULT = {"WeightsError", "CardError"}
_UNFINISHED = re.compile(rf"\..+\.[0-9a-f]{{32}}{re.escape(TEMPORARY_SUFFIX)}")


class Processing:
    """One step reconstructs one frame.

    Parameters
    ----------
    worker
        Child process `site_client.worker`.
    stop
        Set when the daemon ends: a worker that dies then did not die of its frame.
    """

    def __init__(
        self,
        settings: SiteSettings,
        memory: Memory,
        installer: Installer,
        worker: Child,
        *,
        stop: threading.Event,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._ledger = memory.ledger
        self._journal = memory.journal
        self._objects = memory.objects
        self._controls = memory.controls
        self._fallback = Fallback(memory.journal, installer.networks)
        self._installer = installer
        self._worker = worker
        self._stop = stop
        self._clock = clock
        self._pause_s = 0.0
        self._swept = False

    def step(self) -> float:
        """Reconstruct the next frame, if there is one; returns how many seconds to wait for the next."""
        if not self._swept:
            self._sweep()
        if self._controls.current().paused:
            return 1.0
        if self._settings.order == "every-k":
            self._ledger.skip_between(self._settings.every_k, now=self._clock())
        service = self._journal.in_service()
        frame = self._ledger.next_waiting(self._settings.order)
        if service is None or frame is None or not self._installer.is_whole():
            return 1.0
        if not self._settings.acquisitions.is_dir():
            self._journal.raise_alarm("acquisitions", f"{self._settings.acquisitions} is not there")
            return 5.0
        self._journal.clear_alarm("acquisitions")
        if self._disk_is_full():
            return 5.0
        result = result_name(frame)
        try:
            answer = self._worker.ask(self._question(frame, service, result), self._settings.frame_deadline_s)
        except ChildDied as death:
            return self._bury(frame, death)
        except ChildRefused as refusal:
            return self._refuse(frame, service, refusal)
        self._keep(frame, service, answer)
        self._journal.clear_alarm("worker")
        self._pause_s = 0.0
        self._watch_speed(service)
        return 0.0

    def _sweep(self) -> None:
        """Remove halves of results that a kill left behind; the worker that wrote them ended with it."""
        for path in self._settings.results.rglob(f".*{TEMPORARY_SUFFIX}"):
            if _UNFINISHED.fullmatch(path.name):
                path.unlink(missing_ok=True)
        self._swept = True

    def _disk_is_full(self) -> bool:
        place = self._settings.results
        while not place.exists():
            place = place.parent
        free_gb = shutil.disk_usage(place).free / 1e9
        if free_gb >= self._settings.least_free_gb:
            self._journal.clear_alarm("disk")
            return False
        # The figure differs from look to look; one alarm stands for all of them.
        if "disk" not in self._journal.alarms():
            least = f"{self._settings.least_free_gb:g} GB"
            self._journal.raise_alarm(
                "disk", f"expected {least} free at {place}, found {free_gb:.3f}; frames wait for space"
            )
        return True

    def _keep(self, frame: LedgerFrame, service: InService, answer: Mapping[str, Any]) -> None:
        finished = Finished(service.method, service.release_id, result_name(frame), float(answer["busy_s"]))
        found = answer.get("objects")
        if found is not None:
            # Before the frame counts as done: a crash between the two repeats both.
            self._objects.keep(frame, _FIGURES.validate_python(found))
        self._ledger.finish(frame, finished, now=self._clock())

    def _question(self, frame: LedgerFrame, service: InService, result: str) -> dict[str, Any]:
        method = service.method
        folder = str(self._installer.network_folder(method)) if isinstance(method, NetworkRef) else None
        return {
            "op": "reconstruct",
            "method": method.model_dump(mode="json"),
            "network_folder": folder,
            "task": self._settings.task.model_dump(mode="json"),
            "source": str(self._settings.acquisitions / frame.path),
            "result": str(self._settings.results / result),
            "pixel_size_nm": frame.pixel_size_nm,
            "about": {"file_name": frame.path.name, "sha256": frame.sha256, "sequence": frame.sequence},
            "provenance": {"release_id": service.release_id, "site": self._settings.site_name},
        }

    def _bury(self, frame: LedgerFrame, death: ChildDied) -> float:
        if self._stop.is_set():
            return 0.0
        deaths = self._ledger.count_death(frame)
        self._journal.note("worker-died", f"frame {frame.sequence} ({frame.path}): {death}")
        if deaths > _DEATHS_ALLOWED and not self._second_opinion(frame, f"the worker died: {death}"):
            self._set_aside(frame, f"worker: it died {deaths} times on this frame, the last time: {death}")
        return self._longer_pause()

    def _refuse(self, frame: LedgerFrame, service: InService, refusal: ChildRefused) -> float:
        if refusal.code in _FRAMES_FAULT:
            if refusal.code not in _PERHAPS_THE_METHODS or not self._second_opinion(frame, str(refusal)):
                self._set_aside(frame, f"{refusal.code}: {refusal}")
            return 0.0
        if refusal.code == "SourceMissing":
            self._set_aside(frame, f"{MISSING}: {refusal}")
            return 0.0
        if refusal.code == "SourceChanged":
            self._set_aside(frame, f"{CHANGED}: {refusal}")
            return 0.0
        if refusal.code in _NETWORKS_FAULT and isinstance(service.method, NetworkRef):
            self._installer.distrust(service.method, str(refusal))
            if self._fallback.previous() is not None:
                # Not declined: once it is installed anew, it serves again.
                self._fallback.fall_back(f"{service.release_id} no longer loads", decline=False)
            return 1.0
        if refusal.code == "OutOfMemory":
            # Once may be for what else ran; a frame that never fits must not hold the others up.
            if self._ledger.count_death(frame) > _DEATHS_ALLOWED:
                self._set_aside(frame, f"{refusal.code}: {refusal}")
            return self._longer_pause()
        # Neither the frame's nor the network's fault: a full disk, a results folder that is gone.
        self._journal.raise_alarm("worker", f"{refusal.code}: {refusal}")
        return self._longer_pause()

    def _second_opinion(self, frame: LedgerFrame, why: str) -> bool:
        """Let the method before this one try a frame; where it can do it, the new one is given up."""
        previous = self._fallback.previous()
        if previous is None:
            return False
        service = InService(release_id=previous.release_id, method=previous.method)
        try:
            question = self._question(frame, service, result_name(frame))
            answer = self._worker.ask(question, self._settings.frame_deadline_s)
        except (ChildDied, ChildRefused):
            return False
        self._fallback.fall_back(f"it does frame {frame.sequence}, on which its successor failed ({why})")
        self._keep(frame, service, answer)
        return True

    def _watch_speed(self, service: InService) -> None:
        floor = self._settings.slowest_mpix_per_s
        if floor is None or self._fallback.previous() is None:
            return
        frames, rate = self._ledger.frames_and_throughput(service.release_id)
        if frames >= _FRAMES_FOR_SPEED and rate is not None and rate < floor:
            self._fallback.fall_back(
                f"{service.release_id} reconstructs {rate:.3g} MPix/s, slowest_mpix_per_s is {floor:g}"
            )

    def _set_aside(self, frame: LedgerFrame, reason: str) -> None:
        self._ledger.set_aside(frame, reason, now=self._clock())
        self._journal.note("set-aside", f"frame {frame.sequence} ({frame.path}): {reason}")

    def _longer_pause(self) -> float:
        self._pause_s = min(_LONGEST_PAUSE_S, max(0.5, 2 * self._pause_s))
        return self._pause_s


def result_name(frame: LedgerFrame) -> str:
    """Path of a frame's result in the results folder; the same however often the frame is done."""
    return str(frame.path.with_name(f"{frame.path.stem.removesuffix('.ome')}_{frame.sequence:06d}.ome.tif"))
