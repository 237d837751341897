"""What ends a run before its time: Ctrl-C, SIGTERM and a time limit."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from loopbench.spec import RunEvent
from loopbench_client.cli.output import err
from loopbench_client.errors import DeadlineError

OnProgress = Callable[[RunEvent], None]


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that what runs below is stopped first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def reporting_cancellation() -> Iterator[Callable[[OnProgress], OnProgress]]:
    """Names the run that an interrupt or the time limit of the block cancels; yields what to wrap its callback in."""
    run_ids: list[str] = []

    def remember(show: OnProgress) -> OnProgress:
        def on_progress(event: RunEvent) -> None:
            if event.run is not None:
                run_ids[:] = [event.run.id]
            show(event)

        return on_progress

    try:
        with terminated_as_interrupted():
            yield remember
    except (KeyboardInterrupt, DeadlineError):
        for run_id in run_ids:
            err().print(f"run {run_id} is cancelled", soft_wrap=True)
        raise
