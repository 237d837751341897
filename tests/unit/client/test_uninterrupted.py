"""Ctrl-C ends the wait for a call of gRPC, but not the call."""

import os
import signal
import threading
from typing import Any

import pytest

from loopbench.spec import RunSpec
from loopbench_client import Client
from loopbench_client.uninterrupted import messages, uninterrupted

TIMEOUT_SECONDS = 30.0


@pytest.fixture(autouse=True)
def _ctrl_c_raises() -> Any:
    """Lets SIGINT raise KeyboardInterrupt, also where the test runner ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_function_reaches_its_end() -> None:
    released, ended = threading.Event(), threading.Event()

    def function() -> None:
        press_ctrl_c()
        released.wait(TIMEOUT_SECONDS)
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        uninterrupted(function)
    assert not ended.is_set()
    released.set()
    assert ended.wait(TIMEOUT_SECONDS)


@pytest.mark.parametrize("thread", ["main", "other"])
def test_results_and_errors_are_those_of_the_function(thread: str) -> None:
    seen: list[Any] = []

    def call() -> None:
        seen.extend(messages(iter([1, None, 2])))
        try:
            uninterrupted(lambda: 1 // 0)
        except ZeroDivisionError as error:
            seen.append(str(error))

    if thread == "main":
        call()
    else:
        other = threading.Thread(target=call)
        other.start()
        other.join()
    assert seen == [1, None, 2, "integer division or modulo by zero"]


def test_the_channel_closes_after_an_interrupt(address: str, service: Any) -> None:
    service.hold = True

    def interrupt() -> None:
        assert service.held.wait(TIMEOUT_SECONDS)
        press_ctrl_c()

    with Client(address) as client:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            client.train(RunSpec())
        assert service.abandoned.wait(TIMEOUT_SECONDS)
