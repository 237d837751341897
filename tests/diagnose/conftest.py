"""TensorFlow in this process, as the tests of the engine need it too: it takes its threads once, before anything else.

Not in a fixture: some modules make Keras objects when they are imported.
"""

import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from loopbench.spec import Device, Method, RunSpec
from loopbench_server.engine.devices import choose_device

choose_device([RunSpec(device=Device.CPU, method=Method.FIT, replicas=2)], threads=1)


@pytest.fixture(autouse=True)
def _dtype_policy() -> Iterator[None]:
    """Every test starts with Keras's default policy, whatever the test before it set."""
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy("float32")
