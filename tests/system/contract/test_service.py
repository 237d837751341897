"""The service through its own client: what a caller sees of a real server."""

import concurrent.futures
import urllib.request
import uuid
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from loopbench.spec import (
    Adam,
    Dataset,
    Device,
    Execution,
    Loss,
    LossReport,
    Meter,
    Method,
    Run,
    RunEvent,
    RunFilter,
    RunGroup,
    RunSpec,
    RunState,
    Verdict,
)
from loopbench.v1 import benchmark_service_pb2, benchmark_service_pb2_grpc, run_pb2
from loopbench_client import (
    AlreadyExistsError,
    Client,
    InvalidSpecError,
    NotFoundError,
    PreconditionError,
)
from tests.support.servers import SECONDS_TO_READY


def spec(**fields: Any) -> RunSpec:
    return RunSpec(**{"dataset": Dataset.DIGITS, "epochs": 2} | fields)


@pytest.fixture(scope="module")
def trained(server: Any) -> Run:
    with server.client() as client:
        run: Run = client.train(spec())
        return run


def test_every_method_ends_in_the_same_weights(client: Client, trained: Run) -> None:
    runs = [client.train(spec(method=method)) for method in Method]
    digests = {run.result.weights_digest for run in [trained, *runs] if run.result}
    assert len(digests) == 1


def test_result_is_whole(trained: Run) -> None:
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


def test_stored_run_is_the_one_returned(client: Client, trained: Run) -> None:
    assert client.get(trained.id) == trained
    assert trained in list(client.list(RunFilter(states=(RunState.SUCCEEDED,), datasets=(Dataset.DIGITS,))))


def test_progress_and_epochs_reach_a_watcher(client: Client) -> None:
    events: list[RunEvent] = []
    run = client.train(spec(epochs=4, execution=Execution.EAGER), on_progress=events.append)
    assert [record.epoch for event in events for record in event.epochs] == [1, 2, 3, 4]
    assert events[0].run is not None
    assert events[-1].run == run
    assert any(event.progress and event.progress.steps_per_epoch == 45 for event in events)


def test_late_watcher_misses_nothing(client: Client, trained: Run) -> None:
    (event,) = client.watch(trained.id)
    assert event.run == trained
    assert trained.result is not None
    assert event.epochs == trained.result.history


def test_same_request_is_one_run(client: Client) -> None:
    request_id = str(uuid.uuid4())
    first = client.train(spec(epochs=1), request_id=request_id)
    assert client.train(spec(epochs=1), request_id=request_id) == first
    with pytest.raises(AlreadyExistsError):
        client.train(spec(epochs=2), request_id=request_id)


def test_detached_run_goes_on(client: Client) -> None:
    queued = client.train(spec(seed=3), detach=True)
    *_, last = client.watch(queued.id)
    assert last.state is RunState.SUCCEEDED


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("meter", [Meter.SPARSE_CATEGORICAL, Meter.CATEGORICAL, Meter.ARGMAX])
def test_right_ways_of_evaluating_agree_with_the_audit(
    client: Client, trained: Run, method: Method, meter: Meter
) -> None:
    evaluation = client.evaluate(trained.id, method=method, meter=meter)
    assert trained.result is not None
    assert (evaluation.train, evaluation.validation) == (trained.result.train, trained.result.validation)
    assert evaluation.reported_validation.accuracy == pytest.approx(evaluation.validation.accuracy)
    assert evaluation.reported_validation.loss == pytest.approx(evaluation.validation.loss, rel=1e-5)
    assert evaluation.reported_train.accuracy == pytest.approx(evaluation.train.accuracy)


def test_replicas_share_batches(client: Client) -> None:
    runs = [
        client.train(spec(method=method, device=Device.CPU, replicas=2, batch_size=240))
        for method in (Method.FIT, Method.CUSTOM_TRAIN_STEP)
    ]
    alone = client.train(spec(method=Method.FIT, batch_size=240)).result
    first, second = (run.result for run in runs)
    assert first is not None
    assert second is not None
    assert alone is not None
    assert first.weights_digest == second.weights_digest != alone.weights_digest
    assert first.validation.loss == pytest.approx(alone.validation.loss, rel=1e-5)
    assert first.environment.threads == alone.environment.threads
    # By hand too, which does not distribute.
    evaluation = client.evaluate(runs[0].id, method=Method.GRADIENT_TAPE)
    assert evaluation.validation == first.validation


def test_evaluating_by_another_loss_audits_that_loss(client: Client, trained: Run) -> None:
    mean = client.evaluate(trained.id, loss=Loss.MEAN_SQUARED_ERROR).validation
    assert trained.result is not None
    assert mean.loss * 10 == pytest.approx(trained.result.validation.loss)
    assert mean.correct == trained.result.validation.correct


def test_one_batch_by_hand_under_the_fixed_divisor(client: Client, trained: Run) -> None:
    evaluation = client.evaluate(trained.id, method=Method.GRADIENT_TAPE, loss=Loss.SUM_OF_SQUARES_FIXED_BATCH)
    # 359 samples summed and divided by 32.
    assert evaluation.reported_validation.loss == pytest.approx(evaluation.validation.loss * 359 / 32, rel=1e-5)


