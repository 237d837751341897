"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """How thoroughly things are broken: a little by default, so that the tests stay quick."""
    parser.addoption("--kills", type=int, default=20, help="processes that tests/faults kills, a kind of database")
    parser.addoption(
        "--requests",
        type=int,
        default=600,
        help="requests that tests/faults makes up; 10,000 for a full measure",
    )
    parser.addoption(
        "--soak-minutes",
        type=float,
        default=0.5,
        help="how long the soak of tests/faults takes; 30 for a full measure",
    )
    parser.addoption("--answers", type=Path, help="file for a table of what tests/monitoring asked Prometheus")
    parser.addoption("--manifests", type=Path, help="file for a table of what tests/manifests checked")


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    folder = os.environ.get("LOOPBENCH_DATA_DIR")
    if not folder:
        pytest.skip("LOOPBENCH_DATA_DIR names no folder with mnist.npz")
    if not (Path(folder) / "mnist.npz").is_file():
        pytest.skip(f"there is no mnist.npz in LOOPBENCH_DATA_DIR ({folder})")
    return Path(folder)
