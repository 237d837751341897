"""The service end to end: a real server with TLS and tokens, its clients, the command line, and a second server.

One file holds all tests, because each pytest process that runs tests of this folder starts the servers.
"""

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import grpc
import psutil
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from loopbench import wire
from loopbench.spec import (
    AccuracyMetric,
    Adam,
    Dataset,
    Device,
    Execution,
    Loss,
    LossAggregation,
    Method,
    Run,
    RunEvent,
    RunFilter,
    RunSpec,
    RunState,
    Sgd,
)
from loopbench.v1 import analysis_pb2, run_pb2
from loopbench.v1 import benchmark_service_pb2 as pb
from loopbench.v1 import benchmark_service_pb2_grpc as pb_grpc
from loopbench_client import (
    AlreadyExistsError,
    AsyncClient,
    Client,
    InvalidSpecError,
    LoopbenchError,
    NotFoundError,
    PreconditionError,
    QueueFullError,
    ServerUnavailableError,
    Tls,
    TlsError,
    UnauthenticatedError,
)
from loopbench_client.cli.exit_codes import ExitCode
from loopbench_server.rpc.server import MESSAGE_BYTES, METADATA_BYTES
from loopbench_server.security.tokens import Role, new_token
from tests.support.certificates import Authority
from tests.support.diagnoses import check_loss_scale, spec
from tests.support.servers import TIMEOUT_SECONDS, Peers, ServerProcess, as_process, eventually

SERVICE = "loopbench.v1.BenchmarkService"
HEALTH = health_pb2.HealthCheckResponse
NOBODYS_RUN = str(uuid.uuid4())
# Far longer than a few runs take on a busy machine.
SECONDS_FOR_A_COMMAND = 600


def long_spec(**fields: Any) -> RunSpec:
    """A spec that trains longer than any test."""
    return spec(**{"epochs": 1_000, "execution": Execution.EAGER} | fields)


def under_way(client: Client, run: RunSpec, request_id: str | None = None) -> str:
    """The id of a new detached run, once it trains."""
    run_id = client.train(run, request_id=request_id, detach=True).id
    for event in client.watch_run(run_id):
        if event.progress and event.progress.step:
            return run_id
    pytest.fail("the run ended by itself")


