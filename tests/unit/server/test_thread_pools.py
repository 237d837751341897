"""All threads start with the server, and each kind of work has a separate pool."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from loopbench_server import blocking
from loopbench_server.blocking import (
    run_blocking,
    run_blocking_detached,
    run_blocking_for_run,
    run_blocking_read,
    run_blocking_reserved,
    start_threads,
)

PROCESSES = 3
KINDS = (run_blocking, run_blocking_read, run_blocking_for_run, run_blocking_reserved)


@pytest.fixture
def started() -> None:
    start_threads(PROCESSES)


def kinds() -> dict[str, int]:
    names = [thread.name.partition("_")[0] for thread in threading.enumerate()]
    return {kind: names.count(kind) for kind in ("store", "reads", "runs", "reserved", "processes")}


@pytest.mark.usefixtures("started")
async def test_all_threads_start_before_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    there = kinds()
    assert there.pop("processes") >= PROCESSES
    assert there == {
        "store": blocking.STORE_THREADS,
        "reads": blocking.READ_THREADS,
        "runs": blocking.RUN_THREADS,
        "reserved": blocking.RESERVED_THREADS,
    }

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for call in KINDS:
        assert await asyncio.gather(*(call(abs, -number) for number in range(100))) == [*range(100)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("started")
async def test_each_thread_pool_works_while_all_others_are_blocked(kind: Any) -> None:
    may_end = threading.Event()
    try:
        others = [other for other in KINDS if other is not kind]
        waiting = [asyncio.create_task(other(may_end.wait)) for other in others for _ in range(50)]
        assert await asyncio.wait_for(kind(abs, -1), 10) == 1
    finally:
        may_end.set()
    await asyncio.gather(*waiting)


def test_a_thread_limit_is_a_startup_error(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start
    pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="limited")
    monkeypatch.setattr(blocking, "_READ_POOL", pool)
    monkeypatch.setattr(blocking, "READ_THREADS", 4)
    made: list[threading.Thread] = []

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("limited"):
            made.append(thread)
        if len(made) == 3:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        start_threads(PROCESSES)
    # The started threads do not wait for the others.
    pool.shutdown()
    assert not any(thread.is_alive() for thread in made)


async def test_work_in_a_separate_thread_returns_its_result_or_error() -> None:
    assert await run_blocking_detached(lambda: 7, "alone") == 7
    with pytest.raises(ZeroDivisionError):
        await run_blocking_detached(lambda: 1 // 0, "alone")


async def test_cancelled_work_in_a_separate_thread_is_not_awaited() -> None:
    may_end, ended = threading.Event(), threading.Event()

    def work() -> None:
        may_end.wait()
        ended.set()

    waiting = asyncio.create_task(run_blocking_detached(work, "alone"))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not ended.is_set()
    # The unawaited end of the work is no error.
    may_end.set()
    assert await asyncio.to_thread(ended.wait, 10)
