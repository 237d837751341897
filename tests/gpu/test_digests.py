"""Digests on a GPU: one for all methods of an execution, and the same in a repeated run."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from loopbench.spec import Adam, BaseNetwork, Cnn, Device, Execution, Lstm, Method, Mlp, RunSpec, Sgd
from loopbench_client import Client
from tests.support.servers import SHARED_FLAGS, ServerProcess, start_server, stop_server

# 15 updates, of which the last has 38 samples.
SPEC: dict[str, Any] = {"dataset": "DIGITS", "epochs": 1, "batch_size": 100, "device": Device.GPU}
NETWORKS = [pytest.param(network, id=network.kind) for network in (Mlp(), Cnn(), Lstm())]
OPTIMIZERS = [pytest.param(optimizer, id=optimizer.kind) for optimizer in (Sgd(), Adam())]
EXECUTIONS = (Execution.GRAPH, Execution.XLA)

A = TypeVar("A")
B = TypeVar("B")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose runs share the GPU: each takes seconds to start, and shorter ones to train."""
    flags = ("--gpu-slots", "4", "--standby-workers", "0")
    running = start_server(tmp_path_factory.mktemp("sharing"), *SHARED_FLAGS, *flags)
    running.wait_ready()
    yield running
    stop_server(running)


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[Client]:
    with server.client() as connected:
        yield connected


def at_once(call: Callable[[A], B], values: Iterable[A]) -> list[B]:
    given = [*values]
    with ThreadPoolExecutor(len(given)) as pool:
        return [*pool.map(call, given)]


def train(client: Client, *varied: dict[str, Any], **fields: Any) -> list[str]:
    """Digests of runs, which train at once."""

    def digest(more: dict[str, Any]) -> str:
        result = client.train(RunSpec(**SPEC | fields | more)).result
        assert result is not None
        assert (result.environment.device, result.notes) == (Device.GPU, ())
        return result.weights_digest

    return at_once(digest, varied)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_methods_agree_by_graph_and_repeat(client: Client, network: BaseNetwork, optimizer: Any) -> None:
    varied = ({"method": method} for method in (*Method, Method.GRADIENT_TAPE))
    digests = train(client, *varied, network=network, optimizer=optimizer)
    assert len(set(digests)) == 1, digests


@pytest.mark.parametrize("network", NETWORKS)
def test_eager_and_graph_agree(client: Client, network: BaseNetwork) -> None:
    digests = train(client, {"execution": Execution.EAGER}, {"execution": Execution.GRAPH}, network=network)
    assert len(set(digests)) == 1, digests


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_methods_and_the_compiled_epoch_agree_by_xla_and_repeat(client: Client, optimizer: Any) -> None:
    ways = [{"method": method, "execution": Execution.XLA} for method in (*Method, Method.GRADIENT_TAPE)]
    whole = {"execution": Execution.XLA, "steps_per_execution": 15}
    *digests, graph = train(client, *ways, whole, {"execution": Execution.GRAPH}, optimizer=optimizer)
    assert len(set(digests)) == 1, digests
    # Keras once trained by GRAPH where XLA was required. SGD rounds differently by XLA.
    assert isinstance(optimizer, Adam) or digests[0] != graph


@pytest.mark.parametrize("network", [pytest.param(network, id=network.kind) for network in (Cnn(), Lstm())])
def test_methods_agree_by_xla_for_other_networks(client: Client, network: BaseNetwork) -> None:
    digests = train(client, *({"method": method} for method in Method), execution=Execution.XLA, network=network)
    assert len(set(digests)) == 1, digests


def test_a_run_on_the_gpu_is_close_to_one_on_the_cpu(client: Client) -> None:
    results = [client.train(RunSpec(**SPEC | {"device": device})).result for device in (Device.GPU, Device.CPU)]
    losses = [result.validation.loss for result in results if result]
    # With products in TensorFloat-32 they would differ in the fourth digit.
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_sound_pairs_have_no_causes(client: Client, network: BaseNetwork) -> None:
    def find_causes(execution: Execution) -> tuple[Any, ...]:
        fields = SPEC | {"network": network, "execution": execution}
        first, second = (RunSpec(**fields | {"method": method}) for method in (Method.GRADIENT_TAPE, Method.FIT))
        return client.diagnose(first, second).causes

    assert at_once(find_causes, EXECUTIONS) == [(), ()]
