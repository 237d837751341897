from collections.abc import Iterator
from typing import Any

import pytest

from loopbench_server.security.identity import caller, identify_caller, token_name


class Context:
    """A call from ``peer``, over TLS if a common name is given."""

    def __init__(self, peer: str, *common_name: bytes) -> None:
        self._peer = peer
        self._known = {"x509_common_name": list(common_name)} if common_name else {}

    def peer(self) -> str:
        return self._peer

    def auth_context(self) -> Any:
        return self._known


@pytest.fixture(autouse=True)
def _call() -> Iterator[None]:
    """Reset the token's name after each test, because a call leaves it in the context."""
    reset = token_name.set("")
    yield
    token_name.reset(reset)


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("ipv4:10.0.0.1:5050", "10.0.0.1"),
        ("ipv6:%5B2001:db8::1%5D:5050", "2001:db8::1"),
        ("ipv6:[::1]:5050", "::1"),
        ("unix:", "unix"),
        ("unix:/run/x", "unix"),
        ("", "unknown"),
    ],
)
def test_a_caller_without_credentials_is_its_host(peer: str, expected: str) -> None:
    context: Any = Context(peer)
    assert identify_caller(context) == caller() == expected


def test_a_token_identifies_before_a_certificate_before_a_host() -> None:
    context: Any = Context("ipv4:10.0.0.1:5050", b"alice")
    assert identify_caller(context) == "alice"
    token_name.set("ci")
    assert identify_caller(context) == "ci"


@pytest.mark.parametrize("name", [b"../../etc", b"a\nb", b"\xff\x00", "ü{}".encode(), b"x" * 10_000])
def test_a_certificate_name_is_shortened_and_escaped(name: bytes) -> None:
    context: Any = Context("ipv4:10.0.0.1:5050", name)
    text = identify_caller(context)
    assert 0 < len(text) <= 64
    assert not set(text) & set("/\\\n\0{}\"' ")
    assert text.isascii()
