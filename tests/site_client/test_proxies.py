"""A site reaches its coordinator through a proxy, also one that looks into TLS, and in no other way."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from site_client.errors import CoordinatorUnreachable
from site_client.identity import enrol
from site_client.settings import SiteSettings, read_settings, write_settings

PROXY = Path(__file__).with_name("proxy.py")
HOST = "coordinator.invalid"
"""No name server knows it (RFC 6761): whoever does not go through the proxy finds nobody."""


@dataclass(frozen=True)
class Proxy:
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{(self.folder / 'port').read_text()}"

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.pem")

    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture
def start_proxy(tmp_path, until) -> Iterator[Callable[..., Proxy]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> Proxy:
        proxy = Proxy(tmp_path / "proxy")
        proxy.folder.mkdir()
        with (tmp_path / "proxy.log").open("wb") as log:
            started.append(
                subprocess.Popen([sys.executable, str(PROXY), str(proxy.folder), *options], stderr=log)
            )
        until((proxy.folder / "port").exists)
        return proxy

    yield start
    for process in started:
        process.kill()
        process.wait()


def through(settings: SiteSettings, proxy: Proxy, port: int, trust: str = "coordinator") -> SiteSettings:
    """The settings of a site that has nothing but the proxy."""
    changes = {"coordinator_url": f"https://{HOST}:{port}", "proxy": proxy.url, "trust": trust}
    return SiteSettings.model_validate(settings.model_dump() | changes)


def work(enrolled, coordinator, start_daemon, gaussian, until) -> None:
    """First images and every second image leave, a release comes, frames are reconstructed."""
    start_daemon()
    coordinator.release("r-1", gaussian)
    for number in range(1, 5):
        enrolled.acquire(number)
    until(lambda: enrolled.ledger.counts().reconstructed == 4, 60)
    until(lambda: coordinator.delivered("first_images") == [1, 2, 3], 60)
    until(lambda: coordinator.delivered("benchmark_images") == [2, 4], 60)


def test_everything_goes_through_a_proxy_that_connects(
    enrolled, coordinator, start_daemon, start_proxy, gaussian, until
):
    proxy = start_proxy()
    coordinator.host = HOST
    changed = through(enrolled.settings, proxy, coordinator.port)
    (enrolled.folder / "settings.toml").write_text(write_settings(changed))
    work(enrolled, coordinator, start_daemon, gaussian, until)
    assert set(proxy.asked()) == {f"CONNECT {HOST}:{coordinator.port}"}


def test_everything_goes_through_a_proxy_that_looks_into_tls_if_its_ca_is_trusted(
    enrolled, coordinator, start_daemon, start_proxy, gaussian, until
):
    proxy = start_proxy("--inspect")
    coordinator.host = HOST
    changed = through(enrolled.settings, proxy, coordinator.port, trust=proxy.ca)
    (enrolled.folder / "settings.toml").write_text(write_settings(changed))
    work(enrolled, coordinator, start_daemon, gaussian, until)
    seen = {line.removeprefix("seen ").split()[1] for line in proxy.asked() if line.startswith("seen ")}
    assert {"/v1/token", "/v1/heartbeat", "/v1/uploads"} <= seen


@pytest.mark.parametrize("inspects", [False, True])
def test_a_site_is_enrolled_through_either(tmp_path, settings, coordinator, start_proxy, inspects):
    proxy = start_proxy(*(["--inspect"] if inspects else []))
    coordinator.host = HOST
    trust = proxy.ca if inspects else "coordinator"
    enrol(tmp_path / "behind", through(settings, proxy, coordinator.port, trust), coordinator.enrolment_token)
    assert read_settings(tmp_path / "behind").proxy == proxy.url


def test_a_proxy_that_nobody_named_as_trusted_learns_nothing(
    tmp_path, settings, enrolled, coordinator, start_daemon, start_proxy, until
):
    proxy = start_proxy("--inspect")
    coordinator.host = HOST
    changed = through(settings, proxy, coordinator.port)
    with pytest.raises(CoordinatorUnreachable, match=r"CERTIFICATE_VERIFY_FAILED.*trust"):
        enrol(tmp_path / "behind", changed, coordinator.enrolment_token)
    seen_at_enrolment = [line for line in proxy.asked() if "seen" in line]
    assert seen_at_enrolment == ["seen GET /v1/ca.pem HTTP/1.1"]
    (enrolled.folder / "settings.toml").write_text(write_settings(changed))
    start_daemon()
    enrolled.acquire(1)
    until(lambda: len([line for line in proxy.asked() if line.startswith("broken off")]) >= 3)
    assert [line for line in proxy.asked() if "seen" in line] == seen_at_enrolment
    assert coordinator.heartbeats == []
