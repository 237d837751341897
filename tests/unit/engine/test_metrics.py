import keras
import numpy as np
import pytest

from loopbench.spec import AccuracyMetric, LossAggregation
from loopbench_server.engine.metrics import ACCURACY_METRICS, LOSS_AGGREGATIONS, Accuracy, LoopMetrics

# Labels 1, 2, 3 and predictions 1, 2, 2: two of three are right.
ONE_HOT = np.eye(4, dtype="float32")[[1, 2, 3]]
OUTPUTS = np.array([[0, 9, 0, 0], [0, 0, 9, 1], [0, 0, 9, 1]], "float32")


def test_tables_are_complete() -> None:
    assert set(ACCURACY_METRICS) == set(AccuracyMetric)
    assert set(LOSS_AGGREGATIONS) == set(LossAggregation)


@pytest.mark.parametrize(
    "accuracy_metric", [AccuracyMetric.SPARSE_CATEGORICAL, AccuracyMetric.CATEGORICAL, AccuracyMetric.ARGMAX]
)
def test_right_metrics_count_samples(accuracy_metric: AccuracyMetric) -> None:
    accuracy = Accuracy(accuracy_metric)
    accuracy.update_state(ONE_HOT, OUTPUTS)
    assert float(accuracy.result()) == pytest.approx(2 / 3)


def test_wrong_accuracy_metric_counts_a_batch_as_one_sample() -> None:
    accuracy = Accuracy(AccuracyMetric.CATEGORICAL_ON_LABELS)
    # Largest label at index 2, largest prediction at index 1: the one sample counted is wrong.
    accuracy.update_state(ONE_HOT, OUTPUTS)
    assert float(accuracy.result()) == 0.0
    # Labels 3, 1 and predictions 3, 2: both are largest at index 0, so the one sample is right.
    accuracy.update_state(ONE_HOT[[2, 0]], OUTPUTS[[1, 1]] + np.array([[0, 0, 0, 20], [0, 0, 0, 0]], "float32"))
    assert float(accuracy.result()) == 0.5


def test_wrong_accuracy_metric_is_the_class_that_keras_picks() -> None:
    labels, predictions = np.array([1, 2, 3]), np.array([1, 2, 2])
    model = keras.Sequential([keras.Input(()), keras.layers.Identity()])
    model.compile(metrics=["accuracy"])
    picked = model.compute_metrics(None, labels, predictions)["accuracy"]
    assert float(picked) == 0.0
    right = keras.metrics.Accuracy()
    right.update_state(labels, predictions)
    assert float(right.result()) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("report", "expected"), [(LossAggregation.MEAN, (3 * 1 + 1 * 5) / 4), (LossAggregation.LAST_BATCH, 5.0)]
)
def test_loss_of_an_epoch(report: LossAggregation, expected: float) -> None:
    figures = LoopMetrics(AccuracyMetric.CATEGORICAL, report)
    figures.update(ONE_HOT, OUTPUTS, 1.0)
    figures.update(ONE_HOT[:1], OUTPUTS[:1], 5.0)
    assert {name: float(value) for name, value in figures.result().items()} == {"loss": expected, "accuracy": 0.75}
    figures.reset()
    assert float(figures.result()["accuracy"]) == 0.0
