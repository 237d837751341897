"""The RPCs of ``loopbench.v1.BenchmarkService``: convert, call, convert."""

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
    RunFilter,
    RunSpec,
    ServerInfo,
    Violation,
)
from loopbench.v1 import analysis_pb2, benchmark_service_pb2, benchmark_service_pb2_grpc, run_pb2
from loopbench_server.access.identity import caller
from loopbench_server.analysis.diagnoses import Diagnoses
from loopbench_server.analysis.stored import compare_stored
from loopbench_server.ids import NO_UUID, canonical
from loopbench_server.info import ServerStatus
from loopbench_server.metrics.host import ServiceMetrics
from loopbench_server.runs.caller_turns import CallerTurns, ReadLimit
from loopbench_server.runs.evaluations import Evaluations
from loopbench_server.runs.naming import logged_as
from loopbench_server.runs.scheduler import Scheduler
from loopbench_server.runs.store import UNFINISHED, Store
from loopbench_server.runs.threads import in_read_thread
from loopbench_server.stored_messages import ended_event, page_message, run_message

RUN_ID_METADATA = "loopbench-run-id"
# WatchRun of runs that have ended: each event has all epochs of its run.
WATCHED_ENDED = ReadLimit(at_once=16, each=4, waiting=2_000)
DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE = 50, 1_000

Context = ServicerContext[Any, Any]


def checked_uuid(field: str, value: str) -> str:
    """``value`` in its usual form.

    Raises:
        InvalidFieldsError: it is not a UUID.
    """
    if not (found := canonical(value)):
        raise InvalidFieldsError((Violation(field=field, description=NO_UUID),))
    return found


def named_run(request: Any) -> str:
    """The run_id of ``request``, checked; every later line of the call bears it.

    Raises:
        InvalidFieldsError: it is not a UUID.
    """
    run_id = checked_uuid("run_id", request.run_id)
    bind_contextvars(run_id=run_id)
    return run_id


def together(*checks: Callable[[], Any]) -> list[Any]:
    """What each check gives.

    Raises:
        InvalidFieldsError: one for all that they find wrong.
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


def checked_train_request(request: benchmark_service_pb2.TrainRequest) -> tuple[RunSpec, str]:
    """Specification and request_id."""
    request_id = request.request_id or str(uuid.uuid4())
    spec, request_id = together(
        lambda: wire.spec_from_wire(request.spec), lambda: checked_uuid("request_id", request_id)
    )
    return spec, request_id


def checked_evaluate_request(request: benchmark_service_pb2.EvaluateRequest) -> EvaluationRequest:
    """The request, with the run's id in its usual form."""
    has_id = request.HasField("run_id")
    wanted, update = together(
        lambda: wire.evaluation_request_from_wire(request),
        lambda: {"run_id": named_run(request)} if has_id else {},
    )
    return cast("EvaluationRequest", wanted.model_copy(update=update))


def checked_diagnose_request(request: benchmark_service_pb2.DiagnoseRequest) -> DiagnosisRequest:
    """The request, with the runs' ids in their usual form."""

    def subject(side: str) -> dict[str, str]:
        given = getattr(request, side)
        return {"run_id": checked_uuid(f"{side}.run_id", given.run_id)} if given.HasField("run_id") else {}

    wanted, first, second = together(
        lambda: wire.diagnosis_request_from_wire(request), lambda: subject("first"), lambda: subject("second")
    )
    sides = {"first": wanted.first.model_copy(update=first), "second": wanted.second.model_copy(update=second)}
    return cast("DiagnosisRequest", wanted.model_copy(update=sides))


def checked_page_size(value: int) -> int:
    """Runs on a page: the default for 0, and at most the largest.

    Raises:
        InvalidFieldsError: it is negative.
    """
    if value < 0:
        raise InvalidFieldsError((Violation(field="page_size", description="must not be negative"),))
    return min(value or DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE)


