"""The daemon as a service: definitions that the systems accept, and a doctor who says what to do."""

import json
import shutil
import ssl
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from model_library.signing.certificates import create_ca
from site_client.doctor import State, examine
from site_client.errors import ServiceRefused, SettingsError
from site_client.service.definition import Service, systemd_unit, windows_service
from site_client.service.install import install, service_of, verify_unit
from site_client.trust_roots import trust_context, trusted_pem

AWKWARD = [Path("/srv/synoptic"), Path("/srv/my site"), Path("/srv/100%"), Path('/srv/a"b$HOME')]


def service(folder: Path, **changes) -> Service:
    return Service(name="synoptic-sem-1", python=Path(sys.executable), folder=folder, **changes)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("user", [None, "root"])
@pytest.mark.parametrize("folder", AWKWARD, ids=str)
def test_systemd_accepts_the_unit(folder: Path, user: str | None):
    described = service(folder, user=user, memory_bytes=8 << 30, writes=(Path("/data/results"),))
    verify_unit(described, systemd_unit(described))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_a_unit_that_systemd_would_not_take_is_refused():
    described = service(Path("/srv/synoptic"), user="root")
    with pytest.raises(ServiceRefused, match="Frobnicate"):
        verify_unit(described, systemd_unit(described).replace("Nice=10", "Frobnicate=10"))


def test_a_unit_restarts_yields_and_writes_only_where_it_has_to():
    unit = systemd_unit(service(Path("/srv/synoptic"), user="microscope", writes=(Path("/data/out"),)))
    for line in (
        "Restart=on-failure",
        "RestartMaxDelaySec=5min",
        "Nice=10",
        "IOSchedulingClass=idle",
        "User=microscope",
    ):
        assert line in unit.splitlines()
    assert "ReadWritePaths=/srv/synoptic /data/out" in unit


@pytest.mark.parametrize("folder", AWKWARD, ids=str)
def test_the_definition_for_windows_is_whole(folder: Path):
    root = fromstring(windows_service(service(folder)))
    assert root.findtext("executable") == sys.executable
    assert str(folder) in root.findtext("arguments")
    assert [each.get("action") for each in root.findall("onfailure")] == ["restart"] * 3


def test_what_the_definition_starts_is_there():
    arguments = service(Path("/srv/synoptic")).arguments
    shown = subprocess.run(
        [sys.executable, *arguments[:4], "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    assert "Run the daemon" in shown.stdout


def test_a_user_installs_for_himself(enrolled, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    described = service_of(enrolled.folder, enrolled.settings, user=None, memory_gib=4)
    place, commands = install(described, "systemd")
    assert place == tmp_path / "config/systemd/user/synoptic-sem-1.service"
    assert f"MemoryMax={4 << 30}" in place.read_text()
    assert any("enable --now synoptic-sem-1" in command for command in commands)


def test_nothing_is_asked_of_windows_that_its_wrapper_does_not_do(enrolled):
    described = service_of(enrolled.folder, enrolled.settings, user="microscope", memory_gib=None)
    with pytest.raises(ServiceRefused, match="leave it out"):
        install(described, "windows")


def test_the_unit_lets_the_daemon_write_into_every_folder_that_its_settings_name(enrolled, tmp_path):
    named = {name: tmp_path / name for name in ("results", "release_cache", "engine_cache")}
    settings = enrolled.settings.model_copy(update=named)
    described = service_of(enrolled.folder, settings, user="microscope", memory_gib=None)
    assert set(described.writes) == set(named.values())


def test_a_place_that_cannot_be_written_is_told(enrolled, tmp_path, monkeypatch):
    (tmp_path / "config").write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    described = service_of(enrolled.folder, enrolled.settings, user=None, memory_gib=None)
    with pytest.raises(ServiceRefused, match="as administrator"):
        install(described, "systemd")


def states(folder: Path, **changes) -> dict[str, State]:
    return {finding.subject: finding.state for finding in examine(folder, **changes)}


def test_a_healthy_site_gets_a_clean_bill(enrolled, coordinator, gaussian):
    coordinator.release("r-1", gaussian)
    enrolled.settings.acquisitions.mkdir()
    found = states(enrolled.folder)
    assert set(found.values()) <= {State.OK, State.WARNING}, found
    assert found.keys() >= {
        "settings",
        "program",
        "acquisitions",
        "results",
        "watching",
        "coordinator",
        "clock",
    }


def test_each_fault_is_found_with_a_remedy(enrolled, coordinator):
    (enrolled.folder / "identity" / "instrument.key").chmod(0o644)
    coordinator.down = True
    failed = {each.subject: each for each in examine(enrolled.folder) if each.state is State.FAILED}
    assert failed.keys() == {"acquisitions", "key", "coordinator"}
    assert all(finding.remedy for finding in failed.values())


def test_a_bundle_that_is_not_there_is_no_fault_of_the_identity(enrolled):
    path = enrolled.folder / "settings.toml"
    path.write_text(path.read_text().replace('trust = "coordinator"', 'trust = "/nowhere/proxy.pem"'))
    found = {each.subject: each for each in examine(enrolled.folder)}
    assert found["identity"].state is State.OK
    assert found["trust"].state is State.FAILED
    assert "settings.toml" in found["trust"].remedy


def test_a_wrong_clock_is_found(enrolled, coordinator):
    coordinator.clock_shift_s = -3600
    assert states(enrolled.folder)["clock"] is State.FAILED


def test_the_command_exits_with_1_where_something_fails(enrolled, coordinator):
    program = [sys.executable, "-m", "model_library", "site", "doctor", "--folder", str(enrolled.folder)]
    run = subprocess.run([*program, "--json"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert {"subject", "state", "found", "remedy"} == set(json.loads(run.stdout)[0])
    assert "->" in subprocess.run(program, capture_output=True, text=True, timeout=60).stdout


def test_a_bundle_is_trusted_besides_the_coordinators_own_ca(tmp_path):
    own, proxy = (create_ca(datetime.now(UTC)).certificate_pem for _ in range(2))
    (tmp_path / "ca.pem").write_bytes(own)
    (tmp_path / "proxy.pem").write_bytes(proxy)
    count = {
        trust: len(trust_context(tmp_path / "ca.pem", trust).get_ca_certs())
        for trust in ("coordinator", str(tmp_path / "proxy.pem"))
    }
    assert list(count.values()) == [1, 2]
    text = trusted_pem(tmp_path / "ca.pem", str(tmp_path / "proxy.pem")).decode()
    assert text.count("BEGIN CERTIFICATE") == 2
    ssl.create_default_context(cadata=text)


def test_a_bundle_that_is_not_there_is_told(tmp_path):
    (tmp_path / "ca.pem").write_bytes(create_ca(datetime.now(UTC)).certificate_pem)
    with pytest.raises(SettingsError, match="correct the path"):
        trust_context(tmp_path / "ca.pem", str(tmp_path / "absent.pem"))
