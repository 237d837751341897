"""Blocking calls on threads, which cannot be called off half-way."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
# Pipes, ends and memory of worker processes are waited for apart: a database that hangs holds threads, and runs have to
# go on and be killed all the same. A thread is made where none is idle; there are a few for each process.
_FOR_PROCESSES = ThreadPoolExecutor(max_workers=4_096, thread_name_prefix="processes")


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
    return await to_the_end(asyncio.to_thread(function, *args, **kwargs))
