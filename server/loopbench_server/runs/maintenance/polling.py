"""Background work that a server repeats while it runs."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from loopbench_server.errors import StoreFailedError

log = structlog.get_logger()

# Names of all background work, which are values of a metric label.
LEASES, EXPIRED, CANCELLATIONS, RETENTION, RESULTS, STORE_CHECK, WRITES_CHECK, FORKSERVER_CHECK = WORKS = (
    "renew_leases",
    "reap_expired",
    "poll_cancel_requests",
    "enforce_retention",
    "follow_results",
    "check_store",
    "check_writes",
    "check_forkserver",
)


def ignore_failure(work: str) -> None:
    """Leave an error of ``work`` to the log."""


async def repeat(work: str, seconds: float, step: Callable[[], Awaitable[None]], failed: Callable[[str], None]) -> None:
    """Run ``step`` every ``seconds``, until cancelled. ``work`` is the name of the work.

    An error of a step never ends the work: other runs and callers of the server depend on it. The store logs errors of
    the database. Other errors are unexpected: they are logged with a traceback, and ``failed`` counts them.
    """
    while True:
        try:
            await step()
        except StoreFailedError:
            pass  # the store has logged what happened
        except Exception:
            log.exception("background work failed", work=work, next_try_seconds=seconds)
            failed(work)
        await asyncio.sleep(seconds)
