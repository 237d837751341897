"""Prepares a process for a run on its device before the specification of the run is known."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from loopbench.spec import Device, Execution, Method, RunSpec
from loopbench_server.engine.data import SIDE, Data, make_samples
from loopbench_server.engine.devices import choose_device
from loopbench_server.engine.job import build_job
from loopbench_server.engine.methods import make_method
from loopbench_server.engine.methods.gradient_tape import GradientTape
from loopbench_server.engine.notes import recording_notes
from loopbench_server.worker_config import WorkerConfig

# Methods and executions of the small trainings. XLA on a GPU loads libraries for seconds, and its option for
# deterministic operations has to be set before. TensorFlow's operations become deterministic later, where the run
# requires that. After two trainings by ``fit``, TensorFlow would warn of the number of traces in the run.
SMALL = {
    Device.CPU: ((Method.FIT, Execution.GRAPH),),
    Device.GPU: ((Method.GRADIENT_TAPE, Execution.XLA), (Method.FIT, Execution.GRAPH)),
}


def prepare(config: WorkerConfig) -> None:
    """Initialize TensorFlow on the GPU of the slot that ``config`` has, or on the CPU, and trace a small training.

    A run of this process without replicas then starts sooner. It ends in the same bits, because all of its random draws
    follow from its seed.

    Raises:
        DeviceNotAvailableError: TensorFlow sees no GPU, and ``config`` has a GPU slot.
        ExecutionNotAvailableError: TensorFlow or Keras uses another execution.
    """
    device = Device.GPU if config.gpu_slots else Device.CPU
    specs = [RunSpec(device=device, method=method, execution=execution) for method, execution in SMALL[device]]
    choose_device(specs, config.threads, config.gpu_slots)
    # A full batch and a smaller one.
    count = specs[0].batch_size + 1
    samples = make_samples(np.zeros((count, SIDE, SIDE)), np.zeros(count))
    with recording_notes() as notes:
        for spec in specs:
            job = build_job(spec, Data(samples, samples))
            make_method(job, notes).warm_up()
        # Converts the loop of the tape, which a process does once. Its traces would count as traces of the run, and
        # TensorFlow warns of many.
        loop: Any = GradientTape(job).training
        tf.autograph.to_graph(loop.function.python_function)
    keras.backend.clear_session()
