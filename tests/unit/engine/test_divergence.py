"""The epoch and step at which a training diverged; watching does not change the bits."""

from typing import Any

import keras
import numpy as np
import pytest

from loopbench.spec import Divergence, Execution, Loss, LossAggregation, Method, RunSpec
from loopbench_server.engine.batch_order import BatchOrder
from loopbench_server.engine.data import Data
from loopbench_server.engine.divergence import DivergenceMonitor
from loopbench_server.engine.job import build_job
from loopbench_server.engine.methods import METHODS, TrainingMethod
from loopbench_server.engine.networks import build_model, weights_digest

from .numpy_reference import BATCH_SIZE, forward, gradients, run

STEPS = 45  # 1,438 samples in batches of 32
EXECUTIONS = [(Execution.GRAPH, 0), (Execution.GRAPH, 7), (Execution.EAGER, 0), (Execution.XLA, 0)]


def make_method(data: Data, method: Method, **fields: Any) -> TrainingMethod:
    spec = RunSpec.model_validate({"method": method, "dataset": "DIGITS", "epochs": 2, "seed": 5, **fields})
    made = METHODS[method](build_job(spec, data))
    made.warm_up()
    return made


def first_bad_update(data: Data, rate: float, momentum: float = 0.0) -> int:
    """First update, by NumPy in float32, whose loss or resulting weights are not finite."""
    weights: list[Any] = build_model(RunSpec(seed=5)).get_weights()  # float32, as in the engine
    velocity = [np.zeros_like(array) for array in weights]
    order = BatchOrder(5, len(data.train), 1_000).draw(0)
    for step in range(STEPS):
        index = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
        images: Any = data.train.images[index]
        labels: Any = data.train.one_hot[index]
        with np.errstate(all="ignore"):
            loss = np.square(forward(weights, images)[-1] - labels).sum(1).mean()
            found = gradients(weights, images, labels)
            velocity = [np.float32(momentum) * v - np.float32(rate) * g for v, g in zip(velocity, found, strict=True)]
            weights = [w + v for w, v in zip(weights, velocity, strict=True)]
        if not all(np.isfinite(array).all() for array in (loss, *weights)):
            return step + 1
    raise AssertionError("it does not diverge")


@pytest.mark.parametrize("execution", Execution)
@pytest.mark.parametrize("method", Method)
def test_the_step_matches_numpy(digits: Data, method: Method, execution: Execution) -> None:
    result, _ = run(method=method, execution=execution, optimizer={"kind": "sgd", "learning_rate": 1e6})
    assert result.diverged == Divergence(epoch=1, step=first_bad_update(digits, 1e6))


@pytest.mark.parametrize(("rate", "momentum"), [(1e5, 0.0), (10.0, 0.0), (100.0, 0.9), (3.0, 0.5)])
def test_rates_and_momentum(digits: Data, rate: float, momentum: float) -> None:
    optimizer = {"kind": "sgd", "learning_rate": rate, "momentum": momentum}
    result, _ = run(method=Method.FIT, optimizer=optimizer)
    assert result.diverged == Divergence(epoch=1, step=first_bad_update(digits, rate, momentum))


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": {"kind": "adam", "learning_rate": 1e6}, "epochs": 3},
        {"optimizer": {"kind": "rmsprop", "learning_rate": 1e6}},
        {"loss": Loss.CATEGORICAL_CROSSENTROPY},
        {"loss": Loss.MEAN_SQUARED_ERROR},
        {"loss_aggregation": LossAggregation.LAST_BATCH},
        {"batch_size": 1},
        {"batch_size": 2_000},
        {"steps_per_execution": 7},
        {"execution": Execution.XLA, "steps_per_execution": 7},
        {"optimizer": {"kind": "sgd", "learning_rate": 1e6, "gradient_accumulation_steps": 3}},
        {"optimizer": {"kind": "sgd", "learning_rate": 1e6, "use_ema": True}},
    ],
    ids=str,
)
def test_methods_name_the_same_step(fields: dict[str, Any]) -> None:
    known = {"optimizer": {"kind": "sgd", "learning_rate": 1e6}, "epochs": 2, "steps_per_execution": 0}
    found = {run(**known | fields, method=method)[0].diverged for method in Method}
    assert len(found) == 1
    (diverged,) = found
    assert diverged is not None
    assert diverged.step is not None


