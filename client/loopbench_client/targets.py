"""Addresses that a client can call. gRPC would resolve others for seconds, and call port 443 where there is none."""

import os
import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from loopbench.addresses import HOST_PORT, LARGEST_PORT

LONGEST_HOST = 253
# Bytes that Linux stores of the path of a socket.
LONGEST_PATH = 107
FORMS = "such as 127.0.0.1:50051, [::1]:50051 or unix:/run/loopbench.sock"
LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
# gRPC takes them for schemes, and not for hosts. It resolves them only in special environments.
NO_HOSTS = frozenset({"xds", "vsock", "google-c2p", "google-c2p-experimental"})


def check_target(address: str) -> str:
    """Returns an address that a client can call.

    Raises:
        ValueError: it has neither a scheme that the client supports, nor the form HOST:PORT.
    """
    scheme, _, path = address.partition(":")
    fault = SCHEMES[scheme](path) if scheme in SCHEMES else _fault_of_address(address)
    if fault:
        raise ValueError(f"{address!r} {fault}")
    return address


def _fault_of_address(address: str) -> str:
    if "://" in address:
        return f"is a URL: give HOST:PORT, {FORMS}"
    return _fault_of_host_port(address)


def _fault_of_host_port(text: str) -> str:
    found = HOST_PORT.fullmatch(text)
    if found is None or not (_is_ip(found["ipv6"], IPv6Address) if found["ipv6"] else _is_host(found["host"])):
        return f"is not of the form HOST:PORT, {FORMS}"
    return "" if 0 < int(found["port"]) <= LARGEST_PORT else f"has a port that is not between 1 and {LARGEST_PORT:,}"


def _is_host(host: str) -> bool:
    labels = host.removesuffix(".").split(".")
    if len(host) > LONGEST_HOST or host in NO_HOSTS or not all(map(LABEL.fullmatch, labels)):
        return False
    return not labels[-1].isdecimal() or _is_ip(host, IPv4Address)


def _is_ip(host: str, kind: type[IPv4Address | IPv6Address]) -> bool:
    try:
        kind(host)
    except AddressValueError:
        return False
    return host.isascii() and host.isprintable() and " " not in host


def _fault_of_name(path: str) -> str:
    """``dns:///HOST:PORT`` or ``dns:HOST:PORT``, where every address of the host is a server."""
    if path.startswith("//") and not path.startswith("///"):
        return "names a DNS server, which the client does not support: give dns:///HOST:PORT"
    return _fault_of_host_port(path.removeprefix("///"))


def _fault_of_ips(path: str) -> str:
    """``ipv4:HOST:PORT,HOST:PORT``: several servers."""
    return next(filter(None, map(_fault_of_host_port, path.split(","))), "")


def _fault_of_path(path: str) -> str:
    if not path.strip("/"):
        return "names no socket: give unix:PATH"
    return "" if len(os.fsencode(path)) <= LONGEST_PATH else f"is longer than {LONGEST_PATH} bytes"


# By the scheme of gRPC: the fault of the rest of the address.
SCHEMES: dict[str, Callable[[str], str]] = {
    "dns": _fault_of_name,
    "ipv4": _fault_of_ips,
    "ipv6": _fault_of_ips,
    "unix": _fault_of_path,
    "unix-abstract": _fault_of_path,
}
