"""What ends a command before its time: Ctrl-C, SIGTERM, a closed terminal and a time limit."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from loopbench.spec import RunEvent
from loopbench_client.cli.output import err
from loopbench_client.errors import DeadlineError

OnProgress = Callable[[RunEvent], None]

LIKE_CTRL_C = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block as Ctrl-C does, so that what it has started is stopped first.

    A signal that the process ignores stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    changed = [number for number in LIKE_CTRL_C if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


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
        yield remember
    except (KeyboardInterrupt, DeadlineError):
        for run_id in run_ids:
            err().print(f"run {run_id} is cancelled, unless another caller waits for it", soft_wrap=True)
        raise