@pytest.mark.parametrize("method", [Method.FIT, Method.CUSTOM_TRAIN_STEP])
def test_replicas(digits: Data, method: Method) -> None:
    result, _ = run(method=method, replicas=2, optimizer={"kind": "sgd", "learning_rate": 1e6})
    assert result.diverged == Divergence(epoch=1, step=first_bad_update(digits, 1e6))


@pytest.mark.parametrize("execution", Execution)
@pytest.mark.parametrize("method", Method)
def test_watching_a_healthy_run_does_not_change_its_bits(digits: Data, method: Method, execution: Execution) -> None:
    plain = make_method(digits, method, execution=execution)
    plain.train([])
    result, weights = run(method=method, execution=execution)
    assert result.diverged is None
    assert result.weights_digest == weights_digest(plain.job.model.get_weights()) == weights_digest(weights)


@pytest.mark.parametrize(("execution", "steps"), EXECUTIONS)
@pytest.mark.parametrize("method", Method)
def test_a_replay_has_the_bits_of_the_training(digits: Data, method: Method, execution: Execution, steps: int) -> None:
    made = make_method(digits, method, execution=execution, steps_per_execution=steps, optimizer={"kind": "adam"})
    made.job.optimizer.build(made.job.model.trainable_variables)
    variables = [*made.job.model.variables, *made.job.optimizer.variables]
    start: list[Any] = []

    def keep(epoch: int, _: Any) -> None:
        start[:] = [variable.numpy() for variable in variables] if epoch == 1 else start

    made.train([keras.callbacks.LambdaCallback(on_epoch_begin=keep)])
    trained = weights_digest(made.job.model.get_weights())
    for variable, value in zip(variables, start, strict=True):
        variable.assign(value)
    assert len([*made.replay(1)]) == STEPS
    assert weights_digest(made.job.model.get_weights()) == trained


@pytest.mark.parametrize("method", Method)
def test_weights_may_be_infinite_under_figures_that_are_finite(digits: Data, method: Method) -> None:
    """A first-layer unit that ReLU silences becomes infinite before the second epoch."""
    made = make_method(digits, method, epochs=3)
    monitor = DivergenceMonitor(made)
    logged: list[float] = []
    bias = made.job.model.get_layer("hidden_1").bias

    def break_unit(epoch: int, _: Any) -> None:
        if epoch == 1:
            bias.assign(np.where(np.arange(bias.shape[0]) == 0, -np.inf, bias.numpy()))

    callback = keras.callbacks.LambdaCallback(
        on_epoch_begin=break_unit, on_epoch_end=lambda _, logs: logged.extend(map(float, logs.values()))
    )
    made.train([callback, monitor])
    assert np.isfinite(logged).all()
    assert monitor.find(finite_end=False) == Divergence(epoch=2, step=1)


def test_what_only_the_end_shows_counts_for_the_last_update(digits: Data) -> None:
    made = make_method(digits, Method.GRADIENT_TAPE)
    monitor = DivergenceMonitor(made)
    made.train([monitor])
    assert monitor.find(finite_end=True) is None
    assert monitor.find(finite_end=False) == Divergence(epoch=2, step=STEPS)


def test_what_only_the_validation_shows_counts_for_the_epochs_last_update() -> None:
    """One batch an epoch: its loss is that of the weights before, the validation's that of the weights after."""
    result, weights = run(batch_size=2_000, epochs=1, optimizer={"kind": "sgd", "learning_rate": 1e6})
    (epoch,) = result.history
    assert np.isfinite(epoch.train.loss)
    assert all(np.isfinite(array).all() for array in weights)
    assert not np.isfinite(epoch.validation.loss)
    assert result.diverged == Divergence(epoch=1, step=1)
