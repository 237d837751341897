"""Diagnoses of a real server: pairs of specifications from the article, and others."""

import pytest

from loopbench.spec import AccuracyMetric, Adam, Cnn, Execution, Loss, LossAggregation, Lstm, Method, Sgd, Side
from loopbench_client import Client
from tests.support.diagnoses import check_loss_scale, diagnose, loss_scale_pair, observed, only, spec

pytestmark = pytest.mark.slow

TAPE, FIT, CUSTOM = Method.GRADIENT_TAPE, Method.FIT, Method.CUSTOM_TRAIN_STEP
FIXED = Loss.SUM_OF_SQUARES_FIXED_BATCH


def test_loss_scale_under_adam(client: Client) -> None:
    check_loss_scale(diagnose(client, *loss_scale_pair(Adam())), Adam())


def test_a_learning_rate_compensates_for_the_loss(client: Client) -> None:
    """Row 3 of the article's table: the mean at rate 0.1 equals the sum at 0.01."""
    second = spec(loss=Loss.MEAN_SQUARED_ERROR, optimizer=Sgd(learning_rate=0.1))
    diagnosis = diagnose(client, spec(), second)
    assert {cause.reason for cause in diagnosis.causes} == {"LOSS_REDUCTION", "LEARNING_RATE"}
    assert all("make up for each other" in cause.consequence for cause in diagnosis.causes)


def test_accuracy_metric_on_labels(client: Client) -> None:
    wrong = spec(method=CUSTOM, accuracy_metric=AccuracyMetric.CATEGORICAL_ON_LABELS)
    cause = only(diagnose(client, spec(method=CUSTOM), wrong))
    assert (cause.reason, cause.side) == ("ACCURACY_METRIC", Side.SECOND)
    counted = next(item for item in cause.evidence if item.name.startswith("metric/"))
    # One value per batch instead of per sample: 11 training and 11 validation batches in each of two epochs.
    assert counted.name == "metric/CategoricalAccuracy"
    assert counted.observed == 2 * (11 + 11)


def test_last_batch(client: Client) -> None:
    wrong = spec(method=CUSTOM, loss_aggregation=LossAggregation.LAST_BATCH)
    diagnosis = diagnose(client, wrong, spec(method=TAPE))
    cause = only(diagnosis)
    assert (cause.reason, cause.side) == ("LAST_BATCH", Side.FIRST)
    assert set(observed(cause)) == {"first_loss", "first_val_loss"}
    assert diagnosis.fixed_first == wrong.model_copy(update={"loss_aggregation": LossAggregation.MEAN})
    assert diagnosis.fixed_second is None


def test_fixed_divisor(client: Client) -> None:
    """1,438 = 44 × 32 + 30 and 359 = 11 × 32 + 7."""
    diagnosis = diagnose(client, spec(), spec(loss=FIXED))
    cause = only(diagnosis)
    assert (cause.reason, cause.side) == ("FIXED_DIVISOR", Side.SECOND)
    found = observed(cause)
    assert found["gradient_ratio/partial_batch"] == pytest.approx(16 / 32, rel=1e-5)
    assert (found["last_batch/training"], found["last_batch/validation"]) == (30, 7)
    assert diagnosis.fixed_second == spec()


def test_batches_of_another_size_are_one_cause(client: Client) -> None:
    cause = only(diagnose(client, spec(loss=FIXED), spec(loss=FIXED, batch_size=64)))
    # 1,438 samples make 45 batches of 32, and 23 of 64; two epochs.
    assert (cause.reason, observed(cause)) == ("UPDATES", {"updates_of_the_run": 46, "batch_size": 64})


def test_a_batch_larger_than_the_dataset(client: Client) -> None:
    whole = {"batch_size": 1_797}
    cause = only(diagnose(client, spec(**whole), spec(loss=FIXED, **whole)))
    assert cause.reason == "FIXED_DIVISOR"
    assert "divides by 1,797" in cause.title
    assert "holds 1,438 samples and counts for 0.8 of" in cause.consequence


