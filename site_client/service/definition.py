"""A site's daemon as a service of systemd, or of Windows through the wrapper WinSW."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import Element, SubElement, indent, tostring

System = Literal["systemd", "windows"]

BACK_OFF = {"RestartSteps": "8", "RestartMaxDelaySec": "5min"}
"""Lines that systemd knows since version 254; an older one ignores them, and restarts every 5 s."""


@dataclass(frozen=True, slots=True)
class Service:
    """What a service definition says.

    Attributes
    ----------
    name
        Of the service: `synoptic-<site>`.
    python
        The interpreter that Synoptic is installed for.
    folder
        The site's folder.
    writes
        Folders in which the daemon writes besides its own.
    memory_bytes
        More than this for the daemon and all that it starts ends what takes it; None for no limit.
    user
        Whom the service runs as; None for the user who installs it, as a service of that user.
    """

    name: str
    python: Path
    folder: Path
    writes: tuple[Path, ...] = ()
    memory_bytes: int | None = None
    user: str | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """Arguments of the interpreter."""
        return ("-m", "model_library", "site", "run", "--folder", str(self.folder))


def systemd_unit(service: Service) -> str:
    """Write a unit file (systemd.service(5), systemd.exec(5)).

    It restarts after a failure, at first after 5 s and then ever later, up to 5 min (`BACK_OFF`); it yields
    processor and disk to the microscope; it may write nowhere but where it has to.
    """
    command = " ".join(_quoted(part) for part in (str(service.python), *service.arguments))
    lines = [
        "[Unit]",
        f"Description=Synoptic site daemon {service.name}",
        "Wants=network-online.target",
        "After=network-online.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=exec",
        f"ExecStart={command}",
        *([] if service.user is None else [f"User={service.user}"]),
        "Restart=on-failure",
        "RestartSec=5",
        *(f"{key}={value}" for key, value in BACK_OFF.items()),
        "TimeoutStopSec=30",
        "KillMode=mixed",
        "Nice=10",
        "IOSchedulingClass=idle",
        "CPUWeight=20",
        "OOMScoreAdjust=500",
        *([] if service.memory_bytes is None else [f"MemoryMax={service.memory_bytes}"]),
        "NoNewPrivileges=yes",
        "PrivateTmp=yes",
        *_write_protection(service),
        "",
        "[Install]",
        f"WantedBy={'multi-user.target' if service.user else 'default.target'}",
        "",
    ]
    return "\n".join(lines)


def windows_service(service: Service) -> str:
    """Write a service definition of WinSW 2 and 3 (an XML file beside the renamed program)."""
    root = Element("service")
    for tag, text in (
        ("id", service.name),
        ("name", service.name),
        ("description", "Synoptic site daemon: reconstructs what this microscope acquires."),
        ("executable", str(service.python)),
        ("arguments", " ".join(f'"{part}"' if " " in part else part for part in service.arguments)),
        ("startmode", "Automatic"),
        ("delayedAutoStart", "true"),
        ("priority", "belownormal"),
        ("stoptimeout", "30 sec"),
        ("logpath", str(service.folder / "log")),
    ):
        SubElement(root, tag).text = text
    SubElement(root, "log", mode="roll-by-size")
    for delay in ("5 sec", "30 sec", "5 min"):
        SubElement(root, "onfailure", action="restart", delay=delay)
    SubElement(root, "resetfailure").text = "1 hour"
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _write_protection(service: Service) -> list[str]:
    if service.user is None:
        # A service of a user has no right to mount anything.
        return []
    paths = " ".join(_quoted(str(path)) for path in (service.folder, *service.writes))
    return ["ProtectSystem=strict", f"ReadWritePaths={paths}"]


def _quoted(part: str) -> str:
    """Quote a word for a unit file, where `%` and `$` are special too."""
    escaped = part.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != part or " " in part else part
