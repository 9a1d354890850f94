"""Flower's SuperLink and SuperExec: children of the coordinator, on loopback, while a federation lasts."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx
import structlog

from coordinator.errors import EngineDown, EngineRefused
from coordinator.federation import bundle
from coordinator.federation.children import HOST, SUPEREXEC, SUPERLINK, EngineFolder, Restarts
from coordinator.federation.runs import RunState
from coordinator.settings import Settings
from model_library.errors import ProcessFailed
from model_library.processes.ports import free_port
from model_library.processes.supervisor import Supervisor
from model_library.signing.keys import normal_public_key

if TYPE_CHECKING:
    from coordinator.federation.control import SuperLinkControl

_READY_S = 90.0
_POLL_S = 0.1
_PORTS_TRIED = 3

_log = structlog.get_logger()


class FlowerEngine:
    """Starts Flower when the first federation needs it, and ends it after the last.

    Safe to call from several threads. The SuperLink's database lives from `open` to `finish`, restarts
    in between included: instruments that are connected keep their places.

    Parameters
    ----------
    settings
        Name the data folder: `federation/` is the engine's, `federations/` holds the rounds.
    clock
        Monotonic seconds.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._folder = EngineFolder(settings)
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._supervisor: Supervisor | None = None
        self._control: SuperLinkControl | None = None
        self._port: int | None = None
        self._bundle_sha256 = ""
        self._restarts: dict[str, Restarts] = {}

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        """Port of the SuperLink on 127.0.0.1.

        Raises
        ------
        EngineDown
            The engine is not open.
        """
        if self._port is None:
            message = "expected Flower's engine to run, found it stopped; it starts with a federation"
            raise EngineDown(message)
        return self._port

    @property
    def authority(self) -> Path:
        """Certificate that vouches for the SuperLink."""
        return self._folder.authority

    @property
    def database(self) -> Path:
        """The SuperLink's."""
        return self._folder.database

    def is_up(self) -> bool:
        """Whether the SuperLink runs; it may still be starting."""
        supervisor = self._supervisor
        return self._port is not None and supervisor is not None and supervisor.alive(SUPERLINK)

    def open(self) -> None:
        """Start the engine and wait until it answers; nothing happens where it is open.

        Raises
        ------
        EngineDown
            The SuperLink ends, or does not answer in time; nothing is left running.
        """
        with self._lock:
            if self._supervisor is not None:
                return
            self._folder.prepare(datetime.now(UTC))
            self._supervisor = Supervisor(self._folder.log, self._folder.environment()).__enter__()
            try:
                self._port = self._start_superlink(self._supervisor)
                self._open_control(self._port)
                self._start(SUPEREXEC)
            except ProcessFailed as error:
                self._end()
                raise EngineDown(str(error)) from error
            except BaseException:
                self._end()
                raise

    def close(self) -> None:
        """End the children and what they started; a federation under way can go on after a restart."""
        # Whoever is waiting for the SuperLink in `open` lets go of the lock.
        self._closing.set()
        with self._lock:
            self._end()
            self._closing.clear()

    def finish(self) -> None:
        """Close after the last federation: what the SuperLink remembers of nodes and runs goes too."""
        with self._lock:
            self.close()
            for suffix in ("", "-wal", "-shm"):
                self.database.with_name(self.database.name + suffix).unlink(missing_ok=True)

    def keep_up(self) -> None:
        """Start children that have died, each with a growing pause; returns at once.

        A run may survive a short absence of the SuperLink. With the SuperExec its process has ended too:
        it is stopped here, since Flower would take a minute to notice.
        """
        with self._lock:
            if self._supervisor is None:
                return
            for name in (SUPERLINK, SUPEREXEC):
                if not self._supervisor.alive(name) and self._restarts[name].due(self._clock()):
                    _log.warning("a child of the federation engine has ended and is started again", name=name)
                    if name == SUPEREXEC:
                        self._stop_runs()
                    self._start(name)

    def register(self, instrument_id: str, public_key_pem: str) -> None:
        """Admit an instrument's own key to the fleet; doing it again changes nothing.

        Raises
        ------
        EngineDown, EngineRefused
            The engine is stopped or does not answer; the key or the name is taken.
        SignatureError
            The key is not one of an instrument.
        """
        self._open_one().register(instrument_id, normal_public_key(public_key_pem).encode())

    def unregister(self, instrument_id: str) -> None:
        """Refuse an instrument from now on."""
        self._open_one().unregister(instrument_id)

    def start_run(self, federation_id: str) -> int:
        """Start the server's part of a federation; returns Flower's number of the run."""
        return self._open_one().start_run(self._bundle_sha256, {"federation-id": federation_id})

    def run_state(self, run_id: int) -> RunState:
        """Where a run stands."""
        return self._open_one().run_state(run_id)

    def stop_run(self, run_id: int) -> None:
        """End a run; one that has ended, or of which nothing is known any more, stays as it is."""
        self._open_one().stop_run(run_id)

    def _open_one(self) -> SuperLinkControl:
        control = self._control
        if control is None:
            message = "expected Flower's engine to run, found it stopped; open it first"
            raise EngineDown(message)
        return control

    def _start(self, name: str) -> None:
        assert self._supervisor is not None
        now = self._clock()
        before = self._restarts.get(name)
        self._restarts[name] = Restarts(now) if before is None else before.again(now)
        assert self._port is not None
        self._supervisor.start(name, self._folder.command(name, self._port))

    def _start_superlink(self, supervisor: Supervisor) -> int:
        failure: ProcessFailed | None = None
        for _ in range(_PORTS_TRIED):
            self._port = free_port()
            self._start(SUPERLINK)
            try:
                self._await_answer(supervisor, self._port)
            except ProcessFailed as error:
                # Another program may have taken the port in between.
                failure = error
                if self._closing.is_set():
                    break
            else:
                return self._port
        assert failure is not None
        raise failure

    def _await_answer(self, supervisor: Supervisor, port: int) -> None:
        deadline = time.monotonic() + _READY_S
        trust = ssl.create_default_context(cafile=str(self.authority))
        with httpx.Client(verify=trust, trust_env=False, timeout=5.0) as client:
            while time.monotonic() < deadline:
                if self._closing.is_set() or not supervisor.alive(SUPERLINK):
                    break
                with suppress(httpx.TransportError):
                    client.get(f"https://{HOST}:{port}/health")
                    return
                time.sleep(_POLL_S)
        supervisor.check()
        log = self._folder.log / f"{SUPERLINK}.log"
        raise ProcessFailed(f"expected Flower's SuperLink to answer within {_READY_S:.0f} s; see {log}")

    def _open_control(self, port: int) -> None:
        # Flower takes a second and 60 MB: a coordinator without a federation does without.
        from coordinator.federation import control

        self._control = control.SuperLinkControl(port, self.authority, self.database)
        # Left from a crash: nobody waits for them, and they must not write into a federation again.
        self._stop_runs()
        content = control.build_bundle(bundle.SHIM)
        signed = bundle.sign(content, bundle.bundle_key(self._settings.keys), int(time.time()))
        self._control.store(signed)
        self._bundle_sha256 = signed.sha256

    def _stop_runs(self) -> None:
        assert self._control is not None
        with suppress(EngineDown, EngineRefused):
            for run_id in self._control.unfinished_runs():
                self._control.stop_run(run_id)

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._supervisor is not None:
            self._supervisor.__exit__(None, None, None)
        self._control = self._supervisor = self._port = None
        self._restarts.clear()
