"""When a Train that lost its server is sent again; it is the same run, because it bears the same request_id."""

import time

from loopbench_client.errors import ServerUnavailableError

# Seconds between attempts. A server's lease on a run lapses after half a minute; only then can another attempt begin.
PAUSES = (1.0, 2.0, 4.0, 8.0, *[15.0] * 5)


class Resubmission:
    """Decides after a failed attempt; both clients ask, each sleeps in its own way.

    gRPC itself repeats a call only until the server has taken it up. From then on this does.
    """

    def __init__(self, timeout: float | None) -> None:
        self.accepted = False
        self._pauses = iter(PAUSES)
        self._end = None if timeout is None else time.monotonic() + timeout

    @property
    def left(self) -> float | None:
        """Seconds until the caller's deadline, if there is one."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def pause(self, error: ServerUnavailableError) -> float:
        """Seconds to sleep before the next attempt.

        Raises:
            ServerUnavailableError: ``error``, where no server has taken up the run yet or none has come back.
        """
        pause = next(self._pauses, None) if self.accepted else None
        if pause is None:
            raise error
        return pause
