"""Faults that the replay of both sides shows; each is reported, and its repaired version is not."""

from typing import Any

import numpy as np
import pytest

from loopbench.spec import Reason
from loopbench_diagnose import Data, Side, diagnose
from loopbench_diagnose.diagnosing import examine
from loopbench_diagnose.probes import closure

from .fault_models import SIZE, reasons, signals, squared, taped
from .replayed_loops import FAULTS, gradients_of

# Keras turns variables into arrays in a way that NumPy deprecates, where it saves a model.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# One fault a cause for the quick tier; the rest is slow.
QUICK = {make().reason: name for name, make in reversed(FAULTS.items())}
ROWS = [
    pytest.param(name, marks=() if QUICK[make().reason] == name else pytest.mark.slow) for name, make in FAULTS.items()
]


@pytest.mark.parametrize("name", ROWS)
def test_a_fault_is_named(name: str) -> None:
    fault = FAULTS[name]()
    build, data = fault.problem
    found = reasons(diagnose(build, data, fault.first, fault.faulty))
    assert fault.reason in found
    assert set(found) <= {fault.reason, *fault.more}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_the_repaired_version_is_clean(name: str) -> None:
    fault = FAULTS[name]()
    build, data = fault.problem
    assert reasons(diagnose(build, data, fault.first, fault.repaired)) == []


def test_the_table_has_the_causes_of_a_replay() -> None:
    planted = {
        *(Reason.MODEL, Reason.LOSS_FUNCTION, Reason.LABELS, Reason.MASK, Reason.LOSS_WEIGHTS, Reason.SAMPLE_WEIGHTS),
        *(Reason.VARIABLES_LEFT_OUT, Reason.SAMPLES, Reason.ACCUMULATION, Reason.STALE_GRADIENTS, Reason.RESUME),
        *(Reason.OPTIMIZER_RECREATED, Reason.LEARNING_RATE_SCHEDULE, Reason.WEIGHTS_RESET, Reason.WEIGHT_AVERAGING),
        *(Reason.LAYER_STATE, Reason.REPEATED_RANDOMNESS, Reason.INITIAL_WEIGHTS, Reason.VALIDATION_DATA),
        *(Reason.METRIC, Reason.UNREPORTED_PENALTY, Reason.SCALED_FIGURE, Reason.NON_FINITE),
    }
    assert {make().reason for make in FAULTS.values()} == planted


def _by_hand(change: Any, report: Any = None) -> Any:
    """Plain gradient descent with ``change(model, update)`` after every update."""

    def train(model: Any, data: Data, epochs: int) -> Any:
        losses, update = [], 0
        for _ in range(epochs):
            for start in range(0, len(data), SIZE):
                rows = slice(start, start + SIZE)
                value, gradients = gradients_of(squared, model, data.x[rows], data.y[rows])
                for gradient, variable in zip(gradients, model.trainable_variables, strict=True):
                    variable.assign_sub(0.05 * gradient)
                update += 1
                change(model, gradients, update)
                losses.append(float(value))
        return {"score": report(losses)} if report else None

    return train


def test_an_update_that_nothing_explains() -> None:
    build, data = signals()

    def roll(model: Any, gradients: Any, update: int) -> None:
        if update >= 6:
            variable, gradient = model.trainable_variables[0], gradients[0]
            variable.assign_sub(0.02 * np.roll(np.asarray(gradient), 1, axis=-1))

    sides = [_by_hand(lambda *_: None), _by_hand(roll)]
    found = diagnose(build, data, *sides).causes
    assert [cause.reason for cause in found] == [Reason.UNEXPLAINED_UPDATE]
    assert "update 6" in found[0].title


def test_state_that_nothing_explains() -> None:
    """Without the probe that names the state."""
    fault = FAULTS["momentum of a batch normalization"]()
    build, data = fault.problem
    sides = [side if isinstance(side, Side) else Side(side) for side in (fault.first, fault.faulty)]
    found = examine(build, data, (sides[0], sides[1]), samples=61, seed=0, probes=(closure.probe,))
    assert found.reasons == {Reason.UNEXPLAINED_STATE}


def test_a_metric_that_nothing_explains() -> None:
    build, data = signals()
    sides = [_by_hand(lambda *_: None, report) for report in (sum, lambda losses: losses[3] ** 2 + 1)]
    assert reasons(diagnose(build, data, *sides)) == [Reason.UNEXPLAINED_FIGURE]


def test_a_report_says_what_was_not_compared() -> None:
    build, data = signals()
    diagnosis = diagnose(build, data, taped(squared), _by_hand(lambda *_: None, lambda _: 1.0))
    replay = diagnosis.replay
    assert "Initial weights were made equal." in replay.not_compared
    assert "score is reported by the second side only." in replay.not_compared
    assert [update.weight_distance for update in replay.updates] == pytest.approx([0] * len(replay.updates), abs=1e-5)
    assert [(record.first_trains, record.second_trains) for record in replay.variables] == [(True, True)] * 4
