"""Hosts without IPv4 and without a name that can be resolved."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

# A separate network with only ::1, and a host name without an address.
APART = [
    *("unshare", "--net", "--uts", "sh", "-c"),
    'ip link set lo up && ip address del 127.0.0.1/8 dev lo && hostname nobody-knows-this.invalid && exec "$@"',
    "sh",
]
PROGRAM = """
import socket, sys
from pathlib import Path
from loopbench.spec import Dataset, Method, RunSpec
from loopbench_client import Client
from tests.chaos.server_under_test import ServerUnderTest

try:
    socket.gethostbyname(socket.gethostname())
except OSError:
    pass
else:
    sys.exit("the name can be resolved")
folder = Path(sys.argv[1])
server = ServerUnderTest(folder, f"sqlite:///{folder / 'runs.db'}", "--health-address", "[::1]:0")
server.address = "[::1]:0"
server.start()
try:
    server.wait_ready()
    with Client(server.address) as client:
        for method in Method:
            run = client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1, method=method, tensorboard=True))
            print(run.state.name, run.result.weights_digest)
finally:
    assert server.stop() == 0
"""


def can_be_apart() -> bool:
    try:
        return subprocess.run([*APART, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture(autouse=True)
def _apart() -> None:
    if not can_be_apart():
        pytest.skip("a separate network needs root and iproute2")


def apart(*command: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*APART, *command], capture_output=True, text=True, check=False, timeout=timeout)


def test_a_server_on_a_host_without_ipv4_trains(tmp_path: Path) -> None:
    done = apart(sys.executable, "-c", PROGRAM, str(tmp_path))
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [state for state, _ in lines] == ["SUCCEEDED"] * 3
    assert len({digest for _, digest in lines}) == 1


def test_an_embedded_server_starts_on_a_host_without_ipv4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPBENCH_STORE_URL", f"sqlite:///{tmp_path / 'runs.db'}")
    words = ["train", "--dataset", "digits", "--epochs", "1"]
    done = apart(sys.executable, "-c", "from loopbench_client.cli import main; main()", *words)
    assert done.returncode == 0, done.stderr


def test_a_missing_address_is_named_with_the_cause(tmp_path: Path) -> None:
    flags = (
        "--address",
        "127.0.0.1:0",
        "--metrics-address",
        "none",
        "--store-url",
        f"sqlite:///{tmp_path / 'runs.db'}",
    )
    done = apart(sys.executable, "-m", "loopbench_server", *flags)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "loopbench-server: --address: cannot serve on 127.0.0.1:0: Cannot assign requested address"
    )