class BenchmarkService(benchmark_service_pb2_grpc.BenchmarkServiceServicer):
    """Errors are raised as they are: the boundary turns them into statuses."""

    def __init__(
        self,
        scheduler: Scheduler,
        evaluations: Evaluations,
        diagnoses: Diagnoses,
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
        self._ended_watched = CallerTurns("WatchRun calls of runs that have ended", WATCHED_ENDED)

    async def Train(self, request: benchmark_service_pb2.TrainRequest, context: Context) -> run_pb2.Run:
        spec, request_id = checked_train_request(request)
        bind_contextvars(request_id=request_id)
        if request.detach:
            submitted = await self._scheduler.submit(spec, request_id, caller())
            await context.send_initial_metadata(((RUN_ID_METADATA, submitted.id),))
            return wire.run_to_wire(submitted)
        async with self._scheduler.attached(spec, request_id, caller()) as run:
            await context.send_initial_metadata(((RUN_ID_METADATA, run.id),))
            return wire.run_to_wire(await self._scheduler.wait(run.id))

    async def Evaluate(
        self, request: benchmark_service_pb2.EvaluateRequest, context: Context
    ) -> benchmark_service_pb2.EvaluateResponse:
        wanted = checked_evaluate_request(request)
        return wire.evaluation_to_wire(await self._evaluations.evaluate(wanted))

    async def WatchRun(
        self, request: benchmark_service_pb2.WatchRunRequest, context: Context
    ) -> AsyncIterator[benchmark_service_pb2.WatchRunResponse]:
        run_id = named_run(request)
        if self._scheduler.live_run(run_id) is None:
            async with self._ended_watched.turn(caller()):
                if ended := await in_read_thread(self._ended_event, run_id):
                    logged_as(ended.run)
                    with self._ended_watched.sending():
                        yield ended
                    return
        async for event in self._scheduler.watch(run_id):
            yield wire.event_to_wire(event)

    def _ended_event(self, run_id: str) -> benchmark_service_pb2.WatchRunResponse | None:
        row = self._store.row(run_id)
        return None if row.state in UNFINISHED else ended_event(row, self._store.epoch_records(run_id))

    async def GetRun(self, request: benchmark_service_pb2.GetRunRequest, context: Context) -> run_pb2.Run:
        run_id = named_run(request)
        if run := self._scheduler.live_run(run_id):
            return wire.run_to_wire(logged_as(run))
        return logged_as(await in_read_thread(self._stored_run, run_id))

    def _stored_run(self, run_id: str) -> run_pb2.Run:
        return run_message(self._store.row(run_id))

    async def ListRuns(
        self, request: benchmark_service_pb2.ListRunsRequest, context: Context
    ) -> benchmark_service_pb2.ListRunsResponse:
        run_filter, size = together(
            lambda: wire.filter_from_wire(request.filter), lambda: checked_page_size(request.page_size)
        )
        return await in_read_thread(self._page, run_filter, size, request.page_token)

    def _page(self, run_filter: RunFilter, size: int, page_token: str) -> benchmark_service_pb2.ListRunsResponse:
        return page_message(*self._store.page(run_filter, size, page_token, run_message))

    async def CancelRun(self, request: benchmark_service_pb2.CancelRunRequest, context: Context) -> run_pb2.Run:
        return wire.run_to_wire(await self._scheduler.cancel(named_run(request)))

    async def DeleteRun(self, request: benchmark_service_pb2.DeleteRunRequest, context: Context) -> Empty:
        await self._scheduler.delete(named_run(request))
        return Empty()

    async def Compare(self, request: benchmark_service_pb2.CompareRequest, context: Context) -> analysis_pb2.Comparison:
        wanted = wire.comparison_request_from_wire(request)
        comparison = await in_read_thread(compare_stored, self._store, wanted)
        self._metrics.compared(comparison)
        return wire.comparison_to_wire(comparison)

    async def Diagnose(
        self, request: benchmark_service_pb2.DiagnoseRequest, context: Context
    ) -> analysis_pb2.Diagnosis:
        wanted = checked_diagnose_request(request)
        return wire.diagnosis_to_wire(await self._diagnoses.diagnose(wanted, caller()))

    async def GetServerInfo(
        self, request: benchmark_service_pb2.GetServerInfoRequest, context: Context
    ) -> benchmark_service_pb2.ServerInfo:
        info: ServerInfo = self._status.info()
        return wire.server_info_to_wire(info)
