"""Tests that need a GPU. They skip where TensorFlow sees none."""

from pathlib import Path

import pytest

from tests.support.servers import client, deployment, server, start

__all__ = ["client", "deployment", "server", "start"]

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
