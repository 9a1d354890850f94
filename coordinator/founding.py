"""Founding a coordinator: settings, certificate authority, keys, database, release repository, operator."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from coordinator.errors import NotFounded
from coordinator.federation.bundle import bundle_key
from coordinator.releases import repository, roles
from coordinator.settings import ACCESS_KEY, read_settings, settings_text
from coordinator.store.database import Database
from coordinator.store.identities import Identities
from model_library.images.durable import write_durably
from model_library.signing.certificates import create_ca, fingerprint, issue_server_certificate
from model_library.signing.keys import generate_secret

CA, CA_KEY, SERVER, SERVER_KEY = "ca.pem", "ca.key", "server.pem", "server.key"
OPERATOR_TOKEN = "operator.token"  # noqa: S105
_FINGERPRINT_DIGITS = 32


def found(data: Path, hosts: Sequence[str], port: int, now: float) -> None:
    """Write everything that a new coordinator needs; the settings come last and mark it complete.

    Raises
    ------
    NotFounded
        A coordinator is here already.
    """
    if (data / "settings.toml").exists():
        message = (
            f"expected a folder without a coordinator, found one in {data}; serve it, or name another folder"
        )
        raise NotFounded(message)
    for name in ("tls", "keys", "objects", "uploads", "networks"):
        (data / name).mkdir(parents=True, exist_ok=True)
    (data / "keys").chmod(0o700)
    moment = datetime.fromtimestamp(now, UTC)
    authority = create_ca(moment)
    server = issue_server_certificate(authority, hosts, moment)
    write_durably(data / "tls" / CA, authority.certificate_pem)
    write_durably(data / "keys" / CA_KEY, authority.key_pem, mode=0o600)
    write_durably(data / "tls" / SERVER, server.certificate_pem)
    write_durably(data / "keys" / SERVER_KEY, server.key_pem, mode=0o600)
    write_durably(data / "keys" / ACCESS_KEY, generate_secret(), mode=0o600)
    bundle_key(data / "keys")
    repository.found(data / "releases", roles.make_keys(data / "keys"), now)
    database = Database(data / "synoptic.sqlite")
    database.create_tables()
    token = Identities(database).new_operator_token(now)
    database.close()
    write_durably(data / OPERATOR_TOKEN, token.encode(), mode=0o600)
    write_durably(data / "settings.toml", settings_text(hosts, port).encode())


def enrolment_token(identities: Identities, data: Path, now: float, life_s: float) -> str:
    """Make a one-time token that also names the CA which a site is to trust."""
    secret = identities.new_enrol_token(now, life_s)
    return f"{secret}.{fingerprint((data / 'tls' / CA).read_bytes())[:_FINGERPRINT_DIGITS]}"


def new_enrolment_token(data: Path, now: float) -> str:
    """Make an enrolment token beside a server that may be running.

    Raises
    ------
    NotFounded
        The folder holds no coordinator.
    """
    settings = read_settings(data)
    database = Database(settings.database)
    try:
        return enrolment_token(Identities(database), settings.data, now, settings.enrol_token_life_s)
    finally:
        database.close()
