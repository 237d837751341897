"""Which addresses are this machine's own; both sides judge by the same rule."""

import re
import socket
from ipaddress import ip_address

UNIX = "unix:"
# HOST:PORT; an IPv6 host stands in brackets, or its last group would pass for the port.
HOST_PORT = re.compile(r"(?:\[(?P<ipv6>[^\]\s]+)\]|(?P<host>[^:\[\]\s]+)):(?P<port>[0-9]+)")
LARGEST_PORT = 65_535


def is_host_port(address: str) -> bool:
    """Whether a server can listen on ``address``, as HOST:PORT; it takes a free port for port 0."""
    found = HOST_PORT.fullmatch(address)
    return found is not None and int(found["port"]) <= LARGEST_PORT


def is_loopback(address: str) -> bool:
    """Whether ``address``, HOST:PORT or unix:PATH, is for this machine alone; False where that is unclear."""
    if address.startswith(UNIX):
        return True
    found = HOST_PORT.fullmatch(address)
    if found is None:
        return False
    host = found["ipv6"] or found["host"]
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def loopback_host() -> str:
    """An address of this machine alone: 127.0.0.1, or ::1 where the machine has no IPv4."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError:
        return "::1"
    return "127.0.0.1"
