"""The main job on real MNIST, through the real server."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopbench.spec import Loss, Method, RunSpec
from loopbench_client import Client
from tests.support.servers import Deployment, start_server, stop_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def verified(mnist_dir: Path, deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server whose file of MNIST has been replaced since the server verified it."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "data").mkdir()
    shutil.copy(mnist_dir / "mnist.npz", folder / "data")
    server = start_server(folder, "--data-dir", str(folder / "data"), deployment=deployment)
    server.wait_ready()
    (folder / "data" / "mnist.npz").write_bytes(b"something else")
    with server.client() as client:
        yield client
    stop_server(server)


def test_losses_part_and_methods_agree(verified: Client) -> None:
    runs = {
        (loss, method): verified.train(RunSpec(method=method, loss=loss, epochs=2))
        for loss in (Loss.MEAN_SQUARED_ERROR, Loss.SUM_OF_SQUARES)
        for method in Method
    }
    results = {key: run.result for key, run in runs.items() if run.result}
    assert len(results) == 6
    digests = {
        loss: {result.weights_digest for (of, _), result in results.items() if of is loss} for loss, _ in results
    }
    assert [len(found) for found in digests.values()] == [1, 1]
    assert all(result.updates == 2 * 1_875 for result in results.values())
    # What was verified is needed no more.
    assert all(result.train.samples == 60_000 for result in results.values())
    # A tenth of the gradient learns less in the same time: by several points after two epochs.
    mean, total = (results[loss, Method.FIT].validation.accuracy for loss in digests)
    assert total - mean > 0.04
