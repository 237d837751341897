"""A server whose responses a test sets, and its default run."""

# ruff: noqa: N802 - methods have the names of the service

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from loopbench import spec, wire
from loopbench.v1 import benchmark_service_pb2, benchmark_service_pb2_grpc
from tests.support import factories
from tests.support.in_process import benchmark_service, threaded_server
from tests.support.replays import make_replay

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RUN_ID = "5f0b1d9e-3f0c-4c3e-9a61-0d6f1f0a7b11"


def make_result(run: spec.RunSpec, digest: str = "") -> spec.Result:
    """A result with 96.86 % and 96.61 %; the weights depend only on the loss."""
    train = spec.FinalMetrics(loss=0.25, accuracy=0.9686, correct=58_116, samples=60_000)
    validation = spec.FinalMetrics(loss=0.5, accuracy=0.9661, correct=9_661, samples=10_000)
    reported = spec.ReportedMetrics(loss=0.125, accuracy=0.9179)
    record = factories.make_epoch(train=reported, validation=reported, samples=60_000, examples_per_second=30_000)
    return factories.make_result(
        dataset=run.dataset,
        train=train,
        validation=validation,
        reported_train=reported,
        reported_validation=reported,
        history=(record,),
        weights_digest=digest or run.loss.encode().hex().ljust(64, "0"),
        updates=18_750,
        phases=spec.Phases(train_seconds=2),
    )


def make_run(run: spec.RunSpec | None = None, **fields: Any) -> spec.Run:
    run = run or spec.RunSpec()
    known: dict[str, Any] = {
        "id": RUN_ID,
        "request_id": "r",
        "state": spec.RunState.SUCCEEDED,
        "create_time": START,
        "start_time": START,
        "end_time": START + timedelta(seconds=12.5),
        "result": make_result(run),
    }
    return factories.make_run(spec=run, **known | fields)


def make_status(code: grpc.StatusCode, message: str = "no", *details: Any) -> status_pb2.Status:
    packed = [any_pb2.Any() for _ in details]
    for target, detail in zip(packed, details, strict=True):
        target.Pack(detail)
    return status_pb2.Status(code=code.value[0], message=message, details=packed)


def error_info(reason: str, **metadata: str) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain="loopbench", metadata=metadata)


def _is_named(run: spec.Run, wanted: Any) -> bool:
    return (
        (not wanted.names or run.name in wanted.names)
        and dict(wanted.labels).items() <= run.labels.items()
        and run.id.startswith(wanted.id_prefix)
    )


