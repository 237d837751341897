"""Calls through a real server in this process with a tokens file."""

# ruff: noqa: ARG002, N802 - methods have the names and the arguments of the service

import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2
from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry

from loopbench.v1 import benchmark_service_pb2 as pb
from loopbench.v1 import benchmark_service_pb2_grpc as pb_grpc
from loopbench.v1 import run_pb2
from loopbench_server.rpc.interceptors import make_interceptors
from loopbench_server.rpc.methods import METHOD_ROLES
from loopbench_server.security.identity import caller
from loopbench_server.security.reloading_files import ReloadingFiles
from loopbench_server.security.tokens import Role, parse
from loopbench_server.telemetry.metrics.rpcs import RpcMetrics
from tests.support.in_process import benchmark_service, catch_status, collect_messages

from .conftest import Serve

SERVICE = "loopbench.v1.BenchmarkService"
READER, WRITER = "reader-secret", "writer-secret"


class Handlers(pb_grpc.BenchmarkServiceServicer):
    """Answer with the caller's name."""

    async def GetRun(self, request: Any, context: Any) -> Any:
        return run_pb2.Run(id=caller())

    async def WatchRun(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield pb.WatchRunResponse(run=run_pb2.Run(id=caller()))

    async def DeleteRun(self, request: Any, context: Any) -> Any:
        return Empty()


def line(name: str, role: str, secret: str) -> str:
    return f"{name} {role} {hashlib.sha256(secret.encode()).hexdigest()}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(line("rita", "read", READER) + line("walt", "write", WRITER))
    return path


@pytest.fixture
def rewrite(file: Path) -> Callable[[str], object]:
    """Replaces the content of the file."""
    return file.write_text


@pytest.fixture
async def channel(file: Path, registry: CollectorRegistry, serve: Serve) -> grpc.aio.Channel:
    handlers = Handlers()  # type: ignore[abstract]  # the other methods are not called
    interceptors = make_interceptors(RpcMetrics(registry), NoOpTracer(), ReloadingFiles((file,), parse))
    return await serve(benchmark_service(handlers), interceptors=interceptors)


@pytest.fixture
def stub(channel: Any) -> Any:
    return pb_grpc.BenchmarkServiceStub(channel)


def bearing(*values: str) -> tuple[tuple[str, str], ...]:
    return tuple(("authorization", value) for value in values)


async def refusal(call: Any) -> tuple[str, str, str]:
    """Code, reason and hint."""
    error, status = await catch_status(call)
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return error.code().name, info.reason, info.metadata["hint"]


def methods(file: Any) -> set[str]:
    """Every method of the services that a .proto file describes."""
    return {
        f"/{service.full_name}/{method.name}"
        for service in file.services_by_name.values()
        for method in service.methods
    }


def test_the_table_knows_every_method_that_is_served() -> None:
    served = [methods(file) for file in (pb.DESCRIPTOR, health_pb2.DESCRIPTOR)]
    reflection = {f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")}
    assert set(METHOD_ROLES) == reflection.union(*served)


def test_writes_and_training_require_the_writer_role() -> None:
    writing = {"Train", "Evaluate", "CancelRun", "DeleteRun", "Diagnose"}
    assert {name.rpartition("/")[2] for name, role in METHOD_ROLES.items() if role is Role.WRITE} == writing
    assert {name for name, role in METHOD_ROLES.items() if role is Role.OPEN} == methods(health_pb2.DESCRIPTOR)


async def test_a_known_token_is_accepted_and_names_its_caller(stub: Any) -> None:
    for secret, name in ((READER, "rita"), (WRITER, "walt")):
        assert (await stub.GetRun(pb.GetRunRequest(), metadata=bearing(f"Bearer {secret}"))).id == name
        (event,) = await collect_messages(stub.WatchRun(pb.WatchRunRequest(), metadata=bearing(f"bearer {secret}")))
        assert event.run.id == name


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("",),
        ("Bearer",),
        ("Bearer wrong",),
        ("Bearer " + READER.upper(),),
        ("Bearer " + hashlib.sha256(WRITER.encode()).hexdigest(),),
        (READER,),
        (f"Basic {READER}",),
        (f"Bearer {READER} {WRITER}",),
        (f"Bearer {READER}", f"Bearer {WRITER}"),
        ("Bearer " + "x" * 4_000,),
    ],
    ids=lambda values: " + ".join(values)[:30] or "none",
)
async def test_exactly_one_known_token_is_required(stub: Any, values: tuple[str, ...]) -> None:
    code, reason, hint = await refusal(stub.GetRun(pb.GetRunRequest(), metadata=bearing(*values)))
    assert (code, reason) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
    assert "LOOPBENCH_TOKEN" in hint


