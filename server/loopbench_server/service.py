"""The RPCs of ``loopbench.v1.BenchmarkService``: convert, call, convert."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.empty_pb2 import Empty
from grpc.aio import ServicerContext
from structlog.contextvars import bind_contextvars

from loopbench import wire
from loopbench.spec import DiagnosisRequest, InvalidFieldsError, ServerInfo, Violation
from loopbench.v1 import analysis_pb2, benchmark_service_pb2, benchmark_service_pb2_grpc, run_pb2
from loopbench_server.access.identity import caller
from loopbench_server.analysis.diagnoses import Diagnoses
from loopbench_server.analysis.stored import compare_stored
from loopbench_server.info import ServerStatus
from loopbench_server.runs.evaluations import Evaluations
from loopbench_server.runs.scheduler import Scheduler
from loopbench_server.runs.store import Store
from loopbench_server.runs.threads import in_thread

RUN_ID_METADATA = "loopbench-run-id"
DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE = 50, 1_000

Context = ServicerContext[Any, Any]


def checked_uuid(field: str, value: str) -> str:
    """``value`` in its usual form.

    Raises:
        InvalidFieldsError: it is not a UUID.
    """
    try:
        return str(uuid.UUID(value))
    except ValueError as error:
        raise InvalidFieldsError((Violation(field=field, description="must be a UUID"),)) from error


def named_run(request: Any) -> str:
    """The run_id of ``request``, checked; every later line of the call bears it.

    Raises:
        InvalidFieldsError: it is not a UUID.
    """
    run_id = checked_uuid("run_id", request.run_id)
    bind_contextvars(run_id=run_id)
    return run_id


def checked_train_request(request: benchmark_service_pb2.TrainRequest) -> tuple[Any, str]:
    """Specification and request_id; both are checked, so that one error names all that is wrong."""
    violations: tuple[Violation, ...] = ()
    spec, request_id = None, str(uuid.uuid4())
    try:
        spec = wire.spec_from_wire(request.spec)
    except InvalidFieldsError as error:
        violations += error.violations
    try:
        request_id = checked_uuid("request_id", request.request_id) if request.request_id else request_id
    except InvalidFieldsError as error:
        violations += error.violations
    if violations:
        raise InvalidFieldsError(violations)
    return spec, request_id


def checked_diagnosis_request(request: DiagnosisRequest) -> DiagnosisRequest:
    """``request`` with its ids in their usual form; one error names both where both are wrong."""
    violations: tuple[Violation, ...] = ()
    sides = {}
    for side in ("first", "second"):
        subject = getattr(request, side)
        if subject.run_id is None:
            continue
        try:
            run_id = checked_uuid(f"{side}.run_id", subject.run_id)
            sides[side] = subject.model_copy(update={"run_id": run_id})
        except InvalidFieldsError as error:
            violations += error.violations
    if violations:
        raise InvalidFieldsError(violations)
    return request.model_copy(update=sides)


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
    ) -> None:
        self._scheduler = scheduler
        self._evaluations = evaluations
        self._diagnoses = diagnoses
        self._store = store
        self._status = status

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
        wanted = wire.evaluation_request_from_wire(request)
        if wanted.run_id is not None:
            wanted = wanted.model_copy(update={"run_id": named_run(request)})
        return wire.evaluation_to_wire(await self._evaluations.evaluate(wanted))

    async def WatchRun(
        self, request: benchmark_service_pb2.WatchRunRequest, context: Context
    ) -> AsyncIterator[benchmark_service_pb2.WatchRunResponse]:
        async for event in self._scheduler.watch(named_run(request)):
            yield wire.event_to_wire(event)

    async def GetRun(self, request: benchmark_service_pb2.GetRunRequest, context: Context) -> run_pb2.Run:
        return wire.run_to_wire(await self._scheduler.get(named_run(request)))

    async def ListRuns(
        self, request: benchmark_service_pb2.ListRunsRequest, context: Context
    ) -> benchmark_service_pb2.ListRunsResponse:
        run_filter, size = wire.filter_from_wire(request.filter), checked_page_size(request.page_size)
        runs, token = await in_thread(self._store.list, run_filter, size, request.page_token)
        return benchmark_service_pb2.ListRunsResponse(runs=map(wire.run_to_wire, runs), next_page_token=token)

    async def CancelRun(self, request: benchmark_service_pb2.CancelRunRequest, context: Context) -> run_pb2.Run:
        return wire.run_to_wire(await self._scheduler.cancel(named_run(request)))

    async def DeleteRun(self, request: benchmark_service_pb2.DeleteRunRequest, context: Context) -> Empty:
        await self._scheduler.delete(named_run(request))
        return Empty()

    async def Compare(self, request: benchmark_service_pb2.CompareRequest, context: Context) -> analysis_pb2.Comparison:
        wanted = wire.comparison_request_from_wire(request)
        return wire.comparison_to_wire(await in_thread(compare_stored, self._store, wanted))

    async def Diagnose(
        self, request: benchmark_service_pb2.DiagnoseRequest, context: Context
    ) -> analysis_pb2.Diagnosis:
        wanted = checked_diagnosis_request(wire.diagnosis_request_from_wire(request))
        return wire.diagnosis_to_wire(await self._diagnoses.diagnose(wanted, caller()))

    async def GetServerInfo(
        self, request: benchmark_service_pb2.GetServerInfoRequest, context: Context
    ) -> benchmark_service_pb2.ServerInfo:
        info: ServerInfo = self._status.info()
        return wire.server_info_to_wire(info)
