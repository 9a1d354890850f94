"""The daemon beside a microscope: wires the parts, runs one loop each, ends within seconds.

This process imports neither torch nor numpy; what needs them runs in children.
"""

import logging
import signal
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
from model_library.processes.operating_system import never_preempt
from model_library.wire.federation import Invitation
from model_library.zoo.serving.child import prepare_in_child
from site_client.children import caps_of, engine_folder, reading_child, worker_child
from site_client.conversation import Conversation
from site_client.coordinator_client import CoordinatorClient
from site_client.database import Database
from site_client.federation.participation import Participation
from site_client.federation.session import hold_file
from site_client.hours import is_open
from site_client.identity import Identity, read_identity
from site_client.install import Installer
from site_client.journal import Journal
from site_client.local_adaptation import LocalAdaptation
from site_client.lock import FolderLock
from site_client.loopback.desk import Desk
from site_client.loopback.server import LoopbackServer
from site_client.loopback.views import Views
from site_client.memory import LEDGER_FILE, Memory
from site_client.processing import Processing
from site_client.release_cache import ReleaseCache
from site_client.sending import Sending
from site_client.settings import SiteSettings, read_settings
from site_client.status import PAGE_FACT
from site_client.trusted import CoordinatorFetcher, TrustedTargets
from site_client.watch import Watcher
from site_client.yielding import LOOK_S, Yielding

_LAST_CALLS_S = 4.0
_AFTER_DEFECT_S = 5.0
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
        settings, identity = read_settings(folder), read_identity(folder)
        self._settings = settings
        self._stop = threading.Event()
        self._wakes: dict[str, threading.Event] = {}
        self._database = Database(folder / LEDGER_FILE)
        memory = Memory(self._database)
        self._memory = memory
        self._journal = memory.journal
        self._client = CoordinatorClient(settings, identity, self._journal.count_bytes)
        self._engine = engine_folder(settings, folder)
        self._worker = worker_child(
            settings.worker_threads,
            settings.nice,
            folder / "log" / "worker.log",
            cache=self._engine,
            precision=settings.precision,
            caps=caps_of(settings),
        )
        self._inspector = reading_child(
            "model_library.images.inspector",
            str(settings.inspect_deadline_s),
            log=folder / "log" / "inspector.log",
        )
        targets = _targets(folder, identity, settings, self._client, self._journal)
        installer = Installer(
            folder, identity.instrument_id, targets=targets, journal=self._journal, check=self._check
        )
        self._yielding = Yielding(hold_file(folder), memory.controls, settings.quiet_s, time.monotonic)
        self._watcher = Watcher(
            settings,
            memory,
            self._inspector,
            accepted=lambda: self._wake("process"),
            wrote=self._yielding.wrote,
            own_folders=(folder, settings.results),
        )
        self._processing = Processing(settings, memory, installer, self._worker, stop=self._stop)
        self._sending = Sending(folder, settings, self._client, memory, stop=self._stop)
        self._participation = Participation(folder, settings, self._client, memory, targets)
        self._local = LocalAdaptation(folder, settings, memory, idle=self._is_idle)
        self._conversation = Conversation(
            settings, self._client, memory, installer, wake=self._wake, invited=self._invited
        )
        self._views = Views(settings, memory.ledger, folder / "log" / "viewer.log")
        self._desk = Desk(folder, settings, memory, self._views)

    def run(self) -> None:
        """Run until `stop`; returns within seconds after it, with everything durable."""
        self._journal.note("started", self._settings.site_name)
        self._memory.controls.started()
        steps: dict[str, Callable[[], float]] = {
            "watch": self._watch,
            "process": self._processing.step,
            "talk": self._conversation.step,
            "upload": self._sending.step,
            "federate": self._participation.step,
            "yield": self._yield,
            "adapt": self._local.step,
        }
        # All of them before any loop begins: loops wake each other.
        self._wakes = {name: threading.Event() for name in steps}
        threads = [self._start(name, step) for name, step in steps.items()]
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
        self._sending.close()
        self._views.close()
        end = time.monotonic() + _LAST_CALLS_S
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._participation.close()
        self._yielding.release()
        self._journal.note("stopped", self._settings.site_name)
        if not any(thread.is_alive() for thread in threads):
            self._client.close()
            self._database.close()

    def stop(self) -> None:
        """Ask `run` to end; safe in a signal handler and from any thread."""
        self._stop.set()

    def _open_page(self) -> LoopbackServer | None:
        """Show the site on this computer; where the port is taken the site works all the same."""
        self._journal.forget(PAGE_FACT)
        if not self._settings.loopback:
            return None
        try:
            page = LoopbackServer(self._desk, self._settings.loopback_port)
        except OSError as error:
            text = f"port {self._settings.loopback_port}: {error.strerror}; choose another loopback_port"
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
        if self._memory.ledger.counts().waiting > 0:
            return False
        # What came since the last talk is to be sent too.
        self._conversation.catch_up()
        return self._sending.queued() == 0

    def _check(self, manifest: ReleaseManifest, folder: Path | None) -> None:
        if folder is not None:
            # Not by the worker: it goes on with frames, by what is in service.
            prepare_in_child(
                folder,
                self._engine,
                self._settings.worker_threads,
                nice=self._settings.adaptation_nice,
                gpu_share=self._settings.gpu_memory_share,
            )
        stored = self._memory.ledger.reconstructed()
        question = {
            "op": "check",
            "stored_frame": None if stored is None else str(self._settings.acquisitions / stored.path),
            "method": manifest.method.model_dump(mode="json"),
            "network_folder": None if folder is None else str(folder),
            "task": self._settings.task.model_dump(mode="json"),
        }
        self._worker.ask(question, self._settings.frame_deadline_s)

    def _watch(self) -> float:
        self._watcher.run(self._stop)
        return 0.0

    def _yield(self) -> float:
        self._yielding.look()
        if self._memory.controls.current().paused:
            self._local.give_way()
        return LOOK_S

    def _invited(self, invitation: Invitation | None) -> None:
        wishes = self._memory.controls.current()
        if wishes.paused or wishes.draining or not self._may_adapt():
            invitation = None
        if self._participation.invite(invitation):
            if invitation is not None:
                self._local.give_way()
            self._wake("federate")

    def _is_idle(self) -> bool:
        return not self._yielding.acquires() and self._may_adapt()

    def _may_adapt(self) -> bool:
        return is_open(self._settings.adaptation_hours, datetime.now())

    def _start(self, name: str, step: Callable[[], float]) -> threading.Thread:
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


def _targets(
    folder: Path, identity: Identity, settings: SiteSettings, client: CoordinatorClient, journal: Journal
) -> TrustedTargets:
    return TrustedTargets(
        folder,
        identity,
        url=client.releases_url,
        fetcher=CoordinatorFetcher(client),
        journal=journal,
        cache=None if settings.release_cache is None else ReleaseCache(settings.release_cache),
    )


def run_daemon(folder: Path) -> None:
    """Run the daemon of a folder until SIGTERM or SIGINT.

    Raises
    ------
    AlreadyRunning
        Another daemon runs on this folder.
    SettingsError, EnrolmentError
        The folder is not that of an enrolled site.
    """
    nice = read_settings(folder).nice
    lock = FolderLock(folder)
    lock.acquire()
    never_preempt(nice)
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
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
