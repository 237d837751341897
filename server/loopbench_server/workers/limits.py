"""How long a worker process may run, and how much memory it may have."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import psutil

from loopbench_server.blocking import for_processes
from loopbench_server.errors import MemoryExceededError, NotReadyError, TimeExceededError
from loopbench_server.workers.pool import Worker

T = TypeVar("T")

SECONDS_BETWEEN_LOOKS = 1.0
# A process that starts later than this after it was asked for had no fair share of its time.
LATE_SECONDS = 1.0
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Bounds:
    """Wall time in seconds, with that of the start, and memory of the process's own, in megabytes.

    Memory that the process shares with others does not count.
    """

    seconds: float
    megabytes: int

    async def hold(self, worker: Worker, work: Coroutine[Any, Any, T], asked: float) -> T:
        """What ``work``, which listens to ``worker``, gives, unless the process leaves its bounds before.

        The process was ``asked`` for at that time of :func:`time.monotonic`.

        Raises:
            TimeExceededError, MemoryExceededError: it did.
            NotReadyError: the time is over, and the process had less of it because it started late.
        """
        tasks = asyncio.create_task(work), asyncio.create_task(self._watch(worker.pid, asked))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return (tasks[0] if tasks[0] in done else tasks[1]).result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, pid: int, asked: float) -> NoReturn:
        late = time.monotonic() - asked
        end = asked + self.seconds
        while (left := end - time.monotonic()) > 0:
            used = await for_processes(own_memory, pid)
            if used > self.megabytes * MEGABYTE:
                raise MemoryExceededError(f"its process took {used // MEGABYTE} MB, and may take {self.megabytes}")
            await asyncio.sleep(min(left, SECONDS_BETWEEN_LOOKS))
        if late > LATE_SECONDS:
            raise NotReadyError(f"the training process started {late:.0f} s late, and its {self.seconds:g} s are over")
        raise TimeExceededError(f"its process ran for {self.seconds:g} s, and may run no longer")


def own_memory(pid: int) -> int:
    """Bytes that only this process holds; 0 once it is gone."""
    with suppress(psutil.Error):
        uss: int = psutil.Process(pid).memory_full_info().uss
        return uss
    return 0
