"""The service through its client: behaviour that depends on the machine or the image."""

import concurrent.futures

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from loopbench.spec import (
    Device,
    Loss,
    Method,
    RunGroup,
    Verdict,
)
from loopbench_client import Client, InvalidSpecError
from tests.smoke.test_server import HEALTH, SERVICE
from tests.support.diagnoses import TIMEOUT, diagnose, only, spec
from tests.support.servers import Start

pytestmark = pytest.mark.slow

# On a container, other tests here compare, diagnose and share batches.
ON_A_PROCESS = pytest.mark.parametrize("deployment", ["process"], indirect=True, scope="session")


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
    # The hand-written loop too, which does not distribute.
    evaluation = client.evaluate(runs[0].id, method=Method.GRADIENT_TAPE)
    assert evaluation.validation == first.validation


@ON_A_PROCESS
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


def test_many_callers_at_once(client: Client) -> None:
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        runs = list(pool.map(lambda seed: client.train(spec(epochs=1, seed=seed % 3)), range(6)))
    by_seed: dict[int, set[str]] = {}
    for run in runs:
        assert run.result is not None
        by_seed.setdefault(run.spec.seed, set()).add(run.result.weights_digest)
    assert [len(digests) for digests in by_seed.values()] == [1, 1, 1]


def test_liveness_and_readiness_are_apart(start: Start) -> None:
    server = start()
    with grpc.insecure_channel(server.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest(service="")).status == HEALTH.SERVING
        ready = health_pb2.HealthCheckRequest(service=SERVICE)
        assert health.Check(ready).status == HEALTH.NOT_SERVING
        server.wait_ready()
        assert health.Check(ready).status == HEALTH.SERVING


@ON_A_PROCESS
def test_an_undivided_replica_mean_is_found_and_fixed(client: Client) -> None:
    first = spec(batch_size=240)
    second = spec(method=Method.CUSTOM_TRAIN_STEP, batch_size=240)
    unscaled = second.model_copy(update={"loss": Loss.SUM_OF_SQUARES_REPLICA_MEAN, "replicas": 2})
    diagnosis = diagnose(client, first, unscaled)
    assert [cause.reason for cause in diagnosis.causes] == ["REPLICA_SCALING"]
    assert [cause.reason for cause in diagnosis.rounding] == ["REPLICAS"]
    assert diagnosis.fixed_second == second


def test_runs_are_diagnosed_and_the_fix_is_verified(client: Client) -> None:
    runs = [client.train(spec(loss=loss, epochs=4)) for loss in (Loss.SUM_OF_SQUARES, Loss.MEAN_SQUARED_ERROR)]
    diagnosis = client.diagnose(runs[0].id.upper(), runs[1].id, verify=True, seeds=2, timeout=TIMEOUT)
    assert only(diagnosis).reason == "LOSS_REDUCTION"
    assert diagnosis.verification is not None
    verdicts = {(pair.first_label, pair.second_label): pair.verdict for pair in diagnosis.verification.pairs}
    assert verdicts["first", "second, fixed"] is Verdict.IDENTICAL
    assert verdicts["first", "second"] is not Verdict.IDENTICAL
