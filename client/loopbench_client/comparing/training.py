"""Trains many specs, several at once."""

import math
import queue
import threading
from collections import deque
from collections.abc import Generator, Mapping
from contextlib import suppress

from loopbench.spec import Naming, Run, RunEvent, RunSpec, RunState
from loopbench_client.client import Client
from loopbench_client.errors import LoopbenchError, QueueFullError, ServerUnavailableError
from loopbench_client.joining import join_all

# Seconds. Others fill the queue; how long it takes until they have been served, the server may say.
QUEUE_FULL_PAUSE = 5.0
# Seconds. A server cancels a run within one. A server that does not answer cancels it for want of its caller.
STOP_TIMEOUT = 5.0
# Runs that wait at each server. The autoscaler adds servers while more than four per server wait
# (k8s/components/postgresql), and callers with a single run should not wait behind many.
WAITING_PER_SERVER = 5

Outcome = RunEvent | Run | LoopbenchError


def train_all(
    client: Client, jobs: Mapping[RunSpec, Naming], slots: int
) -> Generator[tuple[RunSpec, Outcome], None, None]:
    """Train the specs of ``jobs`` on all servers behind the client's address, and yield what becomes of each.

    Yields the events of a spec, and finally its run or the error that it ended with. ``slots`` is the number of runs
    that one server trains at once. Closing the generator cancels the unfinished runs; so does an exception in it, such
    as KeyboardInterrupt.

    Raises:
        ServerUnavailableError: no server answers, so the other specs would fail, too.
    """
    crew = _Crew(client, jobs, slots)
    try:
        yield from crew.outcomes()
    finally:
        crew.stop()


def most_unfinished(running: int, slots: int) -> int:
    """Return the number of runs to have on the servers while ``running`` of them train.

    A server reports its own ``slots`` only. The number of servers follows from the runs that train at the same time,
    so each further server that trains one raises the result.
    """
    servers = max(1, math.ceil(running / slots))
    return servers * (slots + WAITING_PER_SERVER)


class _Stopped(Exception):  # noqa: N818  # not an error: it ends a call from within
    """Raised in a call of ``train`` that is no longer wanted."""


class _Crew:
    """A thread per unfinished run. Another thread takes their outcomes and starts the threads."""

    def __init__(self, client: Client, jobs: Mapping[RunSpec, Naming], slots: int) -> None:
        self._client = client
        self._slots = slots
        self._jobs = jobs
        self._todo = deque(jobs)
        self._states: dict[RunSpec, RunState] = {}
        self._outcomes: queue.SimpleQueue[tuple[RunSpec, RunEvent | Run | Exception]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._threads: dict[RunSpec, threading.Thread] = {}
        # Ids of unfinished runs, as far as they are known.
        self._run_ids: dict[RunSpec, str] = {}

    def outcomes(self) -> Generator[tuple[RunSpec, Outcome], None, None]:
        """Start runs, and yield everything that becomes of them until all have ended."""
        self._start_more()
        while self._states:
            spec, outcome = self._outcomes.get()
            if isinstance(outcome, ServerUnavailableError) or not isinstance(outcome, Outcome):
                raise outcome
            self._note(spec, outcome)
            self._start_more()
            yield spec, outcome

    def _note(self, spec: RunSpec, outcome: Outcome) -> None:
        if isinstance(outcome, RunEvent):
            self._states[spec] = outcome.state
        else:
            del self._states[spec], self._threads[spec]

    def _start_more(self) -> None:
        running = sum(state is RunState.RUNNING for state in self._states.values())
        while self._todo and len(self._states) < most_unfinished(running, self._slots):
            spec = self._todo.popleft()
            self._states[spec] = RunState.QUEUED
            # A daemon: a call that does not return must not keep the process alive.
            self._threads[spec] = threading.Thread(target=self._work, args=(spec,), daemon=True)
            self._threads[spec].start()

    def stop(self) -> None:
        """Cancel the unfinished runs; those whose id is not known yet end with their first event."""
        self._stop.set()
        ids = [*self._run_ids.copy().values()]
        cancelling = [threading.Thread(target=self._cancel, args=(run_id,), daemon=True) for run_id in ids]
        for thread in cancelling:
            thread.start()
        join_all((*cancelling, *self._threads.values()), STOP_TIMEOUT)

    def _cancel(self, run_id: str) -> None:
        with suppress(LoopbenchError):
            self._client.cancel_run(run_id)

    def _work(self, spec: RunSpec) -> None:
        self._outcomes.put((spec, self._end(spec)))

    def _end(self, spec: RunSpec) -> Run | Exception:
        naming = self._jobs[spec]
        while True:
            try:
                return self._client.train(
                    spec,
                    name=naming.name,
                    labels=naming.labels,
                    on_progress=lambda event: self._follow(spec, event),
                )
            except QueueFullError as error:
                if self._stop.wait(error.retry_delay or QUEUE_FULL_PAUSE):
                    return error
            except Exception as error:  # noqa: BLE001  # raised again where it is taken
                return error
            finally:
                self._run_ids.pop(spec, None)

    def _follow(self, spec: RunSpec, event: RunEvent) -> None:
        if self._stop.is_set():
            raise _Stopped
        if event.run is not None:
            self._run_ids[spec] = event.run.id
        self._outcomes.put((spec, event))
