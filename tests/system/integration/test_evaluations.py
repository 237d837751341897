"""Every method of evaluating and writing logs on a real server."""

import pytest

from loopbench.spec import AccuracyMetric, Loss, Method, Run
from loopbench_client import Client
from tests.smoke.test_server import check_tensorboard_logs, trained

__all__ = ["trained"]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize(
    "accuracy_metric", [AccuracyMetric.SPARSE_CATEGORICAL, AccuracyMetric.CATEGORICAL, AccuracyMetric.ARGMAX]
)
def test_right_ways_of_evaluating_agree_with_the_final_metrics(
    client: Client, trained: Run, method: Method, accuracy_metric: AccuracyMetric
) -> None:
    evaluation = client.evaluate(trained.id, method=method, accuracy_metric=accuracy_metric)
    assert trained.result is not None
    assert (evaluation.train, evaluation.validation) == (trained.result.train, trained.result.validation)
    assert evaluation.reported_validation.accuracy == pytest.approx(evaluation.validation.accuracy)
    assert evaluation.reported_validation.loss == pytest.approx(evaluation.validation.loss, rel=1e-5)
    assert evaluation.reported_train.accuracy == pytest.approx(evaluation.train.accuracy)


def test_one_batch_by_hand_under_the_fixed_divisor(client: Client, trained: Run) -> None:
    evaluation = client.evaluate(trained.id, method=Method.GRADIENT_TAPE, loss=Loss.SUM_OF_SQUARES_FIXED_BATCH)
    # 359 samples summed and divided by 32.
    assert evaluation.reported_validation.loss == pytest.approx(evaluation.validation.loss * 359 / 32, rel=1e-5)


@pytest.mark.parametrize("method", [Method.GRADIENT_TAPE, Method.CUSTOM_TRAIN_STEP])
def test_tensorboard_logs_of_the_other_methods(client: Client, method: Method) -> None:
    check_tensorboard_logs(client, method)
