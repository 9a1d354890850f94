"""The coordinator's own certificate authority, and its server certificate (RFC 5280)."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from model_library.errors import SignatureError

CA_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=397)
BACKDATED = timedelta(hours=1)
"""Certificates start in the past, for instruments whose clocks are slow."""


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate and its private key (ECDSA, P-256), both PEM; the key is unencrypted PKCS#8."""

    certificate_pem: bytes
    key_pem: bytes


def create_ca(now: datetime) -> IssuedCertificate:
    """Make a self-signed certificate authority, valid ten years, that can sign servers only.

    Parameters
    ----------
    now
        With time zone.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Synoptic coordinator CA")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _builder(name, name, key.public_key(), now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
    )
    return IssuedCertificate(*_signed(builder, key, key))


def issue_server_certificate(
    ca: IssuedCertificate, hostnames: Sequence[str], now: datetime
) -> IssuedCertificate:
    """Make a server certificate for host names and IP addresses, valid 397 days.

    Parameters
    ----------
    ca
        From `create_ca`.
    hostnames
        DNS names or IP addresses, at least one.
    now
        With time zone.

    Raises
    ------
    SignatureError
        No host names, or a CA whose parts cannot be read.
    """
    if not hostnames:
        raise SignatureError("expected at least one host name, found none; name the coordinator's host")
    try:
        issuer = x509.load_pem_x509_certificate(ca.certificate_pem)
        ca_key = serialization.load_pem_private_key(ca.key_pem, password=None)
    except (ValueError, TypeError) as error:
        raise SignatureError(f"expected a CA as PEM, found {error}; initialise again") from error
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise SignatureError("expected an ECDSA key of the CA, found another kind; initialise again")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostnames[0][:64])])
    alternatives = x509.SubjectAlternativeName([_general_name(host) for host in hostnames])
    builder = (
        _builder(name, issuer.subject, key.public_key(), now, SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(alternatives, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
    )
    return IssuedCertificate(*_signed(builder, key, ca_key))


def fingerprint(pem: bytes | str) -> str:
    """SHA-256 of a certificate's DER form, 64 hexadecimal digits.

    Raises
    ------
    SignatureError
        Not a certificate.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode() if isinstance(pem, str) else pem)
    except ValueError as error:
        raise SignatureError(f"expected a certificate as PEM, found {error}; fetch it again") from error
    return certificate.fingerprint(hashes.SHA256()).hex()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
    )


def _signed(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey
) -> tuple[bytes, bytes]:
    certificate = builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate, private


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
