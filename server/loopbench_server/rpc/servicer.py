"""Methods of ``loopbench.v1.BenchmarkService``: convert, call, convert."""

import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

from google.protobuf.empty_pb2 import Empty
from grpc.aio import ServicerContext
from structlog.contextvars import bind_contextvars

from loopbench import wire
from loopbench.spec import (
    DiagnosisRequest,
    EvaluationRequest,
    InvalidFieldsError,
    Naming,
    RunFilter,
    RunSpec,
    ServerInfo,
    Violation,
)
from loopbench.v1 import analysis_pb2, benchmark_service_pb2, benchmark_service_pb2_grpc, run_pb2
from loopbench_server.blocking import run_blocking_read
from loopbench_server.ids import NO_RUN_ID, NO_UUID, normalize_uuid
from loopbench_server.operations.compare_stored import compare_stored
from loopbench_server.operations.diagnose import Diagnoser
from loopbench_server.operations.evaluate import Evaluator
from loopbench_server.operations.weights import read_weights
from loopbench_server.rpc.server_info import ServerStatus
from loopbench_server.rpc.stored_messages import make_page_message, row_to_ended_event, row_to_run_message
from loopbench_server.runs.caller_limiter import CallerLimiter, ReadLimit
from loopbench_server.runs.log_context import bind_run_ids
from loopbench_server.runs.scheduler import Scheduler
from loopbench_server.security.identity import caller
from loopbench_server.store.store import UNFINISHED, Store
from loopbench_server.telemetry.metrics.host import ServiceMetrics

RUN_ID_METADATA = "loopbench-run-id"
# WatchRun calls of ended runs: each event contains all epochs of its run.
WATCHED_ENDED = ReadLimit(at_once=16, each=4, waiting=2_000)
# GetWeights calls: each holds the weights of its run, about a megabyte.
WEIGHTS_READ = ReadLimit(at_once=16, each=4, waiting=1_000)
DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 50, 1_000

Context = ServicerContext[Any, Any]


def parse_uuid(field: str, value: str, fault: str = NO_RUN_ID) -> str:
    """Return the normalized form of ``value``.

    Raises:
        InvalidFieldsError: ``value`` is not a UUID; ``fault`` describes what it must be.
    """
    if not (found := normalize_uuid(value)):
        raise InvalidFieldsError((Violation(field=field, description=fault),))
    return found


def parse_run_id(request: Any) -> str:
    """Return the run_id of ``request``, and add it to later log lines of the call.

    Raises:
        InvalidFieldsError: the run_id is not a UUID.
    """
    run_id = parse_uuid("run_id", request.run_id)
    bind_contextvars(run_id=run_id)
    return run_id


def collect_violations(*checks: Callable[[], Any]) -> list[Any]:
    """Return the results of ``checks``.

    Raises:
        InvalidFieldsError: one error with the violations of all checks.
    """
    given: list[Any] = []
    violations: list[Violation] = []
    for check in checks:
        try:
            given.append(check())
        except InvalidFieldsError as error:
            violations += error.violations
    if violations:
        raise InvalidFieldsError(tuple(violations))
    return given


def parse_train_request(request: benchmark_service_pb2.TrainRequest) -> tuple[RunSpec, str, Naming]:
    """Return specification, request_id, and the name and labels of a new run."""
    request_id = request.request_id or str(uuid.uuid4())
    spec, request_id, naming = collect_violations(
        lambda: wire.spec_from_wire(request.spec),
        lambda: parse_uuid("request_id", request_id, NO_UUID),
        lambda: wire.naming_from_wire(request),
    )
    return spec, request_id, naming


def parse_evaluate_request(request: benchmark_service_pb2.EvaluateRequest) -> EvaluationRequest:
    """Return the request with a normalized run id."""
    has_id = request.HasField("run_id")
    wanted, update = collect_violations(
        lambda: wire.evaluation_request_from_wire(request),
        lambda: {"run_id": parse_run_id(request)} if has_id else {},
    )
    return cast("EvaluationRequest", wanted.model_copy(update=update))


def parse_diagnose_request(request: benchmark_service_pb2.DiagnoseRequest) -> DiagnosisRequest:
    """Return the request with normalized run ids."""

    def subject(side: str) -> dict[str, str]:
        given = getattr(request, side)
        return {"run_id": parse_uuid(f"{side}.run_id", given.run_id)} if given.HasField("run_id") else {}

    wanted, first, second = collect_violations(
        lambda: wire.diagnosis_request_from_wire(request), lambda: subject("first"), lambda: subject("second")
    )
    sides = {"first": wanted.first.model_copy(update=first), "second": wanted.second.model_copy(update=second)}
    return cast("DiagnosisRequest", wanted.model_copy(update=sides))


