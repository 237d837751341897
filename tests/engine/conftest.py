"""The engine in this process: TensorFlow takes its threads once, before anything else."""

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from loopbench.spec import Dataset, Device
from loopbench_server.engine import data
from loopbench_server.engine.devices import choose_device

THREADS = 1


@pytest.fixture(scope="session", autouse=True)
def _device() -> None:
    choose_device(Device.CPU, THREADS)


@pytest.fixture(scope="session")
def digits() -> data.Data:
    return data.load(Dataset.DIGITS, None)