def test_evaluating_a_specification_takes_its_latest_run(client: Client, trained: Run) -> None:
    assert client.evaluate(trained.spec).validation.correct == trained.result.validation.correct  # type: ignore[union-attr]
    with pytest.raises(NotFoundError):
        client.evaluate(spec(seed=999))


def test_gpu_asked_for_and_absent(client: Client) -> None:
    if any(device.type is Device.GPU for device in client.server_info().devices):
        pytest.skip("this machine has a GPU")
    with pytest.raises(PreconditionError) as caught:
        client.train(spec(device=Device.GPU))
    assert caught.value.reason == "DEVICE_NOT_AVAILABLE"


def test_every_bad_field_is_named(server: Any) -> None:
    bad = run_pb2.RunSpec(
        method=cast("Any", 99),
        epochs=0,
        batch_size=-1,
        replicas=17,
        optimizer=run_pb2.Optimizer(sgd=run_pb2.Sgd(learning_rate=float("nan"))),
    )
    with grpc.insecure_channel(server.address) as channel, pytest.raises(grpc.RpcError) as caught:
        benchmark_service_pb2_grpc.BenchmarkServiceStub(channel).Train(
            benchmark_service_pb2.TrainRequest(spec=bad, request_id="no uuid")
        )
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


@pytest.mark.parametrize("call", ["get", "cancel", "delete", "evaluate"])
def test_unknown_run(client: Client, call: str) -> None:
    with pytest.raises(NotFoundError):
        getattr(client, call)(str(uuid.uuid4()))


def test_deleted_run_is_gone(client: Client) -> None:
    run = client.train(spec(epochs=1))
    client.delete(run.id)
    with pytest.raises(NotFoundError):
        client.get(run.id)


def test_cancelling_an_ended_run_leaves_it_alone(client: Client, trained: Run) -> None:
    assert client.cancel(trained.id) == trained


def test_compare(client: Client) -> None:
    losses = (Loss.SUM_OF_SQUARES, Loss.MEAN_SQUARED_ERROR)
    ids = {
        (method, loss): tuple(client.train(spec(method=method, loss=loss, seed=seed)).id for seed in (0, 1, 2))
        for method, loss in ((Method.FIT, losses[0]), (Method.GRADIENT_TAPE, losses[0]), (Method.FIT, losses[1]))
    }
    groups = [RunGroup(label=f"{method} {loss}", run_ids=runs) for (method, loss), runs in ids.items()]
    comparison = client.compare(groups, margin=0.01)
    assert [pair.verdict for pair in comparison.pairs] == [Verdict.IDENTICAL, Verdict.DIFFERENT, Verdict.DIFFERENT]
    assert comparison.pairs[1].difference > 0.1
    with pytest.raises(InvalidSpecError) as caught:
        client.compare([groups[0], groups[0]], margin=2)
    assert {violation.field for violation in caught.value.violations} == {"groups", "margin"}


def test_server_info(client: Client) -> None:
    info = client.server_info()
    assert info.ready
    assert {dataset.dataset: dataset.train_samples for dataset in info.datasets} == {
        Dataset.MNIST: 60_000,
        Dataset.DIGITS: 1_438,
    }
    assert info.methods == tuple(Method)
    assert info.loss_reports == tuple(LossReport)


def test_many_callers_at_once(client: Client) -> None:
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        runs = list(pool.map(lambda seed: client.train(spec(epochs=1, seed=seed % 3)), range(6)))
    by_seed: dict[int, set[str]] = {}
    for run in runs:
        assert run.result is not None
        by_seed.setdefault(run.spec.seed, set()).add(run.result.weights_digest)
    assert [len(digests) for digests in by_seed.values()] == [1, 1, 1]


def test_liveness_and_readiness_are_apart(start: Any) -> None:
    server = start()
    with grpc.insecure_channel(server.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        live = health.Check(health_pb2.HealthCheckRequest(service=""))
        assert live.status == health_pb2.HealthCheckResponse.SERVING
        ready = health_pb2.HealthCheckRequest(service="loopbench.v1.BenchmarkService")
        assert health.Check(ready).status == health_pb2.HealthCheckResponse.NOT_SERVING
        with server.client() as client:
            client.wait_ready(SECONDS_TO_READY)
        assert health.Check(ready).status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("method", Method)
def test_tensorboard_logs(client: Client, method: Method) -> None:
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


def test_metrics_endpoint(start: Any) -> None:
    server = start("--metrics-address", "127.0.0.1:0")
    with server.client() as client:
        client.wait_ready(SECONDS_TO_READY)
        client.train(spec(epochs=1))
    (listening,) = (line for line in server.events() if line["event"] == "listening")
    with urllib.request.urlopen(f"http://{listening['metrics_address']}/metrics") as response:
        lines = response.read().decode().splitlines()
    method = 'loss="SUM_OF_SQUARES",method="GRADIENT_TAPE",optimizer="sgd"'
    labels = f'dataset="DIGITS",{method}'
    assert f'loopbench_runs_total{{dataset="DIGITS",device="CPU",{method},outcome="SUCCEEDED"}} 1.0' in lines
    assert "loopbench_queue_depth 0.0" in lines
    assert f"loopbench_examples_total{{{labels}}} 1438.0" in lines
