"""Random requests, invalid and valid: a real server returns a specific error for each invalid one."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor
from google.rpc.error_details_pb2 import BadRequest
from grpc_health.v1 import health_pb2
from grpc_status import rpc_status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopbench.spec import Dataset, RunFilter, RunSpec, RunState
from loopbench.v1 import run_pb2
from loopbench.v1.benchmark_service_pb2 import CancelRunRequest
from loopbench_server.rpc import reflection
from loopbench_server.rpc.interceptors.parsing import WHOLE_REQUEST
from tests.support.messages import request_strategies
from tests.support.requests import SERVICE, exists
from tests.support.servers import ServerProcess, Start, eventually

pytestmark = pytest.mark.slow

SERVICES = (
    SERVICE,
    health_pb2.DESCRIPTOR.services_by_name["Health"],
    *(file.services_by_name["ServerReflection"] for file in reflection.FILES),
)
METHODS: dict[str, Descriptor] = {
    f"/{service.full_name}/{method.name}": method.input_type for service in SERVICES for method in service.methods
}
# Seconds. Too short for training and watching calls to end: only their acceptance is tested.
DEADLINES = {"Train": 0.3, "Diagnose": 0.3, "Watch": 0.3, "WatchRun": 1.0}
LONGEST = 20.0
# Internal errors, wrong for any request.
NEVER = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL}


@dataclass(frozen=True)
class Request:
    path: str
    kind: str
    raw: bytes

    @property
    def method(self) -> str:
        return self.path.rpartition("/")[2]

    def __repr__(self) -> str:
        shown = self.raw if len(self.raw) < 1_000 else self.raw[:1_000] + b"..."
        return f"Request({self.path!r}, {self.kind!r}, {shown!r})"


def requests_to(path: str, ids: list[str]) -> st.SearchStrategy[Request]:
    # A deleted run is not used by later requests.
    known = [] if path.endswith("/DeleteRun") else ids
    kinds = request_strategies(METHODS[path], known)
    return st.sampled_from(sorted(kinds)).flatmap(
        lambda kind: kinds[kind].map(lambda raw: Request(path=path, kind=kind, raw=raw))
    )


class Sender:
    """Sends bytes, checks each response and counts the statuses."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self.answers: Counter[tuple[str, str, str]] = Counter()

    def send(self, request: Request) -> None:
        # As a stream of responses; on the wire a single response is one too.
        call: Any = self._channel.unary_stream(request.path)
        seconds = DEADLINES.get(request.method, LONGEST)
        code, answers = grpc.StatusCode.OK, []
        try:
            answers = list(call(request.raw, timeout=seconds))
        except grpc.RpcError as error:
            code = error.code()
            self._check(request, code, error)
        self.answers[request.method, request.kind, code.name] += 1
        if request.method == "Train" and answers:
            self._end(run_pb2.Run.FromString(answers[0]).id)

    def _check(self, request: Request, code: grpc.StatusCode, error: grpc.RpcError) -> None:
        assert code not in NEVER, (request, error)
        if code is grpc.StatusCode.INVALID_ARGUMENT:
            bad = BadRequest()
            status = rpc_status.from_call(error)
            assert status is not None, (request, error)
            assert status.details[0].Unpack(bad)
            assert bad.field_violations, (request, error)
            for violation in bad.field_violations:
                assert violation.description
                named = violation.field == WHOLE_REQUEST or exists(METHODS[request.path], violation.field)
                assert named, (request, violation)

    def _end(self, run_id: str) -> None:
        """Cancels detached runs, so that the next request has a slot."""
        cancel: Any = self._channel.unary_unary(f"/{SERVICE.full_name}/CancelRun")
        cancel(CancelRunRequest(run_id=run_id).SerializeToString(), timeout=LONGEST)

    def table(self) -> Iterator[str]:
        """Lines of methods and kinds with the number of each code."""
        rows = sorted({(method, kind) for method, kind, _ in self.answers})
        for method, kind in rows:
            codes = {code: count for (*row, code), count in self.answers.items() if tuple(row) == (method, kind)}
            yield f"{method:22} {kind:16} " + ", ".join(f"{code} {count}" for code, count in sorted(codes.items()))
        totals = Counter[str]()
        for (*_, code), count in self.answers.items():
            totals[code] += count
        yield f"{self.answers.total()} requests: " + ", ".join(
            f"{code} {count}" for code, count in totals.most_common()
        )


def send_all(sender: Sender, made: st.SearchStrategy[Request], number: int) -> None:
    @settings(max_examples=number, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))
    @given(made)
    def send(request: Request) -> None:
        sender.send(request)

    send()


@pytest.fixture
def ready(start: Start) -> ServerProcess:
    server = start("--slots", "1", "--queue-size", "1")
    server.wait_ready()
    return server


def test_every_response_is_a_result_or_a_specific_error(ready: ServerProcess, request: pytest.FixtureRequest) -> None:
    with ready.client() as client:
        ids = [client.train(RunSpec(dataset=Dataset.DIGITS, epochs=1, seed=seed)).id for seed in (0, 1)]
        wanted = request.config.getoption("--requests")
        with grpc.insecure_channel(ready.address) as channel:
            sender = Sender(channel)

            for path in METHODS:
                # Hypothesis alone would favour a few of the methods.
                send_all(sender, requests_to(path, ids), -(-wanted // len(METHODS)))
        print(*sender.table(), sep="\n")
        assert sender.answers.total() >= wanted
        assert all(client.get_run(run_id).result for run_id in ids)
        # A detached Train whose deadline passed after its acceptance.
        for run in client.list_runs(RunFilter(states=(RunState.QUEUED, RunState.RUNNING))):
            client.cancel_run(run.id)
        eventually(lambda: client.get_server_info().running == client.get_server_info().queued == 0)
        eventually(lambda: not ready.workers())
    assert ready.faults() == []
