"""The networks: one digest over the methods, the state that it covers, and what follows from the seed."""

from typing import Any

import keras
import numpy as np
import pytest

from loopbench import spec
from loopbench.spec import Cnn, Execution, Lstm, Method, Mlp, RunSpec
from loopbench_server.engine.data import Data, make_samples
from loopbench_server.engine.evaluation import evaluate
from loopbench_server.engine.job import build_job
from loopbench_server.engine.methods import METHODS
from loopbench_server.engine.methods.gradient_tape import GradientTape
from loopbench_server.engine.networks import NETWORKS, build_model, weights_digest
from loopbench_server.worker_config import WorkerConfig

from .numpy_reference import ADAM, SGD, digest, run


def states(model: keras.Model) -> list[Any]:
    """Values of all variables: weights, moving statistics and the states of random generators."""
    return [variable.numpy() for variable in model.variables]


SMALL = {"cnn": Cnn(filters=(3, 2)), "lstm": Lstm(units=4)}
# 1,438 samples: 14 batches, and one of 38.
SPEC = {"epochs": 1, "batch_size": 100}
OPTIMIZERS = [pytest.param(SGD, id="sgd"), pytest.param(ADAM, id="adam")]
DEFAULTS = [pytest.param(kind(), id=name) for name, kind in spec.NETWORKS.items() if name != "mlp"]


def test_table_is_complete() -> None:
    assert NETWORKS.keys() == spec.NETWORKS.keys()


@pytest.mark.parametrize("network", SMALL.values(), ids=SMALL)
def test_bits_do_not_depend_on_method_or_execution(network: Any) -> None:
    ways = [(method, Execution.GRAPH) for method in Method] + [(Method.GRADIENT_TAPE, Execution.EAGER)]
    digests = {
        (method, execution): digest(network=network, method=method, execution=execution, **SPEC)
        for method, execution in ways
    }
    assert len(set(digests.values())) == 1, digests


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("network", DEFAULTS)
def test_bits_of_every_method_agree_under_eager_and_graph(network: Any, optimizer: dict[str, str]) -> None:
    ways = [(Execution.GRAPH, 0), (Execution.GRAPH, 1), (Execution.EAGER, 0)]
    digests = {
        (method, *way): digest(
            network=network, method=method, execution=way[0], steps_per_execution=way[1], optimizer=optimizer, **SPEC
        )
        for method in Method
        for way in ways
    }
    assert len(set(digests.values())) == 1, digests


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("network", DEFAULTS)
def test_bits_of_every_method_agree_under_xla(network: Any, optimizer: dict[str, str]) -> None:
    fields = {"network": network, "execution": Execution.XLA, "optimizer": optimizer, **SPEC}
    digests = {method: digest(method=method, **fields) for method in Method}
    assert len(set(digests.values())) == 1, digests


@pytest.mark.parametrize("network", [Mlp(), *SMALL.values()], ids=spec.NETWORKS)
def test_initial_state_follows_from_the_seed_alone(network: Any) -> None:
    keras.utils.set_random_seed(0)
    first = states(build_model(RunSpec(network=network, seed=1)))
    keras.utils.set_random_seed(1)
    second = states(build_model(RunSpec(network=network, seed=1, execution=Execution.XLA)))
    other = states(build_model(RunSpec(network=network, seed=2)))
    assert all(np.array_equal(one, same) for one, same in zip(first, second, strict=True))
    assert not all(np.array_equal(one, same) for one, same in zip(first, other, strict=True))


def test_the_default_draws_as_the_first_networks_did() -> None:
    # Digests of stored runs stay comparable: three seeds of one sequence, one for each layer.
    seeds = np.random.SeedSequence([5, 0]).generate_state(3).tolist()
    shapes = [(784, 256), (256, 128), (128, 10)]
    draw = keras.initializers.GlorotUniform
    kernels = [np.asarray(draw(seed)(shape)) for seed, shape in zip(seeds, shapes, strict=True)]
    state = states(build_model(RunSpec(seed=5)))
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(state[::2], kernels, strict=True))
    assert not any(bias.any() for bias in state[1::2])


