"""Common start of all training methods: the same network, data, order, loss and optimizer."""

from dataclasses import dataclass

import keras
import tensorflow as tf

from loopbench.spec import Execution, RunSpec
from loopbench_server.engine.batch_order import BatchOrder
from loopbench_server.engine.data import Data, Samples
from loopbench_server.engine.losses import LOSSES
from loopbench_server.engine.networks import build_model
from loopbench_server.engine.optimizers import build_optimizer
from loopbench_server.engine.replicas import strategy_for


@dataclass(frozen=True)
class Job:
    """Parts of a run before its first step."""

    spec: RunSpec
    data: Data
    model: keras.Model
    loss: keras.losses.Loss
    optimizer: keras.optimizers.Optimizer
    order: BatchOrder

    def batches_in(self, samples: Samples) -> int:
        """Return the number of batches of ``samples``; the last may be smaller and is never dropped."""
        return -(-len(samples) // self.spec.batch_size)

    @property
    def strategy(self) -> tf.distribute.Strategy:
        """Strategy in whose scope the model was built and all other variables have to be created."""
        return self.model.distribute_strategy

    @property
    def steps_per_epoch(self) -> int:
        """Number of updates in an epoch."""
        return self.batches_in(self.data.train)

    @property
    def steps_per_execution(self) -> int:
        """Steps in one call of a training function; see ``RunSpec.steps_per_execution``."""
        if self.spec.execution is Execution.EAGER or self.spec.replicas > 1:
            return 1
        return min(self.spec.steps_per_execution or self.steps_per_epoch, self.steps_per_epoch)


def build_job(spec: RunSpec, data: Data) -> Job:
    """Return a job whose random draws all follow from ``spec.seed``."""
    return make_job(build_replicated_model(spec), spec, data)


def build_replicated_model(spec: RunSpec) -> keras.Sequential:
    """Return the network on ``spec.replicas`` devices; see :func:`build_model`."""
    with strategy_for(spec.replicas).scope():
        return build_model(spec)


def make_job(model: keras.Model, spec: RunSpec, data: Data) -> Job:
    """Return a job that trains ``model`` with the strategy in which it was built."""
    with model.distribute_strategy.scope():
        optimizer = build_optimizer(spec.optimizer)
    return Job(
        spec=spec,
        data=data,
        model=model,
        loss=LOSSES[spec.loss].build(spec.batch_size),
        optimizer=optimizer,
        order=BatchOrder(spec.seed, len(data.train), spec.shuffle_buffer),
    )
