"""Ids of runs in log lines."""

from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from structlog.contextvars import bind_contextvars, bound_contextvars

from loopbench.spec import Run


class Identified(Protocol):
    """Anything with the ids of a run."""

    @property
    def id(self) -> str:
        """The run's id."""

    @property
    def request_id(self) -> str:
        """The id of the request for the run."""


R = TypeVar("R", bound=Identified)


def _ids(run: Identified) -> dict[str, str]:
    return {"run_id": run.id, "request_id": run.request_id}


def bind_run_ids(run: R) -> R:
    """Add the ids of ``run`` to all later log lines of this task, such as the line of its RPC; return ``run``."""
    bind_contextvars(**_ids(run))
    return run


def run_log_context(run: Run) -> AbstractContextManager[None]:
    """Add the ids of ``run`` to log lines in the block and of tasks that start in it."""
    return bound_contextvars(**_ids(run))
