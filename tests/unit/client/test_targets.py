"""Addresses of a server are checked before anything is resolved."""

from collections.abc import Callable

import pytest
from typer.testing import Result

from loopbench_client import Client
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_client.targets import check_target

GOOD = [
    "127.0.0.1:50051",
    "localhost:1",
    "loopbench_1.example.org.:65535",
    "[::1]:50051",
    "[fe80::1%eth0]:50051",
    "dns:///loopbench-headless:50051",
    "dns:loopbench:50051",
    "ipv4:127.0.0.1:1,127.0.0.1:2",
    "ipv6:[::1]:1",
    "unix:/run/loopbench.sock",
    "unix:///run/loopbench.sock",
    "unix:loopbench.sock",
    "unix-abstract:loopbench",
]
# By a part of the message.
BAD = {
    "HOST:PORT": [
        "",
        "127.0.0.1",
        ":50051",
        "user@localhost:50711",
        "a..b:1",
        "-a:1",
        "localhost\t:5",
        "local host:5",
        "127.0.0.1:\uff15\uff10",
        "127.0.0.256:1",
        "127.0.0.1:1 ",
        "::1:1",
        "[::g]:1",
        f"{'a' * 64}:1",
        "müller.example:1",
        "xds:50051",
        "xds:///foo",
        "http://127.0.0.1:50051",
        "dns:///localhost",
        "ipv4:127.0.0.1:1,a..b:1",
    ],
    "port that is not between 1 and 65,535": [
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "[::1]:99999",
        "dns:///localhost:700000",
    ],
    "DNS server": ["dns://8.8.8.8/foo:1"],
    "socket": ["unix:", "unix-abstract:"],
    "longer than 107 bytes": [f"unix:{'a' * 108}"],
}


@pytest.mark.parametrize("address", GOOD)
def test_a_server_can_have_this_address(address: str) -> None:
    assert check_target(address) == address


@pytest.mark.parametrize(("words", "address"), [(words, one) for words, addresses in BAD.items() for one in addresses])
def test_no_server_has_this_address(words: str, address: str) -> None:
    with pytest.raises(ValueError, match=words):
        Client(address)


@pytest.mark.parametrize("address", ["user@localhost:50711", "xds:///foo", "127.0.0.1:99999", ""])
def test_the_command_line_refuses_it(address: str, cli: Callable[..., Result]) -> None:
    done = cli("info", "--server", address)
    assert done.exit_code == ExitCode.BAD_INPUT
    assert "Invalid value for '--server'" in done.stderr
