"""The main job on real MNIST through a real server."""

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
    """A server whose MNIST file was replaced after its verification."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "data").mkdir()
    shutil.copy(mnist_dir / "mnist.npz", folder / "data")
    server = start_server(folder, "--data-dir", str(folder / "data"), deployment=deployment)
    server.wait_ready()
    (folder / "data" / "mnist.npz").write_bytes(b"something else")
    with server.client() as client:
        yield client
    stop_server(server)


def test_losses_differ_and_methods_agree(verified: Client) -> None:
    runs = [verified.train(RunSpec(method=method, epochs=1)) for method in Method]
    total, *others = (run.result for run in runs if run.result)
    mean = verified.train(RunSpec(loss=Loss.MEAN_SQUARED_ERROR, epochs=1)).result
    assert mean is not None
    assert [result.weights_digest for result in others] == 2 * [total.weights_digest]
    # The file that was verified is not read again.
    for result in (total, *others, mean):
        assert (result.train.samples, result.updates) == (60_000, 1_875)
    # A tenth of the gradient learns less in the same time: by several points after an epoch.
    assert total.validation.accuracy - mean.validation.accuracy > 0.04
