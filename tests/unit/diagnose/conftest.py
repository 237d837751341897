"""TensorFlow with the threads and devices that the tests of the engine need in the same process.

TensorFlow takes them before its first operation, and some modules make Keras objects when they are imported.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from loopbench.spec import Device, Method, RunSpec
from loopbench_server.engine.devices import choose_device

choose_device([RunSpec(device=Device.CPU, method=Method.FIT, replicas=2)], threads=1)
