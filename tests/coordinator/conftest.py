"""A real coordinator in a process of its own, and instruments that speak to it over HTTPS."""

import base64
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.signing.digests import sha256_bytes
from model_library.signing.keys import generate_instrument_key, public_pem, sign_assertion
from model_library.wire.images import ImageDeclaration, ImagePurpose

from ..waiting import until

SYNOPTIC = (sys.executable, "-c", "from model_library.cli import main; main()")
TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = {**TUS, "Content-Type": "application/offset+octet-stream"}


def synoptic(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    command = [*SYNOPTIC, "coordinator", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@dataclass
class Coordinator:
    """A founded data folder, and the process that serves it."""

    data: Path
    process: subprocess.Popen[bytes] | None = None
    url: str = ""
    clients: list[httpx.Client] = field(default_factory=list)

    def start(self) -> None:
        """Serve, and wait until it listens."""
        (self.data / "serving.json").unlink(missing_ok=True)
        command = [*SYNOPTIC, "coordinator", "serve", "--data", str(self.data)]
        with (self.data / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"}
            )
        until(lambda: (self.data / "serving.json").exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log
        self.url = json.loads((self.data / "serving.json").read_text())["url"]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and wait for the end."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=20)

    @property
    def log(self) -> str:
        """Everything that the process wrote."""
        return (self.data / "log").read_text()

    def client(self, token: str | None = None) -> httpx.Client:
        """An HTTPS client that trusts this coordinator's CA only."""
        trust = ssl.create_default_context(cafile=str(self.data / "tls" / "ca.pem"))
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        client = httpx.Client(base_url=self.url, verify=trust, headers=headers, timeout=60, trust_env=False)
        self.clients.append(client)
        return client

    def close(self) -> None:
        """Close every client."""
        for client in self.clients:
            client.close()

    def overview(self) -> dict[str, Any]:
        """What the operator sees."""
        with self.client((self.data / "operator.token").read_text()) as client:
            answer = client.get("/v1/overview")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def enrol_token(self) -> str:
        """Invite an instrument."""
        with self.client((self.data / "operator.token").read_text()) as client:
            return client.post("/v1/enrol-tokens").json()["token"]


@dataclass
class Instrument:
    """An enrolled instrument."""

    coordinator: Coordinator
    key: bytes
    id: str
    tuf_root: str
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        answer = self.ask_token(self.assertion())
        assert answer.status_code == 200, answer.text
        self.client = self.coordinator.client(answer.json()["access_token"])

    def assertion(self, audience: str | None = None, now: int | None = None) -> str:
        """Sign a proof of possession."""
        return sign_assertion(
            self.key,
            issuer=self.id,
            audience=audience or f"{self.coordinator.url}/v1/token",
            now=now or int(time.time()),
            lifetime_s=60,
        )

    def ask_token(self, assertion: str) -> httpx.Response:
        """Ask for an access token."""
        with self.coordinator.client() as client:
            return client.post("/v1/token", json={"assertion": assertion})

    def declare(self, told: ImageDeclaration) -> httpx.Response:
        """Open an upload."""
        encoded = base64.b64encode(told.model_dump_json().encode()).decode()
        headers = {**TUS, "Upload-Length": str(told.bytes), "Upload-Metadata": f"declaration {encoded}"}
        return self.client.post("/v1/uploads", headers=headers)

    def send(
        self, location: str, offset: int, content: bytes | Iterator[bytes], **headers: str
    ) -> httpx.Response:
        """Send a chunk."""
        given = {**CHUNK, "Upload-Offset": str(offset), **headers}
        return self.client.patch(location, headers=given, content=content)

    def deliver(
        self, content: bytes, sequence: int, purpose: ImagePurpose = ImagePurpose.FIRST
    ) -> httpx.Response:
        """Declare and send an image whole."""
        location = self.declare(declaration(content, sequence, purpose)).headers["location"]
        offset = int(self.client.head(location, headers=TUS).headers["upload-offset"])
        return self.send(location, offset, content[offset:])


def declaration(
    content: bytes, sequence: int, purpose: ImagePurpose = ImagePurpose.FIRST, **changes: Any
) -> ImageDeclaration:
    """Declare an image as a site does."""
    facts = {
        "purpose": purpose,
        "sequence": sequence,
        "file_name": f"frame-{sequence}.tif",
        "bytes": len(content),
        "sha256": sha256_bytes(content),
    }
    return ImageDeclaration.model_validate({**facts, **changes})


def acquisition(seed: int, shape: tuple[int, int] = (96, 96), field_name: str | None = None) -> bytes:
    """An OME-TIFF of bright discs under Poisson noise, as an instrument writes it."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    clean = np.full(shape, 40.0)
    for _ in range(12):
        y, x, radius = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(4, 14)
        clean[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = rng.uniform(60, 160)
    pixels = np.clip(rng.poisson(clean), 0, 65535).astype(np.uint16)
    return encode_acquisition(Frame(pixels, pixel_size_nm=4.0, field=field_name))


def found(data: Path, library: Path | None = None, **settings: Any) -> Coordinator:
    """Found a coordinator on a free port of loopback."""
    done = synoptic("init", "--data", str(data), "--host", "127.0.0.1", "--port", "0")
    assert done.returncode == 0, done.stderr
    text = (data / "settings.toml").read_text()
    for name, value in settings.items():
        old = next((line for line in text.splitlines() if line.startswith(f"{name} =")), None)
        text = f"{name} = {value}\n{text}" if old is None else text.replace(old, f"{name} = {value}")
    if library is not None:
        text = f'library = "{library}"\n' + text
    (data / "settings.toml").write_text(text)
    return Coordinator(data)


def enrol(
    coordinator: Coordinator, name: str = "bench", token: str | None = None, **request: Any
) -> Instrument:
    """Enrol a new instrument."""
    key = generate_instrument_key()
    body = {
        "token": token or coordinator.enrol_token(),
        "site_name": name,
        "task": {"kind": "denoise"},
        "public_key_pem": public_pem(key),
        **request,
    }
    with coordinator.client() as client:
        answer = client.post("/v1/enrol", json=body)
    assert answer.status_code == 200, answer.text
    return Instrument(coordinator, key, answer.json()["instrument_id"], answer.json()["tuf_root"])


@pytest.fixture(scope="session")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    """A coordinator whose campaigns never begin, for everything but campaigns."""
    served = found(tmp_path_factory.mktemp("coordinator") / "data", first_images=200, flush_bytes=8192)
    served.start()
    yield served
    served.close()
    assert served.end() == 0


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small untrained denoisers, verified cards and all."""
    import torch

    from model_library.cards.card import NetworkCard
    from model_library.networks.build import build
    from model_library.networks.config import ResidualDenoiserConfig
    from model_library.networks.facts import facts
    from model_library.wire.tasks import Denoise
    from model_library.zoo.store import save_network

    folder = tmp_path_factory.mktemp("library")
    for number, width in enumerate((4, 6, 8)):
        config = ResidualDenoiserConfig(depth=3, width=width)
        torch.manual_seed(number)
        card = NetworkCard(
            id=f"tiny-{width}",
            version="1",
            purpose="Tests.",
            task=Denoise(),
            config=config,
            facts=facts(config),
            weights_sha256="0" * 64,
        )
        save_network(folder / card.id, build(config), card)
    return folder
