"""Background work that a server repeats for as long as it runs."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from loopbench_server.errors import StoreFailedError

log = structlog.get_logger()

# Values of a label: all background work there is.
LEASES, ABANDONED, CANCELLATIONS, RETENTION, RESULTS, STORE, FORKSERVER = WORKS = (
    "renew_leases",
    "end_abandoned",
    "poll_cancellations",
    "retention",
    "stored_results",
    "watch_store",
    "check_forkserver",
)


def uncounted(work: str) -> None:
    """Leaves an error of ``work`` to the log."""


async def repeat(work: str, seconds: float, step: Callable[[], Awaitable[None]], failed: Callable[[str], None]) -> None:
    """Runs ``step`` every so many ``seconds``, until it is cancelled. ``work`` is the name of the work.

    An error of a step never ends the work: the server's other runs and callers depend on it. The store logs errors of
    the database. Other errors are unexpected; they are logged with a traceback, and ``failed`` counts them.
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
