"""Flower's two processes on a site: a SuperNode, which only dials out, and its SuperExec."""

import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import Field, TypeAdapter

from model_library.errors import ProcessFailed
from model_library.images.durable import write_durably
from model_library.processes.ports import free_port
from model_library.processes.supervisor import Supervisor
from model_library.signing.keys import generate_secret
from site_client.identity import Identity
from site_client.settings import SiteSettings
from site_client.trust_roots import COORDINATOR, trusted_pem

TRUST_TARGET = "federation/trusted-entities.json"
"""The signed file that names whose app bundles a site runs."""

FIRST_PAUSE_S = 15.0
"""A SuperNode that comes back too soon after a kill is refused, since its old session lasts 60 s."""
LONGEST_PAUSE_S = 60.0
_SETTLED_S = 120.0
_WORKER_PAUSE_S = 2.0
_KEPT_LOG_BYTES = 10 << 20
_TOLD_LINES = 3
_NODE, _WORKER = "supernode", "superexec"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

TrustedEntities = Annotated[
    dict[
        Annotated[str, Field(pattern=r"^fpk_[A-Za-z0-9_-]+$")],
        Annotated[str, Field(pattern=r"^ssh-ed25519 [A-Za-z0-9+/=]+$")],
    ],
    # An empty mapping would make Flower run every bundle.
    Field(min_length=1),
]
"""Public keys in OpenSSH's form, by id."""

TRUSTED_ENTITIES: TypeAdapter[TrustedEntities] = TypeAdapter(TrustedEntities)


class SuperNode:
    """Starts both processes, starts them again when they die, ends them.

    Parameters
    ----------
    folder
        The site's folder; uses `federation/` and `log/` in it.
    identity
        Its key is the SuperNode's, its CA the only one that is trusted.
    environment
        For the app processes that SuperExec starts.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        folder: Path,
        settings: SiteSettings,
        identity: Identity,
        environment: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home = folder / "federation"
        self._logs = folder / "log"
        self._settings = settings
        self._identity = identity
        self._clock = clock
        flower = {"FLWR_HOME": str(self._home / "flower"), **flower_environment(settings.proxy)}
        self._supervisor = Supervisor(self._logs, {**flower, **environment})
        self._port = 0
        self._deaths = 0
        self._up_since = 0.0
        self._due: dict[str, float] = {}

    def open(self, entities: TrustedEntities) -> None:
        """Start both processes, which then run app bundles that one of `entities` signed, and no others.

        Raises
        ------
        OSError
            Files cannot be written, or the programs are not there.
        """
        self._home.mkdir(exist_ok=True)
        for name in (_NODE, _WORKER):
            _keep_small(self._logs / f"{name}.log")
        write_durably(self._home / "node.key", openssh(self._identity.private_pem), mode=0o600)
        write_durably(self._home / "superexec.secret", generate_secret(), mode=0o600)
        # JSON is YAML too.
        write_durably(self._home / "trusted.yaml", TRUSTED_ENTITIES.dump_json(entities))
        self._supervisor.__enter__()
        try:
            self._start(_NODE)
            self._start(_WORKER)
        except BaseException:
            self.close()
            raise

    def keep_up(self) -> str | None:
        """Start again what has died, after a pause; returns how something died since the last call."""
        now = self._clock()
        died = None
        for name in (_NODE, _WORKER):
            if name not in self._due and not self._supervisor.alive(name):
                died = self._bury(name, now)
        for name in [name for name, due in self._due.items() if now >= due]:
            self._start(name)
        if self._deaths and not self._due and now - self._up_since > _SETTLED_S:
            self._deaths = 0
        return died

    def close(self, grace_s: float = 3.0) -> None:
        """End both, with everything that they started."""
        self._supervisor.stop(grace_s)
        self._supervisor.__exit__(None, None, None)

    def _bury(self, name: str, now: float) -> str:
        how = self._last_words(name)
        if name == _WORKER:
            self._due[_WORKER] = now + _WORKER_PAUSE_S
            return how
        # The worker knows the port of the node that died.
        self._supervisor.end(_WORKER, grace_s=1.0)
        self._deaths += 1
        pause_s = restart_pause_s(self._deaths)
        self._due = {_NODE: now + pause_s, _WORKER: now + pause_s}
        return how

    def _last_words(self, name: str) -> str:
        try:
            self._supervisor.check()
        except ProcessFailed as failure:
            lines = _COLOURS.sub("", str(failure)).splitlines()
            return " ".join([lines[0], *(line.strip() for line in lines[1:][-_TOLD_LINES:])])
        return f"expected {name} to keep running, found that it ended"

    def _start(self, name: str) -> None:
        self._due.pop(name, None)
        if name == _NODE:
            self._port = free_port()
        self._supervisor.start(name, self._node() if name == _NODE else self._worker())
        self._up_since = self._clock()

    def _node(self) -> list[str]:
        return [
            *(
                sys.executable,
                "-m",
                "site_client.federation.whole_messages",
                str(program("flower-supernode")),
            ),
            *("--superlink", superlink_address(self._settings.coordinator_url)),
            *("--root-certificates", str(self._trusted())),
            *("--auth-supernode-private-key", str(self._home / "node.key")),
            *("--isolation", "process"),
            *("--superexec-auth-secret-file", str(self._home / "superexec.secret")),
            *("--trusted-entities", str(self._home / "trusted.yaml")),
            *("--host", "127.0.0.1"),
            *("--port", str(self._port)),
        ]

    def _trusted(self) -> Path:
        if self._settings.trust == COORDINATOR:
            return self._identity.ca_file
        path = self._home / "trusted-roots.pem"
        path.write_bytes(trusted_pem(self._identity.ca_file, self._settings.trust))
        return path

    def _worker(self) -> list[str]:
        return [
            str(program("flower-superexec")),
            "--insecure",  # on loopback, where the secret keeps others out
            *("--runtime-api-address", f"127.0.0.1:{self._port}"),
            *("--superexec-auth-secret-file", str(self._home / "superexec.secret")),
        ]


def restart_pause_s(deaths: int) -> float:
    """Seconds to wait before a SuperNode is started again after it died so many times."""
    return float(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(deaths - 1, 10)))


def superlink_address(url: str) -> str:
    """Name host and port of the coordinator as Flower wants them."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or 443}"


def openssh(private_pem: bytes) -> bytes:
    """Rewrite a private key in OpenSSH's form, which Flower reads."""
    key = load_pem_private_key(private_pem, None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def flower_environment(proxy: str | None) -> dict[str, str]:
    """Set up Flower's programs: silent towards the world, found by name, through the site's proxy or none."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    common = {
        "PATH": path,
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.5",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    if proxy is None:
        return {**common, "NO_PROXY": "*", "no_proxy": "*"}
    loopback = "127.0.0.1,localhost"
    return {
        **common,
        **{"HTTPS_PROXY": proxy, "https_proxy": proxy, "NO_PROXY": loopback, "no_proxy": loopback},
    }


def program(name: str) -> Path:
    """Locate a program of this installation."""
    return Path(sys.executable).parent / name


def _keep_small(log: Path) -> None:
    if log.exists() and log.stat().st_size > _KEPT_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
