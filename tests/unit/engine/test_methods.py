"""The three methods against each other, and against a network written in NumPy."""

import hashlib
from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest

from loopbench.spec import OPTIMIZERS, AccuracyMetric, Execution, Loss, LossAggregation, Method, RunSpec
from loopbench_server.engine.data import Data
from loopbench_server.engine.methods import METHODS
from loopbench_server.engine.training import train
from loopbench_server.worker_config import WorkerConfig

from .numpy_reference import ADAM, BATCH_SIZE, EPOCHS, SGD, digest, forward, run, train_with_numpy


def test_table_is_complete() -> None:
    assert set(METHODS) == set(Method)


@pytest.mark.parametrize("optimizer", [SGD, ADAM], ids=["sgd", "adam"])
def test_bits_do_not_depend_on_method_or_execution(optimizer: dict[str, str]) -> None:
    # 1,438 samples: 14 batches, and one of 38.
    spec = {"optimizer": optimizer, "epochs": 1, "batch_size": 100}
    digests = {
        (method, execution): digest(method=method, execution=execution, **spec)
        for method in Method
        for execution in (Execution.GRAPH, Execution.EAGER)
    }
    assert len(set(digests.values())) == 1, digests


@pytest.mark.parametrize("optimizer", [SGD, ADAM], ids=["sgd", "adam"])
def test_xla_bits_do_not_depend_on_the_method(optimizer: dict[str, str]) -> None:
    spec = {"optimizer": optimizer, "execution": Execution.XLA, "epochs": 1, "batch_size": 100}
    digests = {method: digest(method=method, **spec) for method in Method}
    assert len(set(digests.values())) == 1, digests


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [SGD, ADAM], ids=["sgd", "adam"])
def test_bits_do_not_depend_on_the_steps_of_an_execution(optimizer: dict[str, str]) -> None:
    # 1,438 samples: 14 batches, and one of 38.
    spec = {"optimizer": optimizer, "batch_size": 100}
    ways = [(Execution.GRAPH, 0), (Execution.GRAPH, 1), (Execution.GRAPH, 7), (Execution.EAGER, 0)]
    digests = {
        (method, *way): digest(method=method, execution=way[0], steps_per_execution=way[1], **spec)
        for method in Method
        for way in ways
    }
    assert len(set(digests.values())) == 1, digests


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [SGD, ADAM], ids=["sgd", "adam"])
def test_xla_agrees_among_methods(optimizer: dict[str, str]) -> None:
    spec = {"optimizer": optimizer, "execution": Execution.XLA, "epochs": 1, "batch_size": 100}
    digests = {(method, 1): digest(method=method, steps_per_execution=1, **spec) for method in Method}
    # A quick test shows that the methods agree by the default number of steps.
    digests[Method.FIT, 0] = digest(method=Method.FIT, **spec)
    assert len(set(digests.values())) == 1, digests


@pytest.mark.slow
def test_xla_program_of_many_steps_is_close() -> None:
    spec = {"method": Method.GRADIENT_TAPE, "epochs": 1}
    _, graph = run(**spec)
    _, program = run(execution=Execution.XLA, steps_per_execution=1_000, **spec)
    for ours, theirs in zip(program, graph, strict=True):
        assert np.allclose(ours, theirs, atol=1e-5)


# Every loss and every optimizer once; the slow tests cover all pairs.
PAIRS = {
    (Loss.MEAN_SQUARED_ERROR, "rmsprop"),
    (Loss.SUM_OF_SQUARES, "sgd"),
    (Loss.SUM_OF_SQUARES_FIXED_BATCH, "adam"),
    (Loss.SUM_OF_SQUARES_REPLICA_MEAN, "sgd"),
    (Loss.CATEGORICAL_CROSSENTROPY, "adamw"),
}


def _losses_and_optimizers() -> list[Any]:
    pairs = product(Loss, OPTIMIZERS)
    return [pytest.param(*pair, marks=() if pair in PAIRS else pytest.mark.slow) for pair in pairs]


def test_every_loss_and_optimizer_is_in_a_quick_pair() -> None:
    assert {loss for loss, _ in PAIRS} == set(Loss)
    assert {optimizer for _, optimizer in PAIRS} == set(OPTIMIZERS)


