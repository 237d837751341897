"""The image and a checkout have different distributions of TensorFlow, which must train the same bits."""

from itertools import cycle, product
from pathlib import Path

from loopbench.spec import Adam, Dataset, Execution, Loss, Method, RunSpec, Sgd
from tests.support.containers import Image, as_container
from tests.support.servers import SECONDS_TO_READY, Deployment, as_process, start_server, stop_server

# Every execution with two optimizers, and the methods in turn. Other tests show that the methods agree on both sides.
UPDATES = ((Sgd(momentum=0.9), Loss.SUM_OF_SQUARES), (Adam(), Loss.MEAN_SQUARED_ERROR))
SPECS = [
    RunSpec(dataset=Dataset.DIGITS, epochs=1, method=method, execution=execution, optimizer=optimizer, loss=loss)
    for (execution, (optimizer, loss)), method in zip(product(Execution, UPDATES), cycle(Method), strict=False)
]


def digests(folder: Path, deployment: Deployment) -> list[str]:
    folder.mkdir()
    server = start_server(folder, deployment=deployment)
    try:
        with server.client() as client:
            client.wait_ready(SECONDS_TO_READY)
            return [run.result.weights_digest for run in map(client.train, SPECS) if run.result]
    finally:
        stop_server(server)


def test_the_image_trains_the_same_bits_as_the_checkout(image: Image, tmp_path: Path) -> None:
    inside, outside = digests(tmp_path / "image", as_container(image)), digests(tmp_path / "checkout", as_process)
    assert len(inside) == len(SPECS)
    assert inside == outside
