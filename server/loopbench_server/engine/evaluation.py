"""Final weights of a run, evaluated in any of the ways."""

from loopbench.spec import Evaluation, RunSpec
from loopbench_server.engine import data as datasets
from loopbench_server.engine.devices import choose_device
from loopbench_server.engine.final_metrics import compute_final_metrics
from loopbench_server.engine.job import build_job
from loopbench_server.engine.methods import METHODS
from loopbench_server.engine.training import Surroundings, Weights


def evaluate(run_id: str, spec: RunSpec, weights: Weights, surroundings: Surroundings) -> Evaluation:
    """What the method, loss and accuracy metric of ``spec`` report of ``weights``, beside what counting gives.

    Raises:
        DeviceNotAvailableError: a GPU is asked for and absent.
        DatasetNotAvailableError: the dataset is not there and cannot be downloaded.
        DatasetCorruptError: its file does not hold what it should.
    """
    choose_device(spec.device, surroundings.threads)
    data = datasets.load(spec.dataset, surroundings.data_dir)
    job = build_job(spec, data)
    job.model.set_weights(weights)
    method = METHODS[spec.method](job)
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
