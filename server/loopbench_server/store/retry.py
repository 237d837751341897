"""Retries writes, so that a short outage of the database loses none."""

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
    """Run ``write`` on a thread, and retry it for the time of a lease while the database refuses.

    Raises:
        StoreFailedError: the database still refused at the end, or the error is permanent.
    """
    end = time.monotonic() + lease.total_seconds()
    while True:
        try:
            return await run_blocking_for_run(write, *args, **kwargs)
        except StoreFailedError as error:
            if not error.retryable or time.monotonic() >= end:
                raise
        await asyncio.sleep(RETRY_INTERVAL_SECONDS)
