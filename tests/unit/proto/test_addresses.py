import pytest

from loopbench.addresses import is_loopback
from loopbench_server.security.bind_policy import find_missing_protection

OURS = ["127.0.0.1:1", "127.9.9.9:1", "localhost:1", "LocalHost:1", "[::1]:1", "unix:/run/x.sock", "unix:x"]
OF_OTHERS = [
    "0.0.0.0:1",
    "[::]:1",
    "10.0.0.1:1",
    "example.org:1",
    "localhost.example.org:1",
    "127.0.0.1.example.org:1",
    "[::ffff:10.0.0.1]:1",
    # An ambiguous address is not trusted.
    "::1:1",
    "127.1:1",
    "*:1",
    ":1",
    "dns:///localhost:1",
    "dns:///example.org/localhost:1",
    "127.0.0.1",
    "",
]


@pytest.mark.parametrize("address", OURS)
def test_these_addresses_are_local(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize("address", OF_OTHERS)
def test_all_other_addresses_are_public(address: str) -> None:
    assert not is_loopback(address)


@pytest.mark.parametrize("address", OURS)
def test_loopback_requires_no_access(address: str) -> None:
    assert find_missing_protection(address, tls=False, tokens=False, insecure=False) == []


@pytest.mark.parametrize(
    ("tls", "tokens", "flags"),
    [
        (True, True, []),
        (False, True, ["--tls-certificate"]),
        (True, False, ["--tokens-file"]),
        (False, False, ["--tls-certificate", "--tokens-file"]),
    ],
)
def test_public_addresses_require_tls_and_tokens_unless_insecure(tls: bool, tokens: bool, flags: list[str]) -> None:
    lacking = find_missing_protection("0.0.0.0:1", tls=tls, tokens=tokens, insecure=False)
    assert len(lacking) == len(flags)
    assert all(flag in line for flag, line in zip(flags, lacking, strict=True))
    assert find_missing_protection("0.0.0.0:1", tls=tls, tokens=tokens, insecure=True) == []
