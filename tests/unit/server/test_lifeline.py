"""A worker process ends with its server, however the server ends."""

import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import pytest

from loopbench_server.worker_config import WorkerConfig
from loopbench_server.workers.protocol import Task

# Exit code of a worker that has lost its server.
ORPHANED = 70
SECONDS_TO_END = 60
# A worker without TensorFlow, whose task never ends and never sends anything.
PROGRAM = """
import sys, threading
from multiprocessing.connection import Connection
from loopbench_server.workers import process

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
    orders.send_bytes(Task(kind="describe", config=WorkerConfig()).model_dump_json().encode())
    orders.send_bytes(b"")
    assert b"started" in answers.recv_bytes()
    assert process.poll() is None
    orders.close()
    assert process.wait(SECONDS_TO_END) == ORPHANED
