"""Put a service definition in its place, and tell what remains to be done."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from site_client.errors import ServiceRefused
from site_client.service.definition import BACK_OFF, Service, System, systemd_unit, windows_service
from site_client.settings import SiteSettings

_VERIFY_DEADLINE_S = 30.0


def service_of(
    folder: Path, settings: SiteSettings, *, user: str | None, memory_gib: float | None
) -> Service:
    """Describe the daemon of a site folder as a service, with this interpreter."""
    return Service(
        name=f"synoptic-{settings.site_name}",
        python=Path(sys.executable),
        folder=folder,
        writes=tuple(
            folder
            for folder in (settings.results, settings.release_cache, settings.engine_cache)
            if folder is not None
        ),
        memory_bytes=None if memory_gib is None else int(memory_gib * (1 << 30)),
        user=user,
    )


def this_system() -> System:
    """Tell which kind of service this computer has.

    Raises
    ------
    ServiceRefused
        Neither kind.
    """
    if sys.platform == "win32":
        return "windows"
    if sys.platform == "linux":
        return "systemd"
    raise ServiceRefused(
        f"expected Linux with systemd or Windows, found {sys.platform}; start `synoptic site run` yourself"
    )


def definition_of(service: Service, system: System) -> str:
    """Write the definition for a system."""
    match system:
        case "systemd":
            return systemd_unit(service)
        case "windows":
            return windows_service(service)


def verify_unit(service: Service, text: str) -> None:
    """Let `systemd-analyze verify` read a unit, where it is installed.

    Raises
    ------
    ServiceRefused
        It complains.
    """
    program = shutil.which("systemd-analyze")
    if program is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{service.name}.service"
        path.write_text(text, encoding="utf-8")
        scope = [] if service.user else ["--user"]
        verified = subprocess.run(
            [program, "verify", "--man=no", *scope, str(path)],
            capture_output=True,
            text=True,
            timeout=_VERIFY_DEADLINE_S,
            env={"XDG_RUNTIME_DIR": folder} | os.environ,
            check=False,
        )
    complaints = [
        line
        for line in verified.stderr.splitlines()
        if service.name in line and not any(f"'{key}'" in line for key in BACK_OFF)
    ]
    if complaints:
        raise ServiceRefused(
            "expected a unit that `systemd-analyze verify` accepts, found: " + "; ".join(complaints)
        )


def place_of(service: Service, system: System) -> Path:
    """Tell where the definition belongs."""
    if system == "windows":
        return service.folder / f"{service.name}.xml"
    if service.user is not None:
        return Path("/etc/systemd/system") / f"{service.name}.service"
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return home / "systemd" / "user" / f"{service.name}.service"


def install(service: Service, system: System) -> tuple[Path, tuple[str, ...]]:
    """Write the definition where it belongs.

    Returns
    -------
    tuple
        Where it is, and the commands that a person runs next: starting a service is theirs to decide.

    Raises
    ------
    ServiceRefused
        The place cannot be written, or the definition does not verify.
    """
    if system == "windows" and (service.user is not None or service.memory_bytes is not None):
        raise ServiceRefused(
            "expected neither --user nor --memory-gib for Windows, found one; leave it out, and choose the"
            " account in the properties of the service (Log On)"
        )
    text = definition_of(service, system)
    if system == "systemd":
        verify_unit(service, text)
    place = place_of(service, system)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ServiceRefused(
            f"expected to write {place}, found {error.strerror}; run the command as administrator"
            + ("" if system == "windows" else ", or leave out --user to install for yourself")
        ) from error
    return place, _next(service, system, place)


def _next(service: Service, system: System, place: Path) -> tuple[str, ...]:
    if system == "windows":
        program = place.with_suffix(".exe")
        return (
            f'copy WinSW-x64.exe "{program}"  # from https://github.com/winsw/winsw/releases',
            f'"{program}" install  # as administrator',
            f'"{program}" start',
        )
    if service.user is not None:
        return ("systemctl daemon-reload", f"systemctl enable --now {service.name}")
    return (
        "systemctl --user daemon-reload",
        f"systemctl --user enable --now {service.name}",
        "loginctl enable-linger  # at boot, not only while you are logged in",
    )