@pytest.mark.parametrize("execution", ["GRAPH", "EAGER", "XLA"])
def test_the_methods_agree(client: Client, execution: str) -> None:
    for method in (FIT, CUSTOM):
        first, second = (spec(method=one, execution=execution, batch_size=100) for one in (TAPE, method))
        diagnosis = diagnose(client, first, second)
        assert diagnosis.causes == ()
        assert {"repeat_first", "repeat_second", "updates", "batch_order", "updates_agree"} <= {
            control.name for control in diagnosis.controls
        }


def test_every_difference_is_named(client: Client) -> None:
    first = spec(method=CUSTOM, loss=FIXED, accuracy_metric=AccuracyMetric.CATEGORICAL_ON_LABELS)
    second = spec(
        method=FIT,
        loss=Loss.MEAN_SQUARED_ERROR,
        optimizer=Adam(epsilon=1e-3),
        batch_size=64,
        shuffle_buffer=0,
        seed=3,
        epochs=3,
    )
    diagnosis = diagnose(client, first, second)
    assert {cause.reason for cause in diagnosis.causes} == {
        *("OPTIMIZER", "LOSS_REDUCTION", "UPDATES", "ACCURACY_METRIC", "FIXED_DIVISOR", "SEED", "SHUFFLE"),
    }
    fixed = first.model_copy(update={"loss": Loss.SUM_OF_SQUARES, "accuracy_metric": AccuracyMetric.SPARSE_CATEGORICAL})
    assert diagnosis.fixed_first == fixed
    assert diagnosis.fixed_second == fixed.model_copy(update={"method": FIT})


def test_another_network_is_named_and_nothing_else(client: Client) -> None:
    first, second = spec(network=Cnn(filters=(4,))), spec(method=FIT, network=Lstm(units=8))
    diagnosis = diagnose(client, first, second)
    cause = only(diagnosis)
    assert cause.reason == "NETWORK"
    assert cause.title == "The first network is cnn with filters [4], dropout 0.25, the second lstm with units 8"
    assert diagnosis.fixed_second == second.model_copy(update={"network": first.network})


@pytest.mark.slow
def test_rounding_that_decides_between_equal_pixels_raises_no_alarm(client: Client) -> None:
    fields = {"network": Cnn(), "batch_size": 100, "execution": Execution.XLA}
    assert diagnose(client, spec(**fields), spec(method=FIT, **fields)).causes == ()


@pytest.mark.parametrize("network", [Cnn(filters=(4,)), Lstm(units=8)], ids=["cnn", "lstm"])
def test_methods_that_train_a_network_raise_no_alarm(client: Client, network: Cnn | Lstm) -> None:
    assert diagnose(client, spec(network=network), spec(method=FIT, network=network)).causes == ()


def test_a_replicas_own_mean_is_found(client: Client) -> None:
    shared = {"replicas": 2, "batch_size": 240}
    unscaled = spec(method=CUSTOM, loss=Loss.SUM_OF_SQUARES_REPLICA_MEAN, **shared)
    cause = only(diagnose(client, spec(method=FIT, **shared), unscaled))
    assert (cause.reason, cause.side) == ("REPLICA_SCALING", Side.SECOND)
    found = observed(cause)
    assert found["replicas"] == 2
    assert found["first_gradient_ratio"] == pytest.approx(1, rel=1e-4)
    assert found["second_gradient_ratio"] == pytest.approx(2, rel=1e-4)


def test_replicas_that_agree_raise_no_alarm(client: Client) -> None:
    first, second = (spec(method=method, replicas=2, batch_size=240) for method in (FIT, CUSTOM))
    assert diagnose(client, first, second).causes == ()


def test_only_one_side_by_xla(client: Client) -> None:
    diagnosis = diagnose(client, spec(), spec(execution="XLA"))
    (cause,) = diagnosis.rounding
    assert diagnosis.causes == ()
    assert (cause.reason, cause.side) == ("XLA", Side.SECOND)
