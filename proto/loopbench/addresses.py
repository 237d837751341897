"""Which addresses are this machine's own; both sides judge by the same rule."""

import re
from ipaddress import ip_address

UNIX = "unix:"
# HOST:PORT; an IPv6 host stands in brackets, or its last group would pass for the port.
HOST_PORT = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<host>[^:\[\]]+)):\d{1,5}")


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