async def test_streams_are_refused_too(stub: Any) -> None:
    assert (await refusal(anext(aiter(stub.WatchRun(pb.WatchRunRequest())))))[0] == "UNAUTHENTICATED"


async def test_a_reader_may_not_write(stub: Any) -> None:
    call = stub.DeleteRun(pb.DeleteRunRequest(), metadata=bearing(f"Bearer {READER}"))
    assert (await refusal(call))[:2] == ("PERMISSION_DENIED", "ROLE_MISSING")
    await stub.DeleteRun(pb.DeleteRunRequest(), metadata=bearing(f"Bearer {WRITER}"))


async def test_unlisted_methods_require_the_writer_role(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(METHOD_ROLES, f"/{SERVICE}/GetRun")
    code, *_ = await refusal(stub.GetRun(pb.GetRunRequest(), metadata=bearing(f"Bearer {READER}")))
    assert code == "PERMISSION_DENIED"
    assert (await stub.GetRun(pb.GetRunRequest(), metadata=bearing(f"Bearer {WRITER}"))).id == "walt"


async def test_a_refused_callers_message_is_not_parsed(channel: Any) -> None:
    # Invalid bytes would be INTERNAL if the server parsed them.
    code, *_ = await refusal(channel.unary_unary(f"/{SERVICE}/GetRun")(b"\xff\xff\xff"))
    assert code == "UNAUTHENTICATED"


async def test_a_removed_token_is_refused(stub: Any, rewrite: Any) -> None:
    await stub.GetRun(pb.GetRunRequest(), metadata=bearing(f"Bearer {READER}"))
    rewrite(line("new", "read", "new-secret"))
    code, *_ = await refusal(stub.GetRun(pb.GetRunRequest(), metadata=bearing(f"Bearer {READER}")))
    assert code == "UNAUTHENTICATED"
    assert (await stub.GetRun(pb.GetRunRequest(), metadata=bearing("Bearer new-secret"))).id == "new"


async def test_an_empty_file_admits_nobody(stub: Any, rewrite: Any) -> None:
    rewrite("")
    for secret in (READER, WRITER, ""):
        call = stub.GetRun(pb.GetRunRequest(), metadata=bearing(f"Bearer {secret}"))
        assert (await refusal(call))[0] == "UNAUTHENTICATED"


async def test_a_broken_file_keeps_the_last_tokens(stub: Any, rewrite: Any) -> None:
    rewrite("nonsense")
    assert (await stub.GetRun(pb.GetRunRequest(), metadata=bearing(f"Bearer {READER}"))).id == "rita"


async def test_refusals_are_counted(stub: Any, registry: CollectorRegistry, eventually: Any) -> None:
    await refusal(stub.GetRun(pb.GetRunRequest()))
    await refusal(stub.DeleteRun(pb.DeleteRunRequest(), metadata=bearing(f"Bearer {READER}")))

    def count(method: str, code: str) -> float | None:
        labels = {"grpc_type": "unary", "grpc_service": SERVICE, "grpc_method": method, "grpc_code": code}
        return registry.get_sample_value("grpc_server_handled_total", labels)

    await eventually(lambda: count("GetRun", "Unauthenticated") == count("DeleteRun", "PermissionDenied") == 1)
