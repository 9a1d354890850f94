"""Flower's processes on a site: started, kept up with patience, ended without a rest."""

import os
import signal

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_private_key
from pydantic import ValidationError

from model_library.signing.keys import generate_instrument_key, public_pem
from site_client.federation.supernode import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    TRUSTED_ENTITIES,
    SuperNode,
    flower_environment,
    openssh,
    restart_pause_s,
    superlink_address,
)
from site_client.identity import Identity


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def node(site, stand_ins, clock, tmp_path):
    identity = Identity("instrument-1", generate_instrument_key(), tmp_path / "ca.pem", "")
    node = SuperNode(site.folder, site.settings, identity, {"GIVEN": "yes"}, clock=clock)
    yield node
    node.close()


def starts(stand_ins, name: str) -> list[tuple[int, list[str]]]:
    path = stand_ins / f"{name}.starts"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(line.split()[0]), line.split()[1:]) for line in lines]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def test_both_programs_start_with_the_sites_identity_and_trust(
    node, stand_ins, site, entities, until
) -> None:
    node.open(entities)
    until(lambda: starts(stand_ins, "flower-supernode") and starts(stand_ins, "flower-superexec"))
    (_, node_arguments), (_, worker_arguments) = (
        starts(stand_ins, "flower-supernode")[0],
        starts(stand_ins, "flower-superexec")[0],
    )
    home = site.folder / "federation"
    assert option(node_arguments, "--superlink") == "127.0.0.1:1"
    assert option(node_arguments, "--isolation") == "process"
    assert option(node_arguments, "--host") == "127.0.0.1"
    trusted = (home / "trusted.yaml").read_text()
    assert TRUSTED_ENTITIES.validate_json(trusted) == entities
    assert option(node_arguments, "--trusted-entities") == str(home / "trusted.yaml")
    port = option(node_arguments, "--port")
    assert option(worker_arguments, "--runtime-api-address") == f"127.0.0.1:{port}"
    for name in ("node.key", "superexec.secret"):
        assert (home / name).stat().st_mode & 0o077 == 0


def test_closing_leaves_no_process(node, stand_ins, entities, until) -> None:
    node.open(entities)
    until(lambda: starts(stand_ins, "flower-supernode") and starts(stand_ins, "flower-superexec"))
    pids = [starts(stand_ins, name)[0][0] for name in ("flower-supernode", "flower-superexec")]
    assert all(is_alive(pid) for pid in pids)
    node.close()
    assert not any(is_alive(pid) for pid in pids)


def test_a_supernode_that_dies_comes_back_after_a_pause_with_its_worker(
    node, stand_ins, entities, clock, until
) -> None:
    node.open(entities)
    until(lambda: starts(stand_ins, "flower-supernode") and starts(stand_ins, "flower-superexec"))
    assert node.keep_up() is None
    os.kill(starts(stand_ins, "flower-supernode")[0][0], signal.SIGKILL)
    died = []
    until(lambda: died.append(node.keep_up()) or died[-1])
    assert "code -9" in died[-1]
    assert "ERROR : something to tell" in died[-1]
    clock.now += FIRST_PAUSE_S - 1
    assert node.keep_up() is None
    assert len(starts(stand_ins, "flower-supernode")) == 1
    clock.now += 2
    node.keep_up()
    until(lambda: len(starts(stand_ins, "flower-supernode")) == 2)
    until(lambda: len(starts(stand_ins, "flower-superexec")) == 2)
    ports = [option(starts(stand_ins, "flower-supernode")[n][1], "--port") for n in (0, 1)]
    assert starts(stand_ins, "flower-superexec")[1][1][2] == f"127.0.0.1:{ports[1]}"


def test_a_worker_that_dies_comes_back_alone(node, stand_ins, entities, clock, until) -> None:
    node.open(entities)
    until(lambda: starts(stand_ins, "flower-supernode") and starts(stand_ins, "flower-superexec"))
    os.kill(starts(stand_ins, "flower-superexec")[0][0], signal.SIGKILL)
    until(lambda: node.keep_up())
    clock.now += 3
    node.keep_up()
    until(lambda: len(starts(stand_ins, "flower-superexec")) == 2)
    assert len(starts(stand_ins, "flower-supernode")) == 1


def test_pauses_grow_to_a_limit() -> None:
    pauses = [restart_pause_s(deaths) for deaths in range(1, 60)]
    assert pauses[0] == FIRST_PAUSE_S >= 15
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S


def test_the_key_is_the_instruments_own_in_the_form_that_flower_reads() -> None:
    pem = generate_instrument_key()
    key = load_ssh_private_key(openssh(pem), None)
    assert key.public_key() == load_pem_public_key(public_pem(pem).encode())


@pytest.mark.parametrize(
    "entities",
    [
        {},  # Flower would run every bundle
        {"synoptic": "ssh-ed25519 AAAA"},
        {"fpk_synoptic": "ssh-rsa AAAA"},
        {"fpk_synoptic": "ssh-ed25519 AAAA\nfpk_other: ssh-ed25519 BBBB"},
        {"fpk_synoptic": ["ssh-ed25519 AAAA"]},
    ],
)
def test_trust_in_nobody_or_in_nonsense_is_refused(entities) -> None:
    with pytest.raises(ValidationError):
        TRUSTED_ENTITIES.validate_python(entities)


def test_flower_phones_nobody_and_takes_the_sites_proxy_or_none() -> None:
    alone, through = flower_environment(None), flower_environment("http://proxy:3128")
    assert alone["FLWR_TELEMETRY_ENABLED"] == through["FLWR_TELEMETRY_ENABLED"] == "0"
    assert alone["NO_PROXY"] == "*"
    assert through["HTTPS_PROXY"] == "http://proxy:3128"
    assert "127.0.0.1" in through["NO_PROXY"]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://host.example:8443", "host.example:8443"),
        ("https://host.example", "host.example:443"),
        ("https://[::1]:8443", "[::1]:8443"),
    ],
)
def test_the_superlink_is_behind_the_coordinators_own_address(url, address) -> None:
    assert superlink_address(url) == address
