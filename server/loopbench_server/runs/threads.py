"""Blocking calls on threads, which cannot be called off half-way."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def to_the_end(awaitable: Awaitable[T]) -> T:
    """What ``awaitable`` gives; a caller that is cancelled meanwhile learns of it only once that is done.

    An error of it then has nobody to go to, and is dropped.
    """
    task = asyncio.ensure_future(awaitable)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # asyncio would log what nobody has looked at
        raise


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``function`` on a thread, to the end: what comes after a cancellation finds it done and not still under way."""
    return await to_the_end(asyncio.to_thread(function, *args, **kwargs))
