"""When a call that found no server, or a Train that lost its own, is sent again.

gRPC could repeat calls by itself. That is switched off: a call that it repeats may never end, not even by its deadline
(https://github.com/grpc/grpc/issues/41036). Within some twenty kills of a server all five callers of a test came to
hang.
"""

import logging
import math
import time
from datetime import datetime, timedelta

from loopbench.spec import RunEvent
from loopbench_client.arguments import check_timeout
from loopbench_client.errors import ServerUnavailableError

log = logging.getLogger(__name__)

# Seconds between attempts, for a server that restarts or is replaced.
PAUSES = (0.2, 0.4, 0.8, 1.6)
# The same for a run that a server had taken up. Its lease expires after 30 s; only then can another server begin.
PAUSES_FOR_A_LEASE = (1.0, 2.0, 4.0, 8.0, *[15.0] * 5)
# The same for a watch, which another server of the address may continue at once.
PAUSES_FOR_A_WATCH = (*PAUSES, *PAUSES_FOR_A_LEASE[2:])


class Retry:
    """Decides after a failed attempt; both clients ask, each sleeps in its own way.

    ``timeout`` is in seconds, for all attempts together; None is no limit.
    """

    def __init__(self, timeout: float | None, address: str = "") -> None:
        check_timeout(timeout)
        self._address = address
        self._pauses = [*PAUSES]
        self._accepted = False
        # What was lost with the server; empty before the server has taken anything up.
        self._lost = ""
        self._end = None if timeout is None else time.monotonic() + timeout

    @property
    def left(self) -> float | None:
        """Seconds until the caller's deadline, if there is one."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def accept(self, run_id: str) -> None:
        """A server has taken up the run."""
        if not self._accepted:
            self._accepted, self._pauses = True, [*PAUSES_FOR_A_LEASE]
        self._lost = f"run {run_id} is requested again"

    def reset(self, run_id: str) -> None:
        """A server has sent an event of the run: the next failure counts as the first."""
        self._pauses = [*PAUSES_FOR_A_WATCH]
        self._lost = f"run {run_id} is watched again"

    def pause(self, error: ServerUnavailableError) -> float:
        """Seconds to sleep before the next attempt.

        Raises:
            ServerUnavailableError: ``error``, where no server has come back for long enough, or the time is over.
        """
        pause = self._pauses.pop(0) if self._pauses else None
        if pause is None or (self._end is not None and time.monotonic() + pause >= self._end):
            raise error
        if self._lost:
            self._warn(error, pause)
        return pause

    def _warn(self, error: ServerUnavailableError, pause: float) -> None:
        left = min(pause + sum(self._pauses), math.inf if self.left is None else self.left)
        last = datetime.now().astimezone() + timedelta(seconds=left)
        server = f"the server at {self._address}" if self._address else "the server"
        text = "%s is lost (%s); %s in %.3g s, until %s at the latest"
        log.warning(text, server, error.message, self._lost, pause, f"{last:%H:%M:%S}")


class WatchRetry:
    """Decides after a broken watch whether to resume it; both clients ask.

    The first event of every watch has all epochs so far. A run that restarted meanwhile has the same epochs.
    """

    def __init__(self, timeout: float | None, address: str, run_id: str, *, resume: bool) -> None:
        self._retry = Retry(timeout, address)
        self._run_id = run_id
        self._resume = resume
        self._begun = False
        self._last_epoch = 0

    @property
    def left(self) -> float | None:
        """Seconds until the caller's deadline, if there is one."""
        return self._retry.left

    def drop_seen(self, event: RunEvent) -> RunEvent:
        """Return ``event`` without the epochs of earlier events."""
        self._begun = True
        self._retry.reset(self._run_id)
        epochs = tuple(record for record in event.epochs if record.epoch > self._last_epoch)
        self._last_epoch = max([self._last_epoch, *(record.epoch for record in epochs)])
        return event.model_copy(update={"epochs": epochs})

    def pause(self, error: ServerUnavailableError) -> float:
        """Seconds to sleep before the next attempt.

        Raises:
            ServerUnavailableError: ``error``, as :meth:`Retry.pause`; or the server itself ended the watch, or the
                caller does not want it resumed.
        """
        if self._begun and (error.reason or not self._resume):
            raise error
        return self._retry.pause(error)
