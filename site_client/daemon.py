"""The daemon beside a microscope: wires the parts, runs one loop each, ends within seconds.

This process imports neither torch nor numpy; what needs them runs in children.
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

import structlog
import structlog.stdlib

from model_library.cards.release import ReleaseManifest
from model_library.processes.child import Child
from model_library.wire.federation import Invitation
from site_client.allowance import ImageAllowance
from site_client.conversation import Conversation
from site_client.coordinator_client import CoordinatorClient
from site_client.database import Database
from site_client.errors import CoordinatorRefused, CoordinatorUnreachable
from site_client.federation.participation import Participation
from site_client.federation.session import hold_file
from site_client.hours import is_open
from site_client.identity import read_identity
from site_client.install import Installer
from site_client.local_adaptation import LocalAdaptation
from site_client.lock import FolderLock
from site_client.loopback.desk import Desk
from site_client.loopback.server import LoopbackServer
from site_client.loopback.views import Views
from site_client.memory import LEDGER_FILE, Memory
from site_client.processing import Processing
from site_client.release_cache import ReleaseCache
from site_client.settings import SiteSettings, read_settings
from site_client.spool import Spool
from site_client.status import PAGE_FACT
from site_client.trusted import CoordinatorFetcher, TrustedTargets
from site_client.upload import Uploader
from site_client.watch import Watcher
from site_client.yielding import LOOK_S, Yielding

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
        self._memory = memory
        self._journal = memory.journal
        self._client = CoordinatorClient(self.settings, identity, self._journal.count_bytes)
        self._worker = _worker(self.settings, folder)
        self._inspector = Child(
            [
                *(sys.executable, "-m", "model_library.images.inspector"),
                *(str(_INSPECTOR_MEMORY_BYTES), str(self.settings.inspect_deadline_s)),
            ],
            log=folder / "log" / "inspector.log",
            environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        targets = TrustedTargets(
            folder,
            identity,
            url=self._client.releases_url,
            fetcher=CoordinatorFetcher(self._client),
            journal=self._journal,
            cache=None if self.settings.release_cache is None else ReleaseCache(self.settings.release_cache),
        )
        installer = Installer(
            folder, identity.instrument_id, targets=targets, journal=self._journal, check=self._check
        )
        self._watcher = Watcher(
            self.settings,
            memory,
            self._inspector,
            accepted=lambda: self._wake("process"),
            wrote=lambda: self._yielding.wrote(),
            own_folders=(folder, self.settings.results),
        )
        self._yielding = Yielding(hold_file(folder), memory.controls, self.settings.quiet_s, time.monotonic)
        self._processing = Processing(self.settings, memory, installer, self._worker, stop=self._stop)
        self._participation = Participation(folder, self.settings, self._client, memory, targets)
        self._local = LocalAdaptation(folder, self.settings, memory, idle=self._is_idle)
        self._conversation = Conversation(
            self.settings, self._client, memory, installer, wake=self._wake, invited=self._invited
        )
        self._views = Views(self.settings, memory.ledger, folder / "log" / "viewer.log")
        self._desk = Desk(folder, self.settings.site_name, memory, self._views)
        self._spool = Spool(
            folder / "spool",
            self.settings.acquisitions,
            memory.outbox,
            int(self.settings.spool_gb * 1e9),
        )
        self._allowance = ImageAllowance(memory.journal, self.settings, time.time)
        self._uploader = Uploader(
            self._client,
            memory.outbox,
            self._spool,
            time.time,
            allowance=self._allowance,
            pace=self._pace,
        )

    def run(self) -> None:
        """Run until `stop`; returns within seconds after it, with everything durable."""
        self._journal.note("started", self.settings.site_name)
        self._memory.controls.started()
        threads = [
            self._start("watch", self._watch),
            self._start("process", self._processing.step),
            self._start("talk", self._conversation.step),
            self._start("upload", self._upload),
            self._start("federate", self._participation.step),
            self._start("yield", self._yield),
            self._start("adapt", self._local.step),
        ]
        page = self._open_page()
        while not self._stop.wait(1.0):
            self._views.rest()
            if self._is_drained():
                self._journal.note("drained", "nothing waits to be reconstructed or sent")
                self.stop()
        if page is not None:
            page.stop()
        for wake in self._wakes.values():
            wake.set()
        self._participation.interrupt()
        self._local.close()
        self._worker.stop()
        self._inspector.stop()
        self._views.close()
        end = time.monotonic() + _LAST_CALLS_S
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._participation.close()
        self._yielding.release()
        self._journal.note("stopped", self.settings.site_name)
        if not any(thread.is_alive() for thread in threads):
            self._client.close()
            self._database.close()

    def stop(self) -> None:
        """Ask `run` to end; safe in a signal handler and from any thread."""
        self._stop.set()

    def _open_page(self) -> LoopbackServer | None:
        """Show the site on this computer; where the port is taken the site works all the same."""
        self._journal.forget(PAGE_FACT)
        if not self.settings.loopback:
            return None
        try:
            page = LoopbackServer(self._desk, self.settings.loopback_port)
        except OSError as error:
            text = f"port {self.settings.loopback_port}: {error.strerror}; choose another loopback_port"
            self._journal.raise_alarm("page", text)
            return None
        page.start()
        self._journal.clear_alarm("page")
        self._journal.remember(PAGE_FACT, page.url)
        return page

    def _is_drained(self) -> bool:
        """Whether it was asked to end once nothing waits, and nothing does."""
        if not self._memory.controls.current().draining or not self._watcher.is_quiet():
            return False
        never = self._allowance.never()
        queued = sum(
            counts.queued for purpose, counts in self._memory.outbox.counts().items() if purpose not in never
        )
        return queued == 0 and self._memory.ledger.counts().waiting == 0

    def _check(self, manifest: ReleaseManifest, folder: Path | None) -> None:
        stored = self._memory.ledger.reconstructed()
        question = {
            "op": "check",
            "stored_frame": None if stored is None else str(self.settings.acquisitions / stored.path),
            "method": manifest.method.model_dump(mode="json"),
            "network_folder": None if folder is None else str(folder),
            "task": self.settings.task.model_dump(mode="json"),
        }
        self._worker.ask(question, self.settings.frame_deadline_s)

    def _watch(self) -> float:
        self._watcher.run(self._stop)
        return 0.0

    def _pace(self, sent_bytes: int) -> None:
        """Wait as long as so many bytes may take."""
        if self.settings.upload_mbit_per_s is not None:
            self._stop.wait(8e-6 * sent_bytes / self.settings.upload_mbit_per_s)

    def _yield(self) -> float:
        self._yielding.look()
        if self._memory.controls.current().paused:
            self._local.give_way()
        return LOOK_S

    def _upload(self) -> float:
        self._spool.fill()
        if self._memory.controls.current().paused or not _now_in(self.settings.upload_hours):
            return 1.0
        try:
            return 0.0 if self._uploader.send_next() else 1.0
        except (CoordinatorUnreachable, CoordinatorRefused) as error:
            _LOG.warning("upload-waits", reason=str(error))
            return 5.0

    def _invited(self, invitation: Invitation | None) -> None:
        wishes = self._memory.controls.current()
        if wishes.paused or wishes.draining or not _now_in(self.settings.adaptation_hours):
            invitation = None
        if self._participation.invite(invitation):
            if invitation is not None:
                self._local.give_way()
            self._wake("federate")

    def _is_idle(self) -> bool:
        return not self._yielding.acquires() and _now_in(self.settings.adaptation_hours)

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


def _now_in(hours: tuple[str, ...]) -> bool:
    return is_open(hours, datetime.now())


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
        with _logging_to(folder / "log" / "daemon.log"):
            daemon = Daemon(folder)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: daemon.stop())
            daemon.run()
    finally:
        lock.release()


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Write the log as lines of JSON, and begin a new file when it is long; three are kept."""
    path.parent.mkdir(exist_ok=True)
    handler = RotatingFileHandler(path, maxBytes=_KEPT_LOG_BYTES, backupCount=3, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("site")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


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
