"""The app bundle: what it holds, who signed it, and that a real SuperNode runs no other."""

import json
import os
import secrets
import stat
import sys
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization

from coordinator.federation import bundle, control
from coordinator.federation.engine import FlowerEngine
from model_library.errors import SignatureError
from model_library.processes.ports import free_port
from model_library.processes.supervisor import Supervisor
from model_library.signing.keys import generate_instrument_key
from model_library.signing.publisher import generate_publisher_key, publisher_public_key

from ...waiting import until
from ..conftest import Coordinator
from ..conftest import enrol as enrol_over_http
from .serving import app_of, enrol, founded, front, identities_of

NOW = 1_800_000_000

SERVER_APP = """
import json, time
from pathlib import Path
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import ServerApp
app = ServerApp()

@app.main()
def main(grid, context):
    report = Path(context.run_config["report"])
    deadline = time.monotonic() + 140
    while not (online := [n for n in grid.get_nodes() if n.status == "online"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    content = RecordDict({"greeting": ConfigRecord({"word": "hello"})})
    sent = list(grid.push_messages(
        [Message(content, dst_node_id=online[0].node_id, message_type="train", ttl=140.0)]))
    while not (replies := list(grid.pull_messages(sent))):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    reply = replies[0]
    report.write_text(json.dumps({
        "refused": reply.error.reason if reply.has_error() else None,
        "word": None if reply.has_error() else reply.content["answer"]["word"],
        "name": online[0].name,
    }))
"""

CLIENT_APP = """
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp
app = ClientApp()

@app.train()
def train(message, context):
    return Message(RecordDict({"answer": ConfigRecord({"word": "ran"})}), reply_to=message)
"""


def test_the_shim_packs_into_the_same_bytes_every_time() -> None:
    assert control.build_bundle(bundle.SHIM) == control.build_bundle(bundle.SHIM)


def test_a_bundle_is_signed_as_flower_verifies_it() -> None:
    from flwr.supernode.start_client_internal import _verify_fab

    key, other = generate_publisher_key(), generate_publisher_key()
    signed = bundle.sign(b"content", key, NOW)
    assert _verify_fab(signed, bundle.trusted_entities(key))
    assert not _verify_fab(signed, bundle.trusted_entities(other))
    altered = bundle.Bundle(b"Content", signed.sha256, signed.verifications)
    assert not _verify_fab(altered, bundle.trusted_entities(key))


def test_only_an_ed25519_key_signs_bundles() -> None:
    for refused in (generate_instrument_key(), b"no key"):
        with pytest.raises(SignatureError, match="generate"):
            bundle.sign(b"content", refused, NOW)


def test_the_trusted_key_is_in_openssh_form() -> None:
    shown = publisher_public_key(generate_publisher_key())
    assert shown.startswith("ssh-ed25519 ")
    serialization.load_ssh_public_key(shown.encode())


def test_a_coordinator_founded_earlier_gets_its_key_once(tmp_path: Path) -> None:
    key = bundle.bundle_key(tmp_path)
    assert bundle.bundle_key(tmp_path) == key
    assert stat.S_IMODE((tmp_path / bundle.BUNDLE_KEY).stat().st_mode) == 0o600


def test_every_instrument_is_told_whom_to_trust_by_the_release_repository(coordinator: Coordinator) -> None:
    def metadata(name: str) -> dict:
        return instrument.client.get(f"/v1/releases/metadata/{name}").json()["signed"]

    instrument = enrol_over_http(coordinator, "trusting")
    snapshot = metadata("timestamp.json")["meta"]["snapshot.json"]["version"]
    version = metadata(f"{snapshot}.snapshot.json")["meta"]["targets.json"]["version"]
    digest = metadata(f"{version}.targets.json")["targets"][bundle.TRUST_TARGET]["hashes"]["sha256"]
    path = f"/v1/releases/targets/federation/{digest}.trusted-entities.json"
    key = (coordinator.data / "keys" / bundle.BUNDLE_KEY).read_bytes()
    assert instrument.client.get(path).json() == bundle.trusted_entities(key)
    with coordinator.client() as stranger:
        assert stranger.get(path).status_code == 401


@pytest.mark.timeout(200)
def test_a_site_runs_the_signed_bundle_and_refuses_an_unsigned_and_a_foreign_one(tmp_path: Path) -> None:
    settings = founded(tmp_path)
    own, foreign = bundle.bundle_key(settings.keys), generate_publisher_key()
    reports = {name: tmp_path / f"{name}.json" for name in ("unsigned", "foreign", "signed")}
    contents = {
        name: app_of(tmp_path / name, SERVER_APP, CLIENT_APP, {"report": str(path)})
        for name, path in reports.items()
    }
    bundles = {
        "unsigned": bundle.unsigned(contents["unsigned"]),
        "foreign": bundle.sign(contents["foreign"], foreign, NOW),
        "signed": bundle.sign(contents["signed"], own, NOW),
    }
    with (
        identities_of(settings) as identities,
        FlowerEngine(settings) as engine,
        front(settings, engine, identities) as port,
        _site(tmp_path / "site") as site,
    ):
        instrument = enrol(identities, "bench")
        engine.register(instrument.id, identities.find(instrument.id).public_key_pem)
        _start_supernode(site, tmp_path / "site", settings.tls / "ca.pem", port, instrument.key, own)
        with control.SuperLinkControl(engine.port, engine.authority, engine.database) as told:
            for each in bundles.values():
                told.store(each)
                told.start_run(each.sha256, {})
        until(lambda: all(path.exists() and path.read_text() for path in reports.values()), 150)
    answers = {name: json.loads(path.read_text()) for name, path in reports.items()}
    assert answers["signed"] == {"refused": None, "word": "ran", "name": instrument.id}
    for name in ("unsigned", "foreign"):
        assert "could not be verified" in answers[name]["refused"]
        assert answers[name]["word"] is None


def _site(folder: Path) -> Supervisor:
    folder.mkdir()
    programs = Path(sys.executable).parent
    return Supervisor(
        folder,
        {
            "FLWR_HOME": str(folder / "home"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.25",
            "NO_PROXY": "127.0.0.1",
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        },
    )


def _start_supernode(
    site: Supervisor, folder: Path, ca: Path, port: int, key: bytes, publisher: bytes
) -> None:
    """Start what a site starts: a SuperNode on the public port, and its SuperExec."""
    private = serialization.load_pem_private_key(key, None)
    (folder / "node.key").write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
    )
    (folder / "secret").write_bytes(secrets.token_bytes(32))
    (folder / "trusted.yaml").write_text(yaml.safe_dump(bundle.trusted_entities(publisher)))
    programs, runtime = Path(sys.executable).parent, f"127.0.0.1:{free_port()}"
    secret = ("--superexec-auth-secret-file", str(folder / "secret"))
    site.start(
        "supernode",
        [
            str(programs / "flower-supernode"),
            *("--superlink", f"127.0.0.1:{port}", "--root-certificates", str(ca)),
            *("--auth-supernode-private-key", str(folder / "node.key"), "--isolation", "process"),
            *("--host", "127.0.0.1", "--port", runtime.rpartition(":")[2]),
            *("--trusted-entities", str(folder / "trusted.yaml")),
            *secret,
        ],
    )
    site.start(
        "superexec",
        [
            str(programs / "flower-superexec"),
            "--insecure",
            *("--runtime-api-address", runtime),
            *secret,
        ],
    )
