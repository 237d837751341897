"""Who is told what becomes of runs, such as the metrics and the traces."""

from loopbench.spec import EpochRecord, Run


class Observer:
    """Is told of every run, in order, on the event loop. What it does not override it does not care for."""

    def run_queued(self, run: Run) -> None:
        """A run waits for a slot. Called in the context of the call that asked for it."""

    def run_started(self, run: Run) -> None:
        """A run that waited has its slot."""

    def phase_began(self, run: Run, phase: str, time: float) -> None:
        """``run`` is in ``phase`` since ``time``, in seconds since 1970; so the phase before has ended."""

    def epoch_ended(self, run: Run, record: EpochRecord) -> None:
        """An epoch of ``run`` is complete."""

    def run_ended(self, run: Run, *, had_slot: bool) -> None:
        """A run has a result or an error."""

    def runs_abandoned(self, count: int) -> None:
        """So many runs of servers that vanished were ended."""

    def work_failed(self, work: str) -> None:
        """Background work met an unexpected error, which the log has; it goes on at its next interval."""


class Observers(Observer):
    """Tells several, in turn."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def run_queued(self, run: Run) -> None:
        """As :class:`Observer`."""
        for observer in self._observers:
            observer.run_queued(run)

    def run_started(self, run: Run) -> None:
        """As :class:`Observer`."""
        for observer in self._observers:
            observer.run_started(run)

    def phase_began(self, run: Run, phase: str, time: float) -> None:
        """As :class:`Observer`."""
        for observer in self._observers:
            observer.phase_began(run, phase, time)

    def epoch_ended(self, run: Run, record: EpochRecord) -> None:
        """As :class:`Observer`."""
        for observer in self._observers:
            observer.epoch_ended(run, record)

    def run_ended(self, run: Run, *, had_slot: bool) -> None:
        """As :class:`Observer`."""
        for observer in self._observers:
            observer.run_ended(run, had_slot=had_slot)

    def runs_abandoned(self, count: int) -> None:
        """As :class:`Observer`."""
        for observer in self._observers:
            observer.runs_abandoned(count)

    def work_failed(self, work: str) -> None:
        """As :class:`Observer`."""
        for observer in self._observers:
            observer.work_failed(work)
