"""How long a worker process may run, and how much memory it may have."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import psutil

from loopbench_server.errors import MemoryExceededError, TimeExceededError
from loopbench_server.runs.processes import Worker
from loopbench_server.runs.threads import for_processes

T = TypeVar("T")

SECONDS_BETWEEN_LOOKS = 1.0
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Bounds:
    """Wall time in seconds, and memory of the process's own, which leaves out what it shares, in megabytes."""

    seconds: float
    megabytes: int

    async def hold(self, worker: Worker, work: Coroutine[Any, Any, T]) -> T:
        """What ``work``, which listens to ``worker``, gives, unless the process leaves its bounds before.

        Raises:
            TimeExceededError, MemoryExceededError: it did.
        """
        tasks = asyncio.create_task(work), asyncio.create_task(self._watch(worker.pid))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return (tasks[0] if tasks[0] in done else tasks[1]).result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, pid: int) -> NoReturn:
        end = time.monotonic() + self.seconds
        while (left := end - time.monotonic()) > 0:
            used = await for_processes(own_memory, pid)
            if used > self.megabytes * MEGABYTE:
                raise MemoryExceededError(f"its process took {used // MEGABYTE} MB, and may take {self.megabytes}")
            await asyncio.sleep(min(left, SECONDS_BETWEEN_LOOKS))
        raise TimeExceededError(f"its process ran for {self.seconds:g} s, and may run no longer")


def own_memory(pid: int) -> int:
    """Bytes that only this process holds; 0 once it is gone."""
    with suppress(psutil.Error):
        uss: int = psutil.Process(pid).memory_full_info().uss
        return uss
    return 0
