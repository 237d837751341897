"""Blocking calls on threads, which cannot be interrupted.

Each kind of work has its own thread pool, so that no kind can exhaust the threads of another. All threads start with
the server: a limit of threads is an error at startup, not of a call or of a lease renewal.
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

# Writes of callers to the store, and short reads beside them.
STORE_THREADS = 3
# Reads of callers: pages, comparisons and single runs.
READ_THREADS = 3
# Writes of runs. A cancelled run waits for its write, and must not wait for the writes of callers.
RUN_THREADS = 2
# Leases, expired runs and cancellation requests.
RESERVED_THREADS = 2
# Each worker process has one thread that reads its pipe.
THREADS_PER_PROCESS = 1

# Process I/O uses a separate pool, so that a hung database cannot keep runs from being read and killed. The pool adds a
# thread where none is idle; each process needs a few.
_PROCESS_POOL = ThreadPoolExecutor(max_workers=4_096, thread_name_prefix="processes")
# asyncio's default executor is not used: shutting it down takes one more thread.
_STORE_POOL = ThreadPoolExecutor(max_workers=STORE_THREADS, thread_name_prefix="store")
_READ_POOL = ThreadPoolExecutor(max_workers=READ_THREADS, thread_name_prefix="reads")
_RUN_POOL = ThreadPoolExecutor(max_workers=RUN_THREADS, thread_name_prefix="runs")
_RESERVED_POOL = ThreadPoolExecutor(max_workers=RESERVED_THREADS, thread_name_prefix="reserved")


def start_threads(processes: int) -> None:
    """Start the threads of all pools; the pool of process I/O gets enough for ``processes`` worker processes.

    Raises:
        RuntimeError: the system allows no more threads.
    """
    _start_pool(_STORE_POOL, STORE_THREADS)
    _start_pool(_READ_POOL, READ_THREADS)
    _start_pool(_RUN_POOL, RUN_THREADS)
    _start_pool(_RESERVED_POOL, RESERVED_THREADS)
    _start_pool(_PROCESS_POOL, THREADS_PER_PROCESS * processes)


def _start_pool(executor: ThreadPoolExecutor, count: int) -> None:
    """Start ``count`` threads, each of which waits for the last."""
    barrier = threading.Barrier(count + 1)
    try:
        for _ in range(count):
            executor.submit(barrier.wait)
        barrier.wait()
    except RuntimeError:
        barrier.abort()
        raise


async def shielded(awaitable: Awaitable[T]) -> T:
    """Return the result of ``awaitable``, even if the caller is cancelled meanwhile; then the cancellation is raised.

    An error of ``awaitable`` is dropped if the caller was cancelled.
    """
    task = asyncio.ensure_future(awaitable)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # or asyncio logs it as never retrieved
        raise


async def run_process_io(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``function`` on the threads of process I/O. A cancelled caller does not wait for it."""
    return await asyncio.get_running_loop().run_in_executor(_PROCESS_POOL, partial(function, *args, **kwargs))


async def run_blocking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``function`` on a thread of the store. A cancelled caller still waits until the function returns."""
    return await _run_on(_STORE_POOL, partial(function, *args, **kwargs))


async def run_blocking_read(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``function`` as :func:`run_blocking` does, on a thread for reads of callers."""
    return await _run_on(_READ_POOL, partial(function, *args, **kwargs))


async def run_blocking_for_run(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``function`` as :func:`run_blocking` does, on a thread for writes of runs."""
    return await _run_on(_RUN_POOL, partial(function, *args, **kwargs))


async def run_blocking_reserved(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``function`` as :func:`run_blocking` does, on a thread that callers cannot exhaust."""
    return await _run_on(_RESERVED_POOL, partial(function, *args, **kwargs))


async def run_blocking_detached(function: Callable[[], T], name: str) -> T:
    """Run ``function`` on a new thread of this name. Neither a cancelled caller nor the end of the server waits for it.

    Raises:
        RuntimeError: the system allows no more threads.
    """
    future: Future[T] = Future()

    def run() -> None:
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001  the caller raises it
                future.set_exception(error)

    threading.Thread(target=run, daemon=True, name=name).start()
    return await asyncio.wrap_future(future)


async def _run_on(executor: ThreadPoolExecutor, function: Callable[[], T]) -> T:
    in_context = partial(contextvars.copy_context().run, function)
    return await shielded(asyncio.get_running_loop().run_in_executor(executor, in_context))
