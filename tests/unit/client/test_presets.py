"""Presets as plans."""

import pytest

from loopbench.spec import AccuracyMetric, Adam, Dataset, Execution, InvalidFieldsError, Loss, Method, RunSpec, Sgd
from loopbench_client.comparing import PRESETS, Draft, Preset, make_plan
from loopbench_client.comparing.values import Given

ARTICLE = PRESETS["article"]
HIS, MSE = Loss.SUM_OF_SQUARES_FIXED_BATCH, Loss.MEAN_SQUARED_ERROR
TAPE, FIT, STEP = Method.GRADIENT_TAPE, Method.FIT, Method.CUSTOM_TRAIN_STEP


def flags(**common: str) -> Draft:
    return Draft(common={name: Given(f"--{name}", text) for name, text in common.items()})


def test_the_articles_rows() -> None:
    rows = [
        (TAPE, HIS, Sgd(learning_rate=0.01), AccuracyMetric.SPARSE_CATEGORICAL),
        (FIT, MSE, Sgd(learning_rate=0.01), AccuracyMetric.SPARSE_CATEGORICAL),
        (FIT, MSE, Sgd(learning_rate=0.1), AccuracyMetric.SPARSE_CATEGORICAL),
        (FIT, HIS, Sgd(learning_rate=0.01), AccuracyMetric.SPARSE_CATEGORICAL),
        (TAPE, MSE, Sgd(learning_rate=0.01), AccuracyMetric.SPARSE_CATEGORICAL),
        (STEP, HIS, Sgd(learning_rate=0.01), AccuracyMetric.CATEGORICAL),
        (STEP, HIS, Sgd(learning_rate=0.01), AccuracyMetric.CATEGORICAL_ON_LABELS),
        (STEP, HIS, Sgd(learning_rate=0.01), AccuracyMetric.SPARSE_CATEGORICAL),
        (STEP, HIS, Adam(learning_rate=0.001), AccuracyMetric.CATEGORICAL),
        (TAPE, HIS, Sgd(learning_rate=0.001), AccuracyMetric.SPARSE_CATEGORICAL),
    ]
    expected = [
        RunSpec(
            method=method,
            loss=loss,
            optimizer=optimizer,
            accuracy_metric=accuracy_metric,
            dataset=Dataset.MNIST,
            epochs=10,
            batch_size=32,
            shuffle_buffer=1_000,
        )
        for method, loss, optimizer, accuracy_metric in rows
    ]
    plan = make_plan(ARTICLE.draft())
    assert [*plan.specs.values()] == expected
    assert [row.spec for row in ARTICLE.rows] == expected
    assert [label.split()[0] for label in plan.specs] == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_claims_need_rows_that_there_are(preset: Preset) -> None:
    labels = {row.label for row in preset.rows}
    assert {name for row in preset.rows for claim in row.claims for name in claim.needs} <= labels
    assert all(row.claims for row in preset.rows)


def test_the_job_may_be_another_and_then_is_not_comparable() -> None:
    plan = make_plan(ARTICLE.draft(), flags(dataset="digits", epochs="2"))
    assert {(spec.dataset, spec.epochs) for spec in plan.specs.values()} == {(Dataset.DIGITS, 2)}
    assert ARTICLE.departures(plan.specs) == ("dataset", "epochs")


def test_what_changes_no_result_is_comparable() -> None:
    plan = make_plan(ARTICLE.draft(), flags(execution="eager", device="cpu", tensorboard="true"))
    assert {spec.execution for spec in plan.specs.values()} == {Execution.EAGER}
    assert ARTICLE.departures(plan.specs) == ()


@pytest.mark.parametrize(("name", "text"), [("method", "fit"), ("learning_rate", "1"), ("accuracy_metric", "argmax")])
def test_the_fields_of_a_row_cannot_be_overridden(name: str, text: str) -> None:
    with pytest.raises(InvalidFieldsError, match=f"--{name}: has no effect"):
        make_plan(ARTICLE.draft(), flags(**{name: text}))
