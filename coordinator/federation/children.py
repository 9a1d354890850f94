"""The engine's children as the operating system sees them: files, environment, command lines, pauses."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from coordinator.settings import Settings
from model_library.images.durable import write_durably
from model_library.signing.certificates import IssuedCertificate, issue_server_certificate
from model_library.signing.keys import generate_secret

HOST = "127.0.0.1"
SUPERLINK, SUPEREXEC = "superlink", "superexec"
_PROGRAMS = Path(sys.executable).parent
_STEADY_S = 60.0
_LONGEST_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Restarts:
    """How often a child was started lately, and when it may be again (monotonic seconds).

    The wait doubles with every start up to `_LONGEST_WAIT_S`; a child that lived for `_STEADY_S`
    begins anew.
    """

    started_at: float
    count: int = 0

    def due(self, now: float) -> bool:
        """Whether a dead child may be started."""
        return now >= self.started_at + min(2.0**self.count, _LONGEST_WAIT_S)

    def again(self, now: float) -> Restarts:
        """Count one more start."""
        steady = now - self.started_at >= _STEADY_S
        return Restarts(now, 0 if steady else self.count + 1)


@dataclass(frozen=True, slots=True)
class EngineFolder:
    """Everything that the children are told: `<data>/federation/`, and how to start them from it."""

    settings: Settings

    @property
    def path(self) -> Path:
        """The folder, of the owner alone."""
        return self.settings.data / "federation"

    @property
    def log(self) -> Path:
        """What the children say."""
        return self.path / "log"

    @property
    def database(self) -> Path:
        """What the SuperLink remembers."""
        return self.path / "superlink.sqlite"

    @property
    def authority(self) -> Path:
        """Certificate that vouches for the SuperLink."""
        return self.settings.tls / "ca.pem"

    def prepare(self, now: datetime) -> None:
        """Make the folder, a new secret for the SuperExec, and a new certificate for loopback."""
        for name in ("log", "home"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)
        write_durably(self._secret, generate_secret(), mode=0o600)
        authority = IssuedCertificate(
            self.authority.read_bytes(), (self.settings.keys / "ca.key").read_bytes()
        )
        # Of its own: the hosts of the public certificate need not include loopback.
        issued = issue_server_certificate(authority, [HOST], now)
        write_durably(self._certificate, issued.certificate_pem)
        write_durably(self._key, issued.key_pem, mode=0o600)

    def environment(self) -> dict[str, str]:
        """Variables of both children, and of the app processes that they start."""
        return {
            "FLWR_HOME": str(self.path / "home"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.5",
            # Flower starts its app processes by name.
            "PATH": f"{_PROGRAMS}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "NO_PROXY": f"{HOST},localhost",
            "no_proxy": f"{HOST},localhost",
            "SYNOPTIC_FEDERATIONS": str(self.settings.data / "federations"),
        }

    def command(self, name: str, port: int) -> Sequence[str]:
        """Command line of a child, for a SuperLink on a port of loopback."""
        secret = ("--superexec-auth-secret-file", str(self._secret))
        if name == SUPEREXEC:
            trust = ("--runtime-api-address", f"{HOST}:{port}", "--root-certificates", str(self.authority))
            return (str(_PROGRAMS / "flower-superexec"), *trust, *secret)
        return (
            str(_PROGRAMS / "flower-superlink"),
            *("--host", HOST, "--port", str(port), "--isolation", "process"),
            *("--database", str(self.database), "--enable-supernode-auth"),
            *("--ssl-certfile", str(self._certificate), "--ssl-keyfile", str(self._key)),
            *("--ssl-ca-certfile", str(self.authority), "--disable-runtime-dependency-installation"),
            *secret,
        )

    @property
    def _secret(self) -> Path:
        return self.path / "superexec.secret"

    @property
    def _certificate(self) -> Path:
        return self.path / "superlink.pem"

    @property
    def _key(self) -> Path:
        return self.path / "superlink.key"
