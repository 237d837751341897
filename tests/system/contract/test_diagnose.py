"""Two specifications diagnosed on a real server: what has to go well wherever it runs."""

from typing import Any

import pytest

from loopbench.spec import Adam, Loss, Method, RunSpec, Sgd, Verdict
from loopbench_client import Client, InvalidSpecError, NotFoundError
from tests.support.diagnoses import observed, only, spec

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize("optimizer", [Sgd(), Adam()])
def test_loss_scale(client: Client, optimizer: Any) -> None:
    """The mean over ten outputs is a tenth of their sum, in the loss and in every variable's gradient."""
    pair = (
        spec(method=Method.GRADIENT_TAPE, optimizer=optimizer),
        spec(method=Method.FIT, optimizer=optimizer, loss=Loss.MEAN_SQUARED_ERROR),
    )
    diagnosis = client.diagnose(*pair, timeout=120)
    cause = only(diagnosis)
    assert (cause.reason, cause.side) == ("LOSS_REDUCTION", None)
    found = observed(cause)
    variables = [name for name in found if name.startswith("gradient_ratio/")]
    assert len(variables) == 6
    for name in ("loss_ratio", "gradient_ratio", *variables):
        assert found[name] == pytest.approx(0.1, rel=1e-5)
    assert found["gradient_ratio_spread"] == pytest.approx(0, abs=1e-5)
    # Plain SGD passes the scale on to the weights; Adam divides it out.
    passed_on = optimizer.kind == "sgd"
    assert found["movement_ratio/1"] == pytest.approx(0.1 if passed_on else 1.0, rel=0.1)
    assert ("0.001 instead of 0.01" in cause.effect) is passed_on
    assert ("Next to none under Adam" in cause.effect) is not passed_on
    assert (diagnosis.first, diagnosis.second) == pair
    assert diagnosis.fixed_second == pair[1].model_copy(update={"loss": Loss.SUM_OF_SQUARES})


def test_a_mean_that_replicas_do_not_divide_is_found_and_remedied(client: Client) -> None:
    unscaled = spec(method=Method.CUSTOM_TRAIN_STEP, loss=Loss.SUM_OF_SQUARES_REPLICA_MEAN, replicas=2)
    diagnosis = client.diagnose(spec(), unscaled, timeout=300)
    assert [cause.reason for cause in diagnosis.causes] == ["REPLICA_SCALING", "REPLICAS"]
    assert diagnosis.fixed_second == spec(method=Method.CUSTOM_TRAIN_STEP)


def test_runs_are_diagnosed_and_the_fix_is_verified(client: Client) -> None:
    runs = [client.train(spec(loss=loss, epochs=4)) for loss in (Loss.SUM_OF_SQUARES, Loss.MEAN_SQUARED_ERROR)]
    diagnosis = client.diagnose(runs[0].id.upper(), runs[1].id, verify=True, seeds=2, timeout=300)
    assert only(diagnosis).reason == "LOSS_REDUCTION"
    assert diagnosis.verification is not None
    verdicts = {(pair.first_label, pair.second_label): pair.verdict for pair in diagnosis.verification.pairs}
    assert verdicts["first", "second, fixed"] is Verdict.IDENTICAL
    assert verdicts["first", "second"] is not Verdict.IDENTICAL


def test_what_cannot_be_diagnosed(client: Client) -> None:
    with pytest.raises(NotFoundError):
        client.diagnose(NOBODY, spec())
    with pytest.raises(InvalidSpecError) as caught:
        client.diagnose("one", "two")
    assert [violation.field for violation in caught.value.violations] == ["first.run_id", "second.run_id"]
    with pytest.raises(InvalidSpecError) as caught:
        client.diagnose(spec(), RunSpec.model_construct(**{**dict(spec()), "epochs": 0}))
    assert [violation.field for violation in caught.value.violations] == ["second.spec.epochs"]
