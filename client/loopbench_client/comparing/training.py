"""Trains many specs, several at once."""

import queue
import threading
from collections.abc import Generator, Sequence
from contextlib import suppress

from loopbench.spec import Run, RunEvent, RunSpec
from loopbench_client.client import Client
from loopbench_client.errors import LoopbenchError, QueueFullError, ServerUnavailableError

# Seconds. Others fill the queue; how long it takes until they have been served, the server may say.
QUEUE_FULL_PAUSE = 5.0
STOP_TIMEOUT = 10.0

Outcome = RunEvent | Run | LoopbenchError


def train_all(client: Client, specs: Sequence[RunSpec], slots: int) -> Generator[tuple[RunSpec, Outcome], None, None]:
    """What comes of each spec: its events, and at the last its run or the error that it ended with.

    ``slots`` are trained at once. Closing the generator cancels what is running; so does an exception in it, such as
    KeyboardInterrupt.

    Raises:
        ServerUnavailableError: nobody answers; the other specs would fare no better.
    """
    crew = _Crew(client, specs)
    try:
        crew.start(min(slots, len(specs)))
        for _ in specs:
            yield from crew.next_end()
    finally:
        crew.stop()


class _Stopped(Exception):  # noqa: N818  # not an error: it ends a call from within
    """Raised in a call of ``train`` that is no longer wanted."""


class _Crew:
    """Threads that train. Another thread takes their outcomes."""

    def __init__(self, client: Client, specs: Sequence[RunSpec]) -> None:
        self._client = client
        self._todo: queue.SimpleQueue[RunSpec] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[RunSpec, RunEvent | Run | Exception]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        # The ids of the runs under way.
        self._running: dict[RunSpec, str] = {}
        for spec in specs:
            self._todo.put(spec)

    def start(self, count: int) -> None:
        # Daemons: a call that does not come back must not keep the process alive.
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def next_end(self) -> Generator[tuple[RunSpec, Outcome], None, None]:
        """Everything up to the next end of a run, that included."""
        while True:
            spec, outcome = self._outcomes.get()
            if isinstance(outcome, ServerUnavailableError) or not isinstance(outcome, Outcome):
                raise outcome
            yield spec, outcome
            if not isinstance(outcome, RunEvent):
                return

    def stop(self) -> None:
        """Cancels the runs under way; those whose id is not known yet end with their first event."""
        self._stop.set()
        for run_id in self._running.copy().values():
            with suppress(LoopbenchError):
                self._client.cancel_run(run_id)
        for thread in self._threads:
            thread.join(STOP_TIMEOUT)

    def _work(self) -> None:
        with suppress(queue.Empty):
            while not self._stop.is_set():
                spec = self._todo.get_nowait()
                self._outcomes.put((spec, self._end(spec)))

    def _end(self, spec: RunSpec) -> Run | Exception:
        while True:
            try:
                return self._client.train(spec, on_progress=lambda event: self._follow(spec, event))
            except QueueFullError as error:
                if self._stop.wait(error.retry_delay or QUEUE_FULL_PAUSE):
                    return error
            except Exception as error:  # noqa: BLE001  # raised again where it is taken
                return error
            finally:
                self._running.pop(spec, None)

    def _follow(self, spec: RunSpec, event: RunEvent) -> None:
        if self._stop.is_set():
            raise _Stopped
        if event.run is not None:
            self._running[spec] = event.run.id
        self._outcomes.put((spec, event))
