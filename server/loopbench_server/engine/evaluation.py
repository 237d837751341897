"""Evaluates the final weights of a run with any method, loss and accuracy metric."""

from loopbench.spec import Evaluation, RunSpec
from loopbench_server.engine import data as datasets
from loopbench_server.engine.devices import choose_device
from loopbench_server.engine.final_metrics import compute_final_metrics
from loopbench_server.engine.job import build_job
from loopbench_server.engine.methods import make_method
from loopbench_server.engine.notes import recording_notes
from loopbench_server.engine.training import Weights
from loopbench_server.worker_config import WorkerConfig


def evaluate(run_id: str, spec: RunSpec, weights: Weights, config: WorkerConfig) -> Evaluation:
    """Return what the method, loss and accuracy metric of ``spec`` report of ``weights``, and the final metrics.

    Raises:
        DeviceNotAvailableError: a GPU is required and absent.
        DatasetNotAvailableError: the dataset is not there and cannot be downloaded.
        DatasetCorruptError: its file has unexpected contents.
        ExecutionNotAvailableError: TensorFlow or Keras uses another execution.
    """
    choose_device([spec], config.threads)
    data = datasets.load(spec.dataset, config.data_dir)
    job = build_job(spec, data)
    job.model.set_weights(weights)
    with recording_notes() as notes:
        method = make_method(job, notes)
    return Evaluation(
        run_id=run_id,
        method=spec.method,
        loss=spec.loss,
        accuracy_metric=spec.accuracy_metric,
        reported_train=method.evaluate(data.train),
        reported_validation=method.evaluate(data.validation),
        train=compute_final_metrics(job.model, data.train, spec.loss),
        validation=compute_final_metrics(job.model, data.validation, spec.loss),
    )
