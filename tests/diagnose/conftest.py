"""TensorFlow in this process, as the tests of the engine need it too: it takes its threads once, before anything else.

Not in a fixture: some modules make Keras objects when they are imported.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from loopbench.spec import Device
from loopbench_server.engine.devices import choose_device

# Two of them, for strategies with replicas.
CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)
choose_device(Device.CPU, 1)
