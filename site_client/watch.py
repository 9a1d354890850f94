"""From the acquisition folder to accepted frames: no half-written file, none missed, none twice."""

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserver

from model_library.errors import ChildDied, ChildRefused
from model_library.processes.child import Child
from site_client.candidate import Candidate, Look, decide, is_wanted
from site_client.frames import UNREADABLE, Header, Stamp, header_of
from site_client.memory import Memory
from site_client.settings import SiteSettings

_REASONS = {
    "EmptyImage": "empty",
    "TruncatedImage": "truncated",
    "NotAnImage": "not an image",
    "UnsupportedImage": "unsupported",
    "NonFinitePixels": "not finite",
    "MissingReader": "no reader",
}

_TELLING: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
]
"""Not every write: each would wake this process beside the one that writes. A file that was created is looked
at until it is whole, the last ones that were read as long as they are the last; others that change are seen
when they are closed, or at the next scan."""
_LATEST = 4
"""Files that are looked at for growth after they were read: a series may stay open between its planes."""
_ABSENT_LOOK_S = 1.0
_SCANNING_SHARE = 0.005
_MOST_TOGETHER = 32
"""Findings in one transaction."""


class Watcher:
    """Watches the folder, and writes what it finds into the ledger.

    Parameters
    ----------
    inspector
        Child process `model_library.images.inspector`, which reads the files.
    accepted
        Called after frames were accepted.
    wrote
        Called whenever an image file was seen to change.
    own_folders
        Never watched, even where they lie inside the acquisition folder.
    """

    def __init__(
        self,
        settings: SiteSettings,
        memory: Memory,
        inspector: Child,
        *,
        accepted: Callable[[], None],
        wrote: Callable[[], None],
        own_folders: tuple[Path, ...],
    ) -> None:
        self._settings = settings
        self._root = settings.acquisitions
        self._database = memory.database
        self._ledger = memory.ledger
        self._journal = memory.journal
        self._inspector = inspector
        self._accepted = accepted
        self._wrote = wrote
        self._own = tuple(folder.resolve() for folder in own_folders)
        self._events: queue.SimpleQueue[tuple[str, Path]] = queue.SimpleQueue()
        self._candidates: dict[Path, Candidate] = {}
        self._latest: deque[tuple[Path, Stamp]] = deque(maxlen=_LATEST)

    def run(self, stop: threading.Event) -> None:
        """Watch until `stop`; what is in the folder already is looked at first.

        A folder that is unmounted is waited for. The file system's watch belongs to the folder that was
        there, so another one in its place, such as the share mounted again, is watched anew.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        while not stop.is_set():
            watched = _identity(self._root)
            if watched is None:
                self._journal.raise_alarm("acquisitions", f"{self._root} is not there")
                stop.wait(_ABSENT_LOOK_S)
                continue
            self._journal.clear_alarm("acquisitions")
            self._watch(watched, stop)

    def _watch(self, watched: tuple[int, int], stop: threading.Event) -> None:
        observer = PollingObserver() if self._settings.polling else Observer()
        observer.schedule(_Listener(self._events), str(self._root), recursive=True, event_filter=_TELLING)
        observer.start()
        try:
            next_scan = 0.0
            while not stop.is_set() and _identity(self._root) == watched:
                begun = time.monotonic()
                if begun >= next_scan:
                    self.scan()
                    took = time.monotonic() - begun
                    # A hundred thousand files take a second to list: that must stay a small share.
                    next_scan = begun + max(self._settings.rescan_s, took / _SCANNING_SHARE)
                self._take_events(timeout=min(0.2, self._settings.settle_s / 4))
                self.look(time.monotonic(), stop)
                if not observer.is_alive():
                    raise RuntimeError("the file system's watch ended; starting it again")
        finally:
            observer.stop()
            observer.join(timeout=5)

    def is_quiet(self) -> bool:
        """Whether no file waits for a decision."""
        return not self._candidates

    def scan(self) -> None:
        """Make every file that the ledger does not know as it is now a candidate; reads no content."""
        known = self._ledger.stamps()
        for folder, subfolders, names in os.walk(self._root):
            subfolders[:] = [name for name in subfolders if Path(folder, name).resolve() not in self._own]
            for name in names:
                if not is_wanted(name, self._settings.patterns):
                    continue
                path = Path(folder, name)
                stamp = _stamp(path)
                if stamp is not None and known.get(self._relative(path)) != stamp:
                    self._touch(path, closed=False)

    def look(self, now: float, stop: threading.Event) -> None:
        """Decide about every candidate, and act.

        What was found is written down together: the ledger waits for the disk longer than a file takes to be
        read, and a file that is closed right after another must not wait for that.
        """
        self._look_for_growth()
        found: dict[Path, _Finding] = {}
        for _ in range(2):
            for path, last_look in self._due(now):
                if stop.is_set():
                    break
                finding = None if path in found else self._inspect(path, last_look=last_look)
                if finding is not None:
                    found[path] = finding
                if len(found) >= _MOST_TOGETHER:
                    self._settle(found)
                    found = {}
            if not found:
                return
            self._take_events(timeout=0.0)
        self._settle(found)

    def _look_for_growth(self) -> None:
        """Take one of the latest files that has changed since it was read for one that is being written."""
        for path, stamp in [each for each in self._latest if _stamp(each[0]) != each[1]]:
            self._latest.remove((path, stamp))
            if _stamp(path) is not None:
                self._wrote()
                self._touch(path, closed=False)

    def _due(self, now: float) -> Iterator[tuple[Path, bool]]:
        """Give what to look at, in the order in which it was written, and whether for the last time."""
        for path in sorted(self._candidates, key=lambda path: self._candidates[path].stamp.mtime_ns):
            candidate, stamp = self._candidates[path], _stamp(path)
            if stamp is None:
                del self._candidates[path]
            elif stamp != candidate.stamp:
                self._wrote()
                self._candidates[path] = Candidate(stamp, now)
            else:
                look = decide(
                    candidate,
                    now,
                    settle_s=self._settings.settle_s,
                    incomplete_s=self._settings.incomplete_s,
                )
                if look is not Look.WAIT:
                    yield path, look is Look.LAST_LOOK

    def _take_events(self, timeout: float) -> None:
        """Take what the file system told, waiting for the first of it."""
        try:
            kind, path = self._events.get(timeout=timeout) if timeout else self._events.get_nowait()
            while True:
                if kind == "folder":
                    self.scan()
                elif is_wanted(path.name, self._settings.patterns) and not self._is_own(path):
                    self._wrote()
                    self._touch(path, closed=kind == "closed")
                kind, path = self._events.get_nowait()
        except queue.Empty:
            return

    def _touch(self, path: Path, *, closed: bool) -> None:
        stamp = _stamp(path)
        if stamp is None:
            self._candidates.pop(path, None)
            return
        known = self._candidates.get(path)
        if known is None or known.stamp != stamp:
            self._candidates[path] = Candidate(stamp, time.monotonic(), closed=closed)
        elif closed and not known.closed:
            self._candidates[path] = replace(known, closed=True, looked=False)

    def _inspect(self, path: Path, *, last_look: bool) -> "_Finding | None":
        """Look into a candidate; None where nothing is to be written down (yet)."""
        candidate, name = self._candidates[path], self._relative(path)
        if self._ledger.knows(name, candidate.stamp):
            del self._candidates[path]
            return None
        if name != path.relative_to(self._root).as_posix():
            return _Finding(candidate, "name: expected UTF-8, found other bytes; rename the file")
        try:
            answer = self._ask({"path": str(path), "last_look": last_look})
        except ChildRefused as refusal:
            if refusal.code in _REASONS or last_look:
                return _Finding(candidate, f"{_REASONS.get(refusal.code, UNREADABLE)}: {refusal}")
            answer = {"complete": False}  # e.g. the file is gone, or not readable yet
        except ChildDied as death:
            return _Finding(candidate, f"not an image: the process that read it was stopped: {death}")
        if not answer["complete"]:
            self._candidates[path] = replace(candidate, looked=True)
            return None
        return _Finding(candidate, header_of(answer, self._settings.task, self._settings.pixel_size_nm))

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._inspector.ask(question, self._settings.inspect_deadline_s)
        except ChildDied:
            # Once may be the machine's fault (memory, a kill); twice is the file's.
            return self._inspector.ask(question, self._settings.inspect_deadline_s)

    def _settle(self, found: "Mapping[Path, _Finding]") -> None:
        """Write the findings down; a file that is not the one any more that was read is looked at again."""
        still = {path: each for path, each in found.items() if _stamp(path) == each.candidate.stamp}
        accepted = False
        with self._database.writing():
            for path, finding in still.items():
                accepted |= self._write_down(self._relative(path), finding)
        for path, finding in still.items():
            self._candidates.pop(path, None)
            self._latest.append((path, finding.candidate.stamp))
        if accepted:
            self._accepted()

    def _write_down(self, name: str, finding: "_Finding") -> bool:
        """Write one finding down; tell whether it is a frame that the ledger did not have."""
        if isinstance(finding.found, str):
            if self._ledger.set_file_aside(name, finding.candidate.stamp, finding.found, now=finding.at):
                self._journal.note("set-aside", f"{name}: {finding.found}")
            return False
        sequence = self._ledger.accept(
            name,
            finding.candidate.stamp,
            finding.found,
            now=finding.at,
            exists=lambda other: (self._root / other).exists(),
        )
        return sequence is not None

    def _relative(self, path: Path) -> str:
        return told_path(path.relative_to(self._root))

    def _is_own(self, path: Path) -> bool:
        return any(path.is_relative_to(folder) for folder in self._own)


@dataclass(frozen=True, slots=True)
class _Finding:
    """What a file was found to be: a frame, or why it is none; `at` in seconds since 1970."""

    candidate: Candidate
    found: Header | str
    at: float = field(default_factory=time.time)


class _Listener(FileSystemEventHandler):
    """Hands events to the watcher's own thread."""

    def __init__(self, events: "queue.SimpleQueue[tuple[str, Path]]") -> None:
        self._events = events

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Translate; a rename into place counts as a close."""
        path = Path(str(event.dest_path or event.src_path))
        if event.is_directory:
            if event.event_type in ("created", "moved"):
                self._events.put(("folder", path))
        elif event.event_type in ("closed", "moved"):
            self._events.put(("closed", path))
        elif event.event_type == "created":
            self._events.put(("touched", path))


def told_path(relative: PurePath) -> str:
    """Write a path with slashes, as the ledger and every message have it, on whatever system.

    A name that is no UTF-8 cannot be written there as it is: its bytes are.
    """
    return os.fsencode(relative.as_posix()).decode("utf-8", "backslashreplace")


def _identity(folder: Path) -> tuple[int, int] | None:
    """Tell one folder from another in its place; None where none is there."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if folder.is_dir() else None


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return Stamp(status.st_size, status.st_mtime_ns)
