"""Runs a server, Prometheus and a small load on this machine, until Ctrl-C."""

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from loopbench_client import Client, LoopbenchError
from scripts.observe.load import rounds
from scripts.observe.prometheus import PrometheusError, prometheus

DASHBOARDS = Path("k8s") / "monitoring" / "dashboards"
SECONDS_TO_READY = 120
SECONDS_BETWEEN_SCRAPES = 5
GUIDE = """\
server      {server}
metrics     http://{metrics}/metrics
Prometheus  http://{prometheus}  (rules: /rules, alerts: /alerts)

In Grafana add a data source of the kind Prometheus with that address, then import the files in {dashboards}/
(Dashboards, New, Import) and choose that data source. Ctrl-C ends all of it.
"""


class ServerEndedError(Exception):
    """The server has ended by itself, or somebody has killed it."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make observe OBSERVE_FLAGS=…", description=__doc__)
    parser.add_argument("--address", default="127.0.0.1:50051", help="where the server listens (%(default)s)")
    parser.add_argument("--metrics-address", default="127.0.0.1:9464", help="where its metrics are (%(default)s)")
    parser.add_argument("--prometheus-address", default="127.0.0.1:9090", help="where Prometheus is (%(default)s)")
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between steps of the load (%(default)s)")
    return parser.parse_args()


@contextmanager
def _server(folder: Path, address: str, metrics_address: str) -> Iterator[str]:
    """Run a server that keeps its data in ``folder``, and yield its address when it listens."""
    command = [sys.executable, "-m", "loopbench_server", "--exit-on-stdin-eof", "--drain-seconds", "0"]
    command += ["--address", address, "--metrics-address", metrics_address]
    command += ["--store-url", f"sqlite:///{folder / 'runs.db'}", "--tensorboard-dir", str(folder / "tensorboard")]
    with (folder / "server.log").open("w") as log:
        # A separate session, so that Ctrl-C reaches this process only.
        process = subprocess.Popen(  # noqa: S603  # nosec B603  # fixed, but for the addresses
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            sys.exit(f"the server does not start: {(folder / 'server.log').read_text().strip()}")
        with _raised_end(process):
            yield line.rpartition(" ")[2].strip()
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def _raised_end(server: subprocess.Popen[str]) -> Iterator[None]:
    """Raise ServerEndedError in the main thread when ``server`` ends.

    The client would ask for its run for a minute and a half: another server could take it over. Here there is none.
    """

    def check(_number: int, _frame: FrameType | None) -> None:
        if server.poll() is not None:
            raise ServerEndedError(f"the server has ended with exit status {server.returncode}")

    signal.signal(signal.SIGCHLD, check)
    try:
        check(signal.SIGCHLD, None)  # It may have ended before.
        yield
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _observe(given: argparse.Namespace, folder: Path) -> None:
    with (
        _server(folder, given.address, given.metrics_address) as address,
        prometheus(
            folder,
            given.prometheus_address,
            {"loopbench": given.metrics_address},
            seconds=SECONDS_BETWEEN_SCRAPES,
        ),
        Client(address) as client,
    ):
        client.wait_ready(SECONDS_TO_READY)
        print(
            GUIDE.format(
                server=address,
                metrics=given.metrics_address,
                prometheus=given.prometheus_address,
                dashboards=DASHBOARDS,
            ),
            flush=True,
        )
        for done in rounds(client):
            print(done, flush=True)
            time.sleep(given.pause)


def main() -> None:
    """Run until Ctrl-C or SIGTERM; an error ends it with one line."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with TemporaryDirectory(prefix="loopbench-observe-") as folder:
        try:
            _observe(_arguments(), Path(folder))
        except KeyboardInterrupt:
            print("ended")
        except (LoopbenchError, PrometheusError, ServerEndedError) as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
