"""Blocking calls on threads, which cannot be called off half-way.

Each kind of work has threads that no other kind can take. All of them exist from the start, so that a limit of threads
is an error of the start and not of a call or of the leases.
"""

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
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
_FOR_PROCESSES = ThreadPoolExecutor(max_workers=4_096, thread_name_prefix="processes")
# asyncio's own executor is not used: ending it takes one more thread.
_FOR_STORE = ThreadPoolExecutor(max_workers=STORE_THREADS, thread_name_prefix="store")
_FOR_READS = ThreadPoolExecutor(max_workers=READ_THREADS, thread_name_prefix="reads")
_FOR_RUNS = ThreadPoolExecutor(max_workers=RUN_THREADS, thread_name_prefix="runs")
_RESERVED = ThreadPoolExecutor(max_workers=RESERVED_THREADS, thread_name_prefix="reserved")


def start_threads(processes: int) -> None:
    """Makes the threads of all kinds; of those for worker processes as many as ``processes`` need.

    Raises:
        RuntimeError: the system allows no more threads.
    """
    _start(_FOR_STORE, STORE_THREADS)
    _start(_FOR_READS, READ_THREADS)
    _start(_FOR_RUNS, RUN_THREADS)
    _start(_RESERVED, RESERVED_THREADS)
    _start(_FOR_PROCESSES, THREADS_PER_PROCESS * processes)


def _start(executor: ThreadPoolExecutor, count: int) -> None:
    """Makes ``count`` threads, each of which waits for the last."""
    barrier = threading.Barrier(count + 1)
    try:
        for _ in range(count):
            executor.submit(barrier.wait)
        barrier.wait()
    except RuntimeError:
        barrier.abort()
        raise


async def to_the_end(awaitable: Awaitable[T]) -> T:
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


async def for_processes(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``function`` on a thread that nothing but worker processes may hold up; not to the end, as it only waits."""
    return await asyncio.get_running_loop().run_in_executor(_FOR_PROCESSES, partial(function, *args, **kwargs))


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``function`` on a thread, to the end: what comes after a cancellation finds it done and not still under way."""
    return await _on(_FOR_STORE, partial(function, *args, **kwargs))


async def in_read_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As :func:`in_thread`, on a thread for what callers read."""
    return await _on(_FOR_READS, partial(function, *args, **kwargs))


async def in_run_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As :func:`in_thread`, on a thread for what runs write."""
    return await _on(_FOR_RUNS, partial(function, *args, **kwargs))


async def in_own_thread(function: Callable[[], T], name: str) -> T:
    """``function`` on a thread that takes no other work, and that no server which ends waits for.

    Raises:
        RuntimeError: the system allows no more threads.
    """
    future: Future[T] = Future()

    def run() -> None:
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001  whoever waits raises it
                future.set_exception(error)

    threading.Thread(target=run, daemon=True, name=name).start()
    return await asyncio.wrap_future(future)


async def in_reserved_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As :func:`in_thread`, on a thread that callers cannot exhaust: for leases and cancellations."""
    return await _on(_RESERVED, partial(function, *args, **kwargs))


async def _on(executor: ThreadPoolExecutor, function: Callable[[], T]) -> T:
    in_context = partial(contextvars.copy_context().run, function)
    return await to_the_end(asyncio.get_running_loop().run_in_executor(executor, in_context))