SHAPES = {
    Mlp(widths=(7,)): [(784, 7), (7,), (7, 10), (10,)],
    # Kernel and bias of each convolution; scale, offset and moving statistics of each normalization; dropout's seed.
    Cnn(filters=(3, 2)): [
        *((3, 3, 1, 3), (3,), (3,), (3,), (3,), (3,)),
        *((3, 3, 3, 2), (2,), (2,), (2,), (2,), (2,)),
        *((2,), (2, 10), (10,)),
    ],
    # Four gates; the last is the seed that Keras's layer always has.
    Lstm(units=4): [(28, 16), (4, 16), (16,), (2,), (4, 10), (10,)],
}


@pytest.mark.parametrize("network", SHAPES, ids=lambda network: network.kind)
def test_sizes_decide_the_variables(network: Any) -> None:
    assert sorted(array.shape for array in states(build_model(RunSpec(network=network)))) == sorted(SHAPES[network])


def test_moving_statistics_are_those_of_the_batch(digits: Data) -> None:
    # One update on one batch, so that the moving mean is a hundredth of the batch's mean: momentum 0.99, from zero.
    images = digits.train.images[:8]
    samples = make_samples(images, digits.train.labels[:8])
    spec_of_one_update = RunSpec(dataset="DIGITS", network=SMALL["cnn"], epochs=1, batch_size=8, shuffle_buffer=1)
    job = build_job(spec_of_one_update, Data(samples, samples))
    kernel = states(job.model)[0]
    METHODS[Method.GRADIENT_TAPE](job).train([])
    padded = np.pad(images.astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    outputs = sum(padded[:, y : y + 28, x : x + 28, None] * kernel[y, x, 0] for y in range(3) for x in range(3))
    normalization = job.model.get_layer("normalization_1")
    assert normalization.moving_mean.numpy() == pytest.approx(outputs.mean((0, 1, 2)) / 100, rel=1e-4)
    assert normalization.moving_variance.numpy() == pytest.approx(0.99 + outputs.var((0, 1, 2)) / 100, rel=1e-5)


@pytest.mark.parametrize("execution", [Execution.GRAPH, Execution.EAGER])
@pytest.mark.parametrize("method", Method)
def test_dropout_draws_once_per_update_and_never_in_validation(
    digits: Data, method: Method, execution: Execution
) -> None:
    samples = make_samples(digits.train.images[:8], digits.train.labels[:8])
    fields = {"network": Cnn(filters=(2,)), "method": method, "execution": execution, "epochs": 2, "batch_size": 3}
    job = build_job(RunSpec(dataset="DIGITS", **fields), Data(samples, samples))
    made = METHODS[method](job)
    made.warm_up()
    made.train([])
    (drawn,) = [array for array in states(job.model) if array.dtype == np.int64]
    # The second number counts the draws: 3 updates in each of two epochs.
    assert drawn[1] == 2 * 3


@pytest.mark.parametrize("method", Method)
def test_warm_up_leaves_no_trace(digits: Data, method: Method) -> None:
    samples = make_samples(digits.train.images[:7], digits.train.labels[:7])
    job = build_job(
        RunSpec(dataset="DIGITS", network=Cnn(filters=(2,)), method=method, batch_size=4), Data(samples, samples)
    )
    before = states(job.model)
    METHODS[method](job).warm_up()
    after = states(job.model)
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("execution", [Execution.GRAPH, Execution.XLA])
def test_one_graph_of_the_tape_serves_both_sizes_of_batches(digits: Data, execution: Execution) -> None:
    samples = make_samples(digits.train.images[:7], digits.train.labels[:7])
    fields = {"dataset": "DIGITS", "network": Mlp(widths=(3,)), "execution": execution, "batch_size": 4}
    made = GradientTape(build_job(RunSpec(**fields), Data(samples, samples)))
    made.warm_up()
    made.train([])
    loops: list[Any] = [made.training, made.validation]
    assert [loop.function.experimental_get_tracing_count() for loop in loops] == [1, 1]


@pytest.mark.parametrize("network", SMALL.values(), ids=SMALL)
def test_stored_weights_have_the_figures_of_its_run(network: Any) -> None:
    fields: dict[str, Any] = {"dataset": "DIGITS", "network": network, "epochs": 1, "batch_size": 100}
    result, weights = run(**fields)
    assert weights_digest(weights) == result.weights_digest
    found = evaluate("id", RunSpec(**fields, method=Method.FIT), weights, WorkerConfig())
    assert (found.train, found.validation) == (result.train, result.validation)
    assert found.reported_validation.accuracy == pytest.approx(result.validation.accuracy)