def catch_code(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The name of the status of a failed call."""
    try:
        call(*arguments, **options)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def bearing(secret: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {secret}"),)


@pytest.fixture(scope="module")
def trained(server: ServerProcess) -> Run:
    with server.client() as client:
        return client.train(spec())


@pytest.fixture(scope="module")
def channel(server: ServerProcess) -> Iterator[grpc.Channel]:
    with server.channel() as made:
        yield made


# Runs and results.


def test_every_method_trains_the_same_weights(client: Client, trained: Run) -> None:
    runs = [client.train(spec(method=method)) for method in Method]
    digests = {run.result.weights_digest for run in [trained, *runs] if run.result}
    assert len(digests) == 1


def test_result_is_complete(trained: Run) -> None:
    result = trained.result
    assert trained.state is RunState.SUCCEEDED
    assert result is not None
    assert result.dataset is Dataset.DIGITS
    assert (result.train.samples, result.validation.samples) == (1_438, 359)
    assert result.train.accuracy == result.train.correct / 1_438
    assert result.updates == 2 * 45
    assert result.environment.device is Device.CPU
    assert result.environment.versions["tensorflow"].startswith("2.")
    phases = result.phases.model_dump()
    assert set(phases) == {f"{name}_seconds" for name in ("queue", "start", "load", "compile", "train", "evaluate")}
    assert all(seconds > 0 for seconds in phases.values())
    assert trained.start_time
    assert trained.end_time
    assert trained.create_time <= trained.start_time <= trained.end_time


def test_stored_run_equals_the_returned_run(client: Client, trained: Run) -> None:
    assert client.get_run(trained.id) == trained
    assert trained in list(client.list_runs(RunFilter(states=(RunState.SUCCEEDED,), datasets=(Dataset.DIGITS,))))


def test_runs_are_listed_by_filter_and_page(client: Client, channel: grpc.Channel) -> None:
    seeds = (8_001, 8_002, 8_003)
    ids = [client.train(spec(epochs=1, seed=seed)).id for seed in seeds]
    assert [run.id for run in client.list_runs(RunFilter(seeds=seeds), page_size=2)] == ids[::-1]
    assert [run.id for run in client.list_runs(RunFilter(seeds=seeds[:1], methods=(Method.FIT,)))] == []
    stub = pb_grpc.BenchmarkServiceStub(channel)
    request = pb.ListRunsRequest(filter=pb.RunFilter(seeds=seeds), page_size=2)
    first = stub.ListRuns(request)
    request.page_token = first.next_page_token
    last = stub.ListRuns(request)
    assert [[run.id for run in page.runs] for page in (first, last)] == [[ids[2], ids[1]], [ids[0]]]
    assert last.next_page_token == ""


def test_progress_and_epochs_reach_a_watcher(client: Client) -> None:
    events: list[RunEvent] = []
    run = client.train(spec(epochs=4, execution=Execution.EAGER), on_progress=events.append)
    assert [record.epoch for event in events for record in event.epochs] == [1, 2, 3, 4]
    assert events[0].run is not None
    assert events[-1].run == run
    assert any(event.progress and event.progress.steps_per_epoch == 45 for event in events)


def test_late_watcher_misses_nothing(client: Client, trained: Run) -> None:
    (event,) = client.watch_run(trained.id)
    assert event.run == trained
    assert trained.result is not None
    assert event.epochs == trained.result.history


def test_same_request_is_one_run(client: Client) -> None:
    request_id = str(uuid.uuid4())
    first = client.train(spec(epochs=1), request_id=request_id)
    assert client.train(spec(epochs=1), request_id=request_id) == first
    with pytest.raises(AlreadyExistsError):
        client.train(spec(epochs=2), request_id=request_id)


def test_deleted_run_is_gone(client: Client) -> None:
    run = client.train(spec(epochs=1, seed=3), detach=True)
    *_, last = client.watch_run(run.id)
    assert last.state is RunState.SUCCEEDED
    client.delete_run(run.id)
    with pytest.raises(NotFoundError):
        client.get_run(run.id)


def test_cancelling_an_ended_run_leaves_it_alone(client: Client, trained: Run) -> None:
    assert client.cancel_run(trained.id) == trained


@pytest.mark.parametrize("call", ["get_run", "cancel_run", "delete_run", "evaluate"])
def test_unknown_run(client: Client, call: str) -> None:
    with pytest.raises(NotFoundError):
        getattr(client, call)(str(uuid.uuid4()))


def test_weights_are_evaluated_by_another_method(client: Client, trained: Run) -> None:
    assert trained.result is not None
    evaluation = client.evaluate(trained.id, method=Method.FIT, accuracy_metric=AccuracyMetric.ARGMAX)
    assert (evaluation.train, evaluation.validation) == (trained.result.train, trained.result.validation)
    assert evaluation.reported_validation.accuracy == pytest.approx(evaluation.validation.accuracy)
    assert evaluation.reported_validation.loss == pytest.approx(evaluation.validation.loss, rel=1e-5)
    assert evaluation.reported_train.accuracy == pytest.approx(evaluation.train.accuracy)


def test_evaluating_by_another_loss_computes_that_loss(client: Client, trained: Run) -> None:
    mean = client.evaluate(trained.id, loss=Loss.MEAN_SQUARED_ERROR).validation
    assert trained.result is not None
    assert mean.loss * 10 == pytest.approx(trained.result.validation.loss)
    assert mean.correct == trained.result.validation.correct


def test_evaluating_a_specification_takes_its_latest_run(client: Client, trained: Run) -> None:
    assert client.evaluate(trained.spec).validation.correct == trained.result.validation.correct  # type: ignore[union-attr]
    with pytest.raises(NotFoundError):
        client.evaluate(spec(seed=999))


def test_requesting_an_absent_gpu_is_an_error(client: Client) -> None:
    if any(device.type is Device.GPU for device in client.get_server_info().devices):
        pytest.skip("this machine has a GPU")
    with pytest.raises(PreconditionError) as caught:
        client.train(spec(device=Device.GPU))
    assert caught.value.reason == "DEVICE_NOT_AVAILABLE"


def test_every_bad_field_is_named(channel: grpc.Channel) -> None:
    bad = run_pb2.RunSpec(
        method=cast("Any", 99),
        epochs=0,
        batch_size=-1,
        replicas=17,
        optimizer=run_pb2.Optimizer(sgd=run_pb2.Sgd(learning_rate=float("nan"))),
    )
    with pytest.raises(grpc.RpcError) as caught:
        pb_grpc.BenchmarkServiceStub(channel).Train(pb.TrainRequest(spec=bad, request_id="no uuid"))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    status = rpc_status.from_call(caught.value)
    bad_request = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(bad_request)
    assert {violation.field for violation in bad_request.field_violations} == {
        "spec.method",
        "spec.epochs",
        "spec.batch_size",
        "spec.replicas",
        "spec.optimizer.sgd.learning_rate",
        "request_id",
    }


def test_server_info(client: Client) -> None:
    info = client.get_server_info()
    assert info.ready
    assert {dataset.dataset: dataset.train_samples for dataset in info.datasets} == {
        Dataset.MNIST: 60_000,
        Dataset.DIGITS: 1_438,
    }
    assert info.methods == tuple(Method)
    assert info.loss_aggregations == tuple(LossAggregation)


def check_tensorboard_logs(client: Client, method: Method) -> None:
    run = client.train(spec(method=method, optimizer=Adam(), tensorboard=True))
    assert run.result is not None
    folder = Path(run.result.tensorboard_dir)
    train, validation = (EventAccumulator(str(folder / split)).Reload() for split in ("train", "validation"))
    for logs, split in ((train, "train"), (validation, "validation")):
        for figure in ("loss", "accuracy"):
            written = [float(make_ndarray(event.tensor_proto)) for event in logs.Tensors(f"epoch_{figure}")]
            reported = [getattr(getattr(record, split), figure) for record in run.result.history]
            assert written == pytest.approx(reported)
    histograms = [tag for tag in train.Tags()["tensors"] if tag.endswith("/histogram")]
    assert len(histograms) == 6
    assert train.Tags()["graph"]


def test_tensorboard_logs(client: Client) -> None:
    check_tensorboard_logs(client, Method.FIT)


# Diagnoses and comparisons.


def test_inputs_that_cannot_be_diagnosed_are_refused(client: Client) -> None:
    with pytest.raises(NotFoundError):
        client.diagnose(NOBODYS_RUN, spec())
    with pytest.raises(InvalidSpecError) as caught:
        client.diagnose("one", "two")
    assert [violation.field for violation in caught.value.violations] == ["first.run_id", "second.run_id"]
    with pytest.raises(InvalidSpecError) as caught:
        client.diagnose(spec(), RunSpec.model_construct(**{**dict(spec()), "epochs": 0}))
    assert [violation.field for violation in caught.value.violations] == ["second.spec.epochs"]


# The command line.


def loopbench(server: ServerProcess, *words: str, role: str | None = "write") -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command, with access from the environment."""
    command = [sys.executable, "-c", "from loopbench_client.cli import main; main()", *words]
    done = subprocess.run(
        command,
        env=server.environment(role),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_FOR_A_COMMAND,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command_line_trains_and_lists(server: ServerProcess) -> None:
    words = ("--method", "fit", "--dataset", "digits", "--epochs", "1", "--seed", "8100")
    code, stdout, stderr = loopbench(server, "train", *words, "--json")
    assert code == ExitCode.SUCCESS, stderr
    run = json.loads(stdout)
    assert run["state"] == "RUN_STATE_SUCCEEDED"
    code, stdout, _ = loopbench(server, "runs", "--seed", "8100", "--json", role="read")
    assert (code, [listed["id"] for listed in json.loads(stdout)["runs"]]) == (ExitCode.SUCCESS, [run["id"]])


def test_the_command_line_compares(server: ServerProcess) -> None:
    shared = ("--dataset", "digits", "--epochs", "1", "--seeds", "2", "--seed", "8200")
    words = ["compare", *shared]
    for text in ("tape: method=gradient-tape", "fit: method=fit", "step: method=custom-train-step"):
        words += ["--spec", text]
    code, stdout, stderr = loopbench(server, *words, "--require", "identical")
    assert (code, stderr.splitlines()[0]) == (0, "found 0 of 6 runs on the server; training 6")
    # What was found, and of each run its start and its end; on a slow machine also the wait for the runs.
    assert len([line for line in stderr.splitlines() if not line.startswith("waiting for ")]) == 1 + 2 * 6
    assert stdout.count("The final weights are the same, bit for bit, for all 2 seeds.") == 3

    words += ["--spec", "mse: loss=mean-squared-error"]
    code, stdout, stderr = loopbench(server, *words, "--json", "--require", "equivalent")
    document = json.loads(stdout)
    assert (code, document["reused"], stderr.splitlines()[0]) == (8, 6, "found 6 of 8 runs on the server; training 2")
    assert [len(runs) for runs in document["runs"].values()] == [2, 2, 2, 2]
    with server.client() as client:
        assert len([*client.list_runs(RunFilter(seeds=(8200, 8201)))]) == 8


def test_the_command_line_diagnoses(server: ServerProcess) -> None:
    words = ("diagnose", "--dataset", "digits", "--epochs", "2")
    pair = ("method=gradient-tape", "method=fit loss=mean-squared-error")
    code, stdout, stderr = loopbench(server, *words, *pair, "--json")
    assert code == ExitCode.SUCCESS, stderr
    found = json_format.Parse(stdout, analysis_pb2.Diagnosis())
    check_loss_scale(wire.diagnosis_from_wire(found), Sgd())
    code, stdout, stderr = loopbench(server, *words, NOBODYS_RUN, "method=fit")
    assert (code, stdout) == (ExitCode.NOT_FOUND, "")
    assert stderr.startswith("error: ")


def test_the_command_line_explains_missing_access(server: ServerProcess) -> None:
    code, _, stderr = loopbench(server, "delete", NOBODYS_RUN, role=None)
    assert code == ExitCode.NO_ACCESS
    assert [line.partition(":")[0] for line in stderr.splitlines()] == ["error", "hint"]
    assert "LOOPBENCH_TOKEN" in stderr
    code, _, stderr = loopbench(server, "delete", NOBODYS_RUN, role="read")
    assert code == ExitCode.NO_ACCESS
    assert "error: not allowed: DeleteRun needs the role write, and the token has read" in stderr
    assert "hint: Ask the operator of the server" in stderr


# Ports, metrics, health and reflection.


def test_a_run_is_counted_in_the_metrics(server: ServerProcess, client: Client) -> None:
    # No other test uses this method with this loss.
    client.train(spec(epochs=1, method=Method.CUSTOM_TRAIN_STEP, loss=Loss.SUM_OF_SQUARES_FIXED_BATCH))
    method = 'loss="SUM_OF_SQUARES_FIXED_BATCH",method="CUSTOM_TRAIN_STEP",optimizer="sgd"'
    labels = f'dataset="DIGITS",{method}'
    lines = server.metrics()
    assert f'loopbench_runs_total{{dataset="DIGITS",device="CPU",{method},outcome="SUCCEEDED"}} 1.0' in lines
    assert "loopbench_queue_depth 0.0" in lines
    assert f"loopbench_examples_total{{{labels}}} 1438.0" in lines


def test_liveness_and_readiness_need_no_token(server: ServerProcess) -> None:
    with server.channel(role=None) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", SERVICE):
            assert health.Check(health_pb2.HealthCheckRequest(service=service)).status == HEALTH.SERVING


def test_probes_without_tls_and_tokens_ask_for_health_alone(server: ServerProcess) -> None:
    with grpc.insecure_channel(server.listening()["health_address"]) as channel:
        probe = health_pb2_grpc.HealthStub(channel)
        assert probe.Check(health_pb2.HealthCheckRequest()).status == HEALTH.SERVING
        assert probe.Check(health_pb2.HealthCheckRequest(service=SERVICE)).status == HEALTH.SERVING
        assert catch_code(pb_grpc.BenchmarkServiceStub(channel).GetServerInfo, pb.GetServerInfoRequest()) == (
            "UNIMPLEMENTED"
        )


class Generic:
    """Calls any method of any service, with messages as JSON."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._database = ProtoReflectionDescriptorDatabase(channel)
        self._pool = DescriptorPool(self._database)

    def services(self) -> set[str]:
        return set(self._database.get_services())

    def call(self, service: str, method: str, request: dict[str, Any]) -> Any:
        """The response as JSON, or an iterator of responses for a stream."""
        described = self._pool.FindServiceByName(service).methods_by_name[method]
        message = json_format.ParseDict(request, GetMessageClass(described.input_type)())
        kind: Any = self._channel.unary_stream if described.server_streaming else self._channel.unary_unary
        answered = kind(
            f"/{service}/{method}",
            request_serializer=lambda sent: sent.SerializeToString(),
            response_deserializer=GetMessageClass(described.output_type).FromString,
        )(message)
        if described.server_streaming:
            return map(json_format.MessageToDict, answered)
        return json_format.MessageToDict(answered)


def test_a_reflection_client_trains_watches_and_cancels(channel: grpc.Channel) -> None:
    """The client gets everything else by reflection."""
    generic = Generic(channel)
    versions = {f"grpc.reflection.{version}.ServerReflection" for version in ("v1", "v1alpha")}
    assert {SERVICE, "grpc.health.v1.Health", *versions} == generic.services()

    trained = generic.call(SERVICE, "Train", {"spec": {"dataset": "DATASET_DIGITS", "epochs": 2}})
    assert trained["state"] == "RUN_STATE_SUCCEEDED"
    assert trained["result"]["validation"]["samples"] == "359"
    watched = list(generic.call(SERVICE, "WatchRun", {"runId": trained["id"]}))
    assert [record["epoch"] for event in watched for record in event["epochs"]] == [1, 2]

    endless = {"dataset": "DATASET_DIGITS", "epochs": 1000, "execution": "EXECUTION_EAGER"}
    queued = generic.call(SERVICE, "Train", {"spec": endless, "detach": True})
    events = generic.call(SERVICE, "WatchRun", {"runId": queued["id"]})
    assert any("progress" in event for event in events)
    cancelled = generic.call(SERVICE, "CancelRun", {"runId": queued["id"]})
    assert cancelled["state"] == "RUN_STATE_CANCELLED"
    assert list(events)[-1]["run"]["error"]["reason"] == "RUN_CANCELLED"


def test_a_message_has_at_most_a_mebibyte(channel: grpc.Channel) -> None:
    around = 512  # bytes of a message beside its one text
    call: Any = channel.unary_unary(f"/{SERVICE}/GetRun")
    small, large = (
        pb.GetRunRequest(run_id="a" * (MESSAGE_BYTES + more)).SerializeToString() for more in (-around, around)
    )
    for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        assert catch_code(call, small, compression=compression, timeout=TIMEOUT_SECONDS) == "INVALID_ARGUMENT"
        assert catch_code(call, large, compression=compression, timeout=TIMEOUT_SECONDS) == "RESOURCE_EXHAUSTED"


def test_metadata_have_at_most_their_limit(channel: grpc.Channel) -> None:
    around = 512  # bytes of metadata that gRPC and the token add
    call: Any = channel.unary_unary(f"/{SERVICE}/GetRun")
    small, large = ((("x", "a" * size),) for size in (METADATA_BYTES - 2 * around, METADATA_BYTES + around))
    assert catch_code(call, b"", metadata=small, timeout=TIMEOUT_SECONDS) == "INVALID_ARGUMENT"
    assert catch_code(call, b"", metadata=large, timeout=TIMEOUT_SECONDS) == "RESOURCE_EXHAUSTED"


def test_a_used_port_is_an_error(server: ServerProcess) -> None:
    command = [*as_process(server.folder), "--address", server.address, "--metrics-address", "none"]
    command += ["--store-url", f"sqlite:///{server.folder / 'runs.db'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)
    assert done.returncode == 1
    assert "--address: cannot serve on" in done.stderr
    assert "Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


# Access: TLS, tokens and roles.

LET_IN = {"OK", "NOT_FOUND", "INVALID_ARGUMENT"}
# A call of every method that an idle server answers at once.
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "Train": lambda stub, metadata: stub.Train(pb.TrainRequest(request_id="no uuid"), metadata=metadata),
    "Evaluate": lambda stub, metadata: stub.Evaluate(pb.EvaluateRequest(run_id=NOBODYS_RUN), metadata=metadata),
    "WatchRun": lambda stub, metadata: [*stub.WatchRun(pb.WatchRunRequest(run_id=NOBODYS_RUN), metadata=metadata)],
    "GetRun": lambda stub, metadata: stub.GetRun(pb.GetRunRequest(run_id=NOBODYS_RUN), metadata=metadata),
    "ListRuns": lambda stub, metadata: stub.ListRuns(pb.ListRunsRequest(), metadata=metadata),
    "CancelRun": lambda stub, metadata: stub.CancelRun(pb.CancelRunRequest(run_id=NOBODYS_RUN), metadata=metadata),
    "DeleteRun": lambda stub, metadata: stub.DeleteRun(pb.DeleteRunRequest(run_id=NOBODYS_RUN), metadata=metadata),
    "GetWeights": lambda stub, metadata: [
        *stub.GetWeights(pb.GetWeightsRequest(run_id=NOBODYS_RUN), metadata=metadata)
    ],
    "Compare": lambda stub, metadata: stub.Compare(pb.CompareRequest(), metadata=metadata),
    "Diagnose": lambda stub, metadata: stub.Diagnose(pb.DiagnoseRequest(), metadata=metadata),
    "GetServerInfo": lambda stub, metadata: stub.GetServerInfo(pb.GetServerInfoRequest(), metadata=metadata),
}
READING = {"WatchRun", "GetRun", "ListRuns", "GetWeights", "Compare", "GetServerInfo"}


def test_every_role_has_exactly_its_permissions(server: ServerProcess) -> None:
    assert set(CALLS) == {method.name for method in pb.DESCRIPTOR.services_by_name["BenchmarkService"].methods}
    with server.channel(role=None) as channel:
        stub = pb_grpc.BenchmarkServiceStub(channel)
        for method, call in CALLS.items():
            assert catch_code(call, stub, ()) == "UNAUTHENTICATED", method
            assert catch_code(call, stub, bearing("wrong")) == "UNAUTHENTICATED", method
            assert catch_code(call, stub, bearing(server.tokens["write"])) in LET_IN, method
            allowed = LET_IN if method in READING else {"PERMISSION_DENIED"}
            assert catch_code(call, stub, bearing(server.tokens["read"])) in allowed, method


def test_reflection_needs_a_token(server: ServerProcess) -> None:
    for role, code in ((None, "UNAUTHENTICATED"), ("read", "OK")):
        with server.channel(role) as channel:
            requests = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
            answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(requests)
            assert catch_code(next, answers) == code


async def test_both_clients_show_a_token(server: ServerProcess) -> None:
    read = server.tokens["read"]
    with Client(server.address, token=read, tls=server.tls) as client:
        assert client.get_server_info().versions["loopbench"]
    async with AsyncClient(server.address, token=read, tls=server.tls) as client:
        assert (await client.get_server_info()).versions["loopbench"]
        assert not [run async for run in client.list_runs(RunFilter(seeds=(998,)))]
    # Every call has its line in the log.
    eventually(lambda: {line.get("method") for line in server.events()} >= {"GetServerInfo", "ListRuns"})
    with Client(server.address, tls=server.tls) as client, pytest.raises(UnauthenticatedError) as caught:
        client.get_server_info()
    assert "LOOPBENCH_TOKEN" in caught.value.hint


def test_tls_accepts_clients_that_trust_its_ca(server: ServerProcess, tmp_path: Path) -> None:
    foreign = Tls(Authority(tmp_path / "foreign").certificate)
    token = server.tokens["read"]
    with Client(server.address, token=token, tls=foreign) as client, pytest.raises(TlsError) as caught:
        client.wait_ready(60)
    assert caught.value.message == "the server's certificate is not one that is trusted here"
    assert "--tls-ca" in caught.value.hint
    with Client(server.address, token=token) as client, pytest.raises(ServerUnavailableError) as refused:
        client.get_server_info()
    assert "--tls" in refused.value.hint


def test_tls_against_a_plaintext_server_is_one_clear_line(server: ServerProcess, peers: Peers) -> None:
    with Client(peers[0].address, tls=server.tls) as client, pytest.raises(TlsError) as caught:
        client.get_server_info()
    assert caught.value.message == "what answers there does not speak TLS"


def test_a_replaced_tokens_file_applies_at_once(server: ServerProcess) -> None:
    secret, token = new_token("new", Role.READ)
    file = server.folder / "tokens"
    before = file.read_text()
    by_old = Client(server.address, token=server.tokens["read"], tls=server.tls)
    by_new = Client(server.address, token=secret, tls=server.tls)
    with by_old, by_new:
        assert by_old.get_server_info()
        with pytest.raises(UnauthenticatedError):
            by_new.get_server_info()
        try:
            file.write_text(token.line)
            assert by_new.get_server_info()
            with pytest.raises(UnauthenticatedError):
                by_old.get_server_info()
        finally:
            file.write_text(before)
        assert by_old.get_server_info()
        with pytest.raises(UnauthenticatedError):
            by_new.get_server_info()


def test_no_log_shows_a_token_its_hash_or_a_key(server: ServerProcess) -> None:
    file, unknown = server.folder / "tokens", new_token("nobody", Role.WRITE)[0]
    before = file.read_text()
    with server.client() as client:
        try:
            file.write_text(f"{before}a secret by mistake {unknown}\n")
            assert client.get_server_info()
            eventually(lambda: "line 3" in server.log())
        finally:
            file.write_text(before)
    with Client(server.address, token=unknown, tls=server.tls) as client, pytest.raises(UnauthenticatedError):
        client.get_server_info()
    eventually(lambda: "UNAUTHENTICATED" in server.log())
    log = server.log()
    hashes = [word for line in before.splitlines() for word in line.split() if len(word) == 64]
    key = (server.folder / "certificates" / "server.key").read_text().splitlines()[1]
    assert len(hashes) == 2
    assert not [secret for secret in (*server.tokens.values(), unknown, *hashes, key) if secret in log]


def value(lines: list[str], series: str) -> float:
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(series)), 0.0)


def test_refused_calls_are_counted(server: ServerProcess) -> None:
    labels = 'grpc_code="Unauthenticated",grpc_method="GetServerInfo",grpc_service="loopbench.v1.BenchmarkService"'
    handled = f'grpc_server_handled_total{{{labels},grpc_type="unary"}} '
    errors = 'loopbench_rpc_errors_total{reason="UNAUTHENTICATED"} '
    before = server.metrics()
    with Client(server.address, tls=server.tls) as client, pytest.raises(UnauthenticatedError):
        client.get_server_info()
    eventually(lambda: value(server.metrics(), handled) == value(before, handled) + 1)
    assert value(server.metrics(), errors) == value(before, errors) + 1


GARBAGE = ["../../etc/passwd", "/etc/passwd", "$(touch x)", "a\nb", "a\x00b", '"} 1\nx{a="', "x" * 500_000, "'; --"]


def test_caller_input_reaches_neither_a_path_nor_a_label(server: ServerProcess, channel: grpc.Channel) -> None:
    logged = len(server.log())
    stub = pb_grpc.BenchmarkServiceStub(channel)
    for text in GARBAGE:
        group = analysis_pb2.RunGroup(label=text[:200], run_ids=[text])
        requests: list[tuple[Any, Any]] = [
            (stub.GetRun, pb.GetRunRequest(run_id=text)),
            (stub.CancelRun, pb.CancelRunRequest(run_id=text)),
            (stub.DeleteRun, pb.DeleteRunRequest(run_id=text)),
            (lambda request: [*stub.WatchRun(request)], pb.WatchRunRequest(run_id=text)),
            (stub.Evaluate, pb.EvaluateRequest(run_id=text)),
            (stub.Train, pb.TrainRequest(request_id=text)),
            (stub.ListRuns, pb.ListRunsRequest(page_token=text)),
            (stub.Compare, pb.CompareRequest(groups=[group, group])),
        ]
        for call, request in requests:
            assert catch_code(call, request) == "INVALID_ARGUMENT", request
    for method in (f"/{SERVICE}/..%2f", "/a/b/c/d", "/loopbench.v1.Other/GetRun"):
        unknown: Any = channel.unary_unary(method)
        assert catch_code(unknown, b"") == "UNIMPLEMENTED"
    shown = "\n".join(server.metrics())
    assert not any(text in shown for text in ("etc", "touch", "xxxx", "..", "Other"))
    log = server.log()[logged:]
    assert "internal error" not in log
    assert "Traceback" not in log


# Ends: of a run, of a client, of a worker, of a server.


def test_cancel_ends_the_process(server: ServerProcess, client: Client) -> None:
    eventually(lambda: not server.workers())
    run_id = under_way(client, long_spec())
    (worker,) = server.workers()
    cancelled = client.cancel_run(run_id)
    assert not worker.is_running()
    assert cancelled.state is RunState.CANCELLED
    assert cancelled.error is not None
    assert cancelled.error.reason == "RUN_CANCELLED"
    assert client.get_run(run_id) == cancelled


def test_deadline_cancels_the_run(server: ServerProcess, client: Client) -> None:
    seed = 8_300
    with pytest.raises(LoopbenchError):
        client.train(long_spec(seed=seed), timeout=2)
    eventually(lambda: not server.workers())
    # The process is gone before the end of its run is stored.
    eventually(lambda: all(run.state.ended for run in client.list_runs(RunFilter(seeds=(seed,)))))
    (run,) = client.list_runs(RunFilter(seeds=(seed,)))
    assert run.state is RunState.CANCELLED
    assert run.error is not None
    assert (run.error.reason, run.error.retryable) == ("CALLER_GONE", True)


def read_events(server: ServerProcess, run_id: str, request_id: str) -> list[str]:
    """Log events of a run; every line about it has both ids."""
    mentioned = [line for line in server.events() if run_id in str(line) or request_id in str(line)]
    assert {line["request_id"] for line in mentioned} == {request_id}
    assert {line["run_id"] for line in mentioned} == {run_id}
    return [line["event"] for line in mentioned if line["event"] != "rpc"]


def test_killed_worker_fails_the_run_and_a_retry_succeeds(server: ServerProcess, client: Client) -> None:
    eventually(lambda: not server.workers())
    request_id = str(uuid.uuid4())
    run_spec = spec(epochs=6, execution=Execution.EAGER, seed=5)
    run = client.train(run_spec, request_id=request_id, detach=True)
    eventually(lambda: bool(server.workers()))
    server.workers()[0].kill()
    *_, last = client.watch_run(run.id)
    assert last.run is not None
    assert last.run.error is not None
    assert (last.run.state, last.run.error.reason) == (RunState.FAILED, "WORKER_LOST")
    assert read_events(server, run.id, request_id) == ["run queued", "run started", "run ended"]
    again = client.train(run_spec, request_id=request_id)
    assert again.id == run.id
    reference = client.train(run_spec.model_copy(update={"execution": Execution.GRAPH}))
    assert again.result is not None
    assert reference.result is not None
    assert again.result.weights_digest == reference.result.weights_digest
    eventually(lambda: read_events(server, run.id, request_id) == 2 * ["run queued", "run started", "run ended"])


def test_killed_forkserver_is_replaced(server: ServerProcess, client: Client) -> None:
    server.forkserver().kill()
    assert client.train(spec(epochs=1)).state is RunState.SUCCEEDED


def test_full_queue_and_cancelling_in_it(peers: Peers) -> None:
    """The second server has one slot and queues one run."""
    with peers[0].client() as client:
        first = under_way(client, long_spec())
        queued = client.train(long_spec(), detach=True)
        assert next(iter(client.watch_run(queued.id))).queue_position == 0
        with pytest.raises(QueueFullError) as caught:
            client.train(spec(epochs=1))
        assert caught.value.retry_delay
        assert client.cancel_run(queued.id).state is RunState.CANCELLED
        assert client.get_run(first).state is RunState.RUNNING
        client.cancel_run(first)


# Two servers on one store: the first of the peers is the one that tests end.


def test_a_run_is_watched_and_waited_for_at_the_other_server(peers: Peers) -> None:
    epochs = 16
    with peers[0].client() as one, peers[1].client() as two:
        run_spec, request_id = spec(epochs=epochs, execution=Execution.EAGER), str(uuid.uuid4())
        run_id = under_way(one, run_spec, request_id)
        assert two.get_run(run_id).state is RunState.RUNNING
        events = [*two.watch_run(run_id)]
        assert [record.epoch for event in events for record in event.epochs] == [*range(1, epochs + 1)]
        assert events[0].run is not None
        assert events[0].run.state is RunState.RUNNING
        assert len(events) > 2, "it was watched while it trained"
        assert events[-1].run == one.get_run(run_id) == two.train(run_spec, request_id=request_id)
        assert two.evaluate(run_id).validation == two.get_run(run_id).result.validation  # type: ignore[union-attr]


def test_a_run_is_cancelled_by_the_other_server(peers: Peers) -> None:
    with peers[0].client() as one, peers[1].client() as two:
        eventually(lambda: not peers[0].workers())
        run_id = under_way(one, long_spec())
        (worker,) = peers[0].workers()
        cancelled = two.cancel_run(run_id)
        assert not psutil.pid_exists(worker.pid)
        assert cancelled.error is not None
        assert (cancelled.state, cancelled.error.reason) == (RunState.CANCELLED, "RUN_CANCELLED")
        assert one.get_run(run_id) == cancelled
        assert one.train(spec(epochs=1)).state is RunState.SUCCEEDED


def test_the_other_server_fails_and_retrains_a_dead_servers_run(peers: Peers) -> None:
    epochs = 12
    with peers[0].client() as one, peers[1].client() as two:
        run_spec, request_id = spec(epochs=epochs, seed=4, execution=Execution.EAGER), str(uuid.uuid4())
        expected = two.train(spec(epochs=epochs, seed=4)).result
        run_id = under_way(one, run_spec, request_id)
        below = peers[0].processes()
        killed = peers[0].process
        killed.kill()
        killed.communicate()
        watched = [*two.watch_run(run_id)][-1].run
        assert watched is not None
        assert watched.error is not None
        assert (watched.state, watched.error.reason, watched.error.retryable) == (RunState.FAILED, "SERVER_LOST", True)
        again = two.train(run_spec, request_id=request_id)
    assert (again.id, again.state) == (run_id, RunState.SUCCEEDED)
    # Bit-identical to the undisturbed GRAPH run.
    assert expected is not None
    assert again.result is not None
    assert again.result.weights_digest == expected.weights_digest
    assert [record.epoch for record in again.result.history] == [*range(1, epochs + 1)]
    eventually(lambda: not any(process.is_running() for process in below))


def test_sigterm_lets_a_run_finish(peers: Peers) -> None:
    stopped = peers[0]
    with stopped.client() as one, stopped.channel() as channel:
        eventually(lambda: not stopped.workers())
        run_id = under_way(one, spec(epochs=6, execution=Execution.EAGER))
        (worker,) = stopped.workers()
        worker.suspend()
        stopped.process.send_signal(signal.SIGTERM)
        health = health_pb2_grpc.HealthStub(channel)
        ready = health_pb2.HealthCheckRequest(service=SERVICE)
        eventually(lambda: health.Check(ready).status == HEALTH.NOT_SERVING)
        assert health.Check(health_pb2.HealthCheckRequest()).status == HEALTH.SERVING
        worker.resume()
        assert stopped.process.wait(TIMEOUT_SECONDS) == 0
    with peers[1].client() as two:
        assert two.get_run(run_id).state is RunState.SUCCEEDED
