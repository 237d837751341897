"""Options, fixtures and marks for all tests."""

import os
from pathlib import Path

import pytest

# Fixtures that need a component beside Python; their tests get the component's mark.
MARK_OF_FIXTURE = {
    "mnist_dir": "mnist",
    "postgresql": "postgresql",
    "image": "container",
    "browser": "browser",
    "other_clients": "clients",
    "prometheus_tools": "prometheus",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options for the amount of work in tests/chaos and tests/diagnose, and for the path of a table."""
    parser.addoption("--kills", type=int, default=20, help="processes that tests/chaos kills, for each database")
    parser.addoption(
        "--requests",
        type=int,
        default=600,
        help="requests that tests/chaos generates; 10,000 for a full measurement",
    )
    parser.addoption(
        "--soak-minutes",
        type=float,
        default=0.5,
        help="minutes for which tests/chaos keeps a server under load; 30 for a full measurement",
    )
    parser.addoption(
        "--simulated-hours",
        type=int,
        default=6,
        help="hours of nightly jobs that tests/chaos simulates; 24 for a full measurement",
    )
    parser.addoption(
        "--pairs",
        type=int,
        help="random pairs that tests/diagnose draws of each fault and each loop; by default a few fixed ones",
    )
    parser.addoption("--answers", type=Path, help="file for a table of the answers of Prometheus to tests/system")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the components that its fixtures need."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARK_OF_FIXTURE:
                item.add_marker(MARK_OF_FIXTURE[fixture])


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """Folder with ``mnist.npz``."""
    folder = os.environ.get("LOOPBENCH_DATA_DIR")
    if not folder:
        load = ".venv/bin/python -c 'import keras; keras.datasets.mnist.load_data()'"
        pytest.skip(f"no MNIST: run {load}, then set LOOPBENCH_DATA_DIR to ~/.keras/datasets")
    if not (Path(folder) / "mnist.npz").is_file():
        pytest.skip(f"no mnist.npz in {folder}: set LOOPBENCH_DATA_DIR to a folder with that file")
    return Path(folder)
