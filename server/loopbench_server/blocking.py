"""Blocking calls on threads, which cannot be called off half-way.

Each kind of work has threads that no other kind can take. All of them exist from the start, so that a limit of threads
is an error of the start and not of a call or of the leases.
"""

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# For what callers write to the store, and the short reads beside that.
STORE_THREADS = 3
# For what callers read: pages, comparisons and single runs.
READ_THREADS = 3
# For what runs write. A run that is cancelled waits for its write, and would wait for those of all callers otherwise.
RUN_THREADS = 2
# For leases, abandoned runs and cancellations.
RESERVED_THREADS = 2
# Of worker processes; each has one that reads its pipe.
THREADS_PER_PROCESS = 1

# Pipes, ends and memory of worker processes are waited for apart: a database that hangs holds threads, and runs have to
# go on and be killed all the same. A thread is made where none is idle; there are a few for each process.
_PROCESS_POOL = ThreadPoolExecutor(max_workers=4_096, thread_name_prefix="processes")
# asyncio's own executor is not used: ending it takes one more thread.
_STORE_POOL = ThreadPoolExecutor(max_workers=STORE_THREADS, thread_name_prefix="store")
_READ_POOL = ThreadPoolExecutor(max_workers=READ_THREADS, thread_name_prefix="reads")
_RUN_POOL = ThreadPoolExecutor(max_workers=RUN_THREADS, thread_name_prefix="runs")
_RESERVED_POOL = ThreadPoolExecutor(max_workers=RESERVED_THREADS, thread_name_prefix="reserved")


def start_threads(processes: int) -> None:
    """Makes the threads of all kinds; of those for worker processes as many as ``processes`` need.

    Raises:
        RuntimeError: the system allows no more threads.
    """
    _start_pool(_STORE_POOL, STORE_THREADS)
    _start_pool(_READ_POOL, READ_THREADS)
    _start_pool(_RUN_POOL, RUN_THREADS)
    _start_pool(_RESERVED_POOL, RESERVED_THREADS)
    _start_pool(_PROCESS_POOL, THREADS_PER_PROCESS * processes)


def _start_pool(executor: ThreadPoolExecutor, count: int) -> None:
    """Makes ``count`` threads, each of which waits for the last."""
    barrier = threading.Barrier(count + 1)
    try:
        for _ in range(count):
            executor.submit(barrier.wait)
        barrier.wait()
    except RuntimeError:
        barrier.abort()
        raise


async def shielded(awaitable: Awaitable[T]) -> T:
    """What ``awaitable`` gives; a caller that is cancelled meanwhile, however often, learns of it once that is done.

    An error of it then has nobody to go to, and is dropped.
    """
    task = asyncio.ensure_future(awaitable)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # asyncio would log what nobody has looked at
        raise


async def run_process_io(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``function`` on a thread that nothing but worker processes may hold up; not to the end, as it only waits."""
    return await asyncio.get_running_loop().run_in_executor(_PROCESS_POOL, partial(function, *args, **kwargs))


async def run_blocking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``function`` on a thread, to the end: what comes after a cancellation finds it done and not still under way."""
    return await _run_on(_STORE_POOL, partial(function, *args, **kwargs))


async def run_blocking_read(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As :func:`run_blocking`, on a thread for what callers read."""
    return await _run_on(_READ_POOL, partial(function, *args, **kwargs))


async def run_blocking_for_run(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As :func:`run_blocking`, on a thread for what runs write."""
    return await _run_on(_RUN_POOL, partial(function, *args, **kwargs))


async def run_blocking_reserved(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As :func:`run_blocking`, on a thread that callers cannot exhaust: for leases and cancellations."""
    return await _run_on(_RESERVED_POOL, partial(function, *args, **kwargs))


async def _run_on(executor: ThreadPoolExecutor, function: Callable[[], T]) -> T:
    in_context = partial(contextvars.copy_context().run, function)
    return await shielded(asyncio.get_running_loop().run_in_executor(executor, in_context))
