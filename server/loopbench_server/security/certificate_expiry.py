"""Expiry time of a certificate."""

import math
import ssl
from pathlib import Path

# Python has no name for this flag of OpenSSL.
X509_V_FLAG_NO_CHECK_TIME = 0x200000


def read_expiry(certificate: Path, key: Path) -> float:
    """Return the expiry in seconds since 1970; NaN where no client would accept the certificate for a server.

    Python reads only the certificate of a peer, so the certificate is presented to a client in memory.
    """
    try:
        return ssl.cert_time_to_seconds(_handshake(certificate, key)["notAfter"])
    except (ssl.SSLError, OSError):
        return math.nan


def _handshake(certificate: Path, key: Path) -> dict[str, str]:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = _server(certificate, key).wrap_bio(to_server, to_client, server_side=True)
    client = _client(certificate).wrap_bio(to_client, to_server)
    while not (seen := _step(client)):
        _step(server)
    return seen


def _step(side: ssl.SSLObject) -> dict[str, str]:
    """Continue the handshake; return the peer's certificate once it has arrived."""
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return {}
    return side.getpeercert() or {}  # type: ignore[return-value]  # whose values are of several types


def _server(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Without a password OpenSSL would ask for one on the terminal where the key is encrypted.
    context.load_cert_chain(certificate, key, password="")  # nosec B106  # none
    return context


def _client(certificate: Path) -> ssl.SSLContext:
    """Return a context that trusts this certificate, whatever its issuer, name and time."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(certificate)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME
    return context
