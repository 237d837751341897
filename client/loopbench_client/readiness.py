"""How long to wait for a server to become ready."""

import time

from loopbench_client.arguments import check_timeout
from loopbench_client.errors import DeadlineError, ErrorDetails, ServerUnavailableError

POLL_SECONDS = 0.25

# What a server that is coming up may answer with.
TRANSIENT = (ServerUnavailableError, DeadlineError)

NO_RUNS_YET = "it answers, but takes no runs yet"


class ReadinessPoll:
    """Decides after every answer whether to ask again; both clients ask, each in its own way."""

    def __init__(self, timeout: float) -> None:
        check_timeout(timeout)
        self._timeout = timeout
        self._end = time.monotonic() + timeout

    @property
    def left(self) -> float:
        """Seconds left, never less than one poll's worth."""
        return max(self._end - time.monotonic(), POLL_SECONDS)

    def pause(self, why: str) -> float:
        """Seconds to sleep before asking again; ``why`` is what keeps the server from being ready.

        Raises:
            ServerUnavailableError: the time is over.
        """
        if time.monotonic() < self._end:
            return POLL_SECONDS
        details = ErrorDetails(f"the server was not ready after {self._timeout:g} s: {why}", "NOT_READY")
        raise ServerUnavailableError(details, hint="check the address; the server's log says what it waits for")
