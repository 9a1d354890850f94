"""The daemon beside a microscope: wires the parts, runs one loop each, ends within seconds.

This process imports neither torch nor numpy; what needs them runs in children.
"""

import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import structlog

from model_library.cards.release import ReleaseManifest
from model_library.processes.child import Child
from model_library.wire.federation import Invitation
from site_client.conversation import Conversation
from site_client.coordinator_client import CoordinatorClient
from site_client.database import Database
from site_client.errors import CoordinatorRefused, CoordinatorUnreachable
from site_client.federation.participation import Participation
from site_client.identity import read_identity
from site_client.install import Installer
from site_client.lock import FolderLock
from site_client.memory import LEDGER_FILE, Memory
from site_client.processing import Processing
from site_client.settings import SiteSettings, read_settings
from site_client.trusted import CoordinatorFetcher, TrustedTargets
from site_client.upload import Uploader
from site_client.watch import Watcher

_INSPECTOR_MEMORY_BYTES = 3 << 30
_LAST_CALLS_S = 4.0
_AFTER_DEFECT_S = 5.0
ENGINE_FOLDER = "engine"
_KEPT_LOG_BYTES = 10 << 20
_LOG = structlog.get_logger("site")


class Daemon:
    """Everything that runs for one site folder.

    Parameters
    ----------
    folder
        As `enrol` left it.
    """

    def __init__(self, folder: Path) -> None:
        self.settings = read_settings(folder)
        identity = read_identity(folder)
        self._stop = threading.Event()
        self._wakes: dict[str, threading.Event] = {}
        self._database = Database(folder / LEDGER_FILE)
        memory = Memory(self._database)
        self._journal = memory.journal
        self._client = CoordinatorClient(self.settings, identity, self._journal.count_bytes)
        self._worker = _worker(self.settings, folder)
        self._inspector = Child(
            [sys.executable, "-m", "model_library.images.inspector", str(_INSPECTOR_MEMORY_BYTES)],
            log=folder / "log" / "inspector.log",
            environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        targets = TrustedTargets(
            folder,
            identity,
            url=self._client.releases_url,
            fetcher=CoordinatorFetcher(self._client),
            journal=self._journal,
        )
        installer = Installer(
            folder, identity.instrument_id, targets=targets, journal=self._journal, check=self._check
        )
        self._watcher = Watcher(
            self.settings,
            memory.ledger,
            memory.journal,
            self._inspector,
            accepted=lambda: self._wake("process"),
            own_folders=(folder, self.settings.results),
        )
        self._processing = Processing(self.settings, memory, installer, self._worker, stop=self._stop)
        self._participation = Participation(folder, self.settings, self._client, memory, targets)
        self._conversation = Conversation(
            self.settings, self._client, memory, installer, wake=self._wake, invited=self._invited
        )
        self._uploader = Uploader(self._client, memory.outbox, self.settings.acquisitions, time.time)

    def run(self) -> None:
        """Run until `stop`; returns within seconds after it, with everything durable."""
        self._journal.note("started", self.settings.site_name)
        threads = [
            self._start("watch", self._watch),
            self._start("process", self._processing.step),
            self._start("talk", self._conversation.step),
            self._start("upload", self._upload),
            self._start("federate", self._participation.step),
        ]
        while not self._stop.wait(1.0):
            pass
        for wake in self._wakes.values():
            wake.set()
        self._participation.interrupt()
        self._worker.stop()
        self._inspector.stop()
        end = time.monotonic() + _LAST_CALLS_S
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._participation.close()
        self._journal.note("stopped", self.settings.site_name)
        if not any(thread.is_alive() for thread in threads):
            self._client.close()
            self._database.close()

    def stop(self) -> None:
        """Ask `run` to end; safe in a signal handler and from any thread."""
        self._stop.set()

    def _check(self, manifest: ReleaseManifest, folder: Path | None) -> None:
        question = {
            "op": "check",
            "method": manifest.method.model_dump(mode="json"),
            "network_folder": None if folder is None else str(folder),
            "task": self.settings.task.model_dump(mode="json"),
        }
        self._worker.ask(question, self.settings.frame_deadline_s)

    def _watch(self) -> float:
        self._watcher.run(self._stop)
        return 0.0

    def _upload(self) -> float:
        try:
            return 0.0 if self._uploader.send_next() else 1.0
        except (CoordinatorUnreachable, CoordinatorRefused) as error:
            _LOG.warning("upload-waits", reason=str(error))
            return 5.0

    def _invited(self, invitation: Invitation | None) -> None:
        if self._participation.invite(invitation):
            self._wake("federate")

    def _start(self, name: str, step: Callable[[], float]) -> threading.Thread:
        self._wakes[name] = threading.Event()
        thread = threading.Thread(target=self._loop, args=(name, step), name=name, daemon=True)
        thread.start()
        return thread

    def _loop(self, name: str, step: Callable[[], float]) -> None:
        wake = self._wakes[name]
        while not self._stop.is_set():
            wake.clear()
            try:
                pause_s = step()
            except Exception as defect:
                if self._stop.is_set():
                    return
                # A full disk or a defect in one loop must not end the others, nor this one.
                _LOG.exception("loop-failed", loop=name)
                self._try_to_note("failed", f"{name}: {type(defect).__name__}: {defect}")
                self._stop.wait(_AFTER_DEFECT_S)
                continue
            if pause_s > 0:
                wake.wait(pause_s)

    def _try_to_note(self, kind: str, text: str) -> None:
        try:
            self._journal.note(kind, text)
        except Exception:
            _LOG.exception("note-failed", kind=kind, text=text)

    def _wake(self, name: str) -> None:
        self._wakes[name].set()


def run_daemon(folder: Path) -> None:
    """Run the daemon of a folder until SIGTERM or SIGINT.

    Raises
    ------
    AlreadyRunning
        Another daemon runs on this folder.
    SettingsError, EnrolmentError
        The folder is not that of an enrolled site.
    """
    read_settings(folder)
    lock = FolderLock(folder)
    lock.acquire()
    try:
        with _open_log(folder) as log:
            structlog.configure(
                processors=[
                    structlog.processors.add_log_level,
                    structlog.processors.TimeStamper(fmt="iso"),
                    structlog.processors.format_exc_info,
                    structlog.processors.JSONRenderer(),
                ],
                logger_factory=structlog.WriteLoggerFactory(log),
            )
            daemon = Daemon(folder)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: daemon.stop())
            daemon.run()
    finally:
        lock.release()


def _open_log(folder: Path) -> TextIO:
    path = folder / "log" / "daemon.log"
    path.parent.mkdir(exist_ok=True)
    if path.exists() and path.stat().st_size > _KEPT_LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("a", buffering=1)


def _worker(settings: SiteSettings, folder: Path) -> Child:
    log = folder / "log" / "worker.log"
    return worker_child(settings.worker_threads, settings.nice, log, folder / ENGINE_FOLDER)


def worker_child(threads: int, nice: int, log: Path, cache: Path | None = None) -> Child:
    """Prepare the child process that reconstructs; it starts when it is first asked.

    In `cache` networks are prepared for serving; without it torch computes them in float32.
    """
    options = ["--threads", str(threads), "--nice", str(nice)]
    return Child(
        [sys.executable, "-m", "site_client.worker", *options]
        + ([] if cache is None else ["--cache", str(cache)]),
        log=log,
        environment={
            "OMP_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
        },
    )
