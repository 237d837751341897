"""When a certificate expires."""

import math
import ssl
from pathlib import Path

# OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python has no name for.
X509_V_FLAG_NO_CHECK_TIME = 0x200000


def read_expiry(certificate: Path, key: Path) -> float:
    """In seconds since 1970; NaN where no client would take the certificate for a server's.

    Python tells of no certificate but that of a peer. So this one is shown to a client, in memory.
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
    """The certificate of the other side, once the handshake has come to it."""
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return {}
    return side.getpeercert() or {}  # type: ignore[return-value]  # whose values are of several types


def _server(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Without a password OpenSSL would ask for that of an encrypted key, on the terminal.
    context.load_cert_chain(certificate, key, password="")  # nosec B106  # none
    return context


def _client(certificate: Path) -> ssl.SSLContext:
    """One that trusts this certificate, whoever has signed it, and whatever name and time it is for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(certificate)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME
    return context
