"""A trace span for each run, below the call that submitted it, with a span for each phase."""

from dataclasses import dataclass
from datetime import datetime

from opentelemetry.trace import Span, Status, StatusCode, Tracer, set_span_in_context

from loopbench.spec import EpochRecord, Run, RunState
from loopbench_server.runs.observers import Observer


def _nanoseconds(time: datetime) -> int:
    return round(time.timestamp() * 1e9)


@dataclass
class _Open:
    """Open spans of a run."""

    run: Span
    phase: Span
    phase_name: str


class RunSpans(Observer):
    """Ends each phase where the next begins, so that a run that dies shows the phase in which it died."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._open: dict[str, _Open] = {}

    def run_queued(self, run: Run) -> None:
        """Begin the run's span, as a child of the current span, and the span of its wait."""
        attributes = {
            "loopbench.run_id": run.id,
            "loopbench.request_id": run.request_id,
            "loopbench.method": run.spec.method,
            "loopbench.loss": run.spec.loss,
            "loopbench.optimizer": run.spec.optimizer.kind,
            "loopbench.dataset": run.spec.dataset,
            "loopbench.network": run.spec.network.kind,
        }
        time = _nanoseconds(run.create_time)
        span = self._tracer.start_span("run", attributes=attributes, start_time=time)
        self._open[run.id] = _Open(span, self._phase(span, "queue", time), "queue")

    def run_started(self, run: Run) -> None:
        """Begin the span of the process start."""
        assert run.start_time is not None
        self._enter(run, "start", _nanoseconds(run.start_time))

    def phase_began(self, run: Run, phase: str, time: float) -> None:
        """End the previous phase, unless the process continues with it."""
        self._enter(run, phase, round(time * 1e9))

    def epoch_ended(self, run: Run, record: EpochRecord) -> None:
        """Mark the end of the epoch with its training time; its validation follows in the same phase."""
        attributes = {"epoch": record.epoch, "train_seconds": record.train_seconds}
        self._open[run.id].phase.add_event("epoch ended", attributes)

    def run_ended(self, run: Run, *, had_slot: bool) -> None:  # noqa: ARG002  had_slot is for metrics
        """End both spans, with the outcome of the run; only a failure is an error."""
        assert run.end_time is not None
        spans, time = self._open.pop(run.id), _nanoseconds(run.end_time)
        spans.run.set_attribute("loopbench.state", run.state)
        if run.result:
            phases = run.result.phases.model_dump()
            spans.run.set_attributes({f"loopbench.{name}": seconds for name, seconds in phases.items()})
        if run.error:
            spans.run.set_attribute("loopbench.reason", run.error.reason)
        if run.error and run.state is RunState.FAILED:
            spans.run.set_attribute("error.type", run.error.reason)
            for span in (spans.phase, spans.run):
                span.set_status(Status(StatusCode.ERROR, run.error.message))
        spans.phase.end(time)
        spans.run.end(time)

    def _phase(self, parent: Span, name: str, time: int) -> Span:
        return self._tracer.start_span(name, set_span_in_context(parent), start_time=time)

    def _enter(self, run: Run, name: str, time: int) -> None:
        spans = self._open[run.id]
        if name != spans.phase_name:
            spans.phase.end(time)
            spans.phase, spans.phase_name = self._phase(spans.run, name, time), name
