"""Observers of runs, such as metrics and traces."""

from loopbench.spec import EpochRecord, Run


class Observer:
    """Receives every event of runs, in order, on the event loop. The default is to ignore it."""

    def run_queued(self, run: Run) -> None:
        """A run waits for a slot. Called in the context of the call that submitted it."""

    def run_started(self, run: Run) -> None:
        """A queued run got a slot."""

    def phase_began(self, run: Run, phase: str, time: float) -> None:
        """``run`` entered ``phase`` at ``time``, in seconds since 1970, which ends the previous phase."""

    def epoch_ended(self, run: Run, record: EpochRecord) -> None:
        """An epoch of ``run`` ended."""

    def run_ended(self, run: Run, *, had_slot: bool) -> None:
        """A run ended with a result or an error."""

    def runs_abandoned(self, count: int) -> None:
        """This server ended ``count`` runs of servers that vanished."""

    def work_failed(self, work: str) -> None:
        """Background work met an unexpected error, which is in the log; the work continues at its next interval."""


class Observers(Observer):
    """Forwards to several observers, in order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def run_queued(self, run: Run) -> None:
        """See :class:`Observer`."""
        for observer in self._observers:
            observer.run_queued(run)

    def run_started(self, run: Run) -> None:
        """See :class:`Observer`."""
        for observer in self._observers:
            observer.run_started(run)

    def phase_began(self, run: Run, phase: str, time: float) -> None:
        """See :class:`Observer`."""
        for observer in self._observers:
            observer.phase_began(run, phase, time)

    def epoch_ended(self, run: Run, record: EpochRecord) -> None:
        """See :class:`Observer`."""
        for observer in self._observers:
            observer.epoch_ended(run, record)

    def run_ended(self, run: Run, *, had_slot: bool) -> None:
        """See :class:`Observer`."""
        for observer in self._observers:
            observer.run_ended(run, had_slot=had_slot)

    def runs_abandoned(self, count: int) -> None:
        """See :class:`Observer`."""
        for observer in self._observers:
            observer.runs_abandoned(count)

    def work_failed(self, work: str) -> None:
        """See :class:`Observer`."""
        for observer in self._observers:
            observer.work_failed(work)