@pytest.mark.parametrize(("loss", "optimizer"), _losses_and_optimizers())
def test_methods_agree_for_every_loss_and_optimizer(loss: Loss, optimizer: str) -> None:
    spec = {"loss": loss, "optimizer": {"kind": optimizer}, "epochs": 1, "batch_size": 100}
    assert len({digest(method=method, **spec) for method in Method}) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"use_ema": True, "ema_momentum": 0.9},
        *(
            pytest.param(options, marks=pytest.mark.slow)
            for options in (
                {"use_ema": True, "ema_overwrite_frequency": 10},
                {"loss_scale_factor": 100.0},
                {"gradient_accumulation_steps": 3},
                {"weight_decay": 0.01},
                {"global_clipnorm": 0.1},
                {"clipnorm": 0.1, "momentum": 0.9, "nesterov": True},
            )
        ),
    ],
    ids=lambda options: next(iter(options)),
)
def test_bits_do_not_depend_on_an_option_of_the_optimizer(options: dict[str, float]) -> None:
    shared = {"epochs": 1, "batch_size": 100}
    spec = {"optimizer": {"kind": "sgd", **options}, **shared}
    digests = {digest(method=method, steps_per_execution=steps, **spec) for method in Method for steps in (0, 1)}
    digests |= {digest(execution=Execution.EAGER, **spec)}
    assert len(digests) == 1
    assert digest(**shared) not in digests


@pytest.mark.parametrize(("optimizer", "tolerance"), [(SGD, 1e-6), (ADAM, 1e-4)], ids=["sgd", "adam"])
@pytest.mark.parametrize(
    "method",
    [
        Method.GRADIENT_TAPE,
        # A quick test shows that the bits are the same.
        *(pytest.param(method, marks=pytest.mark.slow) for method in Method if method is not Method.GRADIENT_TAPE),
    ],
)
def test_weights_match_numpy(digits: Data, method: Method, optimizer: dict[str, str], tolerance: float) -> None:
    result, weights = run(method=method, optimizer=optimizer)
    expected = train_with_numpy(digits, optimizer, EPOCHS)
    for ours, theirs in zip(weights, expected, strict=True):
        assert np.abs(ours - theirs).max() < tolerance
    outputs = forward([w.astype(np.float64) for w in weights], digits.validation.images.astype(np.float64))[-1]
    assert result.validation.correct == (outputs.argmax(1) == digits.validation.labels).sum()
    assert result.validation.samples == 359
    assert result.validation.accuracy == result.validation.correct / 359
    pairs = Counter(zip(digits.validation.labels.tolist(), outputs.argmax(1).tolist(), strict=True))
    for label, counted in enumerate(result.validation.classes):
        assert counted.predicted == tuple(pairs[label, predicted] for predicted in range(10))
        assert counted.accuracy == pairs[label, label] / (digits.validation.labels == label).sum()
    assert [len(final.classes) for final in (result.train, result.validation)] == [10, 10]
    assert sum(sum(counted.predicted) for counted in result.train.classes) == 1_438
    assert result.validation.loss == pytest.approx(
        np.square(outputs - digits.validation.one_hot).sum(1).mean(), rel=1e-5
    )
    assert result.updates == EPOCHS * 45  # 1,438 samples in batches of 32, the last of 30


def test_mean_squared_error_is_sum_of_squares_at_a_tenth_of_the_rate() -> None:
    _, mean = run(loss=Loss.MEAN_SQUARED_ERROR, optimizer={"kind": "sgd", "learning_rate": 0.1}, epochs=1)
    _, total = run(loss=Loss.SUM_OF_SQUARES, optimizer={"kind": "sgd", "learning_rate": 0.01}, epochs=1)
    for ours, theirs in zip(mean, total, strict=True):
        assert np.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("method", Method)