def parse_page_size(value: int) -> int:
    """Return the number of runs on a page: the default for 0, and at most the maximum.

    Raises:
        InvalidFieldsError: ``value`` is negative.
    """
    if value < 0:
        raise InvalidFieldsError((Violation(field="page_size", description="must not be negative"),))
    return min(value or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


class BenchmarkService(benchmark_service_pb2_grpc.BenchmarkServiceServicer):
    """Implements the methods. Errors pass through: the interceptors turn them into statuses."""

    def __init__(
        self,
        scheduler: Scheduler,
        evaluations: Evaluator,
        diagnoses: Diagnoser,
        store: Store,
        status: ServerStatus,
        *,
        metrics: ServiceMetrics,
    ) -> None:
        self._scheduler = scheduler
        self._evaluations = evaluations
        self._diagnoses = diagnoses
        self._store = store
        self._status = status
        self._metrics = metrics
        self._ended_run_limiter = CallerLimiter("WatchRun calls of runs that have ended", WATCHED_ENDED)
        self._weights_limiter = CallerLimiter("GetWeights calls", WEIGHTS_READ)

    async def Train(self, request: benchmark_service_pb2.TrainRequest, context: Context) -> run_pb2.Run:
        spec, request_id, naming = parse_train_request(request)
        bind_contextvars(request_id=request_id)
        if request.detach:
            submitted = await self._scheduler.submit(spec, request_id, caller(), naming)
            await context.send_initial_metadata(((RUN_ID_METADATA, submitted.id),))
            return wire.run_to_wire(submitted)
        async with self._scheduler.attached(spec, request_id, caller(), naming) as run:
            await context.send_initial_metadata(((RUN_ID_METADATA, run.id),))
            return wire.run_to_wire(await self._scheduler.wait(run.id))

    async def Evaluate(
        self, request: benchmark_service_pb2.EvaluateRequest, context: Context
    ) -> benchmark_service_pb2.EvaluateResponse:
        wanted = parse_evaluate_request(request)
        return wire.evaluation_to_wire(await self._evaluations.evaluate(wanted))

    async def WatchRun(
        self, request: benchmark_service_pb2.WatchRunRequest, context: Context
    ) -> AsyncIterator[benchmark_service_pb2.WatchRunResponse]:
        run_id = parse_run_id(request)
        if self._scheduler.get_active(run_id) is None:
            async with self._ended_run_limiter.slot(caller()):
                if ended := await run_blocking_read(self._ended_event, run_id):
                    bind_run_ids(ended.run)
                    with self._ended_run_limiter.sending():
                        yield ended
                    return
        async for event in self._scheduler.watch(run_id):
            yield wire.event_to_wire(event)

    def _ended_event(self, run_id: str) -> benchmark_service_pb2.WatchRunResponse | None:
        row = self._store.get_row(run_id)
        return None if row.state in UNFINISHED else row_to_ended_event(row, self._store.get_epoch_records(run_id))

    async def GetRun(self, request: benchmark_service_pb2.GetRunRequest, context: Context) -> run_pb2.Run:
        run_id = parse_run_id(request)
        if run := self._scheduler.get_active(run_id):
            return wire.run_to_wire(bind_run_ids(run))
        return bind_run_ids(await run_blocking_read(self._stored_run, run_id))

    def _stored_run(self, run_id: str) -> run_pb2.Run:
        return row_to_run_message(self._store.get_row(run_id))

    async def ListRuns(
        self, request: benchmark_service_pb2.ListRunsRequest, context: Context
    ) -> benchmark_service_pb2.ListRunsResponse:
        run_filter, size = collect_violations(
            lambda: wire.filter_from_wire(request.filter), lambda: parse_page_size(request.page_size)
        )
        return await run_blocking_read(self._page, run_filter, size, request.page_token)

    def _page(self, run_filter: RunFilter, size: int, page_token: str) -> benchmark_service_pb2.ListRunsResponse:
        return make_page_message(*self._store.page(run_filter, size, page_token, row_to_run_message))

    async def CancelRun(self, request: benchmark_service_pb2.CancelRunRequest, context: Context) -> run_pb2.Run:
        return wire.run_to_wire(await self._scheduler.cancel(parse_run_id(request)))

    async def DeleteRun(self, request: benchmark_service_pb2.DeleteRunRequest, context: Context) -> Empty:
        await self._scheduler.delete(parse_run_id(request))
        return Empty()

    async def GetWeights(
        self, request: benchmark_service_pb2.GetWeightsRequest, context: Context
    ) -> AsyncIterator[benchmark_service_pb2.GetWeightsResponse]:
        run_id = parse_run_id(request)
        async with self._weights_limiter.slot(caller()):
            # The weights are in memory until the last part is sent.
            with self._weights_limiter.sending():
                async for part in read_weights(self._store, run_id):
                    yield benchmark_service_pb2.GetWeightsResponse(data=part)

    async def Compare(self, request: benchmark_service_pb2.CompareRequest, context: Context) -> analysis_pb2.Comparison:
        wanted = wire.comparison_request_from_wire(request)
        comparison = await run_blocking_read(compare_stored, self._store, wanted)
        self._metrics.count_verdicts(comparison)
        return wire.comparison_to_wire(comparison)

    async def Diagnose(
        self, request: benchmark_service_pb2.DiagnoseRequest, context: Context
    ) -> analysis_pb2.Diagnosis:
        wanted = parse_diagnose_request(request)
        return wire.diagnosis_to_wire(await self._diagnoses.diagnose(wanted, caller()))

    async def GetServerInfo(
        self, request: benchmark_service_pb2.GetServerInfoRequest, context: Context
    ) -> benchmark_service_pb2.ServerInfo:
        info: ServerInfo = self._status.info()
        return wire.server_info_to_wire(info)
