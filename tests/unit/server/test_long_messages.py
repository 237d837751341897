"""A caller receives every error, even with a long message: a client accepts 8 KiB of metadata with a status."""

# ruff: noqa: ARG002, N802 - methods have the names and the arguments of the service

from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.rpc.error_details_pb2 import ErrorInfo

from loopbench.spec import Violation
from loopbench.v1 import benchmark_service_pb2 as pb
from loopbench.v1 import benchmark_service_pb2_grpc as pb_grpc
from loopbench_server import errors
from loopbench_server.rpc.error_mapping import STATUSES
from loopbench_server.workers.error_text import MAX_MESSAGE_LENGTH, make_message
from tests.support.in_process import benchmark_service, catch_status

from .conftest import Serve

# Characters of one to four bytes; some that gRPC escapes and some that it does not.
CHARACTERS = ("x", "%", "\n", "ä", "漢", "😀", "\udc80")
LENGTH = 20_000
RUN_ID = "00000000-0000-4000-8000-000000000001"


class Failing(pb_grpc.BenchmarkServiceServicer):
    error: Exception

    async def DeleteRun(self, request: pb.DeleteRunRequest, context: Any) -> Empty:
        raise self.error


@pytest.fixture
def failing() -> Failing:
    return Failing()  # type: ignore[abstract]  # the other methods are not called


@pytest.fixture
async def stub(failing: Failing, serve: Serve) -> Any:
    return pb_grpc.BenchmarkServiceStub(await serve(benchmark_service(failing)))


async def received(stub: Any) -> tuple[Any, ErrorInfo]:
    """The received error and its details."""
    error, status = await catch_status(stub.DeleteRun(pb.DeleteRunRequest()))
    assert status is not None, error.details()
    info = ErrorInfo()
    assert [detail for detail in status.details if detail.Unpack(info)]
    return error, info


@pytest.mark.parametrize("error", errors.subclasses())
async def test_a_long_message_is_cut(error: type[errors.LoopbenchServerError], failing: Failing, stub: Any) -> None:
    for character in CHARACTERS:
        failing.error = error("why: " + LENGTH * character, run_id=RUN_ID)
        raised, info = await received(stub)
        assert raised.code() is STATUSES[error], ascii(character)
        assert (info.reason, info.metadata["run_id"]) == (error.reason, RUN_ID), ascii(character)
        message = raised.details()
        assert message is not None, ascii(character)
        assert message.startswith("why: " + 70 * character.encode(errors="replace").decode()), ascii(character)
        assert message.endswith("..."), ascii(character)


async def test_a_long_violation_is_cut(failing: Failing, stub: Any) -> None:
    for character in CHARACTERS:
        bad = (Violation(field="spec", description=LENGTH * character), Violation(field="other", description="is bad"))
        failing.error = errors.InvalidRequestError("bad", bad)
        raised, info = await received(stub)
        assert raised.code() is grpc.StatusCode.INVALID_ARGUMENT, ascii(character)
        assert info.reason == "INVALID_FIELDS", ascii(character)


async def test_a_short_message_is_complete(failing: Failing, stub: Any) -> None:
    failing.error = errors.RunFailedError("why: ä% 漢\n😀")
    assert (await received(stub))[0].details() == "why: ä% 漢\n😀"


def test_a_worker_cuts_its_message() -> None:
    assert make_message("x" * MAX_MESSAGE_LENGTH) == "x" * MAX_MESSAGE_LENGTH
    assert make_message("x" * LENGTH) == "x" * MAX_MESSAGE_LENGTH + "..."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("calling Pooling.\n\n\x1b[1mSize is negative.\x1b[0m\r\n  • x", "calling Pooling. Size is negative. • x"),
        ("\x1b[38;5;1mred\x1b[39m \x1b(Btext\x1b", "red Btext?"),
        ("a\x00b\x07\u2028c", "a?b? c"),
    ],
)
def test_a_worker_sends_one_line_without_control_characters(text: str, shown: str) -> None:
    assert make_message(text) == shown