def test_wrong_accuracy_metric_reports_batches_and_leaves_the_final_metrics_alone(digits: Data, method: Method) -> None:
    right, _ = run(method=method)
    wrong, weights = run(method=method, accuracy_metric=AccuracyMetric.CATEGORICAL_ON_LABELS)
    outputs = forward([w.astype(np.float64) for w in weights], digits.validation.images.astype(np.float64))[-1]
    predictions, labels = outputs.argmax(1), digits.validation.labels
    starts = range(0, len(labels), BATCH_SIZE)
    hits = [labels[i : i + BATCH_SIZE].argmax() == predictions[i : i + BATCH_SIZE].argmax() for i in starts]
    assert wrong.reported_validation.accuracy == pytest.approx(np.mean(hits))
    assert wrong.weights_digest == right.weights_digest
    assert (wrong.train, wrong.validation) == (right.train, right.validation)


@pytest.mark.parametrize("method", Method)
def test_fixed_divisor_reports_too_little_and_leaves_the_final_metrics_alone(digits: Data, method: Method) -> None:
    result, weights = run(method=method, loss=Loss.SUM_OF_SQUARES_FIXED_BATCH)
    outputs = forward([w.astype(np.float64) for w in weights], digits.validation.images.astype(np.float64))[-1]
    squares = np.square(outputs - digits.validation.one_hot).sum(1)
    # 359 = 11 × 32 + 7: each batch's sum over 32, weighted with the samples it holds.
    sums = [squares[i : i + 32].sum() / 32 for i in range(0, 359, 32)]
    assert result.reported_validation.loss == pytest.approx((sum(sums[:-1]) * 32 + sums[-1] * 7) / 359, rel=1e-5)
    assert result.validation.loss == pytest.approx(squares.mean(), rel=1e-5)


@pytest.mark.parametrize("method", Method)
def test_last_batch_is_reported_as_the_epoch(digits: Data, method: Method) -> None:
    result, weights = run(method=method, loss_aggregation=LossAggregation.LAST_BATCH)
    outputs = forward([w.astype(np.float64) for w in weights], digits.validation.images.astype(np.float64))[-1]
    squares = np.square(outputs - digits.validation.one_hot).sum(1)
    assert result.reported_validation.loss == pytest.approx(squares[-7:].mean(), rel=1e-5)
    assert result.validation.loss == pytest.approx(squares.mean(), rel=1e-5)
    assert result.weights_digest == digest(method=method)


@pytest.mark.parametrize("method", Method)
def test_the_last_batch_of_training_is_not_that_of_validation(method: Method) -> None:
    graph, _ = run(method=method, loss_aggregation=LossAggregation.LAST_BATCH, epochs=1)
    eager, _ = run(method=method, loss_aggregation=LossAggregation.LAST_BATCH, epochs=1, execution=Execution.EAGER)
    assert eager.reported_train.loss == pytest.approx(graph.reported_train.loss, rel=1e-6)
    assert eager.reported_train.loss != eager.reported_validation.loss


def test_digests_by_hand() -> None:
    result, weights = run(epochs=1, shuffle_buffer=0)
    content = hashlib.sha256()
    for array in weights:
        content.update(np.array([array.ndim, *array.shape], "<i8").tobytes() + array.astype("<f4").tobytes())
    assert result.weights_digest == content.hexdigest()
    order = np.random.default_rng([5, 1, 0]).permutation(1_438).astype("<i4")
    assert result.batch_order_digest == hashlib.sha256(order.tobytes()).hexdigest()


@pytest.mark.parametrize("method", Method)
def test_history_has_every_epoch(method: Method) -> None:
    result, _ = run(method=method, epochs=3)
    assert [record.epoch for record in result.history] == [1, 2, 3]
    assert result.history[-1].validation == result.reported_validation
    assert result.history[-1].train == result.reported_train
    assert result.history[-1].validation.accuracy == pytest.approx(result.validation.accuracy)
    assert result.history[0].train.loss > result.history[-1].train.loss


def test_seed_decides() -> None:
    assert digest(epochs=1, seed=1) == digest(epochs=1, seed=1) != digest(epochs=1, seed=2)


def test_mnist_epoch(mnist_dir: Any) -> None:
    config = WorkerConfig(threads=1, data_dir=mnist_dir)
    results = [train(RunSpec(method=method, epochs=1), config)[0] for method in Method]
    assert len({result.weights_digest for result in results}) == 1
    for result in results:
        assert (result.train.samples, result.validation.samples, result.updates) == (60_000, 10_000, 1_875)
        assert 0.90 < result.validation.accuracy < 0.95
