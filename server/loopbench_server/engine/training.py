"""Trains a whole run: from a specification to its result and final weights."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loopbench.spec import EpochRecord, Phases, Progress, Result, RunSpec
from loopbench_server.engine import data as datasets
from loopbench_server.engine import environment, function_names
from loopbench_server.engine.devices import choose_device
from loopbench_server.engine.divergence import DivergenceMonitor, are_finite
from loopbench_server.engine.final_metrics import compute_final_metrics
from loopbench_server.engine.job import build_job
from loopbench_server.engine.methods import TrainingMethod, make_method
from loopbench_server.engine.networks import weights_digest
from loopbench_server.engine.notes import Notes, recording_notes
from loopbench_server.engine.recorder import Recorder
from loopbench_server.engine.tensorboard import TensorBoardLogs
from loopbench_server.worker_config import WorkerConfig

Weights = list[NDArray[np.float32]]


class Clock:
    """Measures each phase of :class:`loopbench.spec.Phases` in seconds, and reports its start."""

    def __init__(self, on_phase: Callable[[str], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._on_phase = on_phase

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure the block."""
        self._on_phase(name)
        start = time.perf_counter()
        yield
        self.seconds[f"{name}_seconds"] = time.perf_counter() - start


@dataclass(frozen=True)
class Reports:
    """Functions that receive each phase, progress and epoch of a run."""

    on_phase: Callable[[str], None]
    on_progress: Callable[[Progress], None]
    on_epoch: Callable[[EpochRecord], None]


def _train(
    method: TrainingMethod, logs: TensorBoardLogs | None, reports: Reports
) -> tuple[Recorder, DivergenceMonitor]:
    def record(epoch: EpochRecord) -> None:
        if logs:
            logs.write(epoch)
        reports.on_epoch(epoch)

    recorder, monitor = Recorder(method, reports.on_progress, record), DivergenceMonitor(method)
    # The monitor first, so that its work does not count as training time.
    method.train([monitor, recorder])
    return recorder, monitor


def train(
    spec: RunSpec,
    config: WorkerConfig,
    *,
    log_dir: Path | None = None,
    on_phase: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_epoch: Callable[[EpochRecord], None] = lambda _: None,
) -> tuple[Result, Weights]:
    """Train as ``spec`` says, and compute the final metrics on the training and the validation set.

    TensorFlow takes device and threads once per process, so a process trains one run. TensorBoard logs go to
    ``log_dir``.

    Raises:
        DeviceNotAvailableError: a GPU is required and absent.
        DatasetNotAvailableError: the dataset is not there and cannot be downloaded.
        DatasetCorruptError: its file has unexpected contents.
        ExecutionNotAvailableError: TensorFlow or Keras uses another execution.
    """
    with recording_notes() as notes:
        result, weights = _train_recorded(spec, config, notes, log_dir, Reports(on_phase, on_progress, on_epoch))
    return result.model_copy(update={"notes": notes.texts}), weights


def _train_recorded(
    spec: RunSpec, config: WorkerConfig, notes: Notes, log_dir: Path | None, reports: Reports
) -> tuple[Result, Weights]:
    clock = Clock(reports.on_phase)
    with clock.phase("start"):
        device = choose_device([spec], config.threads, config.gpu_slots)
    with clock.phase("load"):
        data = datasets.load(spec.dataset, config.data_dir)
    with clock.phase("compile"):
        job = build_job(spec, data)
        function_names.align()
        method = make_method(job, notes)
        method.warm_up()
    with clock.phase("train"):
        logs = TensorBoardLogs(log_dir, job) if log_dir else None
        recorder, monitor = _train(method, logs, reports)
    with clock.phase("evaluate"):
        final_metrics = {
            name: compute_final_metrics(job.model, getattr(data, name), spec.loss) for name in ("train", "validation")
        }
        if logs:
            logs.finish(final_metrics)
        weights: Weights = job.model.get_weights()
        updates = int(job.optimizer.iterations.numpy())
        finite_end = are_finite(weights) and all(figures.finite for figures in final_metrics.values())
        diverged = monitor.find(finite_end=finite_end)
    # Validations within the epochs count as evaluation.
    clock.seconds["train_seconds"] = recorder.train_seconds
    clock.seconds["evaluate_seconds"] += recorder.evaluate_seconds
    result = Result(
        dataset=spec.dataset,
        **final_metrics,
        reported_train=recorder.history[-1].train,
        reported_validation=recorder.history[-1].validation,
        history=tuple(recorder.history),
        weights_digest=weights_digest(weights),
        batch_order_digest=job.order.digest(),
        updates=updates,
        phases=Phases(**clock.seconds),
        environment=environment.describe(device, config),
        tensorboard_dir=str(log_dir or ""),
        diverged=diverged,
    )
    return result, weights
