"""Checks an address before a server listens on it.

gRPC replaces the socket of another server, and is content with one of the addresses that a name stands for.
"""

import errno
import os
import socket
from urllib.parse import unquote

from loopbench.addresses import UNIX

# Errors of an address that a name stands for and this machine does not have.
ABSENT = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
# Errors of a path without a server: nothing is there, or the socket of a killed server.
UNUSED = frozenset({errno.ENOENT, errno.ECONNREFUSED})


def check_free(address: str) -> None:
    """Check that a server can listen on ``address``, HOST:PORT or unix:PATH.

    Raises:
        OSError: another program listens there, the host is not this machine, or the system refuses the address.
    """
    if address.startswith(UNIX):
        _check_path(unquote(address.removeprefix(UNIX)))
    else:
        host, _, port = address.rpartition(":")
        _check_port(host.strip("[]"), int(port))


def _check_path(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # A server with a full queue would let the probe wait.
        probe.setblocking(False)
        error = probe.connect_ex(path)
    if error not in UNUSED:
        # 0: the probe was connected. EAGAIN: the server is busy.
        number = errno.EADDRINUSE if error in (0, errno.EAGAIN) else error
        raise OSError(number, os.strerror(number))


def _check_port(host: str, port: int) -> None:
    """Check all addresses of ``host``, except for those that this machine does not have."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:
        raise OSError(errno.EINVAL, "not a host name") from error
    absent = []
    for family, kind, _, _, address in found:
        try:
            with socket.socket(family, kind) as probe:
                # Connections of a server that has ended do not count.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            if error.errno not in ABSENT:
                raise
            absent.append(error)
    if len(absent) == len(found):
        raise absent[0]
