"""The coordinator's certificates hold in a real TLS handshake, for their hosts and their CA only."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from model_library.errors import SignatureError
from model_library.signing.certificates import create_ca, fingerprint, issue_server_certificate
from model_library.signing.digests import sha256_bytes, sha256_file

NOW = datetime.now(UTC)
CA = create_ca(NOW)
SERVER = issue_server_certificate(CA, ["localhost", "127.0.0.1"], NOW)


def shake_hands(tmp_path, server, ca, host):
    """A TLS handshake in memory, each side checking what it would check on a wire."""
    for name, content in {"cert.pem": server.certificate_pem, "key.pem": server.key_pem}.items():
        (tmp_path / name).write_bytes(content)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    theirs = ssl.create_default_context(cadata=ca.certificate_pem.decode())
    theirs.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        theirs.wrap_bio(to_client, to_server, server_hostname=host),
        ours.wrap_bio(to_server, to_client, server_side=True),
    ]
    while sides:
        for side in list(sides):
            try:
                side.do_handshake()
                sides.remove(side)
            except ssl.SSLWantReadError:
                pass


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_server_is_believed_on_its_hosts(tmp_path, host):
    shake_hands(tmp_path, SERVER, CA, host)


def test_the_server_is_not_believed_elsewhere_or_under_another_ca(tmp_path):
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, SERVER, CA, "elsewhere.example")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, SERVER, create_ca(NOW), "localhost")


def test_an_expired_server_is_not_believed(tmp_path):
    old = issue_server_certificate(CA, ["localhost"], NOW - timedelta(days=400))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        shake_hands(tmp_path, old, CA, "localhost")


def test_the_fingerprint_is_that_of_the_der_form():
    der = ssl.PEM_cert_to_DER_cert(CA.certificate_pem.decode())
    assert fingerprint(CA.certificate_pem) == fingerprint(CA.certificate_pem.decode()) == sha256_bytes(der)
    assert fingerprint(create_ca(NOW).certificate_pem) != fingerprint(CA.certificate_pem)
    with pytest.raises(SignatureError):
        fingerprint(b"no certificate")


def test_the_ca_signs_servers_and_no_further_ca():
    constraints = x509.load_pem_x509_certificate(CA.certificate_pem).extensions.get_extension_for_class(
        x509.BasicConstraints
    )
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)


def test_a_server_without_hosts_is_refused():
    with pytest.raises(SignatureError, match="host name"):
        issue_server_certificate(CA, [], NOW)


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc" * 100_000)
    assert sha256_file(path) == sha256_bytes(path.read_bytes())
    assert sha256_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
