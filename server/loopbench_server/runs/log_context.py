"""Which run a log line is about."""

from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from structlog.contextvars import bind_contextvars, bound_contextvars

from loopbench.spec import Run


class Identified(Protocol):
    """A run in whichever form."""

    @property
    def id(self) -> str:
        """The run's id."""

    @property
    def request_id(self) -> str:
        """The id under which it was asked for."""


R = TypeVar("R", bound=Identified)


def _ids(run: Identified) -> dict[str, str]:
    return {"run_id": run.id, "request_id": run.request_id}


def bind_run_ids(run: R) -> R:
    """``run``; every later line of this task, such as that of the RPC that it serves, bears the ids of ``run``."""
    bind_contextvars(**_ids(run))
    return run


def run_log_context(run: Run) -> AbstractContextManager[None]:
    """Lines in the block bear the ids of ``run``, and all lines of the tasks that are started in it."""
    return bound_contextvars(**_ids(run))
