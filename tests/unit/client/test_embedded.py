"""An embedded server, with a stand-in for the server's package."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loopbench_client import Client, EmbeddedServerError, embedded_server
from loopbench_client.embedded import REQUIRED


def test_it_serves_and_drains_with_the_block(server_package: Path) -> None:
    with embedded_server() as server, Client(server.address) as client:
        server.wait_ready(client)
        assert client.get_server_info().ready
    assert server.process.returncode == 0
    assert (server_package / "drained").exists()
    arguments = (server_package / "arguments").read_text()
    assert arguments == "--address 127.0.0.1:0 --metrics-address none --exit-on-stdin-eof"


def test_it_ends_when_its_owner_is_killed(server_package: Path) -> None:
    code = (
        "import sys\nfrom loopbench_client import embedded_server\n"
        "with embedded_server() as server:\n    print(server.process.pid, flush=True)\n    sys.stdin.read()"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with owner:
        assert owner.stdout is not None
        assert int(owner.stdout.readline())
        os.kill(owner.pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while not (server_package / "drained").exists():
        assert time.monotonic() < end, "the server outlived its owner"
        time.sleep(0.05)


def test_a_server_that_dies_shows_its_last_log_line(server_package: Path) -> None:
    (server_package / "__main__.py").write_text("import sys; sys.exit('the port is on fire')")
    with pytest.raises(EmbeddedServerError, match="exit code 1") as caught, embedded_server():
        pass
    assert "the port is on fire" in caught.value.message
    assert "--server" in caught.value.hint


def test_a_silent_server_is_given_up(server_package: Path) -> None:
    (server_package / "__main__.py").write_text("import sys; sys.stdin.read()")
    with pytest.raises(EmbeddedServerError, match="did not listen"), embedded_server(0.5):
        pass


def test_a_server_that_dies_before_it_is_ready_is_noticed(server_package: Path) -> None:
    (server_package / "__main__.py").write_text(
        "print('loopbench-server listening on 127.0.0.1:1', flush=True)\nraise SystemExit('no device')"
    )
    with embedded_server() as server, Client(server.address) as client:
        server.process.wait()
        with pytest.raises(EmbeddedServerError, match="no device"):
            server.wait_ready(client)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_base_install_says_what_to_do(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loopbench_client.embedded.find_spec", lambda asked: None if asked == name else object())
    with pytest.raises(EmbeddedServerError, match=name) as caught, embedded_server():
        pass
    assert "extra 'server'" in caught.value.hint
    assert "--server" in caught.value.hint
