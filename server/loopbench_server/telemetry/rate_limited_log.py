"""Warnings that callers cause, limited so that a flood of calls does not cause a flood of lines."""

import time
from typing import Any

import structlog

log = structlog.get_logger()

LINE_INTERVAL_SECONDS = 10.0


class RateLimitedLog:
    """Logs one line per event and reason in ten seconds; the next line has the number of omitted ones."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warning(self, event: str, *, reason: str, **fields: Any) -> None:
        """Log ``event``, unless the last line of ``reason`` is too recent.

        Reasons must be few, and never words of a caller.
        """
        now = time.monotonic()
        if now < self._next.get(reason, 0.0):
            self._left_out[reason] += 1
            return
        log.warning(event, reason=reason, left_out=self._left_out.get(reason, 0), **fields)
        self._next[reason], self._left_out[reason] = now + LINE_INTERVAL_SECONDS, 0