class FakeService(benchmark_service_pb2_grpc.BenchmarkServiceServicer):
    """Answers with its attributes and keeps every request."""

    def __init__(self) -> None:
        self.requests: dict[str, list[Any]] = defaultdict(list)
        # The "authorization" header of each request; None without one.
        self.authorizations: dict[str, list[str | None]] = defaultdict(list)
        # The next errors of each method, raised before anything else.
        self.failures: dict[str, deque[status_pb2.Status]] = defaultdict(deque)
        self.runs = [make_run()]
        # A server of before names ignores the fields that it does not know.
        self.is_old = False
        self.weights = b""
        # Whether runs get individual ids and are listed afterwards.
        self.keeps = False
        self.verdict = spec.Verdict.IDENTICAL
        # Environment of the runs that it trains.
        self.environment = factories.make_environment()
        self.gpus = 0
        self.digest: Callable[[spec.RunSpec], str] = lambda _: ""
        progress = spec.Progress(epoch=1, epochs=10, step=5, steps_per_epoch=10, examples_per_second=9, seconds_left=7)
        self.events = [
            spec.RunEvent(state=spec.RunState.QUEUED, queue_position=1, run=make_run(state="QUEUED", result=None)),
            spec.RunEvent(state=spec.RunState.RUNNING, progress=progress),
            spec.RunEvent(state=spec.RunState.SUCCEEDED, run=make_run()),
        ]
        # Seconds after each event of a watch.
        self.event_seconds = 0.0
        # How many events the next watches get before they end with that status.
        self.broken_watches: deque[tuple[int, status_pb2.Status]] = deque()
        # Answers of GetServerInfo before it is ready.
        self.unready = 0
        # A Train that is held ends with `end`, or when its caller goes away.
        self.hold = False
        self.end: status_pb2.Status | None = None
        self.held = threading.Event()
        self.released = threading.Event()
        self.abandoned = threading.Event()

    def _enter(self, method: str, request: Any, context: Any) -> None:
        self.requests[method].append(request)
        self.authorizations[method].append(dict(context.invocation_metadata()).get("authorization"))
        if self.failures[method]:
            context.abort_with_status(rpc_status.to_status(self.failures[method].popleft()))

    def Train(self, request: Any, context: Any) -> Any:
        self._enter("Train", request, context)
        # Before the metadata are sent: the caller may leave after receiving them.
        if self.hold and not context.add_callback(self._train_ended):
            self._train_ended()
        context.send_initial_metadata((("loopbench-run-id", RUN_ID),))
        if self.hold:
            self.held.set()
            self.released.wait(30)
            self.hold = False
        if self.end is not None:
            context.abort_with_status(rpc_status.to_status(self.end))
        run = wire.spec_from_wire(request.spec)
        if request.detach:
            return wire.run_to_wire(make_run(run, state=spec.RunState.QUEUED, result=None))
        naming = {"name": request.name, "labels": dict(request.labels)}
        result = make_result(run, self.digest(run)).model_copy(update={"environment": self.environment})
        trained = make_run(run, result=result, **naming)
        if self.keeps:
            trained = trained.model_copy(update={"id": f"run-{len(self.runs)}"})
            self.runs.insert(0, trained)
        return wire.run_to_wire(trained)

    def _train_ended(self) -> None:
        """Ends a held Train, at its end or because its caller left."""
        if self.hold:
            self.abandoned.set()
            self.released.set()

    def WatchRun(self, request: Any, context: Any) -> Iterator[Any]:
        self._enter("WatchRun", request, context)
        count, status = self.broken_watches.popleft() if self.broken_watches else (len(self.events), None)
        for event in self.events[:count]:
            yield wire.event_to_wire(event)
            time.sleep(self.event_seconds)
        if status is not None:
            context.abort_with_status(rpc_status.to_status(status))

    def GetRun(self, request: Any, context: Any) -> Any:
        self._enter("GetRun", request, context)
        named = (run for run in self.runs if run.id == request.run_id)
        return wire.run_to_wire(next(named, self.runs[0]))

    def CancelRun(self, request: Any, context: Any) -> Any:
        self._enter("CancelRun", request, context)
        self.released.set()
        return wire.run_to_wire(make_run(state=spec.RunState.CANCELLED, result=None))

    def DeleteRun(self, request: Any, context: Any) -> Any:
        self._enter("DeleteRun", request, context)
        return empty_pb2.Empty()

    def ListRuns(self, request: Any, context: Any) -> Any:
        self._enter("ListRuns", request, context)
        start = int(request.page_token or 0)
        end = start + request.page_size
        runs = self.runs if self.is_old else [run for run in self.runs if _is_named(run, request.filter)]
        return benchmark_service_pb2.ListRunsResponse(
            runs=map(wire.run_to_wire, runs[start:end]), next_page_token=str(end) if end < len(runs) else ""
        )

    def GetWeights(self, request: Any, context: Any) -> Iterator[Any]:
        self._enter("GetWeights", request, context)
        for start in range(0, len(self.weights), 100):
            yield benchmark_service_pb2.GetWeightsResponse(data=self.weights[start : start + 100])

    def Evaluate(self, request: Any, context: Any) -> Any:
        self._enter("Evaluate", request, context)
        result = make_result(spec.RunSpec())
        figures = {name: getattr(result, name) for name in ("train", "validation")}
        figures |= {name: getattr(result, name) for name in ("reported_train", "reported_validation")}
        ways = {
            "method": spec.Method.FIT,
            "loss": spec.Loss.SUM_OF_SQUARES,
            "accuracy_metric": spec.AccuracyMetric.ARGMAX,
        }
        return wire.evaluation_to_wire(spec.Evaluation(run_id=RUN_ID, **ways, **figures))

    def Compare(self, request: Any, context: Any) -> Any:
        self._enter("Compare", request, context)
        accuracies = {"train_accuracies": (0.9,), "validation_accuracies": (0.8,)}
        means = {"train_accuracy_mean": 0.9, "validation_accuracy_mean": 0.8}
        groups = tuple(
            spec.GroupSummary(label=group.label, run_ids=tuple(group.run_ids), seeds=(0,), **accuracies, **means)
            for group in request.groups
        )
        pairs = tuple(
            spec.PairComparison(
                first_label=first.label,
                second_label=second.label,
                verdict=self.verdict,
                difference=0,
                paired=True,
                explanation="The digests are equal.",
            )
            for first, second in combinations(groups, 2)
        )
        return wire.comparison_to_wire(spec.Comparison(groups=groups, pairs=pairs, margin=0.005, alpha=0.05))

    def Diagnose(self, request: Any, context: Any) -> Any:
        self._enter("Diagnose", request, context)
        cause = spec.Cause(reason="LOSS_REDUCTION", title="t", evidence=(), consequence="e", fix="f")
        first, second = spec.RunSpec(), spec.RunSpec(method=spec.Method.FIT)
        found = spec.Diagnosis(causes=(cause,), controls=(), first=first, second=second, replay=make_replay())
        return wire.diagnosis_to_wire(found)

    def GetServerInfo(self, request: Any, context: Any) -> Any:
        self._enter("GetServerInfo", request, context)
        ready = len(self.requests["GetServerInfo"]) > self.unready
        limits = spec.ServerLimits(slots=1, queue_size=2, message_bytes=3)
        digits = spec.DatasetInfo(
            dataset=spec.Dataset.DIGITS, available=True, train_samples=1_438, validation_samples=359
        )
        gpus = (spec.DeviceInfo(type=spec.Device.GPU, name="GPU:0"),) * self.gpus
        known: dict[str, Any] = {"datasets": (digits,), "limits": limits, "running": 1, "queued": 0, "devices": gpus}
        known["environments"] = (self.environment,)
        return wire.server_info_to_wire(spec.ServerInfo(ready=ready, versions={"tensorflow": "2.21.0"}, **known))


@contextmanager
def serving(service: FakeService) -> Iterator[str]:
    """Serves on loopback, and yields the address."""
    with threaded_server(benchmark_service(service)) as address:
        try:
            yield address
        finally:
            service.released.set()
