"""Connections that TLS keeps from coming about, in words: gRPC says UNAVAILABLE of all of them."""

from typing import NamedTuple


class Trouble(NamedTuple):
    """What gRPC's text holds, what that means, and what to do about it."""

    mark: str
    meaning: str
    hint: str


ANOTHER_NAME = "the server's certificate is for another name than the one it was called by"
OWN_NAME = "call it by the name that the certificate is for"
# The first that fits counts.
FAILED_HANDSHAKES = (
    Trouble("is not in peer certificate", ANOTHER_NAME, OWN_NAME),
    Trouble("Hostname Verification", ANOTHER_NAME, OWN_NAME),
    Trouble(
        "CERTIFICATE_VERIFY_FAILED",
        "the server's certificate is not one that is trusted here",
        "name the CA that signed it by --tls-ca or LOOPBENCH_TLS_CA, in Python Tls(ca=…); either may have expired too",
    ),
    Trouble("WRONG_VERSION_NUMBER", "what answers there does not speak TLS", "leave TLS out where the server has none"),
    Trouble("handshake failed", "the TLS handshake failed", "the server's log may say more"),
)
# A server with TLS closes the connection without a word; so may others.
HUNG_UP = "Socket closed"
# What gRPC says first where none of the addresses takes a connection.
UNCONNECTED = ("failed to connect", "connections to all backends failing")
FLAGS = "--tls or --tls-ca, and --tls-client-certificate if it asks for one"
HUNG_UP_HINT = f"it hangs up at once: a server with TLS needs {FLAGS}"
# Of a name with several addresses, gRPC's text has the last one only: another one may have hung up.
UNCONNECTED_HINT = (
    f"check the address, and whether a server runs there (loopbench-server); a server with TLS needs {FLAGS}"
)


def failed_handshake(text: str) -> Trouble | None:
    """What kept TLS from coming about, where ``text``, gRPC's, says so."""
    return next((trouble for trouble in FAILED_HANDSHAKES if trouble.mark in text), None)


def hint_on(text: str) -> str:
    """What to try after a failed connection; empty where gRPC's ``text`` is about something else."""
    if not text.startswith(UNCONNECTED):
        return ""
    return HUNG_UP_HINT if HUNG_UP in text else UNCONNECTED_HINT
