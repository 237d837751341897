"""A server, a Prometheus that scrapes it, and a scripted set of calls."""

import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from loopbench_client import Client, Tls
from loopbench_server.security.tokens import Role, new_token
from scripts.observe.prometheus import Prometheus, prometheus
from tests.support.certificates import Authority, Pair
from tests.support.postgresql import free_port
from tests.support.servers import SECONDS_TO_READY, ServerProcess, eventually, start_server, stop_server

from .scripted_calls import FIRST, QUEUE_SIZE, SLOTS, CallResults, run_scripted_calls

NAMESPACE = "here"
# A longer scrape leaves all series stale until the next one.
SECONDS_BETWEEN_SCRAPES = 2


@dataclass
class Watched:
    """A server with its certificate's pair, the Prometheus that watches it, and the results of the scripted calls.

    ``start`` and ``end`` of the calls are seconds since 1970.
    """

    server: ServerProcess
    prometheus: Prometheus
    start: float
    end: float
    results: CallResults
    pair: Pair

    def value(self, expression: str) -> float:
        """Value of the only series of ``expression`` at the end; 0 without a series."""
        found = self.prometheus.query(expression, self.end)
        assert len(found) < 2, found
        return float(found[0]["value"][1]) if found else 0.0


def metrics_address(server: ServerProcess) -> str:
    (listening,) = (event for event in server.events() if event["event"] == "listening")
    return str(listening["metrics_address"])


def scraped(server: ServerProcess) -> str:
    """The current page of the server's metrics port."""
    with urllib.request.urlopen(f"http://{metrics_address(server)}/metrics", timeout=60) as response:
        return str(response.read().decode())


@pytest.fixture(scope="session")
def prometheus_tools() -> None:
    """Skips the test if Prometheus or promtool is missing."""
    for tool in ("prometheus", "promtool"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: run make prometheus")


def _server(folder: Path, tokens: dict[str, str], pair: Pair, *more: str) -> ServerProcess:
    made = {role: new_token(role, Role[role.upper()]) for role in ("read", "write")}
    (folder / "tokens").write_text("".join(f"{token.line}\n" for _, token in made.values()))
    tokens.update({role: secret for role, (secret, _) in made.items()})
    limits = ("--slots", str(SLOTS), "--queue-size", str(QUEUE_SIZE), "--drain-seconds", "0")
    flags = ("--metrics-address", "127.0.0.1:0", "--tokens-file", str(folder / "tokens"), *pair.flags)
    return start_server(folder, *limits, *flags, *more)


@pytest.fixture(scope="session")
def watched(
    prometheus_tools: None,  # noqa: ARG001  skips
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Watched]:
    """The server and Prometheus after the scripted calls and their scrape."""
    folder, tokens = tmp_path_factory.mktemp("watched"), dict[str, str]()
    authority = Authority(folder / "ca")
    pair = authority.issue("server")
    _train_before_an_upgrade(folder, authority, pair)
    server = _server(folder, tokens, pair)
    try:
        address, jobs = f"127.0.0.1:{free_port()}", {"loopbench": metrics_address(server)}
        labels = {"namespace": NAMESPACE}
        with prometheus(folder, address, jobs, seconds=SECONDS_BETWEEN_SCRAPES, labels=labels) as asked:
            start = time.time()
            results, end = _run_scripted_calls(server, asked, authority, tokens)
            yield Watched(server, asked, start, end, results, pair)
    finally:
        stop_server(server)


def _train_before_an_upgrade(folder: Path, authority: Authority, pair: Pair) -> None:
    """Trains the first of the scripted specs into the same store, on a server of another commit."""
    before, tokens = folder / "before", dict[str, str]()
    before.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOPBENCH_SOURCE_REVISION", "before")
        server = _server(before, tokens, pair, "--store-url", f"sqlite:///{folder / 'runs.db'}")
    try:
        with Client(server.address, token=tokens["write"], tls=Tls(ca=authority.certificate)) as client:
            client.wait_ready(SECONDS_TO_READY)
            client.train(FIRST)
    finally:
        stop_server(server)


def _run_scripted_calls(
    server: ServerProcess, asked: Prometheus, authority: Authority, tokens: dict[str, str]
) -> tuple[CallResults, float]:
    """The results of the calls, and a time at which Prometheus has scraped all of them."""
    with Client(server.address, token=tokens["read"], tls=Tls(ca=authority.certificate)) as client:
        client.wait_ready(SECONDS_TO_READY)
    eventually(_seen(asked, "loopbench_ready == 1"))
    busy = (
        f"loopbench_runs_running == {SLOTS} and loopbench_queue_depth == {QUEUE_SIZE} "
        f"and loopbench_worker_processes >= {SLOTS}"
    )
    results = run_scripted_calls(server.address, authority.certificate, tokens, lambda: eventually(_seen(asked, busy)))
    # Plus the failed run. The store is polled last.
    eventually(_seen(asked, f"sum(loopbench_stored_runs_total) == {len(results.runs) + results.cancelled + 1}"))
    eventually(_seen(asked, "namespace:loopbench_runs_failed:ratio_rate15m > 0"))
    return results, _scraped_since(asked, time.time())


def _seen(asked: Prometheus, expression: str) -> Callable[[], bool]:
    return lambda: bool(asked.query(expression, time.time()))


def _scraped_since(asked: Prometheus, start: float) -> float:
    """The time of a scrape after ``start``, once queries return it."""
    seen = [start]

    def scraped_again() -> bool:
        seen.extend(float(found["value"][1]) for found in asked.query("timestamp(loopbench_ready)", time.time()))
        return seen[-1] > start

    eventually(scraped_again)
    # Samples are visible from their time in milliseconds; a later failed scrape has none.
    return seen[-1] + 0.001
