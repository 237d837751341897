"""Metrics of the database, the worker processes and the certificate."""

import math
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from loopbench_server.errors import StoreFailedError
from loopbench_server.security.certificate_expiry import read_expiry
from loopbench_server.store.database import open_database
from loopbench_server.store.store import Store
from loopbench_server.telemetry.metrics.host import StoreMetrics
from loopbench_server.telemetry.metrics.workers import WorkerCollector
from loopbench_server.workers import process_name
from tests.support.certificates import Authority

from .conftest import LEASE


def test_transactions_are_timed_and_failures_counted(
    registry: CollectorRegistry, store_url: str, make_run: Any
) -> None:
    database = open_database(store_url)
    store = Store(database, "here", LEASE, StoreMetrics(registry))
    assert registry.get_sample_value("loopbench_store_errors_total") == 0
    store.add(make_run())
    assert store.add(make_run()).id == make_run().id, "there is such a row, and the database does its duty"
    assert registry.get_sample_value("loopbench_store_transaction_seconds_count") == 3
    assert registry.get_sample_value("loopbench_store_errors_total") == 0
    with database.begin() as connection:
        connection.execute(sa.text("DROP TABLE weights"))
    with pytest.raises(StoreFailedError):
        store.get_weights(make_run().id)
    assert registry.get_sample_value("loopbench_store_transaction_seconds_count") == 4
    assert registry.get_sample_value("loopbench_store_errors_total") == 1
    store.close()


# Stand-ins: an idle server, its forkserver, a busy child and grandchild, and a worker.
SERVER = """
import subprocess, sys
sys.exit(subprocess.run([sys.executable, "-c", *sys.argv[1:]]).returncode)
"""
FORKSERVER = """
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
print(worker.stdout.readline(), flush=True)
input()
worker.communicate()
print("ended", flush=True)
sys.stdin.read()
"""
WORKER = """
import sys, time
while time.process_time() < 0.3: pass
print("busy", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", SERVER, FORKSERVER, WORKER]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process
    process.communicate()


def test_workers_are_the_processes_below_the_forkserver(
    registry: CollectorRegistry, server: subprocess.Popen[str]
) -> None:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdout.readline()
    WorkerCollector(registry, psutil.Process(server.pid))
    assert registry.get_sample_value("loopbench_worker_processes") == 1
    memory = registry.get_sample_value("loopbench_worker_memory_bytes")
    assert memory is not None
    assert 1e6 < memory < 1e9
    used = registry.get_sample_value("loopbench_worker_cpu_seconds_total")
    assert used is not None
    assert used >= 0.2, "the kernel counts in ticks"
    server.stdin.write("\n")
    server.stdin.flush()
    while server.stdout.readline().strip() != "ended":
        pass
    assert registry.get_sample_value("loopbench_worker_processes") == 0
    assert registry.get_sample_value("loopbench_worker_memory_bytes") == 0
    assert registry.get_sample_value("loopbench_standby_processes") == 0
    after = registry.get_sample_value("loopbench_worker_cpu_seconds_total")
    assert after is not None
    assert after >= used, "what has ended still counts"


@pytest.mark.skipif(not Path("/proc/self/comm").exists(), reason="Linux names processes")
def test_a_worker_without_a_task_counts_as_standby(registry: CollectorRegistry) -> None:
    waiting = "from pathlib import Path\n" + f"Path('/proc/self/comm').write_text({process_name.STANDBY!r})\n" + WORKER
    command = [sys.executable, "-c", SERVER, FORKSERVER, waiting]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    WorkerCollector(registry, psutil.Process(process.pid))
    assert registry.get_sample_value("loopbench_standby_processes") == 1
    assert registry.get_sample_value("loopbench_worker_processes") == 0
    memory = registry.get_sample_value("loopbench_worker_memory_bytes")
    assert memory is not None
    assert memory > 1e6, "its memory counts"
    process.communicate()


@pytest.mark.parametrize("not_after", [datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)])
def test_the_expiry_of_a_certificate_is_read(not_after: datetime, tmp_path: Path) -> None:
    pair = Authority(tmp_path / "ca").issue("server", not_after)
    assert read_expiry(pair.certificate, pair.key) == not_after.timestamp()


def test_an_invalid_certificate_has_no_expiry(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("no PEM")
    assert math.isnan(read_expiry(tmp_path / "a", tmp_path / "a"))
    assert math.isnan(read_expiry(tmp_path / "absent", tmp_path / "absent"))
