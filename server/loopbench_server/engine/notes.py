"""Warnings of TensorFlow and Keras during a run, as notes of its result."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MOST_NOTES = 20
LONGEST_NOTE = 500
# TensorFlow and its libraries write to them.
LOGGERS = ("tensorflow", "absl")
# They concern the authors of libraries, and Python ignores them by default.
IGNORED = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


class Notes(logging.Handler):
    """Texts of warnings: each once, cut to LONGEST_NOTE characters, at most MOST_NOTES of them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._texts: dict[str, None] = {}

    @property
    def texts(self) -> tuple[str, ...]:
        """The notes so far, in the order of their first appearance."""
        return tuple(self._texts)

    def add(self, text: str) -> None:
        """Add a note."""
        line = " ".join(text.split())
        if len(self._texts) < MOST_NOTES:
            self._texts[line if len(line) <= LONGEST_NOTE else f"{line[:LONGEST_NOTE]}..."] = None

    def emit(self, record: logging.LogRecord) -> None:
        """Add the message of a log record."""
        self.add(record.getMessage())


@contextmanager
def recording_notes() -> Iterator[Notes]:
    """Collect the warnings of the block, which then appear in no log."""
    notes = Notes()
    loggers = [logging.getLogger(name) for name in LOGGERS]
    kept = [(logger.handlers, logger.propagate) for logger in loggers]

    def note(message: Warning | str, *_: Any, **__: Any) -> None:
        notes.add(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        for category in IGNORED:
            warnings.simplefilter("ignore", category)
        warnings.showwarning = note
        for logger in loggers:
            logger.handlers, logger.propagate = [notes], False
        try:
            yield notes
        finally:
            for logger, (handlers, propagate) in zip(loggers, kept, strict=True):
                logger.handlers, logger.propagate = handlers, propagate
