"""Writes that a database which is away for a while does not lose."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import ParamSpec, TypeVar

from loopbench_server.blocking import run_blocking_for_run
from loopbench_server.errors import StoreFailedError

P = ParamSpec("P")
T = TypeVar("T")

RETRY_INTERVAL_SECONDS = 0.5


async def retry_until(lease: timedelta, write: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``write`` on a thread, again and again until the database takes it, for as long as a lease lasts.

    Raises:
        StoreFailedError: it never did, or never will.
    """
    end = time.monotonic() + lease.total_seconds()
    while True:
        try:
            return await run_blocking_for_run(write, *args, **kwargs)
        except StoreFailedError as error:
            if not error.retryable or time.monotonic() >= end:
                raise
        await asyncio.sleep(RETRY_INTERVAL_SECONDS)
