"""Tests that need a GPU. They skip where TensorFlow sees none."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import SHARED_FLAGS, ServerProcess, client, deployment, start, start_server, stop_server

__all__ = ["client", "deployment", "start"]

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("gpu")


@pytest.fixture(autouse=True, scope="session")
def _gpu() -> None:
    # TensorFlow takes seconds to import: a session without a test of this folder does without it.
    import tensorflow as tf  # noqa: PLC0415

    if not tf.config.list_physical_devices("GPU"):
        pytest.skip("no GPU: TensorFlow sees none; pip install '.[gpu]' brings CUDA's libraries for NVIDIA's driver")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server without standby workers, so that only runs use memory of the GPUs."""
    running = start_server(tmp_path_factory.mktemp("server"), *SHARED_FLAGS, "--standby-workers", "0")
    running.wait_ready()
    yield running
    stop_server(running)
