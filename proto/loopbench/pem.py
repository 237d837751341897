"""Checks of PEM files for TLS. gRPC accepts any bytes, and then every handshake fails."""

import ssl
from pathlib import Path


def holds_certificate(content: bytes) -> bool:
    """Whether ``content``, the bytes of a file, holds at least one certificate in PEM form."""
    try:
        # Bundles of CAs have names in other characters between the certificates.
        ssl.create_default_context(cadata=content.decode("ascii", "ignore"))
    except (ValueError, ssl.SSLError):
        return False
    return bool(content)


def is_pair(certificate: Path | str, key: Path | str) -> bool:
    """Whether the file ``key`` holds the unencrypted PEM key of the certificate in the file ``certificate``."""
    try:
        # Without a password OpenSSL would ask for one on the terminal where the key is encrypted.
        ssl.create_default_context().load_cert_chain(certificate, key, password="")  # nosec B106  # none
    except (ssl.SSLError, OSError):
        return False
    return True
