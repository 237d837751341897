"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    folder = os.environ.get("LOOPBENCH_DATA_DIR")
    if not folder:
        pytest.skip("LOOPBENCH_DATA_DIR names no folder with mnist.npz")
    if not (Path(folder) / "mnist.npz").is_file():
        pytest.skip(f"there is no mnist.npz in LOOPBENCH_DATA_DIR ({folder})")
    return Path(folder)
