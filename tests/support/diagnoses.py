"""Requests and checks for tests of a server's diagnoses."""

from typing import Any

import pytest

from loopbench.spec import Adam, Cause, Dataset, Diagnosis, Loss, Method, Replay, RunSpec, Sgd, SideValues
from loopbench_client import Client

# Seconds. Far longer than a diagnosis takes on a busy machine.
TIMEOUT = 600


def spec(**fields: Any) -> RunSpec:
    return RunSpec.model_validate({"dataset": Dataset.DIGITS, "epochs": 2, **fields})


def diagnose(client: Client, first: RunSpec, second: RunSpec) -> Diagnosis:
    return client.diagnose(first, second, timeout=TIMEOUT)


def only(diagnosis: Diagnosis) -> Cause:
    (cause,) = diagnosis.causes
    return cause


def observed(cause: Cause) -> dict[str, float | None]:
    return {item.name: item.observed for item in cause.evidence}


def loss_scale_pair(optimizer: Sgd | Adam) -> tuple[RunSpec, RunSpec]:
    return (
        spec(method=Method.GRADIENT_TAPE, optimizer=optimizer),
        spec(method=Method.FIT, optimizer=optimizer, loss=Loss.MEAN_SQUARED_ERROR),
    )


def check_loss_scale(diagnosis: Diagnosis, optimizer: Sgd | Adam) -> None:
    """Checks that the mean over ten outputs is a tenth of their sum, in the loss and in every gradient."""
    pair = loss_scale_pair(optimizer)
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
    assert ("0.001 instead of 0.01" in cause.consequence) is passed_on
    assert ("Next to none under Adam" in cause.consequence) is not passed_on
    _check_replay(diagnosis.replay, passed_on=passed_on)
    assert (diagnosis.first, diagnosis.second) == pair
    assert diagnosis.fixed_second == pair[1].model_copy(update={"loss": Loss.SUM_OF_SQUARES})


def _check_replay(replay: Replay, *, passed_on: bool) -> None:
    """Checks the updates of two epochs on 331 samples: the largest prime up to ten and a half batches of 32."""
    assert [record.samples for record in replay.updates] == 2 * [
        *[SideValues(first=32, second=32)] * 10,
        SideValues(first=11, second=11),
    ]
    assert [record.gradient_ratio for record in replay.variables] == pytest.approx([0.1] * 6, rel=1e-5)
    assert replay.first_difference is not None
    assert (replay.first_difference.update, replay.first_difference.place) == (1, "gradient of the outputs")
    # A step that is a tenth as long leaves nine tenths between the sides.
    assert (replay.updates[0].weight_distance == pytest.approx(0.9, rel=1e-3)) is passed_on
