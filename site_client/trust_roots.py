"""Whose certificates a site accepts: the coordinator's own CA, and more where a proxy looks into TLS.

What a proxy could change is checked again: releases are signed (TUF), updates and calls carry proof of
possession of the instrument's key, and weights are pinned by digest.
"""

import ssl
from pathlib import Path

from site_client.errors import SettingsError

COORDINATOR, SYSTEM = "coordinator", "system"


def trust_context(ca_file: Path, trust: str) -> ssl.SSLContext:
    """Make a context that trusts the coordinator's CA, and whom else the settings name.

    Parameters
    ----------
    ca_file
        The coordinator's CA, as `enrol` verified it against the token.
    trust
        `coordinator` for nobody else; `system` for whom the operating system trusts; else the path of
        a bundle of CA certificates in PEM form.

    Raises
    ------
    SettingsError
        The bundle is missing or holds no certificate.
    """
    context = ssl.create_default_context(cafile=str(ca_file))
    match trust:
        case "coordinator":
            pass
        case "system":
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        case bundle:
            try:
                context.load_verify_locations(cafile=bundle)
            except (OSError, ssl.SSLError) as error:
                raise SettingsError(
                    f"trust: expected {COORDINATOR}, {SYSTEM} or a file of CA certificates in PEM form,"
                    f" found {bundle} ({error}); correct the path"
                ) from error
    return context


def trusted_pem(ca_file: Path, trust: str) -> bytes:
    """List the same certificates as PEM text, for programs that want a file; refusals as `trust_context`."""
    found = trust_context(ca_file, trust).get_ca_certs(binary_form=True)
    return "".join(ssl.DER_cert_to_PEM_cert(certificate) for certificate in found).encode()
