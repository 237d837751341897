"""The main job on real MNIST, through the real server."""

import shutil
from pathlib import Path
from typing import Any

from loopbench.spec import Loss, Method, RunSpec
from tests.support.servers import SECONDS_TO_READY


def test_losses_part_and_methods_agree(start: Any, mnist_dir: Path) -> None:
    server = start("--data-dir", str(mnist_dir))
    with server.client() as client:
        client.wait_ready(SECONDS_TO_READY)
        runs = {
            (loss, method): client.train(RunSpec(method=method, loss=loss, epochs=2))
            for loss in (Loss.MEAN_SQUARED_ERROR, Loss.SUM_OF_SQUARES)
            for method in Method
        }
    results = {key: run.result for key, run in runs.items() if run.result}
    assert len(results) == 6
    digests = {
        loss: {result.weights_digest for (of, _), result in results.items() if of is loss} for loss, _ in results
    }
    assert [len(found) for found in digests.values()] == [1, 1]
    assert all(result.train.samples == 60_000 and result.updates == 2 * 1_875 for result in results.values())
    # A tenth of the gradient learns less in the same time: by several points after two epochs.
    mean, total = (results[loss, Method.FIT].validation.accuracy for loss in digests)
    assert total - mean > 0.04


def test_what_was_verified_is_needed_no_more(start: Any, mnist_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(mnist_dir / "mnist.npz", folder)
    server = start("--data-dir", str(folder))
    with server.client() as client:
        client.wait_ready(SECONDS_TO_READY)
        (folder / "mnist.npz").write_bytes(b"something else")
        result = client.train(RunSpec(epochs=1)).result
    assert result is not None
    assert result.train.samples == 60_000
