"""Limits of a worker process: time and memory."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

import psutil

from loopbench_server.blocking import run_process_io
from loopbench_server.errors import MemoryExceededError, NotReadyError, TimeExceededError
from loopbench_server.worker_config import WorkerLimits
from loopbench_server.workers.worker import Worker

T = TypeVar("T")

POLL_INTERVAL_SECONDS = 1.0
# A process that starts later than this did not have its full time.
LATE_SECONDS = 1.0
MEGABYTE = 1_000_000


async def enforce_limits(limits: WorkerLimits, worker: Worker, work: Coroutine[Any, Any, T], asked: float) -> T:
    """Return the result of ``work``, which reads the messages of ``worker``.

    Args:
        limits: limits of the process.
        worker: the process.
        work: cancelled when the process exceeds a limit.
        asked: time of the request for the process, by :func:`time.monotonic`.

    Raises:
        TimeExceededError, MemoryExceededError: the process exceeded a limit.
        NotReadyError: the process started late, and therefore had less than its time.
    """
    tasks = asyncio.create_task(work), asyncio.create_task(_watch(limits, worker.pid, asked))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return (tasks[0] if tasks[0] in done else tasks[1]).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(limits: WorkerLimits, pid: int, asked: float) -> NoReturn:
    late = time.monotonic() - asked
    end = asked + limits.seconds
    while (left := end - time.monotonic()) > 0:
        used = await run_process_io(get_private_memory, pid)
        if used > limits.megabytes * MEGABYTE:
            raise MemoryExceededError(
                f"process exceeded the memory limit of {limits.megabytes} MB: it used {used // MEGABYTE} MB"
            )
        await asyncio.sleep(min(left, POLL_INTERVAL_SECONDS))
    if late > LATE_SECONDS:
        raise NotReadyError(
            f"worker process started {late:.0f} s late and reached the time limit of {limits.seconds:g} s"
        )
    raise TimeExceededError(f"process exceeded the time limit of {limits.seconds:g} s")


def get_private_memory(pid: int) -> int:
    """Return the bytes that only this process holds; 0 if the process has ended."""
    with suppress(psutil.Error):
        uss: int = psutil.Process(pid).memory_full_info().uss
        return uss
    return 0
