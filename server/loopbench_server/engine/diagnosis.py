"""Diagnosis of two specifications by the experiments of ``loopbench_diagnose``."""

import math
from collections.abc import Callable

import keras
import numpy as np

from loopbench.spec import Diagnosis, Divergence, RunSpec
from loopbench_diagnose.data import Data as GivenData
from loopbench_diagnose.diagnosing import examine
from loopbench_diagnose.probes import PROBES, order
from loopbench_diagnose.side import Side
from loopbench_server.engine import data as datasets
from loopbench_server.engine.data import Data, Samples, make_samples
from loopbench_server.engine.devices import choose_device
from loopbench_server.engine.job import build_job, build_replicated_model, make_job
from loopbench_server.engine.losses import LOSSES
from loopbench_server.engine.methods import METHODS, make_method
from loopbench_server.engine.networks import build_model
from loopbench_server.engine.notes import recording_notes
from loopbench_server.engine.recorder import Recorder
from loopbench_server.engine.remedies import remedied
from loopbench_server.engine.specifications import Whole, ask
from loopbench_server.worker_config import WorkerConfig

# Batches that the experiments over epochs take: enough for an order and a last batch, few enough to run eagerly.
BATCHES = 10
# The same where replicas share them, which takes many times as long.
SHARED_BATCHES = 3
# Samples in a batch of an experiment, at most: a larger one shows no more, and need not fit into the data.
LARGEST_BATCH = 128
# Samples in a share are a multiple of it.
PARTS_OF_A_SHARE = 4

# Orders are looked at over the whole set, where a shuffle buffer of a thousand is a small one.
ON_A_PART = tuple(probe for probe in PROBES if probe is not order.probe)


def diagnose(
    first: RunSpec,
    second: RunSpec,
    config: WorkerConfig,
    divergences: tuple[Divergence | None, Divergence | None] = (None, None),
) -> Diagnosis:
    """Why runs of ``first`` and ``second`` end, or report, differently.

    Device, dataset, network and seed of the experiments are those of ``first``. Both sides are given batches of the
    same size, so that what lies in the loops shows; what another size does is asked of the whole runs. ``divergences``
    say where whole runs of the two diverged, as far as that is known: the experiments may be too short to show it.

    Raises:
        DeviceNotAvailableError: a GPU is asked for and absent.
        DatasetNotAvailableError: a dataset is not there and cannot be downloaded.
        DatasetCorruptError: its file does not hold what it should.
        ExecutionNotAvailableError: TensorFlow or Keras uses another execution than a specification requires.
    """
    choose_device([first, second], config.threads)
    wholes = tuple(
        Whole(spec, datasets.load(spec.dataset, config.data_dir), diverged)
        for spec, diverged in zip((first, second), divergences, strict=True)
    )
    data = wholes[0].data
    with recording_notes() as notes:
        for spec in (first, second):
            make_method(build_job(spec, data), notes)
    batch_size = _batch_size(first, second)
    findings = examine(
        lambda: build_model(first),
        GivenData(data.train.images, data.train.one_hot, validation=_given(data.validation)),
        (_side(first, batch_size, first), _side(second, batch_size, first)),
        samples=_batches(first, second) * batch_size + batch_size // 2,
        seed=0,
        probes=ON_A_PART,
    )
    ask((wholes[0], wholes[1]), findings)
    diagnosis = findings.diagnosis()
    return diagnosis.model_copy(
        update={"first": first, "second": second, **remedied(first, second, (*diagnosis.causes, *diagnosis.rounding))}
    )


def _batch_size(first: RunSpec, second: RunSpec) -> int:
    """What both are given. Replicas have equal shares of it and of its half, and each some of a smaller last batch."""
    size, divisor = min(first.batch_size, second.batch_size, LARGEST_BATCH), math.lcm(first.replicas, second.replicas)
    if divisor == 1:
        return size
    return max(1, size // (PARTS_OF_A_SHARE * divisor)) * PARTS_OF_A_SHARE * divisor


def _batches(first: RunSpec, second: RunSpec) -> int:
    return BATCHES if max(first.replicas, second.replicas) == 1 else SHARED_BATCHES


def _given(samples: Samples) -> GivenData:
    return GivenData(samples.images, samples.one_hot)


def _side(spec: RunSpec, batch_size: int, first: RunSpec) -> Side:
    built = spec.model_copy(update={"seed": first.seed, "network": first.network})
    return Side(
        train=_loop(spec.model_copy(update={"batch_size": batch_size})),
        loss=LOSSES[spec.loss].per_sample,
        build_model=lambda: build_replicated_model(built),
    )


def _loop(spec: RunSpec) -> Callable[[keras.Model, GivenData, int], dict[str, float]]:
    """What a run of ``spec`` does, on a model and data that are given."""

    def train(model: keras.Model, given: GivenData, epochs: int) -> dict[str, float]:
        train_samples = _taken(given)
        validation = _taken(given.validation) if given.validation else train_samples
        job = make_job(model, spec.model_copy(update={"epochs": epochs}), Data(train_samples, validation))
        method = METHODS[spec.method](job)
        recorder = Recorder(method, lambda _: None, lambda _: None)
        method.train([recorder])
        last = recorder.history[-1]
        return {
            **last.train.model_dump(),
            **{f"val_{name}": value for name, value in last.validation.model_dump().items()},
        }

    return train


def _taken(given: GivenData) -> Samples:
    """Labels come one-hot, as an experiment may have changed them; images as a copy, as tensors use their memory."""
    return make_samples(np.asarray(given.x), np.asarray(given.y).argmax(axis=1))
