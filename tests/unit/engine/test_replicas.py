"""Several replicas that share every batch, on logical devices of the CPU."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from loopbench.spec import Execution, Loss, LossAggregation, Method, RunSpec, Sgd
from loopbench_server.engine.data import Data
from loopbench_server.engine.replicas import strategy_for
from loopbench_server.engine.training import train
from loopbench_server.worker_config import WorkerConfig

from .numpy_reference import ADAM, EPOCHS, SGD, digest, forward, run, train_with_numpy

DISTRIBUTED = (Method.FIT, Method.CUSTOM_TRAIN_STEP)


def shared(**fields: Any) -> Any:
    return run(replicas=2, **{"method": Method.CUSTOM_TRAIN_STEP} | fields)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [SGD, ADAM], ids=["sgd", "adam"])
def test_bits_do_not_depend_on_method_or_execution(optimizer: dict[str, str]) -> None:
    spec = {"optimizer": optimizer, "replicas": 2, "batch_size": 240, "epochs": 1}
    digests = {
        (method, execution): digest(method=method, execution=execution, **spec)
        for method in DISTRIBUTED
        for execution in (Execution.GRAPH, Execution.EAGER)
    }
    assert len(set(digests.values())) == 1, digests


@pytest.mark.parametrize(
    ("optimizer", "tolerance"),
    [(SGD, 1e-6), pytest.param(ADAM, 1e-4, marks=pytest.mark.slow)],
    ids=["sgd", "adam"],
)
def test_weights_match_numpy_on_whole_batches(digits: Data, optimizer: dict[str, str], tolerance: float) -> None:
    result, weights = shared(optimizer=optimizer)
    for ours, theirs in zip(weights, train_with_numpy(digits, optimizer, EPOCHS), strict=True):
        assert np.abs(ours - theirs).max() < tolerance
    assert result.updates == EPOCHS * 45  # 1,438 samples in batches of 32, the last of 30
    one, _ = run()
    assert result.batch_order_digest == one.batch_order_digest


@pytest.mark.slow
@pytest.mark.parametrize("method", DISTRIBUTED)
def test_a_per_replica_mean_doubles_the_rate(digits: Data, method: Method) -> None:
    result, weights = shared(method=method, loss=Loss.SUM_OF_SQUARES_REPLICA_MEAN, epochs=1)
    for ours, theirs in zip(weights, train_with_numpy(digits, SGD, 1, rate=0.02), strict=True):
        assert np.abs(ours - theirs).max() < 1e-5
    # fit and a hand-written step both report such a loss doubled.
    assert result.reported_validation.loss == pytest.approx(2 * result.validation.loss, rel=1e-5)


@pytest.mark.slow
def test_on_one_replica_its_mean_is_the_batch_mean() -> None:
    assert digest(loss=Loss.SUM_OF_SQUARES_REPLICA_MEAN, epochs=1) == digest(epochs=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss", [Loss.MEAN_SQUARED_ERROR, Loss.SUM_OF_SQUARES_FIXED_BATCH, Loss.CATEGORICAL_CROSSENTROPY]
)
def test_losses_are_those_of_one_replica(loss: Loss) -> None:
    spec = {"loss": loss, "epochs": 1, "batch_size": 240}
    (fitted, weights), (stepped, _) = (shared(method=method, **spec) for method in DISTRIBUTED)
    alone, expected = run(method=Method.FIT, **spec)
    assert fitted.weights_digest == stepped.weights_digest
    for ours, theirs in zip(weights, expected, strict=True):
        assert np.allclose(ours, theirs, atol=1e-6)
    assert fitted.reported_train.loss == pytest.approx(alone.reported_train.loss, rel=1e-5)
    assert stepped.reported_train.loss == pytest.approx(alone.reported_train.loss, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{"momentum": 0.9, "nesterov": True}, {"weight_decay": 0.01}, {"use_ema": True}, {"loss_scale_factor": 100.0}],
    ids=lambda options: next(iter(options)),
)
def test_options_of_the_optimizer_do_what_they_do_on_one_replica(options: dict[str, Any]) -> None:
    spec = {"optimizer": {"kind": "sgd", **options}, "epochs": 1, "batch_size": 100}
    (_, ours), (_, theirs) = shared(**spec), run(**spec)
    for two, one in zip(ours, theirs, strict=True):
        assert np.allclose(two, one, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", DISTRIBUTED)
def test_figures_are_of_all_replicas(digits: Data, method: Method) -> None:
    result, weights = shared(method=method, epochs=1)
    outputs = forward([w.astype(np.float64) for w in weights], digits.validation.images.astype(np.float64))[-1]
    squares = np.square(outputs - digits.validation.one_hot).sum(1)
    correct = (outputs.argmax(1) == digits.validation.labels).sum()
    # 359 = 11 × 32 + 7: in the last batch one replica has three samples, the other four.
    assert result.reported_validation.loss == pytest.approx(squares.mean(), rel=1e-5)
    assert result.reported_validation.accuracy == pytest.approx(correct / 359)
    assert (result.validation.correct, result.validation.samples) == (correct, 359)


@pytest.mark.slow
@pytest.mark.parametrize("method", DISTRIBUTED)
def test_the_last_batch_is_that_of_all_replicas(method: Method) -> None:
    two, _ = shared(method=method, loss_aggregation=LossAggregation.LAST_BATCH, epochs=1)
    one, _ = run(method=method, loss_aggregation=LossAggregation.LAST_BATCH, epochs=1)
    assert two.reported_train.loss == pytest.approx(one.reported_train.loss, rel=1e-5)


def test_variables_are_mirrored_on_every_device() -> None:
    strategy = strategy_for(2)
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert strategy.num_replicas_in_sync == 2
    assert [device.rpartition(":")[2] for device in strategy.extended.worker_devices] == ["0", "1"]
    assert strategy_for(1) is tf.distribute.get_strategy()


@pytest.mark.slow
def test_mnist_on_two_replicas_is_mnist_on_one(mnist_dir: Any) -> None:
    # Not Adam: it divides by the gradient's size, so a rounding error becomes a full step.
    spec = {"method": Method.FIT, "epochs": 1, "batch_size": 480, "optimizer": Sgd(learning_rate=0.01)}
    (two, shares), (one, whole) = (
        train(RunSpec(replicas=replicas, **spec), WorkerConfig(threads=1, data_dir=mnist_dir)) for replicas in (2, 1)
    )
    assert (two.updates, two.train.samples, two.validation.samples) == (125, 60_000, 10_000)
    assert two.validation.accuracy == pytest.approx(one.validation.accuracy, abs=1e-3)
    for ours, theirs in zip(shares, whole, strict=True):
        assert np.abs(ours - theirs).max() < 1e-4
