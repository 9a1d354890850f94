"""What could keep a site from working, looked at one by one, each with what to do about it."""

import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from model_library.wire.base import Message
from site_client.coordinator_client import CoordinatorClient
from site_client.errors import SiteError
from site_client.federation.participation import MOST_AHEAD_S, MOST_BEHIND_S
from site_client.identity import read_identity
from site_client.settings import SiteSettings, read_settings

_LEAST_FREE_BYTES = 5 << 30
_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")
_COUNTED_FOLDERS = 200_000


class State(StrEnum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Finding(Message):
    """One thing that was looked at: what was found, and what to do where it is not well."""

    subject: str
    state: State
    found: str
    remedy: str | None = None


def examine(folder: Path, clock: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Look at everything that a site needs, and yield what was found; changes nothing.

    Parameters
    ----------
    folder
        The site's folder.
    clock
        Seconds since the epoch, compared with the coordinator's.
    """
    try:
        settings = read_settings(folder)
    except SiteError as refusal:
        yield _failed("settings", str(refusal), "correct the file, or run `synoptic site enrol`")
        return
    yield _ok("settings", f"{settings.site_name} for {settings.coordinator_url}")
    yield _program()
    yield from _folders(folder, settings)
    yield _watching(settings)
    yield from _coordinator(folder, settings, clock)


def _program() -> Finding:
    wanted = {"torch": "networks", "watchdog": "watching", "flwr": "federations"}
    missing = [f"{name} ({purpose})" for name, purpose in wanted.items() if find_spec(name) is None]
    if missing:
        return _failed("program", f"missing: {', '.join(missing)}", "pip install 'synoptic[site]'")
    return _ok("program", f"Python {sys.version.split()[0]} with {', '.join(wanted)}")


def _folders(folder: Path, settings: SiteSettings) -> Iterator[Finding]:
    acquisitions = settings.acquisitions
    if not acquisitions.is_dir():
        yield _failed("acquisitions", f"{acquisitions} is no folder", "mount it, or correct `acquisitions`")
    else:
        try:
            next(acquisitions.iterdir(), None)
            yield _ok("acquisitions", f"{acquisitions} can be read")
        except OSError as error:
            yield _failed("acquisitions", f"{acquisitions}: {error.strerror}", "let this user read it")
    for subject, place in (("results", settings.results), ("site folder", folder)):
        yield _written(subject, place)
    key = folder / "identity" / "instrument.key"
    if key.exists() and sys.platform != "win32" and key.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield _failed("key", f"{key} can be read by others", f"chmod 600 {key}")


def _written(subject: str, place: Path) -> Finding:
    probe = place / f".doctor-{time.monotonic_ns()}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"written by synoptic site doctor")
        probe.unlink()
    except OSError as error:
        return _failed(subject, f"{place}: {error.strerror}", "let this user write there")
    free = shutil.disk_usage(place).free
    told = f"{place}, {free / 1e9:.1f} GB free"
    if free < _LEAST_FREE_BYTES:
        return Finding(
            subject=subject,
            state=State.WARNING,
            found=told,
            remedy="free some space: a full disk stops results, never the acquisition",
        )
    return _ok(subject, told)


def _watching(settings: SiteSettings) -> Finding:
    if settings.polling:
        return _ok("watching", "by polling, as for a network share")
    if not _WATCHES.exists() or not settings.acquisitions.is_dir():
        return _ok("watching", "by events")
    allowed = int(_WATCHES.read_text())
    folders = 1
    for _ in settings.acquisitions.rglob("*/"):
        folders += 1
        if folders > min(allowed, _COUNTED_FOLDERS):
            return _failed(
                "watching",
                f"{folders} folders or more, of which {allowed} can be watched",
                f"sysctl fs.inotify.max_user_watches={4 * allowed}, or set polling = true",
            )
    return _ok("watching", f"by events, {folders} of {allowed} possible folders")


def _coordinator(folder: Path, settings: SiteSettings, clock: Callable[[], float]) -> Iterator[Finding]:
    try:
        identity = read_identity(folder)
    except SiteError as refusal:
        yield _failed("identity", str(refusal), "run `synoptic site enrol` with a new token")
        return
    yield _ok("identity", identity.instrument_id)
    try:
        client = CoordinatorClient(settings, identity, lambda *_: None, clock)
    except SiteError as refusal:
        yield _failed("trust", str(refusal), "correct `trust` or `proxy` in settings.toml")
        return
    try:
        # Asks for a token and for the newest release metadata: what every start needs.
        client.call("GET", "/v1/releases/metadata/timestamp.json")
    except SiteError as refusal:
        yield _failed(
            "coordinator",
            str(refusal),
            "check address, network, `proxy` and `trust` in settings.toml; the site works on without it",
        )
        return
    finally:
        client.close()
    yield _ok("coordinator", f"{settings.coordinator_url} knows this instrument")
    ahead_s = client.clock_ahead_s
    if -MOST_BEHIND_S <= ahead_s <= MOST_AHEAD_S:
        yield _ok("clock", f"{ahead_s:+.0f} s against the coordinator's")
    else:
        found = f"{ahead_s:+.0f} s against the coordinator's"
        yield _failed("clock", found, "set this computer's clock (NTP): federations refuse it until then")


def _ok(subject: str, found: str) -> Finding:
    return Finding(subject=subject, state=State.OK, found=found)


def _failed(subject: str, found: str, remedy: str) -> Finding:
    return Finding(subject=subject, state=State.FAILED, found=found, remedy=remedy)
