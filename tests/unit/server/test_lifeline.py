"""A worker process ends with its server, however the server ends."""

import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Literal

import pytest

from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.protocol import Task
from loopbench_server.workers.stop_signals import STOP_SIGNALS

# Exit code of a worker that has lost its server.
ORPHANED = 70
SECONDS_TO_END = 60
# A worker without TensorFlow. It prepares at once, and a task DESCRIBE never ends and never sends anything.
PROGRAM = """
import sys, threading
from multiprocessing.connection import Connection
from loopbench_server.workers import process
from loopbench_server.workers.protocol import Prepared

process.HANDLERS["prepare"] = lambda *_: [Prepared().model_dump_json().encode()]
process.HANDLERS["describe"] = lambda *_: threading.Event().wait()
process.main(*(Connection(int(number)) for number in sys.argv[1:]))
"""


@pytest.fixture
def worker() -> Iterator[tuple[subprocess.Popen[bytes], Connection, Connection]]:
    """A worker process, with the server's ends of its task pipe and of its result pipe."""
    (orders_in, orders), (answers, answers_out) = Pipe(duplex=False), Pipe(duplex=False)
    theirs = (orders_in.fileno(), answers_out.fileno())
    with orders, answers:
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, *map(str, theirs)], pass_fds=theirs)
        orders_in.close()
        answers_out.close()
        try:
            yield process, orders, answers
        finally:
            process.kill()
            process.wait()


def test_a_worker_without_a_task_ends_with_its_server(
    worker: tuple[subprocess.Popen[bytes], Connection, Connection],
) -> None:
    process, orders, _ = worker
    orders.close()
    assert process.wait(SECONDS_TO_END) == ORPHANED


def test_a_worker_that_sends_nothing_ends_with_its_server(
    worker: tuple[subprocess.Popen[bytes], Connection, Connection],
) -> None:
    process, orders, answers = worker
    send(orders, Task(kind="describe", config=WorkerConfig()))
    assert b"started" in answers.recv_bytes()
    assert process.poll() is None
    orders.close()
    assert process.wait(SECONDS_TO_END) == ORPHANED


def test_a_worker_ignores_signals_to_the_group_and_ends_with_its_server(
    worker: tuple[subprocess.Popen[bytes], Connection, Connection],
) -> None:
    process, orders, answers = worker
    send(orders, Task(kind="describe", config=WorkerConfig()))
    assert b"started" in answers.recv_bytes()
    for number in STOP_SIGNALS:
        process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    orders.close()
    assert process.wait(SECONDS_TO_END) == ORPHANED


@pytest.mark.parametrize("second", [None, "describe"])
def test_a_standby_worker_ends_with_its_server(
    worker: tuple[subprocess.Popen[bytes], Connection, Connection], second: Literal["describe"] | None
) -> None:
    process, orders, answers = worker
    send(orders, Task(kind="prepare", config=WorkerConfig()))
    assert [b"started" in answers.recv_bytes(), b"prepared" in answers.recv_bytes()] == [True, True]
    if second:
        send(orders, Task(kind=second, config=WorkerConfig()))
        assert b"started" in answers.recv_bytes()
    assert process.poll() is None
    orders.close()
    assert process.wait(SECONDS_TO_END) == ORPHANED


def send(orders: Connection, task: Task) -> None:
    orders.send_bytes(task.model_dump_json().encode())
    orders.send_bytes(b"")
