"""Which run a log line is about."""

from contextlib import AbstractContextManager

from structlog.contextvars import bind_contextvars, bound_contextvars

from loopbench.spec import Run


def _ids(run: Run) -> dict[str, str]:
    return {"run_id": run.id, "request_id": run.request_id}


def logged_as(run: Run) -> Run:
    """``run``; every later line of this task, such as that of the RPC that it serves, bears the ids of ``run``."""
    bind_contextvars(**_ids(run))
    return run


def logging_of(run: Run) -> AbstractContextManager[None]:
    """Lines in the block bear the ids of ``run``, and all lines of the tasks that are started in it."""
    return bound_contextvars(**_ids(run))
